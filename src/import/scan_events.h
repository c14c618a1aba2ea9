/* What scans tell of a package's files, as events: the one place that knows which is which. */
#pragma once

#include "base/progress.h"
#include "base/settings.h"
#include "event/finding.h"
#include "model/package.h"

/* reports: array of what scan_end gave, each with its "path" beneath the child directory. Of each
 * reason and kind at most SCAN_EVENTS_MAX events: the last one stands for the files behind it. */
#define SCAN_EVENTS_MAX 10
void scan_events_add(const Settings *settings, const Package *package, const json_t *reports,
                     Findings *findings);

/* Reads the package's files for that alone, each as far as it says something: what `check` does,
 * which packs nothing. A file that cannot be read is a finding (29). progress may be NULL; when it
 * is stopped, what was found so far is there. */
void scan_package(const Settings *settings, Package *package, Progress *progress,
                  Findings *findings);
