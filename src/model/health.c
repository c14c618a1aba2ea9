/* health, readiness_health, startup_health: how the service asks a custom image whether it lives.
 */
#include "model/config_check.h"

#include <string.h>

#define DEFAULT_HEALTH_URL "/health"

static const char *const CHECK_METHODS[] = {"HTTP", "EXEC", NULL};

static void rule_health_url(Check *check, const Field *field, const Node *value)
{
    const char *required =
        check->context->health_url ? check->context->health_url : DEFAULT_HEALTH_URL;
    if (strcmp(value->text, required) == 0 || !check_counts(check))
        return;
    Event *event = check_add_at(check, event_health_check_url_invalid(required), value, required);
    event_with(event, "{s:s}", "setting", "image.health_url");
}

static void rule_command(Check *check, const Field *field, const Node *value)
{
    if (!*value->text)
        check_broken(check, field, value);
}

#define SECONDS_OR_TIMES(name, minimum)                                                    \
    {                                                                                      \
        .key = name, .kinds = KIND(NODE_NUMBER) | KIND(NODE_STRING), .rule = rule_integer, \
        .least = minimum, .most = G_MAXINT32,                                              \
        .expected = "a whole number from " #minimum " to 2147483647"                       \
    }

#define COMMAND_RULE "the command that check_method EXEC runs"

const Field HEALTH_MEMBERS[] = {
    {
        .key = "check_method",
        .kinds = KIND(NODE_STRING),
        .rule = rule_choice,
        .choices = CHECK_METHODS,
    },
    {
        .key = "protocol",
        .kinds = KIND(NODE_STRING),
        .rule = rule_choice,
        .choices = PROTOCOLS,
    },
    {
        .key = "url",
        .kinds = KIND(NODE_STRING),
        .expected = "a path that begins with /",
        .rule = rule_health_url,
    },
    {
        .key = "command",
        .kinds = KIND(NODE_STRING),
        .expected = COMMAND_RULE,
        .rule = rule_command,
    },
    SECONDS_OR_TIMES("initial_delay_seconds", 0),
    SECONDS_OR_TIMES("timeout_seconds", 1),
    SECONDS_OR_TIMES("period_seconds", 1),
    SECONDS_OR_TIMES("failure_threshold", 1),
    {0},
};

void rule_health(Check *check, const Field *field, const Node *value)
{
    check_members(check, value, field->members);
    const Node *method = node_member(value, "check_method");
    if (method && method->kind == NODE_STRING && g_ascii_strcasecmp(method->text, "EXEC") == 0 &&
        !node_member(value, "command"))
        check_missing(check, value, "command", COMMAND_RULE, "\"command\": \"cat /tmp/alive\"");
}
