#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <glib.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/io.h"

/* A folder with links of every kind, and beside it what must never be opened. */
typedef struct {
    char *top, *inside;
    int fd;
} Scene;

static int scene_up(void **state)
{
    Scene *scene = g_new0(Scene, 1);
    scene->top = g_dir_make_tmp("waybill-io-XXXXXX", NULL);
    scene->inside = g_build_filename(scene->top, "inside", NULL);
    g_autofree char *deep = g_build_filename(scene->inside, "a/b", NULL);
    g_autofree char *file = g_build_filename(scene->inside, "a/b/file", NULL);
    g_autofree char *secret = g_build_filename(scene->top, "secret", NULL);
    g_mkdir_with_parents(deep, 0755);
    g_file_set_contents(file, "in", -1, NULL);
    g_file_set_contents(secret, "out", -1, NULL);
    scene->fd = open(scene->inside, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    assert_int_equal(symlinkat("a/b/file", scene->fd, "to-file"), 0);
    assert_int_equal(symlinkat("a", scene->fd, "to-folder"), 0);
    assert_int_equal(symlinkat("../inside/a/b/file", scene->fd, "out-and-in"), 0);
    assert_int_equal(symlinkat("../secret", scene->fd, "to-secret"), 0);
    assert_int_equal(symlinkat("/etc/hostname", scene->fd, "absolute"), 0);
    assert_int_equal(symlinkat("loop", scene->fd, "loop"), 0);
    assert_int_equal(symlinkat("nothing", scene->fd, "dangling"), 0);
    assert_int_equal(symlinkat("../b/./file", scene->fd, "a/b/up-and-down"), 0);
    *state = scene;
    return 0;
}

static int scene_down(void **state)
{
    Scene *scene = *state;
    const char *argv[] = {"rm", "-rf", scene->top, NULL};
    g_spawn_sync(NULL, (char **)argv, NULL, G_SPAWN_SEARCH_PATH, NULL, NULL, NULL, NULL, NULL,
                 NULL);
    close(scene->fd);
    g_free(scene->top);
    g_free(scene->inside);
    g_free(scene);
    return 0;
}

static const struct {
    const char *path;
    int code; /* 0: it opens */
} PATHS[] = {
    {"a/b/file", 0},
    {"to-file", 0},
    {"to-folder/b/file", 0},
    {"a/b/up-and-down", 0},
    {"a/../a/b/file", 0},
    {".", 0},
    {"a/b/..", 0},
    {"./a//b/file", 0},
    {"to-secret", EXDEV},
    {"../secret", EXDEV},
    {"a/../../secret", EXDEV},
    {"absolute", EXDEV},
    {"/etc/hostname", EXDEV},
    {"out-and-in", EXDEV},
    {"loop", ELOOP},
    {"dangling", ENOENT},
    {"nothing", ENOENT},
    {"a/b/file/x", ENOTDIR},
    {"to-folder/../to-secret", EXDEV},
};

static int open_code(int (*opener)(int, const char *, int), int directory, const char *path)
{
    int fd = opener(directory, path, O_RDONLY);
    int code = fd < 0 ? errno : 0;
    if (fd >= 0)
        close(fd);
    return code;
}

static void beneath_opens_what_is_inside_and_nothing_else(void **state)
{
    const Scene *scene = *state;
    for (size_t i = 0; i < G_N_ELEMENTS(PATHS); i++)
        if (open_code(io_open_beneath, scene->fd, PATHS[i].path) != PATHS[i].code)
            fail_msg("%s: %s", PATHS[i].path,
                     g_strerror(open_code(io_open_beneath, scene->fd, PATHS[i].path)));
}

static void walking_agrees_with_openat2(void **state)
{
    const Scene *scene = *state;
    for (size_t i = 0; i < G_N_ELEMENTS(PATHS); i++)
        if (open_code(io_open_beneath_walking, scene->fd, PATHS[i].path) != PATHS[i].code)
            fail_msg("%s: %s", PATHS[i].path,
                     g_strerror(open_code(io_open_beneath_walking, scene->fd, PATHS[i].path)));
}

static void forbid_openat2(void)
{
    struct sock_filter filter[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_openat2, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ENOSYS),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog program = {.len = G_N_ELEMENTS(filter), .filter = filter};
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ||
        prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) < 0)
        _exit(77);
}

static void beneath_holds_without_openat2(void **state)
{
    const Scene *scene = *state;
    pid_t child = fork();
    if (child == 0) {
        forbid_openat2();
        int wrong = 0;
        for (size_t i = 0; i < G_N_ELEMENTS(PATHS); i++)
            wrong += open_code(io_open_beneath, scene->fd, PATHS[i].path) != PATHS[i].code;
        _exit(wrong);
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    if (WEXITSTATUS(status) == 77)
        skip();
    assert_int_equal(WEXITSTATUS(status), 0);
}

static void replace_leaves_the_new_file_and_nothing_else(void **state)
{
    const Scene *scene = *state;
    g_autoptr(GError) error = NULL;
    assert_true(io_replace_file(scene->fd, "index.json", "one", 3, 0644, &error));
    assert_true(io_replace_file(scene->fd, "index.json", "second", 6, 0644, &error));
    g_autoptr(GBytes) bytes = io_read_file(scene->fd, "index.json", 100, &error);
    assert_memory_equal(g_bytes_get_data(bytes, NULL), "second", 6);
    g_autoptr(GDir) directory = g_dir_open(scene->inside, 0, NULL);
    for (const char *name; (name = g_dir_read_name(directory));)
        assert_false(g_str_has_suffix(name, ".tmp"));
}

static void read_refuses_more_than_its_limit(void **state)
{
    const Scene *scene = *state;
    g_autoptr(GError) error = NULL;
    assert_true(io_replace_file(scene->fd, "large", "0123456789", 10, 0644, NULL));
    assert_null(io_read_file(scene->fd, "large", 9, &error));
    assert_true(g_error_matches(error, IO_ERROR, EFBIG));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(beneath_opens_what_is_inside_and_nothing_else, scene_up,
                                        scene_down),
        cmocka_unit_test_setup_teardown(walking_agrees_with_openat2, scene_up, scene_down),
        cmocka_unit_test_setup_teardown(beneath_holds_without_openat2, scene_up, scene_down),
        cmocka_unit_test_setup_teardown(replace_leaves_the_new_file_and_nothing_else, scene_up,
                                        scene_down),
        cmocka_unit_test_setup_teardown(read_refuses_more_than_its_limit, scene_up, scene_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
