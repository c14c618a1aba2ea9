/* What events tell of a request to an object store that failed (diagnosis.md, 11, 29, 42). */
#pragma once

#include "event/event.h"
#include "object/s3.h"

/* The kind of event 29 that it is. */
const char *s3_event_kind(const GError *error);
/* Bucket, who asked and with whose keys, http, the service's own code and request id, tries. */
Event *s3_event_with(Event *event, const S3 *s3);
/* What was wrong, in the words of whoever said it. */
const char *s3_event_error(const S3 *s3, const GError *error);
/* The name of who asks; "anonymous". */
const char *s3_principal(const S3 *s3);
