/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * A view with holes: a fabric of plan_topologies.h in which tables are missing or short, entries
 * lead anywhere, LIDs and GUIDs are there twice, cables lead to nobody. Either the moves are
 * refused, or the plan leads everybody to where it says, and back.
 */
#include <stdlib.h>
#include <string.h>

#include "sm-side/plan/undo.h"
#include "unit/plan_topologies.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { MOVES = 6, HOLES = 12 };

static struct topology topology, pristine;
static struct view_peer peers[TOPOLOGY_SWITCHES][TOPOLOGY_PORTS + 1];
static struct view_end_port end_ports[TOPOLOGY_SLOTS];
static uint32_t table_entries[TOPOLOGY_SWITCHES];

struct bytes {
	const uint8_t *at, *end;
};

static unsigned byte(struct bytes *bytes)
{
	return bytes->at < bytes->end ? *bytes->at++ : 0;
}

static unsigned word(struct bytes *bytes)
{
	unsigned high = byte(bytes);

	return high << 8 | byte(bytes);
}

/* ---- a fabric ---- */

static void fabric_take(unsigned seed)
{
	topology_make(&topology, TOPOLOGY_ANY, seed);
	for (unsigned sw = 0; sw < topology.switch_count; sw++) {
		table_entries[sw] = TOPOLOGY_LIDS;
		for (unsigned port = 0; port <= topology.switches[sw].ports; port++) {
			const struct topology_peer *peer = &topology.switches[sw].peer[port];

			peers[sw][port] = (struct view_peer){peer->index, peer->port, peer->kind};
		}
	}
	for (unsigned i = 0; i < topology.identity_count; i++)
		end_ports[i] = (struct view_end_port){
		        .port_guid = topology.identities[i].port_guid,
		        .node_guid = topology.identities[i].node_guid,
		        .lid = topology.identities[i].lid,
		        .node_ports = 1,
		        .groups = 1,
		};
}

static void hole_make(struct bytes *bytes)
{
	unsigned what = byte(bytes), sw = byte(bytes) % topology.switch_count;
	unsigned port = byte(bytes) % (TOPOLOGY_PORTS + 1), value = word(bytes);
	struct view_end_port *end_port = &end_ports[port % topology.identity_count];

	switch (what % 9) {
	case 0:
		peers[sw][port] =
		        (struct view_peer){value, (uint8_t)(value >> 4), (uint8_t)(value & 3)};
		break;
	case 1:
		topology.switches[sw].lft[value % TOPOLOGY_LIDS] = (uint8_t)port;
		break;
	case 2:
		table_entries[sw] = value % (TOPOLOGY_LIDS + 1);
		break;
	case 3:
		end_port->lid = (uint16_t)value;
		break;
	case 4:
		end_port->port_guid = end_ports[value % topology.identity_count].port_guid;
		break;
	case 5:
		topology.switches[sw].guid = topology.switches[value % topology.switch_count].guid;
		break;
	case 6:
		end_port->lmc = (uint8_t)(value & 7);
		end_port->node_ports = (uint8_t)(value >> 8);
		break;
	case 7:
		end_port->is_sm = true;
		break;
	default:
		topology.switches[sw].ports = (uint8_t)(value % (TOPOLOGY_PORTS + 1));
	}
}

static struct fabric_view *view_make(void)
{
	struct fabric_view *view = fabric_view_create();

	for (unsigned sw = 0; sw < topology.switch_count; sw++)
		fabric_view_add_switch(view, topology.switches[sw].guid,
		        topology.switches[sw].ports,
		        table_entries[sw] ? topology.switches[sw].lft : NULL, table_entries[sw]);
	for (unsigned i = 0; i < topology.identity_count; i++)
		fabric_view_add_end_port(view, &end_ports[i]);
	for (unsigned sw = 0; sw < topology.switch_count; sw++)
		for (unsigned port = 0; port <= topology.switches[sw].ports; port++)
			if (peers[sw][port].kind != PEER_NONE)
				fabric_view_link(view, sw, (uint8_t)port, peers[sw][port]);
	if (fabric_view_finish(view) && !view->fault.kind)
		abort();
	return view;
}

/* ---- moves ---- */

static struct plan_move_request move_take(struct bytes *bytes)
{
	unsigned vm = byte(bytes), to = byte(bytes), kind = byte(bytes);
	const struct view_end_port *end_port = &end_ports[vm % topology.identity_count];

	return (struct plan_move_request){
	        .kind = kind & 0x10 ? (enum plan_move_kind)(kind & 3) : MOVE_SWAP,
	        .vm_port_guid = kind & 0x20 ? vm : end_port->port_guid,
	        .vm_node_guid = kind & 0x40 ? end_port->node_guid : 0,
	        .to = topology_place(&topology, to % topology.slot_count),
	        .lid = kind & 0x80 ? (uint16_t)(vm << 8 | to) : 0,
	        .other_in_use = kind & 8,
	};
}

static enum refusal plan_take(
        const struct fabric_view *view, struct bytes *bytes, struct plan **plan)
{
	struct plan_move_request moves[MOVES];
	unsigned how = byte(bytes);
	struct view_fault fault = {0};
	struct plan_request request = {
	        .order = (enum plan_order)(how % 3),
	        .reach = how & 0x40 ? PLAN_MINIMUM : PLAN_DETERMINISTIC,
	        .moves = moves,
	        .fault = &fault,
	};
	enum refusal refused;

	request.move_count = how / 3 % MOVES;
	for (unsigned i = 0; i < request.move_count; i++)
		moves[i] = move_take(bytes);
	refused = plan_make(
	        view, how & 0x80 ? &endpoint_plain_ca : &endpoint_vswitch, &request, plan);
	if (refused == REFUSAL_BAD_VIEW && !fault.kind)
		abort();
	return refused;
}

/* ---- what is planned ---- */

static void sets_write(const struct plan_sets *sets)
{
	for (uint32_t i = 0; i < sets->change_count; i++) {
		const struct plan_change *set = &sets->changes[i];
		int sw = topology_find_switch(&topology, set->switch_guid);

		if (sw < 0 || (set->block + 1u) * LFT_BLOCK_LIDS > table_entries[sw] ||
		        memcmp(&topology.switches[sw].lft[set->block * LFT_BLOCK_LIDS], set->before,
		                LFT_BLOCK_LIDS))
			abort();
		topology_write(&topology, set->switch_guid, set->block, set->after);
	}
}

/* Does a packet at @sw come out at @place? Nobody has to be reached from where there is no entry;
 * so it is everywhere with a LID beyond the tables, that of a VM which ends and was only promised
 * it.
 */
static bool comes_out(unsigned sw, uint16_t lid, struct view_place place)
{
	if (lid >= TOPOLOGY_LIDS)
		return !place.switch_guid;
	if (topology.switches[sw].lft[lid] == LFT_NO_PORT)
		return true;
	for (unsigned hops = 0; hops <= topology.switch_count; hops++) {
		uint8_t port = topology.switches[sw].lft[lid];

		if (topology.switches[sw].guid == place.switch_guid && port == place.port)
			return true;
		if (port > topology.switches[sw].ports || peers[sw][port].kind != PEER_SWITCH)
			return false;
		sw = peers[sw][port].index;
	}
	return false;
}

static void check_arrivals(const struct plan *plan)
{
	for (uint32_t i = 0; i < plan->transfer_count; i++)
		for (unsigned sw = 0; sw < topology.switch_count; sw++)
			if (!comes_out(sw, plan->transfers[i].identity.lid, plan->transfers[i].to))
				abort();
}

/* One who ended and was not known but by its LID: nobody can say where routes back would have to
 * lead. */
static bool comes_back_to_nowhere(const struct plan *back)
{
	for (uint32_t i = 0; i < back->move_count; i++)
		if (back->moves[i].kind == VM_CREATE && !back->moves[i].to.switch_guid)
			return true;
	return false;
}

static void check_way_back(const struct fabric_view *view, const struct plan *plan)
{
	struct plan *back = plan_reverse(plan);
	struct plan_left left;

	if (!back || plan_left(view, plan, &left) || !left.routes_done)
		abort();
	plan_left_clear(&left);
	if (comes_back_to_nowhere(back)) {
		if (plan_left(view, back, &left) == REFUSAL_NONE)
			plan_left_clear(&left);
		plan_destroy(back);
		return;
	}
	if (plan_left(view, back, &left))
		abort();
	sets_write(&left.sets);
	plan_left_clear(&left);
	plan_destroy(back);
	if (memcmp(&topology, &pristine, sizeof(topology)) != 0)
		abort();
}

/* Whatever else has happened to the tables: what is left, or a refusal. */
static void ask_again(const struct fabric_view *view, struct bytes *bytes, const struct plan *plan)
{
	struct plan *back = NULL;
	struct plan_left left;

	while (bytes->at < bytes->end) {
		unsigned sw = byte(bytes) % topology.switch_count;

		topology.switches[sw].lft[word(bytes) % TOPOLOGY_LIDS] = (uint8_t)byte(bytes);
	}
	if (plan_left(view, plan, &left) == REFUSAL_NONE)
		plan_left_clear(&left);
	if (plan_undo(view, &endpoint_plain_ca, plan, &back) == REFUSAL_NONE)
		plan_destroy(back);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct bytes bytes = {data, data + size};
	struct fabric_view *view;
	struct plan *plan = NULL;

	fabric_take(word(&bytes));
	for (unsigned holes = byte(&bytes) % HOLES; holes; holes--)
		hole_make(&bytes);
	view = view_make();
	if (plan_take(view, &bytes, &plan) == REFUSAL_NONE) {
		pristine = topology;
		sets_write(&plan->sets);
		check_arrivals(plan);
		check_way_back(view, plan);
		ask_again(view, &bytes, plan);
		plan_destroy(plan);
	}
	fabric_view_destroy(view);
	return 0;
}
