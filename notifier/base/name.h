/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * What a VM or a host may be called: it becomes the name of a file, part of a process's
 * ("vm1/12.345") and of a URL's path. Pure; any thread.
 */
#ifndef TETHER_BASE_NAME_H
#define TETHER_BASE_NAME_H

#include <stdbool.h>

enum { NAME_MOST = 64 };

/* 1 to NAME_MOST letters, digits and _.-:@, not beginning with a dot. */
bool name_is_fit(const char *name);

#endif
