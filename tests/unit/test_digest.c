#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/digest.h"

static void digest_of_nothing_is_the_known_one(void **state)
{
    g_autofree char *digest = digest_of("", 0);
    assert_string_equal(digest,
                        "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
}

static void digest_is_the_same_in_pieces(void **state)
{
    g_autoptr(Digest) pieces = digest_new();
    digest_update(pieces, "way", 3);
    digest_update(pieces, "bill", 4);
    g_autofree char *a = digest_finish(pieces);
    g_autofree char *b = digest_of("waybill", 7);
    assert_string_equal(a, b);
}

static void digest_refuses_what_could_leave_its_folder(void **state)
{
    assert_false(digest_is_valid(NULL));
    assert_false(digest_is_valid("sha256:../../etc/passwd"));
    assert_false(
        digest_is_valid("sha256:E3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"));
    assert_true(
        digest_is_valid("sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(digest_of_nothing_is_the_known_one),
        cmocka_unit_test(digest_is_the_same_in_pieces),
        cmocka_unit_test(digest_refuses_what_could_leave_its_folder),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
