/* The thread that keeps a data directory tidy: each minute it removes uploads that have expired,
 * and looks whether gc's turn has come (upkeep/gc_schedule.h). It has a connection to the store of
 * its own. */
#pragma once

#include "base/settings.h"

typedef struct Keeper Keeper;
/* settings: borrowed, as long as it lives. The data directory is there. */
Keeper *keeper_start(const char *directory, const Settings *settings, GError **error);
/* Ends a wait for who works in the images; what is being removed is removed first. */
void keeper_stop(Keeper *keeper);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Keeper, keeper_stop)
