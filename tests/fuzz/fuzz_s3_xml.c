/* Any bytes as what an S3 service answers: a page of a listing, or an error.
 *
 * Invariants: a page has objects with a key and a size that is none below zero, and says where it
 * goes on or that it does not; what is no page says why. */
#include <stdint.h>
#include <string.h>

#include "object/s3_xml.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void assert_page(const S3Page *page, const char *fault)
{
    g_assert(!page == !!fault);
    for (guint i = 0; page && i < page->objects->len; i++) {
        const S3Object *object = page->objects->pdata[i];
        g_assert(object->key && *object->key && object->etag && object->size >= 0);
    }
    g_assert(!page || !page->next || *page->next);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *fault = NULL;
    g_autofree char *code = NULL, *message = NULL, *request = NULL;
    g_autoptr(S3Page) page = s3_xml_page(data, size, &fault);
    assert_page(page, fault);
    s3_xml_error(data, size, &code, &message, &request);
    g_assert(!code || g_utf8_validate(code, -1, NULL));
    return 0;
}
