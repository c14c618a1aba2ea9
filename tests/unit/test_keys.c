#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "base/clock.h"
#include "store/access_keys.h"
#include "store/credentials.h"
#include "store/data.h"
#include "store_fixture.h"

typedef struct {
    Scene *store;
    SealKey *key;
} Keys;

static int keys_up(void **state)
{
    Keys *keys = g_new0(Keys, 1);
    int failed = scene_up((void **)&keys->store);
    keys->key =
        failed ? NULL : seal_key_open(keys->store->data->fd, keys->store->path, "", true, NULL);
    *state = keys;
    return keys->key ? 0 : -1;
}

static int keys_down(void **state)
{
    Keys *keys = *state;
    seal_key_free(keys->key);
    scene_down((void **)&keys->store);
    g_free(keys);
    return 0;
}

static AccessKey *create(const Keys *keys, const char *project, int64_t expires_at, char **secret)
{
    AccessKey *access_key = g_new0(AccessKey, 1);
    access_key->project = g_strdup(project);
    access_key->user = g_strdup("ann");
    access_key->role = ROLE_WRITER;
    access_key->expires_at = expires_at;
    assert_true(access_key_create(keys->store->db, keys->key, access_key, secret, NULL));
    return access_key;
}

static void access_key_is_found_with_its_secret_which_the_store_does_not_show(void **state)
{
    const Keys *keys = *state;
    char *secret = NULL;
    g_autoptr(AccessKey) made = create(keys, "p", 0, &secret);
    assert_int_equal(strlen(made->id), ACCESS_KEY_ID_LENGTH);
    assert_int_equal(strlen(secret), ACCESS_KEY_SECRET_LENGTH);
    g_autoptr(AccessKey) found = access_key_find(keys->store->db, made->id, NULL);
    assert_string_equal(found->user, "ann");
    assert_int_equal(found->role, ROLE_WRITER);
    assert_null(strstr(found->sealed, secret));
    char *opened = access_key_secret(found, keys->key, NULL);
    assert_string_equal(opened, secret);
    seal_forget(opened);
    seal_forget(secret);
    g_autoptr(AccessKey) none = access_key_find(keys->store->db, "NONE", NULL);
    assert_null(none);
}

static void access_key_ends_when_it_expires_or_is_revoked(void **state)
{
    const Keys *keys = *state;
    char *secret = NULL;
    bool found;
    const int64_t now = clock_now_ms();
    g_autoptr(AccessKey) made = create(keys, "p", now + 1000, &secret);
    seal_forget(secret);
    assert_true(access_key_is_valid(made, now + 999));
    assert_false(access_key_is_valid(made, now + 1000));
    assert_true(access_key_revoke(keys->store->db, made->id, &found, NULL));
    assert_true(found);
    g_autoptr(AccessKey) again = access_key_find(keys->store->db, made->id, NULL);
    assert_false(access_key_is_valid(again, now));
    assert_true(access_key_revoke(keys->store->db, made->id, &found, NULL));
    assert_false(found);
}

static void secret_of_one_row_does_not_open_in_another(void **state)
{
    const Keys *keys = *state;
    char *one_secret = NULL, *other_secret = NULL;
    g_autoptr(AccessKey) one = create(keys, "p", 0, &one_secret);
    g_autoptr(AccessKey) other = create(keys, "q", 0, &other_secret);
    g_free(one->sealed);
    one->sealed = g_strdup(other->sealed);
    g_autoptr(GError) error = NULL;
    assert_null(access_key_secret(one, keys->key, &error));
    assert_non_null(strstr(error->message, one->id));
    seal_forget(one_secret);
    seal_forget(other_secret);
}

static void access_keys_are_listed_by_project_and_noted_as_used(void **state)
{
    const Keys *keys = *state;
    char *secret = NULL;
    g_autoptr(AccessKey) one = create(keys, "p", 0, &secret);
    seal_forget(secret);
    g_autoptr(AccessKey) other G_GNUC_UNUSED = create(keys, "q", 0, &secret);
    seal_forget(secret);
    g_autoptr(GPtrArray) all = access_keys_list(keys->store->db, NULL, NULL);
    g_autoptr(GPtrArray) of_p = access_keys_list(keys->store->db, "p", NULL);
    assert_int_equal(all->len, 2);
    assert_int_equal(of_p->len, 1);
    assert_true(access_key_used(keys->store->db, one, 1000000, NULL));
    g_autoptr(AccessKey) used = access_key_find(keys->store->db, one->id, NULL);
    assert_int_equal(used->used_at, 1000000);
    assert_true(
        access_key_used(keys->store->db, used, 1000001, NULL)); /* no write for each request */
    g_autoptr(AccessKey) again = access_key_find(keys->store->db, one->id, NULL);
    assert_int_equal(again->used_at, 1000000);
}

static Credential *credential_new(const char *project, const char *kind, const char *host,
                                  const char *user)
{
    Credential *credential = g_new0(Credential, 1);
    *credential = (Credential){.project = g_strdup(project),
                               .kind = g_strdup(kind),
                               .host = g_strdup(host),
                               .user = g_strdup(user)};
    return credential;
}

static void put(const Keys *keys, const char *project, const char *host, const char *secret)
{
    g_autoptr(Credential) credential = credential_new(project, "registry", host, "robot");
    g_autofree char *fault = credential_check(credential, secret);
    assert_null(fault);
    assert_true(credential_put(keys->store->db, keys->key, credential, secret, NULL));
}

static void assert_secret(const Keys *keys, const char *project, const char *host,
                          const char *expected)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(Credential) found =
        credential_find(keys->store->db, project, "registry", host, &error);
    assert_null(error);
    assert_int_equal(!found, !expected);
    char *secret = found ? credential_secret(found, keys->key, NULL) : NULL;
    if (expected)
        assert_string_equal(secret, expected);
    seal_forget(secret);
}

static void credential_is_found_for_its_project_kind_and_host_only(void **state)
{
    const Keys *keys = *state;
    bool found;
    put(keys, "p", "Registry.example.com:5000", "one");
    put(keys, "q", "registry.example.com:5000", "two");
    assert_secret(keys, "p", "registry.EXAMPLE.com:5000", "one");
    assert_secret(keys, "q", "registry.example.com:5000", "two");
    assert_secret(keys, "r", "registry.example.com:5000", NULL);
    assert_secret(keys, "p", "registry.example.com", NULL);
    put(keys, "p", "registry.example.com:5000", "three");
    assert_secret(keys, "p", "registry.example.com:5000", "three");
    g_autoptr(GPtrArray) list = credentials_list(keys->store->db, "p", NULL);
    assert_int_equal(list->len, 1);
    g_autoptr(Credential) other_kind =
        credential_find(keys->store->db, "p", "s3", "registry.example.com:5000", NULL);
    assert_null(other_kind);
    assert_true(credential_remove(keys->store->db, "p", "registry", "registry.example.com:5000",
                                  &found, NULL));
    assert_true(found);
    assert_secret(keys, "p", "registry.example.com:5000", NULL);
    assert_secret(keys, "q", "registry.example.com:5000", "two");
    assert_true(credential_remove(keys->store->db, "p", "registry", "registry.example.com:5000",
                                  &found, NULL));
    assert_false(found);
}

static void credential_that_is_none_is_refused_with_the_reason(void **state)
{
    static const char *const BAD[][5] = {
        {"ftp", "h", "u", "s", "expected registry or s3"},
        {"registry", "https://h", "u", "s", "expected HOST"},
        {"registry", "h/p", "u", "s", "expected HOST"},
        {"registry", "u@h", "u", "s", "expected HOST"},
        {"registry", "", "u", "s", "expected HOST"},
        {"registry", ":1", "u", "s", "expected HOST"},
        {"registry", "h:", "u", "s", "expected HOST"},
        {"registry", "h:70000", "u", "s", "expected HOST"},
        {"registry", "[]", "u", "s", "expected HOST"},
        {"registry", "h", "a\nb", "s", "user is"},
        {"registry", "h", "u", "", "the secret"},
        {"registry", "h", "u", "a\nb", "the secret"},
        {"s3", "h", "", "s", "user is missing"},
    };
    static const char *const GOOD[] = {"h",         "registry.example.com",
                                       "h:5000",    "[::1]",
                                       "[::1]:443", "10.0.0.1:1"};
    for (size_t i = 0; i < G_N_ELEMENTS(BAD); i++) {
        g_autoptr(Credential) credential = credential_new("p", BAD[i][0], BAD[i][1], BAD[i][2]);
        g_autofree char *fault = credential_check(credential, BAD[i][3]);
        if (!fault || !strstr(fault, BAD[i][4]))
            fail_msg("%s %s: %s", BAD[i][0], BAD[i][1], fault ? fault : "taken");
    }
    for (size_t i = 0; i < G_N_ELEMENTS(GOOD); i++) {
        g_autoptr(Credential) credential = credential_new("p", "registry", GOOD[i], "");
        g_autofree char *fault = credential_check(credential, "s");
        if (fault)
            fail_msg("%s", fault);
    }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, keys_up, keys_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(access_key_is_found_with_its_secret_which_the_store_does_not_show),
        TEST(access_key_ends_when_it_expires_or_is_revoked),
        TEST(secret_of_one_row_does_not_open_in_another),
        TEST(access_keys_are_listed_by_project_and_noted_as_used),
        TEST(credential_is_found_for_its_project_kind_and_host_only),
        cmocka_unit_test(credential_that_is_none_is_refused_with_the_reason),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
