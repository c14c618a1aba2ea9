/* The quark of an error domain, NAME_quark(). G_DEFINE_QUARK is not for several threads at once:
 * they race to write it, if the same value. */
#pragma once

#include <glib.h>
#include <stdatomic.h>

#define DEFINE_ERROR_DOMAIN(name)                                          \
    GQuark name##_quark(void)                                              \
    {                                                                      \
        static _Atomic(GQuark) quark;                                      \
        GQuark known = atomic_load_explicit(&quark, memory_order_relaxed); \
        if (G_UNLIKELY(known == 0)) {                                      \
            known = g_quark_from_static_string("waybill-" #name);          \
            atomic_store_explicit(&quark, known, memory_order_relaxed);    \
        }                                                                  \
        return known;                                                      \
    }                                                                      \
    GQuark name##_quark(void) /* takes the semicolon */
