/* The reader: recursive descent, at most DOCUMENT_MAX_DEPTH deep.
 *
 * Nothing here costs more than O(n log n), whatever the file holds: places are counted on from the
 * last one, and duplicate keys are found by sorting, since a hash that a file can predict would
 * make them quadratic. */
#include "model/document.h"

#include <math.h>
#include <string.h>

static const char BYTE_ORDER_MARK[] = "\xEF\xBB\xBF";

typedef struct {
    Document *document;
    const char *at, *end; /* what is still to be read; *end is NUL */
    int depth;
    const char *counted; /* up to here line and column are known */
    int line, column;    /* of `counted` */
} Reader;

/* What people write instead, and what to tell them. Input methods for Chinese leave full-width
 * punctuation behind. */
static const struct {
    const char *prefix, *hint;
} HINTS[] = {
    {"//", "JSON has no comments"},
    {"/*", "JSON has no comments"},
    {"#", "JSON has no comments"},
    {"'", "JSON quotes with \""},
    {"True", "JSON writes true"},
    {"False", "JSON writes false"},
    {"None", "JSON writes null"},
    {"NaN", "JSON has no NaN"},
    {"Infinity", "JSON has no Infinity"},
    {"\uFF0C", "this comma is full-width"},
    {"\u3001", "this comma is an ideographic one"},
    {"\uFF1A", "this colon is full-width"},
    {"\uFF5B", "this brace is full-width"},
    {"\uFF5D", "this brace is full-width"},
    {"\uFF3B", "this bracket is full-width"},
    {"\uFF3D", "this bracket is full-width"},
    {"\uFF02", "JSON quotes with \""},
    {"\u201C", "JSON quotes with \""},
    {"\u201D", "JSON quotes with \""},
    {"\u00A0", "this is a space that does not break: JSON takes it in strings only"},
    {"\u3000", "this space is full-width"},
};

static void fault_free(gpointer data)
{
    DocumentFault *fault = data;
    g_free(fault->pointer);
    g_free(fault->dotted);
    g_free(fault->found);
    g_free(fault->expected);
    g_free(fault);
}

static void node_free(gpointer data)
{
    Node *node = data;
    if (node->children)
        g_ptr_array_unref(node->children);
    g_free(node->text);
    g_free(node->key);
    g_free(node);
}

static Node *node_new(Node *parent)
{
    Node *node = g_new0(Node, 1);
    node->parent = parent;
    node->index = parent && parent->kind == NODE_ARRAY ? (int)parent->children->len : -1;
    if (parent)
        g_ptr_array_add(parent->children, node);
    return node;
}

static size_t reader_offset(const Reader *reader, const char *at)
{
    return at - reader->document->text;
}

/* Places are asked for in the order of the text, so that all of them together cost one walk. */
static void reader_count_to(Reader *reader, const char *at)
{
    for (; reader->counted < at; reader->counted++) {
        if (*reader->counted == '\n') {
            reader->line++;
            reader->column = 1;
        } else if ((*reader->counted & 0xC0) != 0x80) {
            reader->column++;
        }
    }
}

/* The length of what stands at `at`, as a person would name it. */
static size_t token_length(const char *at, const char *end)
{
    static const char WORD[] =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_+-.$";
    if (at == end)
        return 0;
    size_t word = strspn(at, WORD);
    if (word > 0)
        return word;
    if (*at == '\\') /* a \uXXXX that means nothing */
        return 1 + MIN(strspn(at + 1, "u0123456789abcdefABCDEF"), 5);
    if (*at == '/' && (at[1] == '/' || at[1] == '*'))
        return 2;
    if (*at == '"' || *at == '\'') {
        size_t inside = strcspn(at + 1, *at == '"' ? "\"\n" : "'\n");
        return at[1 + inside] == *at ? inside + 2 : 1;
    }
    return *at == '\0' ? 1 : g_utf8_next_char(at) - at;
}

static char *token_found(const char *at, const char *end, size_t length)
{
    if (at == end)
        return g_strdup("the end of the file");
    if (*at == '\n' || *at == '\r')
        return g_strdup("the end of the line");
    if (*at == '\t')
        return g_strdup("a tab");
    return document_found(at, length);
}

/* The fault that ends the reading. Always false. */
static bool reader_stop(Reader *reader, const char *kind, const char *at, size_t length,
                        char *found, const char *expected)
{
    reader_count_to(reader, at);
    DocumentFault *fault = g_new0(DocumentFault, 1);
    *fault = (DocumentFault){
        .kind = kind,
        .pointer = g_strdup(""),
        .dotted = g_strdup("config.json"),
        .line = reader->line,
        .column = reader->column,
        .start = reader_offset(reader, at),
        .length = length,
        .found = found,
        .expected = g_strdup(expected),
    };
    g_ptr_array_set_size(reader->document->faults, 0);
    g_ptr_array_add(reader->document->faults, fault);
    reader->document->fault_count = 1;
    return false;
}

static bool reader_fail(Reader *reader, const char *at, const char *expected)
{
    g_autofree char *hinted = NULL;
    for (size_t i = 0; i < G_N_ELEMENTS(HINTS) && !hinted; i++) {
        if (g_str_has_prefix(at, HINTS[i].prefix))
            hinted = g_strdup_printf("%s (%s)", expected, HINTS[i].hint);
    }
    size_t length = token_length(at, reader->end);
    return reader_stop(reader, "syntax", at, length, token_found(at, reader->end, length),
                       hinted ? hinted : expected);
}

/* A fault that does not end the reading: rules leave the node alone from here. */
static void reader_report(Reader *reader, const char *kind, Node *node, bool at_key,
                          const char *expected)
{
    Document *document = reader->document;
    node->faulty = true;
    if (++document->fault_count > DOCUMENT_MAX_FAULTS)
        return;
    DocumentFault *fault = g_new0(DocumentFault, 1);
    size_t start = at_key ? node->key_start : node->start;
    size_t length = at_key ? node->key_length : node->length;
    *fault = (DocumentFault){
        .kind = kind,
        .pointer = node_pointer(node),
        .dotted = node_dotted(node),
        .line = at_key ? node->key_line : node->line,
        .column = at_key ? node->key_column : node->column,
        .start = start,
        .length = length,
        .found = document_found(document->text + start, length),
        .expected = g_strdup(expected),
    };
    g_ptr_array_add(document->faults, fault);
}

static void skip_blanks(Reader *reader)
{
    reader->at += strspn(reader->at, " \t\n\r");
}

static bool read_hex(Reader *reader, gunichar *unit)
{
    *unit = 0;
    for (int i = 0; i < 4; i++, reader->at++) {
        if (!g_ascii_isxdigit(*reader->at))
            return reader_fail(reader, reader->at, "a hexadecimal digit: \\u takes four");
        *unit = *unit << 4 | (gunichar)g_ascii_xdigit_value(*reader->at);
    }
    return true;
}

/* After `\u`: one unit of UTF-16, or two that are a pair. */
static bool read_unicode_escape(Reader *reader, GString *text)
{
    const char *escape = reader->at - 2;
    gunichar unit, low;
    if (!read_hex(reader, &unit))
        return false;
    if (unit == 0)
        return reader_fail(reader, escape, "text without NUL");
    if (unit >= 0xDC00 && unit <= 0xDFFF)
        return reader_fail(reader, escape, "\\uD800 to \\uDBFF before the second half of a pair");
    if (unit >= 0xD800 && unit <= 0xDBFF) {
        static const char PARTNER[] = "a pair: \\uDC00 to \\uDFFF after its first half";
        if (reader->at[0] != '\\' || reader->at[1] != 'u')
            return reader_fail(reader, escape, PARTNER);
        reader->at += 2;
        if (!read_hex(reader, &low))
            return false;
        if (low < 0xDC00 || low > 0xDFFF)
            return reader_fail(reader, escape, PARTNER);
        unit = 0x10000 + ((unit - 0xD800) << 10) + (low - 0xDC00);
    }
    g_string_append_unichar(text, unit);
    return true;
}

static bool read_escape(Reader *reader, GString *text)
{
    static const char LETTERS[] = "\"\\/bfnrt", MEANINGS[] = "\"\\/\b\f\n\r\t";
    char letter = *++reader->at;
    if (letter == 'u') {
        reader->at++;
        return read_unicode_escape(reader, text);
    }
    const char *known = letter ? strchr(LETTERS, letter) : NULL;
    if (!known)
        return reader_fail(reader, reader->at, "one of \" \\ / b f n r t u after the \\");
    g_string_append_c(text, MEANINGS[known - LETTERS]);
    reader->at++;
    return true;
}

/* A string stopped before its closing quote. */
static bool read_unclosed(Reader *reader, const char *opening)
{
    bool ended = reader->at == reader->end || *reader->at == '\n' || *reader->at == '\r';
    if (!ended)
        return reader_fail(reader, reader->at, "an escape (\\n, \\t, \\u0001) in place of it");
    reader_count_to(reader, opening);
    g_autofree char *expected =
        g_strdup_printf("the '\"' that closes the string of column %d", reader->column);
    return reader_fail(reader, reader->at, expected);
}

static bool read_string(Reader *reader, char **decoded)
{
    g_autoptr(GString) text = g_string_new(NULL);
    const char *opening = reader->at++;
    while (*reader->at != '"') {
        const char *run = reader->at;
        while ((unsigned char)*reader->at >= ' ' && *reader->at != '"' && *reader->at != '\\')
            reader->at++;
        g_string_append_len(text, run, reader->at - run);
        if (*reader->at == '\\') {
            if (!read_escape(reader, text))
                return false;
        } else if (*reader->at != '"') {
            return read_unclosed(reader, opening);
        }
    }
    reader->at++;
    *decoded = g_string_free(g_steal_pointer(&text), FALSE);
    return true;
}

static bool read_digits(Reader *reader, const char *expected)
{
    if (!g_ascii_isdigit(*reader->at))
        return reader_fail(reader, reader->at, expected);
    while (g_ascii_isdigit(*reader->at))
        reader->at++;
    return true;
}

static bool read_number(Reader *reader, Node *node)
{
    const char *start = reader->at;
    if (*reader->at == '-')
        reader->at++;
    const char *first = reader->at;
    if (!read_digits(reader, "a digit"))
        return false;
    if (*first == '0' && reader->at > first + 1)
        return reader_fail(reader, first + 1, "the end of the number: a 0 does not lead others");
    if (*reader->at == '.') {
        reader->at++;
        if (!read_digits(reader, "a digit after the decimal point"))
            return false;
    }
    if (*reader->at == 'e' || *reader->at == 'E') {
        reader->at++;
        if (*reader->at == '+' || *reader->at == '-')
            reader->at++;
        if (!read_digits(reader, "a digit of the exponent"))
            return false;
    }
    node->kind = NODE_NUMBER;
    node->text = g_strndup(start, reader->at - start);
    return true;
}

static bool read_word(Reader *reader, Node *node, const char *expected)
{
    static const struct {
        const char *word;
        NodeKind kind;
        bool truth;
    } WORDS[] = {
        {"true", NODE_BOOLEAN, true},
        {"false", NODE_BOOLEAN, false},
        {"null", NODE_NULL, false},
    };
    size_t length = token_length(reader->at, reader->end);
    for (size_t i = 0; i < G_N_ELEMENTS(WORDS); i++) {
        if (length == strlen(WORDS[i].word) && strncmp(reader->at, WORDS[i].word, length) == 0) {
            node->kind = WORDS[i].kind;
            node->truth = WORDS[i].truth;
            reader->at += length;
            return true;
        }
    }
    return reader_fail(reader, reader->at, expected);
}

static bool read_value(Reader *reader, Node *node, const char *expected);

/* At an opening bracket: one level down. */
static bool reader_enter(Reader *reader, Node *node, NodeKind kind)
{
    if (++reader->depth > DOCUMENT_MAX_DEPTH)
        return reader_stop(reader, "depth", reader->at, 1,
                           g_strdup_printf("level %d of nesting", reader->depth),
                           "at most " G_STRINGIFY(DOCUMENT_MAX_DEPTH) " levels of nesting");
    node->kind = kind;
    node->children = g_ptr_array_new_with_free_func(node_free);
    reader->at++;
    skip_blanks(reader);
    return true;
}

static bool reader_leave(Reader *reader)
{
    reader->depth--;
    reader->at++;
    return true;
}

static bool read_array(Reader *reader, Node *array)
{
    if (!reader_enter(reader, array, NODE_ARRAY))
        return false;
    if (*reader->at == ']')
        return reader_leave(reader);
    const char *expected = "a value or ']'";
    for (;;) {
        if (!read_value(reader, node_new(array), expected))
            return false;
        skip_blanks(reader);
        if (*reader->at == ']')
            return reader_leave(reader);
        if (*reader->at != ',')
            return reader_fail(reader, reader->at, "',' or ']'");
        reader->at++;
        skip_blanks(reader);
        expected = *reader->at == ']' ? "a value (no comma stands after the last one)" : "a value";
    }
}

static bool read_member(Reader *reader, Node *object, const char *expected)
{
    if (*reader->at != '"')
        return reader_fail(reader, reader->at, expected);
    Node *member = node_new(object);
    const char *start = reader->at;
    reader_count_to(reader, start);
    member->key_line = reader->line;
    member->key_column = reader->column;
    member->key_start = reader_offset(reader, start);
    if (!read_string(reader, &member->key))
        return false;
    member->key_length = reader->at - start;
    skip_blanks(reader);
    if (*reader->at != ':')
        return reader_fail(reader, reader->at, "':'");
    reader->at++;
    skip_blanks(reader);
    return read_value(reader, member, "a value");
}

static gint compare_keys(gconstpointer a, gconstpointer b)
{
    const Node *left = *(const Node *const *)a, *right = *(const Node *const *)b;
    int order = strcmp(left->key, right->key);
    if (order != 0)
        return order;
    return left->key_start < right->key_start ? -1 : 1;
}

static void report_duplicates(Reader *reader, Node *object)
{
    if (object->children->len < 2)
        return;
    g_autoptr(GPtrArray) sorted = g_ptr_array_copy(object->children, NULL, NULL);
    g_ptr_array_set_free_func(sorted, NULL);
    g_ptr_array_sort(sorted, compare_keys);
    const Node *first = sorted->pdata[0];
    for (guint i = 1; i < sorted->len; i++) {
        Node *node = sorted->pdata[i];
        if (strcmp(first->key, node->key) != 0) {
            first = node;
            continue;
        }
        g_autofree char *expected =
            g_strdup_printf("each key once: the first stands in line %d, column %d",
                            first->key_line, first->key_column);
        reader_report(reader, "duplicate", node, true, expected);
    }
}

static bool read_object(Reader *reader, Node *object)
{
    if (!reader_enter(reader, object, NODE_OBJECT))
        return false;
    if (*reader->at == '}')
        return reader_leave(reader);
    const char *expected = "a key in double quotes or '}'";
    for (;;) {
        if (!read_member(reader, object, expected))
            return false;
        skip_blanks(reader);
        if (*reader->at == '}')
            break;
        if (*reader->at != ',')
            return reader_fail(reader, reader->at, "',' or '}'");
        reader->at++;
        skip_blanks(reader);
        expected = *reader->at == '}'
                       ? "a key in double quotes (no comma stands after the last member)"
                       : "a key in double quotes";
    }
    report_duplicates(reader, object);
    return reader_leave(reader);
}

static bool read_by_first_character(Reader *reader, Node *node, const char *expected)
{
    switch (*reader->at) {
    case '{':
        return read_object(reader, node);
    case '[':
        return read_array(reader, node);
    case '"':
        node->kind = NODE_STRING;
        return read_string(reader, &node->text);
    case '-':
    case '0' ... '9':
        return read_number(reader, node);
    default:
        return read_word(reader, node, expected);
    }
}

static bool read_value(Reader *reader, Node *node, const char *expected)
{
    const char *start = reader->at;
    reader_count_to(reader, start);
    node->line = reader->line;
    node->column = reader->column;
    node->start = reader_offset(reader, start);
    if (!read_by_first_character(reader, node, expected))
        return false;
    node->length = reader->at - start;
    if (node->kind == NODE_NUMBER && !isfinite(g_ascii_strtod(node->text, NULL)))
        reader_report(reader, "range", node, false, "a number that a double can hold");
    return true;
}

/* The first byte that is no UTF-8, or NULL. NUL is: g_utf8_validate_len stops at it. */
static const char *first_bad_byte(const char *text, const char *end)
{
    while (!g_utf8_validate_len(text, end - text, &text)) {
        if (*text != '\0')
            return text;
        text++;
    }
    return NULL;
}

static bool read_document(Reader *reader)
{
    Document *document = reader->document;
    if (document->size > DOCUMENT_MAX_BYTES)
        return reader_stop(reader, "size", reader->at, 0,
                           g_strdup_printf("%zu bytes", document->size),
                           "at most " G_STRINGIFY(DOCUMENT_MAX_BYTES) " bytes");
    const char *bad = first_bad_byte(reader->at, reader->end);
    if (bad) {
        bool utf16 = bad == reader->at &&
                     (g_str_has_prefix(bad, "\xFF\xFE") || g_str_has_prefix(bad, "\xFE\xFF"));
        return reader_stop(reader, "encoding", bad, 1, document_found(bad, 1),
                           utf16 ? "UTF-8 (this file is UTF-16)" : "UTF-8");
    }
    skip_blanks(reader);
    document->root = node_new(NULL);
    if (!read_value(reader, document->root, "'{'"))
        return false;
    skip_blanks(reader);
    if (reader->at < reader->end)
        return reader_fail(reader, reader->at, "the end of the file");
    return true;
}

static gint compare_places(gconstpointer a, gconstpointer b)
{
    const DocumentFault *left = *(const DocumentFault *const *)a,
                        *right = *(const DocumentFault *const *)b;
    return left->start < right->start ? -1 : left->start > right->start;
}

Document *document_parse(const void *bytes, size_t size)
{
    Document *document = g_new0(Document, 1);
    size_t kept = MIN(size, DOCUMENT_MAX_BYTES);
    document->text = g_malloc(kept + 1);
    if (kept > 0)
        memcpy(document->text, bytes, kept);
    document->text[kept] = '\0';
    document->size = size;
    document->faults = g_ptr_array_new_with_free_func(fault_free);
    document->byte_order_mark = g_str_has_prefix(document->text, BYTE_ORDER_MARK);

    const char *start = document->text + (document->byte_order_mark ? strlen(BYTE_ORDER_MARK) : 0);
    Reader reader = {
        .document = document,
        .at = start,
        .end = document->text + kept,
        .counted = start,
        .line = 1,
        .column = 1,
    };
    if (!read_document(&reader))
        g_clear_pointer(&document->root, node_free);
    g_ptr_array_sort(document->faults, compare_places);
    return document;
}

static void fault_name(DocumentFault *fault, const char *key)
{
    g_autofree char *pointer = fault->pointer, *dotted = fault->dotted;
    const char *inside = *pointer ? dotted : ""; /* of the whole it is "config.json" */
    fault->pointer = g_strconcat("/", key, pointer, NULL);
    fault->dotted = g_strconcat(key, *inside && *inside != '[' ? "." : "", inside, NULL);
}

void document_name(Document *document, const char *key)
{
    for (guint i = 0; i < document->faults->len; i++)
        fault_name(document->faults->pdata[i], key);
    if (!document->root)
        return;
    Node *object = node_new(NULL);
    object->kind = NODE_OBJECT;
    object->line = object->column = 1;
    object->children = g_ptr_array_new_with_free_func(node_free);
    g_ptr_array_add(object->children, document->root);
    document->root->parent = object;
    document->root->key = g_strdup(key);
    document->root = object;
}

void document_free(Document *document)
{
    if (!document)
        return;
    g_clear_pointer(&document->root, node_free);
    g_ptr_array_unref(document->faults);
    g_free(document->text);
    g_free(document);
}
