/* What a person sees: colours, widths, sizes, times. A pipe gets plain rows and UTC. */
#pragma once

#include <stdio.h>

#include "event/catalog.h"

typedef enum {
    COLOR_NONE,
    COLOR_DIM,
    COLOR_BOLD,
    COLOR_RED,
    COLOR_GREEN,
    COLOR_YELLOW,
    COLOR_CYAN
} Color;

typedef struct {
    FILE *out;
    bool is_terminal;
    bool color;
    bool utc;
    int width; /* columns; of a pipe 0: nothing is cut or wrapped */
    Language language;
} Terminal;

/* mode: "auto", "always", "never"; NO_COLOR and TERM=dumb count for auto. */
void terminal_init(Terminal *terminal, FILE *out, const char *mode, Language language);

/* The escape sequence, or "" without colour; terminal_plain ends it. */
const char *terminal_color(const Terminal *terminal, Color color);
const char *terminal_plain(const Terminal *terminal);

/* Columns that a text takes: wide characters take two, combining ones none. */
int text_width(const char *text);
/* What a terminal may be given of text from outside: control and direction characters become \xNN
 * and \uNNNN. Everything below does it by itself. The caller frees it. */
char *text_safe(const char *text);
/* The text, cut with … at its end, or at its beginning, when it is wider. The caller frees it. */
char *text_cut(const char *text, int width);
char *text_cut_left(const char *text, int width);
/* The text, padded on the right, or cut with … when it is wider. The caller frees it. */
char *text_fit(const char *text, int width);

/* Prints text wrapped at the terminal's width, each line after the first indented. Breaks at
 * spaces and between wide characters, and within a word only where no line holds it; a command
 * between backticks stays in one line, to be copied, where one holds it. */
void terminal_wrap(const Terminal *terminal, const char *text, int indent);
/* The same without the end of the last line: the column where it stands. */
int terminal_wrap_open(const Terminal *terminal, const char *text, int indent);

/* The caller frees these. */
char *format_bytes(int64_t bytes); /* "2.0 GiB" */
char *format_duration(int64_t ms); /* "12 ms", "0.4 s", "2:41" */
char *
format_time(const Terminal *terminal,
            int64_t ms); /* terminal: local with offset at the day's change; pipe: RFC 3339, UTC */
char *format_clock(const Terminal *terminal,
                   int64_t ms); /* terminal: HH:MM:SS; pipe: as format_time */
