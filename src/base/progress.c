#include "base/progress.h"

void progress_begin(Progress *progress, int64_t bytes_total)
{
    if (!progress)
        return;
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
    if (progress)
        progress->bytes_total = 0;
}

bool progress_stopped(Progress *progress)
{
    return progress && progress->stop;
}
