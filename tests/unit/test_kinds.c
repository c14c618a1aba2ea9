#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "event/answer.h"
#include "event/template.h"

static json_t *load(const char *text)
{
    json_error_t error;
    json_t *value = json_loads(text, JSON_REJECT_DUPLICATES, &error);
    if (!value)
        fail_msg("%s: %s", text, error.text);
    return value;
}

static const char *row_name(const KindRow *row)
{
    static char name[128];
    g_snprintf(name, sizeof name, "%s/%s", catalog_row(row->reason)->reason, row->kind);
    return name;
}

static void assert_filled(const KindRow *row, const char *template, Language language)
{
    json_t *example = load(row->example);
    const char *unless = strstr(template, ":unless}");
    if (unless) {
        g_autofree char *field = g_strndup(template + 1, (gsize)(unless - template) - 1);
        json_object_del(example, field);
    }
    g_autofree char *text =
        template_fill(template, language, (const json_t *const[]){example, NULL});
    if (!text || !*text || strpbrk(text, "{}"))
        fail_msg("%s: %s gives %s", row_name(row), template, text);
    assert_true(g_utf8_validate(text, -1, NULL));
    if (g_str_is_ascii(template) == (language == LANGUAGE_ZH))
        fail_msg("%s: the language of: %s", row_name(row), template);
    json_decref(example);
}

static void every_row_renders_from_its_example(void **state)
{
    for (size_t i = 0; i < kind_count(); i++) {
        const KindRow *row = kind_row(i);
        guint steps[2] = {0};
        for (int language = LANGUAGE_EN; language <= LANGUAGE_ZH; language++) {
            assert_filled(row, row->summary[language], language);
            g_auto(GStrv) lines = g_strsplit(row->steps[language], "\n", -1);
            for (char **line = lines; *line; line++) {
                if (row->reason != EVENT_ImportFailed) /* its steps are its cause's */
                    assert_filled(row, *line, language);
                steps[language] += !strstr(*line, ":unless}"); /* it stands in another's place */
            }
        }
        assert_int_equal(steps[LANGUAGE_EN], steps[LANGUAGE_ZH]);
        assert_in_range(steps[LANGUAGE_EN], 1, 3);
    }
}

static void rows_are_of_problems_and_stand_once(void **state)
{
    for (size_t i = 0; i < kind_count(); i++) {
        const KindRow *row = kind_row(i);
        assert_int_not_equal(catalog_row(row->reason)->type, EVENT_TYPE_NORMAL);
        if (kind_find(row->reason, row->kind) != row)
            fail_msg("%s stands twice", row_name(row));
    }
    assert_null(kind_find(EVENT_ImageBuilt, NULL));
    assert_null(kind_find(EVENT_ModelFilesCopyFailed, "not a kind"));
    assert_ptr_equal(kind_find(EVENT_ConfigValueInvalid, "not a kind"),
                     kind_find(EVENT_ConfigValueInvalid, NULL));
}

static void assert_template(const char *template, const char *fields, const char *expected)
{
    json_t *source = load(fields);
    g_autofree char *text =
        template_fill(template, LANGUAGE_EN, (const json_t *const[]){source, NULL});
    if (g_strcmp0(text, expected) != 0)
        fail_msg("%s gives %s", template, text);
    json_decref(source);
}

static void templates_take_what_is_there(void **state)
{
    assert_template("plain", "{}", "plain");
    assert_template("{a} and {b.c}", "{\"a\": 1, \"b\": {\"c\": true}}", "1 and true");
    assert_template("{a}", "{}", NULL);
    assert_template("{a}", "{\"a\": \"\"}", NULL);
    assert_template("{a}", "{\"a\": null}", NULL);
    assert_template("{a:bytes}", "{\"a\": 2147483648}", "2.0 GiB");
    assert_template("{a:if}x", "{\"a\": true}", "x");
    assert_template("{a:if}x", "{\"a\": false}", NULL);
    assert_template("{a:unless}x", "{}", "x");
    assert_template("{a:unless}x", "{\"a\": 1}", NULL);
    assert_template("rm {a:sh}", "{\"a\": \"model/a-1.bin\"}", "rm model/a-1.bin");
    assert_template("rm {a:sh}", "{\"a\": \"-rf\"}", "rm ./-rf");
    assert_template("rm {a:sh}", "{\"a\": \"$(reboot) 'b\"}", "rm '$(reboot) '\\''b'");
    assert_template("x{? of {a}}.", "{\"a\": \"y\"}", "x of y.");
    assert_template("x{? of {a}}.", "{}", "x.");
    assert_template("x{? of {a}{? in {b}}}.", "{\"a\": \"y\"}", "x of y.");
    assert_template("x{? of {a}{? in {b}}}.", "{\"b\": \"y\"}", "x.");
    assert_template("{a}", "{\"a\": \"{b} {?\"}", "{b} {?");
    assert_template("{a}", "{\"a\": [\"x\", 2, {\"path\": \"p\", \"size\": 1024}]}",
                    "x, 2, p (1.0 KiB)");
    assert_template("{a}", "{\"a\": []}", "none");
    assert_template("{a}", "{\"a\": [1,2,3,4,5,6,7,8,9,10,11,12]}",
                    "1, 2, 3, 4, 5, 6, 7, 8, 9, 10, …");
}

static void a_step_without_its_fields_is_left_out(void **state)
{
    g_autoptr(Event) event = event_import_cancelled("anna");
    json_t *unknown = event_answer(event, NULL), *known = event_answer(event, "resnet50:0.0.1");
    assert_int_equal(json_array_size(json_object_get(unknown, "advice")), 0);
    assert_int_equal(json_array_size(json_object_get(known, "advice")), 1);
    assert_string_equal(json_string_value(json_object_get(known, "summary_cn")),
                        "导入已被 anna 取消。");
    json_decref(unknown);
    json_decref(known);
}

static void a_summary_without_its_fields_is_the_message(void **state)
{
    g_autoptr(Event) event = event_with_kind(event_config_value_invalid("port"), "value");
    json_t *answer = event_answer(event, NULL);
    assert_string_equal(json_string_value(json_object_get(answer, "summary")),
                        "Invalid port in config.json.");
    json_decref(answer);
}

/* As a row's summary is: evidence lacks nothing of it. */
static void the_examples_of_the_guides_are_answered(void **state)
{
    for (int i = 0; i < EVENT_COUNT; i++) {
        g_autoptr(Event) event = event_example(catalog_row((EventReason)i));
        const KindRow *row = kind_find(event->reason, event->kind);
        if (!row || row->fix_by == FIX_BY_CAUSE)
            continue;
        g_autofree char *summary =
            template_fill(row->summary[LANGUAGE_EN], LANGUAGE_EN,
                          (const json_t *const[]){event->evidence, event->params, NULL});
        if (!summary)
            fail_msg("the example of %s lacks evidence", row_name(row));
    }
}

static void a_failed_import_says_the_answer_of_its_cause(void **state)
{
    g_autoptr(Event) cause = event_with(event_with_kind(event_model_files_copy_failed(), "changed"),
                                        "{s:s}", "path", "model/a.bin");
    g_autoptr(Event) failed = event_import_failed();
    assert_null(event_answer(failed, "m:0.0.1"));
    failed->root = cause;
    failed->causes = json_pack("[i, i, i]", 3, 4, 5);
    json_t *answer = event_answer(failed, "m:0.0.1");
    json_t *expected = load(
        "{\"summary\": \"model/a.bin changed during the import. Is training still writing? (And 2 "
        "more.)\","
        " \"summary_cn\": \"model/a.bin 在导入过程中发生变化。训练是否仍在写入?(另有 2 个问题。)\","
        " \"advice\": [\"Wait until nothing writes there any more.\","
        " \"Then `waybill retry m:0.0.1`.\"],"
        " \"advice_cn\": [\"等待写入结束。\", \"然后执行 `waybill retry m:0.0.1`。\"],"
        " \"fix_by\": \"you\", \"retryable\": true}");
    if (!json_equal(answer, expected))
        fail_msg("%s", json_dumps(answer, JSON_INDENT(1)));
    json_decref(expected);
    json_decref(answer);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_row_renders_from_its_example),
        cmocka_unit_test(rows_are_of_problems_and_stand_once),
        cmocka_unit_test(templates_take_what_is_there),
        cmocka_unit_test(a_step_without_its_fields_is_left_out),
        cmocka_unit_test(a_summary_without_its_fields_is_the_message),
        cmocka_unit_test(the_examples_of_the_guides_are_answered),
        cmocka_unit_test(a_failed_import_says_the_answer_of_its_cause),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
