/* Environments as the pipeline sees them: what one depends on, whether it is there, and why not. */
#pragma once

#include "build/packages.h"
#include "event/finding.h"
#include "import/pipeline.h"
#include "store/environments.h"

typedef struct {
    char *key;      /* SHA-256 over the inputs */
    json_t *inputs; /* {base, dependencies, wheels, sources, installer} */
    bool pinned;    /* every dependency names its version */
} EnvironmentKey;
void environment_key_clear(EnvironmentKey *key);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(EnvironmentKey, environment_key_clear)

/* dependencies: of Dependency. The wheels among them are identified by their content, as the
 * attempt's `copy` packed them. */
bool environment_key_make(Service *service, const Image *base, const GPtrArray *dependencies,
                          const char *model_id, int attempt, const PackageSources *sources,
                          EnvironmentKey *key, GError **error);

/* What a build would say of dependencies that there is nothing to be had from: 39, kind no_network.
 * A check says it beforehand. */
bool environment_check_sources(const Settings *settings, bool embedded, const Config *config,
                               Findings *findings, GError **error);

/* EnvImageExplained: why there has to be a build. Of an environment that is nearest to this one it
 * says what differs; `forced` (or NULL) is a reason that stands above all. */
Event *event_environment_miss(Service *service, const EnvironmentKey *key, const char *forced,
                              GError **error);
/* The same of one that is used again. */
Event *event_environment_hit(const Environment *environment, const EnvironmentKey *key);

/* Its layer becomes the attempt's, within the caller's transaction. layer NULL: none is needed. */
bool environment_layer_record(Service *service, const char *model_id, int attempt,
                              const char *layer, int64_t size, int64_t files, GError **error);
/* What the stage's result keeps: former.c and `show` read it. A new reference. */
json_t *environment_result(const char *base_digest, const char *key, const char *packages);
/* The resolved packages of an attempt, [{installer, name, version}]; NULL with *error unset: it has
 * none. A new reference. */
json_t *environment_packages(Db *db, const char *model_id, int attempt, GError **error);
