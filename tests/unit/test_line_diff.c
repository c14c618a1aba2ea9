#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/line_diff.h"

static void assert_diff(const char *old, const char *new, const char *expected)
{
    g_autoptr(LineDiff) diff = line_diff_new(old, new, 3);
    g_ptr_array_add(diff->rows, NULL);
    g_autofree char *text = g_strjoinv("\n", (char **)diff->rows->pdata);
    assert_string_equal(text, expected);
}

static void equal_texts_have_no_rows(void **state)
{
    assert_diff("", "", "");
    assert_diff("a\nb\n", "a\nb\n", "");
}

static void a_line_that_changed_stands_in_its_context(void **state)
{
    assert_diff("1\n2\n3\n4\n5\n6\n7\n8\n9\n", "1\n2\n3\n4\nfive\n6\n7\n8\n9\n",
                "@@ -2,7 +2,7 @@\n 2\n 3\n 4\n-5\n+five\n 6\n 7\n 8");
}

static void near_changes_share_a_hunk_and_far_ones_do_not(void **state)
{
    assert_diff("a\n1\n2\n3\n4\n5\n6\nb\n", "A\n1\n2\n3\n4\n5\n6\nB\n",
                "@@ -1,8 +1,8 @@\n-a\n+A\n 1\n 2\n 3\n 4\n 5\n 6\n-b\n+B");
    assert_diff("a\n1\n2\n3\n4\n5\n6\n7\nb\n", "A\n1\n2\n3\n4\n5\n6\n7\nB\n",
                "@@ -1,4 +1,4 @@\n-a\n+A\n 1\n 2\n 3\n@@ -6,4 +6,4 @@\n 5\n 6\n 7\n-b\n+B");
}

static void what_is_empty_begins_at_line_0(void **state)
{
    assert_diff("", "a\nb\n", "@@ -0,0 +1,2 @@\n+a\n+b");
    assert_diff("a\n", "", "@@ -1 +0,0 @@\n-a");
}

static void a_missing_newline_at_the_end_is_a_change(void **state)
{
    assert_diff("a\nb\n", "a\nb", "@@ -1,2 +1,2 @@\n a\n-b\n+b\n\\ No newline at end of file");
    assert_diff("a\nb", "c\nb", "@@ -1,2 +1,2 @@\n-a\n+c\n b\n\\ No newline at end of file");
}

static void the_shortest_way_is_found(void **state)
{
    /* The example of Myers' paper: 5 edits lead from the one to the other. */
    g_autoptr(LineDiff) diff = line_diff_new("a\nb\nc\na\nb\nb\na\n", "c\nb\na\nb\na\nc\n", 3);
    assert_int_equal(diff->removed, 3);
    assert_int_equal(diff->added, 2);
}

/* What the rows tell must lead from the one text to the other, whatever the texts are. */
static char *apply(const char *old, const LineDiff *diff)
{
    g_auto(GStrv) lines = g_strsplit(old, "\n", -1);
    GString *new = g_string_new(NULL);
    int at = 0;
    for (guint i = 0; i < diff->rows->len; i++) {
        const char *row = diff->rows->pdata[i];
        if (*row == '@') {
            int first = atoi(row + 4), count = 1;
            const char *comma = strchr(row, ',');
            if (comma && comma < strchr(row, '+'))
                count = atoi(comma + 1);
            for (int begin = count == 0 ? first : first - 1; at < begin; at++)
                g_string_append_printf(new, "%s\n", lines[at]);
        } else if (*row == '+') {
            g_string_append_printf(new, "%s\n", row + 1);
        } else if (*row != '\\') {
            assert_string_equal(lines[at], row + 1);
            if (*row == ' ')
                g_string_append_printf(new, "%s\n", lines[at]);
            at++;
        }
    }
    for (; lines[at] && lines[at + 1]; at++)
        g_string_append_printf(new, "%s\n", lines[at]);
    return g_string_free(new, FALSE);
}

static char *random_text(GRand *random, int lines, int kinds)
{
    GString *text = g_string_new(NULL);
    for (int i = 0; i < lines; i++)
        g_string_append_printf(text, "%d\n", g_rand_int_range(random, 0, kinds));
    return g_string_free(text, FALSE);
}

static void the_rows_lead_from_one_text_to_the_other(void **state)
{
    g_autoptr(GRand) random = g_rand_new_with_seed(7);
    for (int i = 0; i < 300; i++) {
        g_autofree char *old = random_text(random, g_rand_int_range(random, 0, 40), 5);
        g_autofree char *new = random_text(random, g_rand_int_range(random, 0, 40), 5);
        g_autoptr(LineDiff) diff = line_diff_new(old, new, g_rand_int_range(random, 0, 4));
        g_autofree char *reached = apply(old, diff);
        assert_string_equal(reached, new);
    }
}

static void texts_without_anything_in_common_cost_bounded_work(void **state)
{
    g_autoptr(GRand) random = g_rand_new_with_seed(11);
    g_autofree char *old = random_text(random, 120000, 1000000);
    g_autofree char *new = random_text(random, 120000, 1000000);
    gint64 began = g_get_monotonic_time();
    g_autoptr(LineDiff) diff = line_diff_new(old, new, 3);
    assert_true(g_get_monotonic_time() - began < 20 * G_USEC_PER_SEC);
    g_autofree char *reached = apply(old, diff);
    assert_string_equal(reached, new);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(equal_texts_have_no_rows),
        cmocka_unit_test(a_line_that_changed_stands_in_its_context),
        cmocka_unit_test(near_changes_share_a_hunk_and_far_ones_do_not),
        cmocka_unit_test(what_is_empty_begins_at_line_0),
        cmocka_unit_test(a_missing_newline_at_the_end_is_a_change),
        cmocka_unit_test(the_shortest_way_is_found),
        cmocka_unit_test(the_rows_lead_from_one_text_to_the_other),
        cmocka_unit_test(texts_without_anything_in_common_cost_bounded_work),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
