/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/* Whether a directory that settings name can be used. Any thread. */
#ifndef TETHER_FOLDER_H
#define TETHER_FOLDER_H

#include <stddef.h>

/* This user can put files into @path. 0, or -errno with what is to be done in @text. */
int folder_check(const char *path, char *text, size_t size);
/* The same for the directory in which the file @path is to be. */
int folder_check_for(const char *path, char *text, size_t size);

#endif
