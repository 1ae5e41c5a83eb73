/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * The GIDs by which an Ethernet port is known to others, who name it by each of them
 * (notifier/wire/gid_name.h): what it shows, and has shown. Any thread; a list grows only, until it
 * is cleared.
 */
#ifndef TETHER_KNOWN_GIDS_H
#define TETHER_KNOWN_GIDS_H

#include <infiniband/verbs.h>
#include <stdbool.h>
#include <stdint.h>

/* Zero-initialised it is empty. */
struct known_gids {
	union ibv_gid *at;
	unsigned count, announced; /* of them the first */
};

/* 1: it is new; 0: it is there, or of zeros; -ENOMEM */
int known_gids_add(struct known_gids *known, const union ibv_gid *gid);
/* How many are announced. */
unsigned known_gids_announced(const struct known_gids *known);
/* The @i-th of them; false: they are no more. */
bool known_gids_get(const struct known_gids *known, unsigned i, union ibv_gid *gid);
/* The next that is not; it is from then on. False: all are. */
bool known_gids_next(struct known_gids *known, union ibv_gid *gid);
bool known_gids_have_name(const struct known_gids *known, uint32_t name);
/* All of @from. -ENOMEM: as it was. */
int known_gids_copy(struct known_gids *to, const struct known_gids *from);
void known_gids_clear(struct known_gids *known);

/* In a child after fork. */
void known_gids_in_child(void);

#endif
