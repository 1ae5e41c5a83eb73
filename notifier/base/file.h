/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/* Files that are written as a whole. Any thread. */
#ifndef TETHER_BASE_FILE_H
#define TETHER_BASE_FILE_H

#include <stddef.h>
#include <sys/types.h>

/* @name in @directory, an open one, has these bytes and this mode once 0 is returned, whatever
 * happens; what it had before until then. NAME.new stands beside it meanwhile. -errno */
int file_replace(int directory, const char *name, mode_t mode, const char *bytes, size_t length);

#endif
