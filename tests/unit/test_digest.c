#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/digest.h"
#include "base/io.h"

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

static void digest_of_a_file_counts_from_its_beginning_and_to_the_limit(void **state)
{
    g_autofree char *bytes = g_malloc0(700000); /* more than is read at once */
    bytes[699999] = 'x';
    autofd fd = memfd_create("digest", MFD_CLOEXEC);
    assert_true(io_write_all(fd, bytes, 700000, NULL)); /* its offset is at the end */
    static const int64_t LIMITS[] = {INT64_MAX, 700000, 699999, 0};
    for (size_t i = 0; i < G_N_ELEMENTS(LIMITS); i++) {
        g_autofree char *found = digest_of_file(fd, LIMITS[i], NULL);
        g_autofree char *expected = digest_of(bytes, (size_t)MIN(LIMITS[i], 700000));
        assert_string_equal(found, expected);
    }
}

static void digest_of_what_cannot_be_read_is_an_error(void **state)
{
    autofd fd = open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    g_autoptr(GError) error = NULL;
    assert_null(digest_of_file(fd, INT64_MAX, &error));
    assert_true(g_error_matches(error, IO_ERROR, EISDIR));
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
        cmocka_unit_test(digest_of_a_file_counts_from_its_beginning_and_to_the_limit),
        cmocka_unit_test(digest_of_what_cannot_be_read_is_an_error),
        cmocka_unit_test(digest_refuses_what_could_leave_its_folder),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
