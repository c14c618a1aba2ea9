#include "command/remote_upload.h"

#include <errno.h>
#include <gio/gio.h>
#include <pthread.h>
#include <string.h>

#include "base/digest.h"
#include "base/io.h"
#include "command/command.h"

#define SENDERS       3
#define MOST_FAILURES 10 /* in a row, without a byte between them */
#define FIRST_WAIT_MS 500
#define MOST_WAIT_MS  15000
#define SKIP_BYTES    (1 << 20)

typedef struct {
    const PackageFile *file;
    const char *child; /* what its path is beneath, on this side */
    char *target;      /* its path in the upload */
    int64_t have;      /* that the server said it has; -1: all of it */
} Item;

static void item_free(Item *item)
{
    g_free(item->target);
    g_free(item);
}

typedef struct {
    const Remote *remote;
    Package *package;
    Progress *progress;
    char *id;
    GPtrArray *items;     /* of Item */
    pthread_mutex_t lock; /* of what follows */
    guint next;
    GError *failure; /* the first one: every sender ends */
} Delivery;

/* -- one file -- */

typedef struct {
    Delivery *upload;
    PackageReader *reader;
    int64_t counted; /* of this file, in the progress */
    Event *finding;  /* why it cannot be read */
} Sending;

static void sending_count(Sending *sending, int64_t bytes)
{
    progress_add(sending->upload->progress, bytes - sending->counted);
    sending->counted = bytes;
}

static ssize_t sending_read(gpointer data, void *buffer, size_t size)
{
    Sending *sending = data;
    ssize_t got = sending->reader->read(sending->reader, buffer, size, &sending->finding);
    if (got > 0)
        sending_count(sending, sending->counted + got);
    return got;
}

/* What the server has already is not sent again. */
static bool sending_skip(Sending *sending, int64_t bytes)
{
    g_autofree char *buffer = g_malloc(SKIP_BYTES);
    while (bytes > 0) {
        ssize_t got = sending->reader->read(sending->reader, buffer, (size_t)MIN(bytes, SKIP_BYTES),
                                            &sending->finding);
        if (got <= 0)
            return false;
        bytes -= got;
    }
    return true;
}

static bool sending_fail(Sending *sending, const Item *item, GError **error)
{
    const char *why = "it changed while it was read; is something still writing to it?";
    const json_t *evidence = sending->finding ? sending->finding->evidence : NULL;
    const char *text = json_string_value(json_object_get(evidence, "error"));
    g_set_error(error, IO_ERROR, EIO, "%s: %s", item->file->path, text ? text : why);
    return false;
}

static char *path_of(const Delivery *upload, const char *target)
{
    g_autofree char *escaped = target ? g_uri_escape_string(target, "/", FALSE) : NULL;
    return remote_path(upload->remote, "/uploads/%s%s%s", upload->id, target ? "/" : "",
                       target ? escaped : "");
}

/* What the server has of it. */
static bool item_ask(const Delivery *upload, Remote *remote, Item *item, GError **error)
{
    g_autoptr(GError) failure = NULL;
    g_autofree char *path = path_of(upload, item->target);
    json_auto_t *answer = remote_call(remote, "GET", path, NULL, &failure);
    item->have = json_integer_value(json_object_get(answer, "bytes_received"));
    if (json_is_true(json_object_get(answer, "complete")))
        item->have = -1;
    if (!failure || g_error_matches(failure, REMOTE_ERROR, REMOTE_ERROR_NOT_FOUND))
        return true;
    g_propagate_error(error, g_steal_pointer(&failure));
    return false;
}

/* *again: the same may work in a moment. A conflict is mostly this file's former connection, whose
 * end the server has not seen yet. */
static bool item_put(const Delivery *upload, Remote *remote, const Item *item, int64_t from,
                     Sending *sending, bool *again, GError **error)
{
    int64_t size = item->file->identity.size;
    g_auto(RemoteAnswer) answer = {0};
    g_autofree char *path = path_of(upload, item->target);
    g_autofree char *range = g_strdup_printf("Content-Range: bytes %" G_GINT64_FORMAT
                                             "-%" G_GINT64_FORMAT "/%" G_GINT64_FORMAT,
                                             from, size - 1, size);
    const char *const headers[] = {"Content-Type: application/octet-stream", from ? range : NULL,
                                   NULL};
    const RemoteBody body = {sending_read, sending, size - from};
    bool came = remote_send(remote, path, headers, &body, &answer, error);
    *again = !came || answer.status == 409 || answer.status == 416 || answer.status == 429 ||
             (answer.status >= 500 && answer.status != 507);
    if (came && answer.status >= 400)
        remote_answer_error(remote, &answer, error);
    return came && answer.status < 400;
}

/* One try: the file from where the server is. */
static bool item_send(const Delivery *upload, Remote *remote, Item *item, Sending *sending,
                      bool *again, GError **error)
{
    PackageSource *source = upload->package->source;
    int64_t from = item->have < item->file->identity.size ? item->have : 0;
    g_autoptr(GError) failure = NULL;
    g_autoptr(PackageReader) reader =
        source->open(source, item->child, item->file, &sending->finding);
    *again = false;
    sending->reader = reader;
    sending_count(sending, from);
    if (!reader || !sending_skip(sending, from))
        return sending_fail(sending, item, error);
    bool sent = item_put(upload, remote, item, from, sending, again, &failure);
    if (sending->finding || (sent && !reader->end(reader, &sending->finding))) {
        *again = false;
        return sending_fail(sending, item, error);
    }
    if (failure)
        g_propagate_error(error, g_steal_pointer(&failure));
    return sent;
}

/* False: it was stopped meanwhile. */
static bool wait_to_retry(const Delivery *upload, int failures)
{
    int64_t wait = MIN((int64_t)FIRST_WAIT_MS << MIN(failures, 10), MOST_WAIT_MS);
    for (int64_t waited = 0; waited < wait && !progress_stopped(upload->progress); waited += 50)
        g_usleep(50000);
    return !progress_stopped(upload->progress);
}

static bool ask_again(const GError *error)
{
    return g_error_matches(error, REMOTE_ERROR, REMOTE_ERROR_UNREACHABLE) ||
           g_error_matches(error, REMOTE_ERROR, REMOTE_ERROR_SERVER);
}

/* After a break: waits, and asks how far it came, until an answer comes. A break that let bytes
 * through begins the count of failures anew. Takes the failure over. */
static bool item_retry(const Delivery *upload, Remote *remote, Item *item, bool again,
                       GError *failure, int *failures, GError **error)
{
    int64_t before = item->have;
    while (failure) {
        if (!again || ++*failures >= MOST_FAILURES || !wait_to_retry(upload, *failures)) {
            g_propagate_error(error, failure);
            return false;
        }
        g_clear_error(&failure);
        item_ask(upload, remote, item, &failure);
        again = failure && ask_again(failure);
    }
    if (item->have < 0 || item->have > before)
        *failures = 0;
    return true;
}

static bool item_deliver(Delivery *upload, Remote *remote, Item *item, GError **error)
{
    int failures = 0;
    Sending sending = {.upload = upload};
    while (item->have >= 0) {
        bool again;
        GError *failure = NULL;
        if (item_send(upload, remote, item, &sending, &again, &failure))
            break;
        event_free(g_steal_pointer(&sending.finding));
        if (!item_retry(upload, remote, item, again, failure, &failures, error))
            return false;
    }
    sending_count(&sending, item->file->identity.size);
    return true;
}

/* -- all of them -- */

static Item *item_take(Delivery *upload)
{
    pthread_mutex_lock(&upload->lock);
    Item *item = !upload->failure && upload->next < upload->items->len
                     ? upload->items->pdata[upload->next++]
                     : NULL;
    pthread_mutex_unlock(&upload->lock);
    return item;
}

static void *sender_run(void *data)
{
    Delivery *upload = data;
    g_autoptr(Remote) remote = remote_copy(upload->remote);
    for (Item *item; remote && (item = item_take(upload));) {
        GError *failure = NULL;
        if (item_deliver(upload, remote, item, &failure))
            continue;
        pthread_mutex_lock(&upload->lock);
        if (upload->failure)
            g_error_free(failure);
        else
            upload->failure = failure;
        pthread_mutex_unlock(&upload->lock);
    }
    return NULL;
}

static void item_add(Delivery *upload, const char *child, const PackageFile *file, char *target)
{
    Item *item = g_new0(Item, 1);
    *item = (Item){.file = file, .child = child, .target = target};
    g_ptr_array_add(upload->items, item);
}

/* A UUID of the eighth version (RFC 9562): of what is sent, and by whom. */
static char *id_of(const Remote *remote, const Package *package, const char *under,
                   const PackageFile *beside)
{
    g_autofree char *listing = package_listing_digest(package);
    g_autofree char *path = remote_path(remote, "/uploads");
    const FileIdentity none = {0}, *identity = beside ? &beside->identity : &none;
    g_autofree char *text =
        g_strdup_printf("%s\n%s\n%s\n%s\n%s\n%s\n%" G_GINT64_FORMAT " %" G_GINT64_FORMAT
                        " %" G_GINT64_FORMAT,
                        path, g_get_host_name(), session_actor(), package->child, under, listing,
                        identity->size, identity->mtime_ns, identity->ctime_ns);
    g_autofree char *digest = digest_of(text, strlen(text));
    const char *hex = digest_hex(digest);
    return g_strdup_printf("%.8s-%.4s-8%.3s-8%.3s-%.12s", hex, hex + 8, hex + 12, hex + 15,
                           hex + 18);
}

/* Makes the upload, or finds it as an earlier command left it. */
static bool upload_find(Delivery *upload, Remote *remote, GError **error)
{
    g_autofree char *path = path_of(upload, NULL);
    json_auto_t *nothing = json_object();
    json_auto_t *made = remote_call(remote, "PUT", path, nothing, error);
    json_auto_t *known = made ? remote_call(remote, "GET", path, NULL, error) : NULL;
    bool found = known != NULL;
    g_autoptr(GHashTable) items = g_hash_table_new(g_str_hash, g_str_equal);
    for (guint i = 0; i < upload->items->len; i++)
        g_hash_table_insert(items, ((Item *)upload->items->pdata[i])->target,
                            upload->items->pdata[i]);
    size_t i;
    const json_t *file;
    json_array_foreach (json_object_get(known, "files"), i, file) {
        const char *name = json_string_value(json_object_get(file, "path"));
        Item *item = name ? g_hash_table_lookup(items, name) : NULL;
        if (item)
            item->have = json_is_true(json_object_get(file, "complete"))
                             ? -1
                             : json_integer_value(json_object_get(file, "bytes_received"));
    }
    return found;
}

static bool upload_send(Delivery *upload, GError **error)
{
    pthread_t threads[SENDERS];
    int count = 0;
    while (count < SENDERS && pthread_create(&threads[count], NULL, sender_run, upload) == 0)
        count++;
    if (count == 0)
        sender_run(upload);
    for (int i = 0; i < count; i++)
        pthread_join(threads[i], NULL);
    if (progress_stopped(upload->progress) && upload->failure) {
        g_clear_error(&upload->failure);
        g_set_error(&upload->failure, REMOTE_ERROR, REMOTE_ERROR_STOPPED, "interrupted");
    }
    if (!upload->failure && upload->next < upload->items->len)
        g_set_error(&upload->failure, REMOTE_ERROR, REMOTE_ERROR_UNREACHABLE,
                    "libcurl cannot be used");
    bool sent = !upload->failure;
    if (!sent)
        g_propagate_error(error, g_steal_pointer(&upload->failure));
    return sent;
}

char *remote_upload(Remote *remote, Package *package, const char *under, const PackageFile *beside,
                    Progress *progress, GError **error)
{
    Delivery upload = {.remote = remote,
                       .package = package,
                       .progress = progress,
                       .id = id_of(remote, package, under, beside),
                       .items = g_ptr_array_new_with_free_func((GDestroyNotify)item_free)};
    pthread_mutex_init(&upload.lock, NULL);
    for (guint i = 0; i < package->files->len; i++) {
        const PackageFile *file = package->files->pdata[i];
        item_add(&upload, package->child, file, g_strconcat(under, file->path, NULL));
    }
    if (beside)
        item_add(&upload, ".", beside, g_strdup(beside->path));
    progress_begin(progress, package->bytes + (beside ? beside->identity.size : 0));
    bool sent = upload_find(&upload, remote, error) && upload_send(&upload, error);
    progress_end(progress);
    pthread_mutex_destroy(&upload.lock);
    g_ptr_array_unref(upload.items);
    if (!sent)
        g_clear_pointer(&upload.id, g_free);
    return upload.id;
}
