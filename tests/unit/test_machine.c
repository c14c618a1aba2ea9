#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <glib.h>
#include <glib/gstdio.h>

#include "base/machine.h"

#define ID "0123456789abcdef0123456789abcdef"

/* content NULL: there is no such file. */
static void assert_id(const char *content, const char *expected)
{
    g_autofree char *directory = g_dir_make_tmp("waybill-machine-XXXXXX", NULL);
    g_autofree char *path = g_build_filename(directory, "machine-id", NULL);
    assert_true(!content || g_file_set_contents(path, content, -1, NULL));
    g_autofree char *id = machine_id_in(path);
    assert_string_equal(id, expected);
    g_remove(path);
    g_rmdir(directory);
}

static void machine_is_what_its_file_says(void **state)
{
    (void)state;
    assert_id(ID "\n", ID);
    assert_id(ID, ID);
}

static void machine_of_an_image_is_known_by_its_name(void **state)
{
    (void)state;
    static const char *const CONTENTS[] = {
        NULL, "", "\n", "uninitialized\n", "0123456789abcdef\n", ID "0\n"};
    for (size_t i = 0; i < G_N_ELEMENTS(CONTENTS); i++)
        assert_id(CONTENTS[i], g_get_host_name());
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(machine_is_what_its_file_says),
        cmocka_unit_test(machine_of_an_image_is_known_by_its_name),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
