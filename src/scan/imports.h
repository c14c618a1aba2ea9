/* Which names loading a pickle imports are what frameworks write, and which are a way out.
 *
 * The lists are in imports.def. What stands in neither is unlisted: not wrong, but somebody has to
 * know why it is there. No list makes a pickle harmless. */
#pragma once

typedef enum {
    IMPORT_DANGEROUS, /* runs commands or code, opens files or connections */
    IMPORT_UNLISTED,
    IMPORT_LISTED /* what common frameworks produce */
} ImportRank;
#define IMPORT_RANKS 3

/* Either may be NULL: a name that is not written out, which is on no list. */
ImportRank import_rank(const char *module, const char *name);
