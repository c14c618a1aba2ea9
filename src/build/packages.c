#include "build/packages.h"

#include <string.h>

#include "base/mask.h"
#include "build/apt_sources.h"
#include "build/packages_host.h"

static GPtrArray *words_of(const char *text)
{
    GPtrArray *words = g_ptr_array_new_with_free_func(g_free);
    g_auto(GStrv) parts = g_strsplit_set(text ? text : "", " \t\n", -1);
    for (int i = 0; parts[i]; i++)
        if (*parts[i])
            g_ptr_array_add(words, g_strdup(parts[i]));
    return words;
}

static bool is_url(const char *text)
{
    return g_str_has_prefix(text, "http://") || g_str_has_prefix(text, "https://");
}

char *package_host(const char *url)
{
    g_autoptr(GUri) uri = g_uri_parse(url, G_URI_FLAGS_HAS_PASSWORD, NULL);
    const char *host = uri ? g_uri_get_host(uri) : NULL;
    if (!host || !*host)
        return NULL;
    int port = g_uri_get_port(uri);
    if (port <= 0)
        port = strcmp(g_uri_get_scheme(uri), "https") == 0 ? 443 : 80;
    g_autofree char *lower = g_ascii_strdown(host, -1);
    return g_strdup_printf(strchr(lower, ':') ? "[%s]:%d" : "%s:%d", lower, port);
}

static void add_host(PackageSources *sources, const char *url)
{
    char *host = url && is_url(url) ? package_host(url) : NULL;
    if (host && g_ptr_array_find_with_equal_func(sources->hosts, host, g_str_equal, NULL))
        g_free(host);
    else if (host)
        g_ptr_array_add(sources->hosts, host);
}

/* PyPI's own files lie on a host of their own. */
static void add_hosts(PackageSources *sources, const char *further)
{
    add_host(sources, sources->index);
    for (guint i = 0; i < sources->extra->len; i++)
        add_host(sources, sources->extra->pdata[i]);
    for (guint i = 0; i < sources->links->len; i++)
        add_host(sources, sources->links->pdata[i]);
    add_host(sources, sources->mirror);
    add_host(sources, sources->security);
    if (g_ptr_array_find_with_equal_func(sources->hosts, "pypi.org:443", g_str_equal, NULL))
        add_host(sources, "https://files.pythonhosted.org");
    g_autoptr(GPtrArray) words = words_of(further);
    for (guint i = 0; i < words->len; i++)
        g_ptr_array_add(sources->hosts, g_strdup(words->pdata[i]));
}

static bool take_network(PackageSources *sources, const char *setting, GError **error)
{
    static const char *const NAMES[] = {"none", "proxy", "host"};
    sources->network = sources->hosts->len ? SANDBOX_NETWORK_PROXY : SANDBOX_NETWORK_NONE;
    for (size_t i = 0; *setting && i < G_N_ELEMENTS(NAMES); i++)
        if (strcmp(setting, NAMES[i]) == 0) {
            sources->network = (SandboxNetwork)i;
            return true;
        }
    if (!*setting)
        return true;
    g_set_error(error, SETTINGS_ERROR, 0, "build.network is %s; none, proxy or host", setting);
    return false;
}

static char *setting_or_null(const Settings *settings, const char *key)
{
    const char *text = settings_text(settings, key);
    return *text ? g_strdup(text) : NULL;
}

PackageSources *package_sources(const Settings *settings, bool embedded, GError **error)
{
    g_autoptr(PackageSources) sources = g_new0(PackageSources, 1);
    sources->index = setting_or_null(settings, "build.pip_index_url");
    sources->ca_file = setting_or_null(settings, "build.ca_file");
    sources->extra = words_of(settings_text(settings, "build.pip_extra_index_url"));
    sources->links = words_of(settings_text(settings, "build.pip_find_links"));
    sources->trusted = words_of(settings_text(settings, "build.pip_trusted_host"));
    sources->hosts = g_ptr_array_new_with_free_func(g_free);
    if (!apt_mirrors_of(settings_text(settings, "build.apt_mirror"), &sources->mirror,
                        &sources->security, error))
        return NULL;
    if (embedded) {
        PackagesHost *host = packages_host_read();
        packages_host_fill(host, sources);
        packages_host_free(host);
    }
    add_hosts(sources, settings_text(settings, "build.network_hosts"));
    return take_network(sources, settings_text(settings, "build.network"), error)
               ? g_steal_pointer(&sources)
               : NULL;
}

void package_sources_free(PackageSources *sources)
{
    if (!sources)
        return;
    g_free(sources->index);
    g_free(sources->mirror);
    g_free(sources->security);
    g_free(sources->ca_file);
    g_clear_pointer(&sources->extra, g_ptr_array_unref);
    g_clear_pointer(&sources->links, g_ptr_array_unref);
    g_clear_pointer(&sources->trusted, g_ptr_array_unref);
    g_clear_pointer(&sources->hosts, g_ptr_array_unref);
    g_free(sources);
}

bool package_sources_pip(const PackageSources *sources)
{
    if (sources->index || sources->extra->len)
        return sources->network != SANDBOX_NETWORK_NONE;
    for (guint i = 0; i < sources->links->len; i++)
        if (!is_url(sources->links->pdata[i]) || sources->network != SANDBOX_NETWORK_NONE)
            return true;
    return false;
}

bool package_sources_apt(const PackageSources *sources)
{
    return sources->network == SANDBOX_NETWORK_HOST ||
           (sources->mirror && sources->network == SANDBOX_NETWORK_PROXY);
}

static void append(GString *text, const char *what, const char *value)
{
    if (value)
        g_string_append_printf(text, "%s%s %s", text->len ? ", " : "", what, value);
}

char *package_sources_text(const PackageSources *sources)
{
    g_autoptr(GString) text = g_string_new(NULL);
    append(text, "index", sources->index);
    for (guint i = 0; i < sources->extra->len; i++)
        append(text, "extra index", sources->extra->pdata[i]);
    for (guint i = 0; i < sources->links->len; i++)
        append(text, "find-links", sources->links->pdata[i]);
    append(text, "mirror", sources->mirror);
    append(text, "security mirror", sources->security);
    return mask_text(text->str);
}

const char *package_proxy(const Settings *settings, PackageProxy which)
{
    static const struct {
        const char *key, *variable;
    } NAMES[] = {[PACKAGE_PROXY_HTTP] = {"build.http_proxy", "http_proxy"},
                 [PACKAGE_PROXY_HTTPS] = {"build.https_proxy", "https_proxy"},
                 [PACKAGE_PROXY_NONE] = {"build.no_proxy", "no_proxy"}};
    const char *text = settings_text(settings, NAMES[which].key);
    const char *otherwise = g_getenv(NAMES[which].variable);
    return *text || !otherwise ? text : otherwise;
}
