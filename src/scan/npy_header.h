/* Inside of scan/: the header of a .npy file (NEP 1), a dictionary as Python's ast.literal_eval
 * reads it. */
#pragma once

#include <stddef.h>
#include <stdint.h>

typedef enum {
    NPY_NUMBERS, /* *bytes of them follow, which are no pickle */
    NPY_OBJECTS, /* a pickle follows */
    NPY_UNKNOWN  /* it is not what numpy writes: either may follow */
} NpyContent;

NpyContent npy_header_content(const char *header, size_t size, uint64_t *bytes);
