#include "server/login_limit.h"

#include <arpa/inet.h>
#include <openssl/rand.h>
#include <openssl/sha.h>
#include <pthread.h>
#include <string.h>

#define WAYS    8 /* places that a hash may stand in */
#define SETS    1024
#define DOUBLED 6 /* 1, 2, … 32 min, then an hour */

typedef struct {
    uint64_t hash;   /* of what is counted; 0: free */
    int64_t touched; /* the last failure, or the last success of a known one */
    int64_t began;   /* of the window that is counted */
    int64_t until;   /* stopped until then */
    uint16_t failures, stops;
    bool known;
} Entry;

struct LoginLimit {
    pthread_mutex_t lock;
    unsigned char salt[16]; /* so that nobody can choose what meets in a set */
    Entry entries[SETS][WAYS];
};

typedef enum { OF_ADDRESS = 'a', OF_IDENTITY = 'i', OF_PAIR = 'p' } Kind;

LoginLimit *login_limit_new(void)
{
    LoginLimit *limit = g_new0(LoginLimit, 1);
    pthread_mutex_init(&limit->lock, NULL);
    if (RAND_bytes(limit->salt, sizeof limit->salt) != 1)
        g_error("the system has no random bytes");
    return limit;
}

void login_limit_free(LoginLimit *limit)
{
    if (!limit)
        return;
    pthread_mutex_destroy(&limit->lock);
    g_free(limit);
}

/* Who has one IPv6 address has its whole /64. */
static char *network_of(const char *address)
{
    struct in6_addr ip6;
    char text[INET6_ADDRSTRLEN];
    if (inet_pton(AF_INET6, address, &ip6) != 1 || IN6_IS_ADDR_V4MAPPED(&ip6))
        return g_strdup(address);
    memset(ip6.s6_addr + 8, 0, 8);
    return g_strdup(inet_ntop(AF_INET6, &ip6, text, sizeof text));
}

static uint64_t hash_of(const LoginLimit *limit, Kind kind, const char *network,
                        const char *identity)
{
    unsigned char bytes[SHA256_DIGEST_LENGTH];
    uint64_t hash;
    g_autoptr(GByteArray) text = g_byte_array_new();
    const guint8 letter = (guint8)kind;
    g_byte_array_append(text, limit->salt, sizeof limit->salt);
    g_byte_array_append(text, &letter, 1);
    if (kind != OF_IDENTITY)
        g_byte_array_append(text, (const guint8 *)network, (guint)strlen(network) + 1);
    if (kind != OF_ADDRESS)
        g_byte_array_append(text, (const guint8 *)identity, (guint)strlen(identity) + 1);
    SHA256(text->data, text->len, bytes);
    memcpy(&hash, bytes, sizeof hash);
    return hash ? hash : 1;
}

static Entry *entry_find(LoginLimit *limit, uint64_t hash)
{
    Entry *set = limit->entries[hash % SETS];
    for (int i = 0; i < WAYS; i++)
        if (set[i].hash == hash)
            return &set[i];
    return NULL;
}

static bool goes_before(const Entry *one, const Entry *other, int64_t now)
{
    const int64_t stopped = MAX(one->until - now, 0), longer = MAX(other->until - now, 0);
    if (one->known != other->known)
        return other->known;
    return stopped < longer || (stopped == longer && one->touched < other->touched);
}

/* Of a full set the one goes that is stopped least long, and of those the quietest; last those who
 * have logged in: else whoever fails often makes strangers of them. */
static Entry *entry_make(LoginLimit *limit, uint64_t hash, int64_t now)
{
    Entry *set = limit->entries[hash % SETS], *least = &set[0];
    Entry *found = entry_find(limit, hash);
    if (found)
        return found;
    for (int i = 1; i < WAYS && least->hash; i++)
        if (!set[i].hash || goes_before(&set[i], least, now))
            least = &set[i];
    *least = (Entry){.hash = hash, .touched = now, .began = now};
    return least;
}

static void entry_fail(Entry *entry, int64_t now)
{
    if (now - entry->touched > LOGIN_LIMIT_LONGEST_MS)
        entry->stops = 0;
    if (now - entry->began > LOGIN_LIMIT_WINDOW_MS && !entry->stops) {
        entry->began = now;
        entry->failures = 0;
    }
    entry->touched = now;
    if (entry->failures < LOGIN_LIMIT_FAILURES)
        entry->failures++;
    if (entry->failures < LOGIN_LIMIT_FAILURES)
        return;
    int64_t wait = entry->stops < DOUBLED ? (int64_t)LOGIN_LIMIT_FIRST_MS << entry->stops
                                          : LOGIN_LIMIT_LONGEST_MS;
    entry->until = now + wait;
    if (entry->stops < DOUBLED)
        entry->stops++;
}

/* The kinds that count for this login: a known pair counts alone. */
static int entries_of(LoginLimit *limit, const char *address, const char *identity, int64_t now,
                      uint64_t hashes[2])
{
    g_autofree char *network = network_of(address);
    if (!identity) {
        hashes[0] = hash_of(limit, OF_ADDRESS, network, NULL);
        return 1;
    }
    uint64_t pair = hash_of(limit, OF_PAIR, network, identity);
    const Entry *known = entry_find(limit, pair);
    hashes[0] = pair;
    if (known && known->known && now - known->touched < LOGIN_LIMIT_KNOWN_MS)
        return 1;
    hashes[0] = hash_of(limit, OF_ADDRESS, network, identity);
    hashes[1] = hash_of(limit, OF_IDENTITY, network, identity);
    return 2;
}

bool login_limit_check(LoginLimit *limit, const char *address, const char *identity, int64_t now,
                       int *retry_after)
{
    uint64_t hashes[2];
    int64_t wait = 0;
    pthread_mutex_lock(&limit->lock);
    int count = entries_of(limit, address, identity, now, hashes);
    for (int i = 0; i < count; i++) {
        const Entry *entry = entry_find(limit, hashes[i]);
        if (entry)
            wait = MAX(wait, entry->until - now);
    }
    pthread_mutex_unlock(&limit->lock);
    *retry_after = (int)((wait + 999) / 1000);
    return wait <= 0;
}

void login_limit_failed(LoginLimit *limit, const char *address, const char *identity, int64_t now)
{
    uint64_t hashes[2];
    pthread_mutex_lock(&limit->lock);
    int count = entries_of(limit, address, identity, now, hashes);
    for (int i = 0; i < count; i++)
        entry_fail(entry_make(limit, hashes[i], now), now);
    pthread_mutex_unlock(&limit->lock);
}

/* Takes nothing back of what others failed at this address: else every tenth guess could be a login
 * of one's own. */
void login_limit_succeeded(LoginLimit *limit, const char *address, const char *identity,
                           int64_t now)
{
    g_autofree char *network = network_of(address);
    pthread_mutex_lock(&limit->lock);
    Entry *pair = entry_make(limit, hash_of(limit, OF_PAIR, network, identity), now);
    *pair = (Entry){.hash = pair->hash, .touched = now, .began = now, .known = true};
    pthread_mutex_unlock(&limit->lock);
}
