#include <glib.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "base/duration.h"

static void durations_are_read_with_their_unit(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int64_t ms;
    } ROWS[] = {{"0", 0},        {"1", 1000},         {"90s", 90000},
                {"5m", 300000},  {"1h", 3600000},     {"1h30m", 5400000},
                {"1m0s", 60000}, {"1h0m1s", 3601000}, {"87840h", INT64_C(316224000000)}};
    for (size_t i = 0; i < G_N_ELEMENTS(ROWS); i++) {
        int64_t ms = -1;
        assert_true(duration_parse(ROWS[i].text, &ms));
        assert_int_equal(ms, ROWS[i].ms);
    }
}

static void what_is_no_duration_is_refused(void **state)
{
    (void)state;
    static const char *const ROWS[] = {"",
                                       "s",
                                       "-1",
                                       "+1",
                                       "1.5h",
                                       "5 m",
                                       "5min",
                                       "1d",
                                       "1h30",
                                       "30m1h",
                                       "1h1h",
                                       "1ms",
                                       " 1",
                                       "1 ",
                                       "0x1",
                                       "87841h",
                                       "99999999999999999999"};
    for (size_t i = 0; i < G_N_ELEMENTS(ROWS); i++) {
        int64_t ms = -1;
        assert_false(duration_parse(ROWS[i], &ms));
        assert_int_equal(ms, -1);
    }
}

static void durations_are_told_in_their_largest_unit(void **state)
{
    (void)state;
    static const struct {
        int64_t ms;
        const char *text;
    } ROWS[] = {
        {0, "0 s"}, {90000, "90 s"}, {300000, "5 min"}, {3600000, "1 h"}, {5400000, "90 min"}};
    for (size_t i = 0; i < G_N_ELEMENTS(ROWS); i++) {
        g_autofree char *text = duration_text(ROWS[i].ms);
        assert_string_equal(text, ROWS[i].text);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(durations_are_read_with_their_unit),
        cmocka_unit_test(what_is_no_duration_is_refused),
        cmocka_unit_test(durations_are_told_in_their_largest_unit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
