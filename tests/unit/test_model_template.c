#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "model/model_template.h"

#define CONFIG "\"config\": {\"model_algorithm\": \"a\", \"labels\": [1]}"
#define MODES                                                                           \
    "\"infer_formats\": [{\"infer_format\": \"first\", \"apis\": [{\"url\": \"/\"}]}, " \
    "{\"infer_format\": \"undefined\"}]"
#define SOUND "{\"engine\": \"PyTorch\", " CONFIG ", " MODES "}"

static ModelTemplate *read_text(const char *text, Findings *findings)
{
    return model_template_read("t", text, strlen(text), findings);
}

static ModelTemplate *read_sound(const char *text)
{
    g_autoptr(Findings) findings = findings_new();
    ModelTemplate *template = read_text(text, findings);
    assert_non_null(template);
    assert_int_equal(findings->events->len, 0);
    return template;
}

static void what_is_left_out_has_a_default(void **state)
{
    g_autoptr(ModelTemplate) template = read_sound(SOUND);
    assert_string_equal(template->id, "t");
    assert_string_equal(template->name.text[LANGUAGE_ZH], "t");
    assert_string_equal(template->description.text[LANGUAGE_EN], "");
    assert_string_equal(template->theme, "Common");
    assert_string_equal(template->input_id, "model_folder");
    assert_null(template->runtime);
}

static void a_text_is_for_both_languages_or_one_for_each(void **state)
{
    g_autoptr(ModelTemplate) template =
        read_sound("{\"name\": \"n\", \"description\": {\"en\": \"e\", \"zh\": \"z\"}, "
                   "\"engine\": \"PyTorch\", " CONFIG ", " MODES "}");
    assert_string_equal(template->name.text[LANGUAGE_ZH], "n");
    assert_string_equal(template->description.text[LANGUAGE_EN], "e");
    assert_string_equal(template->description.text[LANGUAGE_ZH], "z");
}

static void assert_config(const char *mode, const char *algorithm, const char *apis,
                          const char *expected)
{
    g_autoptr(ModelTemplate) template = read_sound(SOUND);
    json_auto_t *own = apis ? json_loads(apis, 0, NULL) : NULL;
    json_auto_t *wanted = json_loads(expected, 0, NULL);
    g_autofree char *text =
        model_template_config(template, model_template_mode(template, mode), algorithm, own);
    json_auto_t *config = json_loads(text, 0, NULL);
    assert_non_null(wanted);
    assert_true(json_equal(config, wanted));
}

static void the_config_is_skeleton_engine_and_mode(void **state)
{
    assert_config(NULL, NULL, NULL,
                  "{\"model_algorithm\": \"a\", \"labels\": [1], \"model_type\": \"PyTorch\", "
                  "\"apis\": [{\"url\": \"/\"}]}");
    assert_config("undefined", NULL, NULL,
                  "{\"model_algorithm\": \"a\", \"labels\": [1], \"model_type\": \"PyTorch\"}");
}

static void what_the_request_says_stands_for_the_template_s(void **state)
{
    assert_config("undefined", "b", "[{\"method\": \"GET\"}]",
                  "{\"model_algorithm\": \"b\", \"labels\": [1], \"model_type\": \"PyTorch\", "
                  "\"apis\": [{\"method\": \"GET\"}]}");
}

static void a_mode_that_is_not_there_is_none(void **state)
{
    g_autoptr(ModelTemplate) template = read_sound(SOUND);
    assert_null(model_template_mode(template, "firs"));
    assert_string_equal(model_template_mode(template, NULL)->id, "first");
}

/* POINTER LINE:COLUMN, one finding a line. */
static char *places(const Findings *findings)
{
    GString *text = g_string_new(NULL);
    for (guint i = 0; i < findings->events->len; i++) {
        const Event *event = findings->events->pdata[i];
        g_string_append_printf(text, "%s%s %d:%d", i ? "\n" : "",
                               json_string_value(json_object_get(event->evidence, "pointer")),
                               (int)json_integer_value(json_object_get(event->evidence, "line")),
                               (int)json_integer_value(json_object_get(event->evidence, "column")));
        assert_string_equal(json_string_value(json_object_get(event->evidence, "file")), "t.json");
    }
    return g_string_free(text, FALSE);
}

static void every_fault_has_its_place_in_the_file(void **state)
{
    g_autoptr(Findings) findings = findings_new();
    assert_null(read_text("{\"engine\": \"PyTorch\",\n \"surplus\": 1,\n"
                          " \"config\": {\"model_algorithm\": \"a\",\n  \"runtime\": \"x\"},\n"
                          " \"infer_formats\": [{\"infer_format\": \"..\"}]}",
                          findings));
    g_autofree char *found = places(findings);
    assert_string_equal(found, "/surplus 2:13\n/config/runtime 4:14\n"
                               "/infer_formats/0/infer_format 5:37");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_left_out_has_a_default),
        cmocka_unit_test(a_text_is_for_both_languages_or_one_for_each),
        cmocka_unit_test(the_config_is_skeleton_engine_and_mode),
        cmocka_unit_test(what_the_request_says_stands_for_the_template_s),
        cmocka_unit_test(a_mode_that_is_not_there_is_none),
        cmocka_unit_test(every_fault_has_its_place_in_the_file),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
