#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>
#include <time.h>

#include "model/config.h"

/* The package of the tests: what lies in its model folder. */
static char source_name[] = "resnet", child_name[] = "model";
static char wheel_path[] = "helper-1.0-py3-none-any.whl";
static char deeper_path[] = "deeper/other-1.0-py3-none-any.whl";
static PackageFile wheel = {.path = wheel_path}, deeper_wheel = {.path = deeper_path};
static gpointer package_files[] = {&deeper_wheel, &wheel};
static GPtrArray package_file_array = {package_files, G_N_ELEMENTS(package_files)};
static const Package PACKAGE = {.directory = source_name,
                                .child = child_name,
                                .child_found = true,
                                .files = &package_file_array};

static const char *const RUNTIMES[] = {"python3.9", "pytorch2.1-cpu", NULL};

static bool has_colon(const char *text)
{
    return strchr(text, ':') != NULL;
}

static const ConfigContext PLAIN = {.runtimes = RUNTIMES, .is_reference = has_colon};
static const ConfigContext PACKED = {.runtimes = RUNTIMES,
                                     .is_reference = has_colon,
                                     .package = &PACKAGE};

static const char *evidence_text(const Event *event, const char *key)
{
    const char *text = json_string_value(json_object_get(event->evidence, key));
    return text ? text : "-";
}

static int evidence_number(const Event *event, const char *key)
{
    return (int)json_integer_value(json_object_get(event->evidence, key));
}

/* "NUMBER KIND PARAMETER LINE:COLUMN FOUND", one finding a line; 8 is left out before its kind. */
static char *told(const Findings *findings)
{
    GString *text = g_string_new(NULL);
    for (guint i = 0; i < findings->events->len; i++) {
        const Event *event = findings->events->pdata[i];
        const char *parameter = json_string_value(json_object_get(event->params, "parameter"));
        if (i > 0)
            g_string_append_c(text, '\n');
        if (event->reason == EVENT_ConfigValueInvalid)
            g_string_append_printf(text, "%s %s", event->kind, parameter);
        else
            g_string_append_printf(text, "event %d", event_row(event)->number);
        g_string_append_printf(text, " %d:%d %s", evidence_number(event, "line"),
                               evidence_number(event, "column"), evidence_text(event, "found"));
    }
    return g_string_free(text, FALSE);
}

/* What every finding about a config.json carries. */
static void assert_evidence(const Findings *findings)
{
    for (guint i = 0; i < findings->events->len; i++) {
        const Event *event = findings->events->pdata[i];
        const char *const texts[] = {"pointer", "found", "expected", "file"};
        for (size_t j = 0; j < G_N_ELEMENTS(texts); j++)
            assert_true(json_is_string(json_object_get(event->evidence, texts[j])));
        json_t *snippet = json_object_get(event->evidence, "snippet");
        int line = evidence_number(event, "line");
        int first = (int)json_integer_value(json_object_get(snippet, "first_line"));
        size_t lines = json_array_size(json_object_get(snippet, "lines"));
        assert_true(first >= 1 && first <= line && line < first + (int)lines && lines <= 5);
    }
}

static Findings *findings_of(const char *json, const ConfigContext *context)
{
    Findings *findings = findings_new();
    config_free(config_read(json, strlen(json), "model/config.json", context, findings));
    assert_evidence(findings);
    return findings;
}

static void assert_told(const char *json, const ConfigContext *context, const char *expected)
{
    g_autoptr(Findings) findings = findings_of(json, context);
    g_autofree char *text = told(findings);
    if (strcmp(text, expected) != 0)
        print_error("in %.500s\n", json);
    assert_string_equal(text, expected);
}

typedef struct {
    const char *members; /* beside model_algorithm and model_type, on line 2 from column 1 */
    const char *told;
} Case;

static void assert_cases(const char *type, const ConfigContext *context, const Case *cases,
                         size_t count)
{
    for (size_t i = 0; i < count; i++) {
        g_autofree char *json =
            g_strdup_printf("{\"model_algorithm\": \"a\", \"model_type\": \"%s\",\n%s\n}", type,
                            cases[i].members);
        assert_told(json, context, cases[i].told);
    }
}

#define ASSERT_CASES(type, context, cases) assert_cases(type, context, cases, G_N_ELEMENTS(cases))

static void config_of_the_whole_document(void **state)
{
    static const Case CASES[] = {
        {"", "syntax config.json 1:1 the end of the file"},
        {"[1,\n2]", "syntax config.json 1:1 [1, 2]"},
        {"\"text\"", "syntax config.json 1:1 \"text\""},
        {"null", "syntax config.json 1:1 null"},
        {"{\"model_algorithm\": \"x\"\n  \"model_type\": \"TensorFlow\"}",
         "syntax config.json 2:3 \"model_type\""},
        {"{\"model_algorithm\": \"\xB0\"}", "syntax config.json 1:22 \\xb0"},
        {"{}", "missing model_algorithm 1:1 missing\nmissing model_type 1:1 missing"},
        {"\n {\"model_type\": \"ONNX\"}", "missing model_algorithm 2:2 missing"},
        {"{\"model_algorithm\": \"a\", \"model_type\": \"LLM\", \"model_type\": \"Image\"}",
         "value model_type 1:47 \"model_type\""},
        {"{\"model_algorithm\": \"a\", \"model_type\": \"LLM\",\n"
         "\"x\": {\"y\": 1, \"\xE5\x80\xBC\": 2, \"y\": 3}, \"z\": [1e999]}",
         "value x.y 2:23 \"y\"\nvalue z[0] 2:38 1e999"},
        {"{\"architectures\": [\"LlamaForCausalLM\"], \"model_type\": \"llama\"}",
         "huggingface_config config.json 1:19 [\"LlamaForCausalLM\"]"},
        {"{\"transformers_version\": \"4.40.0\"}",
         "huggingface_config config.json 1:26 \"4.40.0\""},
    };
    for (size_t i = 0; i < G_N_ELEMENTS(CASES); i++)
        assert_told(CASES[i].members, &PLAIN, CASES[i].told);
}

static void config_limits_are_of_the_document(void **state)
{
    g_autofree char *large = g_strnfill(DOCUMENT_MAX_BYTES + 1, ' ');
    assert_told(large, &PLAIN, "syntax config.json 1:1 1048577 bytes");
    g_autofree char *open = g_strnfill(64, '['), *close = g_strnfill(64, ']');
    g_autofree char *deep = g_strdup_printf("{\"a\":%s%s}", open, close);
    assert_told(deep, &PLAIN, "syntax config.json 1:69 level 65 of nesting");
}

static void config_algorithm(void **state)
{
    assert_null(config_rule_algorithm("a"));
    assert_null(config_rule_algorithm("image_classification 2.0"));
    assert_null(config_rule_algorithm("abcdefghijklmnopqrstuvwxyzabcdefghij"));
    static const char *const WRONG[] = {"",
                                        "1bad",
                                        "_a",
                                        " a",
                                        "a&b",
                                        "a!",
                                        "a'",
                                        "a\"",
                                        "a<",
                                        "a>",
                                        "a=",
                                        "a\n",
                                        "abcdefghijklmnopqrstuvwxyzabcdefghijk",
                                        "\xE5\x80\xBC"};
    for (size_t i = 0; i < G_N_ELEMENTS(WRONG); i++)
        assert_non_null(config_rule_algorithm(WRONG[i]));
    assert_told("{\"model_algorithm\": 7, \"model_type\": \"ONNX\"}", &PLAIN,
                "value model_algorithm 1:21 7");
    assert_told("{\"model_algorithm\": \"1\", \"model_type\": null}", &PLAIN,
                "value model_algorithm 1:21 \"1\"\nvalue model_type 1:40 null");
}

static void config_type_agrees_with_the_request(void **state)
{
    static const char JSON[] = "{\"model_algorithm\": \"a\", \"model_type\": \"TensorFlow\"}";
    ConfigContext context = {.request_type = "TensorFlow"};
    assert_told(JSON, &context, "");
    context.request_type = "PyTorch";
    g_autoptr(Findings) findings = findings_of(JSON, &context);
    g_autofree char *text = told(findings);
    assert_string_equal(text, "disagrees model_type 1:40 \"TensorFlow\"");
    assert_string_equal(evidence_text(findings->events->pdata[0], "request"), "PyTorch");

    assert_told("{\"model_algorithm\": \"a\", \"model_type\": \"TensorFlaw\"}", &context,
                "value model_type 1:40 \"TensorFlaw\"");
    /* config.json's decides what the other rules mean. */
    context.request_type = "Image";
    assert_told("{\"model_algorithm\": \"a\", \"model_type\": \"ONNX\", \"port\": 1}", &context,
                "disagrees model_type 1:40 \"ONNX\"\nvalue port 1:56 1");
}

static void config_tells_the_nearest(void **state)
{
    static const struct {
        const char *type, *nearest;
    } CASES[] = {{"TensorFlaw", "TensorFlow"},
                 {"pytorch", "PyTorch"},
                 {"Scikit-Learn", "Scikit_Learn"},
                 {"image", "Image"},
                 {"Keras", "-"}};
    for (size_t i = 0; i < G_N_ELEMENTS(CASES); i++) {
        g_autofree char *json =
            g_strdup_printf("{\"model_algorithm\": \"a\", \"model_type\": \"%s\"}", CASES[i].type);
        g_autoptr(Findings) findings = findings_of(json, &PLAIN);
        assert_string_equal(evidence_text(findings->events->pdata[0], "nearest"), CASES[i].nearest);
    }
    g_autoptr(Findings) key =
        findings_of("{\"model_algorithm\": \"a\", \"model_typ\": \"ONNX\"}", &PLAIN);
    assert_string_equal(evidence_text(key->events->pdata[0], "nearest"), "model_typ");
    assert_string_equal(evidence_text(key->events->pdata[0], "pointer"), "/model_type");
    assert_string_equal(evidence_text(key->events->pdata[0], "example"),
                        "\"model_type\": \"PyTorch\"");
}

static void config_of_an_engine(void **state)
{
    static const Case CASES[] = {
        {"\"runtime\": \"python3.9\"", ""},
        {"\"runtime\": \"python9.9\"", "value runtime 2:12 \"python9.9\""},
        {"\"runtime\": 3", "value runtime 2:12 3"},
        {"\"swr_location\": \"host/image:1\"", "event 4 2:17 \"host/image:1\""},
        {"\"swr_location\": 5", "event 4 2:17 5"},
        {"\"health\": {}, \"protocol\": \"http\", \"port\": 8080",
         "value health 2:11 {}\nvalue protocol 2:27 \"http\"\nvalue port 2:43 8080"},
        {"\"readiness_health\": {}, \"startup_health\": 1",
         "value readiness_health 2:21 {}\nvalue startup_health 2:43 1"},
        {"\"model_source\": 1, \"tunable\": \"x\", \"downloadable_flag\": [], \"algorithm\": {}",
         ""},
        {"\"metrics\": {\"f1\": 0, \"recall\": 1, \"precision\": 1.0, \"accuracy\": 0.25}", ""},
        {"\"metrics\": {\"f1\": 0.12345678901234567, \"recall\": 1e-17, \"accuracy\": 10e-1}", ""},
        {"\"metrics\": {\"f1\": 0.123456789012345678}",
         "value metrics.f1 2:19 0.123456789012345678"},
        {"\"metrics\": {\"f1\": 1e-18}", "value metrics.f1 2:19 1e-18"},
        {"\"metrics\": {\"f1\": 0e-99999999999999999999}",
         "value metrics.f1 2:19 0e-99999999999999999999"},
        {"\"metrics\": {\"f1\": 1.01, \"recall\": -0.1}",
         "value metrics.f1 2:19 1.01\nvalue metrics.recall 2:35 -0.1"},
        {"\"metrics\": {\"f1\": \"0.5\", \"recall\": null}",
         "value metrics.f1 2:19 \"0.5\"\nvalue metrics.recall 2:36 null"},
        {"\"metrics\": {\"f1\": 1e999}", "value metrics.f1 2:19 1e999"},
        {"\"metrics\": []", "value metrics 2:12 []"},
        {"\"apis\": []", ""},
        {"\"apis\": {}", "value apis 2:9 {}"},
        {"\"apis\": [1]", "value apis[0] 2:10 1"},
        {"\"apis\": [{}, {\"url\": \"/\", \"method\": \"post\", \"protocol\": \"HTTPS\"}]", ""},
        {"\"apis\": [{\"url\": \"/predict\"}]", "value apis[0].url 2:18 \"/predict\""},
        {"\"apis\": [{\"method\": \"PUT\", \"protocol\": \"ftp\"}]",
         "value apis[0].method 2:21 \"PUT\"\nvalue apis[0].protocol 2:40 \"ftp\""},
        {"\"apis\": [{\"request\": {\"Content-type\": \"application/json\", \"data\": {\"x\": 1}},"
         " \"response\": {\"Content-type\": \"multipart/form-data\"}}]",
         ""},
        {"\"apis\": [{\"request\": {\"Content-type\": \"text/html\", \"data\": []}, \"response\": "
         "1}]",
         "value apis[0].request.Content-type 2:39 \"text/html\"\n"
         "value apis[0].request.data 2:60 []\nvalue apis[0].response 2:77 1"},
    };
    ASSERT_CASES("TensorFlow", &PLAIN, CASES);
}

static void config_of_an_image(void **state)
{
    static const Case CASES[] = {
        {"\"swr_location\": \"host/image:1\"", ""},
        {"\"runtime\": \"python3.9\"", "value runtime 2:12 \"python3.9\""},
        {"\"swr_location\": \"no reference\"", "value swr_location 2:17 \"no reference\""},
        {"\"swr_location\": \"\"", "value swr_location 2:17 \"\""},
        {"\"swr_location\": 5", "value swr_location 2:17 5"},
        {"\"dependencies\": []", ""},
        {"\"dependencies\": {}", "value dependencies 2:17 {}"},
        {"\"dependencies\": [1]", "event 3 2:17 [1]"},
        {"\"apis\": [{\"url\": \"/predict/x\"}]", ""},
        {"\"apis\": [{\"url\": \"predict\"}]", "value apis[0].url 2:18 \"predict\""},
        {"\"protocol\": \"HTTP\", \"port\": 65535", ""},
        {"\"protocol\": \"tcp\", \"port\": 0", "value protocol 2:13 \"tcp\"\nvalue port 2:28 0"},
        {"\"port\": 65536", "value port 2:9 65536"},
        {"\"port\": \"8080\"", "value port 2:9 \"8080\""},
        {"\"port\": 80.0", "value port 2:9 80.0"},
        {"\"port\": 12345678901234567890", "value port 2:9 12345678901234567890"},
        {"\"health\": {}", ""},
        {"\"health\": []", "value health 2:11 []"},
        {"\"health\": {\"check_method\": \"http\", \"protocol\": \"https\", \"url\": \"/health\"}",
         ""},
        {"\"health\": {\"url\": \"/alive\"}", "event 5 2:19 \"/alive\""},
        {"\"readiness_health\": {\"url\": \"/ready\"}, \"startup_health\": {\"url\": \"\"}",
         "event 5 2:29 \"/ready\"\nevent 5 2:66 \"\""},
        {"\"health\": {\"url\": 1}", "value health.url 2:19 1"},
        {"\"health\": {\"check_method\": \"TCP\", \"protocol\": true}",
         "value health.check_method 2:28 \"TCP\"\nvalue health.protocol 2:47 true"},
        {"\"health\": {\"check_method\": \"exec\", \"command\": \"true\"}", ""},
        {"\"health\": {\"check_method\": \"EXEC\"}", "missing health.command 2:11 missing"},
        {"\"health\": {\"command\": \"\"}", "value health.command 2:23 \"\""},
        {"\"health\": {\"initial_delay_seconds\": 0, \"timeout_seconds\": \"1\", "
         "\"period_seconds\": "
         "2147483647, \"failure_threshold\": \"3\"}",
         ""},
        {"\"health\": {\"initial_delay_seconds\": -1, \"timeout_seconds\": 0, \"period_seconds\": "
         "\"0\", \"failure_threshold\": 2147483648}",
         "value health.initial_delay_seconds 2:37 -1\nvalue health.timeout_seconds 2:60 0\n"
         "value health.period_seconds 2:81 \"0\"\nvalue health.failure_threshold 2:107 2147483648"},
        {"\"health\": {\"period_seconds\": 1.5, \"timeout_seconds\": \" 1\", "
         "\"failure_threshold\": []}",
         "value health.period_seconds 2:30 1.5\nvalue health.timeout_seconds 2:54 \" 1\"\n"
         "value health.failure_threshold 2:81 []"},
    };
    ASSERT_CASES("Image", &PLAIN, CASES);
    assert_told("{\"model_algorithm\": \"a\", \"model_type\": \"Image\"}", &PACKED,
                "missing swr_location 1:1 missing");
}

#define PACKAGES(packages) \
    "\"dependencies\":[{\"installer\":\"pip\",\"packages\":[\n" packages "]}]"
#define APT(packages) "\"dependencies\":[{\"installer\":\"APT\",\"packages\":[\n" packages "]}]"
#define NAMED(name)   "{\"package_name\":\"" name "\"}"
#define VERSION(version) \
    "{\"package_name\":\"a\",\"package_version\":" version ",\"restraint\":\"EXACT\"}"

static void config_dependencies(void **state)
{
    static const Case CASES[] = {
        {"\"dependencies\": \"numpy\"", "value dependencies 2:17 \"numpy\""},
        {"\"dependencies\": []", ""},
        {"\"dependencies\": [1]", "value dependencies[0] 2:18 1"},
        {"\"dependencies\": [{}]", "missing dependencies[0].installer 2:18 missing\n"
                                   "missing dependencies[0].packages 2:18 missing"},
        {"\"dependencies\": [{\"installer\": \"npm\", \"packages\": [{\"package_name\": \"-x\"}]}]",
         "value dependencies[0].installer 2:32 \"npm\""},
        {"\"dependencies\": [{\"installer\": \"pip\", \"packages\": {}}]",
         "value dependencies[0].packages 2:51 {}"},
        {PACKAGES("1"), "value dependencies[0].packages[0] 3:1 1"},
        {PACKAGES("{}"), "missing dependencies[0].packages[0].package_name 3:1 missing"},
        {PACKAGES(NAMED("numpy") "," NAMED("a.b_c-d") "," NAMED("uvicorn[standard,x]")), ""},
        {PACKAGES(NAMED("x") "," NAMED("-e") "," NAMED("a b")),
         "value dependencies[0].packages[1].package_name 3:38 \"-e\"\n"
         "value dependencies[0].packages[2].package_name 3:60 \"a b\""},
        {PACKAGES(NAMED("")), "value dependencies[0].packages[0].package_name 3:17 \"\""},
        {PACKAGES(NAMED("a;b")), "value dependencies[0].packages[0].package_name 3:17 \"a;b\""},
        {PACKAGES(NAMED("a==1")), "value dependencies[0].packages[0].package_name 3:17 \"a==1\""},
        {PACKAGES(NAMED("a[b")), "value dependencies[0].packages[0].package_name 3:17 \"a[b\""},
        {PACKAGES(NAMED("a[]")), "value dependencies[0].packages[0].package_name 3:17 \"a[]\""},
        {PACKAGES(NAMED("a[b]c")), "value dependencies[0].packages[0].package_name 3:17 \"a[b]c\""},
        {PACKAGES(NAMED("http://x/y.whl")),
         "value dependencies[0].packages[0].package_name 3:17 \"http://x/y.whl\""},
        {PACKAGES(NAMED("../x.whl")),
         "value dependencies[0].packages[0].package_name 3:17 \"../x.whl\""},
        {PACKAGES(NAMED("helper-1.0-py3-none-any.whl")), ""},
        {PACKAGES(NAMED("other-1.0-py3-none-any.whl")),
         "wheel_missing dependencies[0].packages[0].package_name 3:17 "
         "\"other-1.0-py3-none-any.whl\""},
        {PACKAGES(VERSION("\"1.15.0\"") "," VERSION("\"2!1.*\"") "," VERSION("\"1:2.3~rc1+b-1\"")),
         ""},
        {PACKAGES(VERSION("1.15")), "value dependencies[0].packages[0].package_version 3:39 1.15"},
        {PACKAGES(VERSION("\"\"")), "value dependencies[0].packages[0].package_version 3:39 \"\""},
        {PACKAGES(VERSION("\"==1\"")),
         "value dependencies[0].packages[0].package_version 3:39 \"==1\""},
        {PACKAGES(VERSION("\"1 -e\"")),
         "value dependencies[0].packages[0].package_version 3:39 \"1 -e\""},
        {PACKAGES(VERSION("\"1;x\"")),
         "value dependencies[0].packages[0].package_version 3:39 \"1;x\""},
        {PACKAGES("{\"package_name\":\"a\",\"package_version\":\"1\"}"),
         "missing dependencies[0].packages[0].restraint 3:1 missing"},
        {PACKAGES("{\"package_name\":\"a\",\"restraint\":\"EXACT\"}"),
         "missing dependencies[0].packages[0].package_version 3:1 missing"},
        {PACKAGES("{\"package_name\":\"a\",\"package_version\":\"1\",\"restraint\":\"exact\"}"),
         "value dependencies[0].packages[0].restraint 3:55 \"exact\""},
        {PACKAGES("{\"package_name\":\"a\",\"package_version\":\"1\",\"restraint\":null}"),
         "value dependencies[0].packages[0].restraint 3:55 null"},
        {APT(NAMED("libgomp1") "," NAMED("g++-12")), ""},
        {APT(NAMED("LibX") "," NAMED("a") "," NAMED("x_y.whl")),
         "value dependencies[0].packages[0].package_name 3:17 \"LibX\"\n"
         "value dependencies[0].packages[1].package_name 3:41 \"a\"\n"
         "value dependencies[0].packages[2].package_name 3:62 \"x_y.whl\""},
        {APT("{\"package_name\":\"gcc\",\"package_version\":\"1\",\"restraint\":\"ATLEAST\"}"),
         "value dependencies[0].packages[0].restraint 3:57 \"ATLEAST\""},
    };
    ASSERT_CASES("PyTorch", &PACKED, CASES);
}

static void config_keeps_what_it_understood(void **state)
{
    static const char JSON[] =
        "\xEF\xBB\xBF{\"model_algorithm\": \"a\", \"model_type\": \"PyTorch\", \"metrics\": "
        "{\"f1\": 0.5, \"auc\": 1}, \"author\": {\"name\": 1}, \"apis\": [{\"summary\": 1}],\n"
        "\"dependencies\": [{\"installer\": \"pip\", \"packages\": [{\"package_name\": "
        "\"Foo_Bar.baz[B,a,b]\", \"package_version\": \"1.0\", \"restraint\": \"ATLEAST\", "
        "\"hash\": 1}, {\"package_name\": \"helper-1.0-py3-none-any.whl\", \"package_version\": "
        "\"1.0\", \"restraint\": \"EXACT\"}, {\"package_name\": \"bad name\"}]},\n"
        "{\"installer\": \"apt\", \"packages\": [{\"package_name\": \"libx.y\"}]}]}";
    g_autoptr(Findings) findings = findings_new();
    g_autoptr(Config) config =
        config_read(JSON, strlen(JSON), "model/config.json", &PACKED, findings);
    assert_int_equal(findings->events->len, 1);
    assert_string_equal(config->model_type, "PyTorch");
    assert_int_equal(config->port, 8080);
    assert_true(g_str_has_prefix(config->digest, "sha256:"));
    assert_true(json_is_object(config->metrics) && json_is_array(config->apis));

    g_ptr_array_add(config->warnings, NULL);
    g_autofree char *warnings = g_strjoinv(" ", (char **)config->warnings->pdata);
    assert_string_equal(warnings, "byte order mark metrics.auc apis[0].summary "
                                  "dependencies[0].packages[0].hash "
                                  "dependencies[0].packages[1].package_version author");

    json_t *dependencies = config_dependencies_json(config->dependencies);
    char *text = json_dumps(dependencies, JSON_COMPACT);
    assert_string_equal(
        text, "[{\"installer\":\"pip\",\"packages\":[{\"package_name\":\"foo-bar-baz[a,b]\","
              "\"package_version\":\"1.0\",\"restraint\":\"ATLEAST\"},{\"package_name\":"
              "\"helper-1.0-py3-none-any.whl\"}]},{\"installer\":\"apt\",\"packages\":[{"
              "\"package_name\":\"libx.y\"}]}]");
    free(text);
    json_decref(dependencies);
}

/* The array alone: paths are a config.json's, places are the text's. */
static void config_dependencies_apart_are_checked_alike(void **state)
{
    static const struct {
        const char *text, *type, *told;
    } CASES[] = {
        {"[]", NULL, ""},
        {"[]", "Image", ""},
        {" {}", NULL, "value dependencies 1:2 {}"},
        {"{\"a\": {\"b\": 1, \"b\": 2}}", NULL,
         "value dependencies 1:1 {\"a\": {\"b\": 1, \"b\": 2}}\nvalue dependencies.a.b 1:16 \"b\""},
        {"null", NULL, "value dependencies 1:1 null"},
        {"", NULL, "syntax dependencies 1:1 the end of the file"},
        {"[\n{\"installer\": \"pip\"}]", NULL, "missing dependencies[0].packages 2:1 missing"},
        {"[{\"installer\": \"pip\", \"installer\": \"pip\", \"packages\": []}]", NULL,
         "value dependencies[0].installer 1:23 \"installer\""},
        {"[{\"installer\": \"pip\", \"packages\": [{\"package_name\": \"-e\"}]}]", NULL,
         "value dependencies[0].packages[0].package_name 1:53 \"-e\""},
        {"[{\"installer\": \"pip\", \"packages\": [{\"package_name\": \"x.whl\"}]}]", NULL,
         "wheel_missing dependencies[0].packages[0].package_name 1:53 \"x.whl\""},
        {"[1]", "Image", "event 3 1:1 [1]"},
    };
    for (size_t i = 0; i < G_N_ELEMENTS(CASES); i++) {
        const ConfigContext context = {.request_type = CASES[i].type, .package = &PACKAGE};
        g_autoptr(Findings) findings = findings_new();
        config_free(config_read_dependencies(CASES[i].text, strlen(CASES[i].text), "dependencies",
                                             &context, findings));
        assert_evidence(findings);
        g_autofree char *text = told(findings);
        assert_string_equal(text, CASES[i].told);
    }
}

/* Those that a request brings count alone. */
static void config_dependencies_apart_leave_those_of_the_text_out(void **state)
{
    static const char JSON[] = "{\"model_algorithm\": \"a\", \"model_type\": \"Image\", "
                               "\"swr_location\": \"a:b\", \"dependencies\": [{}]}";
    assert_told(JSON, &PLAIN, "event 3 1:88 [{}]");
    const ConfigContext context = {.is_reference = has_colon, .dependencies_apart = true};
    assert_told(JSON, &context, "");
}

static void config_tells_what_to_do_about_image_dependencies(void **state)
{
    g_autoptr(Findings) findings = findings_of(
        "{\"model_algorithm\": \"a\", \"model_type\": \"Image\",\n\"dependencies\": ["
        "{\"installer\": \"pip\", \"packages\": [{\"package_name\": \"numpy\"}, {\"package_name\": "
        "\"x\", \"package_version\": \"1\", \"restraint\": \"ATLEAST\"}, {}]}, {\"installer\": "
        "\"apt\", \"packages\": [{\"package_name\": \"gcc\", \"package_version\": \"12\", "
        "\"restraint\": \"EXACT\"}]}]}",
        &PLAIN);
    assert_int_equal(findings->events->len, 1);
    const Event *event = findings->events->pdata[0];
    assert_int_equal(evidence_number(event, "n"), 4);
    assert_string_equal(evidence_text(event, "where"), "model/config.json");
    assert_string_equal(evidence_text(event, "requirements"), "numpy 'x>=1'");
    char *lines = json_dumps(json_object_get(event->evidence, "dockerfile"), JSON_COMPACT);
    assert_string_equal(lines, "[\"RUN pip install --no-cache-dir numpy 'x>=1'\","
                               "\"RUN apt-get update && apt-get install -y gcc=12\"]");
    free(lines);
}

static void config_runtime_agrees_and_is_served(void **state)
{
    static const char JSON[] =
        "{\"model_algorithm\": \"a\", \"model_type\": \"ONNX\", \"runtime\": \"python3.9\"}";
    static const char *const NONE[] = {NULL};
    ConfigContext context = {.runtimes = NONE};
    assert_told(JSON, &context, "no_runtime runtime 1:59 \"python3.9\"");
    context.runtimes = NULL;
    assert_told(JSON, &context, "");
    context.request_runtime = "pytorch2.1-cpu";
    assert_told(JSON, &context, "disagrees runtime 1:59 \"python3.9\"");
    context.runtimes = RUNTIMES;
    context.request_runtime = "python3.9";
    assert_told(JSON, &context, "");
    g_autoptr(Findings) findings = findings_of(
        "{\"model_algorithm\": \"a\", \"model_type\": \"ONNX\", \"runtime\": \"Python39\"}",
        &context);
    const Event *event = findings->events->pdata[0];
    assert_string_equal(evidence_text(event, "nearest"), "python3.9");
    assert_string_equal(evidence_text(event, "expected"), "python3.9 or pytorch2.1-cpu");
    assert_int_equal(json_array_size(json_object_get(event->evidence, "listing")), 2);
}

static void config_health_url_is_the_settings(void **state)
{
    const ConfigContext context = {.health_url = "/ping"};
    g_autoptr(Findings) findings = findings_of("{\"model_algorithm\": \"a\", \"model_type\": "
                                               "\"Image\", \"health\": {\"url\": \"/health\"}}",
                                               &context);
    const Event *event = findings->events->pdata[0];
    assert_int_equal(event->reason, EVENT_HealthCheckUrlInvalid);
    assert_string_equal(json_string_value(json_object_get(event->params, "url")), "/ping");
    assert_string_equal(evidence_text(event, "expected"), "/ping");
    assert_string_equal(evidence_text(event, "pointer"), "/health/url");
    assert_string_equal(evidence_text(event, "setting"), "image.health_url");
}

static void config_of_hostile_size_is_checked_at_once(void **state)
{
    GString *json = g_string_new("{\"dependencies\":[0");
    while (json->len < DOCUMENT_MAX_BYTES - 200)
        g_string_append(json, ",0");
    g_string_append(json, "],\"metrics\":{\"\":0");
    for (int i = 0; i < 10; i++)
        g_string_append_printf(json, ",\"%d\":0", i);
    g_string_append(json, "}}");
    clock_t before = clock(); /* of the processor: the machine may have other work */
    g_autoptr(Findings) findings = findings_of(json->str, &PLAIN);
    assert_true(clock() - before < 2 * CLOCKS_PER_SEC);
    /* All are counted, so many are told one by one. */
    assert_int_equal(findings->events->len, 1001);
    g_string_free(json, TRUE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(config_of_the_whole_document),
        cmocka_unit_test(config_limits_are_of_the_document),
        cmocka_unit_test(config_algorithm),
        cmocka_unit_test(config_type_agrees_with_the_request),
        cmocka_unit_test(config_tells_the_nearest),
        cmocka_unit_test(config_of_an_engine),
        cmocka_unit_test(config_of_an_image),
        cmocka_unit_test(config_dependencies),
        cmocka_unit_test(config_keeps_what_it_understood),
        cmocka_unit_test(config_dependencies_apart_are_checked_alike),
        cmocka_unit_test(config_dependencies_apart_leave_those_of_the_text_out),
        cmocka_unit_test(config_tells_what_to_do_about_image_dependencies),
        cmocka_unit_test(config_runtime_agrees_and_is_served),
        cmocka_unit_test(config_health_url_is_the_settings),
        cmocka_unit_test(config_of_hostile_size_is_checked_at_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
