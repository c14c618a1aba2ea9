#include "import/bucket.h"

#include <string.h>

#include "store/credentials.h"

/* HOST[:PORT] of the service. */
static char *host_of(const Settings *settings, const S3Address *address, GError **error)
{
    g_autoptr(S3Service) reached = s3_service_of(settings, address, NULL, false, error);
    return reached ? g_strdup(strstr(reached->endpoint, "://") + strlen("://")) : NULL;
}

static bool take_keys(Service *service, const Credential *credential, ImportRequest *request,
                      GError **error)
{
    const SealKey *key = service_key(service, false, error);
    char *secret = key ? credential_secret(credential, key, error) : NULL;
    if (!secret)
        return false;
    s3_credentials_free(request->keys);
    request->keys = s3_credentials_new(credential->user, secret, NULL, "project");
    seal_forget(secret);
    return true;
}

bool bucket_find_keys(Service *service, ImportRequest *request, GError **error)
{
    GError *failure = NULL;
    if (!import_request_is_bucket(request))
        return true;
    g_autoptr(S3Address) address = s3_address_parse(request->source, error);
    g_autofree char *host = address ? host_of(service->settings, address, error) : NULL;
    if (!host)
        return false;
    g_autoptr(Credential) credential =
        credential_find(service->db, request->project, CREDENTIAL_S3, host, &failure);
    if (failure)
        g_propagate_error(error, failure);
    return !failure && (!credential || take_keys(service, credential, request, error));
}

/* What sources.allow lists is trusted with its addresses. */
static bool is_guarded(const Settings *settings, const ImportRequest *request,
                       const S3Address *address)
{
    return request->asked_over && address->host && !*settings_text(settings, "objects.endpoint") &&
           !*settings_text(settings, "sources.allow");
}

PackageSource *bucket_open(const Settings *settings, const ImportRequest *request,
                           Progress *progress, GError **error)
{
    const S3Credentials *keys = request->keys;
    g_autoptr(S3Address) address = s3_address_parse(request->source, error);
    S3Credentials *own = address && keys ? s3_credentials_new(keys->access_key, keys->secret_key,
                                                              keys->token, keys->origin)
                                         : NULL;
    g_autoptr(S3Service) service =
        address ? s3_service_of(settings, address, own, !request->asked_over, error) : NULL;
    if (!service)
        return NULL;
    service->guarded = is_guarded(settings, request, address);
    S3 *s3 = s3_open(settings, address, g_steal_pointer(&service), progress, error);
    return s3 ? bucket_source_new(s3, address->prefix) : NULL;
}
