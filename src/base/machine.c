#include "base/machine.h"

#include <fcntl.h>
#include <string.h>

#include "base/io.h"

#define DIGITS 32

char *machine_id_in(const char *path)
{
    g_autoptr(GBytes) bytes = io_read_file(AT_FDCWD, path, 256, NULL);
    gsize size = 0;
    const char *content = bytes ? g_bytes_get_data(bytes, &size) : NULL;
    g_autofree char *text = g_strstrip(g_strndup(content ? content : "", size));
    const bool is_id = strlen(text) == DIGITS && strspn(text, "0123456789abcdef") == DIGITS;
    return g_strdup(is_id ? text : g_get_host_name());
}

char *machine_id(void)
{
    return machine_id_in("/etc/machine-id");
}
