/* Any bytes as a template: what is taken makes a config.json for each of its modes that breaks no
 * rule, and what is not taken says why, each fault with its place. */
#include <stdlib.h>
#include <string.h>

#include "model/config.h"
#include "model/model.h"
#include "model/model_template.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void assert_told(const Findings *findings)
{
    g_assert(findings->events->len > 0);
    for (guint i = 0; i < findings->events->len; i++) {
        const Event *event = findings->events->pdata[i];
        static const char *const TEXTS[] = {"file", "pointer", "found", "expected"};
        for (size_t k = 0; k < G_N_ELEMENTS(TEXTS); k++)
            g_assert(json_is_string(json_object_get(event->evidence, TEXTS[k])));
        g_assert(json_integer_value(json_object_get(event->evidence, "line")) >= 1);
        g_assert(json_integer_value(json_object_get(event->evidence, "column")) >= 1);
    }
}

/* Numbers that jansson cannot hold become texts, and texts may need escapes that lengthen them: of
 * a config that says so nothing is asked. */
static void assert_config(const ModelTemplate *template, const TemplateMode *mode)
{
    const ConfigContext context = {0};
    g_autoptr(Findings) findings = findings_new();
    g_autofree char *text = model_template_config(template, mode, NULL, NULL);
    g_autoptr(Config) config = config_read(text, strlen(text), "config", &context, findings);
    if (!config->document->root)
        return;
    g_assert_cmpstr(config->model_type, ==, template->engine);
    g_assert_cmpstr(config->runtime, ==, template->runtime);
    g_assert(config->model_algorithm);
}

static void assert_sound(const ModelTemplate *template)
{
    g_assert(config_is_model_type(template->engine) && template->modes->len > 0);
    g_assert(!model_rule_id(template->input_id));
    for (int i = LANGUAGE_EN; i <= LANGUAGE_ZH; i++)
        g_assert(template->name.text[i] && template->description.text[i]);
    for (guint i = 0; i < template->modes->len; i++) {
        const TemplateMode *mode = template->modes->pdata[i];
        g_assert(model_template_mode(template, mode->id) == mode);
        assert_config(template, mode);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    g_autoptr(Findings) findings = findings_new();
    g_autoptr(ModelTemplate) template = model_template_read("fuzz", data, size, findings);
    if (template)
        assert_sound(template);
    else
        assert_told(findings);
    return 0;
}
