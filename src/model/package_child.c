#include <string.h>

#include "base/nearest.h"
#include "model/package.h"

/* Which folder was perhaps meant: a similar name in the listing, or the folder itself. */
static void add_guess(Event *event, const char *child, const json_t *listing)
{
    g_autoptr(GPtrArray) folders = g_ptr_array_new_with_free_func(g_free);
    size_t i;
    const json_t *entry;
    json_array_foreach (listing, i, entry) {
        const char *name = json_string_value(entry);
        if (g_str_has_suffix(name, "/"))
            g_ptr_array_add(folders, g_strndup(name, strlen(name) - 1));
        else if (strcmp(name, "config.json") == 0)
            event_with(event, "{s:b}", "looks_like_model_dir", true);
    }
    g_ptr_array_add(folders, NULL);
    const char *nearest = text_nearest(child, (const char *const *)folders->pdata);
    if (nearest)
        event_with(event, "{s:s}", "nearest", nearest);
}

Event *package_child_missing(const char *directory, const char *child, const char *found,
                             json_t *listing)
{
    Event *event = event_model_child_directory_missing(child, directory);
    event_with_text(event, "directory", directory);
    event_with_text(event, "path", child);
    event_with(event, "{s:s, s:s}", "found", found, "expected", "a directory");
    event_with_json(event, "listing", listing);
    add_guess(event, child, listing);
    return event;
}
