#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "image/challenge.h"

static void assert_text(const char *found, const char *expected)
{
    if (g_strcmp0(found, expected) != 0)
        fail_msg("found %s, expected %s", found ? found : "none", expected ? expected : "none");
}

static void challenge_has_what_bearer_says(void **state)
{
    g_auto(Challenge) challenge = {0};
    challenge_read(&challenge,
                   "Bearer realm=\"https://auth.docker.io/token\",service=\"r.example\","
                   "scope=\"repository:team/app:pull,push\", error = invalid_token");
    assert_true(challenge.bearer && !challenge.basic);
    assert_text(challenge.realm, "https://auth.docker.io/token");
    assert_text(challenge.service, "r.example");
    assert_text(challenge.scope, "repository:team/app:pull,push");
    assert_text(challenge.error, "invalid_token");
}

static void challenge_keeps_several_apart(void **state)
{
    static const char *const VALUES[] = {
        "Basic realm=\"basic's\", Bearer realm=\"bearer's\", Digest realm=\"digest's\"",
        "Bearer realm=\"bearer's\", BASIC realm=\"basic's\"", "basic, bearer REALM=\"bearer's\"",
        ",, Basic ,Bearer  realm = \"bearer's\" ,"};
    for (size_t i = 0; i < G_N_ELEMENTS(VALUES); i++) {
        g_auto(Challenge) challenge = {0};
        challenge_read(&challenge, VALUES[i]);
        assert_true(challenge.basic && challenge.bearer);
        assert_text(challenge.realm, "bearer's");
    }
}

static void challenge_comes_in_several_headers(void **state)
{
    g_auto(Challenge) challenge = {0};
    challenge_read(&challenge, "Basic realm=\"basic's\"");
    assert_true(challenge.basic && !challenge.bearer && !challenge.realm);
    challenge_read(&challenge, "Bearer realm=\"first\"");
    challenge_read(&challenge, "Bearer realm=\"second\",service=\"s\"");
    assert_text(challenge.realm, "first");
    assert_text(challenge.service, "s");
}

static void challenge_reads_quoted_text(void **state)
{
    g_auto(Challenge) challenge = {0};
    challenge_read(&challenge, "Bearer realm=\"a\\\"b,\\\\ c=d\",service=\"\"");
    assert_text(challenge.realm, "a\"b,\\ c=d");
    assert_text(challenge.service, "");
}

static void challenge_leaves_out_what_is_none(void **state)
{
    static const char *const VALUES[] = {"",  " ",  "\"", "=",           "Bearer realm=\"open",
                                         "@", ", ", "a=", "Negotiate x", "Bearer realm=\"x\\"};
    for (size_t i = 0; i < G_N_ELEMENTS(VALUES); i++) {
        g_auto(Challenge) challenge = {0};
        challenge_read(&challenge, VALUES[i]);
        assert_text(challenge.realm, NULL);
        assert_false(challenge.basic);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(challenge_has_what_bearer_says),
        cmocka_unit_test(challenge_keeps_several_apart),
        cmocka_unit_test(challenge_comes_in_several_headers),
        cmocka_unit_test(challenge_reads_quoted_text),
        cmocka_unit_test(challenge_leaves_out_what_is_none),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
