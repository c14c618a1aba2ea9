/* The projects with who may use them, and what they take of the disk. The administrator of one
 * project sees that one. */
#include <string.h>

#include "base/clock.h"
#include "server/api.h"
#include "store/members.h"
#include "upkeep/space.h"

#define USUAL_MODELS 20
#define MOST_MODELS  1000

/* NULL: every one. */
static const char *seen_project(const HttpRequest *request)
{
    const char *project = request->caller->project;
    return strcmp(project, CALLER_EVERY_PROJECT) == 0 ? NULL : project;
}

/* -- projects and members -- */

typedef struct {
    json_t *projects;   /* array */
    json_t *by_project; /* name -> array of members */
} Projects;

static void take_member(const Member *member, gpointer data)
{
    Projects *all = data;
    json_t *members = json_object_get(all->by_project, member->project);
    if (!members) {
        members = json_array();
        json_object_set_new(all->by_project, member->project, members);
    }
    json_array_append_new(members,
                          json_pack("{s:s, s:s, s:I, s:I, s:o}", "user", member->user, "role",
                                    member->role, "tokens", (json_int_t)member->tokens,
                                    "access_keys", (json_int_t)member->access_keys, "last_used_at",
                                    member->last_used_at ? json_integer(member->last_used_at)
                                                         : json_null()));
}

static json_t *members_of(const Projects *all, const char *project)
{
    json_t *members = json_object_get(all->by_project, project);
    return members ? json_incref(members) : json_array();
}

static void take_project(const ProjectRow *project, gpointer data)
{
    Projects *all = data;
    json_array_append_new(all->projects,
                          json_pack("{s:s, s:I, s:I, s:o}", "project", project->project,
                                    "created_at", (json_int_t)project->created_at, "models",
                                    (json_int_t)project->models, "members",
                                    members_of(all, project->project)));
}

HttpReply projects_get(HttpRequest *request)
{
    HttpReply reply;
    g_autoptr(GError) error = NULL;
    const char *project = seen_project(request);
    Service *service = api_service(request, &reply);
    if (!service)
        return reply;
    json_auto_t *projects = json_array();
    json_auto_t *by_project = json_object();
    Projects all = {projects, by_project};
    if (!members_each(service->db, project, clock_now_ms(), take_member, &all, &error) ||
        !members_each_project(service->db, project, take_project, &all, &error))
        return api_failed(error);
    return http_json(MHD_HTTP_OK, json_pack("{s:i, s:O, s:o}", "count",
                                            (int)json_array_size(projects), "projects", projects,
                                            "operators", members_of(&all, CALLER_EVERY_PROJECT)));
}

/* -- space -- */

/* What the store and the images take in all tells of other projects: for operators. ?project=: of
 * that one. */
HttpReply space_get(HttpRequest *request)
{
    HttpReply reply;
    int64_t limit;
    g_autoptr(GError) error = NULL;
    const char *asked = http_query(request, "project");
    if (asked && !caller_may_see(request->caller, asked))
        return http_error(MHD_HTTP_FORBIDDEN, "ModelArts.0108", "%s may not use project %s",
                          request->caller->user, asked);
    const char *project = asked ? asked : seen_project(request);
    Service *service = api_service(request, &reply);
    if (!service || !api_number(request, "limit", USUAL_MODELS, &limit, &reply))
        return reply;
    g_autoptr(Space) space = space_read(service, project, &error);
    if (!space)
        return api_failed(error);
    return http_json(MHD_HTTP_OK, space_json(space, CLAMP(limit, 1, MOST_MODELS), !project));
}
