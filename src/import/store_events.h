/* What the registry that keeps the images (images.url) did not take, or give: images.md, "push of a
 * model or environment image". */
#pragma once

#include "event/event.h"
#include "import/service.h"

/* 2: push_denied (also: it does not know the repository), push_quota, login_unread, push_broken; 22
 * registry_429. NULL: the failure is none of that registry. */
Event *store_event(const Service *service, const GError *failure);
