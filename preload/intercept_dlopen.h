/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/* Programs that find libibverbs by dlopen(3). Any thread. */
#ifndef TETHER_INTERCEPT_DLOPEN_H
#define TETHER_INTERCEPT_DLOPEN_H

/* What dlopen(3) is below this library. */
void *loader_dlopen(const char *file, int flags);

#endif
