#include "base/line_diff.h"

#include <stdbool.h>
#include <string.h>

#define MOST_EDITS 2000     /* the trace has so many numbers, squared */
#define MOST_WORK  20000000 /* steps */

/* One of the texts. Equal lines have equal numbers in both. */
typedef struct {
    GPtrArray *lines; /* of char *, with their "\n" */
    GArray *numbers;  /* of int */
    gboolean *changed;
} Side;

typedef struct {
    Side old, new;
    int begin;            /* lines that both begin with */
    int old_end, new_end; /* where what both end with begins */
} Comparison;

static void side_read(Side *side, const char *text, GHashTable *numbers)
{
    side->lines = g_ptr_array_new_with_free_func(g_free);
    side->numbers = g_array_new(FALSE, FALSE, sizeof(int));
    while (*text) {
        const char *end = strchr(text, '\n');
        size_t length = end ? (size_t)(end - text) + 1 : strlen(text);
        char *line = g_strndup(text, length);
        gpointer known;
        if (!g_hash_table_lookup_extended(numbers, line, NULL, &known)) {
            known = GINT_TO_POINTER(g_hash_table_size(numbers));
            g_hash_table_insert(numbers, line, known);
        }
        int number = GPOINTER_TO_INT(known);
        g_ptr_array_add(side->lines, line);
        g_array_append_val(side->numbers, number);
        text += length;
    }
    side->changed = g_new0(gboolean, side->lines->len + 1);
}

static void side_clear(Side *side)
{
    g_ptr_array_unref(side->lines);
    g_array_unref(side->numbers);
    g_free(side->changed);
}

static bool is_same(const Comparison *comparison, int old, int new)
{
    return g_array_index(comparison->old.numbers, int, old) ==
           g_array_index(comparison->new.numbers, int, new);
}

static void trim(Comparison *comparison)
{
    comparison->old_end = (int)comparison->old.lines->len;
    comparison->new_end = (int)comparison->new.lines->len;
    while (comparison->begin < MIN(comparison->old_end, comparison->new_end) &&
           is_same(comparison, comparison->begin, comparison->begin))
        comparison->begin++;
    while (comparison->begin < MIN(comparison->old_end, comparison->new_end) &&
           is_same(comparison, comparison->old_end - 1, comparison->new_end - 1)) {
        comparison->old_end--;
        comparison->new_end--;
    }
}

static void replace_all(Comparison *comparison)
{
    for (int i = comparison->begin; i < comparison->old_end; i++)
        comparison->old.changed[i] = TRUE;
    for (int i = comparison->begin; i < comparison->new_end; i++)
        comparison->new.changed[i] = TRUE;
}

/* Where the path on diagonal k comes from in its edit number d; `reached` is of the edits before.
 */
static int diagonal_before(const int *reached, int d, int k)
{
    return k == -d || (k != d && reached[k - 1] < reached[k + 1]) ? k + 1 : k - 1;
}

/* trace[d]: how far each diagonal reached before edit d, from diagonal -d - 1 on. */
static void walk_back(Comparison *comparison, const GPtrArray *trace)
{
    int x = comparison->old_end - comparison->begin, y = comparison->new_end - comparison->begin;
    for (int d = (int)trace->len - 1; d > 0; d--) {
        const int *reached = (const int *)trace->pdata[d] + d + 1;
        int before = diagonal_before(reached, d, x - y), k = x - y;
        x = reached[before];
        y = x - before;
        if (before == k + 1)
            comparison->new.changed[comparison->begin + y] = TRUE;
        else
            comparison->old.changed[comparison->begin + x] = TRUE;
    }
}

/* Edit number d on every diagonal. True: both ends are reached. */
static bool walk(const Comparison *comparison, int *reached, int d, gint64 *work)
{
    int most_x = comparison->old_end - comparison->begin;
    int most_y = comparison->new_end - comparison->begin;
    for (int k = -d; k <= d; k += 2) {
        int before = diagonal_before(reached, d, k);
        int x = reached[before] + (before == k - 1 ? 1 : 0), y = x - k;
        for (; x < most_x && y < most_y &&
               is_same(comparison, comparison->begin + x, comparison->begin + y);
             x++, y++)
            ++*work;
        reached[k] = x;
        ++*work;
        if (x >= most_x && y >= most_y)
            return true;
    }
    return false;
}

static void compare(Comparison *comparison)
{
    trim(comparison);
    g_autofree int *diagonals = g_new0(int, 2 * MOST_EDITS + 5);
    int *reached = diagonals + MOST_EDITS + 2;
    g_autoptr(GPtrArray) trace = g_ptr_array_new_with_free_func(g_free);
    gint64 work = 0;
    for (int d = 0; d <= MOST_EDITS && work < MOST_WORK; d++) {
        g_ptr_array_add(trace, g_memdup2(reached - d - 1, sizeof(int) * (size_t)(2 * d + 3)));
        if (walk(comparison, reached, d, &work)) {
            walk_back(comparison, trace);
            return;
        }
    }
    replace_all(comparison);
}

/* -- hunks -- */

static void row_add(GPtrArray *rows, char tag, const char *line)
{
    size_t length = strlen(line);
    bool ended = length > 0 && line[length - 1] == '\n';
    g_ptr_array_add(rows, g_strdup_printf("%c%.*s", tag, (int)(ended ? length - 1 : length), line));
    if (!ended)
        g_ptr_array_add(rows, g_strdup("\\ No newline at end of file"));
}

/* "3", "3,4"; of no line at all the one before it, as diff writes it. */
static char *range(int first, int count)
{
    if (count == 1)
        return g_strdup_printf("%d", first + 1);
    return g_strdup_printf("%d,%d", count == 0 ? first : first + 1, count);
}

/* A change: lines that are removed, then those that stand in their place. */
typedef struct {
    int old, new, removed, added;
} Change;

static GArray *changes_of(const Comparison *comparison)
{
    GArray *changes = g_array_new(FALSE, FALSE, sizeof(Change));
    int olds = (int)comparison->old.lines->len, news = (int)comparison->new.lines->len;
    for (int old = 0, new = 0; old < olds || new < news;) {
        Change change = {.old = old, .new = new};
        while (old < olds && comparison->old.changed[old])
            old++;
        while (new < news && comparison->new.changed[new])
            new ++;
        change.removed = old - change.old;
        change.added = new - change.new;
        if (change.removed || change.added) {
            g_array_append_val(changes, change);
            continue;
        }
        old++;
        new ++;
    }
    return changes;
}

static void rows_unchanged(const Comparison *comparison, GPtrArray *rows, int from, int to)
{
    for (int i = from; i < to; i++)
        row_add(rows, ' ', comparison->old.lines->pdata[i]);
}

/* Changes first to last - 1, which stand together, with their context. */
static void hunk_add(const Comparison *comparison, GPtrArray *rows, const Change *changes,
                     guint first, guint last, int context)
{
    const Change *begin = &changes[first], *end = &changes[last - 1];
    int before = MIN(context, begin->old), old = begin->old - before;
    int behind = MIN(context, (int)comparison->old.lines->len - end->old - end->removed);
    g_autofree char *old_range = range(old, end->old + end->removed + behind - old);
    g_autofree char *new_range =
        range(begin->new - before, end->new + end->added + behind - begin->new + before);
    g_ptr_array_add(rows, g_strdup_printf("@@ -%s +%s @@", old_range, new_range));
    for (guint i = first; i < last; i++) {
        const Change *change = &changes[i];
        rows_unchanged(comparison, rows, old, change->old);
        for (int at = 0; at < change->removed; at++)
            row_add(rows, '-', comparison->old.lines->pdata[change->old + at]);
        for (int at = 0; at < change->added; at++)
            row_add(rows, '+', comparison->new.lines->pdata[change->new + at]);
        old = change->old + change->removed;
    }
    rows_unchanged(comparison, rows, old, old + behind);
}

LineDiff *line_diff_new(const char *old, const char *new, int context)
{
    g_autoptr(GHashTable) numbers = g_hash_table_new(g_str_hash, g_str_equal);
    Comparison comparison = {0};
    side_read(&comparison.old, old, numbers);
    side_read(&comparison.new, new, numbers);
    compare(&comparison);

    LineDiff *diff = g_new0(LineDiff, 1);
    diff->rows = g_ptr_array_new_with_free_func(g_free);
    g_autoptr(GArray) array = changes_of(&comparison);
    const Change *changes = (const Change *)(gpointer)array->data;
    for (guint first = 0, last = 0; first < array->len; first = last) {
        do {
            diff->removed += changes[last].removed;
            diff->added += changes[last].added;
            last++;
        } while (last < array->len &&
                 changes[last].old - changes[last - 1].old - changes[last - 1].removed <=
                     2 * context);
        hunk_add(&comparison, diff->rows, changes, first, last, context);
    }
    side_clear(&comparison.old);
    side_clear(&comparison.new);
    return diff;
}

void line_diff_free(LineDiff *diff)
{
    if (!diff)
        return;
    g_ptr_array_unref(diff->rows);
    g_free(diff);
}
