/* Needs a database of PostgreSQL's (WAYBILL_TEST_STORE); what needs none runs in any case. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <pthread.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "store/postgres_pool.h"
#include "store_fixture.h"

#define TIMEOUT_MS 300

/* A Db of the pool of that many. */
static Db *open_of(int connections)
{
    const char *url = getenv(STORE_OF_TESTS);
    g_autoptr(GError) error = NULL;
    if (!url)
        skip();
    Db *db = db_open_postgres(url, TIMEOUT_MS, connections, &error);
    assert_null(error);
    return db;
}

static int64_t number(Db *db, const char *sql)
{
    int64_t value = -1;
    g_autoptr(GError) error = NULL;
    assert_true(db_query_int(db, &value, -1, &error, sql, ""));
    return value;
}

static int64_t session_of(Db *db)
{
    return number(db, "SELECT pg_backend_pid()");
}

static void many_that_do_nothing_share_one(void **state)
{
    Db *all[20];
    for (size_t i = 0; i < G_N_ELEMENTS(all); i++)
        all[i] = open_of(3);
    const int64_t session = session_of(all[0]);
    for (size_t i = 0; i < G_N_ELEMENTS(all); i++) {
        assert_true(db_begin(all[i], NULL));
        assert_int_equal(session_of(all[i]), session);
        assert_true(db_commit(all[i], NULL));
    }
    for (size_t i = 0; i < G_N_ELEMENTS(all); i++)
        db_free(all[i]);
}

static void a_transaction_has_its_own_to_its_end(void **state)
{
    g_autoptr(Db) first = open_of(4);
    g_autoptr(Db) second = open_of(4);
    assert_non_null(db_snapshot(first, NULL));
    const int64_t session = session_of(first);
    assert_int_not_equal(session_of(second), session);
    assert_int_equal(session_of(first), session);
    db_snapshot_end(first);
}

/* What the third does, in a thread of its own. */
typedef struct {
    Db *db;
    bool begun;
    GError *error;
} Third;

static void *third_begins(void *data)
{
    Third *third = data;
    third->begun = db_snapshot(third->db, &third->error) != NULL;
    return NULL;
}

static void who_finds_none_waits_for_one(void **state)
{
    pthread_t thread;
    g_autoptr(Db) first = open_of(2);
    g_autoptr(Db) second = open_of(2);
    Third third = {.db = open_of(2)};
    assert_non_null(db_snapshot(first, NULL));
    assert_non_null(db_snapshot(second, NULL));
    assert_int_equal(pthread_create(&thread, NULL, third_begins, &third), 0);
    g_usleep(50000);
    db_snapshot_end(first);
    pthread_join(thread, NULL);
    assert_null(third.error);
    assert_true(third.begun);
    db_snapshot_end(third.db);
    db_snapshot_end(second);
    db_free(third.db);
}

static void who_waits_too_long_is_told_of_the_setting(void **state)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(Db) first = open_of(1);
    g_autoptr(Db) second = open_of(1);
    assert_non_null(db_snapshot(first, NULL));
    assert_null(db_snapshot(second, &error));
    assert_true(g_error_matches(error, DB_ERROR, DB_ERROR_BUSY));
    assert_non_null(strstr(error->message, "store.connections"));
    db_snapshot_end(first);
    assert_non_null(db_snapshot(second, NULL)); /* nothing is wrong with it */
    db_snapshot_end(second);
}

static void a_session_that_is_kept_is_none_of_the_pool_s(void **state)
{
    g_autoptr(Db) keeper = open_of(1);
    g_autoptr(Db) other = open_of(1);
    assert_true(db_keep_session(keeper, NULL));
    assert_true(db_keep_session(keeper, NULL));
    const int64_t session = session_of(keeper);
    assert_true(db_script(keeper, "SELECT pg_advisory_lock(1, 77)", NULL));
    assert_int_not_equal(session_of(other), session);
    assert_int_equal(session_of(keeper), session);
    assert_int_equal(number(other, "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND "
                                   "classid = 1 AND objid = 77"),
                     1);
    db_free(g_steal_pointer(&keeper));
    for (int tries = 0; tries < 100 && number(other, "SELECT count(*) FROM pg_locks WHERE locktype "
                                                     "= 'advisory' AND classid = 1 AND objid = 77");
         tries++)
        g_usleep(20000); /* the server ends it a moment later */
    assert_int_equal(number(other, "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND "
                                   "classid = 1 AND objid = 77"),
                     0);
}

static void end_all_others(Db *db)
{
    number(db, "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE datname = "
               "current_database() AND pid <> pg_backend_pid() AND application_name = 'waybill'");
    g_usleep(100000);
}

static void a_statement_goes_on_where_its_connection_broke(void **state)
{
    g_autoptr(Db) killer = open_of(6);
    g_autoptr(Db) victim = open_of(5);
    g_autoptr(Db) keeper = open_of(5);
    assert_true(db_keep_session(keeper, NULL));
    const int64_t session = session_of(victim), kept = session_of(keeper);
    end_all_others(killer);
    assert_int_not_equal(session_of(victim), session);
    assert_int_not_equal(session_of(keeper), kept);
    end_all_others(killer);
    assert_true(db_begin(victim, NULL)); /* of several statements, as a whole */
    assert_true(db_commit(victim, NULL));
}

static void a_transaction_ends_where_its_connection_broke(void **state)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(Db) killer = open_of(6);
    g_autoptr(Db) victim = open_of(5);
    assert_true(db_begin(victim, NULL));
    end_all_others(killer);
    assert_false(db_exec(victim, &error, "SELECT 1", ""));
    assert_true(g_error_matches(error, DB_ERROR, DB_ERROR_LOST));
    g_clear_error(&error);
    assert_false(db_commit(victim, &error)); /* what it had done is undone, and it is not hidden */
    assert_true(g_error_matches(error, DB_ERROR, DB_ERROR_LOST));
    assert_int_equal(number(victim, "SELECT 7"), 7);
}

/* A server that hangs up on everybody, and counts. */
typedef struct {
    int socket;
    uint16_t port;
    int calls;
} Hangup;

static void *hang_up(void *data)
{
    Hangup *hangup = data;
    for (int fd; (fd = accept(hangup->socket, NULL, NULL)) >= 0; hangup->calls++)
        close(fd);
    return NULL;
}

static void a_server_that_is_away_is_not_asked_by_everybody(void **state)
{
    pthread_t thread;
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof address;
    Hangup hangup = {.socket = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)};
    assert_int_equal(bind(hangup.socket, (struct sockaddr *)&address, length), 0);
    assert_int_equal(listen(hangup.socket, 64), 0);
    assert_int_equal(getsockname(hangup.socket, (struct sockaddr *)&address, &length), 0);
    assert_int_equal(pthread_create(&thread, NULL, hang_up, &hangup), 0);
    g_autofree char *url = g_strdup_printf("postgresql://x@127.0.0.1:%d/x?sslmode=disable&"
                                           "gssencmode=disable",
                                           ntohs(address.sin_port));
    Pool *pool = pool_get(url, "x", TIMEOUT_MS, 10);
    int asked = 0;
    g_autofree char *first = NULL;
    for (const int64_t end = clock_monotonic_ms() + 1000; clock_monotonic_ms() < end; asked++) {
        g_autoptr(GError) error = NULL;
        assert_null(pool_take(pool, &error));
        assert_true(g_error_matches(error, DB_ERROR, DB_ERROR_LOST));
        if (!first)
            first = g_strdup(error->message);
        assert_string_equal(error->message, first);
        g_usleep(2000);
    }
    pool_release(pool);
    shutdown(hangup.socket, SHUT_RDWR);
    pthread_join(thread, NULL);
    close(hangup.socket);
    assert_true(asked > 50);
    assert_true(hangup.calls >= 2);
    assert_true(hangup.calls < 12);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(many_that_do_nothing_share_one),
        cmocka_unit_test(a_transaction_has_its_own_to_its_end),
        cmocka_unit_test(who_finds_none_waits_for_one),
        cmocka_unit_test(who_waits_too_long_is_told_of_the_setting),
        cmocka_unit_test(a_session_that_is_kept_is_none_of_the_pool_s),
        cmocka_unit_test(a_statement_goes_on_where_its_connection_broke),
        cmocka_unit_test(a_transaction_ends_where_its_connection_broke),
        cmocka_unit_test(a_server_that_is_away_is_not_asked_by_everybody)};
    return cmocka_run_group_tests_name("postgres_pool", tests, NULL, NULL);
}
