#include "import/training.h"

#include <string.h>

#include "event/event.h"
#include "import/sources.h"
#include "model/model.h"
#include "object/s3_address.h"

#define JOB         "{job_id}"
#define VERSION     "{version}"
#define PROJECT     "{project}"
/* In the place of what is not known. */
#define ANY_JOB     "j"
#define ANY_VERSION "v"

/* rest: a directory beneath it, or "". The caller frees it. */
static char *place_filled(const char *place, const char *project, const char *job,
                          const char *version, const char *rest)
{
    g_autoptr(GString) filled = g_string_new(place);
    g_string_replace(filled, JOB, job, 0);
    g_string_replace(filled, VERSION, version, 0);
    g_string_replace(filled, PROJECT, project, 0);
    if (*rest && !g_str_has_suffix(filled->str, "/"))
        g_string_append_c(filled, '/');
    g_string_append(filled, rest);
    return g_string_free(g_steal_pointer(&filled), FALSE);
}

/* -- the presets -- */

/* NULL, or what is wrong with it. The caller frees it. */
static char *entry_fault(const SettingEntry *entry)
{
    g_autoptr(GError) error = NULL;
    g_autofree char *filled = place_filled(entry->value, "p", ANY_JOB, ANY_VERSION, "");
    if (model_rule_id(entry->key))
        return g_strdup("expected an id of " MODEL_ID_RULE);
    if (!s3_address_is_meant(filled) || strpbrk(filled, "{}%"))
        return g_strdup_printf("\"%s\"; expected a place in a bucket, such as "
                               "s3://BUCKET/" JOB "/" VERSION,
                               entry->value);
    g_autoptr(S3Address) address = s3_address_parse(filled, &error);
    return address ? NULL : g_strdup(error->message);
}

bool training_check(const Settings *settings, GError **error)
{
    const GPtrArray *entries = settings_training(settings);
    for (guint i = 0; i < entries->len; i++) {
        const SettingEntry *entry = entries->pdata[i];
        g_autofree char *fault = entry_fault(entry);
        if (!fault)
            continue;
        g_set_error(error, SETTINGS_ERROR, 0, "%s: training.%s: %s", entry->origin, entry->key,
                    fault);
        return false;
    }
    return true;
}

static const char *place_of(const Settings *settings, const char *id)
{
    const GPtrArray *entries = settings_training(settings);
    for (guint i = 0; i < entries->len; i++) {
        const SettingEntry *entry = entries->pdata[i];
        if (strcmp(entry->key, id) == 0)
            return entry->value;
    }
    return NULL;
}

/* NULL: the request has none, or one that is no part of a path. The caller frees it. */
static char *valid_attribute(const ImportRequest *request, const char *attribute)
{
    g_autofree char *value = import_request_attribute(request, attribute);
    return value && !model_rule_id(value) ? g_steal_pointer(&value) : NULL;
}

/* Whether the project may import from there: of the job that it asks for, where it names one. */
static bool is_allowed(const Settings *settings, const ImportRequest *request, const char *place,
                       const char *rest)
{
    g_autofree char *job = valid_attribute(request, ATTRIBUTE_JOB);
    g_autofree char *version = valid_attribute(request, ATTRIBUTE_JOB_VERSION);
    g_autofree char *filled = place_filled(place, request->project, job ? job : ANY_JOB,
                                           version ? version : ANY_VERSION, rest);
    ImportRequest there = *request;
    there.source = filled;
    return sources_allow_bucket(settings, &there);
}

static char *known_ids(const Settings *settings, const ImportRequest *request)
{
    g_autoptr(GString) known = g_string_new(NULL);
    const GPtrArray *entries = settings_training(settings);
    for (guint i = 0; i < entries->len; i++) {
        const SettingEntry *entry = entries->pdata[i];
        if (is_allowed(settings, request, entry->value, ""))
            g_string_append_printf(known, "%s%s", known->len ? ", " : "", entry->key);
    }
    return known->len ? g_string_free(g_steal_pointer(&known), FALSE) : g_strdup("none");
}

/* -- a request -- */

/* What the place needs of the request; "" where it needs none. NULL: a fault. */
static char *part_of(const ImportRequest *request, const char *place, const char *placeholder,
                     const char *attribute, const char *field, GPtrArray *faults)
{
    g_autofree char *value = import_request_attribute(request, attribute);
    if (!strstr(place, placeholder))
        return g_strdup("");
    if (value && !model_rule_id(value))
        return g_steal_pointer(&value);
    if (value && *value)
        request_fault_add(faults, field, value, MODEL_ID_RULE);
    else
        request_fault_say(faults, field, "missing: %s is looked up by it", request->source);
    return NULL;
}

void training_forget(ImportRequest *request)
{
    if (!request->training)
        return;
    const char *text = request->training + strlen(TRAINING_SCHEME);
    g_autofree char *id = g_strndup(text, strcspn(text, "/"));
    g_autofree char *job = import_request_attribute(request, ATTRIBUTE_JOB);
    if (g_strcmp0(job, id) == 0)
        import_request_set_attribute(request, ATTRIBUTE_JOB, NULL);
    g_clear_pointer(&request->training, g_free);
}

/* What stands behind the id: no way out of the job's place. */
static bool rest_is_sound(const char *rest)
{
    g_auto(GStrv) parts = g_strsplit(rest, "/", -1);
    for (char **part = parts; *part; part++)
        if ((!**part && part[1]) || strcmp(*part, ".") == 0 || strcmp(*part, "..") == 0)
            return false;
    return !strpbrk(rest, "%{}?#");
}

static void resolve(ImportRequest *request, const char *id, const char *rest, const char *place,
                    GPtrArray *faults)
{
    g_autofree char *job = part_of(request, place, JOB, ATTRIBUTE_JOB, "source-job-id", faults);
    g_autofree char *version =
        part_of(request, place, VERSION, ATTRIBUTE_JOB_VERSION, "source-job-version", faults);
    if (!job || !version)
        return;
    g_autofree char *given = import_request_attribute(request, ATTRIBUTE_JOB);
    if (!given || !*given)
        import_request_set_attribute(request, ATTRIBUTE_JOB, id);
    g_free(request->training);
    request->training = request->source;
    request->source = place_filled(place, request->project, job, version, rest);
}

void training_resolve(const Settings *settings, ImportRequest *request, GPtrArray *faults)
{
    if (!import_request_is_training(request))
        return;
    const char *text = request->source + strlen(TRAINING_SCHEME);
    const gsize length = strcspn(text, "/");
    const char *rest = text[length] ? text + length + 1 : "";
    g_autofree char *id = g_strndup(text, length);
    const char *place = place_of(settings, id);
    if (!rest_is_sound(rest)) {
        request_fault_add(faults, "source", request->source,
                          TRAINING_SCHEME
                          "ID[/DIR] without empty parts, \"..\", %, ?, # and braces");
    } else if (!place || !is_allowed(settings, request, place, rest)) {
        g_autofree char *known = known_ids(settings, request);
        g_autofree char *shown = event_text(id);
        request_fault_say(faults, "source", "there is no training job \"%s\"; there are: %s", shown,
                          known);
    } else {
        resolve(request, id, rest, place, faults);
    }
}
