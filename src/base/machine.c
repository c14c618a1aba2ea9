#include "base/machine.h"

#include <fcntl.h>

#include "base/io.h"

char *machine_id(void)
{
    g_autoptr(GBytes) bytes = io_read_file(AT_FDCWD, "/etc/machine-id", 256, NULL);
    if (!bytes)
        return g_strdup(g_get_host_name());
    return g_strstrip(g_strndup(g_bytes_get_data(bytes, NULL), g_bytes_get_size(bytes)));
}
