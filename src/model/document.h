/* A strict JSON reader that keeps places: line and column of every value, both from 1, columns in
 * code points. A line ends with LF (or CRLF); a byte-order mark has no column.
 *
 * Why not jansson: it gives places for syntax faults only, and at the token's end; it loses long
 * numbers, stops at the first fault, names no path for a duplicate key and refuses a byte-order
 * mark. config.json alone is read with this; everything else uses jansson. RFC 8259; at most
 * DOCUMENT_MAX_BYTES and DOCUMENT_MAX_DEPTH. */
#pragma once

#include <glib.h>
#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#define DOCUMENT_MAX_BYTES  1048576
#define DOCUMENT_MAX_DEPTH  64
#define DOCUMENT_MAX_FAULTS 1000 /* kept; beyond them a hostile file's are only counted */
#define DOCUMENT_MAX_FOUND  200  /* bytes of a value that evidence shows, "…" among them */

typedef enum {
    NODE_NULL,
    NODE_BOOLEAN,
    NODE_NUMBER,
    NODE_STRING,
    NODE_ARRAY,
    NODE_OBJECT
} NodeKind;

typedef struct Node Node;
struct Node {
    NodeKind kind;
    int line, column;     /* of its first character */
    size_t start, length; /* bytes of its text in the document */
    bool truth;           /* of a boolean */
    bool faulty;          /* a fault of reading names it already: a duplicate, out of range */
    char *text;           /* of a string: decoded, without NUL; of a number: as it was written */
    Node *parent;
    char *key; /* in an object: its decoded key, else NULL */
    int index; /* in an array: from 0, else -1 */
    int key_line, key_column;
    size_t key_start, key_length; /* bytes, with the quotes */
    GPtrArray *children;          /* of Node, of arrays and objects, in their order */
};

/* A fault of reading. Those of the kinds syntax, encoding, size and depth end it and stand alone.
 */
typedef struct {
    const char *kind; /* static: "syntax", "encoding", "size", "depth", "duplicate", "range" */
    char *pointer;    /* JSON pointer, "" for the whole */
    char *dotted;     /* dependencies[0].packages[2].restraint; "config.json" for the whole */
    int line, column;
    size_t start, length; /* bytes of what is wrong */
    char *found;          /* at most DOCUMENT_MAX_FOUND bytes, valid UTF-8 */
    char *expected;       /* in English: what could have stood there */
} DocumentFault;

typedef struct {
    Node *root;        /* NULL when it does not parse */
    GPtrArray *faults; /* of DocumentFault, by place; the first DOCUMENT_MAX_FAULTS found */
    guint fault_count; /* of all */
    bool byte_order_mark;
    char *text; /* its bytes, NUL-terminated; of one that is too large the first */
    size_t size;
} Document;

Document *document_parse(const void *bytes, size_t size);
/* Names what was read as the member `key` of an object, in every path: for a text that is the value
 * of a field. Places stay those of the text. Of a document that was just read. */
void document_name(Document *document, const char *key);
void document_free(Document *document);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Document, document_free)

/* Bytes of a JSON text as evidence shows them: blanks between tokens drawn together, what does not
 * print escaped (bytes that are no UTF-8 as \xNN), cut at DOCUMENT_MAX_FOUND bytes, "…" at the cut.
 * Always valid UTF-8; the caller frees it. */
char *document_found(const char *bytes, size_t size);

/* {first_line, lines, column, length}: the line of a place with two before and after it, long ones
 * cut around the place. column and length count code points of the line as it is shown there, in
 * which every character that does not print (and every bad byte) is replaced by exactly one, a tab
 * by a space: a caret in that column stands right. */
json_t *document_snippet(const Document *document, int line, size_t start, size_t length);

/* A member of an object (the first of that key), or NULL. */
const Node *node_member(const Node *object, const char *key);
/* JSON pointer (RFC 6901) and dotted path; the caller frees them. A key longer than 100 bytes is
 * cut in both, and the dotted path writes one that is no plain word as ["…"]. */
char *node_pointer(const Node *node);
char *node_dotted(const Node *node);
/* The same of a member that an object lacks. */
char *node_member_pointer(const Node *object, const char *key);
char *node_member_dotted(const Node *object, const char *key);
/* Its text, as document_found shows it. */
char *node_found(const Document *document, const Node *node);
/* As a jansson value, for what keeps or echoes it. Numbers that jansson cannot hold become strings;
 * of a duplicate key the first counts. */
json_t *node_json(const Node *node);
