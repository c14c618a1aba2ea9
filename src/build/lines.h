/* A stream of bytes as lines. Bounded: of a longer line its beginning. */
#pragma once

#include <glib.h>

#define LINE_BYTES 8192

typedef struct {
    GString *text;     /* of the line that is not complete yet */
    gboolean returned; /* the byte before was a carriage return */
} Lines;

typedef void (*LineFunc)(gpointer data, const char *stream, const char *text);
/* Zeros to begin with. A carriage return ends a line too; empty lines after one are dropped. */
void lines_add(Lines *lines, const char *bytes, gsize size, LineFunc call, const char *stream,
               gpointer data);
/* The last one, which nothing ended. */
void lines_end(Lines *lines, LineFunc call, const char *stream, gpointer data);
void lines_clear(Lines *lines);
