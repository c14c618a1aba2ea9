/* Any bytes as a config.json: no fault may crash the reader, and every finding must be one that can
 * be shown: evidence complete, its place inside the document, its event valid JSON.
 *
 * The first byte picks the context, the rest is the file. */
#include <string.h>

#include "model/config.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static char wheel_path[] = "helper-1.0-py3-none-any.whl", name[] = "model";
static PackageFile wheel = {.path = wheel_path};
static gpointer package_files[] = {&wheel};
static GPtrArray package_file_array = {package_files, 1};
static const Package PACKAGE = {.directory = name,
                                .child = name,
                                .child_found = true,
                                .files = &package_file_array};

static int number(const json_t *object, const char *key)
{
    json_t *value = json_object_get(object, key);
    g_assert(json_is_integer(value));
    return (int)json_integer_value(value);
}

static const char *text(const json_t *object, const char *key)
{
    const char *value = json_string_value(json_object_get(object, key));
    g_assert(value);
    return value;
}

static int count_lines(const Document *document)
{
    int lines = 1;
    for (size_t i = 0; i < MIN(document->size, DOCUMENT_MAX_BYTES); i++)
        lines += document->text[i] == '\n';
    return lines;
}

static void assert_snippet(const json_t *evidence, int line)
{
    json_t *snippet = json_object_get(evidence, "snippet");
    json_t *lines = json_object_get(snippet, "lines");
    int first = number(snippet, "first_line"), column = number(snippet, "column");
    g_assert(json_array_size(lines) <= 5 && first >= 1 && first <= line);
    const char *shown = json_string_value(json_array_get(lines, (size_t)(line - first)));
    g_assert(shown);
    long length = g_utf8_strlen(shown, -1);
    g_assert(length <= 202 && column >= 1 && column <= length + 2);
    g_assert(number(snippet, "length") >= 1);
    g_assert(column + number(snippet, "length") <= length + 3);
}

static void assert_shown(const Event *event, const Document *document)
{
    int line = number(event->evidence, "line");
    g_assert(line >= 1 && line <= count_lines(document));
    g_assert(number(event->evidence, "column") >= 1);
    g_assert(strlen(text(event->evidence, "found")) <= DOCUMENT_MAX_FOUND);
    g_assert(*text(event->evidence, "expected"));
    g_assert(*text(event->evidence, "file"));
    text(event->evidence, "pointer");
    assert_snippet(event->evidence, line);

    json_t *object = event_json(event, NULL);
    char *rendered = json_dumps(object, 0);
    json_t *again = json_loads(rendered, JSON_REJECT_DUPLICATES, NULL);
    g_assert(again && json_equal(object, again));
    json_decref(again);
    free(rendered);
    json_decref(object);
}

/* What was written as the dependencies' normal form is read as the same. */
static void assert_normal(const Config *config)
{
    json_t *once = config_dependencies_json(config->dependencies);
    json_t *whole = json_pack("{s:s, s:s, s:O}", "model_algorithm", "a", "model_type", "Custom",
                              "dependencies", once);
    char *rendered = json_dumps(whole, 0);
    if (strlen(rendered) <= DOCUMENT_MAX_BYTES) {
        g_autoptr(Findings) none = findings_new();
        g_autoptr(Config) again =
            config_read(rendered, strlen(rendered), "x", &(ConfigContext){0}, none);
        json_t *twice = config_dependencies_json(again->dependencies);
        g_assert(none->events->len == 0 && json_equal(once, twice));
        json_decref(twice);
    }
    free(rendered);
    json_decref(whole);
    json_decref(once);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const RUNTIMES[] = {"python3.9", NULL};
    if (size == 0)
        return 0;
    const ConfigContext context = {
        .request_type = *data & 1 ? "Image" : NULL,
        .request_runtime = *data & 2 ? "python3.9" : NULL,
        .health_url = *data & 4 ? "/ping" : NULL,
        .runtimes = *data & 8 ? RUNTIMES : NULL,
        .package = *data & 16 ? &PACKAGE : NULL,
    };
    g_autoptr(Findings) findings = findings_new();
    g_autoptr(Config) config =
        config_read(data + 1, size - 1, "model/config.json", &context, findings);
    for (guint i = 0; i < findings->events->len; i++)
        assert_shown(findings->events->pdata[i], config->document);
    for (guint i = 0; i < config->warnings->len; i++)
        g_assert(g_utf8_validate(config->warnings->pdata[i], -1, NULL));
    if (!config->document->root)
        g_assert(findings->events->len == 1);
    else if (findings->events->len == 0)
        g_assert(config->model_algorithm && config_is_model_type(config->model_type));
    assert_normal(config);
    return 0;
}
