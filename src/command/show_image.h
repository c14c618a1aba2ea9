/* `waybill show IMAGE_REFERENCE`: what an image carries with it, read from its registry. */
#pragma once

#include "command/command.h"

/* Whether it is a reference and no model. */
bool is_image_reference(const char *text);
int show_image(Session *session, const char *text, const char *key_file, bool json);
