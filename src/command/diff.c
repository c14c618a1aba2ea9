#include "import/difference.h"

#include <string.h>

#include "base/size.h"
#include "command/command.h"
#include "event/event.h"

typedef struct {
    Model *model;
    int attempt;
} Named;

static void named_clear(Named *named)
{
    model_free(named->model);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Named, named_clear)

/* MODEL[@ATTEMPT]: no name, version or id has an @. False: the reason was printed. */
static bool named_find(Session *session, const char *text, Named *named, int *status)
{
    const char *at = strrchr(text, '@');
    g_autofree char *model = at ? g_strndup(text, (gsize)(at - text)) : g_strdup(text);
    guint64 attempt = 0;
    if (at && !g_ascii_string_to_unsigned(at + 1, 10, 1, G_MAXINT32, &attempt, NULL)) {
        complain("%s: expected the number of an attempt behind @, such as %s@1", text, model);
        *status = EXIT_USAGE;
        return false;
    }
    named->model = session_model(session, model, status);
    if (!named->model)
        return false;
    named->attempt = at ? (int)attempt : named->model->attempt;
    if (named->attempt <= named->model->attempt)
        return true;
    complain("%s:%s has attempts 1 to %d, no attempt %d", named->model->name, named->model->version,
             named->model->attempt, named->attempt);
    *status = EXIT_FAILED;
    return false;
}

static bool baseline_find(Session *session, const Named *of, Named *named, int *status)
{
    g_autoptr(GError) error = NULL;
    bool found;
    if (!difference_baseline(session->service, of->model, of->attempt, &found, &named->model,
                             &named->attempt, &error)) {
        *status = complain_of(error);
        return false;
    }
    *status = EXIT_FAILED;
    if (!found)
        complain("nothing to compare with: no attempt of %s before %s:%s@%d was imported; name "
                 "both: waybill diff A B",
                 of->model->name, of->model->name, of->model->version, of->attempt);
    return found;
}

/* -- what a person sees -- */

typedef struct {
    const Terminal *terminal;
    const Difference *difference;
    bool zh;
} View;

static const char *word(const View *view, const char *en, const char *zh)
{
    return view->zh ? zh : en;
}

static Color tag_color(char tag)
{
    switch (tag) {
    case '-':
        return COLOR_RED;
    case '+':
        return COLOR_GREEN;
    case '~':
    case '?':
        return COLOR_YELLOW;
    case '@':
        return COLOR_CYAN;
    default:
        return COLOR_NONE;
    }
}

static void print_heading(const View *view, const char *en, const char *zh)
{
    fprintf(view->terminal->out, "%s%s%s\n", terminal_color(view->terminal, COLOR_BOLD),
            word(view, en, zh), terminal_plain(view->terminal));
}

/* "~ TEXT", wrapped; takes the text over. */
static void print_row(const View *view, char tag, char *text)
{
    g_autofree char *shown = event_text(text);
    fprintf(view->terminal->out, "%s%c ", terminal_color(view->terminal, tag_color(tag)), tag);
    terminal_wrap_open(view->terminal, shown, 2);
    fprintf(view->terminal->out, "%s\n", terminal_plain(view->terminal));
    g_free(text);
}

/* A line of a config is shown whole; only what could steer the terminal is escaped, tabs are not.
 */
static void print_config(const View *view)
{
    const LineDiff *config = view->difference->config;
    if (!config || config->rows->len == 0)
        return;
    print_heading(view, "config.json", "config.json");
    for (guint i = 0; i < config->rows->len; i++) {
        const char *row = config->rows->pdata[i];
        fputs(terminal_color(view->terminal, tag_color(*row)), view->terminal->out);
        g_auto(GStrv) cells = g_strsplit(row, "\t", -1);
        for (char **cell = cells; *cell; cell++) {
            g_autofree char *shown = event_text(*cell);
            fprintf(view->terminal->out, "%s%s", cell == cells ? "" : "\t", shown);
        }
        fprintf(view->terminal->out, "%s\n", terminal_plain(view->terminal));
    }
}

/* "numpy ==1.24", "numpy" */
static char *with_version(const DependencyChange *change, const char *version)
{
    const char *installer = strcmp(change->installer, "pip") == 0 ? "" : change->installer;
    return g_strdup_printf("%s%s%s%s%s", installer, *installer ? " " : "", change->name,
                           *version ? " " : "", version);
}

static void print_dependencies(const View *view)
{
    const GPtrArray *changes = view->difference->dependencies;
    if (changes->len > 0)
        print_heading(view, "dependencies", "依赖");
    for (guint i = 0; i < changes->len; i++) {
        const DependencyChange *change = changes->pdata[i];
        const char *old = change->versions[0], *new = change->versions[1];
        if (!old || !new) {
            print_row(view, new ? '+' : '-', with_version(change, new ? new : old));
            continue;
        }
        const char *any = word(view, "any", "任意版本");
        g_autofree char *from = with_version(change, *old ? old : any);
        print_row(view, '~', g_strdup_printf("%s -> %s", from, *new ? new : any));
    }
}

/* A digest as far as people compare it. */
static char *value_shown(const View *view, const char *value)
{
    if (!value)
        return g_strdup(word(view, "none", "无"));
    return g_strndup(value, g_str_has_prefix(value, "sha256:") ? 19 : strlen(value));
}

static void print_facts(const View *view)
{
    static const struct {
        const char *fact, *en, *zh;
    } WORDS[] = {{"runtime", "runtime", "运行时"},
                 {"base", "base", "基础镜像"},
                 {"base_digest", "base digest", "基础镜像摘要"},
                 {"source_image", "source image", "源镜像"},
                 {"source_digest", "source digest", "源镜像摘要"},
                 {"type", "--type", "--type"},
                 {"child", "--child", "--child"},
                 {"dereference", "--dereference", "--dereference"},
                 {"description", "description", "描述"}};
    const GPtrArray *facts = view->difference->facts;
    if (facts->len > 0)
        print_heading(view, "base and request", "基础镜像与请求");
    for (guint i = 0; i < facts->len; i++) {
        const FactChange *change = facts->pdata[i];
        g_autofree char *old = value_shown(view, change->values[0]);
        g_autofree char *new = value_shown(view, change->values[1]);
        const char *name = change->fact;
        for (size_t k = 0; k < G_N_ELEMENTS(WORDS); k++)
            if (strcmp(WORDS[k].fact, change->fact) == 0)
                name = word(view, WORDS[k].en, WORDS[k].zh);
        print_row(view, '~', g_strdup_printf("%s %s -> %s", name, old, new));
    }
}

/* "10 B -> 12 B"; in bytes where both would read the same. */
static char *sizes_shown(const FileChange *change)
{
    g_autofree char *old = size_text(change->sizes[0]), *new = size_text(change->sizes[1]);
    if (change->sizes[0] == change->sizes[1])
        return g_steal_pointer(&old);
    if (strcmp(old, new) == 0)
        return g_strdup_printf("%" G_GINT64_FORMAT " B -> %" G_GINT64_FORMAT " B", change->sizes[0],
                               change->sizes[1]);
    return g_strdup_printf("%s -> %s", old, new);
}

static char *digest_shown(const View *view, const FileChange *change, int side)
{
    const char *digest = change->digests[side], *layer = change->layer_digests[side];
    if (!digest && !layer)
        return g_strdup(word(view, "not hashed", "未计算摘要"));
    g_autofree char *shown = value_shown(view, digest ? digest : layer);
    return g_strconcat(digest ? "" : word(view, "layer ", "层 "), shown, NULL);
}

static char *digests_shown(const View *view, const FileChange *change)
{
    g_autofree char *old = digest_shown(view, change, DIFFERENCE_OLD);
    g_autofree char *new = digest_shown(view, change, DIFFERENCE_NEW);
    return strcmp(old, new) == 0 ? g_steal_pointer(&old) : g_strdup_printf("%s -> %s", old, new);
}

static void print_file(const View *view, const FileChange *change)
{
    if (change->kind == FILE_ADDED || change->kind == FILE_REMOVED) {
        bool added = change->kind == FILE_ADDED;
        g_autofree char *size = size_text(change->sizes[added]);
        print_row(view, added ? '+' : '-', g_strdup_printf("%s %s", change->path, size));
        return;
    }
    g_autofree char *sizes = sizes_shown(change), *digests = digests_shown(view, change);
    bool unsure = change->kind == FILE_UNSURE;
    print_row(view, unsure ? '?' : '~',
              g_strdup_printf("%s %s (%s%s)", change->path, sizes,
                              unsure ? word(view, "written to since; ", "之后被写过;") : "",
                              digests));
}

static void print_files(const View *view)
{
    const GPtrArray *files = view->difference->files;
    if (files->len > 0)
        print_heading(view, "files", "文件");
    for (guint i = 0; i < files->len; i++)
        print_file(view, files->pdata[i]);
    if (files->len > 0 && view->difference->files_same > 0)
        fprintf(view->terminal->out,
                view->zh ? "  其余 %" G_GINT64_FORMAT " 个文件相同\n"
                         : "  the same: %" G_GINT64_FORMAT "\n",
                view->difference->files_same);
}

/* "files of m:0.0.2@1 (they were not listed)". The caller frees it. */
static char *unknown_shown(const View *view, const DifferenceUnknown *unknown)
{
    static const struct {
        const char *part, *en, *zh;
    } ROWS[] = {{"config", "the config of %s, which was not read", "%s 的配置(未读取)"},
                {"dependencies", "the dependencies of %s, whose config is not JSON",
                 "%s 的依赖(其配置不是合法的 JSON)"},
                {"files", "the files of %s, which were not listed", "%s 的文件(未列出)"},
                {"base", "the base of %s, which its import did not reach",
                 "%s 的基础镜像(导入未进行到该步)"}};
    g_autofree char *name = difference_side_name(&view->difference->sides[unknown->side], true);
    for (size_t i = 0; i < G_N_ELEMENTS(ROWS); i++) {
        if (strcmp(ROWS[i].part, unknown->part) != 0)
            continue;
        g_auto(GStrv) around = g_strsplit(word(view, ROWS[i].en, ROWS[i].zh), "%s", 2);
        return g_strjoinv(name, around);
    }
    g_assert_not_reached();
}

static char *unknowns_shown(const View *view)
{
    GString *text = g_string_new(NULL);
    const GArray *unknown = view->difference->unknown;
    for (guint i = 0; i < unknown->len; i++) {
        g_autofree char *part = unknown_shown(view, &g_array_index(unknown, DifferenceUnknown, i));
        g_string_append_printf(text, "%s%s", i > 0 ? word(view, "; ", ";") : "", part);
    }
    return g_string_free(text, FALSE);
}

static void print_equal(const View *view)
{
    const Difference *difference = view->difference;
    g_autofree char *old = difference_side_name(&difference->sides[0], true);
    g_autofree char *new = difference_side_name(&difference->sides[1], true);
    g_autofree char *unknown = unknowns_shown(view);
    g_autofree char *line = NULL;
    if (*unknown)
        line = g_strdup_printf(view->zh ? "%s 与 %s 在已知内容上没有差别。未知:%s"
                                        : "%s and %s do not differ in what is known. Not known: %s",
                               old, new, unknown);
    else
        line =
            g_strdup_printf(view->zh ? "%s 与 %s 相同:配置、%" G_GINT64_FORMAT " 个文件、基础镜像"
                                     : "%s and %s are equal: config, %" G_GINT64_FORMAT
                                       " files, base",
                            old, new, difference->files_same);
    terminal_wrap(view->terminal, line, 0);
}

static void print_side(const View *view, int side)
{
    const DifferenceSide *of = &view->difference->sides[side];
    static const char *const OUTCOMES[][3] = {{"imported", "imported", "已导入"},
                                              {"failed", "failed", "失败"},
                                              {"running", "not ended yet", "尚未结束"}};
    g_autofree char *name = difference_side_name(of, true);
    g_autofree char *time = of->ended_at ? format_time(view->terminal, of->ended_at) : g_strdup("");
    g_autofree char *source = event_text(of->source);
    const char *outcome = of->outcome;
    for (size_t i = 0; i < G_N_ELEMENTS(OUTCOMES); i++)
        if (strcmp(outcome, OUTCOMES[i][0]) == 0)
            outcome = OUTCOMES[i][view->zh ? 2 : 1];
    g_autofree char *row =
        g_strdup_printf("%s  %s%s%s  %s", name, outcome, *time ? " " : "", time, source);
    fprintf(view->terminal->out, "%s%s ", terminal_color(view->terminal, COLOR_BOLD),
            side == DIFFERENCE_OLD ? "---" : "+++");
    terminal_wrap_open(view->terminal, row, 4);
    fprintf(view->terminal->out, "%s\n", terminal_plain(view->terminal));
}

static void print_difference(const Terminal *terminal, const Difference *difference)
{
    const View view = {terminal, difference, terminal->language == LANGUAGE_ZH};
    if (difference_is_empty(difference)) {
        print_equal(&view);
        return;
    }
    print_side(&view, DIFFERENCE_OLD);
    print_side(&view, DIFFERENCE_NEW);
    print_config(&view);
    print_dependencies(&view);
    print_facts(&view);
    print_files(&view);
    g_autofree char *unknown = unknowns_shown(&view);
    if (!*unknown)
        return;
    g_autofree char *line = g_strconcat(word(&view, "not known: ", "未知:"), unknown, NULL);
    fputs(terminal_color(terminal, COLOR_DIM), terminal->out);
    terminal_wrap_open(terminal, line, 0);
    fprintf(terminal->out, "%s\n", terminal_plain(terminal));
}

/* What the server finds between the two; NULL: it is said. */
static Difference *difference_of_server(Session *session, const Named *old, const Named *new,
                                        GError **error)
{
    g_autofree char *against =
        old->model ? g_strdup_printf("&against=%s@%d", old->model->id, old->attempt) : g_strdup("");
    g_autofree char *path = remote_path(session->remote, "/models/%s/diff?attempt=%d%s",
                                        new->model->id, new->attempt, against);
    json_auto_t *answer = remote_call(session->remote, "GET", path, NULL, error);
    return answer ? difference_of_json(answer) : NULL;
}

static int diff_print(Session *session, const Named *old, const Named *new, bool json)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(Difference) difference =
        session->remote ? difference_of_server(session, old, new, &error)
                        : difference_new(session->service, old->model, old->attempt, new->model,
                                         new->attempt, &error);
    if (!difference)
        return complain_of(error);
    if (json)
        print_json_line(difference_json(difference));
    else
        print_difference(&session->out, difference);
    return EXIT_DONE;
}

int command_diff(Session *session, int argc, char **argv)
{
    gboolean json = FALSE;
    const GOptionEntry entries[] = {{"json", 0, 0, G_OPTION_ARG_NONE, &json,
                                     "The difference as one object", NULL},
                                    {NULL}};
    int status = session_parse(session, command_find("diff"), entries, &argc, &argv, 1, 2);
    if (status >= 0)
        return status;
    g_auto(Named) first = {0}, second = {0};
    if (!named_find(session, argv[1], &first, &status) ||
        (argc > 2 && !named_find(session, argv[2], &second, &status)))
        return status;
    if (argc > 2) /* diff OLD NEW; diff NEW finds the old one by itself */
        return diff_print(session, &first, &second, json);
    if (!session->remote && !baseline_find(session, &first, &second, &status))
        return status;
    return diff_print(session, &second, &first, json);
}
