/* GET /v1/{project_id}/models/template: what model_type Template may be asked for by. Read anew for
 * each request: a template counts as soon as its file is there. */
#include <string.h>

#include "import/templates.h"
#include "server/api.h"

#define PAGE_ITEMS 1000

static bool is_among(const char *wanted, const char *value)
{
    return !wanted || g_strcmp0(wanted, value) == 0;
}

/* Any part of what people read of it. */
static bool has_word(const ModelTemplate *template, const char *word)
{
    bool has = !word || strstr(template->id, word);
    for (int i = LANGUAGE_EN; i <= LANGUAGE_ZH; i++)
        has = has || strstr(template->name.text[i], word) ||
              strstr(template->description.text[i], word);
    return has;
}

static bool is_wanted(const HttpRequest *request, const ModelTemplate *template)
{
    return is_among(http_query(request, "theme"), template->theme) &&
           is_among(http_query(request, "engine"), template->engine) &&
           is_among(http_query(request, "env"), template->runtime) &&
           has_word(template, http_query(request, "keyword"));
}

/* One that cannot be used is told in the log; `waybill doctor` says so as well. */
static ModelTemplate *read_or_warn(const Settings *settings, const char *id)
{
    g_autoptr(GPtrArray) faults = g_ptr_array_new_with_free_func(g_free);
    ModelTemplate *template = templates_read(settings, id, faults);
    for (guint i = 0; i < faults->len; i++)
        g_warning("templates.dir: %s", (const char *)faults->pdata[i]);
    return template;
}

/* NULL: *error. */
static json_t *wanted_templates(const HttpRequest *request, GError **error)
{
    const Settings *settings = request->server->settings;
    g_autoptr(GPtrArray) ids = templates_list(settings, error);
    json_t *items = ids ? json_array() : NULL;
    for (guint i = 0; ids && i < ids->len; i++) {
        g_autoptr(ModelTemplate) template = read_or_warn(settings, ids->pdata[i]);
        if (template && is_wanted(request, template))
            json_array_append_new(items, template_json(template));
    }
    return items;
}

HttpReply templates_get(HttpRequest *request)
{
    HttpReply reply;
    g_autoptr(GError) error = NULL;
    int64_t offset, limit;
    if (!api_number(request, "offset", 0, &offset, &reply) ||
        !api_number(request, "limit", PAGE_ITEMS, &limit, &reply))
        return reply;
    json_auto_t *all = wanted_templates(request, &error);
    if (!all)
        return api_failed(error);
    json_t *page = json_array();
    const int64_t total = (int64_t)json_array_size(all);
    for (int64_t i = offset; i < total && i - offset < MIN(limit, PAGE_ITEMS); i++)
        json_array_append(page, json_array_get(all, (size_t)i));
    return http_json(MHD_HTTP_OK,
                     json_pack("{s:I, s:I, s:o}", "count", (json_int_t)json_array_size(page),
                               "total_count", (json_int_t)total, "templates", page));
}
