/* The sockets of an S3's connections. A service that sends the head of an answer and its body in
 * two writes waits between them for our acknowledgement, unless it has switched Nagle's algorithm
 * off (RFC 896); the kernel keeps that back for 40 ms when nothing else is to be sent (RFC 1122,
 * 4.2.3.2). Each object would cost that. */
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "object/s3_private.h"

/* Loopback, link-local, private and unspecified ones (RFC 1122, 1918, 3927, 4193, 4291). */
static bool is_near(const struct sockaddr *address)
{
    const struct sockaddr_in6 *six = (const struct sockaddr_in6 *)address;
    const struct sockaddr_in *four = (const struct sockaddr_in *)address;
    uint32_t number = 0;
    if (address->sa_family == AF_INET)
        number = ntohl(four->sin_addr.s_addr);
    else if (address->sa_family != AF_INET6)
        return true;
    else if (IN6_IS_ADDR_V4MAPPED(&six->sin6_addr))
        memcpy(&number, six->sin6_addr.s6_addr + 12, sizeof(number)), number = ntohl(number);
    else
        return IN6_IS_ADDR_LOOPBACK(&six->sin6_addr) || IN6_IS_ADDR_LINKLOCAL(&six->sin6_addr) ||
               IN6_IS_ADDR_UNSPECIFIED(&six->sin6_addr) ||
               (six->sin6_addr.s6_addr[0] & 0xfe) == 0xfc;
    return number >> 24 == 0 || number >> 24 == 10 || number >> 24 == 127 ||
           number >> 20 == 0xac1 || number >> 16 == 0xc0a8 || number >> 16 == 0xa9fe ||
           number >> 22 == 0x191 /* 100.64.0.0/10 */;
}

static curl_socket_t socket_open(void *user, curlsocktype purpose G_GNUC_UNUSED,
                                 struct curl_sockaddr *address)
{
    S3 *s3 = user;
    if (s3->service->guarded && is_near(&address->addr))
        return CURL_SOCKET_BAD;
    int fd = socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);
    if (fd >= 0)
        g_array_append_val(s3->sockets, fd);
    return fd;
}

static int socket_close(void *user, curl_socket_t fd)
{
    GArray *sockets = ((S3 *)user)->sockets;
    for (guint i = 0; i < sockets->len; i++)
        if (g_array_index(sockets, int, i) == fd) {
            g_array_remove_index_fast(sockets, i);
            break;
        }
    return close(fd);
}

void s3_sockets_configure(S3 *s3, CURL *curl)
{
    curl_easy_setopt(curl, CURLOPT_OPENSOCKETFUNCTION, socket_open);
    curl_easy_setopt(curl, CURLOPT_OPENSOCKETDATA, s3);
    curl_easy_setopt(curl, CURLOPT_CLOSESOCKETFUNCTION, socket_close);
    curl_easy_setopt(curl, CURLOPT_CLOSESOCKETDATA, s3);
    if (s3->service->guarded)
        curl_easy_setopt(curl, CURLOPT_PROXY, "");
}

void s3_sockets_acknowledge(const S3 *s3)
{
    static const int ON = 1;
    for (guint i = 0; i < s3->sockets->len; i++)
        setsockopt(g_array_index(s3->sockets, int, i), IPPROTO_TCP, TCP_QUICKACK, &ON, sizeof(ON));
}
