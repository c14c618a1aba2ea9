#include "upkeep/doctor.h"

#include "command/command.h"

#define COLUMN_STATUS 5
#define COLUMN_ID     15

static const char *status_word(const Terminal *terminal, DoctorStatus status)
{
    static const char *const CHINESE[] = {"正常", "注意", "失败"};
    return terminal->language == LANGUAGE_ZH ? CHINESE[status] : doctor_status_name(status);
}

static Color status_color(DoctorStatus status)
{
    static const Color COLORS[] = {COLOR_GREEN, COLOR_YELLOW, COLOR_RED};
    return COLORS[status];
}

/* What to do stands under what was found, step by step. */
static void check_print(const Terminal *terminal, const DoctorCheck *check)
{
    g_autofree char *status = text_fit(status_word(terminal, check->status), COLUMN_STATUS);
    g_autofree char *id = text_fit(check->id, COLUMN_ID);
    int indent = COLUMN_STATUS + 2 + COLUMN_ID + 1;
    fprintf(terminal->out, "%s%s%s  %s ", terminal_color(terminal, status_color(check->status)),
            status, terminal_plain(terminal), id);
    terminal_wrap(terminal, check->found, indent);
    g_auto(GStrv) steps = g_strsplit(check->mend ? check->mend : "", "\n", -1);
    for (char **step = steps; *step; step++) {
        fprintf(terminal->out, "%*s%s->%s ", indent, "", terminal_color(terminal, COLOR_DIM),
                terminal_plain(terminal));
        terminal_wrap(terminal, *step, indent + 3);
    }
}

static json_t *check_json(const DoctorCheck *check)
{
    return json_pack("{s:s, s:s, s:s, s:s?}", "id", check->id, "status",
                     doctor_status_name(check->status), "found", check->found, "mend", check->mend);
}

int command_doctor(Session *session, int argc, char **argv)
{
    gboolean json = FALSE;
    const GOptionEntry entries[] = {{"json", 0, 0, G_OPTION_ARG_NONE, &json, "One object a check",
                                     NULL},
                                    {NULL}};
    int status = session_parse(session, command_find("doctor"), entries, &argc, &argv, 0, 0);
    if (status >= 0)
        return status;
    g_autofree char *directory = session_data_directory(session);
    g_autoptr(GPtrArray) checks = doctor_run(directory, session->settings, session->out.language);
    status = EXIT_DONE;
    for (guint i = 0; i < checks->len; i++) {
        const DoctorCheck *check = checks->pdata[i];
        if (check->status == DOCTOR_FAIL)
            status = EXIT_FAILED;
        if (json)
            print_json_line(check_json(check));
        else if (!session->quiet || check->status != DOCTOR_OK)
            check_print(&session->out, check);
    }
    return status;
}
