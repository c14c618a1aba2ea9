/* What a bootstrapped image is made of: which files of a Debian system stay, the inference service,
 * the config. */
#pragma once

#include "image/image.h"
#include "image/layer_archive.h"

/* LayerArchiveKeeps. Left out is what belongs to the machine or the run that made it: devices, host
 * name and resolver, logs, caches, locks, backups of files, mmdebstrap's own settings. */
bool bootstrap_image_keeps(const char *path, bool is_directory);
/* /etc/apt/sources.list: Debian's own servers, whichever mirror was used. */
bool bootstrap_image_add_sources(LayerArchive *layer, const char *release, GError **error);
/* The layer with the files of runtime/python/, in /opt/waybill. */
LayerArchive *bootstrap_image_service(Layout *layout, GError **error);
/* layers: the two, of ImageLayer. */
Image *bootstrap_image_make(Layout *layout, const char *name, const char *release,
                            const GPtrArray *layers, GError **error);
