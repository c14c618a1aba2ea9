/* A model file of any bytes, in any portions.
 *
 * The first byte chooses the name's ending, the second one the size of the portions. Invariants:
 * the report is the same however the bytes come; it is JSON with valid text; what wanted no more
 * bytes is not fed again; a quiet report names only what is listed. */
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

static void look_at(const json_t *report)
{
    char *text = json_dumps(report, JSON_COMPACT);
    g_assert(text && g_utf8_validate(text, -1, NULL));
    free(text);
    g_assert(json_string_value(json_object_get(report, "format")));
    size_t i;
    json_t *import;
    json_array_foreach (json_object_get(report, "imports"), i, import) {
        const char *rank = json_string_value(json_object_get(import, "rank"));
        g_assert(!scan_report_is_quiet(report) || strcmp(rank, "listed") == 0);
    }
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
