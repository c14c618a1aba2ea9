/* A proxy that signs people in and names them in a header. Only those of server.trusted_proxy are
 * believed: anybody can send a header. */
#include <gio/gio.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>

#include "model/model.h"
#include "server/access.h"
#include "server/server.h"

struct Proxies {
    const char *header, *project; /* the settings' own */
    Role role;
    GPtrArray *from; /* GInetAddressMask */
};

void proxies_free(Proxies *proxies)
{
    if (!proxies)
        return;
    g_ptr_array_unref(proxies->from);
    g_free(proxies);
}
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Proxies, proxies_free)

static bool read_from(Proxies *proxies, const char *text, GError **error)
{
    g_auto(GStrv) parts = g_strsplit(text, ",", -1);
    for (char **part = parts; *part; part++) {
        if (!*g_strstrip(*part))
            continue;
        GInetAddressMask *mask = g_inet_address_mask_new_from_string(*part, NULL);
        if (!mask) {
            g_set_error(error, SETTINGS_ERROR, 0,
                        "server.trusted_proxy has \"%s\"; expected an address or a network such as "
                        "10.0.0.0/8",
                        *part);
            return false;
        }
        g_ptr_array_add(proxies->from, mask);
    }
    if (proxies->from->len == 0)
        g_set_error(error, SETTINGS_ERROR, 0,
                    "server.user_header is set and server.trusted_proxy is not: expected the "
                    "addresses of the proxies that are trusted with it");
    return proxies->from->len > 0;
}

static bool is_token_of_http(const char *name)
{
    return strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-") ==
           strlen(name);
}

bool proxies_read(const Settings *settings, Proxies **proxies, GError **error)
{
    g_autoptr(Proxies) made = g_new0(Proxies, 1);
    const char *role = settings_text(settings, "server.proxy_role");
    made->from = g_ptr_array_new_with_free_func(g_object_unref);
    made->header = settings_text(settings, "server.user_header");
    made->project = settings_text(settings, "server.proxy_project");
    *proxies = NULL;
    if (!*made->header)
        return true;
    if (!is_token_of_http(made->header))
        g_set_error(error, SETTINGS_ERROR, 0,
                    "server.user_header is \"%s\"; expected a header's name", made->header);
    else if (!role_of_name(role, &made->role))
        g_set_error(error, SETTINGS_ERROR, 0,
                    "server.proxy_role is \"%s\"; expected reader, writer or admin", role);
    else if (strcmp(made->project, CALLER_EVERY_PROJECT) != 0 && model_rule_name(made->project))
        g_set_error(error, SETTINGS_ERROR, 0, "server.proxy_project is \"%s\"; expected %s, or *",
                    made->project, model_rule_name(made->project));
    else if (read_from(made, settings_text(settings, "server.trusted_proxy"), error))
        *proxies = g_steal_pointer(&made);
    return *proxies != NULL;
}

/* ::ffff:10.0.0.1 is 10.0.0.1: what an IPv6 socket calls a client of IPv4. */
static GInetAddress *peer_address(const HttpRequest *request)
{
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(request->connection, MHD_CONNECTION_INFO_CLIENT_ADDRESS);
    if (!info || !info->client_addr)
        return NULL;
    if (info->client_addr->sa_family == AF_INET) {
        const struct sockaddr_in *ip4 = (const void *)info->client_addr;
        return g_inet_address_new_from_bytes((const guint8 *)&ip4->sin_addr, G_SOCKET_FAMILY_IPV4);
    }
    if (info->client_addr->sa_family != AF_INET6)
        return NULL;
    const struct sockaddr_in6 *ip6 = (const void *)info->client_addr;
    const guint8 *bytes = ip6->sin6_addr.s6_addr;
    return IN6_IS_ADDR_V4MAPPED(&ip6->sin6_addr)
               ? g_inet_address_new_from_bytes(bytes + 12, G_SOCKET_FAMILY_IPV4)
               : g_inet_address_new_from_bytes(bytes, G_SOCKET_FAMILY_IPV6);
}

static bool is_trusted(const Proxies *proxies, const HttpRequest *request)
{
    g_autoptr(GInetAddress) peer = peer_address(request);
    for (guint i = 0; peer && i < proxies->from->len; i++)
        if (g_inet_address_mask_matches(proxies->from->pdata[i], peer))
            return true;
    return false;
}

typedef struct {
    const char *name, *value;
    int count;
} Said;

static enum MHD_Result said_take(void *data, enum MHD_ValueKind kind, const char *key,
                                 const char *value)
{
    Said *said = data;
    if (g_ascii_strcasecmp(key, said->name) == 0) {
        said->value = value;
        said->count++;
    }
    return MHD_YES;
}

/* A header that stands there twice was sent by the client too, behind the proxy's back. */
ProxyWord proxies_caller(const Proxies *proxies, const HttpRequest *request, Caller **caller)
{
    *caller = NULL;
    if (!proxies || !is_trusted(proxies, request))
        return PROXY_SILENT;
    Said said = {.name = proxies->header};
    MHD_get_connection_values(request->connection, MHD_HEADER_KIND, said_take, &said);
    if (said.count == 0)
        return PROXY_SILENT;
    if (said.count > 1 || !said.value || token_rule_user(said.value))
        return PROXY_ODD;
    *caller = caller_new(said.value, proxies->project, proxies->role, "proxy");
    return PROXY_NAMES;
}
