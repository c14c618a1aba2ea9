#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <glib/gstdio.h>
#include <string.h>

#include "build/apt_sources.h"
#include "image_fixture.h"

static char *directory;

static int make_directory(void **state)
{
    directory = fixture_directory();
    g_autofree char *lists = g_build_filename(directory, "sources.list.d", NULL);
    return g_mkdir(lists, 0755);
}

static int remove_directory(void **state)
{
    fixture_remove(directory);
    g_clear_pointer(&directory, g_free);
    return 0;
}

static void put(const char *name, const char *text)
{
    g_autofree char *path = g_build_filename(directory, name, NULL);
    assert_true(g_file_set_contents(path, text, -1, NULL));
}

static void expect(const char *mirror, const char *origin, const char *lines)
{
    g_autofree char *set = g_strconcat("build.apt_mirror=", mirror, NULL), *found = NULL;
    const char *const sets[] = {set, NULL};
    g_autoptr(Settings) settings = settings_load("/dev/null", sets, NULL);
    g_autofree char *sources = apt_sources(settings, directory, "bookworm", &found, NULL);
    assert_string_equal(sources, lines);
    assert_string_equal(found, strcmp(origin, "machine") == 0 ? directory : origin);
}

static void sources_are_debians_own_where_nothing_is_said(void **state)
{
    put("sources.list", "# deb http://a/debian bookworm main\n"
                        "deb http://a/debian trixie main\n"
                        "deb http://a/debian bookworm-backports main\n"
                        "deb http://a/debian bookworm contrib\n"
                        "deb-src http://a/debian bookworm main\n");
    put("sources.list.d/notes.txt", "deb http://a/debian bookworm main\n");
    expect("", "deb.debian.org",
           "deb http://deb.debian.org/debian bookworm main\n"
           "deb http://deb.debian.org/debian bookworm-updates main\n"
           "deb http://deb.debian.org/debian-security bookworm-security main\n");
}

static void sources_are_the_machines_of_the_same_release(void **state)
{
    put("sources.list",
        "deb [arch=amd64 signed-by=/k.gpg]  http://a/debian\tbookworm  main contrib\n");
    put("sources.list.d/b.sources", "Types: deb deb-src\n"
                                    "# a comment\n"
                                    "URIs: http://b/debian\n"
                                    "Suites: bookworm bookworm-updates sid\n"
                                    "Components: main\n"
                                    "Signed-By: /usr/share/keyrings/k.gpg\n"
                                    "\n"
                                    "Types: deb\n"
                                    "URIs:\n http://c/security\n"
                                    "Suites: bookworm-security\n"
                                    "Components: main\n"
                                    "Signed-By:\n -----BEGIN PGP PUBLIC KEY BLOCK-----\n"
                                    "\n"
                                    "Types: deb\nEnabled: no\nURIs: http://d\n"
                                    "Suites: bookworm\nComponents: main\n");
    put("sources.list.d/a.list", "deb https://a.example/x bookworm main\n");
    expect("", "machine",
           "deb [arch=amd64 signed-by=/k.gpg] http://a/debian bookworm main\n"
           "deb https://a.example/x bookworm main\n"
           "deb [signed-by=/usr/share/keyrings/k.gpg] http://b/debian bookworm main\n"
           "deb [signed-by=/usr/share/keyrings/k.gpg] http://b/debian bookworm-updates main\n"
           "deb http://c/security bookworm-security main\n");
}

static void setting_beats_the_machine(void **state)
{
    put("sources.list", "deb http://a/debian bookworm main\n");
    expect("http://m/debian/  https://m/debian-security", "build.apt_mirror",
           "deb http://m/debian bookworm main\n"
           "deb http://m/debian bookworm-updates main\n"
           "deb https://m/debian-security bookworm-security main\n");
}

static void setting_holds_urls_only(void **state)
{
    static const char *const BAD[] = {
        "mirror",        "ftp://m/debian",           "http://",
        "http://m/a\"b", "http://m/d [trusted=yes]", "http://m\ndeb http://n"};
    for (size_t i = 0; i < G_N_ELEMENTS(BAD); i++) {
        g_autoptr(GError) error = NULL;
        g_autofree char *set = g_strconcat("build.apt_mirror=", BAD[i], NULL);
        const char *const sets[] = {set, NULL};
        g_autoptr(Settings) settings = settings_load("/dev/null", sets, NULL);
        if (!settings)
            continue; /* refused earlier */
        assert_null(apt_sources(settings, directory, "bookworm", NULL, &error));
        assert_int_equal(error->domain, SETTINGS_ERROR);
        assert_non_null(strstr(error->message, "build.apt_mirror"));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(sources_are_debians_own_where_nothing_is_said,
                                        make_directory, remove_directory),
        cmocka_unit_test_setup_teardown(sources_are_the_machines_of_the_same_release,
                                        make_directory, remove_directory),
        cmocka_unit_test_setup_teardown(setting_beats_the_machine, make_directory,
                                        remove_directory),
        cmocka_unit_test_setup_teardown(setting_holds_urls_only, make_directory, remove_directory)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
