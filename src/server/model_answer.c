#include "server/model_answer.h"

#include <string.h>

#include "config.h"
#include "server/server.h"

#define PROVIDER "terraform-provider-iac" /* in its User-Agent */

static const char *text_of(const json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));
    return text ? text : "";
}

/* Where a person reads about it, under the name by which the client reached the server: the
 * console's page of the event, else the problems of the newest attempt. */
static char *url_of(const HttpRequest *request, const json_t *model)
{
    const char *host = http_header(request, MHD_HTTP_HEADER_HOST);
    const bool tls = *settings_text(request->server->settings, "server.tls_cert");
    const char *scheme = tls ? "https" : "http", *project = request->arguments[0];
    const char *id = text_of(model, "model_id");
    g_autofree char *name = g_utf8_make_valid(host ? host : "", -1);
#ifdef WAYBILL_CONSOLE
    const json_t *seq = json_object_get(json_object_get(model, "failure"), "seq");
    return g_strdup_printf("%s://%s/#/%s/models/%s/events/%d", scheme, name, project, id,
                           (int)json_integer_value(seq));
#else
    return g_strdup_printf("%s://%s/v1/%s/models/%s/events?attempt=%d&event_type=abnormal,hint",
                           scheme, name, project, id,
                           (int)json_integer_value(json_object_get(model, "attempt")));
#endif
}

static bool is_provider(const HttpRequest *request)
{
    const char *agent = http_header(request, MHD_HTTP_HEADER_USER_AGENT);
    return agent && strstr(agent, PROVIDER) &&
           settings_bool(request->server->settings, "compat.terraform_reason");
}

/* "failed: REASON place summary url". */
static char *status_with_reason(const HttpRequest *request, const json_t *failure)
{
    const char *place = text_of(failure, "place");
    const char *summary = http_wants_chinese(request) ? text_of(failure, "summary_cn") : "";
    return g_strdup_printf("failed: %s %s%s%s %s", text_of(failure, "reason"), place,
                           *place ? " " : "", *summary ? summary : text_of(failure, "summary"),
                           text_of(failure, "url"));
}

void model_answer_complete(const HttpRequest *request, json_t *model)
{
    json_t *failure = json_object_get(model, "failure");
    if (!failure)
        return;
    if (!json_object_get(failure, "url")) {
        g_autofree char *url = url_of(request, model);
        json_object_set_new(failure, "url", json_string(url));
    }
    if (strcmp(text_of(model, "model_status"), "failed") != 0 || !is_provider(request))
        return;
    g_autofree char *status = status_with_reason(request, failure);
    json_object_set_new(model, "model_status", json_string(status));
}
