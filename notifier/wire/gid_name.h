/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * An Ethernet port has no LID. What stands for one, wherever a LID is a key, is the name of a GID:
 * 32 bits, above each LID. Names are said between builds, so how they are made never changes. Two
 * GIDs may have one name: who holds addresses compares the GIDs, and refuses the second
 * ("gid-collision"). Pure; any thread.
 */
#ifndef TETHER_GID_NAME_H
#define TETHER_GID_NAME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "notifier/wire/rows.h"

enum {
	GID_BYTES = 16,
	LID_HIGHEST = 0xffff,
	NAMES_SINCE = 7, /* version of the protocol */
};

/* 0 for the GID of zeros, which is nobody's, and for no other. */
uint32_t gid_name(const uint8_t gid[GID_BYTES]);

static inline bool is_gid_name(uint32_t lid)
{
	return lid >> 31;
}

/* @lid with @gid is what an address may say: a LID, whatever the GID, or the name of that GID. */
bool gid_name_fits(uint32_t lid, const uint8_t *gid, size_t gid_bytes);

/* Without its name an address says the same to whoever knows names, and what it ever did to others.
 */
static inline void address_unname(Tether__Address *address)
{
	if (is_gid_name(address->lid))
		address->lid = 0;
}

/* An address that is a VM's for good, and nobody's GID: what its events are about where it has no
 * LID. @gid is set; its name is returned. */
uint32_t gid_of_vm(const char *vm, uint8_t gid[GID_BYTES]);

/* Which GID the names in other tables stand for. */

/* 0, also where it is there already; -EEXIST: another has its name; -EBADMSG, -ENOMEM. */
int gid_rows_add(Tether__GidRows *rows, const uint8_t gid[GID_BYTES]);
/* The same for a row of another table, whatever it is called. */
int gid_rows_add_row(Tether__GidRows *rows, const struct gid_row *row);
/* Each row once, in some order. -EBADMSG, -ENOMEM */
int gid_rows_compact(Tether__GidRows *rows);
/* False: it is not there, is called otherwise, or two have its name. @gid is set on success. */
bool gid_rows_find(const Tether__GidRows *rows, uint32_t name, uint8_t gid[GID_BYTES]);

#endif
