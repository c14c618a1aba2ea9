#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <glib/gstdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/io.h"
#include "base/seal.h"

#define HEX "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"

typedef struct {
    char *path;
    int directory;
} Scene;

static int scene_up(void **state)
{
    Scene *scene = g_new0(Scene, 1);
    scene->path = g_dir_make_tmp("waybill-seal-XXXXXX", NULL);
    scene->directory = open(scene->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    *state = scene;
    return scene->directory < 0;
}

static int scene_down(void **state)
{
    Scene *scene = *state;
    unlinkat(scene->directory, SEAL_KEY_FILE, 0);
    unlinkat(scene->directory, "key.txt", 0);
    close(scene->directory);
    g_rmdir(scene->path); /* a left-over temporary file would keep it: the machine's sweep */
    g_free(scene->path);
    g_free(scene);
    return 0;
}

static SealKey *open_key(const Scene *scene, const char *setting, bool create, GError **error)
{
    return seal_key_open(scene->directory, scene->path, setting, create, error);
}

static void write_file(const Scene *scene, const char *name, const void *data, size_t size,
                       mode_t mode)
{
    assert_true(io_replace_file(scene->directory, name, data, size, mode, NULL));
    assert_int_equal(fchmodat(scene->directory, name, mode, 0), 0);
}

static void seal_opens_what_it_sealed_with_the_key_file_it_made(void **state)
{
    const Scene *scene = *state;
    g_autoptr(SealKey) key = open_key(scene, "", true, NULL);
    assert_non_null(key);
    g_autofree char *sealed = seal_text(key, "access-key A", "s3cret", NULL);
    assert_null(strstr(sealed, "s3cret"));
    g_autofree char *twice = seal_text(key, "access-key A", "s3cret", NULL);
    assert_string_not_equal(sealed, twice);
    g_autoptr(SealKey) again = open_key(scene, "", false, NULL);
    char *opened = seal_open(again, "access-key A", sealed, NULL);
    assert_string_equal(opened, "s3cret");
    seal_forget(opened);
    struct stat about;
    assert_int_equal(fstatat(scene->directory, SEAL_KEY_FILE, &about, 0), 0);
    assert_int_equal(about.st_mode & 0777, 0600);
    assert_int_equal(about.st_size, SEAL_KEY_BYTES);
    assert_int_equal(about.st_nlink, 1);
}

static void seal_tells_a_wrong_key_from_damage(void **state)
{
    const Scene *scene = *state;
    g_autoptr(SealKey) key = open_key(scene, "", true, NULL);
    g_autoptr(SealKey) other = open_key(scene, HEX, false, NULL);
    g_autofree char *sealed = seal_text(key, "a", "secret", NULL);
    g_autoptr(GError) wrong = NULL, moved = NULL, short_one = NULL, foreign = NULL;
    assert_null(seal_open(other, "a", sealed, &wrong));
    assert_true(g_error_matches(wrong, SEAL_ERROR, SEAL_ERROR_OTHER));
    assert_non_null(strstr(wrong->message, "another key"));
    assert_null(seal_open(key, "b", sealed, &moved));
    assert_true(g_error_matches(moved, SEAL_ERROR, SEAL_ERROR_DAMAGED));
    for (gsize i = 8; i < strlen(sealed) - 2; i++) { /* behind the fingerprint */
        g_autofree char *bent = g_strdup(sealed);
        bent[i] = bent[i] == 'A' ? 'B' : 'A';
        assert_null(seal_open(key, "a", bent, NULL));
    }
    assert_null(seal_open(key, "a", "1:AAAA", &short_one));
    assert_true(g_error_matches(short_one, SEAL_ERROR, SEAL_ERROR_DAMAGED));
    assert_null(seal_open(key, "a", "secret", &foreign));
    assert_true(g_error_matches(foreign, SEAL_ERROR, SEAL_ERROR_DAMAGED));
}

static void seal_key_of_settings_is_hex_base64_or_a_file(void **state)
{
    const Scene *scene = *state;
    unsigned char bytes[SEAL_KEY_BYTES];
    for (int i = 0; i < SEAL_KEY_BYTES; i++)
        bytes[i] = (unsigned char)i;
    g_autofree char *base64 = g_base64_encode(bytes, sizeof bytes);
    g_autofree char *file = g_build_filename(scene->path, "key.txt", NULL);
    g_autoptr(SealKey) hex = open_key(scene, HEX, false, NULL);
    g_autofree char *sealed = seal_text(hex, "a", "x", NULL);
    const char *const texts[] = {HEX, base64, HEX "\n", base64};
    for (size_t i = 0; i < G_N_ELEMENTS(texts); i++) {
        bool is_file = i > 1;
        if (is_file)
            write_file(scene, "key.txt", texts[i], strlen(texts[i]), 0600);
        g_autoptr(SealKey) key = open_key(scene, is_file ? file : texts[i], false, NULL);
        assert_non_null(key);
        char *opened = seal_open(key, "a", sealed, NULL);
        assert_string_equal(opened, "x");
        seal_forget(opened);
    }
    write_file(scene, "key.txt", bytes, sizeof bytes, 0600);
    g_autoptr(SealKey) raw = open_key(scene, file, false, NULL);
    char *opened = seal_open(raw, "a", sealed, NULL);
    assert_string_equal(opened, "x");
    seal_forget(opened);
    assert_int_equal(faccessat(scene->directory, SEAL_KEY_FILE, F_OK, 0), -1);
}

static void assert_refused(const Scene *scene, const char *setting, const char *words)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(SealKey) key = open_key(scene, setting, true, &error);
    assert_null(key);
    if (!strstr(error->message, words))
        fail_msg("%s: expected %s", error->message, words);
    if (*setting && *setting != '/')
        assert_null(strstr(error->message, setting)); /* a secret, misspelt or not */
}

static void seal_key_that_is_none_is_refused(void **state)
{
    const Scene *scene = *state;
    g_autofree char *file = g_build_filename(scene->path, "key.txt", NULL);
    assert_refused(scene, "c0ffee", "64 hex digits");
    assert_refused(scene, "c0ffee##########################################", "64 hex digits");
    assert_refused(scene, "/nowhere/at/all", "/nowhere/at/all");
    write_file(scene, "key.txt", "short", 5, 0600);
    assert_refused(scene, file, "holds no key");
    write_file(scene, "key.txt", HEX, strlen(HEX), 0644);
    assert_refused(scene, file, "read by others");
    write_file(scene, SEAL_KEY_FILE, HEX, SEAL_KEY_BYTES, 0640);
    assert_refused(scene, "", "read by others");
    write_file(scene, SEAL_KEY_FILE, HEX, 31, 0600);
    assert_refused(scene, "", "not 32 bytes");
    unlinkat(scene->directory, SEAL_KEY_FILE, 0);
    assert_int_equal(symlinkat("key.txt", scene->directory, SEAL_KEY_FILE), 0);
    assert_refused(scene, "", SEAL_KEY_FILE);
}

static void seal_key_that_is_lost_is_not_made_anew_for_reading(void **state)
{
    g_autoptr(GError) error = NULL;
    assert_null(open_key(*state, "", false, &error));
    assert_true(g_error_matches(error, SEAL_ERROR, SEAL_ERROR_KEY));
    assert_non_null(strstr(error->message, "is gone"));
}

static void random_text_has_its_length_and_letters(void **state)
{
    g_autofree char *upper = seal_random_text(20, true, NULL),
                    *any = seal_random_text(40, false, NULL);
    assert_int_equal(strspn(upper, "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"), 20);
    assert_int_equal(strlen(upper), 20);
    assert_int_equal(strlen(any), 40);
    g_autofree char *other = seal_random_text(40, false, NULL);
    assert_string_not_equal(any, other);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, scene_up, scene_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(seal_opens_what_it_sealed_with_the_key_file_it_made),
        TEST(seal_tells_a_wrong_key_from_damage),
        TEST(seal_key_of_settings_is_hex_base64_or_a_file),
        TEST(seal_key_that_is_none_is_refused),
        TEST(seal_key_that_is_lost_is_not_made_anew_for_reading),
        cmocka_unit_test(random_text_has_its_length_and_letters),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
