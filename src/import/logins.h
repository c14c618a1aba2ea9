/* What is logged in with at a registry: a project's own credential (`waybill credential`); without
 * one, for whoever runs this program himself, what podman and docker keep for him. Who asks over
 * HTTP gets none of the service's own logins. */
#pragma once

#include "image/reference.h"
#include "image/registry_login.h"
#include "import/service.h"

/* project NULL: the service's own alone. own: whether the service's own logins may be used. NULL
 * with *error unset: anonymous. */
RegistryLogin *login_for(Service *service, const char *project, bool own,
                         const Reference *reference, GError **error);
