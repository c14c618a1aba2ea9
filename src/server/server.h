/* `waybill serve`: the HTTP API and the workers on one data directory. */
#pragma once

#include "server/access.h"
#include "server/aside.h"
#include "server/http.h"
#include "server/hub.h"
#include "server/keeper.h"
#include "server/login_limit.h"
#include "server/model_frames.h"
#include "server/progress.h"
#include "server/push_sessions.h"
#include "server/request_log.h"
#include "server/workers.h"

struct Server {
    const Settings *settings;
    char *directory;
    Service *service; /* the main thread's; holds the data directory */
    int presence;     /* says to other processes that a server is there */
    Hub *hub;
    Workers *workers;
    Aside *aside;
    ProgressCache *progress;
    ModelFrames *model_frames;
    Access *access;
    HttpServer *http;
    RequestLog requests;
    LoginLimit *logins;
    PushSessions *pushes;
    bool loopback; /* nobody but this machine reaches it */
    Keeper *keeper;
};

typedef struct {
    const char *directory;
    const Settings *settings;
    const char *listen; /* HOST:PORT */
    int workers;
    bool log_json; /* the lines of the request log; else text */
} ServerOptions;

Server *server_start(const ServerOptions *options, GError **error);
const char *server_address(const Server *server);
/* ImportRequest.asked_over of what it is asked. */
const char *server_asked_over(const Server *server);
/* Whether others than this machine reach it. */
bool server_is_exposed(const Server *server);
/* On the first start on a data directory that never had a token: the path that signs `user` in,
 * once (the caller frees it). NULL with *error unset: it is not the first. */
char *server_first_sign_in(Server *server, const char *user, GError **error);
/* Lets requests end and hands running stages back to the queue, then stops. */
void server_stop(Server *server);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Server, server_stop)

/* Why the disk cannot take `needed` further bytes and keep free what the settings want free
 * (upload.min_free_gib, store.min_free_gib); NULL: it can. The caller frees it. */
char *server_lacks_room(const Server *server, const Service *service, int64_t needed);

/* A connection to the store of this thread's own, made when it is first asked for. */
Service *server_service(Server *server, GError **error);
