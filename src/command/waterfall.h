/* `waybill events --waterfall`: where the time of an attempt went, a bar for each stage. */
#pragma once

#include "command/terminal.h"
#include "store/models.h"

bool waterfall_print(const Terminal *terminal, Db *db, const Model *model, GError **error);
