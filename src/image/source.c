#include "image/source.h"

#include "base/error_domain.h"

DEFINE_ERROR_DOMAIN(image_error);

void descriptor_free(Descriptor *descriptor)
{
    if (!descriptor)
        return;
    g_free(descriptor->media_type);
    g_free(descriptor->digest);
    g_free(descriptor);
}

void blob_reader_free(BlobReader *reader)
{
    if (reader)
        reader->free(reader);
}
