/* The table's order decides where a folder holds files of several types; a directory model/ comes
 * before the source itself, that before those beneath it. */
#include "model/recognise.h"

#include <string.h>

#include "model/config.h"
#include "model/ignore.h"
#include "model/requirements.h"

#define HEAD_BYTES 65536 /* of a file, where its name does not say enough */
#define DEPTH_MAX  3     /* directories beneath the source that are looked at */

#define MLFLOW           "MLmodel"
#define REQUIREMENTS     "requirements.txt"
#define REQUIREMENTS_MAX ((size_t)1 << 20) /* bytes */

typedef struct {
    const char *type;
    const char *pattern; /* of the file's name */
    const char *word;    /* its first bytes hold this; NULL: its name says enough */
    const char *why_en, *why_zh;
} Sign;

static const Sign SIGNS[] = {
    {"TensorFlow", "MLmodel", "loader_module: mlflow.tensorflow",
     "MLflow's description of a TensorFlow model", "MLflow 对 TensorFlow 模型的描述"},
    {"TensorFlow", "MLmodel", "loader_module: mlflow.keras",
     "MLflow's description of a Keras model", "MLflow 对 Keras 模型的描述"},
    {"PyTorch", "MLmodel", "loader_module: mlflow.pytorch",
     "MLflow's description of a PyTorch model", "MLflow 对 PyTorch 模型的描述"},
    {"Scikit_Learn", "MLmodel", "loader_module: mlflow.sklearn",
     "MLflow's description of a scikit-learn model", "MLflow 对 scikit-learn 模型的描述"},
    {"XGBoost", "MLmodel", "loader_module: mlflow.xgboost",
     "MLflow's description of an XGBoost model", "MLflow 对 XGBoost 模型的描述"},
    {"ONNX", "MLmodel", "loader_module: mlflow.onnx", "MLflow's description of an ONNX model",
     "MLflow 对 ONNX 模型的描述"},
    {"Custom", "MLmodel", NULL, "MLflow's description of a model without an engine of its own",
     "MLflow 对模型的描述,没有对应的引擎"},
    {"TensorFlow", "saved_model.pb", NULL, "a SavedModel", "SavedModel 模型"},
    {"LLM", "*.safetensors", NULL, "weights as safetensors", "safetensors 权重"},
    {"LLM", "*.gguf", NULL, "weights as GGUF", "GGUF 权重"},
    {"ONNX", "*.onnx", NULL, "an ONNX model", "ONNX 模型"},
    {"XGBoost", "*.ubj", NULL, "an XGBoost model as UBJSON", "UBJSON 格式的 XGBoost 模型"},
    {"XGBoost", "*.bst", NULL, "an XGBoost model", "XGBoost 模型"},
    {"XGBoost", "*.json", "\"learner\"", "an XGBoost model as JSON", "JSON 格式的 XGBoost 模型"},
    {"TensorFlow", "*.keras", NULL, "a Keras model", "Keras 模型"},
    {"TensorFlow", "*.h5", NULL, "a Keras model as HDF5", "HDF5 格式的 Keras 模型"},
    {"TensorFlow", "*.pb", NULL, "a frozen TensorFlow graph", "冻结的 TensorFlow 图"},
    {"MindSpore", "*.mindir", NULL, "a MindSpore model", "MindSpore 模型"},
    {"MindSpore", "*.om", NULL, "a model for Ascend", "昇腾模型"},
    {"MXNet", "*-symbol.json", NULL, "the graph of an MXNet model", "MXNet 模型的计算图"},
    {"Caffe", "*.caffemodel", NULL, "the weights of a Caffe model", "Caffe 模型的权重"},
    {"PyTorch", "*.pth", NULL, "a PyTorch model", "PyTorch 模型"},
    {"PyTorch", "*.pt", NULL, "a PyTorch model", "PyTorch 模型"},
    {"Scikit_Learn", "*.joblib", NULL, "a model that joblib wrote", "joblib 保存的模型"},
    {"Scikit_Learn", "*.pkl", NULL, "a pickled model", "pickle 保存的模型"},
    {"Scikit_Learn", "*.m", "sklearn", "a model of scikit-learn", "scikit-learn 模型"},
    {"XGBoost", "*.m", NULL, "an XGBoost model", "XGBoost 模型"},
    {"Custom", "*.ckpt", "PK\x03\x04", "a checkpoint of PyTorch, which no engine takes",
     "PyTorch 检查点,没有引擎支持"},
    {"MindSpore", "*.ckpt", NULL, "a MindSpore checkpoint", "MindSpore 检查点"},
    {"Custom", "pytorch_model*.bin", NULL, "weights as PyTorch's *.bin, which no engine takes",
     "PyTorch 的 *.bin 权重,没有引擎支持"},
};

typedef struct {
    const Sign *sign;
    const PackageFile *file;
    char *directory;
    int rank; /* of its directory: less is better */
} Hit;

static void hit_free(Hit *hit)
{
    g_free(hit->directory);
    g_free(hit);
}

void recognition_free(Recognition *recognition)
{
    if (!recognition)
        return;
    g_free(recognition->directory);
    g_free(recognition->file);
    g_free(recognition->algorithm);
    g_free(recognition->requirements);
    json_decref(recognition->dependencies);
    g_ptr_array_unref(recognition->unsaid);
    g_ptr_array_unref(recognition->others);
    g_ptr_array_unref(recognition->also);
    g_free(recognition);
}

static const char *name_of(const PackageFile *file)
{
    const char *slash = strrchr(file->path, '/');
    return slash ? slash + 1 : file->path;
}

static char *directory_of(const PackageFile *file)
{
    const char *slash = strrchr(file->path, '/');
    return slash ? g_strndup(file->path, (gsize)(slash - file->path)) : g_strdup("");
}

static int depth_of(const PackageFile *file)
{
    int depth = 0;
    for (const char *at = file->path; (at = strchr(at, '/')); at++)
        depth++;
    return depth;
}

/* Whether the first bytes hold the word. What cannot be read holds none. */
static bool head_holds(Package *package, const PackageFile *file, const char *word)
{
    Event *finding = NULL;
    g_autoptr(PackageReader) reader =
        package->source->open(package->source, package->child, file, &finding);
    g_autofree char *head = g_malloc(HEAD_BYTES);
    ssize_t got = reader ? reader->read(reader, head, HEAD_BYTES, &finding) : -1;
    event_free(finding);
    return got > 0 && memmem(head, (size_t)got, word, strlen(word));
}

static bool sign_fits(Package *package, const Sign *sign, const PackageFile *file)
{
    return g_pattern_match_simple(sign->pattern, name_of(file)) &&
           (!sign->word || head_holds(package, file, sign->word));
}

/* The first sign that a file is of, or NULL. */
static const Sign *sign_of(Package *package, const PackageFile *file)
{
    const char *name = name_of(file);
    if (*name == '.' || strcmp(name, "config.json") == 0 || strcmp(name, CONFIG_BESIDE) == 0)
        return NULL;
    for (size_t i = 0; i < G_N_ELEMENTS(SIGNS); i++)
        if (sign_fits(package, &SIGNS[i], file))
            return &SIGNS[i];
    return NULL;
}

/* The whole file, as text that ends with NUL. NULL: it is not there, too large, or unreadable. */
static char *text_of_file(Package *package, const char *path, size_t limit, size_t *size)
{
    const PackageFile *file = package_find(package, path);
    Event *finding = NULL;
    g_autoptr(GBytes) bytes = file ? package_read(package, file, limit, &finding) : NULL;
    event_free(finding);
    if (!bytes)
        return NULL;
    const char *data = g_bytes_get_data(bytes, size);
    return g_strndup(data ? data : "", *size);
}

/* Whether the .waybillignore of the file's directory leaves it out, which counts once that is the
 * model directory. The source's own was heeded by the listing. What is wrong with it, check says.
 */
static bool is_left_out(Package *package, const PackageFile *file)
{
    g_autofree char *directory = directory_of(file);
    g_autofree char *path = g_strconcat(directory, "/" IGNORE_FILE, NULL);
    size_t size;
    g_autofree char *text =
        *directory ? text_of_file(package, path, IGNORE_MAX_BYTES, &size) : NULL;
    if (!text)
        return false;
    g_autoptr(IgnoreRules) rules = ignore_rules_new();
    g_autofree char *fault = ignore_rules_add(rules, directory, text, size);
    return !fault && ignore_rules_match(rules, file->path, false);
}

static int hit_compare(gconstpointer a, gconstpointer b)
{
    const Hit *const *left = a, *const *right = b;
    if ((*left)->rank != (*right)->rank)
        return (*left)->rank - (*right)->rank;
    int order = strcmp((*left)->directory, (*right)->directory);
    if (order == 0 && (*left)->sign != (*right)->sign)
        order = (*left)->sign < (*right)->sign ? -1 : 1;
    return order ? order : strcmp((*left)->file->path, (*right)->file->path);
}

/* Every file that a sign is known of, the best first. type: of this type alone, or NULL. */
static GPtrArray *hits_of(Package *package, const char *type)
{
    GPtrArray *hits = g_ptr_array_new_with_free_func((GDestroyNotify)hit_free);
    for (guint i = 0; i < package->files->len; i++) {
        const PackageFile *file = package->files->pdata[i];
        int depth = depth_of(file);
        const Sign *sign = depth <= DEPTH_MAX ? sign_of(package, file) : NULL;
        if (!sign || (type && strcmp(sign->type, type) != 0) || is_left_out(package, file))
            continue;
        Hit *hit = g_new0(Hit, 1);
        *hit = (Hit){.sign = sign, .file = file, .directory = directory_of(file)};
        hit->rank = strcmp(hit->directory, PACKAGE_DEFAULT_CHILD) == 0 ? 0 : depth + 1;
        g_ptr_array_add(hits, hit);
    }
    g_ptr_array_sort(hits, hit_compare);
    return hits;
}

/* MLflow's description stands above the model files, often: their directory is the first that holds
 * one of that type. */
static const char *model_directory(const GPtrArray *hits, const Hit *best)
{
    size_t above = strlen(best->directory);
    if (strcmp(best->sign->pattern, MLFLOW) != 0)
        return best->directory;
    for (guint i = 0; i < hits->len; i++) {
        const Hit *hit = hits->pdata[i];
        bool beneath = strncmp(hit->directory, best->directory, above) == 0 &&
                       (above == 0 || hit->directory[above] == '/' || !hit->directory[above]);
        if (beneath && strcmp(hit->sign->type, best->sign->type) == 0 &&
            strcmp(hit->sign->pattern, MLFLOW) != 0)
            return hit->directory;
    }
    return best->directory;
}

/* What else speaks: other types in that directory, and other directories of the same rank. */
static void look_beside(Recognition *found, const GPtrArray *hits, const Hit *best)
{
    const char *last = best->directory;
    for (guint i = 0; i < hits->len; i++) {
        const Hit *hit = hits->pdata[i];
        if (strcmp(hit->directory, found->directory) == 0) {
            if (strcmp(hit->sign->type, found->type) != 0)
                g_ptr_array_add(found->also, g_strdup(hit->file->path));
        } else if (hit->rank == best->rank && strcmp(hit->directory, last) != 0) {
            g_ptr_array_add(found->others, g_strdup(hit->directory));
            last = hit->directory;
        }
    }
}

/* Hugging Face's config.json names its architecture, and is not the import's. */
static void look_at_config(Recognition *found, Package *package)
{
    g_autofree char *path = *found->directory ? g_strconcat(found->directory, "/config.json", NULL)
                                              : g_strdup("config.json");
    const PackageFile *file = package_find(package, path);
    Event *finding = NULL;
    g_autoptr(GBytes) bytes =
        file ? package_read(package, file, DOCUMENT_MAX_BYTES, &finding) : NULL;
    event_free(finding);
    if (!bytes)
        return;
    gsize size;
    const void *data = g_bytes_get_data(bytes, &size);
    json_t *root = json_loadb(data, size, 0, NULL);
    json_t *architectures = json_object_get(root, "architectures");
    found->huggingface = !json_object_get(root, "model_algorithm") &&
                         (architectures || json_object_get(root, "transformers_version"));
    const char *name = json_string_value(json_array_get(architectures, 0));
    if (!name)
        name = json_string_value(json_object_get(root, "model_type"));
    if (found->huggingface && name)
        found->algorithm = recognise_algorithm(name);
    json_decref(root);
}

/* What the model was trained with, as MLflow wrote it down beside its description. */
static void look_at_requirements(Recognition *found, Package *package, const Hit *best)
{
    if (strcmp(best->sign->pattern, MLFLOW) != 0)
        return;
    g_autofree char *path = *best->directory ? g_strconcat(best->directory, "/" REQUIREMENTS, NULL)
                                             : g_strdup(REQUIREMENTS);
    size_t size;
    g_autofree char *text = text_of_file(package, path, REQUIREMENTS_MAX, &size);
    if (!text || !g_utf8_validate(text, -1, NULL))
        return;
    found->requirements = g_steal_pointer(&path);
    found->dependencies = requirements_dependencies(text, found->unsaid);
}

/* A type that is given decides, whether a file of it was found or not. */
static void take_given(Recognition *found, const Package *package, const char *type)
{
    for (size_t i = 0; CONFIG_MODEL_TYPES[i]; i++)
        if (strcmp(CONFIG_MODEL_TYPES[i], type) == 0)
            found->type = CONFIG_MODEL_TYPES[i];
    bool has_model = false;
    for (guint i = 0; i < package->files->len && !has_model; i++)
        has_model = g_str_has_prefix(((const PackageFile *)package->files->pdata[i])->path,
                                     PACKAGE_DEFAULT_CHILD "/");
    found->directory = g_strdup(has_model ? PACKAGE_DEFAULT_CHILD : "");
}

Recognition *recognise(Package *package, const char *type)
{
    Recognition *found = g_new0(Recognition, 1);
    found->others = g_ptr_array_new_with_free_func(g_free);
    found->also = g_ptr_array_new_with_free_func(g_free);
    found->unsaid = g_ptr_array_new_with_free_func(g_free);
    g_autoptr(GPtrArray) hits = hits_of(package, type);
    if (hits->len > 0) {
        const Hit *best = hits->pdata[0];
        found->type = best->sign->type;
        found->why_en = best->sign->why_en;
        found->why_zh = best->sign->why_zh;
        found->file = g_strdup(best->file->path);
        found->directory = g_strdup(model_directory(hits, best));
        look_beside(found, hits, best);
        look_at_requirements(found, package, best);
    } else if (type) {
        take_given(found, package, type);
    }
    if (found->type)
        look_at_config(found, package);
    return found;
}

char *recognise_algorithm(const char *text)
{
    g_autofree char *valid = g_utf8_make_valid(text, -1);
    const char *at = valid;
    while (*at && !g_ascii_isalpha(*at))
        at = g_utf8_next_char(at);
    g_autofree char *name = g_utf8_substring(at, 0, MIN(36, g_utf8_strlen(at, -1)));
    g_strdelimit(name, "&!'\"<>=", '-');
    return g_strdup(config_rule_algorithm(name) ? "model" : name);
}
