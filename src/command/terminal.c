#include "command/terminal.h"

#include "base/size.h"

#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

void terminal_init(Terminal *terminal, FILE *out, const char *mode, Language language)
{
    struct winsize size = {0};
    terminal->out = out;
    terminal->language = language;
    terminal->is_terminal = isatty(fileno(out));
    const char *no_color = g_getenv("NO_COLOR"), *columns = g_getenv("COLUMNS");
    bool plain = (no_color && *no_color) || g_strcmp0(g_getenv("TERM"), "dumb") == 0;
    terminal->color = strcmp(mode, "always") == 0 ||
                      (strcmp(mode, "auto") == 0 && terminal->is_terminal && !plain);
    if (terminal->is_terminal && ioctl(fileno(out), TIOCGWINSZ, &size) == 0 && size.ws_col > 0)
        terminal->width = MAX(size.ws_col, 40);
    else if (terminal->is_terminal)
        terminal->width = columns && atoi(columns) >= 40 ? atoi(columns) : 80;
}

const char *terminal_color(const Terminal *terminal, Color color)
{
    static const char *const CODES[] = {
        [COLOR_NONE] = "",         [COLOR_DIM] = "\033[2m",    [COLOR_BOLD] = "\033[1m",
        [COLOR_RED] = "\033[31m",  [COLOR_GREEN] = "\033[32m", [COLOR_YELLOW] = "\033[33m",
        [COLOR_CYAN] = "\033[36m",
    };
    return terminal->color ? CODES[color] : "";
}

const char *terminal_plain(const Terminal *terminal)
{
    return terminal->color ? "\033[0m" : "";
}

static int character_width(gunichar c)
{
    if (g_unichar_iszerowidth(c))
        return 0;
    return g_unichar_iswide(c) ? 2 : 1;
}

int text_width(const char *text)
{
    int width = 0;
    for (; *text; text = g_utf8_next_char(text))
        width += character_width(g_utf8_get_char(text));
    return width;
}

static bool is_safe(gunichar c)
{
    switch (g_unichar_type(c)) {
    case G_UNICODE_CONTROL:
    case G_UNICODE_FORMAT:
    case G_UNICODE_LINE_SEPARATOR:
    case G_UNICODE_PARAGRAPH_SEPARATOR:
        return false;
    default:
        return true;
    }
}

char *text_safe(const char *text)
{
    GString *safe = g_string_new(NULL);
    for (; *text; text = g_utf8_next_char(text)) {
        gunichar c = g_utf8_get_char(text);
        if (is_safe(c))
            g_string_append_unichar(safe, c);
        else
            g_string_append_printf(safe, c < 0x100 ? "\\x%02x" : "\\u%04x", c);
    }
    return g_string_free(safe, FALSE);
}

char *text_cut(const char *text, int width)
{
    if (text_width(text) <= width)
        return g_strdup(text);
    const char *at = text;
    for (int used = 1; *at; at = g_utf8_next_char(at)) {
        used += character_width(g_utf8_get_char(at));
        if (used > width)
            break;
    }
    g_autofree char *kept = g_strndup(text, (gsize)(at - text));
    return width > 0 ? g_strconcat(kept, "…", NULL) : g_strdup("");
}

char *text_cut_left(const char *text, int width)
{
    int whole = text_width(text);
    if (whole <= width)
        return g_strdup(text);
    for (whole++; *text && whole > width; text = g_utf8_next_char(text))
        whole -= character_width(g_utf8_get_char(text));
    return width > 0 ? g_strconcat("…", text, NULL) : g_strdup("");
}

char *text_fit(const char *text, int width)
{
    g_autofree char *safe = text_safe(text), *cut = text_cut(safe, width);
    return g_strdup_printf("%s%*s", cut, MAX(width - text_width(cut), 0), "");
}

/* Punctuation that stands at no line's beginning. */
static bool closes(gunichar c)
{
    return c && g_utf8_strchr(",:;!?)，。：；！？、）」』》】”’…", -1, c);
}

/* And what stands at no line's end. */
static bool opens(gunichar c)
{
    return c && g_utf8_strchr("((「『《【“‘", -1, c);
}

static const char *next_after_wide(const char *at)
{
    at = g_utf8_next_char(at);
    while (closes(g_utf8_get_char(at)))
        at = g_utf8_next_char(at);
    return at;
}

/* Bytes up to the next place where a line may break: a word with the space before it, or one wide
 * character with the punctuation behind it. */
static size_t word_length(const char *text)
{
    const char *at = text;
    while (*at == ' ')
        at++;
    bool first = true;
    for (; *at && *at != ' '; at = g_utf8_next_char(at), first = false) {
        bool wide = g_unichar_iswide(g_utf8_get_char(at));
        if (wide && !first && closes(g_utf8_get_char(at)))
            return (size_t)(next_after_wide(at) - text);
        bool held = !first && opens(g_utf8_get_char(g_utf8_prev_char(at)));
        if (wide)
            return (size_t)((first || held ? next_after_wide(at) : at) - text);
    }
    return (size_t)(at - text);
}

/* Bytes of a command between backticks at the beginning, with what stands behind it up to the next
 * place to break; 0: there is none. */
static size_t command_length(const char *text)
{
    size_t lead = strspn(text, " ");
    const char *end = text[lead] == '`' ? strchr(text + lead + 1, '`') : NULL;
    return end ? (size_t)(end - text) + word_length(end) : 0;
}

/* The part of a word that still fits. */
static size_t length_within(const char *word, int width)
{
    const char *at = word;
    for (int used = 0; *at; at = g_utf8_next_char(at)) {
        used += character_width(g_utf8_get_char(at));
        if (used > width)
            break;
    }
    return (size_t)(at - word);
}

typedef struct {
    const Terminal *terminal;
    int indent, column;
} Wrapping;

static void wrap_break(Wrapping *wrapping)
{
    fprintf(wrapping->terminal->out, "\n%*s", wrapping->indent, "");
    wrapping->column = wrapping->indent;
}

static void wrap_word(Wrapping *wrapping, const char *word)
{
    int end = wrapping->terminal->width - 1; /* the last column is left free */
    bool wraps = wrapping->terminal->width > 0;
    if (wraps && wrapping->column > wrapping->indent && wrapping->column + text_width(word) > end)
        wrap_break(wrapping);
    if (wrapping->column == wrapping->indent)
        word += strspn(word, " ");
    while (wraps && wrapping->column + text_width(word) > end) {
        size_t part = length_within(word, end - wrapping->column);
        if (part == 0)
            break;
        fprintf(wrapping->terminal->out, "%.*s", (int)part, word);
        word += part;
        wrap_break(wrapping);
    }
    fputs(word, wrapping->terminal->out);
    wrapping->column += text_width(word);
}

int terminal_wrap_open(const Terminal *terminal, const char *text, int indent)
{
    Wrapping wrapping = {terminal, indent, indent};
    g_autofree char *safe = text_safe(text);
    for (const char *at = safe; *at;) {
        size_t length = word_length(at), whole = command_length(at);
        g_autofree char *command = g_strndup(at, whole);
        if (whole && text_width(command + strspn(command, " ")) < terminal->width - indent)
            length = whole;
        g_autofree char *word = g_strndup(at, length);
        wrap_word(&wrapping, word);
        at += length;
    }
    return wrapping.column;
}

void terminal_wrap(const Terminal *terminal, const char *text, int indent)
{
    terminal_wrap_open(terminal, text, indent);
    fputc('\n', terminal->out);
}

char *format_bytes(int64_t bytes)
{
    return size_text(bytes);
}

char *format_duration(int64_t ms)
{
    if (ms < 100)
        return g_strdup_printf("%d ms", (int)ms);
    if (ms < 60000)
        return g_strdup_printf("%.1f s", (double)ms / 1000);
    int64_t seconds = ms / 1000;
    if (seconds < 3600)
        return g_strdup_printf("%d:%02d", (int)(seconds / 60), (int)(seconds % 60));
    return g_strdup_printf("%d:%02d:%02d", (int)(seconds / 3600), (int)(seconds / 60 % 60),
                           (int)(seconds % 60));
}

static char *format_moment(const Terminal *terminal, int64_t ms, const char *local)
{
    g_autoptr(GDateTime) utc = g_date_time_new_from_unix_utc(ms / 1000);
    if (!terminal->is_terminal || terminal->utc) {
        g_autofree char *seconds = g_date_time_format(utc, "%Y-%m-%dT%H:%M:%S");
        return terminal->is_terminal ? g_strdup_printf("%sZ", seconds)
                                     : g_strdup_printf("%s.%03dZ", seconds, (int)(ms % 1000));
    }
    g_autoptr(GDateTime) here = g_date_time_to_local(utc);
    return g_date_time_format(here, local);
}

char *format_time(const Terminal *terminal, int64_t ms)
{
    return format_moment(terminal, ms, "%Y-%m-%d %H:%M:%S %:z");
}

char *format_clock(const Terminal *terminal, int64_t ms)
{
    return format_moment(terminal, ms, "%H:%M:%S");
}
