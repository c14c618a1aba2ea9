/* Who may ask. */
#include <string.h>

#include "server/api.h"
#include "server/signed.h"

/* A name that only this machine can mean: what a web page elsewhere resolves to loopback is none.
 */
static bool is_loopback_name(const char *host)
{
    g_autofree char *name = g_ascii_strdown(host, -1);
    char *colon = strrchr(name, ':');
    if (colon && strspn(colon + 1, "0123456789") == strlen(colon + 1))
        *colon = '\0';
    return strcmp(name, "localhost") == 0 || strcmp(name, "127.0.0.1") == 0 ||
           strcmp(name, "[::1]") == 0;
}

/* Browsers send Origin with every request that could change something. */
static bool is_own_origin(const char *origin, const char *host)
{
    const char *authority = strstr(origin, "://");
    return authority && g_ascii_strcasecmp(authority + 3, host) == 0;
}

/* What is signed cannot come from a web page: its host and origin do not matter. */
static HttpReply admit_signed(HttpRequest *request)
{
    g_autofree char *address = http_client_address(request);
    HttpReply refusal = signed_admit(request, address);
    bool of_project = g_str_has_prefix(request->route->path, "/v1/{project_id}");
    if (refusal.response || !of_project || caller_may_see(request->caller, request->arguments[0]))
        return refusal;
    return http_error(MHD_HTTP_FORBIDDEN, "ModelArts.0108", "access key %s is not for project %s",
                      request->caller->credential, request->arguments[0]);
}

/* In open mode too, web pages can reach loopback: Host must be a loopback name, Origin our own. */
HttpReply access_admit(HttpRequest *request)
{
    if (signed_is_meant(request))
        return admit_signed(request);
    const char *host = http_header(request, MHD_HTTP_HEADER_HOST);
    const char *origin = http_header(request, MHD_HTTP_HEADER_ORIGIN);
    if (!host || !is_loopback_name(host))
        return http_error(MHD_HTTP_FORBIDDEN, "ModelArts.0108",
                          "Host must be a loopback name while no token exists");
    if (origin && !is_own_origin(origin, host))
        return http_error(MHD_HTTP_FORBIDDEN, "ModelArts.0108",
                          "requests of another origin are refused");
    /* Whoever is on this machine. */
    request->caller = caller_new("api", CALLER_EVERY_PROJECT, ROLE_ADMIN, NULL);
    request->actor = request->caller->user;
    return HTTP_WAITS;
}
