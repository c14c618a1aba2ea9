/* A strict JSON reader that keeps places: line and column of every value, both from 1, columns in
 * code points.
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

#define DOCUMENT_MAX_BYTES (1024 * 1024)
#define DOCUMENT_MAX_DEPTH 64

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
    char *text;           /* of a string: decoded; of a number: as it was written */
    Node *parent;
    char *key; /* in an object: its decoded key, else NULL */
    int index; /* in an array: from 0, else -1 */
    int key_line, key_column;
    GPtrArray *children; /* of Node, of arrays and objects, in their order */
};

/* A fault of reading: the first character that cannot be, or a duplicate key, an encoding, a size,
 * a depth. */
typedef struct {
    char *kind;    /* "syntax", "duplicate", "encoding", "size", "depth" */
    char *pointer; /* JSON pointer, "" for the whole */
    char *dotted;  /* dependencies[0].packages[2].restraint; "config.json" for the whole */
    int line, column;
    char *found;    /* JSON text, at most 200 bytes, valid UTF-8 */
    char *expected; /* in English: what could have stood there */
} DocumentFault;

typedef struct {
    Node *root;        /* NULL when it does not parse */
    GPtrArray *faults; /* of DocumentFault */
    bool byte_order_mark;
    char *text; /* its bytes, NUL-terminated */
    size_t size;
} Document;

Document *document_parse(const void *bytes, size_t size);
void document_free(Document *document);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Document, document_free)

/* A member of an object (the first of that key), or NULL. */
const Node *node_member(const Node *object, const char *key);
/* JSON pointer (RFC 6901) and dotted path; the caller frees them. */
char *node_pointer(const Node *node);
char *node_dotted(const Node *node);
/* Its text in the document, cut at 200 bytes at a character's edge ("…" appended when cut), always
 * valid UTF-8. */
char *node_found(const Document *document, const Node *node);
/* As a jansson value, for what keeps or echoes it. Numbers that jansson cannot hold become strings.
 */
json_t *node_json(const Node *node);
