#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "event/finding.h"

static void assert_json_equal(json_t *actual, const char *expected)
{
    json_error_t error;
    json_t *wanted = json_loads(expected, 0, &error);
    if (!wanted)
        fail_msg("the test's own JSON: %s", error.text);
    if (!json_equal(actual, wanted))
        fail_msg("%s", json_dumps(actual, JSON_INDENT(2)));
    json_decref(wanted);
    json_decref(actual);
}

static void an_event_of_a_timeline_has_every_field(void **state)
{
    g_autoptr(Event) event =
        event_with_kind(event_with(event_image_tag_not_found("team/resnet50", "v1"), "{s:i, s:s}",
                                   "n", 3, "repository", "images"),
                        "tag");
    event->cause = 4;
    event->causes = json_pack("[i, i]", 4, 5);
    event->actor = g_strdup("anna");
    event->duration_ms = 0;
    EventPlace place = {"e-7", 7, 1763820000123, "environment", 2, "resnet50:0.0.1"};

    assert_json_equal(
        event_json(event, &place),
        "{\"event_id\": \"e-7\", \"seq\": 7, \"occur_time\": 1763820000123,"
        " \"event_type\": \"abnormal\", \"reason\": \"ImageTagNotFound\","
        " \"stage\": \"environment\", \"attempt\": 2,"
        " \"event_info\": \"Image team/resnet50 does not have the v1 tag.\","
        " \"event_info_cn\": \"镜像team/resnet50不存在名为v1的标签。\","
        " \"params\": {\"image\": \"team/resnet50\", \"tag\": \"v1\"},"
        " \"solution\": \"Contact technical support.\","
        " \"solution_cn\": \"请联系技术支持。\", \"faq\": null,"
        " \"summary\": \"images has 3 tags, v1 is not one of them.\","
        " \"summary_cn\": \"images 共有 3 个标签,没有 v1。\","
        " \"advice\": [\"Or put it there: `skopeo copy docker://IMAGE"
        " oci:images:v1`.\", \"Then import it, or `waybill retry resnet50:0.0.1`"
        " when the tag is there.\"],"
        " \"advice_cn\": [\"或先写入:`skopeo copy docker://镜像 oci:images:v1`。\","
        " \"然后重新导入;标签写入后也可执行 `waybill retry resnet50:0.0.1`。\"],"
        " \"fix_by\": \"you\", \"retryable\": false,"
        " \"evidence\": {\"n\": 3, \"repository\": \"images\"}, \"cause\": 4, \"causes\": [4, 5],"
        " \"kind\": \"tag\", \"actor\": \"anna\", \"duration_ms\": 0}");
}

static void a_finding_leaves_out_what_it_has_not(void **state)
{
    g_autoptr(Event) event = event_package_note("model/Dockerfile", "not used");
    assert_json_equal(event_json(event, NULL),
                      "{\"event_type\": \"hint\", \"reason\": \"PackageNote\","
                      " \"stage\": \"check\","
                      " \"event_info\": \"model/Dockerfile is ignored: not used.\","
                      " \"event_info_cn\": \"已忽略 model/Dockerfile:not used。\","
                      " \"params\": {\"path\": \"model/Dockerfile\", \"why\": \"not used\"},"
                      " \"solution\": null, \"solution_cn\": null,"
                      " \"faq\": \"docs/events.md#packagenote\","
                      " \"summary\": \"model/Dockerfile has no effect here: not used.\","
                      " \"summary_cn\": \"model/Dockerfile 在此不起作用:not used。\","
                      " \"advice\": [\"Nothing to do if that is meant; otherwise take it out of"
                      " the package.\"],"
                      " \"advice_cn\": [\"若符合预期则无需操作,否则请将其移出模型包。\"],"
                      " \"fix_by\": \"you\", \"retryable\": false, \"evidence\": {}}");
}

static void an_event_may_name_its_own_stage(void **state)
{
    g_autoptr(Event) event = event_model_files_copy_failed();
    event->stage = "check";
    EventPlace place = {"e-1", 1, 0, "copy", 1};
    json_t *object = event_json(event, &place);
    assert_string_equal(json_string_value(json_object_get(object, "stage")), "check");
    json_decref(object);
}

#define ARGUMENTS_0()        ()
#define ARGUMENTS_1(a)       (#a)
#define ARGUMENTS_2(a, b)    (#a, #b)
#define ARGUMENTS_3(a, b, c) (#a, #b, #c)

/* Each was given its parameters' names as their values. */
static void assert_constructed(const Event *event, const char *reason)
{
    const CatalogRow *row = event_row(event);
    assert_string_equal(row->reason, reason);
    assert_int_equal(json_object_size(event->params), row->param_count);
    for (int i = 0; i < row->param_count; i++) {
        const json_t *value = json_object_get(event->params, row->params[i]);
        assert_string_equal(json_string_value(value), row->params[i]);
    }
}

static void each_constructor_gives_its_reason_and_parameters(void **state)
{
#define EVENT(number, Name, function, TYPE, stage, faq, count, params, ...) \
    {                                                                       \
        g_autoptr(Event) event = event_##function ARGUMENTS_##count params; \
        assert_constructed(event, #Name);                                   \
    }
#include "event/catalog.def"
#undef EVENT
}

static void assert_message(Event *event, Language language, const char *expected)
{
    g_autofree char *message = event_message(event, language);
    assert_string_equal(message, expected);
}

static void the_file_limit_in_the_text_is_the_one_in_force(void **state)
{
    g_autoptr(Event) original = event_model_file_too_large("5G.pt");
    assert_message(original, LANGUAGE_EN,
                   "Model file 5G.pt is larger than 5G and cannot be imported.");

    g_autoptr(Event) event = event_with_limit_gib(event_model_file_too_large("5G.pt"), "0.001");
    assert_message(event, LANGUAGE_EN,
                   "Model file 5G.pt is larger than 0.001G and cannot be imported.");
    assert_message(event, LANGUAGE_ZH, "模型文件5G.pt大于0.001G,无法导入。");
    assert_string_equal(event_row(event)->solution[LANGUAGE_EN],
                        "The model file is over 5G: slim it down, or import it with dynamic "
                        "loading.");
}

static void text_keeps_what_can_be_read_and_escapes_the_rest(void **state)
{
    static const struct {
        const char *bytes, *text;
    } cases[] = {
        {"", ""},
        {"模型 é 🚂.pt", "模型 é 🚂.pt"},
        {"back\\slash", "back\\slash"},
        {"a\xff\xfe", "a\\xff\\xfe"},
        {"cut \xe6\xa8", "cut \\xe6\\xa8"},
        {"\xed\xa0\x80", "\\xed\\xa0\\x80"}, /* a surrogate */
        {"\xc0\xaf", "\\xc0\\xaf"},          /* overlong */
        {"\x1b[31m\n\x7f", "\\x1b[31m\\x0a\\x7f"},
        {"\xc2\x9b", "\\xc2\\x9b"}, /* C1: a terminal's CSI */
    };
    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autofree char *once = event_text(cases[i].bytes);
        assert_string_equal(once, cases[i].text);
        g_autofree char *twice = event_text(once);
        assert_string_equal(twice, once);
    }
}

static void parameters_and_text_evidence_take_any_bytes(void **state)
{
    g_autoptr(Event) event =
        event_with_text(event_model_file_too_large("\xff.pt"), "path", "model/\xff.pt");
    assert_message(event, LANGUAGE_ZH, "模型文件\\xff.pt大于5G,无法导入。");
    assert_string_equal(json_string_value(json_object_get(event->evidence, "path")),
                        "model/\\xff.pt");
}

static void evidence_is_added_to_and_replaced_by_key(void **state)
{
    g_autoptr(Event) event = event_image_built();
    event_with(event, "{s:s, s:i}", "digest", "sha256:00", "size", 1);
    event_with(event, "{s:I}", "size", (json_int_t)1 << 40);
    event_with_json(event, "layers", json_array());
    assert_json_equal(json_incref(event->evidence),
                      "{\"digest\": \"sha256:00\", \"size\": 1099511627776, \"layers\": []}");
}

static void findings_are_fatal_by_what_they_hold(void **state)
{
    g_autoptr(Findings) findings = findings_new();
    assert_false(findings_fatal(findings));
    findings_add(findings, event_package_note("model/Dockerfile", "not used"));
    findings_add(findings, event_model_size_calculated());
    assert_false(findings_fatal(findings));
    findings_add(findings, event_config_value_invalid("model_type"));
    assert_true(findings_fatal(findings));
    assert_int_equal(findings->events->len, 3);

    g_autoptr(Findings) ambiguous = findings_new();
    findings_add(ambiguous, event_model_file_ambiguous("PyTorch", "./resnet50/model"));
    assert_true(findings_fatal(ambiguous));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_event_of_a_timeline_has_every_field),
        cmocka_unit_test(a_finding_leaves_out_what_it_has_not),
        cmocka_unit_test(an_event_may_name_its_own_stage),
        cmocka_unit_test(each_constructor_gives_its_reason_and_parameters),
        cmocka_unit_test(the_file_limit_in_the_text_is_the_one_in_force),
        cmocka_unit_test(text_keeps_what_can_be_read_and_escapes_the_rest),
        cmocka_unit_test(parameters_and_text_evidence_take_any_bytes),
        cmocka_unit_test(evidence_is_added_to_and_replaced_by_key),
        cmocka_unit_test(findings_are_fatal_by_what_they_hold),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
