/* Any bytes as the values of WWW-Authenticate, a line each.
 *
 * Invariants: parameters are those of a Bearer challenge, and the first one of a name counts;
 * reading on takes nothing away. */
#include <stdint.h>
#include <string.h>

#include "image/challenge.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void assert_kept(const char *before, const char *after)
{
    g_assert(!before || g_strcmp0(before, after) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    g_auto(Challenge) challenge = {0};
    g_autofree char *text = g_strndup((const char *)data, size);
    g_auto(GStrv) lines = g_strsplit(text, "\n", 8);
    for (char **line = lines; *line; line++) {
        const bool basic = challenge.basic, bearer = challenge.bearer;
        g_autofree char *realm = g_strdup(challenge.realm), *scope = g_strdup(challenge.scope);
        challenge_read(&challenge, *line);
        g_assert(challenge.basic >= basic && challenge.bearer >= bearer);
        assert_kept(realm, challenge.realm);
        assert_kept(scope, challenge.scope);
        g_assert(challenge.bearer ||
                 (!challenge.realm && !challenge.service && !challenge.scope && !challenge.error));
        g_assert(!challenge.realm || strlen(challenge.realm) <= size);
    }
    return 0;
}
