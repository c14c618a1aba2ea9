#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "command/terminal.h"
#include "model/model.h"
#include "model/package.h"

static void versions_keep_their_rule(void **state)
{
    static const char *const GOOD[] = {"0.0.1", "1.2.3", "99.99.99", "10.0.0"};
    static const char *const BAD[] = {"",        "1",      "1.2",    "01.1.1", "1.1.01", "100.0.0",
                                      "1.2.3.4", "1.2.3 ", " 1.2.3", "a.b.c",  "1..2",   "-1.0.0"};
    for (size_t i = 0; i < G_N_ELEMENTS(GOOD); i++)
        assert_null(model_rule_version(GOOD[i]));
    for (size_t i = 0; i < G_N_ELEMENTS(BAD); i++)
        if (!model_rule_version(BAD[i]))
            fail_msg("%s was taken", BAD[i]);
}

static void versions_follow_each_other(void **state)
{
    static const char *const PAIRS[][2] = {{"0.0.1", "0.0.2"},
                                           {"0.0.99", "0.1.0"},
                                           {"0.99.99", "1.0.0"},
                                           {"9.9.9", "9.9.10"}};
    for (size_t i = 0; i < G_N_ELEMENTS(PAIRS); i++) {
        g_autofree char *next = model_version_next(PAIRS[i][0]);
        assert_string_equal(next, PAIRS[i][1]);
    }
    assert_null(model_version_next("99.99.99"));
}

static void names_keep_their_rule(void **state)
{
    g_autofree char *longest = g_strnfill(64, 'n'), *longer = g_strnfill(65, 'n');
    const char *good[] = {"digits", "手写数字", "A-b_9", longest};
    const char *bad[] = {"", "a b", "a/b", "a:b", "..", "a.b", "naïve", "\xff", longer};
    for (size_t i = 0; i < G_N_ELEMENTS(good); i++)
        assert_null(model_rule_name(good[i]));
    for (size_t i = 0; i < G_N_ELEMENTS(bad); i++)
        if (!model_rule_name(bad[i]))
            fail_msg("%s was taken", bad[i]);
}

static void folder_names_become_model_names(void **state)
{
    g_autofree char *name = model_name_from("my model.v2 模型");
    assert_string_equal(name, "my-model-v2-模型");
    assert_null(model_rule_name(name));
}

static void descriptions_keep_their_rule(void **state)
{
    assert_null(model_rule_description(""));
    assert_null(model_rule_description("手写数字的模型, 97 %"));
    assert_non_null(model_rule_description("a < b"));
    assert_non_null(model_rule_description("line\nbreak"));
    g_autofree char *longer = g_strnfill(101, 'd');
    assert_non_null(model_rule_description(longer));
}

/* -- engines -- */

static bool list_nothing(PackageSource *source, const char *child, GPtrArray *files,
                         Findings *findings, GError **error)
{
    return true;
}

static void free_nothing(PackageSource *source)
{
}

static Package *package_of(const char *const *paths)
{
    static PackageSource source = {.list = list_nothing, .free = free_nothing};
    g_autoptr(Findings) findings = findings_new();
    Package *package = package_open(&source, "pkg", "model", findings, NULL);
    for (; paths && *paths; paths++) {
        PackageFile *file = g_new0(PackageFile, 1);
        file->path = g_strdup(*paths);
        g_ptr_array_add(package->files, file);
    }
    return package;
}

typedef struct {
    const char *type;
    const char *paths;  /* separated by blanks */
    const char *reason; /* NULL: sound */
} EngineCase;

static const EngineCase ENGINES[] = {
    {"TensorFlow", "saved_model.pb fingerprint.pb keras_metadata.pb", NULL},
    {"TensorFlow", "frozen.pb", NULL},
    {"TensorFlow", "a.h5 b.keras", "ModelFileAmbiguous"},
    {"TensorFlow", "variables/x.pb", "ModelFileMissing"},
    {"TensorFlow", ".hidden.pb", "ModelFileMissing"},
    {"PyTorch", "a.pth config.json", NULL},
    {"PyTorch", "a.pth b.pt", "ModelFileAmbiguous"},
    {"PyTorch", "A.PTH", "ModelFileMissing"},
    {"MindSpore", "a.ckpt", NULL},
    {"MindSpore", "a.ckpt a.om", NULL},
    {"MindSpore", "a.om", NULL},
    {"MindSpore", "a.mindir", NULL},
    {"MindSpore", "a.ckpt b.ckpt", "ModelFileAmbiguous"},
    {"MindSpore", "a.ckpt a.om b.om", "ModelFileAmbiguous"},
    {"MindSpore", "a.mindir a.om", "ModelFileAmbiguous"},
    {"MXNet", "n-symbol.json n-0000.params", NULL},
    {"MXNet", "n-symbol.json", "ModelFileMissing"},
    {"MXNet", "n-symbol.json a.params b.params", "ModelFileAmbiguous"},
    {"Caffe", "a.prototxt a.caffemodel", NULL},
    {"Caffe", "a.caffemodel b.caffemodel", "ModelFileMissing"},
    {"XGBoost", "a.json config.json", NULL},
    {"XGBoost", "a.m other.json", NULL},
    {"XGBoost", "config.json", "ModelFileMissing"},
    {"XGBoost", "a.json b.json", "ModelFileAmbiguous"},
    {"Scikit_Learn", "a.joblib", NULL},
    {"Scikit_Learn", "a.joblib b.pkl", "ModelFileAmbiguous"},
    {"Spark_MLlib", "spark_model/metadata/part-00000", NULL},
    {"Spark_MLlib", "spark_model", "ModelFileMissing"},
    {"ONNX", "a.onnx", NULL},
    {"LLM", "a.safetensors b.safetensors c.gguf", NULL},
    {"LLM", "a.bin", "ModelFileMissing"},
    {"Custom", "deep/in/here", NULL},
    {"Custom", "config.json", "ModelFileMissing"},
    {"Image", "", NULL},
    {"Unknown", "", NULL},
};

static void engines_find_their_files(void **state)
{
    for (size_t i = 0; i < G_N_ELEMENTS(ENGINES); i++) {
        const EngineCase *one = &ENGINES[i];
        g_auto(GStrv) paths = g_strsplit(one->paths, " ", -1);
        g_autoptr(Package) package = package_of(*one->paths ? (const char *const *)paths : NULL);
        g_autoptr(Findings) findings = findings_new();
        package_check_engine(package, one->type, findings);
        const char *found =
            findings->events->len ? event_row(findings->events->pdata[0])->reason : NULL;
        if (g_strcmp0(found, one->reason) != 0 || findings->events->len > 1)
            fail_msg("%s with %s: %s", one->type, one->paths, found ? found : "sound");
    }
}

static void refused_model_file_is_not_missing_as_well(void **state)
{
    const char *const paths[] = {"config.json", NULL};
    g_autoptr(Package) package = package_of(paths);
    g_autoptr(Findings) findings = findings_new();
    findings_add(findings, event_with_text(event_model_files_copy_failed(), "path", "model/a.pth"));
    package_check_engine(package, "PyTorch", findings);
    assert_int_equal(findings->events->len, 1);
}

/* -- widths -- */

static void widths_count_wide_characters_twice(void **state)
{
    assert_int_equal(text_width("abc"), 3);
    assert_int_equal(text_width("模型"), 4);
    assert_int_equal(text_width("e\xcc\x81"), 1);
    g_autofree char *padded = text_fit("模型", 6), *cut = text_fit("模型文件导入", 7);
    assert_string_equal(padded, "模型  ");
    assert_string_equal(cut, "模型文…");
}

static void wrapped_lines_fit(void **state)
{
    char *text = NULL;
    size_t size;
    FILE *out = open_memstream(&text, &size);
    const Terminal terminal = {.out = out, .width = 40};
    terminal_wrap(
        &terminal,
        "Model size calculated failed.模型大小计算失败。多于一个模型文件在路径下。 and more words",
        10);
    fclose(out);
    g_auto(GStrv) lines = g_strsplit(text, "\n", -1);
    for (int i = 0; lines[i]; i++)
        assert_true(text_width(lines[i]) + (i == 0 ? 10 : 0) <= 40);
    free(text);
}

static void sizes_and_durations_read_well(void **state)
{
    static const struct {
        int64_t value;
        const char *text;
    } SIZES[] = {{0, "0 B"},
                 {1023, "1023 B"},
                 {1536, "1.5 KiB"},
                 {53 << 10, "53 KiB"},
                 {5LL << 30, "5.0 GiB"}};
    for (size_t i = 0; i < G_N_ELEMENTS(SIZES); i++) {
        g_autofree char *text = format_bytes(SIZES[i].value);
        assert_string_equal(text, SIZES[i].text);
    }
    g_autofree char *ms = format_duration(12), *seconds = format_duration(1250),
                    *minutes = format_duration(161000);
    assert_string_equal(ms, "12 ms");
    assert_string_equal(seconds, "1.2 s");
    assert_string_equal(minutes, "2:41");
}

static void an_id_is_one_part_of_a_path(void **state)
{
    assert_null(model_rule_id("tf-image_1.0"));
    assert_non_null(model_rule_id(""));
    assert_non_null(model_rule_id(".."));
    assert_non_null(model_rule_id(".hidden"));
    assert_non_null(model_rule_id("a/b"));
    assert_non_null(model_rule_id("ä"));
    g_autofree char *longest = g_strnfill(64, 'a'), *longer = g_strnfill(65, 'a');
    assert_null(model_rule_id(longest));
    assert_non_null(model_rule_id(longer));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(versions_keep_their_rule),
        cmocka_unit_test(versions_follow_each_other),
        cmocka_unit_test(names_keep_their_rule),
        cmocka_unit_test(folder_names_become_model_names),
        cmocka_unit_test(descriptions_keep_their_rule),
        cmocka_unit_test(an_id_is_one_part_of_a_path),
        cmocka_unit_test(engines_find_their_files),
        cmocka_unit_test(refused_model_file_is_not_missing_as_well),
        cmocka_unit_test(widths_count_wide_characters_twice),
        cmocka_unit_test(wrapped_lines_fit),
        cmocka_unit_test(sizes_and_durations_read_well),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
