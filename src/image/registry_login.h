/* What somebody logs in to a registry with. */
#pragma once

#include <jansson.h>

#include "base/settings.h"

typedef struct {
    char *user;         /* NULL: `secret` is an identity token, exchanged for others */
    char *secret;       /* wiped when it is freed */
    const char *origin; /* where it comes from: "project", "auth_file"; static */
} RegistryLogin;

RegistryLogin *registry_login_new(const char *user, const char *secret, const char *origin);
RegistryLogin *registry_login_copy(const RegistryLogin *login); /* of NULL: NULL */
void registry_login_free(RegistryLogin *login);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(RegistryLogin, registry_login_free)

/* The login that whoever runs this program has there, as podman and docker keep it:
 * images.auth_file alone when it is set, else the first that has one of
 *
 *   $REGISTRY_AUTH_FILE, $XDG_RUNTIME_DIR/containers/auth.json, ~/.config/containers/auth.json,
 *   $DOCKER_CONFIG/config.json or ~/.docker/config.json
 *
 * (containers-auth.json(5): the longest key of HOST[/NAMESPACE…] that fits; credHelpers, auths,
 * credsStore). NULL with *error unset: there is none. REGISTRY_LOGIN_ERROR: a file or a helper
 * that cannot be used; it is named, what it holds is not. */
RegistryLogin *registry_login_find(const Settings *settings, const char *host,
                                   const char *repository, GError **error);

/* What one such file says: the login, or in *helper (borrowed, or NULL) the credential helper that
 * is to be asked for it. */
RegistryLogin *registry_login_read(const json_t *root, const char *host, const char *repository,
                                   const char **helper);

#define REGISTRY_LOGIN_ERROR (registry_login_error_quark())
GQuark registry_login_error_quark(void);
typedef enum { REGISTRY_LOGIN_ERROR_FILE, REGISTRY_LOGIN_ERROR_HELPER } RegistryLoginError;
