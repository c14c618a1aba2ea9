#include "import/copy.h"

#include <gio/gio.h>
#include <string.h>
#include <unistd.h>

#include "command/command.h"
#include "command/interrupt.h"
#include "command/progress_bar.h"

static int copy_failed(const CopyTarget *target, const GError *error)
{
    if (g_error_matches(error, G_IO_ERROR, G_IO_ERROR_CANCELLED)) {
        complain("interrupted");
        return EXIT_INTERRUPTED;
    }
    complain("%s", error->message);
    if (error->domain == REGISTRY_ERROR && error->code == REGISTRY_ERROR_LOGIN)
        complain(
            "log in: `podman login HOST`, or `waybill credential add --for registry --host HOST "
            "--user NAME --secret-stdin`");
    if (error->domain == REGISTRY_ERROR && error->code == REGISTRY_ERROR_UNREACHABLE &&
        target->kind == COPY_REGISTRY && !target->reference->plain_http)
        complain("a registry without TLS is written registry+http://HOST, one with a CA of its own "
                 "needs registry.ca_file");
    return EXIT_FAILED;
}

static void print_copied(const Session *session, const Copied *copied, const char *where)
{
    bool zh = session->out.language == LANGUAGE_ZH;
    const ImagePushed *pushed = &copied->bytes.pushed;
    g_autofree char *sent = format_bytes(pushed->sent);
    g_autofree char *kept = format_bytes(pushed->present + pushed->mounted);
    printf(zh ? "%s  %s  已写入 %s,已有 %s\n" : "%s  %s  %s written, %s there already\n", where,
           copied->digest, sent, kept);
    if (copied->bytes.why)
        complain("the image is there, but not what it carries with it: %s", copied->bytes.why);
}

static json_t *copied_json(const Copied *copied, const char *where)
{
    const ImagePushed *pushed = &copied->bytes.pushed;
    json_t *row =
        json_pack("{s:s, s:s, s:I, s:I, s:I, s:I, s:b}", "target", where, "digest", copied->digest,
                  "size", (json_int_t)copied->size, "bytes_copied", (json_int_t)pushed->sent,
                  "bytes_mounted", (json_int_t)pushed->mounted, "bytes_present",
                  (json_int_t)pushed->present, "described", copied->bytes.described);
    g_autofree char *why = copied->bytes.why ? event_text(copied->bytes.why) : NULL;
    if (why)
        json_object_set_new(row, "why", json_string(why));
    return row;
}

/* Where the server's registry has the model's image: HOST/PROJECT/REPOSITORY:VERSION. */
static Reference *place_of(const Session *session, const Model *model, GError **error)
{
    const char *url = remote_url(session->remote);
    const char *host = strstr(url, "://") + strlen("://");
    g_autofree char *name = reference_name(model->project, model->name, model->version);
    g_autofree char *text =
        g_strdup_printf("%s%.*s/%s", g_str_has_prefix(url, "http://") ? REFERENCE_PLAIN_HTTP : "",
                        (int)strcspn(host, "/"), host, name);
    return reference_parse(text, error);
}

/* The token is the password, as of any client of the server's registry. */
static bool copy_from_server(Session *session, const Model *model, const CopyTarget *target,
                             Copied *copied, GError **error)
{
    const char *token = g_getenv("WAYBILL_TOKEN");
    g_autoptr(Reference) from = place_of(session, model, error);
    RegistryLogin *login =
        token && *token ? registry_login_new("waybill", token, "WAYBILL_TOKEN") : NULL;
    if (from)
        return copy_from_registry(session->service, from, login, target, copied, error);
    registry_login_free(login);
    return false;
}

static int copy_run(Session *session, const Model *model, const char *where, bool json)
{
    g_autoptr(GError) error = NULL;
    g_auto(CopyTarget) target = {0};
    g_auto(Copied) copied = {0};
    if (!copy_target_read(&target, where, model, &error)) {
        complain("%s", error->message);
        return EXIT_USAGE;
    }
    bool piped = target.kind == COPY_ARCHIVE && g_strcmp0(target.file, "-") == 0;
    if (piped && session->out.is_terminal) {
        complain("an archive is nothing for a terminal: send it into a file or to `podman load`");
        return EXIT_USAGE;
    }
    Progress *progress = &session->service->progress;
    g_auto(Interrupt) interrupt G_GNUC_UNUSED = interrupt_catch(progress);
    ProgressBar *bar = progress_bar_new(&session->err, progress, !session->quiet && !json);
    bool done = session->remote ? copy_from_server(session, model, &target, &copied, &error)
                                : copy_model(session->service, model, &target, &copied, &error);
    progress_bar_free(bar);
    if (!done)
        return copy_failed(&target, error);
    if (json && !piped)
        print_json_line(copied_json(&copied, where));
    else if (!session->quiet && !piped)
        print_copied(session, &copied, where);
    return EXIT_DONE;
}

int command_copy(Session *session, int argc, char **argv)
{
    gboolean json = FALSE;
    const GOptionEntry entries[] = {{"json", 0, 0, G_OPTION_ARG_NONE, &json,
                                     "Print what was copied on one line", NULL},
                                    {NULL}};
    int status = session_parse(session, command_find("copy"), entries, &argc, &argv, 2, 2);
    g_autoptr(Model) model = status < 0 ? session_model(session, argv[1], &status) : NULL;
    return model ? copy_run(session, model, argv[2], json) : status;
}
