/* Where an image comes from, as documents that travel with it: the timeline of its import, and an
 * in-toto statement (v1) with a SLSA provenance predicate (v1, slsa.dev/provenance). */
#pragma once

#include "image/image.h"
#include "import/pipeline.h"

#define PROVENANCE_ARTIFACT  "application/vnd.waybill.import.v1+json"
#define PROVENANCE_TIMELINE  "application/vnd.waybill.timeline.v1+json"
#define PROVENANCE_STATEMENT "application/vnd.in-toto+json"
#define PROVENANCE_ENVELOPE  "application/vnd.dsse.envelope.v1+json"
#define PROVENANCE_TYPE      "https://in-toto.io/Statement/v1"
#define PROVENANCE_PREDICATE "https://slsa.dev/provenance/v1"

/* {model, version, project, attempt, events: […]}: the attempt's events up to now. The caller frees
 * it. */
char *provenance_timeline(const Import *import, GError **error);
/* The statement names the timeline by its digest, as a byproduct: who signs the one has signed
 * both. hashed: files that have a layer of their own are hashed by themselves, too. The caller
 * frees it. */
char *provenance_statement(Import *import, const Image *image, const char *timeline, bool hashed,
                           GError **error);
#define PROVENANCE_BYPRODUCT "timeline"
