#include "upkeep/verify.h"

#include <gio/gio.h>

#include "command/command.h"
#include "command/event_view.h"
#include "command/interrupt.h"
#include "command/progress_bar.h"

static void print_list(const Terminal *terminal, const char *label, const json_t *list)
{
    size_t i;
    const json_t *text;
    json_array_foreach (list, i, text) {
        g_autofree char *padded = text_fit(i == 0 ? label : "", 10);
        fprintf(terminal->out, "      %s%s%s%s\n", terminal_color(terminal, COLOR_DIM), padded,
                terminal_plain(terminal), json_string_value(text));
    }
}

static void print_finding(const Terminal *terminal, const json_t *event)
{
    bool zh = terminal->language == LANGUAGE_ZH;
    const json_t *evidence = json_object_get(event, "evidence");
    event_view_print(terminal, event);
    print_list(terminal, zh ? "模型" : "models", json_object_get(evidence, "models"));
    print_list(terminal, zh ? "运行时" : "runtimes", json_object_get(evidence, "runtimes"));
    print_list(terminal, zh ? "修复" : "mend", json_object_get(evidence, "mend"));
}

static void print_findings(Session *session, const Findings *findings, bool json)
{
    json_t *array = json_array();
    for (guint i = 0; i < findings->events->len; i++) {
        json_t *event = event_json(findings->events->pdata[i], NULL);
        if (!json)
            print_finding(&session->out, event);
        json_array_append_new(array, event);
    }
    if (json)
        print_json_line(json_pack("{s:o}", "findings", array));
    else
        json_decref(array);
}

static void print_result(const Session *session, const VerifyResult *result, guint findings)
{
    bool zh = session->out.language == LANGUAGE_ZH;
    g_autofree char *size = format_bytes(result->bytes);
    if (session->quiet)
        return;
    if (findings == 0)
        printf(zh ? "完好:%d 个 blob,%s\n" : "whole: %d blobs, %s\n", result->blobs, size);
    else
        printf(zh ? "已检查 %d 个 blob(%s):%u 处损坏\n" : "%d blobs (%s), damaged: %u\n",
               result->blobs, size, findings);
    if (result->dropped)
        printf(zh ? "已删除 %d 个损坏的文件;重新导入即可恢复\n"
                  : "removed %d damaged files; an import writes them anew\n",
               result->dropped);
}

static int verify_work(Session *session, const Model *model, bool drop, bool json)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(Findings) findings = findings_new();
    VerifyResult result;
    Progress *progress = &session->service->progress;
    g_auto(Interrupt) interrupt G_GNUC_UNUSED = interrupt_catch(progress);
    ProgressBar *bar = progress_bar_new(&session->err, progress, !session->quiet && !json);
    bool done = verify_run(session->service, model, drop, &result, findings, &error);
    progress_bar_free(bar);
    if (!done && g_error_matches(error, G_IO_ERROR, G_IO_ERROR_CANCELLED))
        return EXIT_INTERRUPTED;
    if (!done)
        return complain_of(error);
    print_findings(session, findings, json);
    if (!json)
        print_result(session, &result, findings->events->len);
    return findings->events->len ? EXIT_FAILED : EXIT_DONE;
}

int command_verify(Session *session, int argc, char **argv)
{
    gboolean json = FALSE, drop = FALSE;
    const GOptionEntry entries[] = {{"drop-damaged", 0, 0, G_OPTION_ARG_NONE, &drop,
                                     "Remove the files of damaged blobs", NULL},
                                    {"json", 0, 0, G_OPTION_ARG_NONE, &json, "{\"findings\": […]}",
                                     NULL},
                                    {NULL}};
    int status = session_parse(session, command_find("verify"), entries, &argc, &argv, 0, 1);
    if (status >= 0)
        return status;
    g_autoptr(Model) model = argc > 1 ? session_model(session, argv[1], &status) : NULL;
    if (argc > 1 && !model)
        return status;
    if (argc == 1 && !session_open(session, false))
        return EXIT_UNREACHABLE;
    return verify_work(session, model, drop, json);
}
