/* What was told of a layer's files while they were packed (scan/scan.h), kept with the layer's
 * digest: files that are not read again are told of again. The digest stands for the files' paths,
 * too; that of a blob, which is a file's content alone, does not: there the path's ending stands
 * beside it, which decides how the content is read.
 *
 * A layer that was packed before there were scans, or under other rules, is not known: whoever
 * wants to know it packs it again. */
#pragma once

#include "event/finding.h"
#include "store/db.h"

typedef struct Import Import;

/* *known: what the scan tells today was noted of it. path: of a blob; NULL: it is a layer. */
bool scans_known(Db *db, const char *digest, const char *path, bool *known, GError **error);
/* Within the caller's transaction. */
bool scans_remember(Db *db, const char *digest, const char *path, const json_t *reports,
                    GError **error);
/* Those of layers that no attempt has any more. */
bool scans_forget(Db *db, GError **error);

/* What the setting check.pickle and the formats say of the layers of `copy` of an attempt: findings
 * in the order of their reasons. Of what is not known any more it is said that it was not read. */
bool scans_find(Import *import, int attempt, Findings *findings, GError **error);
/* Whether what an earlier attempt copied may be taken over: nothing in it is refused now, and all
 * of it was looked at. */
bool scans_let_in(Import *import, int attempt, bool *let_in, GError **error);
