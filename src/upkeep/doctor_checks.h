/* Inside of the doctor: what its checks share. */
#pragma once

#include "import/service.h"
#include "upkeep/doctor.h"

typedef struct {
    const char *directory;
    const Settings *settings;
    bool zh;
    GPtrArray *checks;
    DataDirectory *data; /* NULL: it is not there, or cannot be used */
    Db *db;              /* NULL: there is no store, or it cannot be used */
} Doctor;

/* Records what a check found. Takes mend over. */
void doctor_add(Doctor *doctor, const char *id, DoctorStatus status, char *mend, const char *format,
                ...) G_GNUC_PRINTF(5, 6);
/* "1.5 GiB". The caller frees it. */
char *doctor_size(int64_t bytes);

/* What needs no data directory. */
void doctor_machine(Doctor *doctor);
/* When gc last ran; needs the store. */
void doctor_gc(Doctor *doctor);
/* What environment images need: an OCI runtime, a root file system. */
void doctor_sandbox(Doctor *doctor);
/* And where their packages come from: asks indexes and mirrors, for seconds where they are away. */
void doctor_sources(Doctor *doctor);
/* The service's own bucket, objects.url; asks it. */
void doctor_objects(Doctor *doctor);
/* The templates of templates.dir, where it is set. */
void doctor_templates(Doctor *doctor);
/* The registries of images.url and image.share_to; asks each of them. */
void doctor_registries(Doctor *doctor);
