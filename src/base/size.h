/* Sizes as people read them. */
#pragma once

#include <glib.h>
#include <stdint.h>

/* "17 B", "2.0 GiB"; the caller frees it. */
char *size_text(int64_t bytes);
