/* The registries that keep the images, and that built ones are shared with: whether each takes an
 * upload from us, by beginning one and giving it up. */
#include <string.h>

#include "image/registry_push.h"
#include "image/store.h"
#include "upkeep/doctor_checks.h"

/* A repository beneath the namespace, which nothing comes into. */
#define PROBE "waybill-doctor:probe"

static char *mend_of(const Doctor *doctor, const char *id, const GError *error)
{
    if (error->domain == REFERENCE_ERROR)
        return g_strdup(strcmp(id, "images-registry") == 0
                            ? "images.url = registry://HOST/NAMESPACE"
                            : "image.share_to = HOST/NAMESPACE");
    if (error->domain == REGISTRY_ERROR && error->code == REGISTRY_ERROR_UNREACHABLE)
        return g_strdup(doctor->zh
                            ? "检查地址;不使用 TLS 的写作 registry+http://HOST,自有 CA 需设置 "
                              "registry.ca_file"
                            : "see to the address; without TLS it is registry+http://HOST, a CA of "
                              "its own is registry.ca_file");
    return g_strdup(doctor->zh ? "以运行 Waybill 的用户执行 podman login,或设置 images.auth_file"
                               : "podman login as the user that runs Waybill, or images.auth_file");
}

static bool takes_an_upload(const Settings *settings, const char *place, GError **error)
{
    g_autoptr(GError) failure = NULL;
    g_autofree char *text =
        g_strdup_printf("%s%s" PROBE, place, g_str_has_suffix(place, "/") ? "" : "/");
    g_autoptr(Reference) reference = reference_parse(text, error);
    if (!reference)
        return false;
    RegistryLogin *login =
        registry_login_find(settings, reference->host, reference->repository, &failure);
    if (failure) {
        g_propagate_error(error, g_steal_pointer(&failure));
        return false;
    }
    g_autoptr(Registry) registry = registry_open(settings, reference, login, NULL, error);
    g_autoptr(RegistryUpload) upload = registry ? registry_upload_new(registry, 0, error) : NULL;
    return upload != NULL;
}

static void look_at(Doctor *doctor, const char *id, const char *place)
{
    g_autoptr(GError) error = NULL;
    if (takes_an_upload(doctor->settings, place, &error))
        doctor_add(doctor, id, DOCTOR_OK, NULL,
                   doctor->zh ? "%s 接受推送" : "%s takes what we push", place);
    else
        doctor_add(doctor, id, DOCTOR_FAIL, mend_of(doctor, id, error), "%s: %s", place,
                   error->message);
}

void doctor_registries(Doctor *doctor)
{
    g_autofree char *images = image_store_url_place(settings_text(doctor->settings, "images.url"));
    g_auto(GStrv) places =
        g_strsplit_set(settings_text(doctor->settings, "image.share_to"), " \t", -1);
    if (images)
        look_at(doctor, "images-registry", images);
    for (char **place = places; *place; place++)
        if (**place)
            look_at(doctor, "share-registry", *place);
}
