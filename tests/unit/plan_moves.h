/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/* Moves planned on one fabric, and carried out in it as agents and plugin would. */
#ifndef TETHER_TESTS_PLAN_MOVES_H
#define TETHER_TESTS_PLAN_MOVES_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "sm-side/plan/plan.h"
#include "unit/plan_fabric.h"

enum { FABRICS = 300 };

/* As it is, and as it was before the move. */
static struct test_fabric fabric, earlier;

static inline struct plan_move_request request_for(unsigned from, unsigned to)
{
	return (struct plan_move_request){
	        .vm_port_guid = fabric.identities[fabric.slots[from].identity].port_guid,
	        .to = test_place(&fabric, to),
	};
}

static inline enum refusal plan_of_one(
        const struct fabric_view *view, const struct plan_move_request *move, struct plan **plan)
{
	struct plan_request request = {.move_count = 1, .moves = move};

	return plan_make(view, &endpoint_vswitch, &request, plan);
}

static inline enum refusal plan_between(unsigned from, unsigned to, struct plan **plan)
{
	struct fabric_view *view = test_view(&fabric);
	struct plan_move_request request = request_for(from, to);
	enum refusal refused = plan_of_one(view, &request, plan);

	fabric_view_destroy(view);
	return refused;
}

/* What the agents do: the identities change slots. */
static inline void exchange_identities(unsigned a, unsigned b)
{
	unsigned identity = fabric.slots[a].identity;

	fabric.slots[a].identity = fabric.slots[b].identity;
	fabric.slots[b].identity = identity;
}

static inline void change_write(const struct plan_change *change)
{
	for (unsigned i = 0; i < fabric.switch_count; i++) {
		uint8_t *block = fabric.switches[i].lft + (size_t)change->block * LFT_BLOCK_LIDS;

		if (fabric.switches[i].guid != change->switch_guid)
			continue;
		assert_memory_equal(block, change->before, LFT_BLOCK_LIDS);
		memcpy(block, change->after, LFT_BLOCK_LIDS);
		return;
	}
	fail_msg("no switch of that GUID");
}

static inline void plan_write(const struct plan *plan)
{
	for (uint32_t i = 0; i < plan->sets.change_count; i++)
		change_write(&plan->sets.changes[i]);
}

static inline unsigned another_slot(unsigned slot)
{
	return (slot + 1 + test_random(&fabric, fabric.slot_count - 1)) % fabric.slot_count;
}

/* Two hypervisors with two VFs each, behind two switches. */
static inline void small_fabric(void)
{
	memset(&fabric, 0, sizeof(fabric));
	test_add_switch(&fabric, false);
	test_add_switch(&fabric, false);
	test_cable(&fabric, 0, 1);
	test_cable(&fabric, 0, 1);
	for (unsigned i = 0; i < 2; i++) {
		unsigned vswitch = test_add_switch(&fabric, true);

		test_cable(&fabric, vswitch, i);
		test_add_slot(&fabric, vswitch);
		test_add_slot(&fabric, vswitch);
	}
	for (unsigned i = 0; i < fabric.slot_count; i++)
		fabric.identities[i].lid = (uint16_t)(60 + i * 3);
	for (unsigned i = 0; i < fabric.slot_count; i++)
		test_route(&fabric, &fabric.slots[i]);
}

#endif
