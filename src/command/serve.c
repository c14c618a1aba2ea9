#include <gio/gio.h>
#include <string.h>

#include "command/serving.h"
#include "server/server.h"

/* What could not be started, and what to type where it is only that nobody may use it yet. */
static int refuse_start(const Session *session, const char *listen, const GError *error)
{
    if (!g_error_matches(error, G_IO_ERROR, G_IO_ERROR_PERMISSION_DENIED))
        return complain_of(error);
    g_autofree char *quoted = session->data ? g_shell_quote(session->data) : NULL;
    g_autofree char *data = quoted ? g_strconcat(" --data ", quoted, NULL) : g_strdup("");
    complain("%s", error->message);
    fprintf(stderr, session->err.language == LANGUAGE_ZH
                        ? "请先创建令牌,再启动服务:\n"
                        : "Make a token, then start the server:\n");
    fprintf(stderr, "  waybill token create --user %s --role admin --project '*'%s\n",
            session_actor(), data);
    fprintf(stderr, "  waybill serve --listen %s%s\n", listen, data);
    return EXIT_USAGE;
}

static void print_hint(const Session *session, const Server *server)
{
    if (!server_is_exposed(server) || *settings_text(session->settings, "server.tls_cert"))
        return;
    complain("%s",
             session->err.language == LANGUAGE_ZH
                 ? "未设置 server.tls_cert:令牌以明文传输;请设置它,或在前面放置提供 TLS 的代理"
                 : "server.tls_cert is not set: tokens travel in the clear; set it, or put a "
                   "proxy with TLS in front");
}

/* A store that is busy just now is no reason not to serve: `waybill token link` makes one later. */
static void print_link(const Session *session, Server *server)
{
    g_autoptr(GError) error = NULL;
    g_autofree char *path =
        session->quiet ? NULL : server_first_sign_in(server, session_actor(), &error);
    if (error)
        complain("no sign-in link: %s", error->message);
    if (path)
        printf(session->out.language == LANGUAGE_ZH
                   ? "在 %d 分钟内打开此链接登录,只能使用一次:\n  %s%s\n"
                   : "signs you in, once, within %d minutes:\n  %s%s\n",
               LINK_SECONDS / 60, server_address(server), path);
    fflush(stdout);
}

int command_serve(Session *session, int argc, char **argv)
{
    g_autofree char *listen = NULL;
    g_autofree char *log_format = NULL;
    int workers = -1;
    const GOptionEntry entries[] = {
        {"listen", 0, 0, G_OPTION_ARG_STRING, &listen,
         "Listen there (server.listen: 127.0.0.1:8420)", "HOST:PORT"},
        {"log-format", 0, 0, G_OPTION_ARG_STRING, &log_format,
         "A line for each request on standard error: text (default) or json", "FORMAT"},
        {"workers", 0, 0, G_OPTION_ARG_INT, &workers,
         "Work on so many imports at once (server.workers); 0: only serve", "N"},
        {NULL}};
    int status = session_parse(session, command_find("serve"), entries, &argc, &argv, 0, 0);
    if (status >= 0)
        return status;
    if (workers != -1 && !serving_workers_fit(workers, 0))
        return EXIT_USAGE;
    bool log_json = g_strcmp0(log_format, "json") == 0;
    if (log_format && !log_json && strcmp(log_format, "text") != 0) {
        complain("--log-format %s: expected text or json", log_format);
        return EXIT_USAGE;
    }
    serving_begin();
    g_autoptr(GError) error = NULL;
    g_autofree char *directory = session_data_directory(session);
    const ServerOptions options = {.directory = directory,
                                   .log_json = log_json,
                                   .settings = session->settings,
                                   .listen =
                                       listen ? listen
                                              : settings_text(session->settings, "server.listen"),
                                   .workers = serving_workers(session, workers)};
    g_autoptr(Server) server = server_start(&options, &error);
    if (!server)
        return refuse_start(session, options.listen, error);
    printf("%s\n", server_address(server));
    fflush(stdout);
    print_link(session, server);
    print_hint(session, server);
    serving_wait();
    return EXIT_DONE;
}
