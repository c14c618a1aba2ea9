#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include <gio/gio.h>
#include <glib/gstdio.h>

#include "model/ignore.h"

/* A folder that git looks at. A path with '/' at its end is a directory. */
static const char *const ENTRIES[] = {
    "a",
    "b",
    "README.md",
    "notes.txt",
    "#hash",
    "!bang",
    "with space",
    "trailing ",
    "x[1]",
    "star*name",
    "back\\slash",
    "模型.bin",
    "model/",
    "model/weights.bin",
    "model/a",
    "model/a.txt",
    "model/b.TXT",
    "model/.hidden",
    "model/data/",
    "model/data/a",
    "model/data/train/",
    "model/data/train/1.csv",
    "model/data/train/22.csv",
    "model/data/test/",
    "model/data/test/a/",
    "model/data/test/a/b/",
    "model/data/test/a/b/c.log",
    "model/logs/",
    "model/logs/run.log",
    "model/logs/run-1.log",
    "model/logs/keep.log",
    "data/",
    "data/a",
    "data/model/",
    "data/model/a",
    "checkpoint-10/",
    "checkpoint-10/optimizer.pt",
    "checkpoint-10/model.pt",
};

/* The ignore file at the top, and the one in model/. */
static const struct {
    const char *top, *model;
} CASES[] = {
    {"", ""},
    {"a", ""},
    {"/a", ""},
    {"a/", ""},
    {"/model/a", ""},
    {"model/a", ""},
    {"*.log", ""},
    {"*.log\n!keep.log", ""},
    {"!keep.log\n*.log", ""},
    {"logs/\n!logs/keep.log", ""},
    {"logs/*\n!logs/keep.log", ""},
    {"model/logs/*\n!/model/logs/keep.log", ""},
    {"*\n!model\n!model/weights.bin", ""},
    {"*\n!*/\n!*.csv", ""},
    {"/*\n!/model", ""},
    {"**", ""},
    {"**/", ""},
    {"**/a", ""},
    {"**/data/a", ""},
    {"model/**", ""},
    {"model/**/", ""},
    {"model/**/a", ""},
    {"model/**/c.log", ""},
    {"model/data/**/b", ""},
    {"model/**/test/**/c.log", ""},
    {"model/**/**/a", ""},
    {"**/model/**", ""},
    {"model/***/a", ""},
    {"m*o**/a", ""},
    {"model/*", ""},
    {"model/*/a", ""},
    {"*/*/*/1.csv", ""},
    {"m*l/d*a", ""},
    {"?.csv\n??.csv", ""},
    {"[0-9].csv", ""},
    {"[!0-9]", ""},
    {"[^a]", ""},
    {"[]-a]", ""},
    {"[a-]", ""},
    {"run[-_][[:digit:]].log", ""},
    {"[[:upper:]]*", ""},
    {"[[:alpha:][:digit:]]", ""},
    {"*[[:blank:]]*", ""},
    {"x\\[1\\]", ""},
    {"x[[]1[]]", ""},
    {"star\\*name", ""},
    {"star[*]name", ""},
    {"back\\\\slash", ""},
    {"\\a", ""},
    {"#hash", ""},
    {"\\#hash", ""},
    {"\\!bang", ""},
    {"!bang", ""},
    {"with space", ""},
    {"trailing ", ""},
    {"trailing\\ ", ""},
    {"trailing\\   ", ""},
    {"a   ", ""},
    {"  a", ""},
    {"   ", ""},
    {"!", ""},
    {"/", ""},
    {"//a", ""},
    {"model//a", ""},
    {"a\r\n*.log\r\n", ""},
    {"\xef\xbb\xbf"
     "a\n",
     ""},
    {"模型.*", ""},
    {"*.bin", ""},
    {".*", ""},
    {"*.txt", ""},
    {"checkpoint-*/", ""},
    {"checkpoint-*/optimizer.pt", ""},
    {"checkpoint*/**/*.pt\n!model.pt", ""},
    {"*.csv", "!1.csv"},
    {"!1.csv", "*.csv"},
    {"", "/data"},
    {"", "data/a"},
    {"", "/a"},
    {"", "**/a"},
    {"", "*"},
    {"*", "!*"},
    {"model/data/", "!data/"},
    {"a\n\n# a comment\n\nb", "#a\nb"},
    {"*a*a*a*a*b", ""},
};

static char *folder_make(void)
{
    char *top = g_dir_make_tmp("waybill-ignore-XXXXXX", NULL);
    for (size_t i = 0; i < G_N_ELEMENTS(ENTRIES); i++) {
        g_autofree char *path = g_build_filename(top, ENTRIES[i], NULL);
        if (g_str_has_suffix(ENTRIES[i], "/"))
            assert_int_equal(g_mkdir_with_parents(path, 0755), 0);
        else
            assert_true(g_file_set_contents(path, "", 0, NULL));
    }
    return top;
}

static void folder_remove(const char *top)
{
    const char *const argv[] = {"rm", "-rf", top, NULL};
    assert_true(g_spawn_sync(NULL, (char **)argv, NULL, G_SPAWN_SEARCH_PATH, NULL, NULL, NULL, NULL,
                             NULL, NULL));
}

/* What `git ARGUMENTS` prints in the folder. */
static char *git(const char *top, GPtrArray *arguments)
{
    char *printed = NULL;
    g_auto(GStrv) environment =
        g_environ_setenv(g_get_environ(), "GIT_CONFIG_GLOBAL", "/dev/null", TRUE);
    g_ptr_array_insert(arguments, 0, (gpointer) "git");
    g_ptr_array_add(arguments, NULL);
    assert_true(g_spawn_sync(top, (char **)arguments->pdata, environment, G_SPAWN_SEARCH_PATH, NULL,
                             NULL, &printed, NULL, NULL, NULL));
    return printed;
}

static void set_rules(const char *top, const char *directory, const char *text)
{
    g_autofree char *path = g_build_filename(top, directory, ".gitignore", NULL);
    assert_true(g_file_set_contents(path, text, -1, NULL));
}

/* The entries that git leaves out, a line each. */
static char *git_leaves_out(const char *top, size_t number)
{
    set_rules(top, "", CASES[number].top);
    set_rules(top, "model", CASES[number].model);
    g_autoptr(GPtrArray) arguments = g_ptr_array_new();
    static const char *const WORDS[] = {"-c", "core.quotePath=false", "check-ignore", "--no-index",
                                        "--"};
    for (size_t i = 0; i < G_N_ELEMENTS(WORDS); i++)
        g_ptr_array_add(arguments, (gpointer)WORDS[i]);
    g_autoptr(GPtrArray) names = g_ptr_array_new_with_free_func(g_free);
    for (size_t i = 0; i < G_N_ELEMENTS(ENTRIES); i++) {
        char *name = g_strdup(ENTRIES[i]);
        if (g_str_has_suffix(name, "/"))
            name[strlen(name) - 1] = '\0';
        g_ptr_array_add(names, name);
        g_ptr_array_add(arguments, name);
    }
    return git(top, arguments);
}

/* As a walk does: what lies in a directory that is left out is left out. */
static bool is_left_out(const IgnoreRules *rules, const char *entry)
{
    for (const char *slash = strchr(entry, '/'); slash; slash = strchr(slash + 1, '/')) {
        g_autofree char *directory = g_strndup(entry, (gsize)(slash - entry));
        if (ignore_rules_match(rules, directory, true))
            return true;
    }
    return !g_str_has_suffix(entry, "/") && ignore_rules_match(rules, entry, false);
}

/* As git prints it: quoted where a name has a backslash. */
static char *we_leave_out(size_t number)
{
    g_autoptr(IgnoreRules) rules = ignore_rules_new();
    assert_null(ignore_rules_add(rules, "", CASES[number].top, strlen(CASES[number].top)));
    assert_null(ignore_rules_add(rules, "model", CASES[number].model, strlen(CASES[number].model)));
    GString *text = g_string_new(NULL);
    for (size_t i = 0; i < G_N_ELEMENTS(ENTRIES); i++) {
        if (!is_left_out(rules, ENTRIES[i]))
            continue;
        bool plain = !strchr(ENTRIES[i], '\\');
        g_autofree char *quoted = plain ? NULL : g_strescape(ENTRIES[i], NULL);
        gsize length = strlen(ENTRIES[i]) - (g_str_has_suffix(ENTRIES[i], "/") ? 1 : 0);
        if (plain)
            g_string_append_printf(text, "%.*s\n", (int)length, ENTRIES[i]);
        else
            g_string_append_printf(text, "\"%s\"\n", quoted);
    }
    return g_string_free(text, FALSE);
}

static void patterns_mean_what_they_mean_to_git(void **state)
{
    (void)state;
    g_autofree char *program = g_find_program_in_path("git");
    if (!program)
        skip();
    g_autofree char *top = folder_make();
    g_autoptr(GPtrArray) init = g_ptr_array_new();
    g_ptr_array_add(init, (gpointer) "init");
    g_ptr_array_add(init, (gpointer) "--quiet");
    g_free(git(top, init));
    for (size_t i = 0; i < G_N_ELEMENTS(CASES); i++) {
        g_autofree char *theirs = git_leaves_out(top, i), *ours = we_leave_out(i);
        if (strcmp(theirs, ours) != 0)
            print_error("pattern \"%s\", in model/ \"%s\"\n", CASES[i].top, CASES[i].model);
        assert_string_equal(ours, theirs);
    }
    folder_remove(top);
}

static void faults_name_their_line(void **state)
{
    (void)state;
    static const struct {
        const char *text, *fault;
    } FAULTS[] = {
        {"a\nb\\\n", "line 2 has a backslash at its end"},
        {"data\\/x", "line 1 has a backslash at its end"},
        {"\n\n*.[ch\n", "line 3 has a bracket [ without its end"},
        {"[[:nothing:]]", "line 1 has a bracket [ without its end"},
        {"[a/b]", "line 1 has a bracket [ without its end"},
        {"a\n\xff\xfe\n", "line 2 has bytes that are not UTF-8"},
    };
    for (size_t i = 0; i < G_N_ELEMENTS(FAULTS); i++) {
        g_autoptr(IgnoreRules) rules = ignore_rules_new();
        g_autofree char *fault =
            ignore_rules_add(rules, "", FAULTS[i].text, strlen(FAULTS[i].text));
        assert_non_null(fault);
        assert_string_equal(fault, FAULTS[i].fault);
        assert_false(ignore_rules_match(rules, "a", false)); /* none of it counts */
    }
    g_autoptr(IgnoreRules) rules = ignore_rules_new();
    g_autofree char *nul = ignore_rules_add(rules, "", "a\0b", 3);
    assert_string_equal(nul, "line 1 has a NUL byte");
    g_autofree char *long_text = g_strnfill(IGNORE_MAX_BYTES + 1, 'x');
    g_autofree char *large = ignore_rules_add(rules, "", long_text, IGNORE_MAX_BYTES + 1);
    assert_string_equal(large, "it is larger than 1 MiB");
    assert_null(ignore_rules_add(rules, "", long_text, IGNORE_MAX_BYTES));
}

/* gitignore(5): two stars beside other characters are as one. (git itself takes those behind a
 * beginning without wildcards for more.) */
static void stars_beside_others_stay_in_a_name(void **state)
{
    (void)state;
    g_autoptr(IgnoreRules) rules = ignore_rules_new();
    assert_null(ignore_rules_add(rules, "", "mo**/a", 6));
    assert_true(ignore_rules_match(rules, "model/a", false));
    assert_false(ignore_rules_match(rules, "model/data/a", false));
}

/* A pattern of many stars must not take longer than its length times the name's. */
static void many_stars_take_no_time(void **state)
{
    (void)state;
    GString *pattern = g_string_new("/");
    GString *path = g_string_new(NULL);
    for (int i = 0; i < 200; i++) {
        g_string_append(pattern, "**/*a*a*a*/");
        g_string_append(path, "aaaaaaaaaaaaaaaa/");
    }
    g_string_append(pattern, "b");
    g_string_append(path, "c");
    g_autoptr(IgnoreRules) rules = ignore_rules_new();
    assert_null(ignore_rules_add(rules, "", pattern->str, pattern->len));
    gint64 began = g_get_monotonic_time();
    assert_false(ignore_rules_match(rules, path->str, false));
    assert_true(g_get_monotonic_time() - began < 5 * G_USEC_PER_SEC);
    g_string_free(pattern, TRUE);
    g_string_free(path, TRUE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(patterns_mean_what_they_mean_to_git),
        cmocka_unit_test(faults_name_their_line),
        cmocka_unit_test(stars_beside_others_stay_in_a_name),
        cmocka_unit_test(many_stars_take_no_time),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
