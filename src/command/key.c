#include <fcntl.h>
#include <string.h>

#include "base/io.h"
#include "base/signing.h"
#include "command/command.h"

static int key_print(const SigningKey *key, bool json)
{
    g_autoptr(GError) error = NULL;
    g_autofree char *pem = signing_key_public(key, &error);
    if (!pem)
        return complain_of(error);
    if (json)
        print_json_line(json_pack("{s:s, s:s}", "keyid", signing_key_id(key), "public_key", pem));
    else
        fputs(pem, stdout);
    return EXIT_DONE;
}

static int key_create(Session *session, bool json)
{
    g_autoptr(GError) error = NULL;
    if (!session_open(session, true))
        return EXIT_UNREACHABLE;
    g_autoptr(SigningKey) key = signing_key_create(session->service->data->fd, &error);
    if (!key) {
        complain("%s/%s", session->service->data->path, error->message);
        return g_error_matches(error, SIGNING_ERROR, SIGNING_ERROR_EXISTS) ? EXIT_USAGE
                                                                           : EXIT_UNREACHABLE;
    }
    if (!session->quiet && !json)
        fprintf(stderr,
                session->err.language == LANGUAGE_ZH
                    ? "已生成 %s/" SIGNING_KEY_FILE ",此后构建的镜像都会签名。公钥:\n"
                    : "made %s/" SIGNING_KEY_FILE
                      ": what images carry is signed from now on. The public key:\n",
                session->service->data->path);
    return key_print(key, json);
}

static int key_show(Session *session, bool json)
{
    g_autoptr(GError) error = NULL;
    if (!session_open(session, false))
        return EXIT_UNREACHABLE;
    g_autoptr(SigningKey) key = signing_key_open(session->service->data->fd, &error);
    if (error)
        return complain_of(error);
    if (key)
        return key_print(key, json);
    complain("there is no key: `waybill key create` makes one");
    return EXIT_FAILED;
}

int command_key(Session *session, int argc, char **argv)
{
    gboolean json = FALSE;
    const GOptionEntry entries[] = {{"json", 0, 0, G_OPTION_ARG_NONE, &json,
                                     "Print {keyid, public_key} on one line", NULL},
                                    {NULL}};
    int status = session_parse(session, command_find("key"), entries, &argc, &argv, 1, 1);
    if (status >= 0)
        return status;
    if (strcmp(argv[1], "create") == 0)
        return key_create(session, json);
    if (strcmp(argv[1], "show") == 0)
        return key_show(session, json);
    complain("key %s: expected create or show", argv[1]);
    return EXIT_USAGE;
}
