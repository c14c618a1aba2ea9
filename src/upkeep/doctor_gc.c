/* When gc last ran, and when it is run next: of the store and, where several nodes share that, of
 * this data directory. */
#include <string.h>

#include "base/instant.h"
#include "upkeep/doctor_checks.h"
#include "upkeep/gc_schedule.h"

static const char *gc_outcome(const Doctor *doctor, const GcRun *run)
{
    static const char *const WORDS[][3] = {
        {GC_RUN_WAITS, "none ran yet, waited for since", "尚未运行,开始等待于"},
        {GC_RUN_RUNNING, "runs, or was killed, since", "正在运行或已被终止,开始于"},
        {GC_RUN_DONE, "last", "上次"},
        {GC_RUN_BUSY, "last, while somebody worked in the images", "上次(镜像正在使用中)"},
        {GC_RUN_FAILED, "failed", "失败"}};
    for (size_t i = 0; i < G_N_ELEMENTS(WORDS); i++)
        if (strcmp(WORDS[i][0], run->outcome) == 0)
            return WORDS[i][doctor->zh ? 2 : 1];
    return run->outcome;
}

static void said(Doctor *doctor, const char *id, const char *schedule, const GcRun *run)
{
    const bool failed = strcmp(run->outcome, GC_RUN_FAILED) == 0;
    const int64_t next = gc_schedule_next_run(schedule, run);
    g_autofree char *when = instant_text(run->began_at);
    g_autofree char *then = next ? instant_text(next) : NULL;
    doctor_add(doctor, id, failed ? DOCTOR_WARN : DOCTOR_OK, failed ? g_strdup("waybill gc") : NULL,
               doctor->zh ? "gc.schedule 为 %s;%s %s%s%s%s%s" : "gc.schedule is %s; %s %s%s%s%s%s",
               schedule, gc_outcome(doctor, run), when, *run->result ? ": " : "", run->result,
               !then        ? ""
               : doctor->zh ? ";下次 "
                            : "; next ",
               then ? then : "");
}

static void look(Doctor *doctor, const char *id, GcPart part)
{
    g_autoptr(GError) error = NULL;
    const char *schedule = settings_text(doctor->settings, "gc.schedule");
    g_autoptr(GcRun) run = gc_schedule_last(doctor->db, doctor->data, part, &error);
    if (error)
        doctor_add(doctor, id, DOCTOR_FAIL, NULL, "%s", error->message);
    else if (run)
        said(doctor, id, schedule, run);
    else
        doctor_add(doctor, id, DOCTOR_OK, NULL,
                   doctor->zh ? "gc.schedule 为 %s;尚未运行" : "gc.schedule is %s; none ran yet",
                   schedule);
}

void doctor_gc(Doctor *doctor)
{
    look(doctor, "gc", GC_OF_STORE);
    if (gc_schedule_has(doctor->db, GC_OF_DIRECTORY))
        look(doctor, "gc-directory", GC_OF_DIRECTORY);
}
