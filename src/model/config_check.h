/* What the rules of config.json are made of: tables of fields, and faults with their evidence.
 *
 * A fault is collected with its place and handed to the findings at the end, in the order of the
 * text: the cause of a failed import is its first. For the files of model/ only; others include
 * model/config.h. */
#pragma once

#include "base/nearest.h"
#include "model/config.h"

#define CONFIG_MAX_FAULTS 1000 /* told one by one; a hostile file's further ones as one number */

typedef struct {
    Config *config;
    const Document *document;
    const ConfigContext *context;
    const char *model_type; /* config.json's, else the request's; NULL: neither is a type */
    GPtrArray *faults;      /* of the first CONFIG_MAX_FAULTS */
    guint count;            /* of all faults */
    bool silent;            /* read only: faults are counted, nothing is told */
    bool strict;            /* a field that nobody knows is a fault, not a warning */
} Check;

typedef struct Field Field;
typedef void (*FieldRule)(Check *check, const Field *field, const Node *value);

#define KIND(kind) (1u << (kind))

/* One row of a table; a table ends with a row without key. */
struct Field {
    const char *key;
    unsigned kinds;             /* KIND bits of the JSON types it may have */
    const char *expected;       /* in English; NULL: the choices */
    FieldRule rule;             /* asked when the type is right; NULL: nothing else matters */
    const char *const *choices; /* of rule_choice, NULL-terminated */
    gint64 least, most;         /* of rule_integer */
    const Field *members;       /* of rule_members: the table; of rule_elements: the row of each */
    const char *example;        /* of a mandatory field: how to add it; NULL: it may be missing */
    bool image_only;
};

/* The field rules hold; other members of the object become warnings. */
void check_members(Check *check, const Node *object, const Field *table);
void check_field(Check *check, const Field *field, const Node *value);

void rule_members(Check *check, const Field *field, const Node *value);
void rule_elements(Check *check, const Field *field, const Node *value);
void rule_choice(Check *check, const Field *field, const Node *value);  /* in either letter case */
void rule_integer(Check *check, const Field *field, const Node *value); /* a number or a string */

/* Where a fault is, and the words of its evidence. */
typedef struct {
    int line, column;
    size_t start, length; /* bytes */
    const char *pointer, *found, *expected;
} Spot;

/* Gives the event its evidence and keeps it; the event stays the check's. */
Event *check_add(Check *check, Event *event, const Spot *spot);
/* The same at a value. */
Event *check_add_at(Check *check, Event *event, const Node *value, const char *expected);
/* Whether a fault is to be told; counts it in any case. */
bool check_counts(Check *check);

/* 8 of a value. The event may be given more evidence; NULL: it is not told. */
Event *check_fault(Check *check, const char *kind, const Node *value, const char *expected);
/* 8 of a value that breaks its field's rule. */
Event *check_broken(Check *check, const Field *field, const Node *value);
/* 8 of what an object lacks: its place is the object's. */
void check_missing(Check *check, const Node *object, const char *key, const char *expected,
                   const char *example);
/* A field that is kept and not used; where the check is strict, a fault. */
void check_warn(Check *check, const Node *node);

/* What the reader of the document found. */
void check_reading(Check *check);
/* Hands the faults over, in the order of the text. */
void check_finish(Check *check, Findings *findings);

/* While no type is known, both are false: 8 names the type, and rules that depend on it rest. */
bool check_is_image(const Check *check);
bool check_is_engine(const Check *check);

bool text_is_among(const char *text, const char *const *choices);
/* "a, b or c" */
char *text_alternatives(const char *const *choices);
/* Of at most 20 names, for evidence. */
json_t *text_listing(const char *const *names);

/* The tables and rules, by topic. */
extern const char *const PROTOCOLS[]; /* http, https */
extern const Field CONFIG_API;        /* an element of apis */
Config *config_new(const char *file);
void check_root(Check *check, const Node *root);
/* A config of an engine that lacks those fields, as something else says what they are: their keys,
 * and by whom they are said. */
void check_skeleton(Check *check, const Node *object, const char *const *elsewhere,
                    const char *expected);
void rule_health(Check *check, const Field *field, const Node *value);
extern const Field HEALTH_MEMBERS[];
void rule_dependencies(Check *check, const Field *field, const Node *value);
void check_dependencies(Check *check, const Node *value); /* given apart from config.json */
void dependency_free(gpointer dependency);
