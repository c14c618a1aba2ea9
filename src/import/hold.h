/* Maintenance, as the faces (command line, server) switch and show it. What it does to imports is
 * in import_work. */
#pragma once

#include <jansson.h>

#include "import/service.h"

#define MAINTENANCE_MESSAGE_CHARACTERS 500

typedef struct {
    bool on;
    const char *message; /* or NULL */
    int64_t until;       /* ms since 1970 UTC; 0: until it is switched off */
} MaintenanceWish;

/* *was_on: before. Switching on while it is on changes message and end. */
bool maintenance_switch(Service *service, const MaintenanceWish *wish, const char *actor,
                        bool *was_on, GError **error);
/* {on}, and while it is on {message, actor, since, until, waiting}: how many imports it holds. A
 * new reference; NULL: *error. */
json_t *maintenance_json(Service *service, GError **error);
