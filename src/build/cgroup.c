#include "build/cgroup.h"

#include <errno.h>
#include <glib.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define MOUNT   "/sys/fs/cgroup"
#define WAIT_MS 10

char *cgroup_name(const char *directory, const char *scratch)
{
    return g_strdup_printf("/waybill/%08x-%s", g_str_hash(directory), scratch);
}

/* A file of the cgroup, in the hierarchy of that controller (v1; NULL: v2). */
static char *cgroup_file(const char *controller, const char *name, const char *file)
{
    g_autofree char *path =
        g_build_filename(MOUNT, controller ? controller : ".", name, file, NULL);
    char *text = NULL;
    return g_file_get_contents(path, &text, NULL, NULL) ? text : NULL;
}

static int64_t number_of(const char *text, const char *key)
{
    const char *at = text ? strstr(text, key) : NULL;
    return at ? g_ascii_strtoll(at + strlen(key), NULL, 10) : -1;
}

static void read_one(const char *name, CgroupUse *use)
{
    g_autofree char *peak1 = cgroup_file("memory", name, "memory.max_usage_in_bytes");
    g_autofree char *peak2 = cgroup_file(NULL, name, "memory.peak");
    g_autofree char *oom1 = cgroup_file("memory", name, "memory.oom_control");
    g_autofree char *oom2 = cgroup_file(NULL, name, "memory.events");
    g_autofree char *cpu1 = cgroup_file("cpuacct", name, "cpuacct.usage");
    g_autofree char *cpu2 = cgroup_file(NULL, name, "cpu.stat");
    use->memory_peak = number_of(peak1 ? peak1 : peak2, "");
    use->oom_kills = MAX(number_of(oom1 ? oom1 : oom2, "oom_kill "), 0);
    int64_t cpu_ns = number_of(cpu1, ""), cpu_us = number_of(cpu2, "usage_usec ");
    use->cpu_ms = cpu_ns >= 0 ? cpu_ns / 1000000 : cpu_us >= 0 ? cpu_us / 1000 : -1;
}

void cgroup_read(const char *name, CgroupUse *use)
{
    g_autofree char *above = g_path_get_dirname(name);
    read_one(name, use);
    if (use->memory_peak < 0)
        read_one(above, use); /* crun removes the lower one at once; v2 counts in the upper one */
}

/* -- our own -- */

#define UNLIMITED (INT64_C(1) << 60) /* v1 says a number that no machine has */

/* The least of `file` in the cgroup of that path and in all above it. */
static int64_t least_of(const char *controller, const char *path, const char *file)
{
    int64_t least = UNLIMITED;
    g_autofree char *at = g_strdup(path);
    for (;;) {
        g_autofree char *text = cgroup_file(controller, at, file);
        const int64_t value = text && g_ascii_isdigit(*text) ? number_of(text, "") : UNLIMITED;
        least = MIN(least, value);
        if (strcmp(at, "/") == 0)
            return least;
        char *above = g_path_get_dirname(at);
        g_free(at);
        at = above;
    }
}

/* Lines of /proc/self/cgroup: "0::/PATH" (v2), "9:memory:/PATH" (v1). */
int64_t cgroup_own_memory(void)
{
    int64_t least = UNLIMITED;
    g_autofree char *text = NULL;
    if (!g_file_get_contents("/proc/self/cgroup", &text, NULL, NULL))
        return -1;
    g_auto(GStrv) lines = g_strsplit(text, "\n", -1);
    for (char **line = lines; *line; line++) {
        g_auto(GStrv) fields = g_strsplit(*line, ":", 3);
        if (g_strv_length(fields) != 3 || *fields[2] != '/')
            continue;
        if (!*fields[1])
            least = MIN(least, least_of(NULL, fields[2], "memory.max"));
        else if (strcmp(fields[1], "memory") == 0)
            least = MIN(least, least_of("memory", fields[2], "memory.limit_in_bytes"));
    }
    return least < UNLIMITED ? least : -1;
}

/* Whether it is gone. */
static bool remove_tree(const char *path)
{
    g_autoptr(GDir) dir = g_dir_open(path, 0, NULL);
    const char *name;
    while (dir && (name = g_dir_read_name(dir))) {
        g_autofree char *below = g_build_filename(path, name, NULL);
        if (g_file_test(below, G_FILE_TEST_IS_DIR))
            remove_tree(below);
    }
    return rmdir(path) == 0 || errno == ENOENT;
}

static bool remove_in(const char *controller, const char *name, int ms)
{
    g_autofree char *path = g_build_filename(MOUNT, controller, name, NULL);
    bool gone;
    while (!(gone = remove_tree(path)) && errno == EBUSY && ms > 0) {
        g_usleep(WAIT_MS * 1000);
        ms -= WAIT_MS;
    }
    return gone || errno != EBUSY;
}

bool cgroup_remove(const char *name, int ms)
{
    g_autoptr(GDir) dir = g_dir_open(MOUNT, 0, NULL);
    const char *controller;
    bool gone = remove_in(".", name, ms);
    while (dir && (controller = g_dir_read_name(dir)))
        gone &= remove_in(controller, name, ms);
    return gone;
}
