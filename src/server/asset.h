/* A file that the program carries and hands out: revalidated by its digest, and packed where the
 * client takes that. */
#pragma once

#include "server/http.h"

typedef struct {
    const char *media_type;
    const char *text; /* for as long as the program runs, as is `packed` */
    gsize length;
    const char *packed; /* the same, gzipped; NULL: there is none */
    gsize packed_length;
    char tag[40]; /* ETag */
} Asset;

/* Sets text, length and tag. */
void asset_set(Asset *asset, const char *text, gsize length);
HttpReply asset_reply(const HttpRequest *request, const Asset *asset);
