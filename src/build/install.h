/* Dependencies as commands: argument vectors, never a shell's text. The order of the list is kept:
 * neighbours of one installer are one command, so that pip sees what they want of each other. */
#pragma once

#include "build/packages.h"
#include "model/config.h"

/* Where the build's files stand in the sandbox. */
#define INSTALL_ROOT    "/run/waybill"
#define INSTALL_WHEELS  INSTALL_ROOT "/wheels"
#define INSTALL_LINKS   INSTALL_ROOT "/links"
#define INSTALL_CA      INSTALL_ROOT "/ca.pem"
#define INSTALL_SOURCES INSTALL_ROOT "/apt/sources.list"

typedef struct {
    Installer installer;
    GPtrArray *packages; /* of const Dependency *, borrowed */
    bool update;         /* apt-get update, before the first packages of apt; packages is empty */
    bool in_order;       /* one of a list that pip could not take at once: what it is built with is
                            what stands above it */
} InstallStep;
void install_step_free(InstallStep *step);

/* dependencies: of Dependency, which must outlive the plan. Array of InstallStep. */
GPtrArray *install_plan(const GPtrArray *dependencies);
/* The same packages one by one, in their order. */
GPtrArray *install_apart(const InstallStep *step);

/* What the commands see beside it. */
typedef struct {
    const PackageSources *sources;
    bool apt_sources; /* INSTALL_SOURCES is there */
    const char *path; /* the image's PATH, or NULL */
    /* With the host's network: its proxies, as ProxySpec has them. Otherwise build/proxy.h knows
     * them. */
    const char *http_proxy, *https_proxy, *no_proxy;
} InstallSetting;
/* NULL-terminated; the caller frees them. */
char **install_argv(const InstallStep *step, const InstallSetting *setting);
/* Asks pip for a package again, and to say why it cannot be had. */
char **install_diagnosis(const char *package, const InstallSetting *setting);
char **install_environment(const InstallSetting *setting);

/* sources.list for a release of Debian or Ubuntu, from the mirrors; NULL: there is none.
 * os_release: the text of /etc/os-release, or NULL. The caller frees it. */
char *install_apt_sources(const PackageSources *sources, const char *os_release);

const char *installer_name(Installer installer);
bool dependency_is_wheel(const Dependency *dependency);
/* "numpy==1.26.4". The caller frees it. */
char *dependency_words(const Dependency *dependency);
