/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * A number for a name, or for other bytes, for tables of what others have chosen: keyed
 * (SipHash-1-3) by what the kernel gave this process when it began, so that nobody can choose names
 * which all fall into one place. Pure; any thread.
 */
#ifndef TETHER_NAME_HASH_H
#define TETHER_NAME_HASH_H

#include <stddef.h>
#include <stdint.h>

uint64_t name_hash(const char *name, size_t length);

#endif
