#include "event/advice.h"

#include <string.h>

#include "event/template.h"

#define REPLACE "replace:"
#define CHINESE "_zh"

/* What one key says, both its languages. */
typedef struct {
    const CatalogRow *reason;
    const char *kind; /* of its row; NULL: every kind */
    char *text[2];    /* NULL: nothing in that language */
} Advice;

static GPtrArray *house; /* of Advice; NULL: none was handed in */
static char *contacts[2];

static void advice_free(gpointer data)
{
    Advice *advice = data;
    g_free(advice->text[LANGUAGE_EN]);
    g_free(advice->text[LANGUAGE_ZH]);
    g_free(advice);
}

/* -- reading it -- */

static bool refuse(const SettingEntry *entry, GError **error, const char *format, ...)
    G_GNUC_PRINTF(3, 4);

static bool refuse(const SettingEntry *entry, GError **error, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    g_autofree char *message = g_strdup_vprintf(format, arguments);
    va_end(arguments);
    g_set_error(error, SETTINGS_ERROR, 0, "%s: advice.%s: %s", entry->origin, entry->key, message);
    return false;
}

/* "none", "link_outside, link_loop": of the reason's kinds that have a name. */
static char *kinds_listed(const CatalogRow *reason)
{
    GString *list = g_string_new(NULL);
    for (size_t i = 0; i < kind_count(); i++) {
        const KindRow *row = kind_row(i);
        if (catalog_row(row->reason) == reason && *row->kind)
            g_string_append_printf(list, "%s%s", list->len ? ", " : "", row->kind);
    }
    return g_string_free(list->len ? list : g_string_append(list, "none"), FALSE);
}

static bool has_steps(const CatalogRow *reason)
{
    for (size_t i = 0; i < kind_count(); i++)
        if (catalog_row(kind_row(i)->reason) == reason && kind_row(i)->fix_by != FIX_BY_CAUSE)
            return true;
    return false;
}

static bool reason_parse(const SettingEntry *entry, const char *name, const CatalogRow **reason,
                         GError **error)
{
    *reason = g_ascii_isdigit(*name) ? NULL : catalog_find(name);
    if (!*reason) {
        g_autofree const CatalogRow **nearest = catalog_nearest(name);
        if (nearest && nearest[0])
            return refuse(entry, error, "there is no event %s; did you mean %s?", name,
                          nearest[0]->reason);
        return refuse(entry, error, "there is no event %s; waybill explain lists all", name);
    }
    return has_steps(*reason) ||
           refuse(entry, error, "%s has no steps of its own", (*reason)->reason);
}

/* *kind: as its row has it; NULL: the key names none. */
static bool kind_parse(const SettingEntry *entry, const CatalogRow *reason, const char *name,
                       const char **kind, GError **error)
{
    *kind = NULL;
    for (size_t i = 0; name && i < kind_count(); i++)
        if (catalog_row(kind_row(i)->reason) == reason && *name &&
            strcmp(kind_row(i)->kind, name) == 0)
            *kind = kind_row(i)->kind;
    if (!name || *kind)
        return true;
    g_autofree char *kinds = kinds_listed(reason);
    return refuse(entry, error, "%s has no kind %s; its kinds: %s", reason->reason, name, kinds);
}

static bool is_meant(const Advice *advice, const KindRow *row)
{
    return advice->reason == catalog_row(row->reason) &&
           (!advice->kind || strcmp(advice->kind, row->kind) == 0);
}

/* A field that no kind meant here has would leave the step out for ever. */
static bool text_check(const SettingEntry *entry, const Advice *advice, const char *text,
                       GError **error)
{
    json_t *fields = json_pack("{s:s, s:{s:s}}", "model", "", "support", "contact", "");
    for (size_t i = 0; i < kind_count(); i++) {
        json_t *example =
            is_meant(advice, kind_row(i)) ? json_loads(kind_row(i)->example, 0, NULL) : NULL;
        json_object_update_missing(fields, example);
        json_decref(example);
    }
    g_autofree char *fault = template_fault(text, fields);
    json_decref(fields);
    for (const char *at = text; !fault && *at; at = g_utf8_next_char(at))
        if (*at != '\n' && g_unichar_iscntrl(g_utf8_get_char(at)))
            fault = g_strdup("there is a control character in it");
    return !fault || refuse(entry, error, "%s", fault);
}

static Advice *advice_of(GPtrArray *list, const CatalogRow *reason, const char *kind)
{
    for (guint i = 0; i < list->len; i++) {
        Advice *advice = list->pdata[i];
        if (advice->reason == reason && g_strcmp0(advice->kind, kind) == 0)
            return advice;
    }
    Advice *advice = g_new0(Advice, 1);
    advice->reason = reason;
    advice->kind = kind;
    g_ptr_array_add(list, advice);
    return advice;
}

static bool entry_read(GPtrArray *list, const SettingEntry *entry, bool chinese, GError **error)
{
    g_autofree char *key =
        g_strndup(entry->key, strlen(entry->key) - (chinese ? strlen(CHINESE) : 0));
    g_auto(GStrv) names = g_strsplit(key, ".", 2);
    const CatalogRow *reason;
    const char *kind;
    if (!reason_parse(entry, names[0] ? names[0] : "", &reason, error) ||
        !kind_parse(entry, reason, names[0] ? names[1] : NULL, &kind, error))
        return false;
    if (!g_utf8_validate(entry->value, -1, NULL) || !*g_strstrip(entry->value))
        return refuse(entry, error, "expected text in UTF-8");
    Advice *advice = advice_of(list, reason, kind);
    const char *text = entry->value;
    if (!text_check(entry, advice, text, error))
        return false;
    for (int language = chinese ? LANGUAGE_ZH : LANGUAGE_EN; language <= LANGUAGE_ZH; language++) {
        g_free(advice->text[language]);
        advice->text[language] = g_strdup(text);
    }
    return true;
}

bool advice_set(const Settings *settings, GError **error)
{
    g_autoptr(GPtrArray) list = g_ptr_array_new_with_free_func(advice_free);
    const GPtrArray *entries = settings_advice(settings);
    for (int chinese = 0; chinese <= 1; chinese++) /* which may stand first, and is the stronger */
        for (guint i = 0; i < entries->len; i++) {
            const SettingEntry *entry = entries->pdata[i];
            if (g_str_has_suffix(entry->key, CHINESE) == chinese &&
                !entry_read(list, entry, chinese, error))
                return false;
        }
    g_clear_pointer(&house, g_ptr_array_unref);
    house = g_steal_pointer(&list);
    const char *both = settings_text(settings, "support.contact");
    const char *zh = settings_text(settings, "support.contact_zh");
    g_free(contacts[LANGUAGE_EN]);
    g_free(contacts[LANGUAGE_ZH]);
    contacts[LANGUAGE_EN] = *both ? g_strdup(both) : NULL;
    contacts[LANGUAGE_ZH] = *zh ? g_strdup(zh) : g_strdup(contacts[LANGUAGE_EN]);
    return true;
}

/* -- using it -- */

const char *advice_contact(Language language)
{
    return contacts[language];
}

/* Of the kind alone before that of the reason. */
static const char *house_text(const KindRow *row, Language language)
{
    const char *text = NULL;
    for (guint i = 0; house && i < house->len; i++) {
        const Advice *advice = house->pdata[i];
        if (is_meant(advice, row) && advice->text[language] && (advice->kind || !text))
            text = advice->text[language];
    }
    return text;
}

char **advice_steps(const KindRow *row, Language language, char ***own)
{
    char **ours = g_strsplit(row->steps[language], "\n", -1);
    const char *text = house_text(row, language);
    if (own)
        *own = NULL;
    if (!text)
        return ours;
    bool replaces = g_str_has_prefix(text, REPLACE);
    g_autofree char *trimmed = g_strstrip(g_strdup(text + (replaces ? strlen(REPLACE) : 0)));
    g_auto(GStrv) added = g_strsplit(trimmed, "\n", -1);
    g_auto(GStrv) owned G_GNUC_UNUSED = ours; /* freed when this ends */
    guint count = replaces ? 0 : g_strv_length(ours);
    bool retries = count > 0 && strstr(ours[count - 1], "waybill retry {model}");
    g_autoptr(GStrvBuilder) builder = g_strv_builder_new();
    for (guint i = 0; i + retries < count; i++)
        g_strv_builder_add(builder, ours[i]);
    g_strv_builder_addv(builder, (const char **)added);
    if (retries)
        g_strv_builder_add(builder, ours[count - 1]);
    if (own)
        *own = g_steal_pointer(&added);
    return g_strv_builder_end(builder);
}
