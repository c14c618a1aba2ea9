#include "build/userns.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/io.h"
#include "build/sandbox.h"

#define SUBUID    "/etc/subuid"
#define SUBGID    "/etc/subgid"
#define RANGE     65536  /* what Debian's useradd gives, and its images and apt need */
#define FIRST     100000 /* login.defs(5), SUB_UID_MIN */
#define RANGE_MIN "65536"

typedef struct {
    int64_t start, count; /* count 0: there is none */
} Range;

bool userns_needed(void)
{
    return geteuid() != 0;
}

/* -- subuid(5) -- */

/* The first range of `user`, a name or a number, that is large enough. *end: behind everybody's. */
static Range find_range(const char *path, const char *user, const char *number, int64_t *end)
{
    Range found = {0};
    g_autofree char *text = NULL;
    if (!g_file_get_contents(path, &text, NULL, NULL))
        return found;
    g_auto(GStrv) lines = g_strsplit(text, "\n", -1);
    for (char **line = lines; *line; line++) {
        g_auto(GStrv) fields = g_strsplit(*line, ":", -1);
        if (g_strv_length(fields) != 3)
            continue;
        const Range range = {g_ascii_strtoll(fields[1], NULL, 10),
                             g_ascii_strtoll(fields[2], NULL, 10)};
        bool own = strcmp(fields[0], user) == 0 || strcmp(fields[0], number) == 0;
        if (own && range.count >= RANGE && found.count == 0)
            found = range;
        *end = MAX(*end, range.start + range.count);
    }
    return found;
}

typedef struct {
    Range users, groups;
    int64_t end; /* from here on nobody has any */
} Ranges;

static Ranges find_ranges(void)
{
    Ranges ranges = {.end = FIRST};
    g_autofree char *number = g_strdup_printf("%u", (unsigned)getuid());
    ranges.users = find_range(SUBUID, g_get_user_name(), number, &ranges.end);
    ranges.groups = find_range(SUBGID, g_get_user_name(), number, &ranges.end);
    return ranges;
}

char *userns_name(void)
{
    if (!userns_needed())
        return NULL;
    const Ranges ranges = find_ranges();
    return g_strdup_printf("user-%u-%" G_GINT64_FORMAT "-%" G_GINT64_FORMAT, (unsigned)getuid(),
                           ranges.users.start, ranges.groups.start);
}

/* -- what stands in the way -- */

/* -1: this kernel has no such setting. */
static int64_t kernel_setting(const char *name)
{
    g_autofree char *text = NULL, *path = g_build_filename("/proc/sys", name, NULL);
    return g_file_get_contents(path, &text, NULL, NULL) ? g_ascii_strtoll(text, NULL, 10) : -1;
}

static char *say(char **mend, const char *what, const char *how)
{
    *mend = g_strdup(how);
    return g_strdup(what);
}

static bool is_there(const char *program)
{
    g_autofree char *path = g_find_program_in_path(program);
    return path != NULL;
}

static char *range_obstacle(bool zh, char **mend)
{
    const Ranges ranges = find_ranges();
    if (ranges.users.count && ranges.groups.count)
        return NULL;
    const char *file = ranges.users.count ? SUBGID : SUBUID, *user = g_get_user_name();
    const int64_t last = ranges.end + RANGE - 1;
    g_autofree char *range =
        g_strdup_printf("%" G_GINT64_FORMAT "-%" G_GINT64_FORMAT, ranges.end, last);
    *mend = g_strdup_printf("usermod --add-subuids %s --add-subgids %s %s", range, range, user);
    return g_strdup_printf(zh ? "%s 没有为 %s 分配 " RANGE_MIN " 个 id 的范围"
                              : "%s has no range of " RANGE_MIN " ids for %s",
                           file, user);
}

char *userns_obstacle(bool zh, char **mend)
{
    *mend = NULL;
    if (!userns_needed())
        return NULL;
    if (prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1)
        return say(mend,
                   zh ? "此进程不能获得新权限(no_new_privs),而 newuidmap 需要"
                      : "this process may gain no privileges (no_new_privs), and newuidmap has to",
                   zh ? "去掉 systemd 单元的 NoNewPrivileges=(或 setpriv --no-new-privs)"
                      : "start it without NoNewPrivileges= of its unit, or --no-new-privs");
    if (kernel_setting("user/max_user_namespaces") == 0)
        return say(mend,
                   zh ? "用户命名空间已关闭(user.max_user_namespaces=0)"
                      : "user namespaces are switched off (user.max_user_namespaces=0)",
                   "sysctl -w user.max_user_namespaces=15000");
    if (kernel_setting("kernel/unprivileged_userns_clone") == 0)
        return say(mend,
                   zh ? "非 root 不能使用用户命名空间(kernel.unprivileged_userns_clone=0)"
                      : "user namespaces are root's alone (kernel.unprivileged_userns_clone=0)",
                   "sysctl -w kernel.unprivileged_userns_clone=1");
    if (!is_there("newuidmap") || !is_there("newgidmap"))
        return say(mend,
                   zh ? "未安装 newuidmap,非 root 用户需要它"
                      : "newuidmap is not installed, which who is not root needs",
                   "apt install uidmap");
    return range_obstacle(zh, mend);
}

char *userns_refusal(bool zh, char **mend)
{
    if (kernel_setting("kernel/apparmor_restrict_unprivileged_userns") > 0)
        return say(mend,
                   zh ? "AppArmor 限制了用户命名空间"
                        "(kernel.apparmor_restrict_unprivileged_userns=1)"
                      : "AppArmor restricts user namespaces "
                        "(kernel.apparmor_restrict_unprivileged_userns=1)",
                   zh ? "为 waybill 添加含 userns 的 AppArmor 配置,或执行 "
                        "sysctl -w kernel.apparmor_restrict_unprivileged_userns=0"
                      : "give waybill an AppArmor profile with \"userns,\", or "
                        "sysctl -w kernel.apparmor_restrict_unprivileged_userns=0");
    return say(mend,
               zh ? "此处不允许使用用户命名空间(容器的 seccomp 配置或安全模块)"
                  : "a user namespace is not allowed here, by a container's seccomp profile or a "
                    "security module",
               zh ? "在容器之外运行,或放开该限制"
                  : "run it outside of that container, or lift that");
}

/* -- ids -- */

/* A map is lines of "INSIDE OUTSIDE COUNT", ours without gaps. Where it ends; and, where `same` is
 * not NULL, the lines that give a namespace below the same ids. */
static int64_t read_map(const char *path, GString *same)
{
    long long inside, count, end = 0;
    g_autofree char *text = NULL;
    if (!g_file_get_contents(path, &text, NULL, NULL))
        return G_MAXUINT32;
    g_auto(GStrv) lines = g_strsplit(text, "\n", -1);
    for (char **line = lines; *line; line++) {
        if (sscanf(*line, "%lld %*d %lld", &inside, &count) != 2 || inside != end)
            continue;
        end += count;
        if (same)
            g_string_append_printf(same, "%lld %lld %lld\n", inside, inside, count);
    }
    return end;
}

int64_t userns_ids(void)
{
    return MIN(read_map("/proc/self/uid_map", NULL), read_map("/proc/self/gid_map", NULL));
}

bool userns_inside(void)
{
    return userns_ids() != G_MAXUINT32;
}

const char *userns_opaque(void)
{
    return userns_inside() ? "user.overlay.opaque" : "trusted.overlay.opaque";
}
/* -- entering -- */

static bool fail(GError **error, const char *what, const char *how)
{
    g_set_error(error, SANDBOX_ERROR, SANDBOX_ERROR_RUNTIME, "%s: %s", what, how);
    return false;
}

/* PROGRAM PID 0 OWN 1 1 START COUNT. What it says when it fails goes to `said`. */
static bool run_mapper(const char *program, pid_t target, unsigned own, const Range *range,
                       int said)
{
    int status;
    g_autofree char *errors = NULL;
    g_autoptr(GError) error = NULL;
    g_autofree char *words =
        g_strdup_printf("%s %d 0 %u 1 1 %" G_GINT64_FORMAT " %" G_GINT64_FORMAT, program,
                        (int)target, own, range->start, range->count);
    g_auto(GStrv) argv = g_strsplit(words, " ", -1);
    if (g_spawn_sync(NULL, argv, NULL, G_SPAWN_SEARCH_PATH, NULL, NULL, NULL, &errors, &status,
                     &error) &&
        g_spawn_check_wait_status(status, &error))
        return true;
    const char *text = errors && *g_strchomp(errors) ? errors : error->message;
    io_write_all(said, text, strlen(text), NULL);
    return false;
}

static bool map_ranges(pid_t target, int said)
{
    const Ranges ranges = find_ranges();
    return run_mapper("newuidmap", target, geteuid(), &ranges.users, said) &&
           run_mapper("newgidmap", target, getegid(), &ranges.groups, said);
}

/* Every id as it is here. */
static bool map_same(pid_t target, int said)
{
    static const char *const MAPS[] = {"uid_map", "gid_map"};
    for (size_t i = 0; i < G_N_ELEMENTS(MAPS); i++) {
        g_autoptr(GString) lines = g_string_new(NULL);
        g_autofree char *ours = g_strconcat("/proc/self/", MAPS[i], NULL);
        g_autofree char *theirs = g_strdup_printf("/proc/%d/%s", (int)target, MAPS[i]);
        read_map(ours, lines);
        autofd fd = open(theirs, O_WRONLY | O_CLOEXEC);
        if (fd >= 0 && write(fd, lines->str, lines->len) == (ssize_t)lines->len) /* at once */
            continue;
        const char *why = g_strerror(errno);
        io_write_all(said, why, strlen(why), NULL);
        return false;
    }
    return true;
}

typedef bool (*MapIds)(pid_t target, int said);

/* Who maps us must stand outside, where the privileges for it are: a child that we have before we
 * go. It waits until we are there, or gone. */
static pid_t start_mapper(MapIds map, const int go[2], const int said[2])
{
    const pid_t target = getpid();
    pid_t child = fork();
    if (child != 0)
        return child;
    char byte;
    close(go[1]);
    close(said[0]);
    _exit(read(go[0], &byte, 1) == 1 && map(target, said[1]) ? 0 : 1);
}

static bool end_mapper(pid_t child, int said, GError **error)
{
    int status;
    char text[256] = "";
    io_read_full(said, text, sizeof text - 1, NULL);
    while (waitpid(child, &status, 0) < 0 && errno == EINTR)
        ;
    return (WIFEXITED(status) && WEXITSTATUS(status) == 0) ||
           fail(error, "the ids of a user namespace", *text ? text : "they cannot be mapped");
}

static bool enter(MapIds map, GError **error)
{
    int go[2], said[2];
    if (pipe2(go, O_CLOEXEC) < 0 || pipe2(said, O_CLOEXEC) < 0)
        return io_fail(error, errno, "a user namespace");
    pid_t mapper = start_mapper(map, go, said);
    close(go[0]);
    close(said[1]);
    const bool there = mapper > 0 && unshare(CLONE_NEWUSER) == 0;
    const int code = errno;
    const bool told = there && write(go[1], "", 1) == 1;
    close(go[1]);
    const bool mapped = mapper > 0 && end_mapper(mapper, said[0], told ? error : NULL);
    close(said[0]);
    if (told)
        return mapped;
    g_autofree char *how = NULL, *refusal = userns_refusal(false, &how);
    g_autofree char *what = g_strdup_printf("%s: %s", refusal, g_strerror(code));
    return fail(error, what, how);
}

bool userns_enter(GError **error)
{
    g_autofree char *mend = NULL, *obstacle = userns_obstacle(false, &mend);
    return obstacle ? fail(error, obstacle, mend) : enter(map_ranges, error);
}

/* The kernel counts a namespace's processes as its maker's, whatever user they are of, up to the
 * limit that he had when he made it (Linux 5.14). Ours could only count what else the caller runs,
 * too. */
bool userns_limit(int processes, GError **error)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NPROC, &limit) < 0)
        return io_fail(error, errno, "a limit of processes");
    limit.rlim_max = MIN(limit.rlim_max, (rlim_t)processes); /* to raise it is root's */
    limit.rlim_cur = limit.rlim_max;
    if (setrlimit(RLIMIT_NPROC, &limit) < 0)
        return io_fail(error, errno, "a limit of processes");
    return enter(map_same, error);
}
