/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/* Several moves asked for at once, and what the agents do then. */
#ifndef TETHER_TESTS_PLAN_REQUESTS_H
#define TETHER_TESTS_PLAN_REQUESTS_H

#include "unit/plan_moves.h"

enum { MOVES_MAX = 12 };

/* Moves of one request, by slot. Nobody is named twice, no slot is. */
static struct {
	unsigned count, from[MOVES_MAX], to[MOVES_MAX];
	struct plan_move_request requests[MOVES_MAX];
} wanted;

static inline bool is_among(const unsigned *slots, unsigned count, unsigned slot)
{
	for (unsigned i = 0; i < count; i++)
		if (slots[i] == slot)
			return true;
	return false;
}

static inline void want(unsigned from, unsigned to)
{
	wanted.requests[wanted.count] = request_for(from, to);
	wanted.from[wanted.count] = from;
	wanted.to[wanted.count++] = to;
}

/* Rows and rings of VMs that follow each other come about, too. */
static inline void want_at_random(unsigned most)
{
	memset(&wanted, 0, sizeof(wanted));
	for (unsigned try = 0; try < 4 * most && wanted.count < most; try++) {
		unsigned from = test_random(&fabric, fabric.slot_count);
		unsigned to = another_slot(from);

		if (!is_among(wanted.from, wanted.count, from) &&
		        !is_among(wanted.to, wanted.count, to))
			want(from, to);
	}
}

static inline enum refusal plan_wanted(enum plan_order order, struct plan **plan)
{
	struct fabric_view *view = test_view(&fabric);
	struct plan_request request = {
	        .order = order, .move_count = wanted.count, .moves = wanted.requests};
	enum refusal refused = plan_make(view, &endpoint_vswitch, &request, plan);

	fabric_view_destroy(view);
	return refused;
}

static inline unsigned slot_of(uint64_t port_guid)
{
	for (unsigned slot = 0; slot < fabric.slot_count; slot++)
		if (fabric.identities[fabric.slots[slot].identity].port_guid == port_guid)
			return slot;
	fail_msg("nobody has that GUID");
	return 0;
}

/* One move after the other, whoever is in the slot coming back. */
static inline void exchange_wanted(void)
{
	for (unsigned i = 0; i < wanted.count; i++)
		exchange_identities(slot_of(wanted.requests[i].vm_port_guid), wanted.to[i]);
}

/* All at once, as a plan has them. */
static inline void seat(const struct plan *plan)
{
	unsigned moved[2 * MOVES_MAX];

	for (uint32_t i = 0; i < plan->transfer_count; i++)
		moved[i] = fabric.slots[slot_of(plan->transfers[i].identity.port_guid)].identity;
	for (uint32_t i = 0; i < plan->transfer_count; i++)
		for (unsigned slot = 0; slot < fabric.slot_count; slot++)
			if (view_place_equal(plan->transfers[i].to, test_place(&fabric, slot)))
				fabric.slots[slot].identity = moved[i];
}

static inline bool is_transferred(const struct plan *plan, unsigned lid)
{
	for (uint32_t i = 0; i < plan->transfer_count; i++)
		if (plan->transfers[i].identity.lid == lid)
			return true;
	return false;
}

#endif
