#include <stdio.h>
#include <string.h>

#include "base/io.h"
#include "build/trial.h"
#include "command/command.h"
#include "command/interrupt.h"
#include "import/dynamic.h"

#define INPUT_MAX (64 << 20)

/* JSON, or @FILE. NULL: printed. */
static char *read_input(const char *text)
{
    char *input = NULL;
    g_autoptr(GError) error = NULL;
    if (*text != '@')
        return g_strdup(text);
    if (g_file_get_contents(text + 1, &input, NULL, &error))
        return input;
    complain("--input %s: %s", text, error->message);
    return NULL;
}

/* All of it lies where it can be unpacked, then. */
static Image *model_image(Session *session, const Model *model, GPtrArray **blobs, GError **error)
{
    Service *service = session->service;
    if (!model->image_digest) {
        g_set_error(error, IMPORT_ERROR, IMPORT_ERROR_USAGE, "%s:%s has no image: it is %s",
                    model->name, model->version, model_status(model));
        return NULL;
    }
    g_autoptr(ImageRepository) images =
        service_repository(service, model->project, model->name, error);
    ImageSource *source = images ? image_repository_source(images) : NULL;
    json_auto_t *descriptor =
        source ? source->resolve(source, NULL, model->image_digest, error) : NULL;
    g_autoptr(Image) image = descriptor ? image_read(source, descriptor, NULL, NULL, error) : NULL;
    if (!image || !images_bring(service, images, image, error))
        return NULL;
    *blobs = dynamic_bring(service, images, model->id, model->image_digest, error);
    return *blobs ? g_steal_pointer(&image) : NULL;
}

static void print_log(Trial *trial)
{
    const GPtrArray *log = trial_log(trial);
    if (log->len == 0)
        complain("the container wrote nothing");
    for (guint i = 0; i < log->len; i++)
        fprintf(stderr, "| %s\n", (char *)log->pdata[i]);
}

static int print_answer(Session *session, Trial *trial, const TrialRequest *request,
                        const TrialAnswer *answer)
{
    bool good = answer->status >= 200 && answer->status < 300;
    fwrite(answer->body ? answer->body : "", 1, answer->size, stdout);
    if (answer->size && answer->body[answer->size - 1] != '\n')
        putchar('\n');
    fflush(stdout);
    if (answer->status == 0)
        complain("%s %s was not answered", request->method, request->path);
    else if (!session->quiet)
        fprintf(stderr, "ready after %.1f s; %s %s answered %ld in %.2f s\n",
                (double)trial_ready_ms(trial) / 1000, request->method, request->path,
                answer->status, (double)answer->ms / 1000);
    if (!good)
        print_log(trial);
    return good ? EXIT_DONE : EXIT_FAILED;
}

static int try_image(Session *session, const Image *image, const GPtrArray *blobs,
                     const TrialRequest *request)
{
    TrialState state;
    g_autoptr(GError) error = NULL;
    Service *service = session->service;
    const TrialSpec spec = {.settings = session->settings,
                            .data = service->data->path,
                            .images = service->images,
                            .image = image,
                            .blobs = blobs,
                            .progress = &service->progress};
    g_autoptr(Trial) trial = trial_new(&spec, &error);
    if (!trial || !trial_wait(trial, &state, &error)) {
        complain("%s", error->message);
        return progress_stopped(&service->progress) ? EXIT_INTERRUPTED : EXIT_FAILED;
    }
    if (state != TRIAL_READY) {
        g_autofree char *what = trial_words(trial, state);
        complain("the image does not serve: %s", what);
        if (trial_health(trial)->body && *trial_health(trial)->body)
            fprintf(stderr, "%s\n", trial_health(trial)->body);
        print_log(trial);
        return EXIT_FAILED;
    }
    g_auto(TrialAnswer) answer = {0};
    if (!trial_ask(trial, request, &answer, &error)) {
        complain("%s", error->message);
        return EXIT_FAILED;
    }
    return print_answer(session, trial, request, &answer);
}

int command_try(Session *session, int argc, char **argv)
{
    static char GET[] = "GET", POST[] = "POST";
    g_autofree char *input = NULL, *path = NULL;
    const GOptionEntry entries[] = {{"input", 0, 0, G_OPTION_ARG_FILENAME, &input,
                                     "What is sent: JSON, or a file of it", "JSON|@FILE"},
                                    {"path", 0, 0, G_OPTION_ARG_FILENAME, &path,
                                     "Where to (/; without --input /health)", "PATH"},
                                    {NULL}};
    int status = session_parse(session, command_find("try"), entries, &argc, &argv, 1, 1);
    if (status < 0 && path && *path != '/') {
        complain("--path %s: a path begins with /", path);
        status = EXIT_USAGE;
    }
    g_autoptr(Model) model = status < 0 ? session_model(session, argv[1], &status) : NULL;
    if (!model)
        return status;
    g_autoptr(GError) error = NULL;
    g_autofree char *body = input ? read_input(input) : NULL;
    if (input && !body)
        return EXIT_USAGE;
    /* gc leaves alone what is unpacked. */
    g_auto(Interrupt) interrupt G_GNUC_UNUSED = interrupt_catch(&session->service->progress);
    autofd lock = layout_lock(session->service->images, false, &error);
    g_autoptr(GPtrArray) blobs = NULL;
    g_autoptr(Image) image = lock >= 0 ? model_image(session, model, &blobs, &error) : NULL;
    if (!image) {
        complain("%s", error->message);
        return progress_stopped(&session->service->progress) ? EXIT_INTERRUPTED : EXIT_FAILED;
    }
    g_autofree char *where = g_strdup(path ? path : body ? "/" : "/health");
    const TrialRequest request = {.method = body ? POST : GET, .path = where, .body = body};
    return try_image(session, image, blobs, &request);
}
