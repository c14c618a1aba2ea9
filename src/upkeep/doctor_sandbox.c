#include <string.h>

#include "build/cgroup.h"
#include "build/environment.h"
#include "build/sandbox_disk.h"
#include "build/userns.h"
#include "upkeep/doctor_checks.h"

/* Imports without dependencies need none of this: nothing here is a failure. */

/* Without root there is no cgroup to be had for the sandbox alone. What then holds is the cgroup
 * that waybill itself was started in, where there is one, and setrlimit(2). */
static void check_limits_rootless(Doctor *doctor, const char *disk)
{
    const int64_t memory = cgroup_own_memory();
    g_autofree char *size = memory < 0 ? NULL : doctor_size(memory);
    const bool plain = strcmp(disk, SANDBOX_DISK_PLAIN) == 0, zh = doctor->zh;
    g_autofree char *whole =
        size ? g_strdup_printf(zh ? "与 waybill 合计最多使用 %s 内存"
                                  : "memory: %s with waybill itself",
                               size)
             : g_strdup(zh ? "总内存不受限制" : "memory as a whole is not limited");
    const char *attributes =
        !plain ? ""
        : zh ? ";此内核的 tmpfs 没有 user.* 属性(Linux 6.6 起有),替换基础镜像的目录会失败"
             : "; this kernel's tmpfs has no user.* attributes (Linux 6.6 has): a package that "
               "replaces a directory of the base image fails";
    doctor_add(doctor, "sandbox-limits", size && !plain ? DOCTOR_OK : DOCTOR_WARN,
               size ? NULL : g_strdup("systemd-run --user --scope -p MemoryMax=8G waybill …"),
               zh ? "非 root:%s,每个进程最多 build.memory_mib;处理器不受限制;"
                    "进程数受 build.pids 限制;磁盘在内存中(tmpfs),最多 build.disk_mib%s"
                  : "not root: %s, each process has at most build.memory_mib; processors are not "
                    "limited; processes are, by build.pids; the disk is memory (tmpfs), at most "
                    "build.disk_mib%s",
               whole, attributes);
}

static void check_limits(Doctor *doctor, const char *disk)
{
    if (userns_needed())
        check_limits_rootless(doctor, disk);
    else
        doctor_add(doctor, "sandbox-limits", DOCTOR_OK, NULL,
                   doctor->zh ? "内存、处理器、进程由 cgroup 限制,磁盘由 %s 限制"
                              : "memory, processors and processes are limited by a cgroup, the "
                                "disk by its size (%s)",
                   disk);
}

static char *mend_rootfs(const Doctor *doctor)
{
    if (userns_needed())
        return g_strdup(doctor->zh
                            ? "检查用户命名空间中的 overlayfs(modprobe overlay,Linux 5.11 起)"
                              "以及 /proc 是否完整"
                            : "see to overlayfs in user namespaces (modprobe overlay; Linux "
                              "5.11), and, in a container, to an unmasked /proc");
    return g_strdup(doctor->zh
                        ? "检查 overlayfs、loop 设备和 cgroup(modprobe overlay loop)"
                        : "see to overlayfs, loop devices and cgroups: modprobe overlay loop");
}

static void check_rootfs(Doctor *doctor, const char *runtime)
{
    g_autoptr(GError) error = NULL;
    g_autofree char *disk = NULL, *scratch = environment_scratch(doctor->data->path);
    if (!sandbox_probe(runtime, scratch, &disk, &error)) {
        doctor_add(doctor, "sandbox-rootfs", DOCTOR_WARN, mend_rootfs(doctor), "%s",
                   error->message);
        return;
    }
    doctor_add(doctor, "sandbox-rootfs", DOCTOR_OK, NULL, "%s",
               doctor->zh ? "沙箱可以启动并运行命令" : "a sandbox starts and runs a command");
    check_limits(doctor, disk);
}

static void warn_runtime(Doctor *doctor, const char *why, char *mend)
{
    doctor_add(doctor, "sandbox-runtime", DOCTOR_WARN, mend,
               doctor->zh ? "无法构建环境镜像:%s" : "environments cannot be built: %s", why);
}

void doctor_sandbox(Doctor *doctor)
{
    char *mend = NULL;
    g_autoptr(GError) error = NULL;
    g_autofree char *obstacle = userns_obstacle(doctor->zh, &mend);
    g_autofree char *scratch = doctor->data ? environment_scratch(doctor->data->path) : NULL;
    g_autofree char *runtime =
        sandbox_runtime(settings_text(doctor->settings, "build.runtime"), scratch, &error);
    if (obstacle)
        warn_runtime(doctor, obstacle, mend);
    else if (!runtime)
        warn_runtime(doctor, error->message, g_strdup("apt-get install runc"));
    else
        doctor_add(doctor, "sandbox-runtime", DOCTOR_OK, NULL, "%s", runtime);
    if (runtime && doctor->data)
        check_rootfs(doctor, runtime);
}
