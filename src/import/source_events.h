/* What is wrong with an image at its source, as events (images.md, "Which answer gives which
 * event"). A layout behaves like a registry: no directory or no layout 19, a tag that is not in its
 * index 7, a blob that is missing or damaged 19, what is malformed 9, a blob that cannot be read
 * 24. */
#pragma once

#include "event/event.h"
#include "image/place.h"

typedef struct {
    const Reference *reference;
    const char *text;     /* the reference as it was written, without its scheme */
    const char *platform; /* that was wanted */
    const ImagePlace *place;
    const ImageFault *fault;
} SourceView;

/* NULL: it is no failure of the source. */
Event *source_event(const SourceView *view, const GError *failure);

/* What every event about a registry tells of its last failure: http, peer, who asked, how often and
 * how long. Returns the event. */
Event *event_with_registry(Event *event, const Registry *registry, const char *image);
/* The registry could not be asked, or refused: by what was asked for. NULL: it is none of that. */
Event *registry_event(const Registry *registry, const char *repository, const char *image,
                      const GError *failure);
