/* WWW-Authenticate (RFC 9110, section 11), as registries use it: Basic, and Bearer with realm,
 * service, scope and error (distribution's token authentication). */
#pragma once

#include <glib.h>
#include <stdbool.h>

typedef struct {
    bool basic, bearer;
    char *realm, *service, *scope, *error; /* of Bearer; NULL where it has none */
} Challenge;
void challenge_clear(Challenge *challenge);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Challenge, challenge_clear)

/* Adds what one header's value says, which may hold several challenges. What cannot be read is
 * left out. */
void challenge_read(Challenge *challenge, const char *header);
