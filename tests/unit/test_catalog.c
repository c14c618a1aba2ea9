#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "event/event.h"

static json_t *load_specification(void)
{
    const char *root = g_getenv("WAYBILL_SOURCE_ROOT");
    assert_non_null(root);
    g_autofree char *path = g_build_filename(root, "tests", "data", "events.json", NULL);
    json_error_t error;
    json_t *specification = json_load_file(path, JSON_REJECT_DUPLICATES, &error);
    if (!specification)
        fail_msg("%s: %s", path, error.text);
    return specification;
}

static void assert_field_equal(const json_t *expected, const json_t *actual, const char *key)
{
    const char *reason = json_string_value(json_object_get(expected, "reason"));
    json_t *wanted = json_object_get(expected, key), *found = json_object_get(actual, key);
    assert_non_null(wanted);
    if (!json_equal(wanted, found)) {
        char *text = found ? json_dumps(found, JSON_ENCODE_ANY) : NULL;
        fail_msg("%s of %s is %s", key, reason, text);
    }
}

static void catalogue_is_the_specification_to_the_letter(void **state)
{
    static const char *const fields[] = {"no",     "reason",      "type",        "zh",  "en",
                                         "params", "solution_zh", "solution_en", "faq", "stage"};
    json_t *specification = load_specification();
    assert_int_equal(json_array_size(specification), 45);

    size_t index;
    json_t *expected;
    json_array_foreach (specification, index, expected) {
        json_t *actual = catalog_row_json(catalog_row(index));
        for (size_t i = 0; i < G_N_ELEMENTS(fields); i++)
            assert_field_equal(expected, actual, fields[i]);
        assert_true(json_is_false(json_object_get(actual, "ours")));
        json_decref(actual);
    }
    json_decref(specification);
}

static void what_follows_the_specification_is_marked_as_ours(void **state)
{
    static const char *const ours[] = {"ImportCancelled",        "ImageVerifyFailed",
                                       "LfsPointerFound",        "PackageNote",
                                       "ImportResumed",          "SourceChanged",
                                       "EnvImageExplained",      "PickleImportsFound",
                                       "PickleImportsDenied",    "PickleNotRead",
                                       "ModelFileTruncated",     "ModelFormatBroken",
                                       "OnnxExternalDataMissing"};
    assert_int_equal(EVENT_COUNT, 45 + G_N_ELEMENTS(ours));
    for (size_t i = 0; i < G_N_ELEMENTS(ours); i++) {
        const CatalogRow *row = catalog_row(45 + i);
        assert_string_equal(row->reason, ours[i]);
        json_t *object = catalog_row_json(row);
        assert_true(json_is_null(json_object_get(object, "no")));
        assert_true(json_is_true(json_object_get(object, "ours")));
        json_decref(object);
    }
}

/* Text of our own: present, whole lines, and of the language that it says. */
static void assert_text(const CatalogRow *row, const char *what, const char *text, bool chinese)
{
    if (!text || !*text)
        fail_msg("%s has no %s", row->reason, what);
    assert_true(g_utf8_validate(text, -1, NULL));
    g_auto(GStrv) lines = g_strsplit(text, "\n", -1);
    for (char **line = lines; *line; line++) {
        if (!**line || g_str_is_ascii(*line) == chinese)
            fail_msg("%s: a line of %s: %s", row->reason, what, *line);
    }
}

static guint line_count(const char *text)
{
    g_auto(GStrv) lines = g_strsplit(text, "\n", -1);
    return g_strv_length(lines);
}

static void every_guide_is_filled_in_both_languages(void **state)
{
    for (int i = 0; i < EVENT_COUNT; i++) {
        const CatalogRow *row = catalog_row(i);
        for (int language = LANGUAGE_EN; language <= LANGUAGE_ZH; language++) {
            assert_text(row, "when", row->when[language], language == LANGUAGE_ZH);
            assert_text(row, "causes", row->causes[language], language == LANGUAGE_ZH);
            assert_text(row, "advice", row->advice[language], language == LANGUAGE_ZH);
        }
        assert_in_range(line_count(row->causes[LANGUAGE_EN]), 1, 4);
        assert_in_range(line_count(row->advice[LANGUAGE_EN]), 1, 3);
        assert_int_equal(line_count(row->causes[LANGUAGE_EN]),
                         line_count(row->causes[LANGUAGE_ZH]));
        assert_int_equal(line_count(row->advice[LANGUAGE_EN]),
                         line_count(row->advice[LANGUAGE_ZH]));
    }
}

static void assert_commands_exist(const CatalogRow *row, const char *text)
{
    static const char *const commands[] = {"import",  "check",   "events", "models",  "show",
                                           "log",     "explain", "retry",  "cancel",  "delete",
                                           "gc",      "verify",  "backup", "restore", "doctor",
                                           "runtime", NULL};
    for (const char *at = text; (at = strstr(at, "`waybill "));) {
        at += strlen("`waybill ");
        g_autofree char *command = g_strndup(at, strcspn(at, " `"));
        if (!g_strv_contains(commands, command))
            fail_msg("%s advises `waybill %s`", row->reason, command);
    }
}

static void guides_name_only_commands_that_exist(void **state)
{
    for (int i = 0; i < EVENT_COUNT; i++) {
        const CatalogRow *row = catalog_row(i);
        for (int language = LANGUAGE_EN; language <= LANGUAGE_ZH; language++) {
            assert_commands_exist(row, row->when[language]);
            assert_commands_exist(row, row->causes[language]);
            assert_commands_exist(row, row->advice[language]);
        }
    }
}

static void every_example_fits_its_row(void **state)
{
    for (int i = 0; i < EVENT_COUNT; i++) {
        const CatalogRow *row = catalog_row(i);
        g_autoptr(Event) event = event_example(row); /* aborts if it does not parse */
        assert_ptr_equal(event_row(event), row);
        assert_int_equal(json_object_size(event->params), row->param_count);
        for (int p = 0; p < row->param_count; p++)
            assert_true(json_is_string(json_object_get(event->params, row->params[p])));
        assert_int_not_equal(json_object_size(event->evidence), 0);

        for (int language = LANGUAGE_EN; language <= LANGUAGE_ZH; language++) {
            g_autofree char *message = event_message(event, language);
            assert_null(strpbrk(message, "{}"));
        }
    }
}

static void messages_use_the_parameters_of_their_row(void **state)
{
    for (int i = 0; i < EVENT_COUNT; i++) {
        const CatalogRow *row = catalog_row(i);
        for (int p = 0; p < row->param_count; p++) {
            g_autofree char *placeholder = g_strdup_printf("{%s}", row->params[p]);
            assert_non_null(strstr(row->message[LANGUAGE_EN], placeholder));
            assert_non_null(strstr(row->message[LANGUAGE_ZH], placeholder));
        }
    }
}

static void find_takes_a_reason_or_a_number(void **state)
{
    assert_ptr_equal(catalog_find("ImageBuilt"), catalog_row(EVENT_ImageBuilt));
    assert_ptr_equal(catalog_find("imagebuilt"), catalog_row(EVENT_ImageBuilt));
    assert_ptr_equal(catalog_find("33"), catalog_row(EVENT_ImageBuilt));
    assert_ptr_equal(catalog_find("packagenote"), catalog_row(EVENT_PackageNote));
    assert_null(catalog_find("0")); /* what is ours has no number */
    assert_null(catalog_find("46"));
    assert_null(catalog_find("ImageBuil"));
    assert_null(catalog_find(""));
}

static void nearest_puts_the_likeliest_first(void **state)
{
    g_autofree const CatalogRow **misspelt = catalog_nearest("ImageBuild-Faled");
    assert_ptr_equal(misspelt[0], catalog_row(EVENT_ImageBuildFailed));

    g_autofree const CatalogRow **part = catalog_nearest("throttled");
    assert_ptr_equal(part[0], catalog_row(EVENT_RegistryThrottled));
    assert_ptr_equal(part[1], catalog_row(EVENT_ImageBuildThrottled));
    assert_null(part[2]);

    g_autofree const CatalogRow **none = catalog_nearest("zzzzzzzzzz");
    assert_null(none[0]);
    g_autofree const CatalogRow **empty = catalog_nearest("");
    assert_null(empty[0]);
}

static void filling_looks_at_each_placeholder_once(void **state)
{
    json_t *params = json_pack("{s:s, s:s}", "a", "{b}", "b", "B");
    g_autofree char *filled = catalog_fill("{a}, {b}, {c}, {", params);
    assert_string_equal(filled, "{b}, B, {c}, {");
    json_decref(params);
}

static void faq_addresses_are_anchors_of_the_document(void **state)
{
    g_autofree char *address = catalog_faq(catalog_row(EVENT_ImageBuildFailed));
    assert_string_equal(address, "docs/events.md#imagebuildfailed");
    assert_null(catalog_faq(catalog_row(EVENT_ImportStarted)));

    g_autofree char *path =
        g_build_filename(g_getenv("WAYBILL_SOURCE_ROOT"), "docs", "events.md", NULL);
    g_autofree char *document = NULL;
    assert_true(g_file_get_contents(path, &document, NULL, NULL));
    for (int i = 0; i < EVENT_COUNT; i++) {
        g_autofree char *heading = g_strdup_printf("\n## %s\n", catalog_row(i)->reason);
        assert_non_null(strstr(document, heading));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(catalogue_is_the_specification_to_the_letter),
        cmocka_unit_test(what_follows_the_specification_is_marked_as_ours),
        cmocka_unit_test(every_guide_is_filled_in_both_languages),
        cmocka_unit_test(guides_name_only_commands_that_exist),
        cmocka_unit_test(every_example_fits_its_row),
        cmocka_unit_test(messages_use_the_parameters_of_their_row),
        cmocka_unit_test(find_takes_a_reason_or_a_number),
        cmocka_unit_test(nearest_puts_the_likeliest_first),
        cmocka_unit_test(filling_looks_at_each_placeholder_once),
        cmocka_unit_test(faq_addresses_are_anchors_of_the_document),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
