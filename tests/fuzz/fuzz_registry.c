/* Any bytes as what a registry, or a file of logins, says: a page of tags, where the next one is,
 * an auth.json. The first line is a Link header, the rest a JSON document that is read as both.
 *
 * Invariants: a next page lies at the registry's own /v2/, and there is either one or a fault; a
 * login has a secret, and there is either one or a helper to ask. */
#include <stdint.h>
#include <string.h>

#include "image/registry_private.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void read_link(const char *link)
{
    const char *fault = NULL;
    g_autofree char *next = registry_tags_next(link, "https://r.example", &fault);
    g_assert(!next || !fault);
    g_assert(!next || g_str_has_prefix(next, "/v2/"));
}

static void read_tags(const char *text)
{
    g_autoptr(GPtrArray) tags = g_ptr_array_new_with_free_func(g_free);
    const char *fault = registry_tags_read(text, strlen(text), tags);
    for (guint i = 0; i < tags->len && !fault; i++)
        g_assert(g_utf8_validate(tags->pdata[i], -1, NULL));
}

static void read_login(const char *text, const char *host)
{
    const char *helper;
    json_auto_t *root = json_loads(text, 0, NULL);
    g_autoptr(RegistryLogin) login = registry_login_read(root, host, "team/app", &helper);
    g_assert(!login || (!helper && login->secret && login->origin));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    g_autofree char *text = g_strndup((const char *)data, size);
    char *document = strchr(text, '\n');
    if (!document)
        return 0;
    *document++ = '\0';
    read_link(text);
    read_tags(document);
    read_login(document, "r.example:5000");
    read_login(document, "docker.io");
    return 0;
}
