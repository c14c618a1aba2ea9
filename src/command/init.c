/* waybill init: recognises what lies in a folder and writes the import's config for it. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/io.h"
#include "command/command.h"
#include "command/event_view.h"
#include "model/config.h"
#include "model/recognise.h"
#include "object/folder.h"

/* Where the model files lie, seen from the folder that was given. */
typedef enum {
    LIES_RIGHT,    /* in model/ */
    LIES_TOP,      /* in the folder itself */
    LIES_TOO_DEEP, /* in model/X */
    LIES_TOO_HIGH, /* in X/model: the folder above the source was given */
    LIES_ELSEWHERE /* in X */
} Lies;

/* In the order of Lies; where %s stands, the directory is put. */
static const struct {
    const char *word, *en, *zh;
} LIES[] = {
    {"right", NULL, NULL},
    {"top", "the folder is the model directory itself: it is imported with --child .",
     "该文件夹本身就是模型目录:导入时使用 --child ."},
    {"too_deep", "the model lies one level too deep, in %s: move it up, or import it with --child",
     "模型多了一层目录,位于 %s:请上移,或导入时使用 --child"},
    {"too_high", "the folder given is too high: the model's is %s, import the one that holds it",
     "给出的文件夹过高:模型目录为 %s,请导入它的上级目录"},
    {"elsewhere", "there is no model/; the model lies in %s and is imported with --child",
     "没有 model/;模型位于 %s,导入时使用 --child"},
};

/* What init is going to do. */
typedef struct {
    Recognition *found;
    Lies lies;
    char *source, *child; /* what is to be imported */
    char *file;           /* the config, beneath source */
    char *algorithm;
    bool follows_links; /* the import needs --dereference */
    bool is_there;      /* a config that init would replace */
    Findings *findings; /* of the engine's files: what is missing still */
} Plan;

static void plan_clear(Plan *plan)
{
    recognition_free(plan->found);
    g_free(plan->source);
    g_free(plan->child);
    g_free(plan->file);
    g_free(plan->algorithm);
    findings_free(plan->findings);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Plan, plan_clear)

static Package *open_source(const char *directory, const char *child, bool dereference,
                            Findings *findings, GError **error)
{
    PackageSource *source = folder_source_new(directory, dereference, error);
    return source ? package_open(source, directory, child, findings, error) : NULL;
}

/* -- planning -- */

static Lies lies_where(const char *directory)
{
    if (!*directory)
        return LIES_TOP;
    if (strcmp(directory, PACKAGE_DEFAULT_CHILD) == 0)
        return LIES_RIGHT;
    if (g_str_has_suffix(directory, "/" PACKAGE_DEFAULT_CHILD))
        return LIES_TOO_HIGH;
    return g_str_has_prefix(directory, PACKAGE_DEFAULT_CHILD "/") ? LIES_TOO_DEEP : LIES_ELSEWHERE;
}

static void plan_place(Plan *plan, const char *directory)
{
    const char *where = plan->found->directory;
    plan->lies = lies_where(where);
    plan->source = g_strdup(directory);
    plan->child = g_strdup(*where ? where : ".");
    if (plan->lies != LIES_TOO_HIGH)
        return;
    g_autofree char *above = g_path_get_dirname(where);
    g_free(plan->source);
    g_free(plan->child);
    plan->source = g_build_filename(directory, above, NULL);
    plan->child = g_strdup(PACKAGE_DEFAULT_CHILD);
}

static bool plan_has(const Plan *plan, const char *file)
{
    g_autofree char *path = g_build_filename(plan->source, file, NULL);
    struct stat about;
    return lstat(path, &about) == 0;
}

/* Hugging Face's config.json stays what it is; where a config stands beside the model directory,
 * that is the one that counts. */
static void plan_file(Plan *plan)
{
    bool beside = plan->found->huggingface || plan_has(plan, CONFIG_BESIDE);
    bool top = strcmp(plan->child, ".") == 0;
    plan->file = beside || top ? g_strdup(beside ? CONFIG_BESIDE : "config.json")
                               : g_build_filename(plan->child, "config.json", NULL);
    plan->is_there = plan_has(plan, plan->file);
}

static void plan_algorithm(Plan *plan)
{
    g_autofree char *full = g_canonicalize_filename(plan->source, NULL);
    g_autofree char *name = g_path_get_basename(full);
    plan->algorithm =
        plan->found->algorithm ? g_strdup(plan->found->algorithm) : recognise_algorithm(name);
}

/* As the import will look at it: whether links leave the package, what the engine lacks still. */
static bool plan_look(Plan *plan, GError **error)
{
    g_autoptr(Findings) beneath = findings_new(), all = findings_new();
    g_autoptr(Package) package = open_source(plan->source, plan->child, false, beneath, error);
    if (!package)
        return false;
    for (guint i = 0; i < beneath->events->len; i++) {
        const Event *event = beneath->events->pdata[i];
        plan->follows_links = plan->follows_links || g_strcmp0(event->kind, "link_outside") == 0;
    }
    g_autoptr(Package) followed =
        plan->follows_links ? open_source(plan->source, plan->child, true, all, error) : NULL;
    if (plan->follows_links && !followed)
        return false;
    plan->findings = findings_new();
    package_check_engine(followed ? followed : package, plan->found->type, plan->findings);
    package_check_notes(followed ? followed : package, plan->found->type, plan->findings);
    return true;
}

/* plan->found->type stays NULL where nothing is recognised. */
static bool plan_make(Plan *plan, const char *directory, const char *type, GError **error)
{
    g_autoptr(Findings) findings = findings_new();
    g_autoptr(Package) package = open_source(directory, ".", true, findings, error);
    if (!package)
        return false;
    plan->found = recognise(package, type);
    if (!plan->found->type || plan->found->others->len > 0)
        return true;
    plan_place(plan, directory);
    plan_file(plan);
    plan_algorithm(plan);
    return plan_look(plan, error);
}

/* -- writing and telling -- */

static bool config_write(const Plan *plan, GError **error)
{
    g_autofree char *path = g_build_filename(plan->source, plan->file, NULL);
    g_autofree char *directory = g_path_get_dirname(path), *name = g_path_get_basename(path);
    autofd fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return io_fail(error, errno, "%s", directory);
    json_t *config = json_pack("{s:s, s:s}", "model_algorithm", plan->algorithm, "model_type",
                               plan->found->type);
    if (plan->found->dependencies)
        json_object_set(config, "dependencies", plan->found->dependencies);
    char *text = json_dumps(config, JSON_INDENT(4));
    json_decref(config);
    g_autofree char *lines = g_strconcat(text, "\n", NULL);
    free(text);
    return io_replace_file(fd, name, lines, strlen(lines), 0644, error);
}

static char *quoted(const char *path)
{
    for (const char *at = path; *at; at++)
        if (!g_ascii_isalnum(*at) && !strchr("/._-+:@%", *at))
            return g_shell_quote(path);
    return g_strdup(path);
}

/* "waybill check SOURCE" with the options that the import needs too. */
static char *command_next(const Plan *plan)
{
    g_autofree char *source = quoted(plan->source), *child = quoted(plan->child);
    bool usual = strcmp(plan->child, PACKAGE_DEFAULT_CHILD) == 0;
    return g_strconcat("waybill check ", source, usual ? "" : " --child ", usual ? "" : child,
                       plan->follows_links ? " --dereference" : "", NULL);
}

static char *lies_text(const Plan *plan, bool zh)
{
    const char *format = zh ? LIES[plan->lies].zh : LIES[plan->lies].en;
    const char *split = format ? strstr(format, "%s") : NULL;
    if (!split)
        return g_strdup(format);
    g_autofree char *before = g_strndup(format, (gsize)(split - format));
    return g_strconcat(before, plan->found->directory, split + 2, NULL);
}

static json_t *texts_json(const GPtrArray *texts)
{
    json_t *array = json_array();
    for (guint i = 0; i < texts->len; i++) {
        g_autofree char *text = event_text(texts->pdata[i]);
        json_array_append_new(array, json_string(text));
    }
    return array;
}

static void set_text(json_t *object, const char *key, const char *text)
{
    g_autofree char *valid = text ? event_text(text) : NULL;
    json_object_set_new(object, key, valid ? json_string(valid) : json_null());
}

static void tell_json(const Plan *plan)
{
    g_autofree char *path = g_build_filename(plan->source, plan->file, NULL);
    g_autofree char *next = command_next(plan), *note = lies_text(plan, false);
    json_t *object = json_object(), *findings = json_array();
    for (guint i = 0; i < plan->findings->events->len; i++)
        json_array_append_new(findings, event_json(plan->findings->events->pdata[i], NULL));
    json_object_set_new(object, "dependencies",
                        plan->found->dependencies ? json_incref(plan->found->dependencies)
                                                  : json_array());
    set_text(object, "requirements", plan->found->requirements);
    json_object_set_new(object, "unsaid", texts_json(plan->found->unsaid));
    set_text(object, "model_type", plan->found->type);
    set_text(object, "model_algorithm", plan->algorithm);
    set_text(object, "config", path);
    set_text(object, "source", plan->source);
    set_text(object, "child", plan->child);
    set_text(object, "recognised_by", plan->found->file);
    set_text(object, "why", plan->found->file ? plan->found->why_en : "--type says so");
    set_text(object, "lies", LIES[plan->lies].word);
    set_text(object, "note", note);
    set_text(object, "next", next);
    json_object_set_new(object, "huggingface", json_boolean(plan->found->huggingface));
    json_object_set_new(object, "dereference", json_boolean(plan->follows_links));
    json_object_set_new(object, "also", texts_json(plan->found->also));
    json_object_set_new(object, "findings", findings);
    print_json_line(object);
}

static void tell_guess(const Plan *plan, bool zh)
{
    const Recognition *found = plan->found;
    if (found->file)
        printf(zh ? "%s:根据 %s(%s)判断\n" : "%s: %s is %s\n", found->type, found->file,
               zh ? found->why_zh : found->why_en);
    else
        printf(zh ? "%s:由 --type 指定\n" : "%s: as --type says\n", found->type);
    for (guint i = 0; i < found->also->len; i++)
        printf(zh ? "注意:还有其他类型的 %s,可用 --type 选择\n"
                  : "note: %s is of another type; --type chooses\n",
               (const char *)found->also->pdata[i]);
    if (found->huggingface)
        puts(zh ? "注意:那里的 config.json 属于 Hugging Face,会原样打包"
                : "note: the config.json there is Hugging Face's and is packed unchanged");
    if (plan->follows_links)
        puts(zh ? "注意:有链接指向包外,需要 --dereference"
                : "note: links lead out of the package, which needs --dereference");
}

static void tell_dependencies(const Recognition *found, bool zh)
{
    size_t count =
        json_array_size(json_object_get(json_array_get(found->dependencies, 0), "packages"));
    if (count > 0)
        printf(zh ? "注意:%s 中的 %zu 个软件包已写入 dependencies\n"
                  : "note: %s: %zu of its packages are written as dependencies\n",
               found->requirements, count);
    for (guint i = 0; i < found->unsaid->len; i++) {
        g_autofree char *line = event_text(found->unsaid->pdata[i]);
        printf(zh ? "注意:config.json 无法表达 %s 中的这一行:%s\n"
                  : "note: config.json has no words for this line of %s: %s\n",
               found->requirements, line);
    }
}

static void tell(Session *session, const Plan *plan)
{
    bool zh = session->out.language == LANGUAGE_ZH;
    g_autofree char *path = g_build_filename(plan->source, plan->file, NULL);
    g_autofree char *next = command_next(plan), *note = lies_text(plan, zh);
    tell_guess(plan, zh);
    tell_dependencies(plan->found, zh);
    if (note)
        printf(zh ? "注意:%s\n" : "note: %s\n", note);
    printf(zh ? "已写入 %s:model_type %s,model_algorithm %s(%s)\n"
              : "wrote %s: model_type %s, model_algorithm %s (%s)\n",
           path, plan->found->type, plan->algorithm,
           plan->found->algorithm
               ? (zh ? "取自 Hugging Face 的 config.json" : "from Hugging Face's config.json")
               : (zh ? "取自文件夹名" : "the folder's name"));
    for (guint i = 0; i < plan->findings->events->len; i++) {
        json_t *object = event_json(plan->findings->events->pdata[i], NULL);
        event_view_print(&session->out, object);
        json_decref(object);
    }
    printf(zh ? "下一步:%s\n" : "next: %s\n", next);
}

/* -1: the plan can be carried out. */
static int complain_of_plan(const Plan *plan, const char *directory, bool force)
{
    g_autofree char *types = g_strjoinv(", ", (char **)CONFIG_MODEL_TYPES);
    if (!plan->found->type) {
        complain("init: nothing in %s is known as a model's file; say what it is with --type: %s",
                 directory, types);
        return EXIT_FAILED;
    }
    if (plan->found->others->len > 0) {
        g_ptr_array_add(plan->found->others, NULL);
        g_autofree char *others = g_strjoinv(", ", (char **)plan->found->others->pdata);
        complain("init: several folders of %s hold a model: %s, %s; give one of them", directory,
                 plan->found->directory, others);
        return EXIT_FAILED;
    }
    if (plan->is_there && !force) {
        complain("init: %s/%s is there already; --force replaces it", plan->source, plan->file);
        return EXIT_FAILED;
    }
    return -1;
}

static int init_directory(Session *session, const char *directory, const char *type, bool force,
                          bool json)
{
    g_autoptr(GError) error = NULL;
    g_auto(Plan) plan = {0};
    if (!plan_make(&plan, directory, type, &error)) {
        complain("%s", error->message);
        return EXIT_FAILED;
    }
    int status = complain_of_plan(&plan, directory, force);
    if (status >= 0)
        return status;
    if (!config_write(&plan, &error)) {
        complain("%s", error->message);
        return EXIT_FAILED;
    }
    if (json)
        tell_json(&plan);
    else if (!session->quiet)
        tell(session, &plan);
    return EXIT_DONE;
}

int command_init(Session *session, int argc, char **argv)
{
    g_autofree char *type = NULL;
    gboolean force = FALSE, json = FALSE;
    const GOptionEntry entries[] = {
        {"type", 0, 0, G_OPTION_ARG_FILENAME, &type, "Model type (what is recognised)", "TYPE"},
        {"force", 0, 0, G_OPTION_ARG_NONE, &force, "Replace a config that is there", NULL},
        {"json", 0, 0, G_OPTION_ARG_NONE, &json, "One object: the guess and its reason", NULL},
        {NULL}};
    int status = session_parse(session, command_find("init"), entries, &argc, &argv, 1, 1);
    if (status >= 0)
        return status;
    if (type && (!config_is_model_type(type) || strcmp(type, "Image") == 0)) {
        complain("--type \"%s\": expected a model type other than Image", type);
        return EXIT_USAGE;
    }
    if (!g_utf8_validate(argv[1], -1, NULL) || !g_file_test(argv[1], G_FILE_TEST_IS_DIR)) {
        complain("DIR: there is no directory %s", argv[1]);
        return EXIT_USAGE;
    }
    return init_directory(session, argv[1], type, force, json);
}
