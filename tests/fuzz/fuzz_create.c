/* Any bytes as the body of POST …/models: what is taken is a sound request that survives being
 * kept as JSON, and what is wrong is told in few words of UTF-8. */
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "object/s3_address.h"
#include "server/api.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static Settings *settings_of_test(void)
{
    static Settings *settings;
    static const char *const SETS[] = {"server.import_roots=/usr", NULL};
    if (!settings)
        settings = settings_load("/dev/null", SETS, NULL);
    g_assert(settings);
    return settings;
}

static void assert_faults(const GPtrArray *faults)
{
    g_assert(faults->len <= 100);
    for (guint i = 0; i < faults->len; i++)
        g_assert(g_utf8_validate(faults->pdata[i], -1, NULL));
}

/* A place in a bucket or an image of a registry has an address; of oci:DIR:TAG and DIR the
 * directory lies beneath the root, links and ".." resolved. */
static void assert_allowed(const ImportRequest *import)
{
    const char *source = import->source;
    char real[PATH_MAX];
    if (import_request_is_bucket(import)) {
        g_autoptr(S3Address) address = s3_address_parse(source, NULL);
        g_assert(address);
        return;
    }
    bool layout = g_str_has_prefix(source, "oci:");
    if (import_request_is_reference(import) && !layout) {
        g_autoptr(Reference) reference = reference_parse(source, NULL);
        g_assert(reference);
        return;
    }
    g_autofree char *directory = g_strdup(layout ? source + 4 : source);
    if (layout)
        *strrchr(directory, ':') = '\0';
    g_assert(realpath(directory, real));
    g_assert(strcmp(real, "/usr") == 0 || g_str_has_prefix(real, "/usr/"));
}

static void assert_kept(const ImportRequest *import)
{
    g_autofree char *once = import_request_to_json(import);
    g_autoptr(ImportRequest) again = import_request_from_json(once, NULL);
    g_assert(again);
    g_autofree char *twice = import_request_to_json(again);
    g_assert_cmpstr(once, ==, twice);
    g_assert_cmpstr(import->source, ==, again->source);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    bool forbidden;
    Server server = {.settings = settings_of_test(), .loopback = true};
    HttpRequest request = {.server = &server, .arguments = {"default"}, .actor = "fuzz"};
    json_t *body = json_loadb((const char *)data, size, JSON_REJECT_DUPLICATES, NULL);
    if (json_is_object(body)) {
        g_autoptr(GPtrArray) faults = g_ptr_array_new_with_free_func(g_free);
        g_autoptr(ImportRequest) import =
            models_create_read(&request, body, false, faults, &forbidden);
        assert_faults(faults);
        g_assert(import || forbidden || faults->len);
        if (import && !faults->len) {
            assert_allowed(import);
            assert_kept(import);
        }
    }
    json_decref(body);
    return 0;
}
