#include "store/members.h"

#define OF_WORTH "revoked_at IS NULL AND (expires_at IS NULL OR expires_at > $2)"

bool members_each(Db *db, const char *project, int64_t now, MemberVisitor visit, gpointer data,
                  GError **error)
{
    GError *failure = NULL;
    g_autoptr(DbRows) rows =
        db_query(db, &failure,
                 "SELECT project, user_name, role, sum(token), sum(access_key), max(used) FROM ("
                 "SELECT project, user_name, role, 1 AS token, 0 AS access_key, "
                 "last_used_at AS used FROM tokens WHERE kind = 'token' AND " OF_WORTH
                 " UNION ALL SELECT project, user_name, role, 0, 1, used_at FROM access_keys "
                 "WHERE " OF_WORTH ") AS members WHERE $1 IS NULL OR project = $1 "
                 "GROUP BY project, user_name, role ORDER BY project, user_name, role",
                 "si", project, now);
    while (rows && db_next(rows, &failure)) {
        const Member member = {.project = db_text(rows, 0),
                               .user = db_text(rows, 1),
                               .role = db_text(rows, 2),
                               .tokens = db_int(rows, 3),
                               .access_keys = db_int(rows, 4),
                               .last_used_at = db_int(rows, 5)};
        visit(&member, data);
    }
    if (failure)
        g_propagate_error(error, failure);
    return !failure;
}

bool members_each_project(Db *db, const char *project, ProjectVisitor visit, gpointer data,
                          GError **error)
{
    GError *failure = NULL;
    g_autoptr(DbRows) rows =
        db_query(db, &failure,
                 "SELECT p.id, p.created_at, (SELECT count(*) FROM models m WHERE m.project = p.id "
                 "AND m.deleted_at IS NULL) FROM projects p WHERE $1 IS NULL OR p.id = $1 "
                 "ORDER BY p.id",
                 "s", project);
    while (rows && db_next(rows, &failure)) {
        const ProjectRow row = {db_text(rows, 0), db_int(rows, 1), db_int(rows, 2)};
        visit(&row, data);
    }
    if (failure)
        g_propagate_error(error, failure);
    return !failure;
}
