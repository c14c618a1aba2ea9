#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include <gio/gio.h>

#include "scan/imports.h"
#include "scan/scan.h"

#define BYTES(text) text, sizeof(text) - 1

/* In portions, each in memory of its own: what is read beside them is found by the sanitizers. */
static json_t *scan_in(const char *path, const void *data, size_t size, size_t portion)
{
    g_autoptr(Scan) scan = scan_new(path, (int64_t)size);
    bool goes_on = true;
    for (size_t at = 0; at < size && goes_on; at += portion) {
        g_autofree void *part = g_memdup2((const char *)data + at, MIN(portion, size - at));
        goes_on = scan_feed(scan, part, MIN(portion, size - at));
    }
    return scan_end(scan);
}

/* However the bytes come, the report is the same. */
static json_t *scan_all(const char *path, const void *data, size_t size)
{
    static const size_t PORTIONS[] = {1, 2, 3, 7, 23, 24, 25, 1000};
    json_t *whole = scan_in(path, data, size, size ? size : 1);
    for (size_t i = 0; i < G_N_ELEMENTS(PORTIONS); i++) {
        json_auto_t *again = scan_in(path, data, size, PORTIONS[i]);
        assert_true(whole == again || json_equal(whole, again));
    }
    return whole;
}

/* "os.system,a.b": the names that are told and not listed. */
static char *names_of(const json_t *report)
{
    GString *names = g_string_new(NULL);
    size_t i;
    json_t *import;
    json_array_foreach (json_object_get(report, "imports"), i, import) {
        const char *name, *rank;
        assert_int_equal(json_unpack(import, "{s:s, s:s}", "name", &name, "rank", &rank), 0);
        if (strcmp(rank, "listed") != 0)
            g_string_append_printf(names, "%s%s", names->len ? "," : "", name);
    }
    return g_string_free(names, FALSE);
}

static const char *text_of(const json_t *report, const char *key)
{
    return json_string_value(json_object_get(report, key));
}

static void assert_imports(const char *data, size_t size, const char *names, bool unread)
{
    json_auto_t *report = scan_all("x.pkl", data, size);
    g_autofree char *found = names_of(report);
    assert_string_equal(found, names);
    assert_int_equal(json_object_get(report, "unread") != NULL, unread);
}

static void every_way_to_import_is_named(void **state)
{
    static const struct {
        const char *data;
        size_t size;
        const char *names;
    } CASES[] = {
        {BYTES("cos\nsystem\n(S'x'\ntR."), "os.system"},
        {BYTES("(S'x'\nios\nsystem\n."), "os.system"},
        {BYTES("(cos\nsystem\nS'x'\no."), "os.system"},
        {BYTES("\x80\x02"
               "cown\nNet\n)\x81."),
         "own.Net"},
        {BYTES("\x80\x04\x8c\x02os\x8c\x06system\x93."), "os.system"},
        {BYTES("\x80\x04\x8c\x02os\x94\x8c\x06system\x94"
               "00h\x00h\x01\x93."),
         "os.system"},
        {BYTES("\x80\x02U\x02osq\x05U\x06systemq\x06"
               "00h\x05h\x06\x93."),
         "os.system"},
        {BYTES("\x80\x02"
               "Vos\np9\n0Vsystem\np10\n0g9\ng10\n\x93."),
         "os.system"},
        {BYTES("\x80\x04X\x02\0\0\0os2\x8d\x06\0\0\0\0\0\0\0system\x93."), "os.system"},
        {BYTES("\x80\x04\x8c\x02osN0\x8c\x06system\x93."), "os.system"},
        {BYTES("\x80\x02\x82\x01)R."), "copyreg.extension-1"},
        {BYTES("\x80\x02\x83\x01\x01)R."), "copyreg.extension-257"},
        {BYTES("\x80\x02\x84\x01\x00\x00\x01)R."), "copyreg.extension-16777217"},
        {BYTES("\x80\x04\x8c\x02osK\x01\x93."), "os.?"},
        {BYTES("\x80\x04K\x01\x8c\x06system\x93."), "?.system"},
        {BYTES("\x80\x04\x8c\x02os\x8c\x04path\x93\x8c\x06system\x86."), "os.path"},
        {BYTES("\x80\x02K\x01.\x80\x02"
               "cown\nNet\n."),
         "own.Net"},
        {BYTES("\x80\x03"
               "C\x13\x80\x02"
               "cos\nsystem\nU\x02xx\x85R.."),
         "os.system"},
    };
    for (size_t i = 0; i < G_N_ELEMENTS(CASES); i++) {
        json_auto_t *report = scan_all("x.pkl", CASES[i].data, CASES[i].size);
        g_autofree char *found = names_of(report);
        if (strcmp(found, CASES[i].names) != 0)
            fail_msg("case %zu: %s", i, found);
    }
}

static void what_is_no_pickle_says_nothing(void **state)
{
    static const struct {
        const char *data;
        size_t size;
    } CASES[] = {{BYTES("")},
                 {BYTES("\0\0\0\0\0\0\0\0\0\0\0\0\0\0")},
                 {BYTES("cat\ndog\n(mouse")},
                 {BYTES("import os\nimport sys\n")},
                 {BYTES("I am a text. So.")},
                 {BYTES("(dp0\nS'a'\np1\nI1\ns.")},
                 {BYTES("\x80\x02K\x01.")},
                 {BYTES("\x80\x09"
                        "cos\nsystem\n.")},
                 {BYTES("cos\nsystem\nbut this is a text")}};
    for (size_t i = 0; i < G_N_ELEMENTS(CASES); i++)
        assert_null(scan_all("x.dat", CASES[i].data, CASES[i].size));
}

static void what_breaks_off_is_said(void **state)
{
    assert_imports(BYTES("\x80\x02"
                         "cos\nsystem\nU\x05x"),
                   "os.system", true);
    assert_imports(BYTES("\x80\x02"
                         "cos\nsystem\n\xff"),
                   "os.system", true);
    assert_imports(BYTES("\x80\x02"
                         "cos\nsystem\n(R"),
                   "os.system", true);
    /* Called before it breaks: Python would have run it. */
    assert_imports(BYTES("cos\nsystem\n(S'x'\ntRgarbage"), "os.system", true);
    /* The tensors of an old torch.save. */
    assert_imports(BYTES("\x80\x02"
                         "cown\nNet\n.\x04\0\0\0\0\0\0\0\x12\x34\x56\x78"),
                   "own.Net", false);
}

static void names_are_ranked(void **state)
{
    static const struct {
        const char *module, *name;
        ImportRank rank;
    } CASES[] = {{"os", "system", IMPORT_DANGEROUS},
                 {"posix", "system", IMPORT_DANGEROUS},
                 {"subprocess", "Popen", IMPORT_DANGEROUS},
                 {"builtins", "eval", IMPORT_DANGEROUS},
                 {"__builtin__", "getattr", IMPORT_DANGEROUS},
                 {"builtins", "set", IMPORT_LISTED},
                 {"importlib.machinery", "x", IMPORT_DANGEROUS},
                 {"importlibx", "x", IMPORT_UNLISTED},
                 {"collections", "OrderedDict", IMPORT_LISTED},
                 {"collections", "OrderedDict.fromkeys", IMPORT_UNLISTED},
                 {"sklearn.svm._classes", "SVC", IMPORT_LISTED},
                 {"sklearn", "x", IMPORT_UNLISTED},
                 {"sklearn.tree._tree", "Tree", IMPORT_LISTED},
                 {"sklearn._loss._loss", "__pyx_unpickle_CyHalfBinomialLoss", IMPORT_LISTED},
                 {"sklearn.neighbors._kd_tree", "newObj", IMPORT_LISTED},
                 {"sklearn.metrics._regression", "r2_score", IMPORT_LISTED},
                 {"sklearn.cluster._birch", "_CFNode", IMPORT_LISTED},
                 {"sklearn.utils", "check_array", IMPORT_UNLISTED},
                 {"sklearn.utils._testing", "check_output", IMPORT_DANGEROUS},
                 {"sklearn.utils._testing", "TempMemmap", IMPORT_DANGEROUS},
                 {"sklearn.datasets._base", "urlretrieve", IMPORT_DANGEROUS},
                 {"sklearn.datasets._base", "Bunch", IMPORT_LISTED},
                 {"sklearn.datasets._base", "Bunch.x", IMPORT_DANGEROUS},
                 {"sklearn.ensemble._forest", "Parallel", IMPORT_DANGEROUS},
                 {"sklearn.externals.joblib.numpy_pickle", "NumpyArrayWrapper", IMPORT_LISTED},
                 {"sklearn.externals.joblib.numpy_pickle", "load", IMPORT_DANGEROUS},
                 {"sklearn.externals._arff", "ArffDecoder", IMPORT_DANGEROUS},
                 {"torch.ao.quantization.fx.utils", "getattr_from_fqn", IMPORT_DANGEROUS},
                 {"torch.ao.quantization.utils", "getattr_from_fqn", IMPORT_DANGEROUS},
                 {"torch.optim.adam", "Adam", IMPORT_LISTED},
                 {"torch.optim.adam", "_use_grad", IMPORT_UNLISTED},
                 {"sklearnx", "x", IMPORT_UNLISTED},
                 {"sklearn.utils", "os", IMPORT_DANGEROUS},
                 {"sklearn.datasets._base", "os.system", IMPORT_DANGEROUS},
                 {"sklearn.x", "eval", IMPORT_DANGEROUS},
                 {"torch._utils", "_rebuild_tensor_v2", IMPORT_LISTED},
                 {"torch.storage", "_load_from_bytes", IMPORT_UNLISTED},
                 {"torch", "load", IMPORT_DANGEROUS},
                 {"numpy", "ndarray", IMPORT_LISTED},
                 {"own", "Net", IMPORT_UNLISTED},
                 {"os", NULL, IMPORT_DANGEROUS},
                 {NULL, "system", IMPORT_UNLISTED},
                 {NULL, NULL, IMPORT_UNLISTED},
                 {"", "", IMPORT_UNLISTED}};
    for (size_t i = 0; i < G_N_ELEMENTS(CASES); i++)
        if (import_rank(CASES[i].module, CASES[i].name) != CASES[i].rank)
            fail_msg("%s.%s", CASES[i].module, CASES[i].name);
}

/* -- limits -- */

static GString *begin(void)
{
    return g_string_new_len(BYTES("\x80\x04\x8c\x02os\x94\x8c\x06system\x94\x93\x94"));
}

static json_t *scan_text(GString *text)
{
    json_t *report = scan_in("x.pkl", text->str, text->len, 65536);
    g_string_free(text, TRUE);
    return report;
}

/* What Python reads and a stricter reader would not. */
static void nothing_that_python_reads_ends_a_scan(void **state)
{
    static const char CALL[] = "cos\nsystem\n(S'x'\ntR.";
    static const struct {
        const char *data;
        size_t size;
    } FRONTS[] = {{BYTES("I0x1\n0")},
                  {BYTES("I 1_0 \n0")},
                  {BYTES("I1\0junk\n0")},
                  {BYTES("L0b1L\n0")},
                  {BYTES("Np1_0\n0")},
                  {BYTES("Np +3\n0")},
                  {BYTES("Finf\n0")},
                  {BYTES("((((1111")},
                  {BYTES("Np99999999999999999999999\ng99999999999999999999999\n00")},
                  {BYTES("N0\x95\0\0\0\0\0\0\0\x7f")}};
    for (size_t i = 0; i < G_N_ELEMENTS(FRONTS); i++) {
        g_autoptr(GString) text = g_string_new_len(FRONTS[i].data, (gssize)FRONTS[i].size);
        g_string_append_len(text, CALL, sizeof CALL - 1);
        json_auto_t *report = scan_all("x.dat", text->str, text->len);
        g_autofree char *names = names_of(report);
        if (strcmp(names, "os.system") != 0)
            fail_msg("front %zu: %s", i, names);
    }
}

static void a_long_line_ends_no_scan(void **state)
{
    GString *text = g_string_new("V");
    for (int i = 0; i < 5000; i++)
        g_string_append_c(text, 'x');
    g_string_append(text, "\n0cos\nsystem\n(S'x'\ntR.");
    json_auto_t *report = scan_text(text);
    g_autofree char *names = names_of(report);
    assert_string_equal(names, "os.system");
    text = g_string_new("cos.");
    for (int i = 0; i < 5000; i++)
        g_string_append_c(text, 'x');
    g_string_append(text, "\nsystem\n)R.");
    json_auto_t *cut = scan_text(text);
    g_autofree char *unknown = names_of(cut);
    assert_string_equal(unknown, "?.system");
}

/* A place that lies too far out is not remembered; afterwards MEMOIZE may put in any place. */
static void a_memo_that_cannot_be_counted_is_forgotten(void **state)
{
    static const char LISTED[] = "\x80\x04\x8c\x0b"
                                 "collectionsr\3\0\0\0" /* the fourth place, the memo's first */
                                 "0\x8c\x0b"
                                 "OrderedDictq\x09"
                                 "0Nr\0\0\0\x70r\0\0\0\x70" /* twice the same one */
                                 "\x8c\x02os\x94"           /* the third or the fourth place */
                                 "0h\x03h\x09\x93)R.";
    assert_imports(BYTES(LISTED), "?.?", false);
}

/* 10 GiB of one string, of which nothing is kept. */
static void long_strings_are_passed_over(void **state)
{
    static char zeros[1 << 20];
    const uint64_t size = (uint64_t)10 << 30;
    g_autoptr(Scan) scan = scan_new("x.pkl", (int64_t)size + 20);
    assert_true(scan_feed(scan, BYTES("\x80\x04\x8e\0\0\0\x80\x02\0\0\0")));
    for (uint64_t at = 0; at < size; at += sizeof zeros)
        assert_true(scan_feed(scan, zeros, sizeof zeros));
    assert_true(scan_feed(scan, BYTES("cos\nsystem\n.")));
    json_auto_t *report = scan_end(scan);
    g_autofree char *names = names_of(report);
    assert_string_equal(names, "os.system");
}

/* A vocabulary of a million words: the memo is bounded, what comes after it is seen. */
static void a_memo_that_is_full_forgets_and_says_what_it_cannot_tell(void **state)
{
    GString *text = begin();
    for (int i = 0; i < 1000000; i++) {
        g_autofree char *word = g_strdup_printf("word%06d", i);
        g_string_append_len(text, BYTES("\x8c\x0a"));
        g_string_append(text, word);
        g_string_append_len(text, BYTES("\x94K\x01s"));
    }
    g_string_append_len(text,
                        BYTES("h\x00h\x01\x93\x8c\x03own\x8c\x03Net\x93j\xff\xff\x0e\0h\x01\x93."));
    /* SETITEM needs a dictionary under each pair: a stack of one. */
    g_string_insert_len(text, 2, BYTES("}"));
    json_auto_t *report = scan_text(text);
    g_autofree char *names = names_of(report);
    assert_string_equal(names, "os.system,own.Net,?.system");
}

static void stacks_are_bounded(void **state)
{
    GString *text = begin();
    for (int i = 0; i < 200000; i++)
        g_string_append(text, "(N");
    json_auto_t *report = scan_text(text);
    assert_string_equal(text_of(report, "unread"), "its stack is larger than what is followed");
    text = begin();
    g_string_append_c(text, '(');
    for (int i = 0; i < 5000000; i++)
        g_string_append_c(text, 'N');
    g_string_append(text, "t.");
    json_auto_t *wide = scan_text(text);
    assert_null(text_of(wide, "unread"));
    text = g_string_new(NULL); /* nothing before it says that it is a pickle */
    for (int i = 0; i < 200000; i++)
        g_string_append(text, "(N");
    json_auto_t *unsure = scan_text(text);
    assert_string_equal(text_of(unsure, "unread"), "its stack is larger than what is followed");
}

static GBytes *compress(const void *data, size_t size)
{
    g_autoptr(GConverter) zlib =
        G_CONVERTER(g_zlib_compressor_new(G_ZLIB_COMPRESSOR_FORMAT_GZIP, 9));
    g_autoptr(GInputStream) plain = g_memory_input_stream_new_from_data(data, (gssize)size, NULL),
                            packed = g_converter_input_stream_new(plain, zlib);
    g_autoptr(GOutputStream) out = g_memory_output_stream_new_resizable();
    assert_true(
        g_output_stream_splice(out, packed, G_OUTPUT_STREAM_SPLICE_CLOSE_TARGET, NULL, NULL) > 0);
    return g_memory_output_stream_steal_as_bytes(G_MEMORY_OUTPUT_STREAM(out));
}

static void what_comes_out_of_little_is_bounded(void **state)
{
    const size_t size = (size_t)1200 << 20;
    g_autofree char *bomb = g_malloc0(size);
    memcpy(bomb, BYTES("\x80\x04\x8e\0\0\0\0\x01\0\0\0"));
    g_autoptr(GBytes) packed = compress(bomb, size);
    gsize length;
    const void *data = g_bytes_get_data(packed, &length);
    json_auto_t *report = scan_in("x.pkl", data, length, 65536);
    assert_string_equal(text_of(report, "unread"),
                        "more than 1 GiB comes out of what is compressed");
}

static void streams_without_end_end_as_unread(void **state)
{
    g_autoptr(GBytes) packed = compress(BYTES("nothing"));
    gsize length;
    const char *data = g_bytes_get_data(packed, &length);
    GString *text = g_string_new_len(BYTES("\x80\x04"));
    for (int i = 0; i < 70000; i++) {
        g_string_append_c(text, 'C');
        g_string_append_c(text, (char)length);
        g_string_append_len(text, data, (gssize)length);
        g_string_append_c(text, '0');
    }
    g_string_append(text, "N.");
    json_auto_t *report = scan_text(text);
    assert_string_equal(text_of(report, "unread"),
                        "it holds more compressed streams than are followed");
}

static void names_of_any_bytes_are_told_as_text(void **state)
{
    json_auto_t *report = scan_all("x.pkl", BYTES("\x80\x02"
                                                  "co\x1b[2J\xff\xc2\x9b\nx\x7f\n."));
    const json_t *import = json_array_get(json_object_get(report, "imports"), 0);
    assert_string_equal(text_of(import, "name"), "o?[2J\xef\xbf\xbd?.x?");
    assert_int_equal(json_integer_value(json_object_get(import, "position")), 2);
}

static void many_names_are_counted(void **state)
{
    GString *text = g_string_new_len(BYTES("\x80\x04("));
    for (int i = 0; i < 1000; i++)
        g_string_append_printf(text, "cown\nName%d\n", i % 300);
    g_string_append(text, "cos\nsystem\nt.");
    json_auto_t *report = scan_text(text);
    assert_int_equal(json_integer_value(json_object_get(report, "count")), 301);
    assert_int_equal(json_array_size(json_object_get(report, "imports")), SCAN_MAX_NAMES + 1);
    const json_t *first = json_array_get(json_object_get(report, "imports"), 0);
    assert_string_equal(text_of(first, "name"), "os.system");
}

/* "os" + "path.join" and "os.path" + "join". */
static void names_that_read_the_same_are_two(void **state)
{
    json_auto_t *report = scan_all("x.pkl", BYTES("\x80\x04"
                                                  "ccollections\nOrderedDict\n0cown\na.b\n0"
                                                  "cown.a\nb\n0c?\n?\n0NN\x93."));
    assert_int_equal(json_integer_value(json_object_get(report, "count")), 5);
}

static void positions_count_from_the_file(void **state)
{
    static const char TWICE[] = "\x80\x03(NC\x16\x80\x03"
                                "C\x11\x80\x02"
                                "cown\nposition\n..t.";
    json_auto_t *report = scan_all("x.pkl", BYTES(TWICE));
    const json_t *import = json_array_get(json_object_get(report, "imports"), 0);
    assert_int_equal(json_integer_value(json_object_get(import, "position")),
                     strstr(TWICE + 2, "cown") - TWICE);
}

/* Whatever Python reads as an array of objects; what it reads as numbers is no pickle. */
static void headers_of_npy_are_read_as_python_reads_them(void **state)
{
    static const struct {
        const char *header;
        const char *names, *unread;
    } CASES[] = {
        {"{'descr': '|O', 'fortran_order': False, 'shape': (1,), }", "os.system", NULL},
        {"{\"shape\":(),\"descr\":[('a','|O')],\"fortran_order\":True}", "os.system", NULL},
        {"{'descr': [('a', '<f8'), (('t', 'b'), [('c', 'O')], (2, 3))], 'fortran_order': False, "
         "'shape': (1,), }",
         "os.system", NULL},
        {"{'descr': '\\x4f', 'fortran_order': False, 'shape': (1,)}", "", "not"},
        {"{'descr': '<f8', 'descr': 'O', 'fortran_order': False, 'shape': (1,)}", "", "not"},
        {"{'descr': 'obj' 'ect', 'fortran_order': False, 'shape': (1,)}", "", "not"},
        {"{'descr': 'f8,O', 'fortran_order': False, 'shape': (1,)}", "", "not"},
        {"{'descr': '|u1', 'fortran_order': False, 'shape': (27,), } # object", "", "not"},
        {"{'descr': '|u1', 'fortran_order': False, 'shape': (22,), }\n", "", NULL},
        {"{'descr': [('object', '<u2'), ('', '|V2', (10,))], 'fortran_order': False, 'shape': "
         "(1,), }",
         "", NULL},
        {"{'descr': '|u1', 'fortran_order': False, 'shape': (0,), }\n", "os.system", NULL},
        {"{'descr': '<M8[ns]', 'fortran_order': False, 'shape': (0, 3), }\n", "os.system", NULL},
    };
    for (size_t i = 0; i < G_N_ELEMENTS(CASES); i++) {
        g_autoptr(GString) file = g_string_new_len(BYTES("\x93NUMPY\1\0"));
        g_string_append_c(file, (char)strlen(CASES[i].header));
        g_string_append_c(file, '\0');
        g_string_append(file, CASES[i].header);
        g_string_append_len(file, BYTES("\x80\x02"
                                        "cos\nsystem\nU\x01x\x85R."));
        json_auto_t *report = scan_all("x.npy", file->str, file->len);
        g_autofree char *names = names_of(report);
        const char *unread = text_of(report, "unread");
        if (strcmp(names, CASES[i].names) != 0 || !unread != !CASES[i].unread)
            fail_msg("case %zu: %s, %s", i, names, unread);
    }
}

static void names_without_end_end_as_unread(void **state)
{
    GString *text = g_string_new_len(BYTES("\x80\x04"));
    for (int i = 0; i < 3000000; i++)
        g_string_append_printf(text, "cown\nName%d\n0", i);
    g_string_append(text, "N.");
    int64_t began = g_get_monotonic_time();
    json_auto_t *report = scan_text(text);
    assert_string_equal(text_of(report, "unread"), "it imports more names than are followed");
    assert_true(g_get_monotonic_time() - began < 20 * G_USEC_PER_SEC);
}

/* -- formats -- */

static void a_file_of_zeros_wants_no_more_bytes(void **state)
{
    static const char *const PATHS[] = {"x.bin", "x.pt", "x.safetensors", "x.gguf", "x.onnx"};
    static char zeros[4096];
    for (size_t i = 0; i < G_N_ELEMENTS(PATHS); i++) {
        g_autoptr(Scan) scan = scan_new(PATHS[i], 1 << 30);
        assert_false(scan_feed(scan, zeros, sizeof zeros));
    }
}

static json_t *safetensors(const char *header, size_t data)
{
    size_t length = strlen(header);
    g_autofree char *file = g_malloc0(8 + length + data);
    file[0] = (char)(length & 0xff);
    file[1] = (char)(length >> 8);
    memcpy(file + 8, header, length);
    return scan_all("x.safetensors", file, 8 + length + data);
}

static void safetensors_are_as_long_as_their_header_says(void **state)
{
    static const char HEADER[] = "{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]},"
                                 "\"b\":{\"dtype\":\"X9\",\"shape\":[],\"data_offsets\":[8,12]}}";
    assert_null(safetensors(HEADER, 12));
    assert_null(safetensors("{}", 0));
    json_auto_t *cut = safetensors(HEADER, 11), *longer = safetensors(HEADER, 13),
                *twice = safetensors("{\"a\":{},\"a\":{}}", 0), *no = safetensors("{\"a\":1}", 0);
    json_int_t expected, found;
    assert_int_equal(json_unpack(cut, "{s:{s:I, s:I}}", "truncated", "expected", &expected, "found",
                                 &found),
                     0);
    assert_int_equal(expected, found + 1);
    assert_string_equal(text_of(longer, "broken"), "bytes stand behind its last tensor");
    assert_string_equal(text_of(twice, "broken"), "its header is not JSON");
    assert_string_equal(text_of(no, "broken"),
                        "a tensor of its header lacks dtype, shape or data_offsets");
}

/* A header of 1 MiB of the smallest objects would be 60 MiB as JSON. */
static void a_header_that_grows_in_memory_is_not_read(void **state)
{
    g_autoptr(GString) header = g_string_new("{\"a\":[{}");
    while (header->len < 1000000)
        g_string_append(header, ",{}");
    g_string_append(header, "]}");
    uint64_t length = GUINT64_TO_LE(header->len);
    g_string_prepend_len(header, (const char *)&length, sizeof length);
    assert_null(scan_in("x.safetensors", header->str, header->len, 65536));
    g_autoptr(GString) sound = g_string_new("{");
    for (int i = 0; i < 7000; i++) /* a model of 7000 tensors */
        g_string_append_printf(sound,
                               "%s\"model.layers.%d.mlp.experts.%d.down_proj.weight\":{\"dtype\":"
                               "\"F32\",\"shape\":[1,1],\"data_offsets\":[%d,%d]}",
                               i ? "," : "", i / 100, i % 100, 4 * i, 4 * i + 4);
    g_string_append(sound, "}");
    length = GUINT64_TO_LE(sound->len);
    g_string_prepend_len(sound, (const char *)&length, sizeof length);
    json_auto_t *cut = scan_in("x.safetensors", sound->str, sound->len, 65536);
    assert_non_null(json_object_get(cut, "truncated"));
}

static void what_is_listed_alone_is_quiet(void **state)
{
    json_auto_t *listed = scan_all("x", BYTES("\x80\x02"
                                              "ccollections\nOrderedDict\n)R.")),
                *unlisted = scan_all("x", BYTES("\x80\x02"
                                                "cown\nNet\n."));
    assert_true(scan_report_is_quiet(listed));
    assert_false(scan_report_is_quiet(unlisted));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_way_to_import_is_named),
        cmocka_unit_test(what_is_no_pickle_says_nothing),
        cmocka_unit_test(what_breaks_off_is_said),
        cmocka_unit_test(names_are_ranked),
        cmocka_unit_test(nothing_that_python_reads_ends_a_scan),
        cmocka_unit_test(a_long_line_ends_no_scan),
        cmocka_unit_test(a_memo_that_cannot_be_counted_is_forgotten),
        cmocka_unit_test(long_strings_are_passed_over),
        cmocka_unit_test(a_memo_that_is_full_forgets_and_says_what_it_cannot_tell),
        cmocka_unit_test(stacks_are_bounded),
        cmocka_unit_test(what_comes_out_of_little_is_bounded),
        cmocka_unit_test(names_of_any_bytes_are_told_as_text),
        cmocka_unit_test(many_names_are_counted),
        cmocka_unit_test(positions_count_from_the_file),
        cmocka_unit_test(headers_of_npy_are_read_as_python_reads_them),
        cmocka_unit_test(names_that_read_the_same_are_two),
        cmocka_unit_test(names_without_end_end_as_unread),
        cmocka_unit_test(streams_without_end_end_as_unread),
        cmocka_unit_test(a_file_of_zeros_wants_no_more_bytes),
        cmocka_unit_test(safetensors_are_as_long_as_their_header_says),
        cmocka_unit_test(a_header_that_grows_in_memory_is_not_read),
        cmocka_unit_test(what_is_listed_alone_is_quiet),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
