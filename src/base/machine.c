#include "base/machine.h"

#include <fcntl.h>
#include <string.h>

#include "base/io.h"

char *machine_id(void)
{
    g_autoptr(GBytes) bytes = io_read_file(AT_FDCWD, "/etc/machine-id", 256, NULL);
    g_autofree char *id =
        bytes ? g_strstrip(g_strndup(g_bytes_get_data(bytes, NULL), g_bytes_get_size(bytes)))
              : g_strdup("");
    /* machine-id(5): of an image that many are started from. */
    if (!*id || strcmp(id, "uninitialized") == 0)
        return g_strdup(g_get_host_name());
    return g_steal_pointer(&id);
}
