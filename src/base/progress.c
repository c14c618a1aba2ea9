#include "base/progress.h"

#include <glib.h>
#include <string.h>

#include "base/clock.h"

#define SAMPLE_MS 1000
#define SURE_MS   1000 /* a rate over less is none */

void progress_begin(Progress *progress, int64_t bytes_total)
{
    if (!progress)
        return;
    progress->copies++;
    progress->bytes_done = 0;
    progress->bytes_total = bytes_total;
}

void progress_add(Progress *progress, int64_t bytes)
{
    if (progress)
        atomic_fetch_add(&progress->bytes_done, bytes);
}

void progress_end(Progress *progress)
{
    if (!progress)
        return;
    progress->bytes_total = 0;
    progress_file(progress, "");
}

bool progress_stopped(Progress *progress)
{
    return progress && progress->stop;
}

void progress_step(Progress *progress, int step)
{
    if (step == 1 || progress->step == 0)
        progress->step_began = clock_monotonic_ms();
    progress->step = step;
}

void progress_stage(Progress *progress, const char *stage)
{
    progress->stage_began = clock_monotonic_ms();
    progress->stage = stage;
}

/* The end of a long name tells more than its beginning. */
static void file_cut(const char *name, char cut[PROGRESS_FILE_BYTES])
{
    static const char MARK[] = "…";
    const size_t length = strlen(name), room = PROGRESS_FILE_BYTES - 1;
    if (length <= room) {
        memcpy(cut, name, length);
        return;
    }
    const char *from = name + length - (room - (sizeof MARK - 1));
    while ((*from & 0xC0) == 0x80) /* not within a character */
        from++;
    memcpy(cut, MARK, sizeof MARK - 1);
    memcpy(cut + sizeof MARK - 1, from, strlen(from));
}

void progress_file(Progress *progress, const char *name)
{
    char cut[PROGRESS_FILE_BYTES] = {0};
    uint64_t words[G_N_ELEMENTS(progress->file)];
    if (!progress)
        return;
    file_cut(name, cut);
    memcpy(words, cut, sizeof words);
    progress->file_turn++;
    for (size_t i = 0; i < G_N_ELEMENTS(words); i++)
        progress->file[i] = words[i];
    progress->file_turn++;
}

void progress_read_file(Progress *progress, char name[PROGRESS_FILE_BYTES])
{
    uint64_t words[G_N_ELEMENTS(progress->file)];
    for (unsigned turn = 1; turn % 2 || turn != progress->file_turn;) {
        turn = progress->file_turn;
        for (size_t i = 0; i < G_N_ELEMENTS(words); i++)
            words[i] = progress->file[i];
    }
    memcpy(name, words, sizeof words);
}

static void rate_sample(ProgressRate *rate, int64_t now, int64_t bytes)
{
    if (rate->count && now - rate->times[rate->count - 1] < SAMPLE_MS)
        return;
    if (rate->count == PROGRESS_RATE_SAMPLES) {
        rate->count--;
        memmove(rate->times, rate->times + 1, sizeof rate->times - sizeof *rate->times);
        memmove(rate->bytes, rate->bytes + 1, sizeof rate->bytes - sizeof *rate->bytes);
    }
    rate->times[rate->count] = now;
    rate->bytes[rate->count++] = bytes;
}

int64_t progress_rate(ProgressRate *rate, Progress *progress, int64_t now)
{
    if (rate->copies != progress->copies)
        *rate = (ProgressRate){.copies = progress->copies};
    int64_t bytes = progress->bytes_done;
    rate_sample(rate, now, bytes);
    int64_t over = now - rate->times[0];
    return over >= SURE_MS ? MAX(bytes - rate->bytes[0], 0) * 1000 / over : -1;
}

int64_t progress_time_left(int64_t bytes_done, int64_t bytes_total, int64_t rate)
{
    return rate > 0 && bytes_total > 0 ? MAX(bytes_total - bytes_done, 0) * 1000 / rate : -1;
}
