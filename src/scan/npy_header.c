#include "scan/npy_header.h"

#include <stdbool.h>
#include <string.h>

#include <glib.h>

#define MAX_DEPTH 8   /* structures in each other */
#define MAX_TEXT  256 /* bytes of a name, a dtype */

typedef struct {
    const char *at, *end;
    bool objects;
} Parser;

static bool is_next(Parser *parser, char c)
{
    while (parser->at < parser->end && strchr(" \t\r\n", *parser->at) && *parser->at)
        parser->at++;
    return parser->at < parser->end && *parser->at == c;
}

static bool take(Parser *parser, char c)
{
    bool found = is_next(parser, c);
    parser->at += found;
    return found;
}

static bool take_word(Parser *parser, const char *word)
{
    size_t length = strlen(word);
    is_next(parser, *word);
    bool found =
        (size_t)(parser->end - parser->at) >= length && memcmp(parser->at, word, length) == 0;
    parser->at += found ? length : 0;
    return found;
}

/* A string without an escape. False: there is none. */
static bool take_text(Parser *parser, char text[MAX_TEXT])
{
    char quote = is_next(parser, '"') ? '"' : '\'';
    size_t length = 0;
    if (!take(parser, quote))
        return false;
    for (; parser->at < parser->end && *parser->at != quote; parser->at++) {
        if (length + 1 == MAX_TEXT || *parser->at == '\\' || *parser->at == '\0')
            return false;
        text[length++] = *parser->at;
    }
    text[length] = '\0';
    return take(parser, quote);
}

static bool take_number(Parser *parser, uint64_t *number)
{
    is_next(parser, '0');
    const char *begin = parser->at;
    for (*number = 0; parser->at < parser->end && g_ascii_isdigit(*parser->at); parser->at++)
        if (__builtin_mul_overflow(*number, 10, number) ||
            __builtin_add_overflow(*number, (uint64_t)(*parser->at - '0'), number))
            return false;
    take(parser, 'L'); /* of Python 2 */
    return parser->at > begin;
}

/* (3, 4): their product. */
static bool take_shape(Parser *parser, uint64_t *product)
{
    uint64_t number;
    *product = 1;
    if (!take(parser, '('))
        return false;
    while (!take(parser, ')')) {
        if (!take_number(parser, &number) || __builtin_mul_overflow(*product, number, product) ||
            (!take(parser, ',') && !is_next(parser, ')')))
            return false;
    }
    return true;
}

/* '<f8' */
static bool dtype_size(Parser *parser, const char *text, uint64_t *size)
{
    static const char *const SIZES[] = {
        ['b'] = " 1 ",          ['i'] = " 1 2 4 8 ", ['u'] = " 1 2 4 8 ", ['f'] = " 2 4 8 12 16 ",
        ['c'] = " 8 16 24 32 ", ['m'] = " 8 ",       ['M'] = " 8 "};
    text += *text && strchr("<>|=", *text);
    unsigned char kind = (unsigned char)*text;
    parser->objects = parser->objects || kind == 'O' || kind == 'T';
    if (kind == 'O' || kind == 'T')
        return true;
    size_t digits = strspn(text + (kind != '\0'), "0123456789");
    g_autofree char *number = g_strndup(text + (kind != '\0'), digits),
                    *word = g_strdup_printf(" %s ", number);
    const char *unit = text + (kind != '\0') + digits;
    bool times = (kind == 'm' || kind == 'M') && *unit == '[' && g_str_has_suffix(unit, "]");
    if (digits == 0 || digits > 9 || (*unit && !times))
        return false;
    *size = g_ascii_strtoull(number, NULL, 10) * (kind == 'U' ? 4 : 1);
    if (kind == 'S' || kind == 'U' || kind == 'V')
        return true;
    return kind < G_N_ELEMENTS(SIZES) && SIZES[kind] && strstr(SIZES[kind], word);
}

static bool take_descr(Parser *parser, int depth, uint64_t *size);

/* ('name', '<f8'), (('title', 'name'), '<f8', (3,)) */
static bool take_field(Parser *parser, int depth, uint64_t *size)
{
    char name[MAX_TEXT];
    uint64_t items = 1;
    if (!take(parser, '('))
        return false;
    bool named = is_next(parser, '(')
                     ? take(parser, '(') && take_text(parser, name) && take(parser, ',') &&
                           take_text(parser, name) && take(parser, ')')
                     : take_text(parser, name);
    if (!named || !take(parser, ',') || !take_descr(parser, depth + 1, size))
        return false;
    if (take(parser, ',') && is_next(parser, '(') && !take_shape(parser, &items))
        return false;
    take(parser, ',');
    return take(parser, ')') && !__builtin_mul_overflow(*size, items, size);
}

static bool take_descr(Parser *parser, int depth, uint64_t *size)
{
    char text[MAX_TEXT];
    uint64_t one = 0;
    *size = 0;
    if (!take(parser, '['))
        return take_text(parser, text) && dtype_size(parser, text, size);
    if (depth >= MAX_DEPTH)
        return false;
    while (!take(parser, ']')) {
        if (!take_field(parser, depth, &one) || __builtin_add_overflow(*size, one, size) ||
            (!take(parser, ',') && !is_next(parser, ']')))
            return false;
    }
    return true;
}

NpyContent npy_header_content(const char *header, size_t size, uint64_t *bytes)
{
    Parser parser = {.at = header, .end = header + size};
    char key[MAX_TEXT];
    uint64_t item = 0, items = 0;
    bool descr = false, order = false, shape = false, known = take(&parser, '{');
    while (known && !take(&parser, '}')) {
        known = take_text(&parser, key) && take(&parser, ':');
        if (known && strcmp(key, "descr") == 0 && !descr)
            known = descr = take_descr(&parser, 0, &item);
        else if (known && strcmp(key, "shape") == 0 && !shape)
            known = shape = take_shape(&parser, &items);
        else if (known && strcmp(key, "fortran_order") == 0 && !order)
            known = order = take_word(&parser, "False") || take_word(&parser, "True");
        else
            known = false;
        known = known && (take(&parser, ',') || is_next(&parser, '}'));
    }
    known = known && descr && shape && order;
    is_next(&parser, ' ');
    if (!known || parser.at != parser.end)
        return NPY_UNKNOWN;
    if (parser.objects)
        return NPY_OBJECTS;
    return __builtin_mul_overflow(item, items, bytes) ? NPY_UNKNOWN : NPY_NUMBERS;
}
