#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <glib/gstdio.h>
#include <string.h>
#include <unistd.h>

#include "import/sources.h"

/* roots/, roots/vision/, roots/vision2/, roots/link -> outside/ */
static int scene_up(void **state)
{
    static const char *const DIRECTORIES[] = {"roots", "roots/vision", "roots/vision2", "outside"};
    char *scene = g_dir_make_tmp("waybill-sources-XXXXXX", NULL);
    for (size_t i = 0; i < G_N_ELEMENTS(DIRECTORIES); i++) {
        g_autofree char *path = g_build_filename(scene, DIRECTORIES[i], NULL);
        g_mkdir(path, 0700);
    }
    g_autofree char *link = g_build_filename(scene, "roots/vision/link", NULL);
    *state = scene;
    return symlink("../../outside", link);
}

static int scene_down(void **state)
{
    const char *argv[] = {"rm", "-rf", *state, NULL};
    g_spawn_sync(NULL, (char **)argv, NULL, G_SPAWN_SEARCH_PATH, NULL, NULL, NULL, NULL, NULL,
                 NULL);
    g_free(*state);
    return 0;
}

/* @ in a text is the scene's directory. */
static char *placed(const char *scene, const char *text)
{
    g_autoptr(GString) string = g_string_new(text);
    g_string_replace(string, "@", scene, 0);
    return g_strdup(string->str);
}

static Settings *settings_new(const char *scene, const char *allow)
{
    g_autofree char *place = placed(scene, allow);
    g_autofree char *roots = g_strdup_printf("server.import_roots=/nowhere:%s/roots", scene);
    g_autofree char *entries = g_strconcat("sources.allow=", place, NULL);
    const char *const sets[] = {roots, entries, NULL};
    return settings_load("/dev/null", sets, NULL);
}

typedef struct {
    const char *allow, *project, *location;
    bool loopback, expected;
} Case;

static void run_cases(const char *scene, const Case *cases, size_t count)
{
    for (const Case *one = cases; one < cases + count; one++) {
        g_autoptr(Settings) settings = settings_new(scene, one->allow);
        g_autofree char *location = placed(scene, one->location);
        if (sources_allow(settings, one->loopback, one->project, location) != one->expected)
            fail_msg("[%s] %s, project %s: expected %d", one->allow, one->location, one->project,
                     one->expected);
    }
}

static void without_a_list_loopback_has_the_roots_and_others_have_uploads(void **state)
{
    static const Case CASES[] = {
        {"", "p", "file://@/roots/vision", true, true},
        {"", "p", "oci:@/roots/vision:latest", true, true},
        {"", "p", "s3://bucket/dir", true, true},
        {"", "p", "upload://1", true, true},
        {"", "p", "file://@/roots/vision", false, false},
        {"", "p", "s3://bucket/dir", false, false},
        {"", "p", "upload://1", false, true},
    };
    run_cases(*state, CASES, G_N_ELEMENTS(CASES));
}

static void directories_lie_beneath_the_roots_whatever_the_list_says(void **state)
{
    static const Case CASES[] = {
        {"", "p", "file://@/outside", true, false},
        {"", "p", "file://@/roots/vision/link", true, false},
        {"", "p", "file://@/roots/../outside", true, false},
        {"", "p", "file://@/roots/nothing", true, false},
        {"", "p", "oci:@/outside:latest", true, false},
        {"", "p", "oci:@/roots/vision/link:latest", true, false},
        {"file://@/outside oci:@/outside", "p", "file://@/outside", true, false},
        {"file://@/outside oci:@/outside", "p", "oci:@/outside:latest", true, false},
        {"file:///", "p", "file://@/roots/vision", false, true},
    };
    run_cases(*state, CASES, G_N_ELEMENTS(CASES));
}

static void the_list_narrows_by_project(void **state)
{
    static const Case CASES[] = {
        {"file://@/roots/{project}", "vision", "file://@/roots/vision", false, true},
        {"file://@/roots/{project}", "vision", "file://@/roots/vision/", true, true},
        {"file://@/roots/{project}", "vision", "file://@/roots/vision2", true, false},
        {"file://@/roots/{project}", "vision", "file://@/roots", true, false},
        {"file://@/roots/{project}", "vision", "file://@/roots/vision/../vision2", true, false},
        {"file://@/roots/{project}", "vision", "oci:@/roots/vision:latest", true, false},
        {"file://@/roots/{project}", "..", "file://@/roots/vision", true, false},
        {"file://@/roots/{project}", "", "file://@/roots/vision", true, false},
        {"vision=oci:@/roots/vision", "vision", "oci:@/roots/vision:latest", false, true},
        {"vision=oci:@/roots/vision", "other", "oci:@/roots/vision:latest", true, false},
        {"other=s3://b  vision=s3://c s3://all/{project}/", "vision", "s3://c/d", false, true},
        {"other=s3://b  vision=s3://c s3://all/{project}/", "vision", "s3://b/d", false, false},
        {"s3://all/{project}/", "vision", "s3://all/vision/m", false, true},
        {"s3://all/{project}/", "vision", "s3://all/vision", false, false},
        {"s3://all", "p", "s3://allowed/m", false, false},
        {"s3://all", "p", "s3://all/../b", false, false},
        {"s3://all", "p", "s3://all/%2e%2e/b", false, false},
        {"r.example.com/team", "p", "r.example.com/team:1", false, true},
        {"r.example.com/team", "p", "r.example.com/team2:1", false, false},
        {"s3://all", "p", "upload://1", false, true},
    };
    run_cases(*state, CASES, G_N_ELEMENTS(CASES));
}

static void a_list_that_is_none_is_named(void **state)
{
    static const char *const BAD[] = {"vision=",      "/srv/models", "file://relative",
                                      "oci:relative", "a=/srv",      "=s3://b"};
    for (size_t i = 0; i < G_N_ELEMENTS(BAD); i++) {
        g_autofree char *list = g_strconcat("s3://good ", BAD[i], NULL);
        g_autoptr(Settings) settings = settings_new(*state, list);
        g_autofree char *fault = sources_fault(settings);
        assert_string_equal(fault ? fault : "taken", BAD[i]);
    }
    g_autoptr(Settings) good = settings_new(
        *state, "file:///srv/{project} p=oci:/srv  https://b.obs.example.com/ r.example.com/team");
    assert_null(sources_fault(good));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, scene_up, scene_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(without_a_list_loopback_has_the_roots_and_others_have_uploads),
        TEST(directories_lie_beneath_the_roots_whatever_the_list_says),
        TEST(the_list_narrows_by_project),
        TEST(a_list_that_is_none_is_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
