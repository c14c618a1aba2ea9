#include "store/credentials.h"

#include <string.h>

#include "base/clock.h"

#define NAME_BYTES 255

void credential_free(Credential *credential)
{
    if (!credential)
        return;
    g_free(credential->project);
    g_free(credential->kind);
    g_free(credential->host);
    g_free(credential->user);
    g_free(credential->sealed);
    g_free(credential);
}

/* HOST[:PORT], an IPv6 address in brackets: no scheme, no path, no user. */
static bool is_host(const char *text)
{
    static const char NAME[] = "abcdefghijklmnopqrstuvwxyz0123456789.-_";
    const char *colon = strrchr(text, ':'), *bracket = strrchr(text, ']');
    const char *port = colon && (!bracket || colon > bracket) ? colon + 1 : NULL;
    gsize length = port ? (gsize)(port - 1 - text) : strlen(text);
    guint64 number;
    if (!length || length > NAME_BYTES || *text == '-' || *text == '.' ||
        (port && !g_ascii_string_to_unsigned(port, 10, 1, 65535, &number, NULL)))
        return false;
    if (*text == '[')
        return length > 3 && text[length - 1] == ']' &&
               strspn(text + 1, "0123456789abcdef:.") == length - 2;
    return strspn(text, NAME) == length;
}

static bool prints(const char *text)
{
    bool good = g_utf8_validate(text, -1, NULL);
    for (; good && *text; text = g_utf8_next_char(text))
        good = !g_unichar_iscntrl(g_utf8_get_char(text));
    return good;
}

char *credential_check(Credential *credential, const char *secret)
{
    char *lower = g_ascii_strdown(credential->host, -1);
    g_free(credential->host);
    credential->host = lower;
    if (strcmp(credential->kind, CREDENTIAL_REGISTRY) != 0 &&
        strcmp(credential->kind, CREDENTIAL_S3) != 0)
        return g_strdup_printf("kind is \"%s\"; expected registry or s3", credential->kind);
    if (!is_host(credential->host))
        return g_strdup_printf("host is \"%s\"; expected HOST or HOST:PORT, without a scheme",
                               credential->host);
    if (!prints(credential->user) || strlen(credential->user) > NAME_BYTES)
        return g_strdup("user is no text of at most 255 bytes without control characters");
    if (strcmp(credential->kind, CREDENTIAL_S3) == 0 && !*credential->user)
        return g_strdup("user is missing: of an object store it is the access key");
    if (!*secret || !prints(secret) || strlen(secret) > CREDENTIAL_SECRET_BYTES)
        return g_strdup("the secret is no line of text of 1 to 8192 bytes");
    return NULL;
}

static char *belongs_to(const Credential *credential)
{
    return g_strdup_printf("credential %s of project %s for %s", credential->kind,
                           credential->project, credential->host);
}

bool credential_put(Db *db, const SealKey *key, Credential *credential, const char *secret,
                    GError **error)
{
    g_autofree char *owner = belongs_to(credential);
    g_free(credential->sealed);
    credential->sealed = seal_text(key, owner, secret, error);
    credential->created_at = clock_now_ms();
    g_autoptr(DbTransaction) transaction = credential->sealed ? db_transaction(db, error) : NULL;
    return transaction &&
           db_exec(db, error,
                   "INSERT INTO credentials(project, kind, host, user_name, secret, created_at) "
                   "VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (project, kind, host) DO UPDATE "
                   "SET user_name = excluded.user_name, secret = excluded.secret, created_at = "
                   "excluded.created_at",
                   "sssssi", credential->project, credential->kind, credential->host,
                   credential->user, credential->sealed, credential->created_at) &&
           db_commit(db, error);
}

#define COLUMNS "SELECT project, kind, host, user_name, created_at, secret FROM credentials "

static Credential *credential_of_row(DbRows *rows)
{
    Credential *credential = g_new0(Credential, 1);
    credential->project = g_strdup(db_text(rows, 0));
    credential->kind = g_strdup(db_text(rows, 1));
    credential->host = g_strdup(db_text(rows, 2));
    credential->user = g_strdup(db_text(rows, 3));
    credential->created_at = db_int(rows, 4);
    credential->sealed = g_strdup(db_text(rows, 5));
    return credential;
}

GPtrArray *credentials_list(Db *db, const char *project, GError **error)
{
    g_autoptr(GPtrArray) list = g_ptr_array_new_with_free_func((GDestroyNotify)credential_free);
    GError *failure = NULL;
    g_autoptr(DbRows) rows =
        db_query(db, error, COLUMNS "WHERE project = $1 ORDER BY kind, host", "s", project);
    while (rows && db_next(rows, &failure))
        g_ptr_array_add(list, credential_of_row(rows));
    if (failure)
        g_propagate_error(error, failure);
    return rows && !failure ? g_steal_pointer(&list) : NULL;
}

Credential *credential_find(Db *db, const char *project, const char *kind, const char *host,
                            GError **error)
{
    g_autofree char *lower = g_ascii_strdown(host, -1);
    g_autoptr(DbRows) rows =
        db_query(db, error, COLUMNS "WHERE project = $1 AND kind = $2 AND host = $3", "sss",
                 project, kind, lower);
    return rows && db_next(rows, error) ? credential_of_row(rows) : NULL;
}

bool credential_remove(Db *db, const char *project, const char *kind, const char *host, bool *found,
                       GError **error)
{
    GError *failure = NULL;
    g_autofree char *lower = g_ascii_strdown(host, -1);
    g_autoptr(DbTransaction) transaction = db_transaction(db, error);
    if (!transaction)
        return false;
    g_autoptr(Credential) there = credential_find(db, project, kind, host, &failure);
    *found = there != NULL;
    if (failure) {
        g_propagate_error(error, failure);
        return false;
    }
    return db_exec(db, error,
                   "DELETE FROM credentials WHERE project = $1 AND kind = $2 AND host = $3", "sss",
                   project, kind, lower) &&
           db_commit(db, error);
}

char *credential_secret(const Credential *credential, const SealKey *key, GError **error)
{
    g_autofree char *owner = belongs_to(credential);
    return seal_open(key, owner, credential->sealed, error);
}
