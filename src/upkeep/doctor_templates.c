/* The templates of templates.dir: each that an import would be refused by. */
#include "import/templates.h"
#include "store/runtimes.h"
#include "upkeep/doctor_checks.h"

static void add_fault(Doctor *doctor, const char *fault)
{
    doctor_add(doctor, "templates", DOCTOR_FAIL,
               g_strdup(doctor->zh ? "按上述期望修改该文件" : "mend the file as it says"), "%s",
               fault);
}

/* Its imports would fail for it: event 8, or a fault of the request. */
static bool has_runtime(const Doctor *doctor, const ModelTemplate *template)
{
    g_autoptr(GPtrArray) runtimes = doctor->db ? runtimes_list(doctor->db, NULL) : NULL;
    for (guint i = 0; runtimes && i < runtimes->len; i++) {
        const Runtime *runtime = runtimes->pdata[i];
        if (runtime_serves(runtime, template->engine) &&
            (!template->runtime || g_strcmp0(runtime->name, template->runtime) == 0))
            return true;
    }
    return !runtimes;
}

/* Whether it can be used. */
static bool look_at(Doctor *doctor, const char *id)
{
    g_autoptr(GPtrArray) faults = g_ptr_array_new_with_free_func(g_free);
    g_autoptr(ModelTemplate) template = templates_read(doctor->settings, id, faults);
    for (guint i = 0; i < faults->len; i++)
        add_fault(doctor, faults->pdata[i]);
    if (!template || has_runtime(doctor, template))
        return template != NULL;
    const char *runtime = template->runtime ? template->runtime : "";
    char *mend = g_strdup_printf("waybill runtime add %s --image REF --engine %s",
                                 *runtime ? runtime : "NAME", template->engine);
    doctor_add(doctor, "templates", DOCTOR_WARN, mend,
               doctor->zh ? "%s:没有可用于 %s 的运行时 %s" : "%s: for %s there is no runtime %s",
               id, template->engine, runtime);
    return false;
}

void doctor_templates(Doctor *doctor)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(GString) sound = g_string_new(NULL);
    g_autoptr(GPtrArray) ids = templates_list(doctor->settings, &error);
    if (!ids)
        doctor_add(doctor, "templates", DOCTOR_FAIL, g_strdup("templates.dir = DIR"), "%s: %s",
                   settings_text(doctor->settings, "templates.dir"), error->message);
    for (guint i = 0; ids && i < ids->len; i++)
        if (look_at(doctor, ids->pdata[i]))
            g_string_append_printf(sound, "%s%s", sound->len ? ", " : "",
                                   (const char *)ids->pdata[i]);
    if (sound->len)
        doctor_add(doctor, "templates", DOCTOR_OK, NULL, "%s", sound->str);
}
