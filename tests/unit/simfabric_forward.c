/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "simfabric/forward.h"
#include "unit/simfabric_fixture.h"

static int open_fabric(void **state)
{
	struct fabric *fabric = fixture_open();

	if (!fabric)
		return -1;
	fixture_bring_up(fabric);
	*state = fabric;
	return 0;
}

static int close_fabric(void **state)
{
	fixture_close(*state);
	return 0;
}

static int send(
        struct fabric *fabric, const char *from, uint16_t dlid, uint32_t *to, unsigned *hops)
{
	*to = NO_INDEX;
	return forward_unicast(fabric, fixture_port(fabric, from, 1), dlid, to, hops);
}

static void packet_follows_the_tables_to_the_lid(void **state)
{
	uint32_t to;
	unsigned hops;

	assert_int_equal(send(*state, "H1", 12, &to, &hops), 0);
	assert_int_equal(to, fixture_port(*state, "H2", 1));
	assert_int_equal(hops, 3);
	assert_int_equal(send(*state, "vf1", 16, &to, &hops), 0);
	assert_int_equal(to, fixture_port(*state, "vf2", 1));
	assert_int_equal(hops, 2);
}

static void packet_to_its_own_lid_does_not_leave(void **state)
{
	uint32_t to;
	unsigned hops;

	assert_int_equal(send(*state, "H1", 11, &to, &hops), 0);
	assert_int_equal(to, fixture_port(*state, "H1", 1));
	assert_int_equal(hops, 0);
}

static void switch_port_0_accepts_its_lid(void **state)
{
	uint32_t to;
	unsigned hops;

	assert_int_equal(send(*state, "H1", 2, &to, &hops), 0);
	assert_int_equal(to, fixture_port(*state, "S2", 0));
}

static void lid_without_a_route_is_unreachable(void **state)
{
	uint32_t to;

	fixture_set_route(*state, "S2", 12, LFT_NO_PORT);
	assert_int_equal(send(*state, "H1", 12, &to, NULL), -ENETUNREACH);
	assert_int_equal(send(*state, "H1", 40000, &to, NULL), -ENETUNREACH);
	assert_int_equal(send(*state, "H1", 0, &to, NULL), -ENETUNREACH);
	assert_int_equal(send(*state, "H1", 0xffff, &to, NULL), -ENETUNREACH);
}

static void entry_beyond_the_top_or_the_ports_is_no_route(void **state)
{
	struct fabric *fabric = *state;
	uint32_t to;

	fixture_set_route(fabric, "S1", 12, 5);
	assert_int_equal(send(fabric, "H1", 12, &to, NULL), -ENETUNREACH);
	fixture_set_route(fabric, "S1", 12, 2);
	assert_int_equal(send(fabric, "H1", 12, &to, NULL), 0);
	switch_info_set_linear_top(fabric->switches[0].info, 11);
	assert_int_equal(send(fabric, "H1", 12, &to, NULL), -ENETUNREACH);
}

static void loop_is_found(void **state)
{
	uint32_t to;

	fixture_set_route(*state, "S2", 12, 1);
	assert_int_equal(send(*state, "H1", 12, &to, NULL), -ELOOP);
}

static void wrong_entry_arrives_at_a_port_that_refuses(void **state)
{
	uint32_t to;

	fixture_set_route(*state, "S2", 12, 3);
	assert_int_equal(send(*state, "H1", 12, &to, NULL), -EHOSTUNREACH);
	fixture_set_route(*state, "S2", 12, 0);
	assert_int_equal(send(*state, "H1", 12, &to, NULL), -EHOSTUNREACH);
}

static void link_that_is_not_active_stops_data_but_not_smps(void **state)
{
	struct fabric *fabric = *state;
	struct port *between = &fabric->ports[fixture_port(fabric, "S2", 1)];
	uint32_t to;

	port_info_set_state(between->info, PORT_ARMED);
	assert_int_equal(send(fabric, "H1", 12, &to, NULL), -ENETDOWN);
	assert_int_equal(
	        forward_smp(fabric, fixture_port(fabric, "H1", 1), 12, &to, NULL, NULL), 0);
	port_info_set_phys_state(between->info, PORT_PHYS_POLLING);
	assert_int_equal(
	        forward_smp(fabric, fixture_port(fabric, "H1", 1), 12, &to, NULL, NULL), -ENETDOWN);
}

static void unwired_port_sends_nothing(void **state)
{
	uint32_t to;

	assert_int_equal(
	        forward_unicast(*state, fixture_port(*state, "H2", 2), 13, &to, NULL), -ENETDOWN);
}

static void lmc_widens_what_a_port_accepts(void **state)
{
	struct fabric *fabric = *state;
	uint32_t to, port = fixture_port(fabric, "H2", 1);

	port_info_set_lid(fabric->ports[port].info, 20);
	port_info_set_lmc(fabric->ports[port].info, 2);
	for (uint16_t lid = 20; lid < 25; lid++) {
		fixture_set_route(fabric, "S1", lid, 2);
		fixture_set_route(fabric, "S2", lid, 2);
	}
	assert_int_equal(send(fabric, "H1", 23, &to, NULL), 0);
	assert_int_equal(to, port);
	assert_int_equal(send(fabric, "H1", 24, &to, NULL), -EHOSTUNREACH);
}

/* ---- multicast ---- */

enum { MLID = MFT_FIRST_LID + 37 };

static void set_group(struct fabric *fabric, const char *node, uint16_t mlid, uint16_t ports)
{
	uint32_t sw = fabric->nodes[node_find(fabric, node)].switch_index;
	unsigned index = mlid - MFT_FIRST_LID;
	uint8_t *entry = switch_mft_block(fabric, sw, 0, index / MFT_BLOCK) + index % MFT_BLOCK * 2;

	entry[0] = (uint8_t)(ports >> 8);
	entry[1] = (uint8_t)ports;
}

/* H1, H2, H3's first port, vf1 and vf2. */
static void set_tree(struct fabric *fabric)
{
	set_group(fabric, "S1", MLID, 1 << 1 | 1 << 2 | 1 << 3);
	set_group(fabric, "S2", MLID, 1 << 1 | 1 << 2 | 1 << 3);
	set_group(fabric, "V", MLID, 1 << 1 | 1 << 3 | 1 << 4);
}

struct reached {
	unsigned count;
	uint32_t ports[16];
};

static void reach(void *arg, uint32_t port)
{
	struct reached *reached = arg;

	assert_true(reached->count < 16);
	reached->ports[reached->count++] = port;
}

/* @nodes: names with a space behind each; their first ports, each once. */
static void spreads_to(struct fabric *fabric, const char *from, const char *nodes)
{
	struct reached reached = {0};
	char name[16];
	int length;

	forward_multicast(fabric, fixture_port(fabric, from, 1), MLID, reach, &reached);
	for (; sscanf(nodes, "%15s %n", name, &length) == 1; nodes += length) {
		uint32_t port = fixture_port(fabric, name, 1);
		unsigned found = 0;

		for (unsigned i = 0; i < reached.count; i++) {
			if (reached.ports[i] != port)
				continue;
			found++;
			reached.ports[i--] = reached.ports[--reached.count];
		}
		assert_int_equal(found, 1);
	}
	assert_int_equal(reached.count, 0);
}

static void copies_follow_the_tables_and_do_not_come_back(void **state)
{
	set_tree(*state);
	spreads_to(*state, "H1", "H2 H3 vf1 vf2 ");
	spreads_to(*state, "vf1", "H1 H2 H3 vf2 ");
	/* Whoever sends need not be a member. */
	spreads_to(*state, "P", "H1 H2 H3 vf1 vf2 ");
}

static void table_is_read_for_each_packet(void **state)
{
	set_tree(*state);
	set_group(*state, "V", MLID, 1 << 1 | 1 << 4);
	spreads_to(*state, "H1", "H2 H3 vf2 ");
	set_group(*state, "S1", MLID, 1 << 1 | 1 << 3);
	spreads_to(*state, "H1", "vf2 ");
	set_group(*state, "S1", MLID, 0);
	spreads_to(*state, "H1", "");
}

static void group_of_another_lid_goes_elsewhere(void **state)
{
	set_tree(*state);
	set_group(*state, "S1", MLID, 0);
	set_group(*state, "S1", MLID + 1, 0xffff);
	set_group(*state, "S1", MLID - 1, 0xffff);
	spreads_to(*state, "H1", "");
}

static void multicast_top_ends_the_table(void **state)
{
	struct fabric *fabric = *state;
	uint8_t *info = fabric->switches[fabric->nodes[node_find(fabric, "S2")].switch_index].info;

	set_tree(fabric);
	switch_info_set_multicast_top(info, MLID - 1);
	spreads_to(fabric, "H1", "vf1 vf2 ");
	switch_info_set_multicast_top(info, MLID);
	spreads_to(fabric, "H1", "H2 H3 vf1 vf2 ");
}

static void dead_link_loses_only_what_lies_behind_it(void **state)
{
	struct fabric *fabric = *state;

	set_tree(fabric);
	port_info_set_state(fabric->ports[fixture_port(fabric, "S2", 1)].info, PORT_ARMED);
	spreads_to(fabric, "H1", "vf1 vf2 ");
}

static void loop_of_tables_ends(void **state)
{
	struct fabric *fabric = *state;

	set_tree(fabric);
	/* Ports that are not there, or lead back, are in the masks as well. */
	set_group(fabric, "S1", MLID, 0xffff);
	set_group(fabric, "S2", MLID, 0xffff);
	set_group(fabric, "V", MLID, 0xffff);
	fabric->ports[fixture_port(fabric, "S2", 4)].peer = fixture_port(fabric, "S1", 4);
	fabric->ports[fixture_port(fabric, "S1", 4)].peer = fixture_port(fabric, "S2", 4);
	port_info_set_state(fabric->ports[fixture_port(fabric, "S1", 4)].info, PORT_ACTIVE);
	spreads_to(fabric, "H1", "H2 H3 P vf1 vf2 ");
}

static void limited_members_do_not_match_each_other(void **state)
{
	assert_true(forward_pkey_matches(0xffff, 0xffff));
	assert_true(forward_pkey_matches(0xffff, 0x7fff));
	assert_false(forward_pkey_matches(0x7fff, 0x7fff));
	assert_false(forward_pkey_matches(0x8001, 0x8002));
	assert_false(forward_pkey_matches(0x8000, 0x8000));
	assert_false(forward_pkey_matches(0, 0));
}

#define on_fabric(test) cmocka_unit_test_setup_teardown(test, open_fabric, close_fabric)

int main(void)
{
	const struct CMUnitTest tests[] = {
	        on_fabric(packet_follows_the_tables_to_the_lid),
	        on_fabric(packet_to_its_own_lid_does_not_leave),
	        on_fabric(switch_port_0_accepts_its_lid),
	        on_fabric(lid_without_a_route_is_unreachable),
	        on_fabric(entry_beyond_the_top_or_the_ports_is_no_route),
	        on_fabric(loop_is_found),
	        on_fabric(wrong_entry_arrives_at_a_port_that_refuses),
	        on_fabric(link_that_is_not_active_stops_data_but_not_smps),
	        on_fabric(unwired_port_sends_nothing),
	        on_fabric(lmc_widens_what_a_port_accepts),
	        on_fabric(copies_follow_the_tables_and_do_not_come_back),
	        on_fabric(table_is_read_for_each_packet),
	        on_fabric(group_of_another_lid_goes_elsewhere),
	        on_fabric(multicast_top_ends_the_table),
	        on_fabric(dead_link_loses_only_what_lies_behind_it),
	        on_fabric(loop_of_tables_ends),
	        cmocka_unit_test(limited_members_do_not_match_each_other),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
