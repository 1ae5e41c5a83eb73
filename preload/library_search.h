/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/* dlopen(3) in another's name: the loader looks where whoever calls it has it look. Any thread. */
#ifndef TETHER_LIBRARY_SEARCH_H
#define TETHER_LIBRARY_SEARCH_H

/* As if the code at @caller had called dlopen(@file, @flags). */
void *library_open_as(const void *caller, const char *file, int flags);

#endif
