/* Addresses of packages in object stores, and what such services answer. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "object/s3_address.h"
#include "object/s3_xml.h"

static void assert_address(const char *text, const char *bucket, const char *prefix,
                           const char *host)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(S3Address) address = s3_address_parse(text, &error);
    if (!address)
        fail_msg("%s", error->message);
    assert_true(s3_address_is_meant(text));
    assert_string_equal(address->bucket, bucket);
    assert_string_equal(address->prefix, prefix);
    assert_true(g_strcmp0(address->host, host) == 0);
}

static void addresses_in_their_forms(void **state)
{
    assert_address("s3://models", "models", "", NULL);
    assert_address("s3://models/", "models", "", NULL);
    assert_address("obs://models/a/b c/", "models", "a/b c", NULL);
    assert_address("https://models.obs.cn-north-4.myhuaweicloud.com/a/b", "models", "a/b",
                   "obs.cn-north-4.myhuaweicloud.com");
    assert_address("https://my.models.obs.eu-1.example.org", "my.models", "",
                   "obs.eu-1.example.org");
}

static void what_is_no_address(void **state)
{
    static const char *const TEXTS[] = {"s3://",       "s3:///a",          "s3://ab",
                                        "s3://Models", "s3://models//a",   "s3://models/a/../b",
                                        "s3://-a-/b",  "s3://models/\x01", "s3://models/./a",
                                        "obs://a_b/c", "s3://models/\xff"};
    for (size_t i = 0; i < G_N_ELEMENTS(TEXTS); i++) {
        g_autoptr(GError) error = NULL;
        assert_null(s3_address_parse(TEXTS[i], &error));
        assert_true(g_utf8_validate(error->message, -1, NULL));
    }
    assert_false(s3_address_is_meant("https://example.org/a"));
    assert_false(s3_address_is_meant("./s3/models"));
}

static S3Page *page_of(const char *text, const char **fault)
{
    return s3_xml_page(text, strlen(text), fault);
}

static void a_page_and_where_it_goes_on(void **state)
{
    const char *fault;
    g_autoptr(S3Page) page =
        page_of("<?xml version='1.0'?><ListBucketResult xmlns='x'><Name>b</Name>"
                "<IsTruncated>true</IsTruncated><NextContinuationToken>a&amp;b</"
                "NextContinuationToken><Contents><Key>a%20b/%C3%A4</Key><Size>12</Size>"
                "<ETag>&quot;e1&quot;</ETag><LastModified>2026-11-28T04:52:34.684Z</LastModified>"
                "<Owner><ID>Key</ID></Owner></Contents><Contents><Key>c</Key><Size>0</Size>"
                "</Contents></ListBucketResult>",
                &fault);
    assert_non_null(page);
    assert_string_equal(page->next, "a&b");
    assert_int_equal(page->objects->len, 2);
    const S3Object *first = page->objects->pdata[0], *second = page->objects->pdata[1];
    assert_string_equal(first->key, "a b/ä");
    assert_string_equal(first->etag, "e1");
    assert_int_equal(first->size, 12);
    assert_true(first->modified_ms == 1795841554684);
    assert_string_equal(second->etag, "");
}

static void pages_that_are_none(void **state)
{
    static const char *const TEXTS[] = {
        "",
        "<html></html>",
        "<ListBucketResult>",
        "<ListBucketResult><Contents><Size>1</Size></Contents></ListBucketResult>",
        "<ListBucketResult><Contents><Key>a</Key><Size>-1</Size></Contents></ListBucketResult>",
        "<ListBucketResult><Contents><Key></Key></Contents></ListBucketResult>",
        "<ListBucketResult><IsTruncated>true</IsTruncated></ListBucketResult>",
        "<a><a><a><a><a><a><a><a><a><a><a><a><a><a><a><a><a>"};
    for (size_t i = 0; i < G_N_ELEMENTS(TEXTS); i++) {
        const char *fault = NULL;
        assert_null(page_of(TEXTS[i], &fault));
        assert_non_null(fault);
    }
}

static void a_key_with_a_nul_byte_is_told(void **state)
{
    const char *fault;
    g_autoptr(S3Page) page = page_of("<ListBucketResult><Contents><Key>a%00b</Key></Contents>"
                                     "<Contents><Key>a%2500b</Key></Contents></ListBucketResult>",
                                     &fault);
    assert_non_null(page);
    const S3Object *first = page->objects->pdata[0], *second = page->objects->pdata[1];
    assert_true(first->has_nul);
    assert_string_equal(first->key, "a%00b");
    assert_false(second->has_nul);
    assert_string_equal(second->key, "a%00b");
}

static void an_error_and_what_is_none(void **state)
{
    static const char TEXT[] = "<Error><Code>AccessDenied</Code><Message>No &lt;you&gt;</Message>"
                               "<RequestId>tx1</RequestId><HostId>x</HostId></Error>";
    g_autofree char *code = NULL, *message = NULL, *request = NULL;
    s3_xml_error(TEXT, strlen(TEXT), &code, &message, &request);
    assert_string_equal(code, "AccessDenied");
    assert_string_equal(message, "No <you>");
    assert_string_equal(request, "tx1");
    s3_xml_error("<Error><Code>Half", 17, &code, &message, &request);
    s3_xml_error("", 0, &code, &message, &request);
    assert_string_equal(code, "AccessDenied");
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(addresses_in_their_forms),
                                       cmocka_unit_test(what_is_no_address),
                                       cmocka_unit_test(a_page_and_where_it_goes_on),
                                       cmocka_unit_test(pages_that_are_none),
                                       cmocka_unit_test(a_key_with_a_nul_byte_is_told),
                                       cmocka_unit_test(an_error_and_what_is_none)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
