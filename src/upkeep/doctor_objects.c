/* The service's own bucket (objects.url): whether it may be listed, and a probe object written,
 * read, given to its owner, and deleted. Each that is refused is named with the permission that it
 * takes. */
#include <string.h>

#include "object/own_store.h"
#include "object/s3_event.h"
#include "object/s3_write.h"
#include "upkeep/doctor_checks.h"

#define PROBE       ".waybill-doctor"
#define PROBE_BYTES "waybill"

typedef struct {
    Doctor *doctor;
    OwnStore *store;
    S3 *s3;
    char *key, *place;
} Probe;

static char *mend_of(const Probe *probe, const char *permission, const GError *error)
{
    const bool zh = probe->doctor->zh;
    if (g_error_matches(error, S3_ERROR, S3_ERROR_DENIED))
        return g_strdup_printf(zh ? "授予 %s 权限 %s" : "grant %s %s", s3_principal(probe->s3),
                               permission);
    if (g_error_matches(error, S3_ERROR, S3_ERROR_UNREACHABLE))
        return g_strdup(zh ? "检查 objects.endpoint;自有 CA 需设置 objects.ca_file"
                           : "see to objects.endpoint; a CA of its own is objects.ca_file");
    return g_strdup(zh ? "检查 objects.url、objects.region 和密钥"
                       : "see to objects.url, objects.region and the keys");
}

static bool say(const Probe *probe, bool good, const char *permission, const GError *error)
{
    const S3Failure *failure = s3_failure(probe->s3);
    if (!good)
        doctor_add(probe->doctor, "objects", DOCTOR_FAIL, mend_of(probe, permission, error),
                   "%s (%s): %s%s%s", probe->place, permission, error->message,
                   failure->request_id ? ", request " : "",
                   failure->request_id ? failure->request_id : "");
    return good;
}

/* A bucket that is not there is made by the first import. */
static bool can_list(const Probe *probe, bool *there)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(S3Page) page = s3_list(probe->s3, probe->key, NULL, &error);
    *there = page != NULL;
    if (page || !g_error_matches(error, S3_ERROR, S3_ERROR_NO_BUCKET))
        return say(probe, page != NULL, "s3:ListBucket", error);
    doctor_add(probe->doctor, "objects", DOCTOR_OK, NULL,
               probe->doctor->zh ? "%s:桶尚不存在,首次导入时创建"
                                 : "%s: no such bucket yet; the first import makes it",
               probe->place);
    return true;
}

static bool can_read(const Probe *probe)
{
    g_autoptr(GError) error = NULL;
    char buffer[sizeof(PROBE_BYTES)] = "";
    g_autoptr(S3Reader) reader = s3_read(probe->s3, probe->key, "", strlen(PROBE_BYTES));
    ssize_t got = s3_reader_read(reader, buffer, strlen(PROBE_BYTES), &error);
    if (got >= 0 && strcmp(buffer, PROBE_BYTES) != 0)
        g_set_error(&error, S3_ERROR, S3_ERROR_MALFORMED, "other bytes came than were written");
    return say(probe, !error, "s3:GetObject", error);
}

static bool can_grant(const Probe *probe, bool *acls)
{
    g_autoptr(GError) error = NULL;
    bool done = s3_grant_owner(probe->s3, probe->key, acls, &error);
    return say(probe, done, "s3:PutObjectAcl", error);
}

static bool can_write(const Probe *probe)
{
    g_autoptr(GError) error = NULL;
    bool done = s3_put(probe->s3, probe->key, "probe", PROBE_BYTES, strlen(PROBE_BYTES), &error);
    return say(probe, done, "s3:PutObject", error);
}

static bool can_delete(const Probe *probe)
{
    g_autoptr(GError) error = NULL;
    bool done = s3_delete(probe->s3, probe->key, &error);
    return say(probe, done, "s3:DeleteObject", error);
}

/* Each is told that is missing, not the first alone. */
static void look_at(Probe *probe)
{
    bool there, acls = false;
    if (!can_list(probe, &there) && !there &&
        s3_failure(probe->s3)->status == 0) /* nobody answers */
        return;
    if (s3_failure(probe->s3)->status == 404 || !can_write(probe))
        return;
    bool read = can_read(probe), granted = can_grant(probe, &acls), deleted = can_delete(probe);
    if (there && read && granted && deleted)
        doctor_add(probe->doctor, "objects", DOCTOR_OK, NULL,
                   probe->doctor->zh ? "%s:可列出、写入、读取、%s删除"
                                     : "%s may be listed, written, read, %sdeleted from",
                   probe->place,
                   !acls               ? ""
                   : probe->doctor->zh ? "设置 ACL、"
                                       : "given to its owner, ");
}

void doctor_objects(Doctor *doctor)
{
    g_autoptr(GError) error = NULL;
    if (!own_store_is_set(doctor->settings))
        return;
    g_autoptr(OwnStore) store = own_store_open(doctor->settings, NULL, &error);
    if (!store) {
        doctor_add(doctor, "objects", DOCTOR_FAIL,
                   g_strdup("objects.url = s3://BUCKET/PREFIX, objects.endpoint = https://HOST"),
                   "%s", error->message);
        return;
    }
    Probe probe = {.doctor = doctor,
                   .store = store,
                   .s3 = own_store_s3(store),
                   .key = own_store_key(store, PROBE),
                   .place = own_store_place(store, "")};
    look_at(&probe);
    g_free(probe.key);
    g_free(probe.place);
}
