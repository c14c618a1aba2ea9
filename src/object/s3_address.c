#include "object/s3_address.h"

#include <string.h>

#include "base/error_domain.h"

#define BUCKET_PATTERN "^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$"
#define OBS_PATTERN \
    "^https://([a-z0-9][a-z0-9.-]{1,61}[a-z0-9])\\.(obs\\.([a-z0-9-]+)\\.[a-z0-9.-]+)(/.*)?$"
#define MAX_KEY 1024

DEFINE_ERROR_DOMAIN(s3_address_error);

void s3_address_free(S3Address *address)
{
    if (!address)
        return;
    g_free(address->bucket);
    g_free(address->prefix);
    g_free(address->host);
    g_free(address->region);
    g_free(address->text);
    g_free(address);
}

/* Behind s3:// or obs://; NULL: it is neither. */
static const char *behind_scheme(const char *text)
{
    static const char *const SCHEMES[] = {"s3://", "obs://"};
    for (size_t i = 0; i < G_N_ELEMENTS(SCHEMES); i++)
        if (g_str_has_prefix(text, SCHEMES[i]))
            return text + strlen(SCHEMES[i]);
    return NULL;
}

bool s3_address_is_meant(const char *text)
{
    return behind_scheme(text) || g_regex_match_simple(OBS_PATTERN, text, 0, 0);
}

/* NULL: it may be the prefix of keys. */
static const char *prefix_fault(const char *prefix)
{
    if (!g_utf8_validate(prefix, -1, NULL))
        return "is not UTF-8";
    if (strlen(prefix) > MAX_KEY)
        return "is longer than 1024 bytes";
    g_auto(GStrv) parts = g_strsplit(prefix, "/", -1);
    for (char **part = parts; *prefix && *part; part++)
        if (!**part || strcmp(*part, ".") == 0 || strcmp(*part, "..") == 0)
            return "has a part that is empty, . or ..";
    for (const char *at = prefix; *at; at++)
        if (g_ascii_iscntrl(*at))
            return "has a control character";
    return NULL;
}

/* Without one slash before and those behind it. */
static char *take_prefix(const char *text)
{
    const char *begin = text ? text + (*text == '/') : "";
    size_t length = strlen(begin);
    while (length > 0 && begin[length - 1] == '/')
        length--;
    return g_strndup(begin, length);
}

static void take_obs(S3Address *address, const char *text)
{
    g_autoptr(GMatchInfo) match = NULL;
    g_autoptr(GRegex) regex = g_regex_new(OBS_PATTERN, 0, 0, NULL);
    if (!g_regex_match(regex, text, 0, &match))
        return;
    g_autofree char *path = g_match_info_fetch(match, 4);
    address->bucket = g_match_info_fetch(match, 1);
    address->host = g_match_info_fetch(match, 2);
    address->region = g_match_info_fetch(match, 3);
    address->prefix = take_prefix(path);
}

static void take_plain(S3Address *address, const char *rest)
{
    const size_t length = strcspn(rest, "/");
    address->bucket = g_strndup(rest, length);
    address->prefix = take_prefix(rest[length] ? rest + length : NULL);
}

S3Address *s3_address_parse(const char *text, GError **error)
{
    g_autoptr(S3Address) address = g_new0(S3Address, 1);
    g_autofree char *shown = g_utf8_make_valid(text, -1);
    const char *rest = behind_scheme(text);
    address->text = g_strdup(text);
    if (rest)
        take_plain(address, rest);
    else
        take_obs(address, text);
    if (!address->bucket || !g_regex_match_simple(BUCKET_PATTERN, address->bucket, 0, 0)) {
        g_set_error(error, S3_ADDRESS_ERROR, 0,
                    "%s: expected s3://BUCKET/DIR, obs://BUCKET/DIR or "
                    "https://BUCKET.obs.REGION.DOMAIN/DIR, with a BUCKET of 3 to 63 lower-case "
                    "letters, digits, dots and hyphens",
                    shown);
        return NULL;
    }
    const char *fault = prefix_fault(address->prefix);
    if (!fault)
        return g_steal_pointer(&address);
    g_set_error(error, S3_ADDRESS_ERROR, 0, "%s: its directory %s", shown, fault);
    return NULL;
}
