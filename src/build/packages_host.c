#include "build/packages_host.h"

#include <string.h>

#include "build/apt_sources.h"

struct PackagesHost {
    GHashTable *pip; /* option (index-url) -> value */
    char *mirror, *security;
};

/* -- pip -- */

/* Python's configparser: sections, key = value, lines that begin with a blank go on. */
static void read_pip_conf(GHashTable *values, const char *path)
{
    g_autofree char *text = NULL, *key = NULL;
    bool ours = false;
    if (!path || !g_file_get_contents(path, &text, NULL, NULL))
        return;
    g_auto(GStrv) lines = g_strsplit(text, "\n", -1);
    for (int i = 0; lines[i]; i++) {
        char *line = lines[i], *value = strpbrk(line, "=:");
        if (g_ascii_isspace(*line) && key && *g_strstrip(line) && *line != '#') {
            const char *before = g_hash_table_lookup(values, key);
            g_hash_table_replace(values, g_strdup(key),
                                 g_strconcat(before ? before : "", "\n", line, NULL));
        } else if (*line == '[') {
            ours = g_str_has_prefix(line, "[global]") || g_str_has_prefix(line, "[install]");
            g_clear_pointer(&key, g_free);
        } else if (value && ours && *line != '#' && *line != ';') {
            *value++ = '\0';
            g_free(key);
            key = g_strdelimit(g_ascii_strdown(g_strstrip(line), -1), "_", '-');
            g_hash_table_replace(values, g_strdup(key), g_strdup(g_strstrip(value)));
        }
    }
}

static void read_pip(PackagesHost *host)
{
    static const char *const OPTIONS[] = {"index-url",  "extra-index-url",
                                          "find-links", "trusted-host",
                                          "cert",       "no-index"};
    g_autofree char *user = g_build_filename(g_get_user_config_dir(), "pip/pip.conf", NULL);
    g_autofree char *legacy = g_build_filename(g_get_home_dir(), ".pip/pip.conf", NULL);
    read_pip_conf(host->pip, "/etc/pip.conf");
    read_pip_conf(host->pip, legacy);
    read_pip_conf(host->pip, user);
    read_pip_conf(host->pip, g_getenv("PIP_CONFIG_FILE"));
    for (size_t i = 0; i < G_N_ELEMENTS(OPTIONS); i++) {
        g_autofree char *upper = g_ascii_strup(OPTIONS[i], -1);
        g_autofree char *name = g_strconcat("PIP_", g_strdelimit(upper, "-", '_'), NULL);
        if (g_getenv(name))
            g_hash_table_replace(host->pip, g_strdup(OPTIONS[i]), g_strdup(g_getenv(name)));
    }
}

PackagesHost *packages_host_read(void)
{
    PackagesHost *host = g_new0(PackagesHost, 1);
    host->pip = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free);
    read_pip(host);
    apt_machine_mirrors("/etc/apt", &host->mirror, &host->security);
    return host;
}

void packages_host_free(PackagesHost *host)
{
    g_hash_table_unref(host->pip);
    g_free(host->mirror);
    g_free(host->security);
    g_free(host);
}

static void fill_list(GPtrArray *list, const char *text)
{
    g_auto(GStrv) words = g_strsplit_set(list->len || !text ? "" : text, " \t\n", -1);
    for (int i = 0; words[i]; i++)
        if (*words[i])
            g_ptr_array_add(list, g_strdup(words[i]));
}

void packages_host_fill(const PackagesHost *host, PackageSources *sources)
{
    const char *index = g_hash_table_lookup(host->pip, "index-url");
    const char *none = g_hash_table_lookup(host->pip, "no-index");
    const char *ca = g_hash_table_lookup(host->pip, "cert");
    bool no_index = none && (*none == '1' || *none == 't' || *none == 'T' || *none == 'y');
    if (!sources->index && !no_index)
        sources->index = g_strdup(index);
    if (!no_index)
        fill_list(sources->extra, g_hash_table_lookup(host->pip, "extra-index-url"));
    fill_list(sources->links, g_hash_table_lookup(host->pip, "find-links"));
    fill_list(sources->trusted, g_hash_table_lookup(host->pip, "trusted-host"));
    if (!sources->ca_file)
        sources->ca_file = g_strdup(ca);
    if (!sources->mirror) {
        sources->mirror = g_strdup(host->mirror);
        sources->security = g_strdup(host->security);
    }
}
