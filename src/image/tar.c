#include "image/tar.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#define OWNER    1000 /* ma-user */
#define GROUP    100  /* ma-group */
/* Eleven octal digits: 8 GiB - 1. */
#define MAX_SIZE INT64_C(077777777777)

/* POSIX.1-1988, "ustar Interchange Format". */
typedef struct {
    char name[100], mode[8], uid[8], gid[8], size[12], mtime[12], checksum[8], type, link_name[100];
    char magic[6], version[2], user_name[32], group_name[32], device_major[8], device_minor[8];
    char prefix[155], padding[12];
} TarHeader;
G_STATIC_ASSERT(sizeof(TarHeader) == TAR_BLOCK);

enum { TYPE_FILE = '0', TYPE_DIRECTORY = '5', TYPE_PAX = 'x' };

static void put_octal(char *field, size_t width, int64_t value)
{
    g_autofree char *digits = g_strdup_printf("%0*" G_GINT64_MODIFIER "o", (int)width - 1, value);
    memcpy(field, digits, width); /* with the NUL */
}

static void put_checksum(TarHeader *header)
{
    memset(header->checksum, ' ', sizeof(header->checksum));
    unsigned sum = 0;
    for (size_t i = 0; i < sizeof(*header); i++)
        sum += ((const unsigned char *)header)[i];
    snprintf(header->checksum, sizeof(header->checksum), "%06o", sum);
    header->checksum[7] = ' ';
}

/* Splits a path between prefix and name, at the last '/' that leaves a prefix that fits. False:
 * ustar has no room for it. */
static bool put_path(TarHeader *header, const char *path)
{
    size_t length = strlen(path);
    if (length <= sizeof(header->name)) {
        memcpy(header->name, path, length);
        return true;
    }
    size_t split = MIN(length - 2, sizeof(header->prefix));
    while (split > 0 && path[split] != '/')
        split--;
    if (split == 0 || length - split - 1 > sizeof(header->name))
        return false;
    memcpy(header->prefix, path, split);
    memcpy(header->name, path + split + 1, length - split - 1);
    return true;
}

/* What a reader without pax makes of a path that ustar does not hold: its beginning, in ASCII, and
 * never with the '/' at its end that would make a file a directory. */
static void put_poor_path(TarHeader *header, const char *path)
{
    size_t length = MIN(strlen(path), sizeof(header->name));
    for (size_t i = 0; i < length; i++)
        header->name[i] = (char)((unsigned char)path[i] < 0x80 ? path[i] : '_');
    if (header->name[length - 1] == '/' && path[length] != '\0')
        header->name[length - 1] = '_';
}

static void append_header(GByteArray *out, const char *path, char type, int64_t size)
{
    TarHeader header = {.type = type, .magic = "ustar", .version = {'0', '0'}};
    if (!g_str_is_ascii(path) || !put_path(&header, path))
        put_poor_path(&header, path);
    put_octal(header.mode, sizeof(header.mode), type == TYPE_DIRECTORY ? 0755 : 0644);
    put_octal(header.uid, sizeof(header.uid), OWNER);
    put_octal(header.gid, sizeof(header.gid), GROUP);
    put_octal(header.size, sizeof(header.size), size > MAX_SIZE ? 0 : size);
    put_octal(header.mtime, sizeof(header.mtime), 0);
    put_checksum(&header);
    g_byte_array_append(out, (const guint8 *)&header, sizeof(header));
}

/* "LENGTH KEY=VALUE\n", where the length counts its own digits too. */
static void add_record(GString *records, const char *key, const char *value)
{
    size_t rest = strlen(key) + strlen(value) + 3;
    size_t length = rest + 1;
    for (;;) {
        g_autofree char *digits = g_strdup_printf("%zu", length);
        size_t needed = rest + strlen(digits);
        if (needed == length)
            break;
        length = needed;
    }
    g_string_append_printf(records, "%zu %s=%s\n", length, key, value);
}

static void append_pax(GByteArray *out, const char *path, int64_t size)
{
    static const guint8 ZEROS[TAR_BLOCK];
    g_autoptr(GString) records = g_string_new(NULL);
    TarHeader scratch = {0};
    if (!g_str_is_ascii(path) || !put_path(&scratch, path))
        add_record(records, "path", path);
    if (size > MAX_SIZE) {
        g_autofree char *digits = g_strdup_printf("%" G_GINT64_FORMAT, size);
        add_record(records, "size", digits);
    }
    if (records->len == 0)
        return;
    append_header(out, "././@PaxHeader", TYPE_PAX, (int64_t)records->len);
    g_byte_array_append(out, (const guint8 *)records->str, (guint)records->len);
    g_byte_array_append(out, ZEROS, (guint)tar_padding((int64_t)records->len));
}

void tar_append_file(GByteArray *out, const char *path, int64_t size)
{
    append_pax(out, path, size);
    append_header(out, path, TYPE_FILE, size);
}

void tar_append_parents(GByteArray *out, const char *root, const char *previous, const char *path)
{
    size_t root_length = strlen(root);
    for (const char *slash = strchr(path + root_length, '/'); slash;
         slash = strchr(slash + 1, '/')) {
        size_t length = (size_t)(slash - path) + 1;
        if (previous && strncmp(previous, path, length) == 0)
            continue;
        g_autofree char *directory = g_strndup(path, length);
        append_pax(out, directory, 0);
        append_header(out, directory, TYPE_DIRECTORY, 0);
    }
}

size_t tar_padding(int64_t size)
{
    return (size_t)(-size & (TAR_BLOCK - 1));
}
