#include <unistd.h>

#include "build/environment.h"
#include "upkeep/doctor_checks.h"

/* Imports without dependencies need none of this: nothing here is a failure. */

static char *mend_runtime(const Doctor *doctor)
{
    if (geteuid() != 0)
        return g_strdup(doctor->zh ? "以 root 身份运行(构建环境镜像时)"
                                   : "run it as root where environments are built");
    return g_strdup("apt-get install runc");
}

static void check_rootfs(Doctor *doctor, const char *runtime)
{
    g_autoptr(GError) error = NULL;
    g_autofree char *scratch = environment_scratch(doctor->data->path);
    if (sandbox_probe(runtime, scratch, &error))
        doctor_add(doctor, "sandbox-rootfs", DOCTOR_OK, NULL, "%s",
                   doctor->zh ? "沙箱可以启动并运行命令" : "a sandbox starts and runs a command");
    else
        doctor_add(doctor, "sandbox-rootfs", DOCTOR_WARN,
                   g_strdup(doctor->zh ? "检查 overlayfs、loop 设备和 cgroup(modprobe overlay loop)"
                                       : "see to overlayfs, loop devices and cgroups: modprobe "
                                         "overlay loop"),
                   "%s", error->message);
}

void doctor_sandbox(Doctor *doctor)
{
    g_autoptr(GError) error = NULL;
    g_autofree char *scratch = doctor->data ? environment_scratch(doctor->data->path) : NULL;
    g_autofree char *runtime =
        sandbox_runtime(settings_text(doctor->settings, "build.runtime"), scratch, &error);
    if (!runtime)
        doctor_add(doctor, "sandbox-runtime", DOCTOR_WARN, mend_runtime(doctor),
                   doctor->zh ? "无法构建环境镜像:%s" : "environments cannot be built: %s",
                   error->message);
    else
        doctor_add(doctor, "sandbox-runtime", DOCTOR_OK, NULL, "%s", runtime);
    if (runtime && doctor->data)
        check_rootfs(doctor, runtime);
}
