#include "image_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

Event fixture_finding;

/* A file whose content is `text`, or, where that is NULL, `real` zeros. */
typedef struct {
    PackageFile file; /* first: a PackageFile of the list is one of these */
    char *text;
    int64_t real;
} FakeFile;

typedef struct {
    PackageReader reader;
    const FakeFile *file;
    int64_t at;
} FakeReader;

char *fixture_directory(void)
{
    char *directory = g_dir_make_tmp("waybill-XXXXXX", NULL);
    assert_non_null(directory);
    return directory;
}

void fixture_remove(const char *directory)
{
    const char *command[] = {"rm", "-rf", "--", directory, NULL};
    g_free(fixture_run(command));
}

int fixture_count(const char *directory, const char *name)
{
    g_autofree char *path = g_build_filename(directory, name, NULL);
    g_autoptr(GDir) stream = g_dir_open(path, 0, NULL);
    if (!stream)
        return -1;
    int count = 0;
    while (g_dir_read_name(stream))
        count++;
    return count;
}

char *fixture_run(const char *const *command)
{
    char *output = NULL;
    g_autofree char *messages = NULL;
    int status = -1;
    g_autoptr(GError) error = NULL;
    if (!g_spawn_sync(NULL, (char **)command, NULL, G_SPAWN_SEARCH_PATH, NULL, NULL, &output,
                      &messages, &status, &error) ||
        !g_spawn_check_wait_status(status, &error))
        fail_msg("%s: %s: %s", command[0], error->message, messages);
    return output;
}

static ssize_t fake_read(PackageReader *reader, void *data, size_t size, Event **finding)
{
    FakeReader *fake = (FakeReader *)reader;
    size_t part = MIN(size, (uint64_t)(fake->file->real - fake->at));
    if (fake->file->text)
        memcpy(data, fake->file->text + fake->at, part);
    else
        memset(data, 0, part);
    fake->at += (int64_t)part;
    return (ssize_t)part;
}

static bool fake_end(PackageReader *reader, Event **finding)
{
    FakeReader *fake = (FakeReader *)reader;
    if (fake->file->real == fake->file->file.identity.size)
        return true;
    *finding = &fixture_finding;
    return false;
}

static void fake_reader_free(PackageReader *reader)
{
    g_free(reader);
}

static PackageReader *fake_open(PackageSource *source, const char *child, const PackageFile *file,
                                Event **finding)
{
    FakeReader *fake = g_new0(FakeReader, 1);
    fake->reader = (PackageReader){fake_read, fake_end, fake_reader_free};
    fake->file = (const FakeFile *)file;
    return &fake->reader;
}

static void fake_file_free(FakeFile *fake)
{
    g_free(fake->file.path);
    g_free(fake->text);
    g_free(fake);
}

Package *fixture_package(void)
{
    static PackageSource source = {.open = fake_open};
    Package *package = g_new0(Package, 1);
    package->source = &source;
    package->files = g_ptr_array_new_with_free_func((GDestroyNotify)fake_file_free);
    return package;
}

static void add(Package *package, const char *path, char *text, int64_t size, int64_t real)
{
    FakeFile *fake = g_new0(FakeFile, 1);
    fake->file.path = g_strdup(path);
    fake->file.identity.size = size;
    fake->text = text;
    fake->real = real;
    g_ptr_array_add(package->files, fake);
    package->bytes += size;
}

void fixture_add(Package *package, const char *path, const char *content)
{
    int64_t size = (int64_t)strlen(content);
    add(package, path, g_strdup(content), size, size);
}

void fixture_add_zeros(Package *package, const char *path, int64_t size, int64_t real)
{
    add(package, path, NULL, size, real);
}

void fixture_package_free(Package *package)
{
    g_ptr_array_unref(package->files);
    g_free(package);
}
