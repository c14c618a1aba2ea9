#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>
#include <time.h>

#include "model/document.h"

/* "line:column found | expected", one fault a line; "" for none. */
static char *faults_of(const Document *document)
{
    GString *text = g_string_new(NULL);
    for (guint i = 0; i < document->faults->len; i++) {
        const DocumentFault *fault = document->faults->pdata[i];
        assert_true(g_utf8_validate(fault->found, -1, NULL));
        assert_true(strlen(fault->found) <= DOCUMENT_MAX_FOUND);
        assert_true(fault->start <= document->size);
        g_string_append_printf(text, "%s%s %d:%d %s | %s", i > 0 ? "\n" : "", fault->kind,
                               fault->line, fault->column, fault->found, fault->expected);
    }
    return g_string_free(text, FALSE);
}

static void assert_faults(const char *json, size_t size, const char *expected)
{
    g_autoptr(Document) document = document_parse(json, size);
    g_autofree char *faults = faults_of(document);
    if (strcmp(faults, expected) != 0)
        print_error("in %.200s\n", json);
    assert_string_equal(faults, expected);
}

typedef struct {
    const char *json, *fault;
} Case;

static void document_names_the_first_wrong_character(void **state)
{
    static const Case CASES[] = {
        {"", "syntax 1:1 the end of the file | '{'"},
        {" \n ", "syntax 2:2 the end of the file | '{'"},
        {"{\n  \"a\": \"x\"\n  \"model_type\": 1\n}", "syntax 3:3 \"model_type\" | ',' or '}'"},
        {"{\"a\": 1,}", "syntax 1:9 } | a key in double quotes (no comma stands after the last "
                        "member)"},
        {"[1, 2, ]", "syntax 1:8 ] | a value (no comma stands after the last one)"},
        {"{\"a\" 1}", "syntax 1:6 1 | ':'"},
        {"{\"a\": }", "syntax 1:7 } | a value"},
        {"{a: 1}", "syntax 1:2 a | a key in double quotes or '}'"},
        {"{\"a\": 1, b: 2}", "syntax 1:10 b | a key in double quotes"},
        {"{'a': 1}", "syntax 1:2 'a' | a key in double quotes or '}' (JSON quotes with \")"},
        {"{\"a\": True}", "syntax 1:7 True | a value (JSON writes true)"},
        {"{\"a\": None}", "syntax 1:7 None | a value (JSON writes null)"},
        {"{\"a\": NaN}", "syntax 1:7 NaN | a value (JSON has no NaN)"},
        {"{\"a\": nulll}", "syntax 1:7 nulll | a value"},
        {"{\"a\": 1 // one\n}", "syntax 1:9 // | ',' or '}' (JSON has no comments)"},
        {"# config\n{}", "syntax 1:1 # | '{' (JSON has no comments)"},
        {"{\"a\": 01}", "syntax 1:8 1 | the end of the number: a 0 does not lead others"},
        {"{\"a\": 1.}", "syntax 1:9 } | a digit after the decimal point"},
        {"{\"a\": 1e}", "syntax 1:9 } | a digit of the exponent"},
        {"{\"a\": -x}", "syntax 1:8 x | a digit"},
        {"{\"a\": .5}", "syntax 1:7 .5 | a value"},
        {"{\"a\": +5}", "syntax 1:7 +5 | a value"},
        {"{\"a\": 0x1F}", "syntax 1:8 x1F | ',' or '}'"},
        {"{\"a\": \"b\n\"}", "syntax 1:9 the end of the line | the '\"' that closes the string of "
                             "column 7"},
        {"{\"a\": \"b\r\n\"}", "syntax 1:9 the end of the line | the '\"' that closes the string "
                               "of column 7"},
        {"{\"a\": \"b", "syntax 1:9 the end of the file | the '\"' that closes the string of "
                        "column 7"},
        {"{\"a\": \"\t\"}", "syntax 1:8 a tab | an escape (\\n, \\t, \\u0001) in place of it"},
        {"{\"a\": \"\\x\"}", "syntax 1:9 x | one of \" \\ / b f n r t u after the \\"},
        {"{\"a\": \"\\u12G4\"}", "syntax 1:12 G4 | a hexadecimal digit: \\u takes four"},
        {"{\"a\": \"\\u0000\"}", "syntax 1:8 \\u0000 | text without NUL"},
        {"{\"a\": \"\\ud800\"}", "syntax 1:8 \\ud800 | a pair: \\uDC00 to \\uDFFF after its first "
                                 "half"},
        {"{\"a\": \"\\ud800\\u0041\"}", "syntax 1:8 \\ud800 | a pair: \\uDC00 to \\uDFFF after its "
                                        "first half"},
        {"{\"a\": \"\\udc00\"}",
         "syntax 1:8 \\udc00 | \\uD800 to \\uDBFF before the second half of "
         "a pair"},
        {"{} {}", "syntax 1:4 { | the end of the file"},
        {"{\"\xE5\x90\x8D\": \"\xE5\x80\xBC\"\xEF\xBC\x8C \"b\": 1}",
         "syntax 1:10 \xEF\xBC\x8C | ',' or '}' (this comma is full-width)"},
        {"{\xE2\x80\x9C"
         "a\xE2\x80\x9D: 1}",
         "syntax 1:2 \xE2\x80\x9C | a key in double quotes or '}' (JSON quotes with \")"},
        {"{\xC2\xA0\"a\": 1}",
         "syntax 1:2 \\u00a0 | a key in double quotes or '}' (this is a space "
         "that does not break: JSON takes it in strings only)"},
        {"{\"a\": \"\xB0\"}", "encoding 1:8 \\xb0 | UTF-8"},
        {"{\n\"\xC0\xAF\": 1}", "encoding 2:2 \\xc0 | UTF-8"},
        {"\xFF\xFE{", "encoding 1:1 \\xff | UTF-8 (this file is UTF-16)"},
    };
    for (size_t i = 0; i < G_N_ELEMENTS(CASES); i++)
        assert_faults(CASES[i].json, strlen(CASES[i].json), CASES[i].fault);
}

static void document_takes_no_nul(void **state)
{
    assert_faults("{\"a\0\": 1}", 9,
                  "syntax 1:4 \\x00 | an escape (\\n, \\t, \\u0001) in place of "
                  "it");
    assert_faults("{}\0", 3, "syntax 1:3 \\x00 | the end of the file");
}

/* In the manner of JSONTestSuite: y texts must be read, n texts must not. */
static void document_conforms(void **state)
{
    static const char *const YES[] = {
        "[]",
        "{}",
        "[[] ]",
        "[\"\"]",
        "[null]",
        "[true]",
        "[false, null]",
        "[1]",
        "[-0]",
        "[-1]",
        "[0.5]",
        "[1e5]",
        "[1E+2]",
        "[1e-2]",
        "[123.456e78]",
        "[20e1]",
        "[1.000000000000000005]",
        "[12345678901234567890]",
        "[-12345678901234567890123]",
        "[1e-999]",
        "\"text\"",
        "42",
        "null",
        " [] ",
        "\t[\n]\r\n",
        "{\"\": 0}",
        "{\"a\": {\"a\": 1}}",
        "{\"a\":[],\"b\":{}}",
        "[\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"]",
        "[\"\\u0041\\u00e9\\u4e2d\"]",
        "[\"\\ud83d\\ude00\"]",
        "[\"\\uFFFF\"]",
        "[\"\x7F\"]",
        "[\"\xE4\xB8\xAD\"]",
        "[\"\xF4\x8F\xBF\xBF\"]",
        "[\"a/*b*/c//d\"]",
        "[\" \"]",
        "[1,2,3]",
        "\xEF\xBB\xBF[]",
        "{\"a\":1,\"A\":2}",
        "[\"\xE2\x80\xA8\"]",
        "[\"\\uDBFF\\uDFFF\"]",
        "[1.5E-3 , -2.25]",
        "{\"a\\u0062\": 1}",
    };
    static const char *const NO[] = {
        "[",
        "]",
        "{",
        "}",
        "[1",
        "[1,",
        "[,1]",
        "[1,,2]",
        "[1 2]",
        "[1,]",
        "{,}",
        "{\"a\"}",
        "{\"a\":}",
        "{\"a\":1,}",
        "{\"a\" 1}",
        "{1:1}",
        "{\"a\":1 \"b\":2}",
        "{\"a\"::1}",
        "[1}",
        "{\"a\":1]",
        "[tru]",
        "[nul]",
        "[TRUE]",
        "[truefalse]",
        "[+1]",
        "[01]",
        "[-01]",
        "[1.]",
        "[.1]",
        "[-]",
        "[1e]",
        "[1e+]",
        "[1.e1]",
        "[0x1]",
        "[1_000]",
        "[Infinity]",
        "[-Infinity]",
        "[NaN]",
        "[1a]",
        "[--1]",
        "[\"]",
        "[\"\\\"]",
        "[\"\\a\"]",
        "[\"\\u\"]",
        "[\"\\u00\"]",
        "[\"\\uZZZZ\"]",
        "[\"\\ud800\"]",
        "[\"\\udfff\\ud800\"]",
        "[\"\\ud800\\ud800\"]",
        "[\"\\u0000\"]",
        "[\"\n\"]",
        "[\"\x01\"]",
        "[\"\x1f\"]",
        "['a']",
        "[a]",
        "[\"a\",\n4\n,1,",
        "//\n[]",
        "[]//",
        "/**/[]",
        "[]]",
        "[][]",
        "{}#",
        "\f[]",
        "[\v]",
        "\xEF\xBB\xBF\xEF\xBB\xBF[]",
        "[\xEF\xBB\xBF]",
        "[\"\xED\xA0\x80\"]",
        "[\"\xC0\x80\"]",
        "[\"\xF5\x80\x80\x80\"]",
        "[\"\xE4\xB8\"]",
        "[\"\xFF\"]",
        "\xEF\xBB[]",
        "[1e999]",
        "[-1e999]",
        "{\"a\":1,\"a\":2}",
        "{\"a\":1,\"\\u0061\":2}",
        "<a/>",
        "{\"a\":1;}",
        "\\u005B]",
        "[\\n]",
        "\"",
        "-",
        "",
        " ",
    };
    for (size_t i = 0; i < G_N_ELEMENTS(YES); i++)
        assert_faults(YES[i], strlen(YES[i]), "");
    for (size_t i = 0; i < G_N_ELEMENTS(NO); i++) {
        g_autoptr(Document) document = document_parse(NO[i], strlen(NO[i]));
        if (document->fault_count != 1)
            print_error("%u faults in %s\n", document->fault_count, NO[i]);
        assert_int_equal(document->fault_count, 1);
    }
}

static const Node *node_at(const Document *document, const char *dotted)
{
    g_autoptr(GPtrArray) open = g_ptr_array_new();
    g_ptr_array_add(open, document->root);
    while (open->len > 0) {
        const Node *node = g_ptr_array_steal_index(open, open->len - 1);
        g_autofree char *path = node_dotted(node);
        if (strcmp(path, dotted) == 0)
            return node;
        for (guint i = 0; node->children && i < node->children->len; i++)
            g_ptr_array_add(open, node->children->pdata[i]);
    }
    fail_msg("no %s", dotted);
    return NULL;
}

static void document_keeps_places(void **state)
{
    static const char TEXT[] = "\xEF\xBB\xBF{\r\n"
                               "  \"\xE5\x90\x8D\xE5\xAD\x97\": \"\xE5\x80\xBC\", \"b\": [10,\r\n"
                               "\t{\"c\": null}]\r\n"
                               "}\r\n";
    g_autoptr(Document) document = document_parse(TEXT, strlen(TEXT));
    assert_true(document->byte_order_mark);
    const struct {
        const char *dotted, *pointer, *found;
        int line, column;
    } PLACES[] = {
        {"\xE5\x90\x8D\xE5\xAD\x97", "/\xE5\x90\x8D\xE5\xAD\x97", "\"\xE5\x80\xBC\"", 2, 9},
        {"b", "/b", "[10, {\"c\": null}]", 2, 19},
        {"b[0]", "/b/0", "10", 2, 20},
        {"b[1]", "/b/1", "{\"c\": null}", 3, 2},
        {"b[1].c", "/b/1/c", "null", 3, 8},
    };
    assert_int_equal(document->root->line, 1);
    assert_int_equal(document->root->column, 1);
    for (size_t i = 0; i < G_N_ELEMENTS(PLACES); i++) {
        const Node *node = node_at(document, PLACES[i].dotted);
        g_autofree char *pointer = node_pointer(node), *found = node_found(document, node);
        assert_string_equal(pointer, PLACES[i].pointer);
        assert_string_equal(found, PLACES[i].found);
        assert_int_equal(node->line, PLACES[i].line);
        assert_int_equal(node->column, PLACES[i].column);
    }
}

static void document_goes_on_after_duplicates_and_ranges(void **state)
{
    static const char TEXT[] =
        "{\"a\": 1,\n \"b\": {\"c\": 1, \"c\": 2},\n \"a\": 3, \"n\": 1e999}";
    g_autoptr(Document) document = document_parse(TEXT, strlen(TEXT));
    g_autofree char *faults = faults_of(document);
    assert_string_equal(
        faults, "duplicate 2:16 \"c\" | each key once: the first stands in line 2, column 8\n"
                "duplicate 3:2 \"a\" | each key once: the first stands in line 1, column 2\n"
                "range 3:15 1e999 | a number that a double can hold");
    const DocumentFault *nested = document->faults->pdata[0];
    assert_string_equal(nested->dotted, "b.c");
    assert_string_equal(nested->pointer, "/b/c");
    json_t *json = node_json(document->root);
    char *dumped = json_dumps(json, JSON_COMPACT);
    assert_string_equal(dumped, "{\"a\":1,\"b\":{\"c\":1},\"n\":\"1e999\"}");
    free(dumped);
    json_decref(json);
}

static void document_of_wrong_syntax_has_that_one_fault(void **state)
{
    assert_faults("{\"a\": 1, \"b\": {\"a\": 1, \"a\": 2}, x}", 34,
                  "syntax 1:33 x | a key in double quotes");
}

static char *nested(int depth)
{
    GString *text = g_string_new(NULL);
    for (int i = 0; i < depth; i++)
        g_string_append_c(text, '[');
    for (int i = 0; i < depth; i++)
        g_string_append_c(text, ']');
    return g_string_free(text, FALSE);
}

static void document_ends_at_its_limits(void **state)
{
    g_autofree char *deep = nested(DOCUMENT_MAX_DEPTH), *deeper = nested(DOCUMENT_MAX_DEPTH + 1);
    g_autofree char *deepest = nested(DOCUMENT_MAX_BYTES / 2);
    assert_faults(deep, strlen(deep), "");
    static const char TOO_DEEP[] = "depth 1:65 level 65 of nesting | at most 64 levels of nesting";
    assert_faults(deeper, strlen(deeper), TOO_DEEP);
    assert_faults(deepest, strlen(deepest), TOO_DEEP);

    g_autofree char *large = g_strnfill(DOCUMENT_MAX_BYTES + 1, ' ');
    memcpy(large, "{}", 2);
    assert_faults(large, DOCUMENT_MAX_BYTES, "");
    assert_faults(large, DOCUMENT_MAX_BYTES + 1, "size 1:1 1048577 bytes | at most 1048576 bytes");
}

static void numbers_keep_their_text(void **state)
{
    static const char TEXT[] = "[12345678901234567890, 9223372036854775807, -0.10, 1e2]";
    g_autoptr(Document) document = document_parse(TEXT, strlen(TEXT));
    assert_string_equal(node_at(document, "[0]")->text, "12345678901234567890");
    assert_string_equal(node_at(document, "[2]")->text, "-0.10");
    json_t *json = node_json(document->root);
    assert_string_equal(json_string_value(json_array_get(json, 0)), "12345678901234567890");
    assert_int_equal(json_integer_value(json_array_get(json, 1)), INT64_MAX);
    assert_true(json_real_value(json_array_get(json, 3)) == 100);
    json_decref(json);
}

static void paths_of_odd_keys_are_safe_to_print(void **state)
{
    static const char TEXT[] = "{\"a.b\": {\"x/y~z\": 1}, \"\\u001b[31m\": 2, \"\": 3, "
                               "\"Content-type\": 4}";
    g_autoptr(Document) document = document_parse(TEXT, strlen(TEXT));
    const Node *odd = node_at(document, "[\"a.b\"][\"x/y~z\"]");
    g_autofree char *pointer = node_pointer(odd);
    assert_string_equal(pointer, "/a.b/x~1y~0z");
    node_at(document, "[\"\\u001B[31m\"]");
    node_at(document, "[\"\"]");
    node_at(document, "Content-type");

    g_autofree char *key = g_strnfill(5000, 'k');
    g_autofree char *text = g_strdup_printf("{\"%s\": 1, \"%s\": 2}", key, key);
    g_autoptr(Document) long_key = document_parse(text, strlen(text));
    const DocumentFault *fault = long_key->faults->pdata[0];
    assert_int_equal(strlen(fault->dotted), 100 + strlen("…"));
}

static void found_is_short_and_prints(void **state)
{
    g_autofree char *spread = document_found("{ \"a  b\" :\r\n\t[ 1 ]}", 19);
    assert_string_equal(spread, "{ \"a  b\" : [ 1 ]}");
    g_autofree char *control = document_found("\"\x1b\x7f\xC2\x9B\xE2\x80\xAE\xFF\"", 10);
    assert_string_equal(control, "\"\\x1b\\x7f\\u009b\\u202e\\xff\"");
    GString *chinese = g_string_new(NULL);
    for (int i = 0; i < 300; i++)
        g_string_append(chinese, "\xE5\x80\xBC");
    g_autofree char *cut = document_found(chinese->str, chinese->len);
    assert_true(strlen(cut) <= DOCUMENT_MAX_FOUND && g_str_has_suffix(cut, "\xBC…"));
    g_string_free(chinese, TRUE);
}

/* "first_line column length" and the lines. */
static char *snippet_of(const char *text, int line, size_t start, size_t length)
{
    g_autoptr(Document) document = document_parse(text, strlen(text));
    json_t *snippet = document_snippet(document, line, start, length);
    GString *shown = g_string_new(NULL);
    g_string_printf(shown, "%d %d %d",
                    (int)json_integer_value(json_object_get(snippet, "first_line")),
                    (int)json_integer_value(json_object_get(snippet, "column")),
                    (int)json_integer_value(json_object_get(snippet, "length")));
    json_t *lines = json_object_get(snippet, "lines");
    for (size_t i = 0; i < json_array_size(lines); i++)
        g_string_append_printf(shown, "|%s", json_string_value(json_array_get(lines, i)));
    json_decref(snippet);
    return g_string_free(shown, FALSE);
}

static void snippet_shows_the_lines_around(void **state)
{
    static const char TEXT[] = "1\r\n2\r\n\t\xE5\x80\xBC=3\r\n4\r\n5\r\n6\r\n";
    g_autofree char *middle = snippet_of(TEXT, 3, 10, 2);
    assert_string_equal(middle, "1 3 2|1|2| \xE5\x80\xBC=3|4|5");
    g_autofree char *first = snippet_of(TEXT, 1, 0, 20);
    assert_string_equal(first, "1 1 1|1|2| \xE5\x80\xBC=3");
    g_autofree char *last = snippet_of(TEXT, 6, 20, 1);
    assert_string_equal(last, "4 1 1|4|5|6");
    g_autofree char *end = snippet_of("{\n", 2, 2, 0);
    assert_string_equal(end, "1 1 1|{|");
    g_autofree char *mark = snippet_of("\xEF\xBB\xBF{}x", 1, 5, 1);
    assert_string_equal(mark, "1 3 1|{}x");
}

static void snippet_cuts_long_lines_around_the_place(void **state)
{
    g_autofree char *before = g_strnfill(5000, 'b'), *after = g_strnfill(5000, 'a');
    g_autofree char *text = g_strdup_printf("%sX%s", before, after);
    g_autofree char *shown = snippet_of(text, 1, 5000, 300);
    g_autofree char *lead = g_strnfill(100, 'b'), *rest = g_strnfill(99, 'a');
    g_autofree char *expected = g_strdup_printf("1 102 100|…%sX%s…", lead, rest);
    assert_string_equal(shown, expected);
}

static double seconds_of(const char *text, guint faults)
{
    struct timespec before, after;
    clock_gettime(CLOCK_MONOTONIC, &before);
    g_autoptr(Document) document = document_parse(text, strlen(text));
    clock_gettime(CLOCK_MONOTONIC, &after);
    assert_int_equal(document->fault_count, faults);
    return (double)(after.tv_sec - before.tv_sec) + (double)(after.tv_nsec - before.tv_nsec) / 1e9;
}

/* A key of 15 pairs, each Ez or FY: their sums under GLib's string hash are equal. */
static void append_colliding_key(GString *text, unsigned number)
{
    for (int bit = 0; bit < 15; bit++)
        g_string_append(text, number >> bit & 1 ? "Ez" : "FY");
}

static void document_of_hostile_size_is_read_at_once(void **state)
{
    g_autoptr(GString) distinct = g_string_new("{\"\":0");
    g_autoptr(GString) same = g_string_new("{\"\":0");
    g_autoptr(GString) colliding = g_string_new("{\"\":0");
    g_autoptr(GString) strings = g_string_new("[\"\"");
    for (unsigned i = 0; i < 100000; i++)
        g_string_append_printf(distinct, ",\"%u\":0", i);
    for (unsigned i = 0; i < 100000; i++)
        g_string_append(same, ",\"\":0");
    for (unsigned i = 0; i < 28000; i++) {
        g_string_append(colliding, ",\"");
        append_colliding_key(colliding, i);
        g_string_append(colliding, "\":0");
    }
    while (strings->len < DOCUMENT_MAX_BYTES - 10)
        g_string_append(strings, ",\"\"");
    g_string_append_c(distinct, '}');
    g_string_append_c(same, '}');
    g_string_append_c(colliding, '}');
    g_string_append_c(strings, ']');
    assert_true(seconds_of(distinct->str, 0) < 1);
    assert_true(seconds_of(same->str, 100000) < 1);
    assert_true(seconds_of(colliding->str, 0) < 1);
    assert_true(seconds_of(strings->str, 0) < 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(document_names_the_first_wrong_character),
        cmocka_unit_test(document_takes_no_nul),
        cmocka_unit_test(document_conforms),
        cmocka_unit_test(document_keeps_places),
        cmocka_unit_test(document_goes_on_after_duplicates_and_ranges),
        cmocka_unit_test(document_of_wrong_syntax_has_that_one_fault),
        cmocka_unit_test(document_ends_at_its_limits),
        cmocka_unit_test(numbers_keep_their_text),
        cmocka_unit_test(paths_of_odd_keys_are_safe_to_print),
        cmocka_unit_test(found_is_short_and_prints),
        cmocka_unit_test(snippet_shows_the_lines_around),
        cmocka_unit_test(snippet_cuts_long_lines_around_the_place),
        cmocka_unit_test(document_of_hostile_size_is_read_at_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
