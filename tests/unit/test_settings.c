#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <glib/gstdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/settings.h"

static Settings *load(const char *const *sets, GError **error)
{
    return settings_load("/dev/null", sets, error);
}

static void settings_have_their_defaults(void **state)
{
    g_autoptr(Settings) settings = load(NULL, NULL);
    assert_non_null(settings);
    assert_string_equal(settings_text(settings, "limits.model_file_gib"), "5");
    assert_int_equal(settings_bytes(settings, "limits.model_gib"), 20LL << 30);
    assert_int_equal(settings_bytes(settings, "limits.project_storage_gib"), 0);
    assert_string_equal(settings_origin(settings, "image.health_url"), "default");
}

static void settings_later_sets_are_stronger(void **state)
{
    const char *const sets[] = {"limits.model_gib=1", "limits.model_gib=2.50", NULL};
    g_autoptr(Settings) settings = load(sets, NULL);
    assert_string_equal(settings_text(settings, "limits.model_gib"), "2.5");
}

static void settings_write_numbers_as_the_shortest_decimal(void **state)
{
    static const char *const PAIRS[][2] = {
        {"5.0", "5"}, {"0.001", "0.001"}, {"0.000001", "0.000001"}, {"0.10", "0.1"}, {"20", "20"}};
    for (size_t i = 0; i < G_N_ELEMENTS(PAIRS); i++) {
        g_autofree char *set = g_strconcat("limits.image_gib=", PAIRS[i][0], NULL);
        const char *const sets[] = {set, NULL};
        g_autoptr(Settings) settings = load(sets, NULL);
        assert_string_equal(settings_text(settings, "limits.image_gib"), PAIRS[i][1]);
    }
}

static void settings_refuse_what_is_none(void **state)
{
    static const char *const BAD[] = {"limits.model_gib=0",
                                      "limits.model_gib=-1",
                                      "limits.model_gib=5G",
                                      "limits.model_gib=",
                                      "limits.model_gib=inf",
                                      "limits.model_gib=nan",
                                      "limits.modelgib=5",
                                      "limits.project_storage_gib=0",
                                      "limits.project_storage_gib=ten",
                                      "limits=5",
                                      "noequals",
                                      "image.health_url=health",
                                      "store.busy_timeout_ms=1.5",
                                      "build.schedule_timeout_seconds=0",
                                      "build.schedule_timeout_seconds=-1",
                                      "build.schedule_timeout_seconds=1.5",
                                      "build.schedule_timeout_seconds=10m",
                                      "build.schedule_timeout_seconds=2592001",
                                      "build.schedule_timeout_seconds=",
                                      "image.platform=linux",
                                      "gc.schedule=",
                                      "gc.schedule=monthly",
                                      "gc.schedule=3:30",
                                      "gc.schedule=24:00",
                                      "gc.schedule=03:60",
                                      "store.events_days=-1",
                                      "limits.model_gib=1e300"};
    for (size_t i = 0; i < G_N_ELEMENTS(BAD); i++) {
        const char *const sets[] = {BAD[i], NULL};
        g_autoptr(GError) error = NULL;
        g_autoptr(Settings) settings = load(sets, &error);
        if (settings)
            fail_msg("%s was taken", BAD[i]);
        assert_non_null(strstr(error->message, "--set"));
    }
}

static void settings_name_file_and_line(void **state)
{
    char path[] = "/tmp/waybill-settings-XXXXXX";
    int fd = mkstemp(path);
    static const char TEXT[] = "# ours\n[limits]\nmodel_gib = 7\n\n[image]\nhealth = /x\n";
    assert_int_equal(write(fd, TEXT, sizeof TEXT - 1), sizeof TEXT - 1);
    close(fd);
    g_autoptr(GError) error = NULL;
    g_autoptr(Settings) settings = settings_load(path, NULL, &error);
    g_unlink(path);
    assert_null(settings);
    assert_non_null(strstr(error->message, path));
    assert_non_null(strstr(error->message, "line 6"));
    assert_non_null(strstr(error->message, "image.health"));
}

static void settings_keep_the_advice_with_its_origin(void **state)
{
    const char *const sets[] = {"advice.ModelFileMissing=one", "advice.ModelFileMissing=two", NULL};
    g_autoptr(Settings) settings = load(sets, NULL);
    const GPtrArray *entries = settings_advice(settings);
    assert_int_equal(entries->len, 1);
    const SettingEntry *entry = entries->pdata[0];
    assert_string_equal(entry->key, "ModelFileMissing");
    assert_string_equal(entry->value, "two");
    assert_string_equal(entry->origin, "--set");
}

static void settings_contact_is_printable_text(void **state)
{
    const char *const bad[] = {"support.contact=a\033[2Jb", NULL};
    g_autoptr(GError) error = NULL;
    assert_null(load(bad, &error));
    assert_non_null(strstr(error->message, "without control characters"));
}

static void settings_environment_beats_the_file_and_sets_beat_both(void **state)
{
    setenv("WAYBILL_LIMITS_MODEL_GIB", "3", 1);
    g_autoptr(Settings) settings = load(NULL, NULL);
    assert_string_equal(settings_text(settings, "limits.model_gib"), "3");
    assert_string_equal(settings_origin(settings, "limits.model_gib"), "WAYBILL_LIMITS_MODEL_GIB");
    const char *const sets[] = {"limits.model_gib=4", NULL};
    g_autoptr(Settings) stronger = load(sets, NULL);
    assert_string_equal(settings_text(stronger, "limits.model_gib"), "4");
    unsetenv("WAYBILL_LIMITS_MODEL_GIB");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(settings_have_their_defaults),
        cmocka_unit_test(settings_later_sets_are_stronger),
        cmocka_unit_test(settings_write_numbers_as_the_shortest_decimal),
        cmocka_unit_test(settings_refuse_what_is_none),
        cmocka_unit_test(settings_name_file_and_line),
        cmocka_unit_test(settings_keep_the_advice_with_its_origin),
        cmocka_unit_test(settings_contact_is_printable_text),
        cmocka_unit_test(settings_environment_beats_the_file_and_sets_beat_both),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
