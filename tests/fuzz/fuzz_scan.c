/* A model file of any bytes, in any portions.
 *
 * The first byte chooses the name's ending, the second one the size of the portions. Invariants:
 * the report is the same however the bytes come; it is JSON with valid text; what wanted no more
 * bytes is not fed again; its counts are those of the names that it gives, dangerous ones first;
 * what is shortened is as loud as it was. */
#include <stdint.h>
#include <string.h>

#include "scan/scan.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char *const PATHS[] = {"x.pkl",  "x.pt",  "x.safetensors", "x.gguf",
                                    "x.onnx", "x.npy", "x.joblib",      "x"};

static json_t *scan(const char *path, const uint8_t *data, size_t size, size_t portion)
{
    g_autoptr(Scan) scan = scan_new(path, (int64_t)size);
    bool goes_on = true;
    for (size_t at = 0; at < size && goes_on; at += portion) {
        size_t length = MIN(portion, size - at);
        g_autofree void *part = g_memdup2(data + at, length); /* read beside it, and ASan says so */
        goes_on = scan_feed(scan, part, length);
    }
    return scan_end(scan);
}

static size_t rank_of(const json_t *import)
{
    static const char *const RANKS[] = {"dangerous", "unlisted", "listed"};
    size_t rank = 0;
    while (strcmp(json_string_value(json_object_get(import, "rank")), RANKS[rank]) != 0)
        g_assert(++rank < G_N_ELEMENTS(RANKS));
    return rank;
}

static void look_at(const json_t *report)
{
    char *text = json_dumps(report, JSON_COMPACT);
    g_assert(text && g_utf8_validate(text, -1, NULL));
    free(text);
    g_assert(json_string_value(json_object_get(report, "format")));
    json_int_t found[] = {0, 0, 0};
    size_t i, last = 0;
    json_t *import;
    json_array_foreach (json_object_get(report, "imports"), i, import) {
        size_t rank = rank_of(import);
        g_assert(rank >= last);
        last = rank;
        found[rank]++;
    }
    json_int_t dangerous = json_integer_value(json_object_get(report, "dangerous")),
               unlisted = json_integer_value(json_object_get(report, "unlisted")),
               count = json_integer_value(json_object_get(report, "count"));
    g_assert(found[0] == MIN(dangerous, SCAN_MAX_NAMES));
    g_assert(found[1] == MIN(unlisted, SCAN_MAX_NAMES));
    g_assert(found[2] == MIN(count - dangerous - unlisted, SCAN_MAX_NAMES));
    json_auto_t *shortened = json_deep_copy(report);
    scan_report_shorten(shortened);
    g_assert(scan_report_is_quiet(report) == scan_report_is_quiet(shortened));
    g_assert(json_array_size(json_object_get(shortened, "imports")) == (count > 0));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 2)
        return 0;
    const char *path = PATHS[data[0] % G_N_ELEMENTS(PATHS)];
    size_t portion = data[1] + 1u;
    json_auto_t *whole = scan(path, data + 2, size - 2, size),
                *parts = scan(path, data + 2, size - 2, portion);
    g_assert(whole == parts || json_equal(whole, parts));
    if (whole)
        look_at(whole);
    return 0;
}
