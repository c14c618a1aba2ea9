#include "build/install.h"

#include <string.h>

#define PROXY "http://127.0.0.1:3128" /* SANDBOX_PROXY_PORT */

const char *installer_name(Installer installer)
{
    static const char *const NAMES[] = {
        [INSTALLER_PIP] = "pip", [INSTALLER_APT] = "apt", [INSTALLER_CONDA] = "conda"};
    return NAMES[installer];
}

bool dependency_is_wheel(const Dependency *dependency)
{
    return dependency->installer == INSTALLER_PIP && g_str_has_suffix(dependency->name, ".whl");
}

static const char *operator_of(const Dependency *dependency)
{
    static const char *const SIGNS[] = {[RESTRAINT_NONE] = "",
                                        [RESTRAINT_EXACT] = "==",
                                        [RESTRAINT_ATLEAST] = ">=",
                                        [RESTRAINT_ATMOST] = "<="};
    return SIGNS[dependency->restraint];
}

char *dependency_words(const Dependency *dependency)
{
    const bool versioned = dependency->version && dependency->restraint != RESTRAINT_NONE;
    if (dependency_is_wheel(dependency) || !versioned)
        return g_strdup(dependency->name);
    const char *sign = dependency->installer == INSTALLER_APT ? "=" : operator_of(dependency);
    return g_strconcat(dependency->name, sign, dependency->version, NULL);
}

/* -- the plan -- */

void install_step_free(InstallStep *step)
{
    if (!step)
        return;
    g_ptr_array_unref(step->packages);
    g_free(step);
}

static InstallStep *plan_step(GPtrArray *plan, Installer installer)
{
    InstallStep *step = g_new0(InstallStep, 1);
    step->installer = installer;
    step->packages = g_ptr_array_new();
    g_ptr_array_add(plan, step);
    return step;
}

GPtrArray *install_plan(const GPtrArray *dependencies)
{
    GPtrArray *plan = g_ptr_array_new_with_free_func((GDestroyNotify)install_step_free);
    InstallStep *step = NULL;
    bool updated = false;
    for (guint i = 0; i < dependencies->len; i++) {
        Dependency *dependency = dependencies->pdata[i];
        if (dependency->installer == INSTALLER_APT && !updated) {
            plan_step(plan, INSTALLER_APT)->update = true;
            updated = true;
            step = NULL;
        }
        if (!step || step->installer != dependency->installer)
            step = plan_step(plan, dependency->installer);
        g_ptr_array_add(step->packages, dependency);
    }
    return plan;
}

GPtrArray *install_apart(const InstallStep *step)
{
    GPtrArray *plan = g_ptr_array_new_with_free_func((GDestroyNotify)install_step_free);
    for (guint i = 0; i < step->packages->len; i++) {
        InstallStep *one = plan_step(plan, step->installer);
        one->in_order = true;
        g_ptr_array_add(one->packages, step->packages->pdata[i]);
    }
    return plan;
}

/* -- commands -- */

static void add(GPtrArray *words, const char *first, ...) G_GNUC_NULL_TERMINATED;
static void add(GPtrArray *words, const char *first, ...)
{
    va_list more;
    va_start(more, first);
    for (const char *word = first; word; word = va_arg(more, const char *))
        g_ptr_array_add(words, g_strdup(word));
    va_end(more);
}

static char **words_end(GPtrArray *words)
{
    g_ptr_array_add(words, NULL);
    return (char **)g_ptr_array_free(words, FALSE);
}

static void add_packages(GPtrArray *words, const InstallStep *step)
{
    for (guint i = 0; i < step->packages->len; i++) {
        const Dependency *dependency = step->packages->pdata[i];
        char *text = dependency_words(dependency);
        if (dependency_is_wheel(dependency)) {
            g_ptr_array_add(words, g_build_filename(INSTALL_WHEELS, text, NULL));
            g_free(text);
        } else {
            g_ptr_array_add(words, text);
        }
    }
}

static void add_pip(GPtrArray *words, const InstallStep *step, const InstallSetting *setting)
{
    const PackageSources *sources = setting->sources;
    add(words, "python3", "-m", "pip", "install", "--no-cache-dir", "--no-compile", NULL);
    if (sources->network == SANDBOX_NETWORK_NONE || (!sources->index && !sources->extra->len))
        add(words, "--no-index", NULL);
    if (step->in_order)
        add(words, "--no-build-isolation", NULL);
    add(words, "--", NULL);
}

static void add_apt(GPtrArray *words, const InstallStep *step, const InstallSetting *setting)
{
    add(words, "apt-get", "-q", "-o", "APT::Sandbox::User=root", "-o", "Dpkg::Use-Pty=0", "-o",
        "Acquire::Languages=none", "-o", "Acquire::Retries=2", NULL);
    if (setting->apt_sources)
        add(words, "-o", "Dir::Etc::SourceList=" INSTALL_SOURCES, "-o",
            "Dir::Etc::SourceParts=/dev/null", NULL);
    if (setting->sources->ca_file)
        add(words, "-o", "Acquire::https::CAInfo=" INSTALL_CA, NULL);
    if (step->update)
        add(words, "-o", "APT::Update::Error-Mode=any", "update", NULL);
    else
        add(words, "install", "-y", "--no-install-recommends", "--", NULL);
}

char **install_argv(const InstallStep *step, const InstallSetting *setting)
{
    GPtrArray *words = g_ptr_array_new();
    switch (step->installer) {
    case INSTALLER_PIP:
        add_pip(words, step, setting);
        break;
    case INSTALLER_APT:
        add_apt(words, step, setting);
        break;
    case INSTALLER_CONDA:
        add(words, "conda", "install", "--yes", "--quiet", NULL);
        break;
    }
    add_packages(words, step);
    return words_end(words);
}

char **install_diagnosis(const char *package, const InstallSetting *setting)
{
    GPtrArray *words = g_ptr_array_new();
    add(words, "python3", "-m", "pip", "-vv", "download", "--no-deps", "--no-cache-dir", "-d",
        "/tmp/diagnosis", "--", package, NULL);
    return words_end(words);
}

static void add_value(GPtrArray *words, const char *name, const char *value)
{
    if (value && *value)
        g_ptr_array_add(words, g_strconcat(name, "=", value, NULL));
}

static void add_list(GPtrArray *words, const char *name, const GPtrArray *list)
{
    g_autoptr(GString) text = g_string_new(NULL);
    for (guint i = 0; i < list->len; i++)
        g_string_append_printf(text, "%s%s", i ? " " : "", (char *)list->pdata[i]);
    add_value(words, name, text->str);
}

/* A directory of the host is bound into the sandbox. */
static void add_links(GPtrArray *words, const GPtrArray *links)
{
    g_autoptr(GString) text = g_string_new(INSTALL_WHEELS);
    for (guint i = 0; i < links->len; i++) {
        const char *link = links->pdata[i];
        if (*link == '/' || g_str_has_prefix(link, "file:"))
            g_string_append_printf(text, " " INSTALL_LINKS "/%u", i);
        else
            g_string_append_printf(text, " %s", link);
    }
    add_value(words, "PIP_FIND_LINKS", text->str);
}

static void add_host_proxies(GPtrArray *words, const InstallSetting *setting)
{
    add_value(words, "http_proxy", setting->http_proxy);
    add_value(words, "HTTP_PROXY", setting->http_proxy);
    add_value(words, "https_proxy", setting->https_proxy);
    add_value(words, "HTTPS_PROXY", setting->https_proxy);
    add_value(words, "no_proxy", setting->no_proxy);
    add_value(words, "NO_PROXY", setting->no_proxy);
}

char **install_environment(const InstallSetting *setting)
{
    const PackageSources *sources = setting->sources;
    GPtrArray *words = g_ptr_array_new();
    add_value(words, "PATH",
              setting->path ? setting->path
                            : "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin");
    add(words, "HOME=/root", "LC_ALL=C.UTF-8", "TMPDIR=/tmp", "DEBIAN_FRONTEND=noninteractive",
        "PYTHONDONTWRITEBYTECODE=1", "SOURCE_DATE_EPOCH=315532800", "PIP_CONFIG_FILE=/dev/null",
        "PIP_BREAK_SYSTEM_PACKAGES=1", "PIP_ROOT_USER_ACTION=ignore",
        "PIP_DISABLE_PIP_VERSION_CHECK=1", "PIP_NO_INPUT=1", "PIP_NO_COLOR=1",
        "PIP_PROGRESS_BAR=off", "PIP_RETRIES=2", "PIP_DEFAULT_TIMEOUT=20", NULL);
    add_links(words, sources->links);
    add_value(words, "PIP_INDEX_URL", sources->index);
    add_list(words, "PIP_EXTRA_INDEX_URL", sources->extra);
    add_list(words, "PIP_TRUSTED_HOST", sources->trusted);
    if (sources->ca_file)
        add(words, "PIP_CERT=" INSTALL_CA, "SSL_CERT_FILE=" INSTALL_CA, NULL);
    if (sources->network == SANDBOX_NETWORK_PROXY)
        add(words, "http_proxy=" PROXY, "https_proxy=" PROXY, "HTTP_PROXY=" PROXY,
            "HTTPS_PROXY=" PROXY, NULL);
    if (sources->network == SANDBOX_NETWORK_HOST)
        add_host_proxies(words, setting);
    return words_end(words);
}

/* -- apt's sources -- */

static char *release_field(const char *os_release, const char *key)
{
    g_auto(GStrv) lines = g_strsplit(os_release ? os_release : "", "\n", -1);
    for (int i = 0; lines[i]; i++)
        if (g_str_has_prefix(lines[i], key) && lines[i][strlen(key)] == '=') {
            char *value = g_strdup(lines[i] + strlen(key) + 1);
            return g_strdelimit(g_strstrip(value), "\"'", ' ');
        }
    return NULL;
}

static bool is_word(const char *text)
{
    return text && *text && strspn(text, "abcdefghijklmnopqrstuvwxyz0123456789-") == strlen(text);
}

char *install_apt_sources(const PackageSources *sources, const char *os_release)
{
    g_autofree char *name = release_field(os_release, "VERSION_CODENAME");
    if (name)
        g_strstrip(name);
    if (!sources->mirror || !is_word(name))
        return NULL;
    g_autoptr(GString) text = g_string_new(NULL);
    g_string_append_printf(text, "deb %s %s main\n", sources->mirror, name);
    if (sources->security)
        g_string_append_printf(text, "deb %s %s-updates main\ndeb %s %s-security main\n",
                               sources->mirror, name, sources->security, name);
    return g_string_free(g_steal_pointer(&text), FALSE);
}
