#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <glib.h>
#include <string.h>

#include "server/signature.h"

#define DATE_MS 1795384800000 /* 20261122T220000Z */
#define SECRET  "0123456789abcdefghijABCDEFGHIJ0123456789"
#define EMPTY   "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
#define ZEROS   "0000000000000000000000000000000000000000000000000000000000000000"

#define MOST_HEADERS 8

typedef struct {
    SignatureHeader headers[MOST_HEADERS];
    SignatureRequest request;
} Asked;

/* headers: name, value, …, NULL. */
static Asked *asked_new(const char *method, const char *target, ...) G_GNUC_NULL_TERMINATED;
static Asked *asked_new(const char *method, const char *target, ...)
{
    va_list arguments;
    Asked *asked = g_new0(Asked, 1);
    asked->request = (SignatureRequest){method, target, asked->headers, 0};
    va_start(arguments, target);
    for (const char *name; (name = va_arg(arguments, const char *));)
        asked->headers[asked->request.header_count++] =
            (SignatureHeader){name, va_arg(arguments, const char *)};
    va_end(arguments);
    return asked;
}

static bool verifies(const Asked *asked, int64_t now, const char *secret, const char *body)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(Signature) signature = signature_read(&asked->request, now, &error);
    if (!signature)
        fail_msg("%s", error->message);
    return signature_verify(signature, &asked->request, secret, body);
}

#define AUTHORIZATION(access, names, hex)                                             \
    "Authorization", SIGNATURE_SCHEME " Access=" access ", SignedHeaders=" names ", " \
                                      "Signature=" hex
#define HOST "Host", "127.0.0.1:8420"
#define DATE "X-Sdk-Date", "20261122T220000Z"

/* The example that the public documentation of the scheme works through. */
static void signature_of_the_published_example_verifies(void **state)
{
    g_autofree Asked *asked =
        asked_new("GET",
                  "/v1/77b6a44cba5143ab91d13ab9a8ff44fd/vpcs?limit=2&marker="
                  "13551d6b-755d-4757-b956-536f674975c0",
                  "Content-Type", "application/json", "Host", "service.region.example.com",
                  "X-Sdk-Date", "20191115T033655Z",
                  AUTHORIZATION("QTWAOYTTINDUT2QVKYUC", "content-type;host;x-sdk-date",
                                "7be6668032f70418fcc22abc52071e57aff61b84a1d2381bb430d6870f4f6ebe"),
                  NULL);
    assert_true(verifies(asked, 1573789015000, "MFyfvK41ba2giqM7Uio6PznpdUKGpownRZlmVmHc", EMPTY));
    assert_false(verifies(asked, 1573789015000, SECRET, EMPTY));
}

static void assert_canonical(const char *target, const char *path, const char *query)
{
    g_autofree Asked *asked = asked_new("get", target, HOST, NULL);
    char *const names[] = {(char *)"host", NULL};
    g_autofree char *found = signature_canonical(&asked->request, names, EMPTY);
    g_autofree char *expected =
        g_strdup_printf("GET\n%s\n%s\nhost:127.0.0.1:8420\n\nhost\n" EMPTY, path, query);
    assert_string_equal(found, expected);
}

static void canonical_paths_and_queries_are_encoded_once_and_sorted(void **state)
{
    assert_canonical("/", "/", "");
    assert_canonical("/a", "/a/", "");
    assert_canonical("/a/", "/a/", "");
    assert_canonical("//a//", "//a//", "");
    assert_canonical("/a%20b/x%2Fy/~%7e", "/a%20b/x%2Fy/~~/", "");
    assert_canonical("/a+b", "/a%2Bb/", "");
    assert_canonical("/%E6%a8%a1/\xE6\xA8\xA1", "/%E6%A8%A1/%E6%A8%A1/", "");
    assert_canonical("/a?", "/a/", "");
    assert_canonical("/a?b", "/a/", "b=");
    assert_canonical("/a?b=&&a=2&a=10&c&a=1", "/a/", "a=1&a=10&a=2&b=&c=");
    assert_canonical("/a?s=a+b%2B%20=c", "/a/", "s=a%20b%2B%20%3Dc");
    assert_canonical("/a?%E4%BD%A0=%e5%a5%bd&B=1&a=/?", "/a/", "B=1&a=%2F%3F&%E4%BD%A0=%E5%A5%BD");
}

static void canonical_refuses_a_bad_encoding(void **state)
{
    static const char *const BAD[] = {"/%",     "/%4",     "/%zz",    "/a%00b",
                                      "/a?b=%", "/a?%0=1", "/a?b=%00"};
    char *const names[] = {NULL};
    for (size_t i = 0; i < G_N_ELEMENTS(BAD); i++) {
        g_autofree Asked *asked = asked_new("GET", BAD[i], HOST, NULL);
        assert_null(signature_canonical(&asked->request, names, EMPTY));
    }
}

static void canonical_has_the_signed_headers_trimmed_and_a_line_for_each_value(void **state)
{
    g_autofree Asked *asked =
        asked_new("PUT", "/", "X-Two", " b ", "Host", "h", "x-two", "a\t", "X-Unsigned", "u", NULL);
    char *const names[] = {(char *)"x-two", (char *)"host", NULL};
    g_autofree char *found = signature_canonical(&asked->request, names, "P");
    assert_string_equal(found, "PUT\n/\n\nx-two:a\nx-two:b\nhost:h\n\nx-two;host\nP");
}

/* Computed by another program. */
static void signatures_of_another_signer_verify(void **state)
{
    static const struct {
        const char *method, *target, *body, *authorization;
    } ROWS[] = {
        {"GET", "/v1/default/models", EMPTY,
         "fa2ca21ce3a35391c07305155d5f6632c1cf8c0aa3a1d05960ca9eb2f4773485"},
        {"GET", "/v1/a%20b/%E6%A8%A1/x%2Fy~%7e?b=&a=2&a=10&c&a=1&sp=a+b%2B&%E4%BD%A0=%e5%a5%bd",
         EMPTY, "03fc69bb32a650de7832c2b1e9ee6333d4c5a774616577e2ef04b9d676d04d8c"},
        {"POST", "/", "f9d86028c6e0d64e225186f96acb69338b2c59764df79162107f5c4bb34d1310",
         "ce17805f11da4fd50205ff250186a633fe6a551cf7ea039762d4db945e25d8b6"},
    };
    for (size_t i = 0; i < G_N_ELEMENTS(ROWS); i++) {
        g_autofree char *value =
            g_strdup_printf(SIGNATURE_SCHEME
                            " Access=A, SignedHeaders=host;x-sdk-date, Signature=%s",
                            ROWS[i].authorization);
        g_autofree Asked *asked =
            asked_new(ROWS[i].method, ROWS[i].target, HOST, DATE, "Authorization", value, NULL);
        assert_true(verifies(asked, DATE_MS, SECRET, ROWS[i].body));
        assert_false(verifies(asked, DATE_MS, SECRET, ZEROS));
        asked->request.method = "DELETE";
        assert_false(verifies(asked, DATE_MS, SECRET, ROWS[i].body));
    }
}

static void assert_refused(const Asked *asked, int64_t now, int code, const char *words)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(Signature) signature = signature_read(&asked->request, now, &error);
    assert_null(signature);
    assert_int_equal(error->code, code);
    if (!strstr(error->message, words))
        fail_msg("%s: expected %s", error->message, words);
}

static void head_is_read_in_any_order_and_spacing(void **state)
{
    static const char *const GOOD[] = {
        SIGNATURE_SCHEME " Access=A, SignedHeaders=host;x-sdk-date, Signature=" ZEROS,
        SIGNATURE_SCHEME " Access=A,SignedHeaders=host;x-sdk-date,Signature=" ZEROS,
        SIGNATURE_SCHEME "  Signature=" ZEROS " ,  Access=A ,SignedHeaders=host;x-sdk-date",
    };
    for (size_t i = 0; i < G_N_ELEMENTS(GOOD); i++) {
        g_autofree Asked *asked = asked_new("GET", "/", HOST, DATE, "authorization", GOOD[i], NULL);
        g_autoptr(Signature) signature = signature_read(&asked->request, DATE_MS, NULL);
        assert_non_null(signature);
        assert_string_equal(signature->access, "A");
        assert_string_equal(signature->names[1], "x-sdk-date");
        assert_null(signature->payload);
    }
}

static void head_that_is_malformed_is_refused_with_the_reason(void **state)
{
    static const char *const BAD[][2] = {
        {SIGNATURE_SCHEME, "no Access="},
        {SIGNATURE_SCHEME "Access=A", "is not " SIGNATURE_SCHEME},
        {"Bearer x", "is not " SIGNATURE_SCHEME},
        {SIGNATURE_SCHEME " Access=A, SignedHeaders=x-sdk-date", "no Signature="},
        {SIGNATURE_SCHEME " Access=A, Signature=" ZEROS, "no SignedHeaders="},
        {SIGNATURE_SCHEME " SignedHeaders=x-sdk-date, Signature=" ZEROS, "no Access="},
        {SIGNATURE_SCHEME " Access=A, Access=B, SignedHeaders=x-sdk-date, Signature=" ZEROS,
         "twice"},
        {SIGNATURE_SCHEME " Access=A, SignedHeaders=x-sdk-date, Signature=" ZEROS
                          ", Signature=" ZEROS,
         "twice"},
        {SIGNATURE_SCHEME " Access=A, Also=B, SignedHeaders=x-sdk-date, Signature=" ZEROS,
         "unknown"},
        {SIGNATURE_SCHEME " Access=A, SignedHeaders=x-sdk-date, Signature=" ZEROS ",", "without ="},
        {SIGNATURE_SCHEME " Access=, SignedHeaders=x-sdk-date, Signature=" ZEROS, "no access key"},
        {SIGNATURE_SCHEME " Access=a'b, SignedHeaders=x-sdk-date, Signature=" ZEROS,
         "no access key"},
        {SIGNATURE_SCHEME " Access=A, SignedHeaders=x-sdk-date, Signature=00", "64 hex"},
        {SIGNATURE_SCHEME " Access=A, SignedHeaders=, Signature=" ZEROS, "x-sdk-date"},
        {SIGNATURE_SCHEME " Access=A, SignedHeaders=host, Signature=" ZEROS,
         "must name x-sdk-date"},
        {SIGNATURE_SCHEME " Access=A, SignedHeaders=Host;x-sdk-date, Signature=" ZEROS,
         "lower-case"},
        {SIGNATURE_SCHEME " Access=A, SignedHeaders=host;;x-sdk-date, Signature=" ZEROS,
         "lower-case"},
        {SIGNATURE_SCHEME " Access=A, SignedHeaders=x-sdk-date;x-sdk-date, Signature=" ZEROS,
         "twice"},
        {SIGNATURE_SCHEME " Access=A, SignedHeaders=x-none;x-sdk-date, Signature=" ZEROS,
         "does not have"},
    };
    for (size_t i = 0; i < G_N_ELEMENTS(BAD); i++) {
        g_autofree Asked *asked =
            asked_new("GET", "/", HOST, DATE, "Authorization", BAD[i][0], NULL);
        assert_refused(asked, DATE_MS, SIGNATURE_ERROR_MALFORMED, BAD[i][1]);
    }
    g_autofree Asked *none = asked_new("GET", "/", HOST, DATE, NULL);
    assert_refused(none, DATE_MS, SIGNATURE_ERROR_MALFORMED, "no authorization");
    g_autofree Asked *dates =
        asked_new("GET", "/", HOST, DATE, DATE, AUTHORIZATION("A", "x-sdk-date", ZEROS), NULL);
    assert_refused(dates, DATE_MS, SIGNATURE_ERROR_MALFORMED, "several x-sdk-date");
    g_autofree Asked *hash = asked_new("GET", "/", HOST, DATE, "X-Sdk-Content-Sha256", "none",
                                       AUTHORIZATION("A", "x-sdk-date", ZEROS), NULL);
    assert_refused(hash, DATE_MS, SIGNATURE_ERROR_MALFORMED, "Content-Sha256");
}

static void date_counts_for_fifteen_minutes_either_way(void **state)
{
    static const char *const BAD[] = {"20261122T220000",  "2026-11-22T220000Z", "20261322T220000Z",
                                      "20261122T250000Z", "00001122T220000Z",   ""};
    const int64_t window = SIGNATURE_WINDOW_MS;
    g_autofree Asked *asked =
        asked_new("GET", "/", HOST, DATE, AUTHORIZATION("A", "x-sdk-date", ZEROS), NULL);
    for (int sign = -1; sign <= 1; sign += 2) {
        g_autoptr(Signature) good = signature_read(&asked->request, DATE_MS + sign * window, NULL);
        assert_non_null(good);
        assert_refused(asked, DATE_MS + sign * (window + 1), SIGNATURE_ERROR_SKEWED,
                       "20261122T220000Z");
    }
    for (size_t i = 0; i < G_N_ELEMENTS(BAD); i++) {
        g_autofree Asked *bad = asked_new("GET", "/", "X-Sdk-Date", BAD[i],
                                          AUTHORIZATION("A", "x-sdk-date", ZEROS), NULL);
        assert_refused(bad, DATE_MS, SIGNATURE_ERROR_MALFORMED, "YYYYMMDDTHHMMSSZ");
    }
}

static void body_must_be_the_one_that_the_head_speaks_of(void **state)
{
    char hex[SIGNATURE_HEX_LENGTH + 1];
    BodyHash *hash = body_hash_new();
    body_hash_update(hash, "{\"a\":", 5);
    body_hash_update(hash, " 1}", 3);
    body_hash_finish(hash, hex);
    body_hash_free(hash);
    assert_string_equal(hex, "f9d86028c6e0d64e225186f96acb69338b2c59764df79162107f5c4bb34d1310");
    Signature signature = {.payload = hex};
    assert_true(signature_fits_body(&signature, hex));
    assert_false(signature_fits_body(&signature, EMPTY));
    signature.payload = (char *)SIGNATURE_UNSIGNED;
    assert_true(signature_fits_body(&signature, EMPTY));
    signature.payload = NULL; /* it was what was signed */
    assert_true(signature_fits_body(&signature, EMPTY));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(signature_of_the_published_example_verifies),
        cmocka_unit_test(canonical_paths_and_queries_are_encoded_once_and_sorted),
        cmocka_unit_test(canonical_refuses_a_bad_encoding),
        cmocka_unit_test(canonical_has_the_signed_headers_trimmed_and_a_line_for_each_value),
        cmocka_unit_test(signatures_of_another_signer_verify),
        cmocka_unit_test(head_is_read_in_any_order_and_spacing),
        cmocka_unit_test(head_that_is_malformed_is_refused_with_the_reason),
        cmocka_unit_test(date_counts_for_fifteen_minutes_either_way),
        cmocka_unit_test(body_must_be_the_one_that_the_head_speaks_of),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
