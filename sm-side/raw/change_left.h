/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * What of a change is still to be done over a fabric as it was read, in either direction. Only the
 * change's own entries and LIDs are looked at and touched: what another change has done in the same
 * blocks meanwhile stays. Back is the way in reverse, wave by wave, so every state between is one
 * that the way forth has, too. Pure.
 */
#ifndef TETHER_CHANGE_LEFT_H
#define TETHER_CHANGE_LEFT_H

#include "sm-side/raw/fabric_change.h"
#include "sm-side/raw/fabric_read.h"

enum change_direction { CHANGE_FORTH, CHANGE_BACK };

enum { STALE_TEXT_BYTES = 160 };

struct change_left {
	uint32_t slot_count;
	struct slot_change *slots; /* LIDs still to be set, @after */
	struct plan_sets sets;     /* still to be sent */
};

/*
 * @now has the blocks and ports that the change touches. -ESTALE: an entry or a LID is neither what
 * the change found, nor what it wants, nor on the way between: *@why names it. -ENOENT: a switch or
 * a slot is not there; *@why, too. -ENOMEM. change_left_clear it on success.
 */
int change_left(const struct fabric_change *change, enum change_direction direction,
        const struct fabric_read *now, struct change_left *left, char why[STALE_TEXT_BYTES]);
void change_left_clear(struct change_left *left);

#endif
