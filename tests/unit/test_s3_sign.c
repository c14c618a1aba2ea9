/* Signatures of requests to S3, by the examples that AWS publishes ("Authenticating Requests: Using
 * the Authorization Header", examplebucket). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "object/s3_sign.h"

#define TIME 1369353600 /* 2013-05-24T00:00:00Z */
#define HOST "examplebucket.s3.amazonaws.com"

static S3Credentials keys = {.access_key = (char *)"AKIAIOSFODNN7EXAMPLE",
                             .secret_key = (char *)"wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"};

static void assert_signed(const S3Request *request, const char *names, const char *signature)
{
    g_auto(GStrv) lines = s3_sign(request, &keys, "us-east-1", TIME);
    g_autofree char *expected = g_strdup_printf(
        "Authorization: AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/"
        "aws4_request,SignedHeaders=%s,Signature=%s",
        names, signature);
    assert_string_equal(lines[0], expected);
}

static void reading_a_part_of_an_object(void **state)
{
    static const char *const HEADERS[] = {"range:bytes=0-9", NULL};
    const S3Request request = {"GET", HOST, "/test.txt", "", S3_NO_PAYLOAD, HEADERS};
    assert_signed(&request, "host;range;x-amz-content-sha256;x-amz-date",
                  "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41");
}

static void a_question_without_a_value(void **state)
{
    static const char *const PAIRS[] = {"lifecycle", "", NULL};
    g_autofree char *query = s3_query(PAIRS);
    const S3Request request = {"GET", HOST, "/", query, S3_NO_PAYLOAD, NULL};
    assert_signed(&request, "host;x-amz-content-sha256;x-amz-date",
                  "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543");
}

static void a_list(void **state)
{
    static const char *const PAIRS[] = {"prefix", "J", "max-keys", "2", NULL};
    g_autofree char *query = s3_query(PAIRS);
    const S3Request request = {"GET", HOST, "/", query, S3_NO_PAYLOAD, NULL};
    assert_signed(&request, "host;x-amz-content-sha256;x-amz-date",
                  "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7");
}

static void writing_an_object(void **state)
{
    static const char *const HEADERS[] = {"date:Fri, 24 May 2013 00:00:00 GMT",
                                          "x-amz-storage-class:REDUCED_REDUNDANCY", NULL};
    g_autofree char *path = s3_escape("/test$file.text", TRUE);
    const S3Request request = {
        "PUT",  HOST, path, "", "44ce7dd67c959e0d3524ffac1771dfbba87d2b6b4b4e99e42034a8b803f8b072",
        HEADERS};
    assert_signed(&request, "date;host;x-amz-content-sha256;x-amz-date;x-amz-storage-class",
                  "98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd");
}

static void a_token_is_signed_and_sent(void **state)
{
    S3Credentials temporary = keys;
    temporary.token = (char *)"t/o+k=";
    const S3Request request = {"GET", HOST, "/", "", S3_NO_PAYLOAD, NULL};
    g_auto(GStrv) lines = s3_sign(&request, &temporary, "us-east-1", TIME);
    assert_non_null(strstr(lines[0], ";x-amz-security-token,"));
    assert_true(g_strv_contains((const char *const *)lines, "x-amz-security-token: t/o+k="));
}

static void without_credentials_nothing_is_signed(void **state)
{
    static const char *const HEADERS[] = {"range: bytes=0-9", NULL};
    const S3Request request = {"GET", HOST, "/", "", S3_NO_PAYLOAD, HEADERS};
    g_auto(GStrv) lines = s3_sign(&request, NULL, "us-east-1", TIME);
    assert_string_equal(lines[0], HEADERS[0]);
    assert_null(lines[1]);
}

/* Where one name is the beginning of another, as those of a copy are. */
static void headers_are_sorted_by_their_names_alone(void **state)
{
    static const char *const ONE[] = {"x-amz-copy-source:/b/k", "x-amz-copy-source-if-match:\"e\"",
                                      NULL};
    static const char *const OTHER[] = {"x-amz-copy-source-if-match:\"e\"",
                                        "x-amz-copy-source:/b/k", NULL};
    const S3Request request = {"PUT", HOST, "/k", "", S3_NO_PAYLOAD, ONE};
    const char *signature = "78a90b3526518dda4c42e2d77eccbc6a2adc06a1bce2370785821a4359471ecd";
    const S3Request turned = {"PUT", HOST, "/k", "", S3_NO_PAYLOAD, OTHER};
    assert_signed(
        &request,
        "host;x-amz-content-sha256;x-amz-copy-source;x-amz-copy-source-if-match;x-amz-date",
        signature);
    assert_signed(
        &turned,
        "host;x-amz-content-sha256;x-amz-copy-source;x-amz-copy-source-if-match;x-amz-date",
        signature);
}

static void keys_are_sorted_before_they_meet_their_values(void **state)
{
    static const char *const PAIRS[] = {"a-b", "1", "a", "2", "a", "1", "ä/", "x y", NULL};
    g_autofree char *query = s3_query(PAIRS);
    assert_string_equal(query, "%C3%A4%2F=x%20y&a=1&a=2&a-b=1");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reading_a_part_of_an_object),
        cmocka_unit_test(a_question_without_a_value),
        cmocka_unit_test(a_list),
        cmocka_unit_test(writing_an_object),
        cmocka_unit_test(headers_are_sorted_by_their_names_alone),
        cmocka_unit_test(a_token_is_signed_and_sent),
        cmocka_unit_test(without_credentials_nothing_is_signed),
        cmocka_unit_test(keys_are_sorted_before_they_meet_their_values),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
