/* GMarkup is enough of XML for what these services send: elements, text, the five entities. */
#include "object/s3_xml.h"

#include <string.h>

#define DEPTH_MAX 16

void s3_object_free(S3Object *object)
{
    if (!object)
        return;
    g_free(object->key);
    g_free(object->etag);
    g_free(object);
}

void s3_page_free(S3Page *page)
{
    if (!page)
        return;
    g_ptr_array_unref(page->objects);
    g_free(page->next);
    g_free(page);
}

/* Calls `leaf` for each element's text, with the path of names above it. */
typedef struct {
    void (*leaf)(gpointer data, const char *parent, const char *name, const char *text);
    void (*end)(gpointer data, const char *name);
    gpointer data;
    GString *text;
    char *root;
    int depth;
} Walk;

static void element_begins(GMarkupParseContext *context, const char *name,
                           const char **attributes G_GNUC_UNUSED, const char **values G_GNUC_UNUSED,
                           gpointer data, GError **error)
{
    Walk *walk = data;
    if (!walk->root)
        walk->root = g_strdup(name);
    if (++walk->depth > DEPTH_MAX)
        g_set_error(error, G_MARKUP_ERROR, G_MARKUP_ERROR_INVALID_CONTENT, "too deep");
    g_string_truncate(walk->text, 0);
}

static void element_ends(GMarkupParseContext *context, const char *name, gpointer data,
                         GError **error G_GNUC_UNUSED)
{
    Walk *walk = data;
    const GSList *names = g_markup_parse_context_get_element_stack(context);
    const char *parent = names && names->next ? names->next->data : "";
    walk->depth--;
    if (walk->leaf)
        walk->leaf(walk->data, parent, name, walk->text->str);
    if (walk->end)
        walk->end(walk->data, name);
    g_string_truncate(walk->text, 0);
}

static void text_comes(GMarkupParseContext *context G_GNUC_UNUSED, const char *text, gsize size,
                       gpointer data, GError **error G_GNUC_UNUSED)
{
    g_string_append_len(((Walk *)data)->text, text, (gssize)size);
}

/* root: what it has to be; NULL: anything. */
static bool walk_xml(Walk *walk, const void *data, size_t size, const char *root)
{
    static const GMarkupParser PARSER = {element_begins, element_ends, text_comes, NULL, NULL};
    walk->text = g_string_new(NULL);
    g_autoptr(GMarkupParseContext) context = g_markup_parse_context_new(&PARSER, 0, walk, NULL);
    bool good = size > 0 && g_markup_parse_context_parse(context, data, (gssize)size, NULL) &&
                g_markup_parse_context_end_parse(context, NULL) &&
                (!root || g_strcmp0(walk->root, root) == 0);
    g_string_free(walk->text, TRUE);
    g_free(walk->root);
    return good;
}

/* -- a listing -- */

typedef struct {
    S3Page *page;
    S3Object *object; /* that is being read */
    bool truncated;
    const char *fault;
} Listing;

static char *without_quotes(const char *text)
{
    const size_t length = strlen(text);
    bool quoted = length >= 2 && text[0] == '"' && text[length - 1] == '"';
    return quoted ? g_strndup(text + 1, length - 2) : g_strdup(text);
}

static int64_t time_of(const char *text)
{
    g_autoptr(GDateTime) time = g_date_time_new_from_iso8601(text, NULL);
    return time ? g_date_time_to_unix(time) * 1000 + g_date_time_get_microsecond(time) / 1000 : 0;
}

static void take_object(Listing *listing, const char *name, const char *text)
{
    if (!listing->object)
        listing->object = g_new0(S3Object, 1);
    S3Object *object = listing->object;
    guint64 size;
    if (strcmp(name, "Key") == 0) {
        g_free(object->key);
        object->has_nul = strstr(text, "%00");
        g_autoptr(GString) escaped = g_string_new(text);
        g_string_replace(escaped, "%00", "%2500", 0);
        object->key = g_uri_unescape_string(escaped->str, NULL);
        if (!object->key || !*object->key)
            listing->fault = "a listing with a key that cannot be read";
    } else if (strcmp(name, "ETag") == 0) {
        g_free(object->etag);
        object->etag = without_quotes(text);
    } else if (strcmp(name, "LastModified") == 0) {
        object->modified_ms = time_of(text);
    } else if (strcmp(name, "Size") == 0) {
        if (g_ascii_string_to_unsigned(text, 10, 0, G_MAXINT64, &size, NULL))
            object->size = (int64_t)size;
        else
            listing->fault = "a listing with a size that is no number";
    }
}

static void listing_leaf(gpointer data, const char *parent, const char *name, const char *text)
{
    Listing *listing = data;
    if (strcmp(parent, "Contents") == 0) {
        take_object(listing, name, text);
    } else if (strcmp(name, "IsTruncated") == 0) {
        listing->truncated = strcmp(text, "true") == 0;
    } else if (strcmp(name, "NextContinuationToken") == 0) {
        g_free(listing->page->next);
        listing->page->next = g_strdup(text);
    }
}

static void listing_end(gpointer data, const char *name)
{
    Listing *listing = data;
    if (strcmp(name, "Contents") != 0)
        return;
    if (!listing->object || !listing->object->key) {
        listing->fault = "a listing with an object that has no key";
        return;
    }
    if (!listing->object->etag)
        listing->object->etag = g_strdup("");
    g_ptr_array_add(listing->page->objects, g_steal_pointer(&listing->object));
}

S3Page *s3_xml_page(const void *data, size_t size, const char **fault)
{
    g_autoptr(S3Page) page = g_new0(S3Page, 1);
    page->objects = g_ptr_array_new_with_free_func((GDestroyNotify)s3_object_free);
    Listing listing = {.page = page};
    Walk walk = {.leaf = listing_leaf, .end = listing_end, .data = &listing};
    bool good = walk_xml(&walk, data, size, "ListBucketResult");
    s3_object_free(listing.object);
    *fault = !good ? "an answer that is no listing" : listing.fault;
    if (!*fault && listing.truncated && (!page->next || !*page->next))
        *fault = "a listing that goes on without saying where";
    if (!listing.truncated)
        g_clear_pointer(&page->next, g_free);
    return *fault ? NULL : g_steal_pointer(&page);
}

/* -- an error -- */

typedef struct {
    char **code, **message, **request_id;
} ErrorFields;

static void error_leaf(gpointer data, const char *parent, const char *name, const char *text)
{
    ErrorFields *fields = data;
    char **field = strcmp(name, "Code") == 0        ? fields->code
                   : strcmp(name, "Message") == 0   ? fields->message
                   : strcmp(name, "RequestId") == 0 ? fields->request_id
                                                    : NULL;
    if (!field || strcmp(parent, "Error") != 0)
        return;
    g_free(*field);
    *field = g_strdup(text);
}

void s3_xml_error(const void *data, size_t size, char **code, char **message, char **request_id)
{
    ErrorFields fields = {code, message, request_id};
    Walk walk = {.leaf = error_leaf, .data = &fields};
    walk_xml(&walk, data, size, "Error");
}

/* -- other answers -- */

bool s3_xml_is(const void *data, size_t size, const char *root)
{
    Walk walk = {0};
    return walk_xml(&walk, data, size, root);
}

typedef struct {
    const char *name;
    char *text;
} Wanted;

static void wanted_leaf(gpointer data, const char *parent, const char *name, const char *text)
{
    Wanted *wanted = data;
    if (*parent && !wanted->text && strcmp(name, wanted->name) == 0)
        wanted->text = g_strdup(text);
}

char *s3_xml_text(const void *data, size_t size, const char *name)
{
    Wanted wanted = {name, NULL};
    Walk walk = {.leaf = wanted_leaf, .data = &wanted};
    if (!walk_xml(&walk, data, size, NULL))
        g_clear_pointer(&wanted.text, g_free);
    return wanted.text;
}

static void upload_free(gpointer data)
{
    S3Upload *upload = data;
    g_free(upload->key);
    g_free(upload->id);
    g_free(upload);
}

typedef struct {
    GPtrArray *uploads;
    char *key, *id;
} Uploads;

static void uploads_leaf(gpointer data, const char *parent, const char *name, const char *text)
{
    Uploads *uploads = data;
    if (strcmp(parent, "Upload") != 0)
        return;
    if (strcmp(name, "Key") == 0) {
        g_free(uploads->key);
        uploads->key = g_uri_unescape_string(text, NULL);
    } else if (strcmp(name, "UploadId") == 0) {
        g_free(uploads->id);
        uploads->id = g_strdup(text);
    }
}

static void uploads_end(gpointer data, const char *name)
{
    Uploads *uploads = data;
    if (strcmp(name, "Upload") != 0)
        return;
    if (uploads->key && uploads->id && *uploads->key && *uploads->id) {
        S3Upload *upload = g_new0(S3Upload, 1);
        *upload = (S3Upload){g_steal_pointer(&uploads->key), g_steal_pointer(&uploads->id)};
        g_ptr_array_add(uploads->uploads, upload);
    }
    g_clear_pointer(&uploads->key, g_free);
    g_clear_pointer(&uploads->id, g_free);
}

GPtrArray *s3_xml_uploads(const void *data, size_t size)
{
    Uploads uploads = {.uploads = g_ptr_array_new_with_free_func(upload_free)};
    Walk walk = {.leaf = uploads_leaf, .end = uploads_end, .data = &uploads};
    walk_xml(&walk, data, size, "ListMultipartUploadsResult");
    g_free(uploads.key);
    g_free(uploads.id);
    return uploads.uploads;
}
