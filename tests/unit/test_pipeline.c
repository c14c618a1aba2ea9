/* What a failure of the service itself is called: event 40 and its kinds. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "base/io.h"
#include "event/answer.h"
#include "image/image.h"
#include "import/import.h"
#include "import/pipeline.h"
#include "store/db.h"

static void assert_answered(GQuark domain, int code, const char *kind)
{
    g_autoptr(GError) error = g_error_new(domain, code, "nobody foresaw this");
    g_autoptr(Event) event = event_of_error(NULL, error, 0);
    assert_int_equal(event->reason, EVENT_ImageBuildSystemError);
    assert_string_equal(event->kind, kind);
    json_t *answer = event_answer(event, &(EventPlace){.model = "m:0.0.1"});
    const char *english = json_string_value(json_object_get(answer, "summary"));
    const char *chinese = json_string_value(json_object_get(answer, "summary_cn"));
    const char *words = json_string_value(json_object_get(event->evidence, "error"));
    assert_non_null(english);
    assert_non_null(strstr(english, words));
    assert_null(strpbrk(english, "{}"));
    assert_non_null(chinese); /* the error's own words may be translated there */
    assert_null(strpbrk(chinese, "{}"));
    json_decref(answer);
}

static void every_error_has_its_kind(void **state)
{
    assert_answered(IO_ERROR, EIO, "io");
    assert_answered(DB_ERROR, DB_ERROR_BUSY, "store_lost");
    assert_answered(IMAGE_ERROR, IMAGE_ERROR_DAMAGED, "store_lost");
    assert_answered(IMPORT_ERROR, IMPORT_ERROR_CONFLICT, "internal");
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(every_error_has_its_kind)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
