#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <glib/gstdio.h>

#include "image/registry_login.h"

/* What "auth" is of USER:SECRET. */
#define ALICE "\"YWxpY2U6czNjcmV0\"" /* alice:s3cret */
#define BOB   "\"Ym9iOmE6Yg==\""     /* bob:a:b */

static char *scene;

static int scene_up(void **state)
{
    scene = g_dir_make_tmp("waybill-logins-XXXXXX", NULL);
    static const char *const DIRECTORIES[] = {"run/containers", "docker", "bin"};
    for (size_t i = 0; i < G_N_ELEMENTS(DIRECTORIES); i++) {
        g_autofree char *path = g_build_filename(scene, DIRECTORIES[i], NULL);
        g_mkdir_with_parents(path, 0700);
    }
    g_autofree char *run = g_build_filename(scene, "run", NULL);
    g_autofree char *docker = g_build_filename(scene, "docker", NULL);
    g_autofree char *bin = g_build_filename(scene, "bin", NULL);
    g_autofree char *path = g_strdup_printf("%s:%s", bin, g_getenv("PATH"));
    g_unsetenv("REGISTRY_AUTH_FILE");
    g_setenv("XDG_RUNTIME_DIR", run, TRUE);
    g_setenv("XDG_CONFIG_HOME", scene, TRUE);
    g_setenv("DOCKER_CONFIG", docker, TRUE);
    g_setenv("PATH", path, TRUE);
    return 0;
}

static int scene_down(void **state)
{
    const char *argv[] = {"rm", "-rf", scene, NULL};
    g_spawn_sync(NULL, (char **)argv, NULL, G_SPAWN_SEARCH_PATH, NULL, NULL, NULL, NULL, NULL,
                 NULL);
    g_free(scene);
    return 0;
}

static char *path_of(const char *name)
{
    return g_build_filename(scene, name, NULL);
}

static void put(const char *name, const char *content, int mode)
{
    g_autofree char *path = path_of(name);
    assert_true(g_file_set_contents(path, content, -1, NULL));
    assert_int_equal(g_chmod(path, mode), 0);
}

static void take_away(const char *name)
{
    g_autofree char *path = g_build_filename(scene, name, NULL);
    g_remove(path);
}

static RegistryLogin *find_in(const char *file, const char *host, const char *repository,
                              GError **error)
{
    g_autofree char *set = g_strconcat("images.auth_file=", file, NULL);
    const char *const sets[] = {set, NULL};
    g_autoptr(Settings) settings = settings_load("/dev/null", sets, NULL);
    return registry_login_find(settings, host, repository, error);
}

/* user NULL: there is none. */
static void assert_login(RegistryLogin *login, const char *user, const char *secret)
{
    if (!secret) {
        assert_null(login);
        return;
    }
    assert_non_null(login);
    assert_int_equal(g_strcmp0(login->user, user), 0);
    assert_string_equal(login->secret, secret);
    assert_string_equal(login->origin, "auth_file");
    registry_login_free(login);
}

static void assert_in(const char *content, const char *host, const char *repository,
                      const char *user, const char *secret)
{
    g_autoptr(GError) error = NULL;
    put("auth.json", content, 0600);
    g_autofree char *file = path_of("auth.json");
    RegistryLogin *login = find_in(file, host, repository, &error);
    assert_null(error);
    assert_login(login, user, secret);
}

static void login_is_that_of_the_longest_key(void **state)
{
    static const char FILE[] = "{\"auths\": {\"r.example\": {\"auth\": " ALICE "}, "
                               "\"r.example/team/app\": {\"auth\": " BOB "}}}";
    assert_in(FILE, "r.example", "team/app", "bob", "a:b");
    assert_in(FILE, "r.example", "team/app/part", "bob", "a:b");
    assert_in(FILE, "r.example", "team/application", "alice", "s3cret");
    assert_in(FILE, "r.example", "other", "alice", "s3cret");
    assert_in(FILE, "r.example:5000", "team/app", NULL, NULL);
    assert_in(FILE, "x.r.example", "team/app", NULL, NULL);
}

static void login_is_known_by_dockers_names_too(void **state)
{
    assert_in("{\"auths\": {\"https://r.example\": {\"auth\": " ALICE "}}}", "r.example", "a",
              "alice", "s3cret");
    assert_in("{\"auths\": {\"https://index.docker.io/v1/\": {\"auth\": " ALICE "}}}", "docker.io",
              "a", "alice", "s3cret");
    assert_in("{\"auths\": {\"https://index.docker.io/v1/\": {\"auth\": " ALICE "}}}", "r.example",
              "a", NULL, NULL);
}

static void login_may_be_an_identity_token(void **state)
{
    assert_in("{\"auths\": {\"r.example\": {\"auth\": " ALICE ", \"identitytoken\": \"it\"}}}",
              "r.example", "a", NULL, "it");
}

static void login_may_be_written_as_in_a_secret_of_kubernetes(void **state)
{
    assert_in("{\"auths\": {\"r.example\": {\"username\": \"bob\", \"password\": \"a:b\"}}}",
              "r.example", "a", "bob", "a:b");
    assert_in("{\"auths\": {\"r.example\": {\"username\": \"bob\", \"password\": \"a:b\", "
              "\"auth\": " ALICE "}}}",
              "r.example", "a", "alice", "s3cret");
}

static void login_is_none_where_an_entry_has_none(void **state)
{
    static const char *const ENTRIES[] = {"{}",
                                          "null",
                                          "[]",
                                          "{\"auth\": \"\"}",
                                          "{\"auth\": 1}",
                                          "{\"auth\": \"YWxpY2U=\"}",
                                          "{\"username\": \"bob\"}",
                                          "{\"username\": \"\", \"password\": \"a\"}"};
    for (size_t i = 0; i < G_N_ELEMENTS(ENTRIES); i++) {
        g_autofree char *file = g_strdup_printf("{\"auths\": {\"r.example\": %s}}", ENTRIES[i]);
        assert_in(file, "r.example", "a", NULL, NULL);
    }
    assert_in("{}", "r.example", "a", NULL, NULL);
    assert_in("{\"auths\": []}", "r.example", "a", NULL, NULL);
}

static void login_comes_from_the_first_file_that_has_one(void **state)
{
    g_autofree char *given = path_of("given.json");
    put("given.json", "{\"auths\": {\"r.example\": {\"auth\": " ALICE "}}}", 0600);
    put("run/containers/auth.json", "{\"auths\": {\"r.example\": {\"auth\": " BOB "}}}", 0600);
    put("docker/config.json",
        "{\"auths\": {\"r.example\": {\"identitytoken\": \"docker's\"}, "
        "\"d.example\": {\"identitytoken\": \"docker's\"}}}",
        0600);
    g_setenv("REGISTRY_AUTH_FILE", given, TRUE);
    assert_login(find_in("", "r.example", "a", NULL), "alice", "s3cret");
    assert_login(find_in("", "d.example", "a", NULL), NULL, "docker's");
    assert_login(find_in(given, "d.example", "a", NULL), NULL, NULL);
    g_unsetenv("REGISTRY_AUTH_FILE");
    assert_login(find_in("", "r.example", "a", NULL), "bob", "a:b");
    take_away("run/containers/auth.json");
    assert_login(find_in("", "r.example", "a", NULL), NULL, "docker's");
    take_away("docker/config.json");
    assert_login(find_in("", "r.example", "a", NULL), NULL, NULL);
}

static void login_comes_from_a_helper(void **state)
{
    put("bin/docker-credential-good",
        "#!/bin/sh\nread -r host\n"
        "echo \"{\\\"Username\\\": \\\"$host\\\", \\\"Secret\\\": "
        "\\\"$1\\\"}\"\n",
        0700);
    put("bin/docker-credential-token",
        "#!/bin/sh\nexec <&-\n"
        "echo '{\"Username\": \"<token>\", \"Secret\": \"it\"}'\n",
        0700);
    put("bin/docker-credential-none", "#!/bin/sh\necho credentials not found\nexit 1\n", 0700);
    assert_in(
        "{\"credHelpers\": {\"r.example\": \"good\"}, \"auths\": {\"r.example\": {\"auth\": " ALICE
        "}}}",
        "r.example", "a", "r.example", "get");
    assert_in("{\"credsStore\": \"good\"}", "docker.io", "a", "https://index.docker.io/v1/", "get");
    assert_in("{\"credsStore\": \"good\", \"auths\": {\"r.example\": {\"auth\": " ALICE "}}}",
              "r.example", "a", "alice", "s3cret");
    assert_in("{\"credsStore\": \"good\", \"auths\": {\"r.example\": {}}}", "r.example", "a",
              "r.example", "get");
    assert_in("{\"credsStore\": \"token\"}", "r.example", "a", NULL, "it");
    assert_in("{\"credsStore\": \"none\"}", "r.example", "a", NULL, NULL);
}

static void assert_refused(const char *content, int code, const char *said)
{
    g_autoptr(GError) error = NULL;
    put("auth.json", content, 0600);
    g_autofree char *file = path_of("auth.json");
    assert_null(find_in(file, "r.example", "a", &error));
    assert_non_null(error);
    assert_true(g_error_matches(error, REGISTRY_LOGIN_ERROR, code));
    if (!strstr(error->message, said) || strstr(error->message, "s3cret"))
        fail_msg("\"%s\" does not say \"%s\", or too much", error->message, said);
}

static void login_that_cannot_be_read_is_named(void **state)
{
    assert_refused("{\n \"auths\": s3cret", REGISTRY_LOGIN_ERROR_FILE, "auth.json, line 2");
    assert_refused("[]", REGISTRY_LOGIN_ERROR_FILE, "auth.json");
    assert_refused("{\"credsStore\": \"../bin/good\"}", REGISTRY_LOGIN_ERROR_HELPER, "helper");
    assert_refused("{\"credsStore\": \"nowhere\"}", REGISTRY_LOGIN_ERROR_HELPER,
                   "docker-credential-nowhere");
    g_autoptr(GError) error = NULL;
    assert_null(find_in("/nowhere/auth.json", "r.example", "a", &error));
    assert_true(g_error_matches(error, REGISTRY_LOGIN_ERROR, REGISTRY_LOGIN_ERROR_FILE));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(login_is_that_of_the_longest_key),
        cmocka_unit_test(login_is_known_by_dockers_names_too),
        cmocka_unit_test(login_may_be_an_identity_token),
        cmocka_unit_test(login_may_be_written_as_in_a_secret_of_kubernetes),
        cmocka_unit_test(login_is_none_where_an_entry_has_none),
        cmocka_unit_test(login_comes_from_the_first_file_that_has_one),
        cmocka_unit_test(login_comes_from_a_helper),
        cmocka_unit_test(login_that_cannot_be_read_is_named),
    };
    return cmocka_run_group_tests(tests, scene_up, scene_down);
}
