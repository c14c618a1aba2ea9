#include "base/size.h"

char *size_text(int64_t bytes)
{
    static const char *const UNITS[] = {"KiB", "MiB", "GiB", "TiB", "PiB"};
    if (bytes < 1024)
        return g_strdup_printf("%d B", (int)bytes);
    double value = (double)bytes;
    int unit = -1;
    while (value >= 1024 && unit < 4) {
        value /= 1024;
        unit++;
    }
    return g_strdup_printf(value < 10 ? "%.1f %s" : "%.0f %s", value, UNITS[unit]);
}
