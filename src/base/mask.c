#include "base/mask.h"

#include <pthread.h>
#include <string.h>

/* The word of a name that speaks of a secret, with what of the name follows it; what stands before
 * it is kept anyway. The end is bounded, so that a long line costs no more than its length. A
 * tokenizer is none. */
#define SECRET                                                                        \
    "(?:secret|passw(?:or)?d|passphrase|pwd|token(?!i[sz])|credential|api[_\\-]?key|" \
    "access[_\\-]?key|private[_\\-]?key)[\\w.\\-]{0,64}|密码|密钥|口令|令牌|凭证"
#define KEY "keys?"

/* A value: as JSON, as JSON inside of a JSON string, as a list or an object, or up to a blank. */
#define VALUE                                                                           \
    "(\\\\\"(?:[^\"\\\\]++|\\\\[^\"])*+\\\\\"|\"(?:[^\"\\\\]++|\\\\.)*+\"|'[^'\\n]*+'|" \
    "\\[[^\\]]*+\\]|\\{[^}]*+\\}|[^\\s&<>]++)"
#define QUOTE "(?:\\\\?[\"'])?"

/* Of each: group 1 stays, what follows it is masked. */
static const char *const PATTERNS[] = {
    /* PEM: up to its end, or up to what is no base64 */
    "(-----BEGIN [A-Z0-9 ]*PRIVATE KEY-----)(?!\\*)(?:[A-Za-z0-9+/=\\s]|\\\\[nr])*+",
    /* URL: the user-info (RFC 3986, 3.2.1); then one whose password has a slash */
    "([a-z0-9+.\\-]:(?:\\\\?/){2})[^\\s/\\\\\"'<>?#]*@",
    "([a-z0-9+.\\-]:(?:\\\\?/){2})[^\\s/:@\"'<>]+:(?![0-9]{1,5}(?:[/?#\\s]|$))"
    "[^\\s\"'<>@]*@",
    /* headers */
    "((?:authorization|cookie)" QUOTE "\\s*[:=]\\s*" QUOTE ")[^\\r\\n\"'\\\\]+",
    "(\\bbearer\\s+)[\\w.~+/=\\-]{12,}",
    "(\\bbasic\\s+)[A-Za-z0-9+/]{8,}={1,2}",
    /* by their form */
    "((?<![A-Za-z0-9]))(?:(?-i:A(?:KI|SI|RO|ID|GP|NP|NV)A[A-Z0-9]{12,})|gh[pousr]_[A-Za-z0-9]{20,}|"
    "wb[asl]?_[\\w\\-]{20,}|"
    "github_pat_\\w{20,}|glpat-[\\w\\-]{15,}|hf_[A-Za-z0-9]{20,}|sk-[\\w\\-]{20,}|"
    "xox[abeprs]-[\\w\\-]{10,}|pypi-[\\w\\-]{20,}|(?-i:eyJ)[\\w\\-]{8,}\\.[\\w\\-]{8,}\\.[\\w\\-]*"
    ")",
    /* by their name */
    "((?:" SECRET ")" QUOTE "\\s*(?::|:|=(?!=))\\s*)" VALUE,
    "((?:" KEY ")(?:\\\\?[\"']\\s*:|" QUOTE "\\s*=(?!=))\\s*)" VALUE,
    "((?:" SECRET ")" QUOTE "(?:\\s+is\\s+|\\s*为\\s*))(?=[\"'])" VALUE,
    "(--?[\\w\\-]{0,64}(?:" SECRET ")\\s+)(?![\\-\\s])" VALUE,
    "(\\blogin\\s+\\S+\\s+password\\s+)\\S+",
    "([?&](?:[\\w\\-]{0,64}signature|sig)=)[^\\s&\"'<>]+",
};

typedef struct {
    GRegex *rows[G_N_ELEMENTS(PATTERNS)], *name;
} Patterns;

static GRegex *pattern_new(const char *pattern)
{
    g_autoptr(GError) error = NULL;
    GRegex *regex = g_regex_new(pattern, G_REGEX_CASELESS | G_REGEX_OPTIMIZE, 0, &error);
    if (!regex)
        g_error("%s: %s", pattern, error->message);
    return regex;
}

static Patterns all_patterns;

static void make_patterns(void)
{
    for (size_t i = 0; i < G_N_ELEMENTS(PATTERNS); i++)
        all_patterns.rows[i] = pattern_new(PATTERNS[i]);
    all_patterns.name =
        pattern_new("^(?:.*(?:" SECRET "|" KEY ")|(?:proxy-)?authorization|(?:set-)?cookie)$");
}

/* pthread's once, not GLib's: TSan can see that. */
static const Patterns *patterns(void)
{
    static pthread_once_t made = PTHREAD_ONCE_INIT;
    pthread_once(&made, make_patterns);
    return &all_patterns;
}

/* What stands around a value stays, so that JSON is still JSON; and so do its line ends. */
static gboolean mask_match(const GMatchInfo *match, GString *result, gpointer data)
{
    g_autofree char *kept = g_match_info_fetch(match, 1);
    g_autofree char *all = g_match_info_fetch(match, 0);
    const char *value = all + strlen(kept);
    const char *open = *value == '\\' ? "\\\"" : "", *shut = open;
    static const char *const PAIRS[] = {"\"\"", "''", "[]", "{}"};
    char around[2][2] = {"", ""};
    for (size_t i = 0; i < G_N_ELEMENTS(PAIRS); i++) {
        size_t length = strlen(value);
        if (length > 1 && *value == PAIRS[i][0] && value[length - 1] == PAIRS[i][1]) {
            around[0][0] = PAIRS[i][0];
            around[1][0] = PAIRS[i][1];
            open = around[0];
            shut = around[1];
        }
    }
    bool is_user = g_str_has_suffix(value, "@");
    g_string_append_printf(result, "%s%s" MASK "%s%s", kept, open, shut, is_user ? "@" : "");
    for (const char *at = strchr(value, '\n'); at; at = strchr(at + 1, '\n'))
        g_string_append_c(result, '\n');
    return FALSE;
}

char *mask_text(const char *text)
{
    char *masked = g_utf8_make_valid(text, -1);
    for (size_t i = 0; i < G_N_ELEMENTS(PATTERNS); i++) {
        g_autoptr(GError) error = NULL;
        char *next =
            g_regex_replace_eval(patterns()->rows[i], masked, -1, 0, 0, mask_match, NULL, &error);
        g_free(masked);
        if (!next) /* too hard to look through: nothing of it is shown */
            return g_strdup(MASK);
        masked = next;
    }
    return masked;
}

bool mask_is_secret_name(const char *name)
{
    return !g_utf8_validate(name, -1, NULL) || g_regex_match(patterns()->name, name, 0, NULL);
}

/* -- JSON -- */

static json_t *text_masked(const char *text)
{
    g_autofree char *masked = mask_text(text);
    return json_string(masked);
}

/* Whether they are lines of one text. */
static bool is_lines(const json_t *array)
{
    size_t i;
    const json_t *element;
    json_array_foreach (array, i, element)
        if (!json_is_string(element) || strchr(json_string_value(element), '\n'))
            return false;
    return json_array_size(array) > 0;
}

/* A name may stand in one line and its value in the next one. */
static json_t *lines_masked(const json_t *array)
{
    GString *text = g_string_new(NULL);
    size_t i;
    const json_t *element;
    json_array_foreach (array, i, element)
        g_string_append_printf(text, "%s%s", i > 0 ? "\n" : "", json_string_value(element));
    g_autofree char *masked = mask_text(text->str);
    g_string_free(text, TRUE);
    g_auto(GStrv) lines = g_strsplit(masked, "\n", -1);
    bool whole = g_strv_length(lines) == json_array_size(array);
    json_t *result = json_array();
    json_array_foreach (array, i, element)
        json_array_append_new(result, json_string(whole ? lines[i] : MASK));
    return result;
}

static json_t *all_masked(const json_t *value)
{
    if (json_is_boolean(value) || json_is_null(value))
        return json_incref((json_t *)value);
    if (!json_is_array(value) || json_array_size(value) == 0)
        return json_string(MASK);
    return json_pack("[s]", MASK);
}

/* "/db/password": what was found there is the secret itself. */
static bool names_secret(const json_t *pointer)
{
    const char *text = json_string_value(pointer), *last = text ? strrchr(text, '/') : NULL;
    return last && mask_is_secret_name(last + 1);
}

static json_t *object_masked(const json_t *object)
{
    json_t *result = json_object();
    const char *key;
    json_t *member;
    bool found_is_secret = names_secret(json_object_get(object, "pointer"));
    json_object_foreach ((json_t *)object, key, member) {
        g_autofree char *shown = mask_text(key);
        bool secret = mask_is_secret_name(key) || (found_is_secret && strcmp(key, "found") == 0);
        json_object_set_new(result, shown, secret ? all_masked(member) : mask_json(member));
    }
    return result;
}

json_t *mask_json(const json_t *value)
{
    if (json_is_string(value))
        return text_masked(json_string_value(value));
    if (json_is_object(value))
        return object_masked(value);
    if (!json_is_array(value))
        return json_incref((json_t *)value);
    if (is_lines(value))
        return lines_masked(value);
    json_t *result = json_array();
    size_t i;
    const json_t *element;
    json_array_foreach (value, i, element)
        json_array_append_new(result, mask_json(element));
    return result;
}

/* -- paths -- */

static bool is_of_name(char c)
{
    return g_ascii_isalnum(c) || c == '_' || c == '-' || c == '.' || (unsigned char)c >= 0x80;
}

char *mask_path(const char *text, const char *directory, const char *shown)
{
    size_t length = directory ? strlen(directory) : 0;
    while (length > 1 && directory[length - 1] == '/')
        length--;
    GString *result = g_string_new(NULL);
    for (const char *at = text; *at;) {
        bool here = length > 1 && strncmp(at, directory, length) == 0 && !is_of_name(at[length]) &&
                    (at == text || !is_of_name(at[-1]));
        if (here)
            g_string_append(result, shown);
        else
            g_string_append_c(result, *at);
        at += here ? length : 1;
    }
    return g_string_free(result, FALSE);
}
