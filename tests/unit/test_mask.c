#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/mask.h"

static void assert_masked(const char *text, const char *expected)
{
    g_autofree char *once = mask_text(text);
    assert_string_equal(once, expected);
    g_autofree char *twice = mask_text(once);
    assert_string_equal(twice, expected);
}

static void user_and_password_of_a_url_are_masked(void **state)
{
    assert_masked("see https://bob:hunter2@pypi.example/simple, please",
                  "see https://***@pypi.example/simple, please");
    assert_masked("https://TOKEN@host/x", "https://***@host/x");
    assert_masked("https://bob:p@ss@host/x", "https://***@host/x");
    assert_masked("https://bob:p/ss@host/x", "https://***@host/x");
    assert_masked("postgresql://w:pw@db:5432/waybill", "postgresql://***@db:5432/waybill");
    assert_masked("git+ssh://git:pw@host/r.git", "git+ssh://***@host/r.git");
    assert_masked("s3://AK:SK@host/b", "s3://***@host/b");
    assert_masked("\"https:\\/\\/bob:pw@host\\/x\"", "\"https:\\/\\/***@host\\/x\"");
}

static void a_url_without_a_user_stays(void **state)
{
    assert_masked("https://host:8443/a@b?c=d", "https://host:8443/a@b?c=d");
    assert_masked("oci:images:default/digits:0.0.1", "oci:images:default/digits:0.0.1");
    assert_masked("waybill diff digits:0.0.2@1", "waybill diff digits:0.0.2@1");
}

static void values_behind_a_secret_name_are_masked(void **state)
{
    assert_masked("objects.secret_key = abc/def+1", "objects.secret_key = ***");
    assert_masked("objects.access_key=AB", "objects.access_key=***");
    assert_masked("PASSWORD: hunter2 next", "PASSWORD: *** next");
    assert_masked("key=abc", "key=***");
    assert_masked("dbPasswd='a b' c", "dbPasswd='***' c");
    assert_masked("curl --token abc -v", "curl --token *** -v");
    assert_masked("machine h login bob password hunter2", "machine h login bob password ***");
    assert_masked("密码:hunter2", "密码:***");
    assert_masked("数据库密码 = hunter2", "数据库密码 = ***");
    assert_masked("/db/password is \"hunter2\"; expected a number",
                  "/db/password is \"***\"; expected a number");
    assert_masked("/db/password 为 \"hunter2\"", "/db/password 为 \"***\"");
}

static void query_parameters_are_masked(void **state)
{
    assert_masked("https://h/x?token=abc&a=1&password=d;e#f",
                  "https://h/x?token=***&a=1&password=***");
    assert_masked("https://h/x?X-Amz-Credential=AB&X-Amz-Signature=0a1b&y=2",
                  "https://h/x?X-Amz-Credential=***&X-Amz-Signature=***&y=2");
    assert_masked("https://h/x?sig=0a1b", "https://h/x?sig=***");
}

static void json_in_a_text_stays_json(void **state)
{
    assert_masked("{\"password\": \"a\\\"b\", \"x\": 1}", "{\"password\": \"***\", \"x\": 1}");
    assert_masked("{\"token\":\"abc\",\"x\":1}", "{\"token\":\"***\",\"x\":1}");
    assert_masked("{\"api_keys\": [\"a\", \"b\"]}", "{\"api_keys\": [***]}");
    assert_masked("\"lines\":[\"  \\\"password\\\": \\\"hunter2\\\",\"]",
                  "\"lines\":[\"  \\\"password\\\": \\\"***\\\",\"]");
    assert_masked("\"secret\":\n  \"hunter2\"", "\"secret\":\n  \"***\"");
}

static void headers_and_credentials_are_masked(void **state)
{
    assert_masked("Authorization: Basic Ym9iOmh1bnRlcjI=\nnext", "Authorization: ***\nnext");
    assert_masked("-H 'authorization: Bearer abc.def-ghi' https://h",
                  "-H 'authorization: ***' https://h");
    assert_masked("{\"Authorization\": \"Bearer abc\"}", "{\"Authorization\": \"***\"}");
    assert_masked("Set-Cookie: id=1; path=/", "Set-Cookie: ***");
    assert_masked("sent bearer abcdefghijkl123", "sent bearer ***");
}

static void what_is_known_by_its_form_is_masked(void **state)
{
    assert_masked("model-AKIAIOSFODNN7EXAMPLE.bin", "model-***.bin");
    assert_masked("x_ASIAIOSFODNN7EXAMPLE", "x_***");
    assert_masked("sent wb_Abc-efghijklmnopqrstuvwxyz0123456789_ABCDEFG.", "sent ***.");
    assert_masked("?code=wbl_AbcdefghijklmnopqrstuA", "?code=***");
    assert_masked("hf_abcdefghijklmnopqrstuvwxyz", "***");
    assert_masked("ghp_abcdefghijklmnopqrstuvwxyz0123456789", "***");
    assert_masked("eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.c2lnbmF0dXJl!", "***!");
    assert_masked(
        "a\n-----BEGIN RSA PRIVATE KEY-----\nMIIE\nabc=\n-----END RSA PRIVATE KEY-----\nb",
        "a\n-----BEGIN RSA PRIVATE KEY-----***\n\n\n-----END RSA PRIVATE KEY-----\nb");
}

static void what_follows_a_masked_key_stays(void **state)
{
    assert_masked("-----BEGIN PRIVATE KEY-----***\n1970-01-01 next",
                  "-----BEGIN PRIVATE KEY-----***\n1970-01-01 next");
}

static void ordinary_words_stay(void **state)
{
    static const char *const TEXTS[] = {
        "tokenizer.json: 5 files",
        "\"tokenizer_class\": \"Llama\"",
        "secretstorage==3.3.3",
        "keyring==24.1",
        "numpy ==1.24 -> ==1.26",
        "duplicate key: metrics",
        "the password is wrong",
        "Basic authentication",
        "AKIA and BAKIAIOSFODNN7EXAMPLE",
        "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"};
    for (size_t i = 0; i < G_N_ELEMENTS(TEXTS); i++)
        assert_masked(TEXTS[i], TEXTS[i]);
}

static void json_values_are_masked_where_they_stand(void **state)
{
    json_t *value = json_loads(
        "{\"pointer\": \"/db/password\", \"found\": \"\\\"hunter2\\\"\", \"line\": 3,"
        "\"secrets\": [\"a\", {\"b\": 1}], \"db\": {\"passwd\": 12345, \"tls\": true},"
        "\"snippet\": {\"lines\": [\"{\", \"\\\"password\\\":\", \"  \\\"hunter2\\\"\", \"}\"]},"
        "\"u\": [{\"url\": \"https://a:b@h/\"}], \"token\": {\"x\": 1}}",
        0, NULL);
    json_t *masked = mask_json(value);
    char *text = json_dumps(masked, JSON_COMPACT);
    assert_string_equal(
        text, "{\"pointer\":\"/db/password\",\"found\":\"***\",\"line\":3,\"secrets\":[\"***\"],"
              "\"db\":{\"passwd\":\"***\",\"tls\":true},"
              "\"snippet\":{\"lines\":[\"{\",\"\\\"password\\\":\",\"  \\\"***\\\"\",\"}\"]},"
              "\"u\":[{\"url\":\"https://***@h/\"}],\"token\":\"***\"}");
    free(text);
    json_decref(masked);
    json_decref(value);
}

static void bytes_that_are_no_utf8_do_not_hide_a_secret(void **state)
{
    g_autofree char *masked = mask_text("\xff password=hunter2 \xfe");
    assert_null(strstr(masked, "hunter2"));
}

static void a_long_line_costs_no_more_than_its_length(void **state)
{
    g_autofree char *line = g_strnfill(1 << 20, 'a');
    g_autofree char *text = g_strconcat(line, " password=\"", line, NULL);
    gint64 began = g_get_monotonic_time();
    g_autofree char *masked = mask_text(text);
    assert_true(g_get_monotonic_time() - began < 30 * G_USEC_PER_SEC);
    assert_true(strlen(masked) <= strlen(line) + strlen(" password=\"***"));
}

static void secret_names_are_known(void **state)
{
    static const char *const SECRETS[] = {"objects.secret_key", "token",  "KEY",
                                          "registry.password",  "apiKey", "Authorization",
                                          "access_key_id"};
    static const char *const OTHERS[] = {"limits.model_gib", "tokenizer", "keyboard",
                                         "image.platform"};
    for (size_t i = 0; i < G_N_ELEMENTS(SECRETS); i++)
        assert_true(mask_is_secret_name(SECRETS[i]));
    for (size_t i = 0; i < G_N_ELEMENTS(OTHERS); i++)
        assert_false(mask_is_secret_name(OTHERS[i]));
}

static void a_directory_is_shown_as_asked_for(void **state)
{
    static const struct {
        const char *text, *expected;
    } ROWS[] = {{"/home/bob/models: no", "~/models: no"},
                {"oci:/home/bob/images:x", "oci:~/images:x"},
                {"/home/bobby/x and /mnt/home/bob", "/home/bobby/x and /mnt/home/bob"},
                {"/home/bob", "~"}};
    for (size_t i = 0; i < G_N_ELEMENTS(ROWS); i++) {
        g_autofree char *shown = mask_path(ROWS[i].text, "/home/bob/", "~");
        assert_string_equal(shown, ROWS[i].expected);
    }
    g_autofree char *root = mask_path("/a/b", "/", "~");
    assert_string_equal(root, "/a/b");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(user_and_password_of_a_url_are_masked),
        cmocka_unit_test(a_url_without_a_user_stays),
        cmocka_unit_test(values_behind_a_secret_name_are_masked),
        cmocka_unit_test(query_parameters_are_masked),
        cmocka_unit_test(json_in_a_text_stays_json),
        cmocka_unit_test(headers_and_credentials_are_masked),
        cmocka_unit_test(what_is_known_by_its_form_is_masked),
        cmocka_unit_test(what_follows_a_masked_key_stays),
        cmocka_unit_test(ordinary_words_stay),
        cmocka_unit_test(json_values_are_masked_where_they_stand),
        cmocka_unit_test(bytes_that_are_no_utf8_do_not_hide_a_secret),
        cmocka_unit_test(a_long_line_costs_no_more_than_its_length),
        cmocka_unit_test(secret_names_are_known),
        cmocka_unit_test(a_directory_is_shown_as_asked_for),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
