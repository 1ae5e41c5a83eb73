/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "unit/plan_dynamic_cases.h"

struct topology at, earlier;
struct wanted wanted;

static uint64_t next_guid = 0xd00001;

static bool is_wanted(unsigned slot)
{
	for (unsigned i = 0; i < wanted.count; i++)
		if (wanted.from[i] == (int)slot || wanted.to[i] == (int)slot)
			return true;
	return false;
}

int slot_for(bool empty)
{
	for (unsigned try = 0; try < 40; try++) {
		unsigned slot = topology_random(&at, at.slot_count);

		if (!at.slots[slot].is_pf && (at.slots[slot].identity < 0) == empty &&
		        !is_wanted(slot))
			return (int)slot;
	}
	return -1;
}

void want(enum plan_move_kind kind, int from, int to)
{
	struct plan_move_request *move = &wanted.moves[wanted.count];

	if ((kind != VM_CREATE && from < 0) || (kind != VM_DESTROY && to < 0))
		return;
	*move = (struct plan_move_request){.kind = kind};
	if (kind == VM_CREATE) {
		move->vm_port_guid = next_guid;
		move->vm_node_guid = next_guid - 1;
		next_guid += 2;
	} else {
		move->vm_port_guid = topology_port_guid_in(&at, (unsigned)from);
	}
	if (kind != VM_DESTROY)
		move->to = topology_place(&at, (unsigned)to);
	wanted.from[wanted.count] = kind == VM_CREATE ? -1 : from;
	wanted.to[wanted.count++] = kind == VM_DESTROY ? -1 : to;
}

enum refusal plan_wanted(enum plan_order order, struct plan **plan)
{
	struct fabric_view *view = topology_view(&at);
	struct plan_request request = {
	        .order = order, .move_count = wanted.count, .moves = wanted.moves};
	enum refusal refused = plan_make(view, &endpoint_vswitch, &request, plan);

	fabric_view_destroy(view);
	return refused;
}

void write_sets(const struct plan_sets *sets, uint32_t count)
{
	for (uint32_t i = 0; i < count; i++)
		assert_true(topology_write(&at, sets->changes[i].switch_guid,
		        sets->changes[i].block, sets->changes[i].after));
}

unsigned blocks_differing(void)
{
	unsigned count = 0;

	for (unsigned sw = 0; sw < at.switch_count; sw++)
		for (unsigned lid = 0; lid < TOPOLOGY_LIDS; lid += LFT_BLOCK_LIDS)
			count += memcmp(&at.switches[sw].lft[lid], &earlier.switches[sw].lft[lid],
			                 LFT_BLOCK_LIDS) != 0;
	return count;
}
