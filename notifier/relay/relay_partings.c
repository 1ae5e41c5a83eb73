/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * "This end of a connection of rdma_cm was disconnected", one end of which has moved since it was
 * made (preload/DESIGN.md, "rdma_cm"). Up to the root, which is its own parent, and from there to
 * all who have interest in that end: one of them is the other. Who tells of an end that is another
 * VM's is not passed on. Nobody answers.
 */
#include "notifier/relay/relay_state.h"

#include <string.h>

#include "notifier/relay/lid_claims.h"

enum { SINCE_VERSION = 7 };

static bool has_another_end(
        const struct relay *relay, const struct child *child, const Tether__Parting *parting)
{
	struct lid_owners owners = relay_lid_owners(relay);

	return !child_has_vm(child, parting->vm) ||
	       lid_is_anothers(&owners, child, parting->vm, parting->local_lid) ||
	       lid_is_foreign(&owners, child, parting->vm, parting->local_lid);
}

void relay_parting_take(
        struct relay *relay, const struct child *child, const Tether__Parting *parting)
{
	Tether__Parting passed = *parting;
	Tether__Frame frame = TETHER__FRAME__INIT;

	if (child->vm)
		passed.vm = child->vm;
	if (has_another_end(relay, child, &passed)) {
		relay->counts.foreign_partings++;
		return;
	}
	relay->counts.partings++;
	frame.body_case = TETHER__FRAME__BODY_PARTING;
	frame.parting = &passed;
	if (relay->settings.role == TETHER__ROLE__ROLE_ROOT ||
	        relay->parent_version >= SINCE_VERSION)
		relay->outputs->parent_send(relay->owner, &frame);
}

static bool is_of_interest(
        const struct relay *relay, const struct child *child, const Tether__Parting *parting)
{
	struct address local = {.lid = parting->local_lid};

	return registration_holds(relay->registration, child->member, &local) ||
	       (child->member_before &&
	               registration_holds(relay->registration, child->member_before, &local));
}

void relay_parting_hand(struct relay *relay, const Tether__Parting *parting)
{
	Tether__Frame frame = TETHER__FRAME__INIT;

	frame.body_case = TETHER__FRAME__BODY_PARTING;
	frame.parting = (Tether__Parting *)parting;
	for (const struct child *child = relay->children.first; child; child = child->next)
		if (child->name && child->connected && child->version >= SINCE_VERSION &&
		        is_of_interest(relay, child, parting))
			relay_child_say(relay, child, &frame);
}
