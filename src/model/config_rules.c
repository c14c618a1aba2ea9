/* The rules of config.json's fields (model-package.md, "config.json"); health and dependencies have
 * files of their own. */
#include "model/config_check.h"

#include <string.h>

#define ANY_KIND            (KIND(NODE_OBJECT + 1) - 1)
#define METRIC_MAX_DECIMALS 17

const char *const PROTOCOLS[] = {"http", "https", NULL};
static const char *const METHODS[] = {"GET", "POST", NULL};
static const char *const CONTENT_TYPES[] = {"application/json", "multipart/form-data", NULL};

const char *const CONFIG_MODEL_TYPES[] = {
    "TensorFlow",  "PyTorch", "MindSpore", "MXNet",  "Caffe", "XGBoost", "Scikit_Learn",
    "Spark_MLlib", "ONNX",    "LLM",       "Custom", "Image", NULL,
};

bool config_is_model_type(const char *type)
{
    return text_is_among(type, CONFIG_MODEL_TYPES);
}

#define ALGORITHM_RULE \
    "1 to 36 characters that begin with a letter, without control characters and & ! ' \" < > ="

#define REFERENCE_RULE "an image reference: HOST[:PORT]/REPOSITORY:TAG or oci:DIR:TAG"

const char *config_rule_algorithm(const char *text)
{
    if (!g_ascii_isalpha(*text) || strpbrk(text, "&!'\"<>=") || g_utf8_strlen(text, -1) > 36)
        return ALGORITHM_RULE;
    for (const char *at = text; *at; at = g_utf8_next_char(at)) {
        if (g_unichar_iscntrl(g_utf8_get_char(at)))
            return ALGORITHM_RULE;
    }
    return NULL;
}

static void rule_algorithm(Check *check, const Field *field, const Node *value)
{
    if (config_rule_algorithm(value->text))
        check_broken(check, field, value);
}

/* config.json and the request name different ones. */
static void check_agrees(Check *check, const Node *value, const char *request)
{
    if (!request || strcmp(value->text, request) == 0)
        return;
    Event *event = check_fault(check, "disagrees", value, request);
    if (event)
        event_with_text(event, "request", request);
}

static void rule_model_type(Check *check, const Field *field, const Node *value)
{
    if (config_is_model_type(value->text))
        check_agrees(check, value, check->context->request_type);
    else
        check_broken(check, field, value);
}

static void report_no_runtime(Check *check, const Node *value)
{
    Event *event = check_fault(check, "no_runtime", value, "a runtime (none is registered)");
    if (event)
        event_with(event, "{s:s*, s:s, s:[]}", "engine", check->model_type, "wanted", value->text,
                   "listing");
}

static void rule_runtime(Check *check, const Field *field, const Node *value)
{
    const char *const *runtimes = check->context->runtimes;
    if (check_is_image(check)) {
        check_fault(check, "value", value, "no runtime: a custom image brings its own");
    } else if (runtimes && !runtimes[0]) {
        report_no_runtime(check, value);
    } else if (runtimes && !text_is_among(value->text, runtimes)) {
        const Field known = {.choices = runtimes};
        Event *event = check_broken(check, &known, value);
        if (event)
            event_with_json(event, "listing", text_listing(runtimes));
    } else {
        check_agrees(check, value, check->context->request_runtime);
    }
}

static bool has_blanks_or_controls(const char *text)
{
    for (; *text; text = g_utf8_next_char(text)) {
        gunichar character = g_utf8_get_char(text);
        if (g_unichar_isspace(character) || g_unichar_iscntrl(character))
            return true;
    }
    return false;
}

/* Of another type it is forbidden, whatever it holds. */
static void rule_swr_location(Check *check, const Field *field, const Node *value)
{
    if (check_is_engine(check)) {
        if (!check_counts(check))
            return;
        g_autofree char *expected =
            g_strdup_printf("no swr_location for model_type %s", check->model_type);
        check_add_at(check, event_swr_location_not_allowed(), value, expected);
    } else if (value->kind != NODE_STRING ||
               (check->context->is_reference && !check->context->is_reference(value->text))) {
        check_broken(check, field, value);
    }
}

/* How many decimals a number has as it is written: 1.5e-3 has 4. */
static gint64 number_decimals(const char *text)
{
    const char *point = strchr(text, '.'), *exponent = strpbrk(text, "eE");
    gint64 decimals = point ? (gint64)strspn(point + 1, "0123456789") : 0;
    if (!exponent)
        return decimals;
    gint64 power = g_ascii_strtoll(exponent + 1, NULL, 10);
    /* Beyond this no number of digits that fits in a document makes it good. */
    power = CLAMP(power, -DOCUMENT_MAX_BYTES, DOCUMENT_MAX_BYTES);
    return MAX(decimals - power, 0);
}

static void rule_metric(Check *check, const Field *field, const Node *value)
{
    double metric = g_ascii_strtod(value->text, NULL);
    if (!(metric >= 0 && metric <= 1) || number_decimals(value->text) > METRIC_MAX_DECIMALS)
        check_broken(check, field, value);
}

static void rule_api_url(Check *check, const Field *field, const Node *value)
{
    if (check_is_engine(check)) {
        if (strcmp(value->text, "/") != 0)
            check_fault(check, "value", value, "/ (another url is for custom images only)");
    } else if (*value->text != '/' || has_blanks_or_controls(value->text)) {
        check_broken(check, field, value);
    }
}

#define METRIC(name)                                                  \
    {                                                                 \
        .key = name, .kinds = KIND(NODE_NUMBER), .rule = rule_metric, \
        .expected = "a number from 0 to 1 with at most 17 decimals"   \
    }

static const Field METRICS[] = {
    METRIC("f1"), METRIC("recall"), METRIC("precision"), METRIC("accuracy"), {0},
};

static const Field API_BODY[] = {
    {
        .key = "Content-type",
        .kinds = KIND(NODE_STRING),
        .rule = rule_choice,
        .choices = CONTENT_TYPES,
    },
    {
        .key = "data",
        .kinds = KIND(NODE_OBJECT),
        .expected = "a JSON Schema object",
    },
    {0},
};

static const Field API_MEMBERS[] = {
    {
        .key = "url",
        .kinds = KIND(NODE_STRING),
        .expected = "a path that begins with /",
        .rule = rule_api_url,
    },
    {
        .key = "method",
        .kinds = KIND(NODE_STRING),
        .rule = rule_choice,
        .choices = METHODS,
    },
    {
        .key = "protocol",
        .kinds = KIND(NODE_STRING),
        .rule = rule_choice,
        .choices = PROTOCOLS,
    },
    {
        .key = "request",
        .kinds = KIND(NODE_OBJECT),
        .expected = "an object {Content-type, data}",
        .rule = rule_members,
        .members = API_BODY,
    },
    {
        .key = "response",
        .kinds = KIND(NODE_OBJECT),
        .expected = "an object {Content-type, data}",
        .rule = rule_members,
        .members = API_BODY,
    },
    {0},
};

const Field CONFIG_API = {
    .kinds = KIND(NODE_OBJECT),
    .expected = "an object {url, method, protocol, request, response}",
    .rule = rule_members,
    .members = API_MEMBERS,
};

#define HEALTH(name)                                                                             \
    {                                                                                            \
        .key = name, .kinds = KIND(NODE_OBJECT), .rule = rule_health, .members = HEALTH_MEMBERS, \
        .expected = "an object {check_method, protocol, url, command, …}", .image_only = true    \
    }

static const Field CONFIG_FIELDS[] = {
    {
        .key = "model_algorithm",
        .kinds = KIND(NODE_STRING),
        .expected = ALGORITHM_RULE,
        .rule = rule_algorithm,
        .example = "\"model_algorithm\": \"image_classification\"",
    },
    {
        .key = "model_type",
        .kinds = KIND(NODE_STRING),
        .rule = rule_model_type,
        .choices = CONFIG_MODEL_TYPES,
        .example = "\"model_type\": \"PyTorch\"",
    },
    {
        .key = "runtime",
        .kinds = KIND(NODE_STRING),
        .expected = "the name of a runtime",
        .rule = rule_runtime,
    },
    {
        .key = "swr_location",
        .kinds = ANY_KIND,
        .expected = REFERENCE_RULE,
        .rule = rule_swr_location,
    },
    {
        .key = "metrics",
        .kinds = KIND(NODE_OBJECT),
        .expected = "an object {f1, recall, precision, accuracy}",
        .rule = rule_members,
        .members = METRICS,
    },
    {
        .key = "apis",
        .kinds = KIND(NODE_ARRAY),
        .expected = "an array of {url, method, protocol, request, response}",
        .rule = rule_elements,
        .members = &CONFIG_API,
    },
    {
        .key = "dependencies",
        .kinds = KIND(NODE_ARRAY),
        .expected = "an array of {installer, packages}",
        .rule = rule_dependencies,
    },
    HEALTH("health"),
    HEALTH("readiness_health"),
    HEALTH("startup_health"),
    {
        .key = "protocol",
        .kinds = KIND(NODE_STRING),
        .rule = rule_choice,
        .choices = PROTOCOLS,
        .image_only = true,
    },
    {
        .key = "port",
        .kinds = KIND(NODE_NUMBER),
        .expected = "a whole number from 1 to 65535",
        .rule = rule_integer,
        .least = 1,
        .most = 65535,
        .image_only = true,
    },
    /* of the original; kept, not used */
    {.key = "model_source", .kinds = ANY_KIND},
    {.key = "tunable", .kinds = ANY_KIND},
    {.key = "downloadable_flag", .kinds = ANY_KIND},
    {.key = "algorithm", .kinds = ANY_KIND},
    {0},
};

void check_root(Check *check, const Node *root)
{
    check_members(check, root, CONFIG_FIELDS);
    /* An image from a package is the one that the package names. */
    if (check_is_image(check) && check->context->package && !node_member(root, "swr_location"))
        check_missing(check, root, "swr_location", REFERENCE_RULE,
                      "\"swr_location\": \"registry.example.com/team/model:1.0\"");
}

void check_skeleton(Check *check, const Node *object, const char *const *elsewhere,
                    const char *expected)
{
    for (const Field *field = CONFIG_FIELDS; field->key; field++) {
        const Node *value = node_member(object, field->key);
        const bool is_elsewhere = text_is_among(field->key, elsewhere);
        if (value && is_elsewhere)
            check_fault(check, "value", value, expected);
        else if (value)
            check_field(check, field, value);
        else if (field->example && !is_elsewhere)
            check_missing(check, object, field->key, field->expected, field->example);
    }
}
