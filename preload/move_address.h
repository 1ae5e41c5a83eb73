/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * By what others know a VM that moves. Its LID says it, or those of its VFs, or the names of their
 * GIDs where there are no LIDs; then its own address is nobody's, and says who it is. Under
 * Shared Port the LID is others' as well: there a context is the VM's by its GID, and a queue pair
 * at one of the LIDs under which the VM is known by its number; as long as nobody has said the VM's
 * numbers (before STOP), each may be. The service thread's, control verbs kept out.
 */
#ifndef TETHER_MOVE_ADDRESS_H
#define TETHER_MOVE_ADDRESS_H

#include "notifier/wire/rows.h"
#include "preload/move.h"

/* What the event says. -ENOMEM, -EBADMSG: as it was. */
int move_address_take(struct move *move, const Tether__Event *event);
void move_address_clear(struct move *move);

/* It is known under that LID, or the name of that GID. */
static inline bool move_has_lid(const struct move *move, uint32_t lid)
{
	if (lid == move->lid)
		return lid;
	for (size_t i = 0; i < move->known_lid_count; i++) {
		if (move->known_lids[i] == lid)
			return true;
	}
	return false;
}

/* The event is of the same VM as @move. */
bool move_address_is(const struct move *move, const Tether__Event *event);
bool move_has_ports(const struct move *move, const struct port *ports);
/* Each of its VFs has a LID of its own. */
bool move_has_several_vfs(const struct move *move);
/* Who is at the other end of a connection is in the VM, or may be. */
bool move_has_remote(const struct move *move, const struct remote *remote);

/*
 * Each LID, or name, under which the VM is known: the same ones as long as something is
 * stopped. _in: and those that its rows in @rows name, once each; -ENOMEM, -EBADMSG. Ends with the
 * first error of @at_lid.
 */
typedef int move_at_lid(struct move *move, uint32_t lid, void *owner);
int move_each_lid(struct move *move, move_at_lid *at_lid, void *owner);
int move_each_lid_in(
        struct move *move, const Tether__QpRows *rows, move_at_lid *at_lid, void *owner);

/* The row is of the VM itself. */
static inline bool move_has_row(const struct move *move, const struct qp_row *row)
{
	return move->shared_port ? row->of_vm : move_has_lid(move, row->local_lid);
}

#endif
