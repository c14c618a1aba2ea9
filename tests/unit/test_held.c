/* Directories that are held as long as their maker lives. */
#include "base/held.h"

#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/io.h"

#define MADE 3000

static int setup(void **state)
{
    *state = g_dir_make_tmp("waybill-held-XXXXXX", NULL);
    return *state ? 0 : -1;
}

static int teardown(void **state)
{
    rmdir(*state);
    g_free(*state);
    return 0;
}

static void a_held_one_is_not_taken(void **state)
{
    int lock = -1;
    g_autofree char *path = held_make(*state, "tmp-", 0711, &lock, NULL);
    struct stat about;
    assert_non_null(path);
    assert_true(g_str_has_prefix(path + strlen(*state), "/tmp-"));
    assert_int_equal(stat(path, &about), 0);
    assert_int_equal(about.st_mode & 07777, 0711);
    assert_int_equal(held_take(path), -1);
    io_close(&lock);
    lock = held_take(path);
    assert_true(lock >= 0);
    rmdir(path);
    io_close(&lock);
}

typedef struct {
    const char *below;
    atomic_bool over;
} Sweep;

static void *sweep(void *data)
{
    Sweep *sweep = data;
    while (!sweep->over) {
        g_autoptr(GDir) dir = g_dir_open(sweep->below, 0, NULL);
        for (const char *name; (name = g_dir_read_name(dir));) {
            g_autofree char *path = g_build_filename(sweep->below, name, NULL);
            autofd lock = held_take(path);
            if (lock >= 0)
                rmdir(path);
        }
    }
    return NULL;
}

/* What is being made is not yet locked for a moment: a sweep that removes it then takes nothing
 * from its maker. */
static void a_sweep_never_takes_what_is_being_made(void **state)
{
    Sweep work = {.below = *state};
    pthread_t sweeper;
    assert_int_equal(pthread_create(&sweeper, NULL, sweep, &work), 0);
    for (int i = 0; i < MADE; i++) {
        autofd lock = -1;
        g_autofree char *path = held_make(*state, "", 0700, &lock, NULL);
        assert_non_null(path);
        assert_int_equal(access(path, F_OK), 0);
        rmdir(path);
    }
    work.over = true;
    pthread_join(sweeper, NULL);
}

/* One that was opened by its name, and then removed, is not taken for the next one of that name. */
static void a_name_that_is_used_again_is_another(void **state)
{
    Sweep work = {.below = *state};
    pthread_t sweeper;
    g_autofree char *path = g_build_filename(*state, "same", NULL);
    assert_int_equal(pthread_create(&sweeper, NULL, sweep, &work), 0);
    for (int i = 0; i < MADE; i++) {
        mkdir(path, 0700);
        autofd lock = held_take(path);
        if (lock < 0)
            continue;
        for (int look = 0; look < 20; look++)
            assert_int_equal(access(path, F_OK), 0);
        rmdir(path);
    }
    work.over = true;
    pthread_join(sweeper, NULL);
    rmdir(path);
}

static void what_cannot_be_made_is_named(void **state)
{
    int lock = -1;
    g_autoptr(GError) error = NULL;
    assert_null(held_make("/nowhere", "tmp-", 0700, &lock, &error));
    assert_int_equal(lock, -1);
    assert_int_equal(error->code, ENOENT);
    assert_true(g_str_has_prefix(error->message, "/nowhere/tmp-"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_held_one_is_not_taken, setup, teardown),
        cmocka_unit_test_setup_teardown(a_sweep_never_takes_what_is_being_made, setup, teardown),
        cmocka_unit_test_setup_teardown(a_name_that_is_used_again_is_another, setup, teardown),
        cmocka_unit_test(what_cannot_be_made_is_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
