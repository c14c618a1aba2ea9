#include "build/sandbox_config.h"

#include <errno.h>
#include <sys/resource.h>
#include <sys/statvfs.h>

#include "build/userns.h"

/* What dpkg and pip need to write other users' files as root does; nothing that reaches the kernel
 * or the host. */
static const char *const CAPABILITIES[] = {"CAP_CHOWN",  "CAP_DAC_OVERRIDE", "CAP_FOWNER",
                                           "CAP_FSETID", "CAP_SETFCAP",      "CAP_SETGID",
                                           "CAP_SETUID", "CAP_SYS_CHROOT"};

/* System calls that no installer and no model needs, and that kernels were broken through. */
static const char *const FORBIDDEN[] = {"acct",
                                        "add_key",
                                        "adjtimex",
                                        "bpf",
                                        "clock_adjtime",
                                        "clock_settime",
                                        "create_module",
                                        "delete_module",
                                        "fanotify_init",
                                        "finit_module",
                                        "fsconfig",
                                        "fsmount",
                                        "fsopen",
                                        "fspick",
                                        "get_kernel_syms",
                                        "get_mempolicy",
                                        "init_module",
                                        "io_uring_enter",
                                        "io_uring_register",
                                        "io_uring_setup",
                                        "ioperm",
                                        "iopl",
                                        "kcmp",
                                        "kexec_file_load",
                                        "kexec_load",
                                        "keyctl",
                                        "lookup_dcookie",
                                        "mbind",
                                        "migrate_pages",
                                        "mount",
                                        "mount_setattr",
                                        "move_mount",
                                        "move_pages",
                                        "name_to_handle_at",
                                        "nfsservctl",
                                        "open_by_handle_at",
                                        "open_tree",
                                        "perf_event_open",
                                        "personality",
                                        "pidfd_getfd",
                                        "pivot_root",
                                        "process_vm_readv",
                                        "process_vm_writev",
                                        "ptrace",
                                        "query_module",
                                        "quotactl",
                                        "quotactl_fd",
                                        "reboot",
                                        "request_key",
                                        "set_mempolicy",
                                        "setdomainname",
                                        "sethostname",
                                        "setns",
                                        "settimeofday",
                                        "swapoff",
                                        "swapon",
                                        "sysfs",
                                        "syslog",
                                        "umount",
                                        "umount2",
                                        "unshare",
                                        "uselib",
                                        "userfaultfd",
                                        "ustat",
                                        "vhangup",
                                        "vm86",
                                        "vm86old"};

static json_t *texts(const char *const *values, size_t count)
{
    json_t *array = json_array();
    for (size_t i = 0; i < count; i++)
        json_array_append_new(array, json_string(values[i]));
    return array;
}

static json_t *texts_ended(const char *const *values)
{
    return texts(values, values ? g_strv_length((char **)values) : 0);
}

static json_t *refusal(json_t *names, int code)
{
    return json_pack("{s:o, s:s, s:i}", "names", names, "action", "SCMP_ACT_ERRNO", "errnoRet",
                     code);
}

/* clone may make threads and processes, no namespaces: one rule for each of their flags. clone3
 * hides its flags in memory; glibc falls back to clone where it is not there. */
static json_t *seccomp(void)
{
    static const json_int_t SPACES[] = {0x00020000, 0x02000000, 0x04000000, 0x08000000,
                                        0x10000000, 0x20000000, 0x40000000};
    json_t *rules = json_array();
    json_array_append_new(rules, refusal(texts(FORBIDDEN, G_N_ELEMENTS(FORBIDDEN)), EPERM));
    json_array_append_new(rules, refusal(json_pack("[s]", "clone3"), ENOSYS));
    for (size_t i = 0; i < G_N_ELEMENTS(SPACES); i++) {
        json_t *rule = refusal(json_pack("[s]", "clone"), EPERM);
        json_object_set_new(rule, "args",
                            json_pack("[{s:i, s:I, s:I, s:s}]", "index", 0, "value", SPACES[i],
                                      "valueTwo", SPACES[i], "op", "SCMP_CMP_MASKED_EQ"));
        json_array_append_new(rules, rule);
    }
    return json_pack("{s:s, s:o}", "defaultAction", "SCMP_ACT_ALLOW", "syscalls", rules);
}

static json_t *mount_of(const char *target, const char *type, const char *source,
                        const char *const *options)
{
    return json_pack("{s:s, s:s, s:s, s:o}", "destination", target, "type", type, "source", source,
                     "options", texts_ended(options));
}

/* A user namespace may not take away what its owner's mount has. */
static json_t *bind_of(const SandboxBind *bind)
{
    static const char *const BIND[] = {"bind", "ro", "nosuid", "nodev", NULL};
    struct statvfs about;
    json_t *mount = mount_of(bind->target, "bind", bind->source, BIND);
    if (statvfs(bind->source, &about) == 0 && (about.f_flag & ST_NOEXEC))
        json_array_append_new(json_object_get(mount, "options"), json_string("noexec"));
    return mount;
}

/* A user namespace gets a sysfs for a network namespace of its own alone. */
static json_t *sysfs_of(const SandboxSpec *spec)
{
    static const char *const SYS[] = {"nosuid", "noexec", "nodev", "ro", NULL};
    static const char *const BOUND[] = {"rbind", "nosuid", "noexec", "nodev", "ro", NULL};
    bool bound = userns_needed() && spec->network == SANDBOX_NETWORK_HOST;
    return bound ? mount_of("/sys", "bind", "/sys", BOUND)
                 : mount_of("/sys", "sysfs", "sysfs", SYS);
}

static json_t *mounts_of(const SandboxSpec *spec, const GPtrArray *binds)
{
    static const char *const PROC[] = {"nosuid", "noexec", "nodev", NULL};
    static const char *const DEV[] = {"nosuid", "strictatime", "mode=755", "size=64k", NULL};
    static const char *const PTS[] = {"nosuid",        "noexec",    "newinstance",
                                      "ptmxmode=0666", "mode=0620", NULL};
    static const char *const SHM[] = {"nosuid", "noexec", "nodev", "mode=1777", "size=64m", NULL};
    static const char *const RUN[] = {"nosuid", "nodev", "mode=755", "size=64m", NULL};
    static const SandboxBind RESOLVER = {"/etc/resolv.conf", "/etc/resolv.conf"};
    json_t *mounts = json_array();
    json_array_append_new(mounts, mount_of("/proc", "proc", "proc", PROC));
    json_array_append_new(mounts, mount_of("/dev", "tmpfs", "tmpfs", DEV));
    json_array_append_new(mounts, mount_of("/dev/pts", "devpts", "devpts", PTS));
    json_array_append_new(mounts, mount_of("/dev/shm", "tmpfs", "shm", SHM));
    json_array_append_new(mounts, sysfs_of(spec));
    json_array_append_new(mounts, mount_of("/run", "tmpfs", "tmpfs", RUN));
    for (guint i = 0; i < binds->len; i++)
        json_array_append_new(mounts, bind_of(binds->pdata[i]));
    if (spec->network == SANDBOX_NETWORK_HOST)
        json_array_append_new(mounts, bind_of(&RESOLVER));
    return mounts;
}

static json_t *resources_of(const SandboxSpec *spec)
{
    const json_int_t memory = (json_int_t)spec->memory_mib << 20;
    return json_pack("{s:[{s:b, s:s}], s:{s:I, s:I}, s:{s:i}, s:{s:I, s:I}}", "devices", "allow", 0,
                     "access", "rwm", "memory", "limit", memory, "swap", memory, "pids", "limit",
                     spec->pids, "cpu", "quota", (json_int_t)spec->cpus * 100000, "period",
                     (json_int_t)100000);
}

/* Not above what the caller has: to raise that is root's. */
static json_t *rlimit_of(const char *name, int resource, int64_t value)
{
    struct rlimit ours;
    if (getrlimit(resource, &ours) == 0 && ours.rlim_max < (rlim_t)value)
        value = (int64_t)ours.rlim_max;
    return json_pack("{s:s, s:I, s:I}", "type", name, "hard", (json_int_t)value, "soft",
                     (json_int_t)value);
}

/* What holds without a cgroup, for each process and each user. For all users together the helper
 * has limited the user namespace. */
static json_t *rlimits_of(const SandboxSpec *spec)
{
    return json_pack("[o, o]",
                     rlimit_of("RLIMIT_DATA", RLIMIT_DATA, (int64_t)spec->memory_mib << 20),
                     rlimit_of("RLIMIT_NPROC", RLIMIT_NPROC, spec->pids));
}

/* The network namespace is the helper's. */
static json_t *linux_of(const SandboxSpec *spec, const char *cgroup)
{
    static const char *const MASKED[] = {"/proc/acpi",          "/proc/asound",
                                         "/proc/kcore",         "/proc/keys",
                                         "/proc/latency_stats", "/proc/timer_list",
                                         "/proc/timer_stats",   "/proc/sched_debug",
                                         "/proc/scsi",          "/sys/firmware"};
    static const char *const READONLY[] = {"/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys",
                                           "/proc/sysrq-trigger"};
    json_t *value =
        json_pack("{s:[{s:s}, {s:s}, {s:s}, {s:s}], s:o, s:o, s:o}", "namespaces", "type", "pid",
                  "type", "mount", "type", "ipc", "type", "uts", "seccomp", seccomp(),
                  "maskedPaths", texts(MASKED, G_N_ELEMENTS(MASKED)), "readonlyPaths",
                  texts(READONLY, G_N_ELEMENTS(READONLY)));
    if (userns_needed())
        return value;
    json_object_set_new(value, "resources", resources_of(spec));
    json_object_set_new(value, "cgroupsPath", json_string(cgroup));
    return value;
}

static json_t *process_of(const SandboxSpec *spec, const SandboxCommand *command)
{
    size_t count = command->uid == 0 ? G_N_ELEMENTS(CAPABILITIES) : 0;
    json_t *process =
        json_pack("{s:b, s:{s:i, s:i, s:i}, s:o, s:o, s:s, s:b, s:{s:o, s:o, s:o}, s:i}",
                  "terminal", 0, "user", "uid", (int)command->uid, "gid", (int)command->gid,
                  "umask", 022, "args", texts_ended(command->argv), "env",
                  texts_ended(command->environment), "cwd",
                  command->directory ? command->directory : "/", "noNewPrivileges", 1,
                  "capabilities", "bounding", texts(CAPABILITIES, count), "effective",
                  texts(CAPABILITIES, count), "permitted", texts(CAPABILITIES, count),
                  "oomScoreAdj", 500);
    if (userns_needed())
        json_object_set_new(process, "rlimits", rlimits_of(spec));
    return process;
}

json_t *sandbox_config(const SandboxSpec *spec, const SandboxCommand *command,
                       const GPtrArray *binds, const char *cgroup)
{
    return json_pack("{s:s, s:o, s:{s:s, s:b}, s:s, s:o, s:o}", "ociVersion", "1.0.2", "process",
                     process_of(spec, command), "root", "path", "rootfs", "readonly", 0, "hostname",
                     "waybill-build", "mounts", mounts_of(spec, binds), "linux",
                     linux_of(spec, cgroup));
}
