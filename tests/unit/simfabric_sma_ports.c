/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/* PortInfo: states, links, what can be set, what is heard of it, and the M_Key. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "notifier/base/cleanup.h"
#include "simfabric/links.h"
#include "unit/simfabric_smps.h"

/* PortInfo of @node as it is, to be changed and set. */
static void get_port_info(const char *node, unsigned number, uint32_t modifier)
{
	assert_int_equal(smp(node, number, GET, PORT_INFO, modifier), OK);
	port_info_set_state(data, PORT_NOP);
	port_info_set_phys_state(data, PORT_PHYS_NOP);
}

static void port_states_are_taken_step_by_step(void **state)
{
	static const struct {
		uint8_t from, asked;
		int status;
		uint8_t then;
	} rows[] = {
	        {PORT_INIT, PORT_NOP, OK, PORT_INIT},
	        {PORT_INIT, PORT_INIT, BAD_FIELD, PORT_INIT},
	        {PORT_INIT, PORT_ARMED, OK, PORT_ARMED},
	        {PORT_INIT, PORT_ACTIVE, BAD_FIELD, PORT_INIT},
	        {PORT_ARMED, PORT_ACTIVE, OK, PORT_ACTIVE},
	        {PORT_ARMED, PORT_DOWN, OK, PORT_INIT},
	        {PORT_ACTIVE, PORT_ACTIVE, OK, PORT_ACTIVE},
	        {PORT_ACTIVE, PORT_ARMED, BAD_FIELD, PORT_ACTIVE},
	        {PORT_ACTIVE, PORT_DOWN, OK, PORT_INIT},
	        {PORT_DOWN, PORT_ARMED, BAD_FIELD, PORT_DOWN},
	        {PORT_ACTIVE, 5, BAD_FIELD, PORT_ACTIVE},
	        {PORT_ACTIVE, 15, BAD_FIELD, PORT_ACTIVE},
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		print_message("# from %u asked %u\n", rows[i].from, rows[i].asked);
		port_info_set_state(port("H1", 1)->info, rows[i].from);
		get_port_info("H1", 1, 0);
		port_info_set_state(data, rows[i].asked);
		assert_int_equal(smp("H1", 1, SET, PORT_INFO, 0), rows[i].status);
		assert_int_equal(port_state(port("H1", 1)), rows[i].then);
	}
}

static void wrong_port_info_changes_nothing(void **state)
{
	static const struct {
		const char *what;
		unsigned byte, value;
	} rows[] = {
	        {"a multicast LID", 16, 0xc0},
	        {"the permissive LID as the SM's", 18, 0xff},
	        {"a larger MTU than the port has", 36, 5 << 4},
	        {"more VLs than the port has", 43, 5 << 4},
	        {"no such physical state", 33, 4 << 4},
	        {"a link width that it has not", 29, 0x40},
	        {"a link speed that it has not", 35, 8},
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		uint8_t before[64];

		print_message("# %s\n", rows[i].what);
		memcpy(before, port("H1", 1)->info, sizeof(before));
		get_port_info("H1", 1, 0);
		port_info_set_sm_sl(data, 9);
		data[rows[i].byte] = rows[i].value;
		assert_int_equal(smp("H1", 1, SET, PORT_INFO, 0), BAD_FIELD);
		assert_memory_equal(port("H1", 1)->info, before, sizeof(before));
	}
}

static void lid_change_is_counted_and_heard_of(void **state)
{
	get_port_info("H1", 1, 0);
	port_info_set_lid(data, 99);
	port_info_set_client_reregister(data, 1);
	assert_int_equal(smp("H1", 1, SET, PORT_INFO, 0), OK);
	assert_int_equal(port_lid(port("H1", 1)), 99);
	assert_int_equal(port_info_client_reregister(data), 0);
	assert_int_equal(port("H1", 1)->events[PORT_EVENT_LID_CHANGE], 1);
	assert_int_equal(port("H1", 1)->events[PORT_EVENT_CLIENT_REREGISTER], 1);
	assert_int_equal(port("H1", 1)->events[PORT_EVENT_SM_CHANGE], 0);
	assert_int_equal(counters_of_node(fabric, node_find(fabric, "H1"))->lids_changed, 1);
	get_port_info("H1", 1, 0);
	assert_int_equal(smp("H1", 1, SET, PORT_INFO, 0), OK);
	assert_int_equal(counters_of_node(fabric, node_find(fabric, "H1"))->lids_changed, 1);
}

static void switch_notes_what_happens_at_the_other_end_of_a_link(void **state)
{
	switch_info_set_state_change(switch_info("S1"), 0);
	switch_info_set_state_change(switch_info("S2"), 0);
	get_port_info("S1", 1, 2);
	port_info_set_state(data, PORT_DOWN);
	assert_int_equal(smp("S1", 1, SET, PORT_INFO, 2), OK);
	assert_int_equal(port_state(port("S1", 2)), PORT_INIT);
	assert_int_equal(port_state(port("S2", 1)), PORT_INIT);
	assert_int_equal(switch_info_state_change(switch_info("S1")), 0);
	assert_int_equal(switch_info_state_change(switch_info("S2")), 1);
}

static void disabled_port_is_down_at_both_ends_until_it_polls(void **state)
{
	get_port_info("S1", 1, 1);
	port_info_set_phys_state(data, PORT_PHYS_DISABLED);
	assert_int_equal(smp("S1", 2, SET, PORT_INFO, 1), OK);
	assert_int_equal(port_state(port("S1", 1)), PORT_DOWN);
	assert_false(port_is_up(port("H1", 1)));
	assert_int_equal(port("H1", 1)->events[PORT_EVENT_ERROR], 1);
	get_port_info("S1", 2, 1);
	port_info_set_state(data, PORT_DOWN);
	assert_int_equal(smp("S1", 2, SET, PORT_INFO, 1), OK);
	assert_false(port_is_up(port("S1", 1)));
	get_port_info("S1", 2, 1);
	port_info_set_phys_state(data, PORT_PHYS_POLLING);
	assert_int_equal(smp("S1", 2, SET, PORT_INFO, 1), OK);
	assert_int_equal(port_state(port("S1", 1)), PORT_INIT);
	assert_int_equal(port_state(port("H1", 1)), PORT_INIT);
}

static void pulled_cable_cannot_be_polled_up(void **state)
{
	uint32_t at = fixture_port(fabric, "H1", 1);

	link_plug(fabric, at, false);
	assert_int_equal(port_state(port("S1", 1)), PORT_DOWN);
	get_port_info("S1", 2, 1);
	port_info_set_phys_state(data, PORT_PHYS_POLLING);
	assert_int_equal(smp("S1", 2, SET, PORT_INFO, 1), OK);
	assert_false(port_is_up(port("S1", 1)));
	link_plug(fabric, at, true);
	assert_int_equal(port_state(port("H1", 1)), PORT_INIT);
	assert_int_equal(port_lid(port("H1", 1)), 11);
}

static void retrained_link_runs_at_what_both_ends_allow(void **state)
{
	get_port_info("S1", 1, 2);
	port_info_set_width_enabled(data, 0xff);
	port_info_set_speed_enabled(data, 0xf);
	assert_int_equal(smp("S1", 1, SET, PORT_INFO, 2), OK);
	assert_int_equal(port_info_speed_enabled(data), 7);
	assert_int_equal(port_info_speed_active(data), 1);
	get_port_info("S2", 2, 1);
	port_info_set_speed_enabled(data, 3);
	port_info_set_state(data, PORT_DOWN);
	assert_int_equal(smp("S2", 2, SET, PORT_INFO, 1), OK);
	assert_int_equal(port_info_speed_active(port("S1", 2)->info), 2);
	assert_int_equal(port_info_speed_active(port("S2", 1)->info), 2);
	assert_int_equal(port_info_width_active(port("S2", 1)->info), 2);
}

static void set_without_the_mkey_is_not_even_answered(void **state)
{
	uint8_t before[64];

	get_port_info("H1", 1, 0);
	port_info_set_mkey(data, 0x4711);
	assert_int_equal(smp("H1", 1, SET, PORT_INFO, 0), OK);
	memcpy(before, port("H1", 1)->info, sizeof(before));
	get_port_info("H1", 1, 0);
	assert_int_equal(port_info_mkey(data), 0x4711);
	port_info_set_lid(data, 77);
	assert_int_equal(smp("H1", 1, SET, PORT_INFO, 0), NO_ANSWER);
	assert_int_equal(port_lid(port("H1", 1)), 11);
	assert_int_equal(port_info_mkey_violations(port("H1", 1)->info), 1);
	assert_int_equal(smp_with_key("H1", 1, SET, PORT_INFO, 0, 0x4711), OK);
	assert_int_equal(port_lid(port("H1", 1)), 77);
}

static void protected_mkey_is_hidden_or_everything_is(void **state)
{
	get_port_info("S1", 1, 0);
	port_info_set_mkey(data, 0x4711);
	port_info_set_mkey_protect(data, 1);
	assert_int_equal(smp("S1", 1, SET, PORT_INFO, 0), OK);
	get_port_info("S1", 1, 0);
	assert_int_equal(port_info_mkey(data), 0);
	assert_int_equal(smp_with_key("S1", 1, GET, PORT_INFO, 0, 0x4711), OK);
	assert_int_equal(port_info_mkey(data), 0x4711);
	port_info_set_mkey_protect(data, 2);
	port_info_set_state(data, PORT_NOP);
	port_info_set_phys_state(data, PORT_PHYS_NOP);
	assert_int_equal(smp_with_key("S1", 1, SET, PORT_INFO, 0, 0x4711), OK);
	assert_int_equal(smp("S1", 1, GET, NODE_INFO, 0), NO_ANSWER);
	assert_int_equal(smp_with_key("S1", 1, GET, NODE_INFO, 0, 0x4711), OK);
}

#define on_fabric(test) cmocka_unit_test_setup_teardown(test, open_fabric, close_fabric)

int main(void)
{
	const struct CMUnitTest tests[] = {
	        on_fabric(port_states_are_taken_step_by_step),
	        on_fabric(wrong_port_info_changes_nothing),
	        on_fabric(lid_change_is_counted_and_heard_of),
	        on_fabric(switch_notes_what_happens_at_the_other_end_of_a_link),
	        on_fabric(disabled_port_is_down_at_both_ends_until_it_polls),
	        on_fabric(pulled_cable_cannot_be_polled_up),
	        on_fabric(retrained_link_runs_at_what_both_ends_allow),
	        on_fabric(set_without_the_mkey_is_not_even_answered),
	        on_fabric(protected_mkey_is_hidden_or_everything_is),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
