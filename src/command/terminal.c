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

char *text_fit(const char *text, int width)
{
    GString *fit = g_string_new(NULL);
    int used = 0, whole = text_width(text);
    for (const char *at = text; *at; at = g_utf8_next_char(at)) {
        int next = character_width(g_utf8_get_char(at));
        if (whole > width && used + next > width - 1) {
            g_string_append(fit, "…");
            used++;
            break;
        }
        g_string_append_len(fit, at, g_utf8_next_char(at) - at);
        used += next;
    }
    for (; used < width; used++)
        g_string_append_c(fit, ' ');
    return g_string_free(fit, FALSE);
}

/* Punctuation that stands at no line's beginning. */
static bool closes(gunichar c)
{
    return c && g_utf8_strchr(",:;!?)，。：；！？、）」』》】”’…", -1, c);
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
        if (wide)
            return (size_t)((first ? next_after_wide(at) : at) - text);
    }
    return (size_t)(at - text);
}

int terminal_wrap_open(const Terminal *terminal, const char *text, int indent)
{
    int column = indent;
    while (*text) {
        size_t length = word_length(text);
        g_autofree char *word = g_strndup(text, length);
        if (terminal->width && column > indent && column + text_width(word) > terminal->width - 1) {
            fprintf(terminal->out, "\n%*s", indent, "");
            column = indent;
        }
        const char *shown = column == indent ? g_strchug(word) : word;
        fputs(shown, terminal->out);
        column += text_width(shown);
        text += length;
    }
    return column;
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
