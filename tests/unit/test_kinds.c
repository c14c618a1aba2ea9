#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "event/advice.h"
#include "event/answer.h"
#include "event/phrases.h"
#include "event/template.h"

static const EventPlace PLACE = {.model = "resnet50:0.0.1", .occur_time = 1767225600000};

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
    bool json = strstr(template, "{policy}"); /* has braces of its own */
    if (!text || !*text || (strpbrk(text, "{}") && !json))
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
    json_t *unknown = event_answer(event, NULL), *known = event_answer(event, &PLACE);
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
    assert_null(event_answer(failed, &PLACE));
    failed->root = cause;
    failed->causes = json_pack("[i, i, i]", 3, 4, 5);
    json_t *answer = event_answer(failed, &PLACE);
    json_t *expected = load(
        "{\"summary\": \"model/a.bin changed during the import. Is training still writing? (And 2 "
        "more.)\","
        " \"summary_cn\": \"model/a.bin 在导入过程中发生变化。训练是否仍在写入?(另有 2 个问题。)\","
        " \"advice\": [\"Wait until nothing writes there any more.\","
        " \"Then `waybill retry resnet50:0.0.1`.\"],"
        " \"advice_cn\": [\"等待写入结束。\", \"然后执行 `waybill retry resnet50:0.0.1`。\"],"
        " \"fix_by\": \"you\", \"retryable\": true}");
    if (!json_equal(answer, expected))
        fail_msg("%s", json_dumps(answer, JSON_INDENT(1)));
    json_decref(expected);
    json_decref(answer);
}

static void evidence_is_chinese_in_a_chinese_sentence(void **state)
{
    static const char *const PAIRS[][2] = {
        {"one *.ckpt, *.om or *.mindir", "一个 *.ckpt, *.om 或 *.mindir"},
        {"a number from 0 to 1 with at most 17 decimals", "0 到 1 之间的数值,小数最多 17 位"},
        {"one *.prototxt and one *.caffemodel", "一个 *.prototxt 和一个 *.caffemodel"},
        {"TensorFlow, Custom or Image", "TensorFlow, Custom 或 Image"},
        {"nothing that the table has or knows", "nothing that the table has or knows"},
        {"\"missing\"", "\"missing\""},
        {"", ""},
    };
    for (size_t i = 0; i < G_N_ELEMENTS(PAIRS); i++) {
        g_autofree char *chinese = phrase_chinese(PAIRS[i][0]);
        assert_string_equal(chinese, PAIRS[i][1]);
    }
    json_t *source = json_pack("{s:s, s:s}", "expected", "a directory", "path", "a directory");
    g_autofree char *text =
        template_fill("{path}:{expected}", LANGUAGE_ZH, (const json_t *const[]){source, NULL});
    assert_string_equal(text, "a directory:目录");
    json_decref(source);
}

/* A retry without a change is worth it from a moment on: said where waiting helps, nowhere else. */
static void what_passes_by_itself_says_until_when(void **state)
{
    g_autoptr(Event) event =
        event_with(event_with_kind(event_source_image_share_failed(), "broken"), "{s:s, s:s}",
                   "image", "oci:a:b", "error", "cut off");
    json_t *answer = event_answer(event, &PLACE);
    assert_string_equal(json_string_value(json_object_get(answer, "fix_by")), "wait");
    assert_null(json_object_get(answer, "retry_at"));
    json_decref(answer);

    event_with(event, "{s:i}", "retry_after", 90);
    answer = event_answer(event, &PLACE);
    assert_int_equal(json_integer_value(json_object_get(answer, "retry_at")),
                     PLACE.occur_time + 90000);
    json_decref(answer);
    answer = event_answer(event, NULL);
    assert_null(json_object_get(answer, "retry_at"));
    json_decref(answer);

    event_with(event, "{s:I}", "retry_at", (json_int_t)1767312000000);
    g_autoptr(Event) failed = event_import_failed();
    failed->root = event;
    answer = event_answer(failed, &PLACE);
    assert_int_equal(json_integer_value(json_object_get(answer, "retry_at")), 1767312000000);
    json_decref(answer);

    g_autoptr(Event) yours = event_with(event_lfs_pointer_found("a.bin", "130"), "{s:s, s:i, s:i}",
                                        "file", "a.bin", "size", 130, "retry_after", 90);
    answer = event_answer(yours, &PLACE);
    assert_null(json_object_get(answer, "retry_at"));
    json_decref(answer);
}

static void moments_are_local_and_sentences_short(void **state)
{
    g_setenv("TZ", "UTC-8", TRUE);
    tzset();
    assert_template("until {a:time}", "{\"a\": 1767225600000}", "until 2026-01-01 08:00:00 +08:00");
    g_unsetenv("TZ");
    tzset();
    g_autofree char *name = g_strnfill(255, 'n');
    json_t *source = json_pack("{s:s}", "a", name);
    const json_t *const sources[] = {source, NULL};
    g_autofree char *whole = template_fill("`rm {a}`", LANGUAGE_EN, sources);
    g_autofree char *cut = template_sentence("{a} is there.", LANGUAGE_EN, sources);
    assert_int_equal(strlen(whole), 255 + strlen("`rm `"));
    assert_int_equal(g_utf8_strlen(cut, -1), 60 + strlen(" is there."));
    assert_non_null(strstr(cut, "n…n"));
    json_t *wide = json_pack("{s:s}", "found",
                             "分类分类分类分类分类分类分类分类分类分类分类分类分类分类分类分类");
    g_autofree char *step =
        template_fill("{found}", LANGUAGE_EN, (const json_t *const[]){wide, NULL});
    assert_int_equal(g_utf8_strlen(step, -1), 30); /* of two columns each, in a step too */
    json_decref(wide);
    json_decref(source);
}

/* The steps of an answer in that language, joined. */
static char *steps_with(const char *const *sets, const Event *event, const char *language)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(Settings) settings = settings_load("/dev/null", sets, &error);
    if (!settings || !advice_set(settings, &error))
        fail_msg("%s", error->message);
    json_t *answer = event_answer(event, &PLACE), *step;
    GString *steps = g_string_new(NULL);
    size_t i;
    json_array_foreach (json_object_get(answer, language), i, step)
        g_string_append_printf(steps, "%s%s", i ? "|" : "", json_string_value(step));
    json_decref(answer);
    return g_string_free(steps, FALSE);
}

static void assert_steps(const char *const *sets, const Event *event, const char *language,
                         const char *expected)
{
    g_autofree char *steps = steps_with(sets, event, language);
    assert_string_equal(steps, expected);
}

#define SETS(...) ((const char *const[]){__VA_ARGS__, NULL})
#define PULL      "Run `git lfs pull` in the repository that it comes from."
#define RETRY     "Then `waybill retry resnet50:0.0.1`."

static void the_house_adds_and_replaces_steps(void **state)
{
    g_autoptr(Event) lfs = event_with(event_lfs_pointer_found("a.bin", "130"), "{s:s, s:i}", "file",
                                      "a.bin", "size", 130);
    assert_steps(SETS("limits.model_gib=1"), lfs, "advice", PULL "|" RETRY);
    assert_steps(SETS("advice.LfsPointerFound=Ask {support.contact} for {file}.",
                      "support.contact=ops@example.org"),
                 lfs, "advice", PULL "|Ask ops@example.org for a.bin.|" RETRY);
    assert_steps(SETS("advice.LfsPointerFound=x", "advice.LfsPointerFound_zh=replace: 甲\n乙"), lfs,
                 "advice_cn", "甲|乙");
    assert_steps(SETS("advice.LfsPointerFound_zh=甲", "advice.LfsPointerFound=x"), lfs, "advice",
                 PULL "|x|" RETRY);
    /* Nobody is named: a step that names him is not there. */
    assert_steps(SETS("advice.LfsPointerFound=Ask {support.contact}."), lfs, "advice",
                 PULL "|" RETRY);

    g_autoptr(Event) loop =
        event_with(event_with_kind(event_model_files_copy_failed(), "link_loop"), "{s:s}", "path",
                   "model/a");
    assert_steps(SETS("advice.ModelFilesCopyFailed=all",
                      "advice.ModelFilesCopyFailed.link_loop=one"),
                 loop, "advice", "Remove the link: `rm model/a`.|one|" RETRY);
    assert_steps(SETS("advice.ModelFilesCopyFailed=all",
                      "advice.ModelFilesCopyFailed.link_dangling=one"),
                 loop, "advice", "Remove the link: `rm model/a`.|all|" RETRY);

    /* What the cause says beside its first step and its last is the house's. */
    g_autoptr(Event) failed = event_import_failed();
    failed->root = loop;
    assert_steps(SETS("advice.ModelFilesCopyFailed=all"), failed, "advice",
                 "Remove the link: `rm model/a`.|all|" RETRY);

    json_t *kinds = kinds_json(EVENT_LfsPointerFound), *kind = json_array_get(kinds, 0);
    assert_int_equal(json_array_size(json_object_get(kind, "advice_en")), 2);
    json_decref(kinds);
    g_autofree char *reset G_GNUC_UNUSED = steps_with(SETS("limits.model_gib=1"), lfs, "advice");
}

static void the_house_names_what_there_is(void **state)
{
    static const struct {
        const char *set, *fault;
    } BAD[] = {
        {"advice.ModelFileMising=x", "did you mean ModelFileMissing?"},
        {"advice.44=x", "there is no event 44"},
        {"advice.=x", "there is no event"},
        {"advice._zh=x", "there is no event"},
        {"advice.ImageBuilt=x", "has no steps"},
        {"advice.ImportFailed=x", "has no steps"},
        {"advice.ConfigValueInvalid.valu=x", "its kinds: syntax, missing, value"},
        {"advice.ConfigValueInvalid.=x", "has no kind"},
        {"advice.LfsPointerFound.x=x", "its kinds: none"},
        {"advice.LfsPointerFound=", "expected text"},
        {"advice.LfsPointerFound=see {pathh}", "there is no field {pathh}"},
        {"advice.LfsPointerFound=see {file", "a brace has no other"},
        {"advice.LfsPointerFound=see }", "a brace has no other"},
        {"advice.LfsPointerFound={file:shell}", "behind the colon"},
        {"advice.LfsPointerFound={}", "there is no field {}"},
        {"advice.LfsPointerFound=a\033[2J", "a control character"},
    };
    for (size_t i = 0; i < G_N_ELEMENTS(BAD); i++) {
        g_autoptr(GError) error = NULL;
        g_autoptr(Settings) settings = settings_load("/dev/null", SETS(BAD[i].set), NULL);
        if (advice_set(settings, &error))
            fail_msg("%s was taken", BAD[i].set);
        if (!strstr(error->message, BAD[i].fault) || !strstr(error->message, "--set: advice."))
            fail_msg("%s: %s", BAD[i].set, error->message);
        assert_true(error->domain == SETTINGS_ERROR);
    }
    /* "_zh" is a key's language and never the end of a kind's name. */
    for (size_t i = 0; i < kind_count(); i++)
        assert_false(g_str_has_suffix(kind_row(i)->kind, "_zh"));
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
        cmocka_unit_test(evidence_is_chinese_in_a_chinese_sentence),
        cmocka_unit_test(what_passes_by_itself_says_until_when),
        cmocka_unit_test(moments_are_local_and_sentences_short),
        cmocka_unit_test(the_house_adds_and_replaces_steps),
        cmocka_unit_test(the_house_names_what_there_is),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
