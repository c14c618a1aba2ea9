/* Checks the machine and the data directory, and says how to mend what fails. It mends
 * nothing, makes no data directory, and looks at what is left of a broken one. */
#pragma once

#include "base/settings.h"
#include "event/catalog.h"

typedef enum { DOCTOR_OK, DOCTOR_WARN, DOCTOR_FAIL } DoctorStatus;
const char *doctor_status_name(DoctorStatus status); /* "ok", "warn", "fail" */

typedef struct {
    const char *id;
    DoctorStatus status;
    char *found;
    char *mend; /* one step a line; NULL: nothing is to be done */
} DoctorCheck;

/* An array of DoctorCheck, in the order in which they are to be read. Texts are in `language`. */
GPtrArray *doctor_run(const char *directory, const Settings *settings, Language language);
