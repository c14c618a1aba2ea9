#include "model/config_check.h"

#include <string.h>

#define MAX_LISTED 20 /* names in a listing, as everywhere in evidence */

typedef struct {
    size_t start;
    Event *event;
} Fault;

static void fault_free(gpointer data)
{
    Fault *fault = data;
    event_free(fault->event);
    g_free(fault);
}

bool check_is_image(const Check *check)
{
    return g_strcmp0(check->model_type, "Image") == 0;
}

bool check_is_engine(const Check *check)
{
    return check->model_type && !check_is_image(check);
}

bool check_counts(Check *check)
{
    check->count++;
    return !check->silent && (!check->faults || check->faults->len < CONFIG_MAX_FAULTS);
}

Event *check_add(Check *check, Event *event, const Spot *spot)
{
    if (!check->faults)
        check->faults = g_ptr_array_new_with_free_func(fault_free);
    Fault *fault = g_new0(Fault, 1);
    fault->start = spot->start;
    fault->event = event;
    g_ptr_array_add(check->faults, fault);

    event_with_text(event, "file", check->config->file);
    event_with(event, "{s:s, s:i, s:i, s:s, s:s}", "pointer", spot->pointer, "line", spot->line,
               "column", spot->column, "found", spot->found, "expected", spot->expected);
    event_with_json(event, "snippet",
                    document_snippet(check->document, spot->line, spot->start, spot->length));
    return event;
}

Event *check_add_at(Check *check, Event *event, const Node *value, const char *expected)
{
    g_autofree char *pointer = node_pointer(value);
    g_autofree char *found = node_found(check->document, value);
    return check_add(check, event,
                     &(Spot){value->line, value->column, value->start, value->length, pointer,
                             found, expected});
}

Event *check_fault(Check *check, const char *kind, const Node *value, const char *expected)
{
    if (!check_counts(check))
        return NULL;
    g_autofree char *parameter = node_dotted(value);
    Event *event = event_with_kind(event_config_value_invalid(parameter), kind);
    return check_add_at(check, event, value, expected);
}

Event *check_broken(Check *check, const Field *field, const Node *value)
{
    g_autofree char *alternatives = field->choices ? text_alternatives(field->choices) : NULL;
    Event *event =
        check_fault(check, "value", value, field->expected ? field->expected : alternatives);
    if (event && field->choices && value->kind == NODE_STRING) {
        const char *nearest = text_nearest(value->text, field->choices);
        if (nearest)
            event_with(event, "{s:s}", "nearest", nearest);
    }
    return event;
}

/* The member whose key was perhaps meant to be this one. */
static const Node *misspelt_member(const Node *object, const char *key)
{
    for (guint i = 0; i < object->children->len; i++) {
        const Node *member = object->children->pdata[i];
        if (text_nearest(member->key, (const char *const[]){key, NULL}))
            return member;
    }
    return NULL;
}

void check_missing(Check *check, const Node *object, const char *key, const char *expected,
                   const char *example)
{
    if (!check_counts(check))
        return;
    g_autofree char *parameter = node_member_dotted(object, key);
    g_autofree char *pointer = node_member_pointer(object, key);
    Event *event = event_with_kind(event_config_value_invalid(parameter), "missing");
    check_add(check, event,
              &(Spot){object->line, object->column, object->start, 1, pointer, "missing",
                      expected});
    event_with(event, "{s:s}", "example", example);
    const Node *misspelt = misspelt_member(object, key);
    if (misspelt)
        event_with(event, "{s:s}", "nearest", misspelt->key);
}

void check_warn(Check *check, const Node *node)
{
    if (check->strict)
        check_fault(check, "value", node, "nothing: there is no such field");
    else if (!check->silent)
        g_ptr_array_add(check->config->warnings, node_dotted(node));
}

void check_field(Check *check, const Field *field, const Node *value)
{
    if (value->faulty)
        return;
    if (field->image_only && check_is_engine(check)) {
        g_autofree char *expected = g_strdup_printf("no %s: only a custom image (model_type Image) "
                                                    "has it",
                                                    field->key);
        check_fault(check, "value", value, expected);
    } else if (!(field->kinds & KIND(value->kind))) {
        check_broken(check, field, value);
    } else if (field->rule) {
        field->rule(check, field, value);
    }
}

static bool table_has(const Field *table, const char *key)
{
    for (; table->key; table++) {
        if (strcmp(table->key, key) == 0)
            return true;
    }
    return false;
}

void check_members(Check *check, const Node *object, const Field *table)
{
    for (const Field *field = table; field->key; field++) {
        const Node *value = node_member(object, field->key);
        if (value) {
            check_field(check, field, value);
        } else if (field->example) {
            g_autofree char *alternatives =
                field->choices ? text_alternatives(field->choices) : NULL;
            check_missing(check, object, field->key,
                          field->expected ? field->expected : alternatives, field->example);
        }
    }
    for (guint i = 0; i < object->children->len; i++) {
        const Node *member = object->children->pdata[i];
        if (!member->faulty && !table_has(table, member->key))
            check_warn(check, member);
    }
}

void rule_members(Check *check, const Field *field, const Node *value)
{
    check_members(check, value, field->members);
}

void rule_elements(Check *check, const Field *field, const Node *value)
{
    for (guint i = 0; i < value->children->len; i++)
        check_field(check, field->members, value->children->pdata[i]);
}

void rule_choice(Check *check, const Field *field, const Node *value)
{
    for (const char *const *choice = field->choices; *choice; choice++) {
        if (g_ascii_strcasecmp(*choice, value->text) == 0)
            return;
    }
    check_broken(check, field, value);
}

void rule_integer(Check *check, const Field *field, const Node *value)
{
    if (!g_ascii_string_to_signed(value->text, 10, field->least, field->most, NULL, NULL))
        check_broken(check, field, value);
}

static gint compare_places(gconstpointer a, gconstpointer b)
{
    const Fault *left = *(const Fault *const *)a, *right = *(const Fault *const *)b;
    return left->start < right->start ? -1 : left->start > right->start;
}

/* What stands for the faults beyond CONFIG_MAX_FAULTS. */
static Event *surplus_event(const Check *check, guint surplus)
{
    g_autofree char *found = g_strdup_printf("%u faults more", surplus);
    Event *event = event_config_value_invalid("config.json");
    event_with_text(event, "file", check->config->file);
    return event_with(event, "{s:s, s:i, s:i, s:s, s:s, s:o}", "pointer", "", "line", 1, "column",
                      1, "found", found, "expected", "none: repair those told first, then again",
                      "snippet", document_snippet(check->document, 1, 0, 1));
}

void check_finish(Check *check, Findings *findings)
{
    if (!check->faults)
        return;
    g_ptr_array_sort(check->faults, compare_places);
    for (guint i = 0; i < check->faults->len; i++) {
        Fault *fault = check->faults->pdata[i];
        findings_add(findings, g_steal_pointer(&fault->event));
    }
    if (check->count > check->faults->len)
        findings_add(findings, surplus_event(check, check->count - check->faults->len));
    g_clear_pointer(&check->faults, g_ptr_array_unref);
}

bool text_is_among(const char *text, const char *const *choices)
{
    return g_strv_contains(choices, text);
}

char *text_alternatives(const char *const *choices)
{
    GString *text = g_string_new(NULL);
    guint count = g_strv_length((char **)choices), shown = MIN(count, MAX_LISTED);
    for (guint i = 0; i < shown; i++) {
        const char *joint = i == 0 ? "" : i + 1 == count ? " or " : ", ";
        g_string_append_printf(text, "%s%s", joint, choices[i]);
    }
    if (shown < count)
        g_string_append(text, ", …");
    return g_string_free(text, FALSE);
}

json_t *text_listing(const char *const *names)
{
    json_t *listing = json_array();
    for (int i = 0; names[i] && i < MAX_LISTED; i++)
        json_array_append_new(listing, json_string(names[i]));
    return listing;
}
