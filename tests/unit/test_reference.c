#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "image/reference.h"

#define DIGEST "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

static void assert_refused(const char *text, const char *what)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(Reference) reference = reference_parse(text, &error);
    if (reference)
        fail_msg("%s was taken for a reference", text);
    assert_true(error->domain == REFERENCE_ERROR);
    assert_true(g_utf8_validate(error->message, -1, NULL));
    if (!strstr(error->message, what))
        fail_msg("%s: \"%s\" does not say \"%s\"", text, error->message, what);
}

static Reference *parse(const char *text)
{
    g_autoptr(GError) error = NULL;
    Reference *reference = reference_parse(text, &error);
    if (!reference)
        fail_msg("%s: %s", text, error->message);
    assert_string_equal(reference->text, text);
    return reference;
}

static void registry_reference_has_host_repository_and_tag(void **state)
{
    g_autoptr(Reference) a = parse("registry.example:5000/team/models/digits:1.0.0");
    assert_int_equal(a->kind, REFERENCE_REGISTRY);
    assert_false(a->plain_http);
    assert_string_equal(a->host, "registry.example:5000");
    assert_string_equal(a->repository, "team/models/digits");
    assert_string_equal(a->tag, "1.0.0");
    assert_null(a->digest);
    assert_null(a->directory);

    g_autoptr(Reference) b = parse("registry+http://localhost/a__b/c.d@" DIGEST);
    assert_true(b->plain_http);
    assert_string_equal(b->host, "localhost");
    assert_string_equal(b->repository, "a__b/c.d");
    assert_null(b->tag);
    assert_string_equal(b->digest, DIGEST);

    g_autoptr(Reference) c = parse("[::1]:5000/x:latest");
    assert_string_equal(c->host, "[::1]:5000");
}

static void layout_reference_ends_its_directory_at_the_first_colon(void **state)
{
    g_autoptr(Reference) a = parse("oci:/srv/images:default/digits:1.0.0");
    assert_int_equal(a->kind, REFERENCE_LAYOUT);
    assert_string_equal(a->directory, "/srv/images");
    assert_string_equal(a->tag, "default/digits:1.0.0");
    assert_null(a->host);

    g_autoptr(Reference) b = parse("oci:images@" DIGEST);
    assert_string_equal(b->directory, "images");
    assert_string_equal(b->digest, DIGEST);
    assert_null(b->tag);
}

static void reference_that_is_none_is_refused_by_name(void **state)
{
    assert_refused("", "the image reference is \"\"");
    assert_refused("digits", "expected HOST[:PORT]/REPOSITORY:TAG");
    assert_refused("library/digits:1", "the registry is \"library\"");
    assert_refused("host.example:0/digits:1", "port is \"0\"");
    assert_refused("host.example:65536/digits:1", "port is \"65536\"");
    assert_refused("host.example/digits", "a tag or a digest at its end");
    assert_refused("host.example/digits:1@" DIGEST, "not both");
    assert_refused("host.example/digits@sha256:abc", "the digest is \"sha256:abc\"");
    assert_refused("host.example/digits@sha256:../../etc/passwd", "the digest is");
    assert_refused("host.example/Digits:1", "the repository is \"Digits\"");
    assert_refused("host.example/a//b:1", "the repository is");
    assert_refused("host.example/a___b:1", "the repository is");
    assert_refused("host.example/../x:1", "the repository is");
    assert_refused("host.example/digits:-1", "the tag is \"-1\"");
    assert_refused("host.example/digits:1\n", "the tag is");
    assert_refused("https://host.example/digits:1", "no scheme");
    assert_refused("registry+http://https://host.example/digits:1", "no scheme");
    assert_refused("host.example/\xff:1", "the repository is");
    assert_refused("-host.example/digits:1", "the registry is");
    assert_refused("oci:/srv/images", "a tag at its end");
    assert_refused("oci::tag", "expected oci:DIR:TAG");
    assert_refused("oci:/srv/images:", "the tag is");
    assert_refused("oci:/srv/images:a b", "the tag is");
    assert_refused("oci:/srv/images:a@" DIGEST, "not both");
}

static void name_that_registries_take_stays(void **state)
{
    static const char *const NAMES[] = {"digits", "a.b_c-d", "a--b", "0", "x-a"};
    for (size_t i = 0; i < G_N_ELEMENTS(NAMES); i++) {
        g_autofree char *encoded = reference_encode_name(NAMES[i]);
        assert_string_equal(encoded, NAMES[i]);
    }
}

/* The expected ones: python3 -c 'import base64, hashlib, sys;
 * print(base64.b32encode(hashlib.sha256(sys.argv[1].encode()).digest()[:10]).decode().lower())' */
static void name_that_they_do_not_take_is_encoded(void **state)
{
    static const struct {
        const char *name, *encoded;
    } NAMES[] = {
        {"Digits", "x--ttkqbu6wt6yqv3z6"},    {"手写数字", "x--xpxzeadakgjx23w2"},
        {"x--digits", "x--3jzjmleutgqd5x4s"}, {"a__b", "x--mps4drcv2aovzpf2"},
        {"-a", "x--yj2isf4qgrofntxt"},        {"a_", "x--k4p3byyljxmuxl4l"},
    };
    for (size_t i = 0; i < G_N_ELEMENTS(NAMES); i++) {
        g_autofree char *encoded = reference_encode_name(NAMES[i].name);
        assert_string_equal(encoded, NAMES[i].encoded);
    }
}

static void name_of_an_image_is_a_reference(void **state)
{
    g_autofree char *name = reference_name("default", "Digits", "1.0.0");
    assert_string_equal(name, "default/x--ttkqbu6wt6yqv3z6:1.0.0");
    g_autofree char *address = g_strconcat("oci:/srv/images:", name, NULL);
    g_autoptr(Reference) reference = parse(address);
    assert_string_equal(reference->tag, name);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(registry_reference_has_host_repository_and_tag),
        cmocka_unit_test(layout_reference_ends_its_directory_at_the_first_colon),
        cmocka_unit_test(reference_that_is_none_is_refused_by_name),
        cmocka_unit_test(name_that_registries_take_stays),
        cmocka_unit_test(name_that_they_do_not_take_is_encoded),
        cmocka_unit_test(name_of_an_image_is_a_reference),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
