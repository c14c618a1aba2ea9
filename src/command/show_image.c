#include "command/show_image.h"

#include <fcntl.h>
#include <string.h>

#include "base/io.h"
#include "command/event_view.h"
#include "image/registry_login.h"
#include "import/carried.h"

#define KEY_BYTES ((size_t)64 << 10)

bool is_image_reference(const char *text)
{
    g_autoptr(Reference) reference = strchr(text, '/') ? reference_parse(text, NULL) : NULL;
    return reference != NULL;
}

static SigningKey *read_key(const char *file)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(GBytes) content = io_read_file(AT_FDCWD, file, KEY_BYTES, &error);
    gsize size = 0;
    const char *pem = content ? g_bytes_get_data(content, &size) : NULL;
    SigningKey *key = pem ? signing_key_read(pem, size, &error) : NULL;
    if (!key)
        complain("--key %s: %s", file, error->message);
    return key;
}

static void print_row(const Terminal *terminal, const char *label, const char *value)
{
    if (!value || !*value)
        return;
    g_autofree char *cell = text_fit(label, 13);
    fprintf(terminal->out, "%s%s%s %s\n", terminal_color(terminal, COLOR_DIM), cell,
            terminal_plain(terminal), value);
}

static void print_made_of(const Terminal *terminal, const json_t *statement, bool zh)
{
    const json_t *definition =
        json_object_get(json_object_get(statement, "predicate"), "buildDefinition");
    size_t i;
    const json_t *part;
    json_array_foreach (json_object_get(definition, "resolvedDependencies"), i, part) {
        const char *name = json_string_value(json_object_get(part, "name"));
        const char *uri = json_string_value(json_object_get(part, "uri"));
        const char *hex =
            json_string_value(json_object_get(json_object_get(part, "digest"), "sha256"));
        g_autofree char *row =
            g_strdup_printf("%s%s%s%s%.12s", name ? name : "", name && uri ? "  " : "",
                            uri ? uri : "", hex ? "  sha256:" : "", hex ? hex : "");
        g_autofree char *text = event_text(row);
        print_row(terminal, i == 0 ? (zh ? "组成" : "made of") : "", text);
    }
}

static void print_events(Session *session, const json_t *timeline)
{
    size_t i;
    json_t *event;
    json_array_foreach (json_object_get(timeline, "events"), i, event)
        event_view_print(&session->out, event);
}

static void print_carried(Session *session, const char *text, const Carried *carried)
{
    const Terminal *terminal = &session->out;
    bool zh = terminal->language == LANGUAGE_ZH;
    const char *model = json_string_value(json_object_get(carried->timeline, "model"));
    const char *version = json_string_value(json_object_get(carried->timeline, "version"));
    g_autofree char *raw = g_strdup_printf("%s:%s", model ? model : "?", version ? version : "?");
    g_autofree char *name = event_text(raw);
    g_autofree char *said =
        carried->signer
            ? g_strdup_printf("%s%s", carried->signer,
                              carried->verified ? (zh ? "(已验证)" : " (verified)")
                                                : (zh ? "(未验证,用 --key 验证)"
                                                      : " (not verified: --key FILE does)"))
            : g_strdup(zh ? "未签名:仅为说明" : "no signature: a description");
    print_row(terminal, zh ? "镜像" : "image", text);
    print_row(terminal, zh ? "镜像摘要" : "digest", carried->digest);
    print_row(terminal, zh ? "模型" : "model", name);
    print_row(terminal, zh ? "签名" : "signed by", said);
    print_made_of(terminal, carried->statement, zh);
    putchar('\n');
    print_events(session, carried->timeline);
}

static int show_failed(const GError *error)
{
    complain("%s", error->message);
    return EXIT_FAILED;
}

int show_image(Session *session, const char *text, const char *key_file, bool json)
{
    g_autoptr(GError) error = NULL;
    g_auto(ImagePlace) place = {0};
    g_autoptr(SigningKey) key = key_file ? read_key(key_file) : NULL;
    if (key_file && !key)
        return EXIT_USAGE;
    g_autoptr(Reference) reference = reference_parse(text, &error);
    RegistryLogin *login =
        reference && reference->kind == REFERENCE_REGISTRY
            ? registry_login_find(session->settings, reference->host, reference->repository, &error)
            : NULL;
    if (error || !image_place_open(&place, reference, NULL, session->settings, login, NULL, &error))
        return show_failed(error);
    g_autoptr(Carried) carried = carried_read(&place, reference, key, &error);
    if (error)
        return show_failed(error);
    if (!carried) {
        complain("%s carries nothing of Waybill's", text);
        return EXIT_FAILED;
    }
    if (!json) {
        print_carried(session, text, carried);
        return EXIT_DONE;
    }
    print_json_line(json_pack("{s:s, s:s, s:s?, s:b, s:O, s:O}", "image", text, "digest",
                              carried->digest, "signer", carried->signer, "verified",
                              carried->verified, "timeline", carried->timeline, "statement",
                              carried->statement));
    return EXIT_DONE;
}
