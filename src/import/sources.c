#include "import/sources.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "object/own_store.h"
#include "object/s3_address.h"

#define FILE_SCHEME "file://"
#define OCI_SCHEME  "oci:"

/* -- beneath a directory -- */

/* Both resolved. */
static bool lies_beneath(const char *real, const char *root)
{
    gsize length = strlen(root);
    return length && strncmp(real, root, length) == 0 &&
           (real[length] == '/' || real[length] == '\0' || root[length - 1] == '/');
}

static bool directory_beneath(const char *directory, const char *root)
{
    char real[PATH_MAX], real_root[PATH_MAX];
    return *root == '/' && realpath(directory, real) && realpath(root, real_root) &&
           lies_beneath(real, real_root);
}

bool sources_beneath_roots(const Settings *settings, const char *directory)
{
    g_auto(GStrv) roots = g_strsplit(settings_text(settings, "server.import_roots"), ":", -1);
    for (char **root = roots; *root; root++)
        if (directory_beneath(directory, *root))
            return true;
    return false;
}

/* -- prefixes -- */

typedef struct {
    char *project; /* NULL: every one */
    char *prefix;
} Entry;

static void entry_clear(Entry *entry)
{
    g_free(entry->project);
    g_free(entry->prefix);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Entry, entry_clear)

/* An equals sign before the scheme ends a project's id. */
static Entry entry_read(const char *text)
{
    const gsize head = strcspn(text, "=:/");
    if (text[head] != '=')
        return (Entry){NULL, g_strdup(text)};
    return (Entry){g_strndup(text, head), g_strdup(text + head + 1)};
}

/* The directory of file:///DIR or oci:DIR[:TAG]; NULL: it is neither. */
static char *directory_of(const char *location, bool *is_layout)
{
    *is_layout = g_str_has_prefix(location, OCI_SCHEME);
    if (g_str_has_prefix(location, FILE_SCHEME "/"))
        return g_strdup(location + strlen(FILE_SCHEME));
    if (!*is_layout)
        return NULL;
    const char *path = location + strlen(OCI_SCHEME), *colon = strrchr(path, ':');
    return colon ? g_strndup(path, (gsize)(colon - path)) : g_strdup(path);
}

/* Elsewhere a name is what it is: nothing is resolved, and what could mean another one by a dot
 * segment or an escape fits nothing. */
static bool name_fits(const char *location, const char *prefix)
{
    const gsize length = strlen(prefix);
    if (strstr(location, "/../") || g_str_has_suffix(location, "/..") || strchr(location, '%'))
        return false;
    return strncmp(location, prefix, length) == 0 &&
           (prefix[length - 1] == '/' || !location[length] || strchr("/:@", location[length]));
}

static bool prefix_fits(const char *location, const char *prefix)
{
    bool is_layout, prefix_is_layout;
    g_autofree char *directory = directory_of(location, &is_layout);
    g_autofree char *root = directory_of(prefix, &prefix_is_layout);
    if (!directory && !root)
        return name_fits(location, prefix);
    return directory && root && is_layout == prefix_is_layout && directory_beneath(directory, root);
}

static bool entry_fits(const Entry *entry, const char *project, const char *location)
{
    if (entry->project && strcmp(entry->project, project) != 0)
        return false;
    g_autoptr(GString) prefix = g_string_new(entry->prefix);
    g_string_replace(prefix, "{project}", project, 0);
    return prefix_fits(location, prefix->str);
}

/* An id that could lead out of its directory fits no prefix that has it in it. */
static bool project_is_name(const char *project)
{
    return *project && !strpbrk(project, "/:\\ ") && strcmp(project, ".") != 0 &&
           strcmp(project, "..") != 0;
}

static bool entries_allow(const char *entries, const char *project, const char *location)
{
    g_auto(GStrv) texts = g_strsplit_set(entries, " \t", -1);
    for (char **text = texts; project_is_name(project) && *text; text++) {
        g_auto(Entry) entry = entry_read(*text);
        if (*entry.prefix && entry_fits(&entry, project, location))
            return true;
    }
    return false;
}

bool sources_allow(const Settings *settings, bool loopback, const char *project,
                   const char *location)
{
    bool is_layout;
    if (g_str_has_prefix(location, UPLOAD_SCHEME))
        return true;
    g_autofree char *directory = directory_of(location, &is_layout);
    const char *entries = settings_text(settings, "sources.allow");
    if (directory && !sources_beneath_roots(settings, directory))
        return false;
    return *entries ? entries_allow(entries, project, location) : loopback;
}

static bool request_allows(const Settings *settings, const ImportRequest *request,
                           const char *location)
{
    return !request->asked_over ||
           sources_allow(settings, strcmp(request->asked_over, ASKED_OVER_LOOPBACK) == 0,
                         request->project, location);
}

bool sources_allow_folder(const Settings *settings, const ImportRequest *request,
                          const char *directory)
{
    g_autofree char *location = g_strconcat(FILE_SCHEME, directory, NULL);
    return import_request_upload(request) || request_allows(settings, request, location);
}

/* An upload has files only: no link leads out of it. */
static bool is_inside(const char *directory, const char *of)
{
    g_autofree char *path = g_canonicalize_filename(directory, of);
    gsize length = strlen(of);
    return strncmp(path, of, length) == 0 && (path[length] == '/' || !path[length]);
}

bool sources_allow_layout(const Settings *settings, const ImportRequest *request,
                          const char *directory)
{
    if (import_request_upload(request))
        return request->source_path && is_inside(directory, request->source_path);
    g_autofree char *location = g_strconcat(OCI_SCHEME, directory, ":", NULL);
    return request_allows(settings, request, location);
}

static char *place_in_registry(const Reference *reference)
{
    return g_strdup_printf("%s/%s", reference->host, reference->repository);
}

/* What entries are held against of an image reference: oci:DIR:TAG as it is, HOST/REPOSITORY of one
 * in a registry. NULL: it is none. The caller frees it. */
static char *place_of_image(const char *text)
{
    if (g_str_has_prefix(text, OCI_SCHEME))
        return g_strdup(text);
    g_autoptr(Reference) reference = reference_parse(text, NULL);
    return reference ? place_in_registry(reference) : NULL;
}

/* The same of a bucket, whichever way it is written: s3://BUCKET/DIR, or of an OBS address that is
 * not asked at objects.endpoint its https://BUCKET.HOST/DIR. */
static char *place_of_bucket(const Settings *settings, const char *text)
{
    g_autoptr(S3Address) address = s3_address_is_meant(text) ? s3_address_parse(text, NULL) : NULL;
    if (!address)
        return NULL;
    if (address->host && !*settings_text(settings, "objects.endpoint"))
        return g_strdup_printf("https://%s.%s/%s", address->bucket, address->host, address->prefix);
    return g_strdup_printf("s3://%s/%s", address->bucket, address->prefix);
}

bool sources_allow_bucket(const Settings *settings, const ImportRequest *request)
{
    if (own_store_holds(settings, request->source))
        return false;
    g_autofree char *location = place_of_bucket(settings, request->source);
    return location && request_allows(settings, request, location);
}

bool sources_allow_location(const Settings *settings, const ImportRequest *request)
{
    if (s3_address_is_meant(request->source))
        return sources_allow_bucket(settings, request);
    const bool is_plain =
        import_request_upload(request) || g_str_has_prefix(request->source, FILE_SCHEME "/");
    g_autofree char *image = is_plain ? NULL : place_of_image(request->source);
    const char *location = is_plain ? request->source : image;
    return location && request_allows(settings, request, location);
}

bool sources_allow_registry(const Settings *settings, const ImportRequest *request,
                            const Reference *reference)
{
    g_autofree char *location = place_in_registry(reference);
    return request_allows(settings, request, location);
}

/* An entry names a scheme or a host; a directory stands behind its scheme. */
static bool entry_is_good(const Entry *entry)
{
    bool is_layout;
    g_autofree char *directory = directory_of(entry->prefix, &is_layout);
    if (entry->project && !project_is_name(entry->project))
        return false;
    if (directory)
        return *directory == '/';
    return *entry->prefix && *entry->prefix != '/' && !g_str_has_prefix(entry->prefix, FILE_SCHEME);
}

char *sources_entry_fault(const char *entries)
{
    g_auto(GStrv) texts = g_strsplit_set(entries, " \t", -1);
    for (char **text = texts; *text; text++) {
        g_auto(Entry) entry = entry_read(*text);
        if (**text && !entry_is_good(&entry))
            return g_strdup(*text);
    }
    return NULL;
}

char *sources_fault(const Settings *settings)
{
    return sources_entry_fault(settings_text(settings, "sources.allow"));
}
