#include "command/progress_bar.h"

#include <pthread.h>

#include "base/clock.h"
#include "base/pause.h"

#define STEP_MS   100
#define MOST_CELL 40

struct ProgressBar {
    const Terminal *terminal;
    Progress *progress;
    pthread_mutex_t lock; /* of the terminal's line */
    pthread_t thread;
    bool running, drawn;
    Pause pause; /* between two drawings */
    ProgressRate rate;
    int steps; /* of a work that has no bytes to count; 0: it has */
    const char *(*step_name)(int step, bool zh);
};

static void bar_clear(ProgressBar *bar)
{
    if (bar->drawn)
        fputs("\r\033[K", bar->terminal->out);
    fflush(bar->terminal->out);
    bar->drawn = false;
}

/* "1.2 GiB / 4.0 GiB  340 MiB/s  0:09 left" */
static char *bar_text(const ProgressBar *bar, int64_t done, int64_t total, int64_t rate)
{
    g_autofree char *have = format_bytes(done), *all = format_bytes(total);
    int64_t left = progress_time_left(done, total, rate);
    bool zh = bar->terminal->language == LANGUAGE_ZH;
    if (left < 0)
        return g_strdup_printf("%s / %s", have, all);
    g_autofree char *speed = format_bytes(rate);
    int64_t seconds = left / 1000;
    return g_strdup_printf(zh ? "%s / %s  %s/s  约剩 %d:%02d" : "%s / %s  %s/s  %d:%02d left", have,
                           all, speed, (int)(seconds / 60), (int)(seconds % 60));
}

static void bar_cells(const ProgressBar *bar, int cells, int filled)
{
    g_autofree char *full = g_strnfill((gsize)filled, '#');
    g_autofree char *rest = g_strnfill((gsize)(cells - filled), '.');
    fprintf(bar->terminal->out, "\r\033[K  %s%s", full, rest);
}

/* "3/7 unpacking packages  0:21" */
static void bar_draw_step(ProgressBar *bar, int step)
{
    int64_t seconds = (clock_monotonic_ms() - bar->progress->step_began) / 1000;
    const char *name = bar->step_name(step, bar->terminal->language == LANGUAGE_ZH);
    g_autofree char *text = g_strdup_printf("%d/%d %s  %d:%02d", step, bar->steps, name,
                                            (int)(seconds / 60), (int)(seconds % 60));
    int cells = CLAMP(bar->terminal->width - text_width(text) - 5, 0, MOST_CELL / 2);
    bar_cells(bar, cells, cells * (step - 1) / bar->steps);
    fprintf(bar->terminal->out, "  %s", text);
    fflush(bar->terminal->out);
    bar->drawn = true;
}

static void bar_draw(ProgressBar *bar)
{
    int step = bar->progress->step;
    if (bar->steps && step > 0) {
        bar_draw_step(bar, step);
        return;
    }
    int64_t total = bar->progress->bytes_total, done = MIN(bar->progress->bytes_done, total);
    int64_t rate = progress_rate(&bar->rate, bar->progress, clock_monotonic_ms());
    if (total <= 0) {
        bar_clear(bar);
        return;
    }
    g_autofree char *text = bar_text(bar, done, total, rate);
    int cells = CLAMP(bar->terminal->width - text_width(text) - 12, 0, MOST_CELL);
    int filled = (int)(cells * done / total);
    bar_cells(bar, cells, filled);
    fprintf(bar->terminal->out, " %3d %%  %s", (int)(100 * done / total), text);
    fflush(bar->terminal->out);
    bar->drawn = true;
}

static void *bar_run(void *data)
{
    ProgressBar *bar = data;
    while (!pause_wait(&bar->pause, STEP_MS)) {
        pthread_mutex_lock(&bar->lock);
        bar_draw(bar);
        pthread_mutex_unlock(&bar->lock);
    }
    return NULL;
}

ProgressBar *progress_bar_new(const Terminal *terminal, Progress *progress, bool shown)
{
    ProgressBar *bar = g_new0(ProgressBar, 1);
    bar->terminal = terminal;
    bar->progress = progress;
    pthread_mutex_init(&bar->lock, NULL);
    pause_init(&bar->pause);
    if (shown && terminal->is_terminal)
        bar->running = pthread_create(&bar->thread, NULL, bar_run, bar) == 0;
    return bar;
}

void progress_bar_free(ProgressBar *bar)
{
    if (!bar)
        return;
    pause_end(&bar->pause);
    if (bar->running)
        pthread_join(bar->thread, NULL);
    bar_clear(bar);
    pause_clear(&bar->pause);
    pthread_mutex_destroy(&bar->lock);
    g_free(bar);
}

void progress_bar_steps(ProgressBar *bar, int count, const char *(*name)(int step, bool zh))
{
    pthread_mutex_lock(&bar->lock);
    bar->step_name = name;
    bar->steps = count;
    pthread_mutex_unlock(&bar->lock);
}

void progress_bar_hide(ProgressBar *bar)
{
    pthread_mutex_lock(&bar->lock);
    bar_clear(bar);
}

void progress_bar_show(ProgressBar *bar)
{
    pthread_mutex_unlock(&bar->lock);
}
