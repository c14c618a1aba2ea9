#include "import/file_digests.h"

#include <fcntl.h>
#include <string.h>

#include "base/io.h"

#define TRUST_AGE_NS 2000000000LL

char *file_digest_known(Db *db, const char *machine, const PackageFile *file, const char *packed_as,
                        GError **error)
{
    const FileIdentity *identity = &file->identity;
    g_autoptr(DbRows) rows =
        db_query(db, error,
                 "SELECT digest FROM file_digests WHERE machine = $1 AND device = $2 AND inode = "
                 "$3 AND packed_as = $4 "
                 "AND size = $5 AND mtime_ns = $6 AND ctime_ns = $7",
                 "siisiii", machine, (int64_t)identity->device, (int64_t)identity->inode, packed_as,
                 identity->size, identity->mtime_ns, identity->ctime_ns);
    return rows && db_next(rows, error) ? g_strdup(db_text(rows, 0)) : NULL;
}

bool file_digest_remember(Db *db, const char *machine, const PackageFile *file,
                          const char *packed_as, const char *digest, int64_t read_at_ns,
                          GError **error)
{
    const FileIdentity *identity = &file->identity;
    if (!digest || identity->ctime_ns + TRUST_AGE_NS > read_at_ns)
        return true;
    return db_exec(db, error,
                   "INSERT INTO file_digests(machine, device, inode, packed_as, size, mtime_ns, "
                   "ctime_ns, digest) "
                   "VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT (machine, device, inode, "
                   "packed_as) DO UPDATE SET "
                   "size = excluded.size, mtime_ns = excluded.mtime_ns, ctime_ns = "
                   "excluded.ctime_ns, digest = excluded.digest",
                   "siisiiis", machine, (int64_t)identity->device, (int64_t)identity->inode,
                   packed_as, identity->size, identity->mtime_ns, identity->ctime_ns, digest);
}

void recipe_add(Digest *recipe, const PackageFile *file, const char *digest)
{
    g_autofree char *line =
        g_strdup_printf("%" G_GINT64_FORMAT " %s ", file->identity.size, digest);
    digest_update(recipe, line, strlen(line));
    digest_update(recipe, file->path, strlen(file->path) + 1);
}
