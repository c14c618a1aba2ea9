/* How an S3 service is reached: from the settings, the usual variables and the address. */
#include <string.h>

#include "object/s3.h"

#define DEFAULT_REGION "us-east-1"

void s3_service_free(S3Service *service)
{
    if (!service)
        return;
    g_free(service->endpoint);
    g_free(service->region);
    s3_credentials_free(service->credentials);
    g_free(service);
}

static const char *first_of(const char *a, const char *b)
{
    return a && *a ? a : b;
}

static S3Credentials *own_credentials(const Settings *settings)
{
    S3Credentials *set =
        s3_credentials_new(settings_text(settings, "objects.access_key"),
                           settings_text(settings, "objects.secret_key"), NULL, "settings");
    return set ? set
               : s3_credentials_new(g_getenv("AWS_ACCESS_KEY_ID"),
                                    g_getenv("AWS_SECRET_ACCESS_KEY"),
                                    g_getenv("AWS_SESSION_TOKEN"), "environment");
}

static char *endpoint_of(const Settings *settings, const S3Address *address, const char *region)
{
    const char *set = first_of(settings_text(settings, "objects.endpoint"),
                               first_of(g_getenv("AWS_ENDPOINT_URL_S3"),
                                        first_of(g_getenv("AWS_ENDPOINT_URL"), NULL)));
    if (set) {
        char *endpoint = g_strdup(set);
        g_strchomp(endpoint);
        while (g_str_has_suffix(endpoint, "/"))
            endpoint[strlen(endpoint) - 1] = '\0';
        return endpoint;
    }
    return address->host ? g_strdup_printf("https://%s", address->host)
                         : g_strdup_printf("https://s3.%s.amazonaws.com", region);
}

/* http[s]://HOST[:PORT], and nothing behind it. */
static GUri *parse_endpoint(const char *endpoint, GError **error)
{
    g_autoptr(GUri) uri = g_uri_parse(endpoint, G_URI_FLAGS_NONE, NULL);
    const char *scheme = uri ? g_uri_get_scheme(uri) : "";
    bool http = strcmp(scheme, "http") == 0 || strcmp(scheme, "https") == 0;
    if (uri && http && *g_uri_get_host(uri) && !*g_uri_get_path(uri) && !g_uri_get_userinfo(uri) &&
        !g_uri_get_query(uri))
        return g_steal_pointer(&uri);
    g_set_error(error, S3_ADDRESS_ERROR, 0,
                "objects.endpoint is \"%s\"; expected http://HOST[:PORT] or https://HOST[:PORT]",
                endpoint);
    return NULL;
}

/* A name of the bucket's own needs a host that is a name, and a certificate for it. */
static bool wants_path_style(const Settings *settings, const S3Address *address, GUri *endpoint)
{
    const char *set = settings_text(settings, "objects.path_style");
    const char *host = g_uri_get_host(endpoint);
    if (*set)
        return strcmp(set, "true") == 0;
    return g_hostname_is_ip_address(host) || !strchr(host, '.') || strchr(address->bucket, '.');
}

S3Service *s3_service_of(const Settings *settings, const S3Address *address, S3Credentials *own,
                         bool keys, GError **error)
{
    g_autoptr(S3Service) service = g_new0(S3Service, 1);
    service->credentials = own ? own : keys ? own_credentials(settings) : NULL;
    service->region =
        g_strdup(first_of(settings_text(settings, "objects.region"),
                          first_of(g_getenv("AWS_REGION"),
                                   first_of(g_getenv("AWS_DEFAULT_REGION"),
                                            first_of(address->region, DEFAULT_REGION)))));
    service->endpoint = endpoint_of(settings, address, service->region);
    g_autoptr(GUri) uri = parse_endpoint(service->endpoint, error);
    if (!uri)
        return NULL;
    service->path_style = wants_path_style(settings, address, uri);
    return g_steal_pointer(&service);
}
