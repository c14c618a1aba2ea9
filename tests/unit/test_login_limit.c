#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <pthread.h>

#include "server/login_limit.h"

#define ATTACKER "192.0.2.1"
#define OFFICE   "198.51.100.7"

static int scene_up(void **state)
{
    *state = login_limit_new();
    return 0;
}

static int scene_down(void **state)
{
    login_limit_free(*state);
    return 0;
}

/* Seconds to wait; 0: it may log in. */
static int wait_of(LoginLimit *limit, const char *address, const char *identity, int64_t now)
{
    int seconds;
    bool may = login_limit_check(limit, address, identity, now, &seconds);
    assert_int_equal(may, seconds <= 0);
    return may ? 0 : seconds;
}

static void fail_often(LoginLimit *limit, const char *address, const char *identity, int times,
                       int64_t now)
{
    for (int i = 0; i < times; i++)
        login_limit_failed(limit, address, identity, now);
}

static void ten_failures_stop_the_address_and_the_identity(void **state)
{
    fail_often(*state, ATTACKER, "key A", LOGIN_LIMIT_FAILURES - 1, 1000);
    assert_int_equal(wait_of(*state, ATTACKER, "key A", 1000), 0);
    fail_often(*state, ATTACKER, "key A", 1, 1000);
    assert_int_equal(wait_of(*state, ATTACKER, "key A", 1000), 60);
    assert_int_equal(wait_of(*state, ATTACKER, "key B", 1000), 60);
    assert_int_equal(wait_of(*state, OFFICE, "key A", 2500), 59);
    assert_int_equal(wait_of(*state, OFFICE, "key B", 1000), 0);
    assert_int_equal(wait_of(*state, ATTACKER, "key A", 61000), 0);
}

static void guessing_many_identities_stops_the_address(void **state)
{
    static const char *const KEYS[] = {"0", "1", "2", "3", "4", "5", "6", "7", "8", "9"};
    for (int i = 0; i < LOGIN_LIMIT_FAILURES; i++)
        login_limit_failed(*state, ATTACKER, KEYS[i], 0);
    assert_int_equal(wait_of(*state, ATTACKER, "key A", 0), 60);
    assert_int_equal(wait_of(*state, OFFICE, "0", 0), 0);
}

static void each_failure_after_a_stop_doubles_it_up_to_an_hour(void **state)
{
    static const int WAITS[] = {60, 120, 240, 480, 960, 1920, 3600, 3600};
    int64_t now = 0;
    fail_often(*state, ATTACKER, "key A", LOGIN_LIMIT_FAILURES - 1, now);
    for (size_t i = 0; i < G_N_ELEMENTS(WAITS); i++) {
        fail_often(*state, ATTACKER, "key A", 1, now);
        assert_int_equal(wait_of(*state, ATTACKER, "key A", now), WAITS[i]);
        now += WAITS[i] * INT64_C(1000);
        assert_int_equal(wait_of(*state, ATTACKER, "key A", now), 0);
    }
    now += LOGIN_LIMIT_LONGEST_MS + 1; /* quiet for so long: forgiven */
    fail_often(*state, ATTACKER, "key A", LOGIN_LIMIT_FAILURES - 1, now);
    assert_int_equal(wait_of(*state, ATTACKER, "key A", now), 0);
}

static void rare_failures_stop_nobody(void **state)
{
    for (int i = 0; i < 100; i++) {
        login_limit_failed(*state, OFFICE, "key A", i * INT64_C(60000));
        assert_int_equal(wait_of(*state, OFFICE, "key A", i * INT64_C(60000)), 0);
    }
}

static void who_is_known_at_an_address_is_not_stopped_by_others(void **state)
{
    login_limit_succeeded(*state, OFFICE, "key A", 0);
    fail_often(*state, OFFICE, "key B", LOGIN_LIMIT_FAILURES, 0);   /* a neighbour */
    fail_often(*state, ATTACKER, "key A", LOGIN_LIMIT_FAILURES, 0); /* who knows its name */
    assert_int_equal(wait_of(*state, OFFICE, "key A", 0), 0);
    assert_int_equal(wait_of(*state, OFFICE, "key B", 0), 60);
    assert_int_equal(wait_of(*state, ATTACKER, "key A", 0), 60);
    fail_often(*state, OFFICE, "key A", LOGIN_LIMIT_FAILURES, 0);
    assert_int_equal(wait_of(*state, OFFICE, "key A", 0), 60);
}

static void a_login_of_ones_own_takes_no_failure_back(void **state)
{
    for (int i = 0; i < LOGIN_LIMIT_FAILURES; i++) {
        login_limit_failed(*state, ATTACKER, "key A", 0);
        login_limit_succeeded(*state, ATTACKER, "key of the attacker", 0);
    }
    assert_int_equal(wait_of(*state, ATTACKER, "key A", 0), 60);
}

static void an_ip6_network_is_one_address(void **state)
{
    fail_often(*state, "2001:db8:0:1::1", "key A", LOGIN_LIMIT_FAILURES, 0);
    assert_int_equal(wait_of(*state, "2001:db8:0:1:ffff::2", "key B", 0), 60);
    assert_int_equal(wait_of(*state, "2001:db8:0:2::1", "key B", 0), 0);
}

static void fail_from_everywhere(LoginLimit *limit)
{
    for (int i = 0; i < 40000; i++) {
        g_autofree char *address = g_strdup_printf("10.%d.%d.%d", i >> 16, i >> 8 & 255, i & 255);
        g_autofree char *identity = g_strdup_printf("key %d", i);
        login_limit_failed(limit, address, identity, 1);
    }
}

static void the_table_does_not_grow_and_keeps_who_is_stopped(void **state)
{
    fail_often(*state, ATTACKER, "key A", LOGIN_LIMIT_FAILURES, 0);
    fail_from_everywhere(*state);
    assert_int_equal(wait_of(*state, ATTACKER, "key A", 1), 60);
}

static void who_is_known_stays_known_however_many_fail(void **state)
{
    login_limit_succeeded(*state, OFFICE, "key A", 0);
    fail_from_everywhere(*state);
    fail_often(*state, OFFICE, "key B", LOGIN_LIMIT_FAILURES, 1);
    assert_int_equal(wait_of(*state, OFFICE, "key A", 1), 0);
}

static void who_says_no_name_stops_its_address_only(void **state)
{
    login_limit_succeeded(*state, OFFICE, "key A", 0);
    fail_often(*state, OFFICE, NULL, LOGIN_LIMIT_FAILURES, 0);
    assert_int_equal(wait_of(*state, OFFICE, NULL, 0), 60);
    assert_int_equal(wait_of(*state, OFFICE, "key B", 0), 60);
    assert_int_equal(wait_of(*state, OFFICE, "key A", 0), 0);
    assert_int_equal(wait_of(*state, ATTACKER, NULL, 0), 0);
}

static void *fail_in_thread(void *limit)
{
    fail_often(limit, ATTACKER, "key A", 1000, 0);
    return NULL;
}

static void threads_may_share_it(void **state)
{
    pthread_t threads[4];
    for (size_t i = 0; i < G_N_ELEMENTS(threads); i++)
        assert_int_equal(pthread_create(&threads[i], NULL, fail_in_thread, *state), 0);
    for (size_t i = 0; i < G_N_ELEMENTS(threads); i++)
        pthread_join(threads[i], NULL);
    assert_int_equal(wait_of(*state, ATTACKER, "key A", 0), 3600);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, scene_up, scene_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(ten_failures_stop_the_address_and_the_identity),
        TEST(guessing_many_identities_stops_the_address),
        TEST(each_failure_after_a_stop_doubles_it_up_to_an_hour),
        TEST(rare_failures_stop_nobody),
        TEST(who_is_known_at_an_address_is_not_stopped_by_others),
        TEST(a_login_of_ones_own_takes_no_failure_back),
        TEST(an_ip6_network_is_one_address),
        TEST(the_table_does_not_grow_and_keeps_who_is_stopped),
        TEST(who_is_known_stays_known_however_many_fail),
        TEST(who_says_no_name_stops_its_address_only),
        TEST(threads_may_share_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
