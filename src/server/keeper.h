/* The thread that keeps a data directory tidy: each minute it removes uploads that have expired,
 * and looks whether gc's turn has come (upkeep/gc_schedule.h). It has a connection to the store of
 * its own. */
#pragma once

#include "base/settings.h"

typedef struct Keeper Keeper;
typedef struct {
    const char *directory;    /* is there */
    const Settings *settings; /* borrowed, as long as it lives */
    /* The uploads and gc's part that is the store's, too: a server's, as its settings say how long
     * what is everybody's is kept. Else what this data directory alone has. */
    bool of_store;
} KeeperOptions;
Keeper *keeper_start(const KeeperOptions *options, GError **error);
/* Ends a wait for who works in the images; what is being removed is removed first. */
void keeper_stop(Keeper *keeper);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Keeper, keeper_stop)
