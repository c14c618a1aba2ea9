#include "import/logins.h"

#include "store/credentials.h"

/* NULL with *error unset: the project has none. */
static RegistryLogin *project_login(Service *service, const char *project, const char *host,
                                    GError **error)
{
    g_autoptr(Credential) credential =
        credential_find(service->db, project, CREDENTIAL_REGISTRY, host, error);
    if (!credential)
        return NULL;
    const SealKey *key = service_key(service, false, error);
    char *secret = key ? credential_secret(credential, key, error) : NULL;
    if (!secret)
        return NULL;
    RegistryLogin *login =
        registry_login_new(*credential->user ? credential->user : NULL, secret, "project");
    seal_forget(secret);
    return login;
}

RegistryLogin *login_for(Service *service, const char *project, bool own,
                         const Reference *reference, GError **error)
{
    g_autoptr(GError) failure = NULL;
    if (reference->kind != REFERENCE_REGISTRY)
        return NULL;
    RegistryLogin *login =
        project ? project_login(service, project, reference->host, &failure) : NULL;
    if (!login && !failure && own)
        login = registry_login_find(service->settings, reference->host, reference->repository,
                                    &failure);
    if (failure)
        g_propagate_error(error, g_steal_pointer(&failure));
    return login;
}
