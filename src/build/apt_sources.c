#include "build/apt_sources.h"

#include <string.h>

#define ARCHIVE  "http://deb.debian.org/debian"
#define SECURITY "http://deb.debian.org/debian-security"

typedef struct {
    const char *release;
    GString *lines;
} Sources;

static void add_line(Sources *sources, const char *options, const char *url, const char *suite)
{
    g_autofree char *line = g_strdup_printf("deb %s%s%s %s main\n", options ? options : "",
                                            options ? " " : "", url, suite);
    if (!strstr(sources->lines->str, line))
        g_string_append(sources->lines, line);
}

static void add_mirror(Sources *sources, const char *url)
{
    g_autofree char *plain = g_strdup(url);
    while (g_str_has_suffix(plain, "/"))
        plain[strlen(plain) - 1] = '\0';
    bool security = g_str_has_suffix(plain, "-security");
    g_autofree char *suite = g_strconcat(sources->release, security ? "-security" : "", NULL);
    g_autofree char *updates = g_strconcat(sources->release, "-updates", NULL);
    add_line(sources, NULL, plain, suite);
    if (!security)
        add_line(sources, NULL, plain, updates);
}

static bool is_url(const char *text)
{
    static const char *const SCHEMES[] = {"http://", "https://", "file:/", "copy:/"};
    for (size_t i = 0; i < G_N_ELEMENTS(SCHEMES); i++)
        if (g_str_has_prefix(text, SCHEMES[i]) && text[strlen(SCHEMES[i])])
            return !strpbrk(text, "[]#\"'\\\n");
    return false;
}

/* -- the machine's own -- */

static bool is_wanted(const Sources *sources, const char *url, const char *suite)
{
    if (!*sources->release) /* any */
        return is_url(url);
    const char *rest = suite + strlen(sources->release);
    return is_url(url) && g_str_has_prefix(suite, sources->release) &&
           (!*rest || strcmp(rest, "-updates") == 0 || strcmp(rest, "-security") == 0);
}

/* deb [options] URL SUITE COMPONENT... */
static void read_one_line(Sources *sources, const char *line)
{
    g_autofree char *options = NULL;
    if (!g_str_has_prefix(line, "deb ") && !g_str_has_prefix(line, "deb\t"))
        return;
    line += 4;
    line += strspn(line, " \t");
    const char *end = *line == '[' ? strchr(line, ']') : NULL;
    if (end) {
        options = g_strndup(line, (gsize)(end - line) + 1);
        line = end + 1;
    }
    g_auto(GStrv) words = g_strsplit_set(line + strspn(line, " \t"), " \t", -1);
    if (g_strv_length(words) >= 3 && g_strv_contains((const char *const *)words + 2, "main") &&
        is_wanted(sources, words[0], words[1]))
        add_line(sources, options, words[0], words[1]);
}

static void read_list(Sources *sources, const char *text)
{
    g_auto(GStrv) lines = g_strsplit(text, "\n", -1);
    for (char **line = lines; *line; line++)
        read_one_line(sources, g_strstrip(*line));
}

/* A field of a deb822 stanza, its value in one line; NULL: it has none. */
static char *stanza_field(const char *stanza, const char *name)
{
    g_auto(GStrv) lines = g_strsplit(stanza, "\n", -1);
    g_autoptr(GString) value = NULL;
    size_t length = strlen(name);
    for (char **line = lines; *line; line++) {
        if (**line == '#')
            continue;
        if (value && (**line == ' ' || **line == '\t'))
            g_string_append_printf(value, " %s", g_strstrip(*line));
        else if (value)
            break;
        else if (g_ascii_strncasecmp(*line, name, length) == 0 && (*line)[length] == ':')
            value = g_string_new(g_strstrip(*line + length + 1));
    }
    return value ? g_string_free(g_steal_pointer(&value), FALSE) : NULL;
}

static void read_stanza(Sources *sources, const char *stanza)
{
    g_autofree char *types = stanza_field(stanza, "Types"), *urls = stanza_field(stanza, "URIs");
    g_autofree char *suites = stanza_field(stanza, "Suites");
    g_autofree char *enabled = stanza_field(stanza, "Enabled");
    g_autofree char *components = stanza_field(stanza, "Components");
    g_autofree char *signed_by = stanza_field(stanza, "Signed-By");
    if (!types || !urls || !suites || !components || (enabled && strcmp(enabled, "no") == 0))
        return;
    g_auto(GStrv) type = g_strsplit(types, " ", -1), component = g_strsplit(components, " ", -1);
    if (!g_strv_contains((const char *const *)type, "deb") ||
        !g_strv_contains((const char *const *)component, "main"))
        return;
    g_autofree char *options = signed_by && *signed_by == '/' && !strpbrk(signed_by, " ]")
                                   ? g_strdup_printf("[signed-by=%s]", signed_by)
                                   : NULL;
    g_auto(GStrv) url = g_strsplit(urls, " ", -1), suite = g_strsplit(suites, " ", -1);
    for (char **one = url; *one; one++)
        for (char **of = suite; *of; of++)
            if (is_wanted(sources, *one, *of))
                add_line(sources, options, *one, *of);
}

/* Stanzas stand between empty lines. */
static void read_stanzas(Sources *sources, const char *text)
{
    g_auto(GStrv) stanzas = g_regex_split_simple("\n[ \t]*\n", text, 0, 0);
    for (char **stanza = stanzas; *stanza; stanza++)
        read_stanza(sources, *stanza);
}

static void read_file(Sources *sources, const char *directory, const char *name)
{
    g_autofree char *path = g_build_filename(directory, name, NULL), *text = NULL;
    if (!g_file_get_contents(path, &text, NULL, NULL))
        return;
    if (g_str_has_suffix(name, ".sources"))
        read_stanzas(sources, text);
    else if (g_str_has_suffix(name, ".list"))
        read_list(sources, text);
}

static gint by_name(gconstpointer a, gconstpointer b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static void read_machine(Sources *sources, const char *etc_apt)
{
    g_autofree char *directory = g_build_filename(etc_apt, "sources.list.d", NULL);
    g_autoptr(GDir) entries = g_dir_open(directory, 0, NULL);
    g_autoptr(GPtrArray) names = g_ptr_array_new_with_free_func(g_free);
    read_file(sources, etc_apt, "sources.list");
    for (const char *name; entries && (name = g_dir_read_name(entries));)
        g_ptr_array_add(names, g_strdup(name));
    g_ptr_array_sort(names, by_name);
    for (guint i = 0; i < names->len; i++)
        read_file(sources, directory, names->pdata[i]);
}

/* -- the three -- */

static bool fail_setting(const char *url, GError **error)
{
    g_set_error(error, SETTINGS_ERROR, 0, "build.apt_mirror has %s, expected URLs such as " ARCHIVE,
                url);
    return false;
}

static bool read_setting(Sources *sources, const char *mirrors, GError **error)
{
    g_auto(GStrv) urls = g_strsplit(mirrors, " ", -1);
    for (char **url = urls; *url; url++) {
        if (!**url)
            continue;
        if (!is_url(*url))
            return fail_setting(*url, error);
        add_mirror(sources, *url);
    }
    return true;
}

char *apt_sources(const Settings *settings, const char *etc_apt, const char *release, char **origin,
                  GError **error)
{
    g_autoptr(GString) lines = g_string_new(NULL);
    Sources sources = {release, lines};
    const char *found = "build.apt_mirror";
    if (!read_setting(&sources, settings_text(settings, "build.apt_mirror"), error))
        return NULL;
    if (lines->len == 0) {
        found = etc_apt;
        read_machine(&sources, etc_apt);
    }
    if (lines->len == 0) {
        found = "deb.debian.org";
        add_mirror(&sources, ARCHIVE);
        add_mirror(&sources, SECURITY);
    }
    if (origin)
        *origin = g_strdup(found);
    return g_string_free(g_steal_pointer(&lines), FALSE);
}

/* The first URL among the options and words of a line that apt would fetch from; NULL: none. */
static const char *url_of_line(char **words)
{
    for (; *words; words++)
        if (g_str_has_prefix(*words, "http://") || g_str_has_prefix(*words, "https://"))
            return *words;
    return NULL;
}

void apt_machine_mirrors(const char *etc_apt, char **archive, char **security)
{
    g_autoptr(GString) text = g_string_new(NULL);
    Sources sources = {"", text};
    *archive = *security = NULL;
    read_machine(&sources, etc_apt);
    g_auto(GStrv) lines = g_strsplit(text->str, "\n", -1);
    for (char **line = lines; *line; line++) {
        g_auto(GStrv) words = g_strsplit(*line, " ", -1);
        const char *url = url_of_line(words);
        char **to = strstr(*line, "-security") ? security : archive;
        if (url && !*to)
            *to = g_strdup(url);
    }
}

bool apt_mirrors_of(const char *setting, char **archive, char **security, GError **error)
{
    g_auto(GStrv) urls = g_strsplit(setting, " ", -1);
    *archive = *security = NULL;
    for (char **url = urls; *url; url++) {
        char **to = g_str_has_suffix(*url, "-security") ? security : archive;
        if (**url && !is_url(*url))
            return fail_setting(*url, error);
        if (**url && !*to)
            *to = g_strdup(*url);
    }
    return true;
}
