#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <glib.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <unistd.h>

#include "build/unpack.h"

#define FILES  200
#define ROUNDS 100

static atomic_bool over;

/* Who is still dying, and removes what it made. */
static void *remove_too(void *directory)
{
    while (!over)
        for (int i = FILES; i-- > 0;) {
            g_autofree char *path = g_strdup_printf("%s/files/%d", (char *)directory, i);
            unlink(path);
        }
    return NULL;
}

static void what_another_one_removes_meanwhile_leaves_nothing(void **state)
{
    (void)state;
    pthread_t other;
    g_autofree char *directory = g_dir_make_tmp("waybill-unpack-XXXXXX", NULL);
    g_autofree char *files = g_build_filename(directory, "files", NULL);
    assert_int_equal(pthread_create(&other, NULL, remove_too, directory), 0);
    for (int round = 0; round < ROUNDS; round++) {
        assert_int_equal(g_mkdir_with_parents(files, 0700), 0);
        for (int i = 0; i < FILES; i++) {
            g_autofree char *path = g_strdup_printf("%s/%d", files, i);
            close(open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
        }
        assert_true(unpack_remove(files, NULL));
        assert_int_not_equal(access(files, F_OK), 0);
    }
    over = true;
    pthread_join(other, NULL);
    assert_true(unpack_remove(directory, NULL));
    assert_true(unpack_remove(directory, NULL)); /* nothing is as good */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_another_one_removes_meanwhile_leaves_nothing)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
