/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "notifier/base/cleanup.h"
#include "simfabric/forward.h"
#include "simfabric/links.h"
#include "simfabric/sma.h"
#include "unit/simfabric_fixture.h"

enum {
	GET = METHOD_SUBN_GET,
	SET = METHOD_SUBN_SET,
	NODE_DESCRIPTION = 0x10,
	NODE_INFO = 0x11,
	SWITCH_INFO = 0x12,
	GUID_INFO = 0x14,
	PORT_INFO = 0x15,
	PKEYS = 0x16,
	SL_TO_VL = 0x17,
	VL_ARB = 0x18,
	LFT = 0x19,
	MFT = 0x1b,
	NO_ANSWER = -1,
	OK = STATUS_OK,
	BAD_FIELD = STATUS_BAD_FIELD,
	BAD_ATTRIBUTE = STATUS_BAD_METHOD_ATTRIBUTE,
};

static struct fabric *fabric;
static uint8_t data[64]; /* of the last SMP: what was asked, then what was answered */

static int open_fabric(void **state)
{
	fabric = fixture_open();
	if (!fabric)
		return -1;
	fixture_bring_up(fabric);
	memset(data, 0, sizeof(data));
	return 0;
}

static int close_fabric(void **state)
{
	fixture_close(fabric);
	return 0;
}

/* An SMP with @data comes into @node by port @number; the status of the answer, or NO_ANSWER. */
static int smp_with_key(const char *node, unsigned number, uint8_t method, uint16_t attribute,
        uint32_t modifier, uint64_t mkey)
{
	uint8_t mad[256] = {1, CLASS_SUBN_DR, 1, method};
	enum sma_verdict verdict;

	mad_set16(mad, MAD_ATTRIBUTE, attribute);
	mad_set32(mad, MAD_MODIFIER, modifier);
	mad_set64(mad, SMP_MKEY, mkey);
	memcpy(mad + SMP_DATA, data, sizeof(data));
	fabric_lock(fabric);
	verdict = sma_handle(fabric, fixture_port(fabric, node, number), 0xffff, mad);
	fabric_unlock(fabric);
	if (verdict != SMA_ANSWERED)
		return NO_ANSWER;
	assert_int_equal(mad[MAD_METHOD], METHOD_GET_RESPONSE);
	memcpy(data, mad + SMP_DATA, sizeof(data));
	return mad_get16(mad, MAD_STATUS);
}

static int smp(
        const char *node, unsigned number, uint8_t method, uint16_t attribute, uint32_t modifier)
{
	return smp_with_key(node, number, method, attribute, modifier, 0);
}

static struct port *port(const char *node, unsigned number)
{
	return &fabric->ports[fixture_port(fabric, node, number)];
}

static uint8_t *switch_info(const char *node)
{
	return fabric->switches[fabric->nodes[node_find(fabric, node)].switch_index].info;
}

static const struct smp_counts *counts(const char *node, enum smp_attribute attribute)
{
	return &counters_of_node(fabric, node_find(fabric, node))->by_attribute[attribute];
}

static void node_info_names_the_port_that_it_came_by(void **state)
{
	assert_int_equal(smp("S1", 2, GET, NODE_INFO, 0), OK);
	assert_int_equal(data[2], NODE_SWITCH);
	assert_int_equal(data[3], 4);
	assert_int_equal(data[36], 2);
	assert_int_equal(mad_get64(data, 20), fabric->nodes[0].guid);
	assert_int_equal(smp("H3", 1, GET, NODE_INFO, 0), OK);
	assert_int_equal(mad_get64(data, 20), port("H3", 1)->guid);
}

static void every_modifier_is_checked(void **state)
{
	static const struct {
		const char *what, *node;
		uint8_t number, method;
		uint16_t attribute;
		uint32_t modifier;
		int status;
	} rows[] = {
	        {"a switch's own port 0", "S1", 2, GET, PORT_INFO, 0, OK},
	        {"its last port", "S1", 2, GET, PORT_INFO, 4, OK},
	        {"behind its last port", "S1", 2, GET, PORT_INFO, 5, BAD_FIELD},
	        {"port 255", "S1", 2, GET, PORT_INFO, 255, BAD_FIELD},
	        {"port 256", "S1", 2, GET, PORT_INFO, 256, BAD_FIELD},
	        {"extended speeds bit", "S1", 2, GET, PORT_INFO, 1u << 31 | 4, OK},
	        {"every bit", "S1", 2, GET, PORT_INFO, 0xffffffff, BAD_FIELD},
	        {"a CA's port as 0", "H3", 1, GET, PORT_INFO, 0, OK},
	        {"the CA's other port", "H3", 1, GET, PORT_INFO, 2, OK},
	        {"the CA's other port, to be set", "H3", 1, SET, PORT_INFO, 2, BAD_FIELD},
	        {"a CA's port 3 of 2", "H3", 1, GET, PORT_INFO, 3, BAD_FIELD},
	        {"last LFT block", "S1", 1, GET, LFT, 767, OK},
	        {"behind the last LFT block", "S1", 1, GET, LFT, 768, BAD_FIELD},
	        {"far behind", "S1", 1, SET, LFT, 0xffffffff, BAD_FIELD},
	        {"LFT of a CA", "H1", 1, GET, LFT, 0, BAD_ATTRIBUTE},
	        {"last MFT block", "S1", 1, GET, MFT, 31, OK},
	        {"behind the last MFT block", "S1", 1, GET, MFT, 32, BAD_FIELD},
	        {"MFT position 1 of 4 ports", "S1", 1, GET, MFT, 1u << 28, BAD_FIELD},
	        {"MFT position 15", "S1", 1, SET, MFT, 15u << 28, BAD_FIELD},
	        {"MFT reserved bits", "S1", 1, GET, MFT, 1 << 9, BAD_FIELD},
	        {"MFT of a CA", "H1", 1, GET, MFT, 0, BAD_ATTRIBUTE},
	        {"SwitchInfo of a CA", "H1", 1, GET, SWITCH_INFO, 0, BAD_ATTRIBUTE},
	        {"P_Keys of a CA, last block", "H1", 1, GET, PKEYS, 1, OK},
	        {"P_Keys of a CA, behind it", "H1", 1, GET, PKEYS, 2, BAD_FIELD},
	        {"P_Keys of a CA by its number", "H3", 1, GET, PKEYS, 1 << 16, OK},
	        {"P_Keys of a CA's other port", "H3", 1, GET, PKEYS, 2 << 16, BAD_FIELD},
	        {"P_Keys of a switch port", "S1", 1, GET, PKEYS, 4 << 16 | 1, OK},
	        {"P_Keys of no switch port", "S1", 1, GET, PKEYS, 5 << 16, BAD_FIELD},
	        {"P_Keys of port 0xffff", "S1", 1, GET, PKEYS, 0xffffffff, BAD_FIELD},
	        {"P_Keys of port 0", "S1", 1, GET, PKEYS, 0, OK},
	        {"P_Keys of port 0, block 1", "S1", 1, GET, PKEYS, 1, BAD_FIELD},
	        {"SL to VL of a CA", "H1", 1, GET, SL_TO_VL, 0, OK},
	        {"SL to VL of ports 4 and 4", "S1", 1, GET, SL_TO_VL, 4 << 8 | 4, OK},
	        {"SL to VL of input 5", "S1", 1, GET, SL_TO_VL, 5 << 8 | 4, BAD_FIELD},
	        {"SL to VL of output 5", "S1", 1, SET, SL_TO_VL, 4 << 8 | 5, BAD_FIELD},
	        {"SL to VL, higher bits", "S1", 1, GET, SL_TO_VL, 1 << 16, BAD_FIELD},
	        {"VL arbitration, low", "S1", 1, GET, VL_ARB, 1 << 16 | 2, OK},
	        {"VL arbitration, high", "H1", 1, GET, VL_ARB, 3 << 16, OK},
	        {"VL arbitration, upper half", "S1", 1, GET, VL_ARB, 2 << 16 | 2, BAD_FIELD},
	        {"VL arbitration, part 0", "S1", 1, GET, VL_ARB, 2, BAD_FIELD},
	        {"VL arbitration, part 5", "S1", 1, SET, VL_ARB, 5 << 16 | 2, BAD_FIELD},
	        {"VL arbitration of port 5", "S1", 1, GET, VL_ARB, 1 << 16 | 5, BAD_FIELD},
	        {"GUIDs, last block", "H1", 1, GET, GUID_INFO, 3, OK},
	        {"GUIDs, behind it", "H1", 1, GET, GUID_INFO, 4, BAD_FIELD},
	        {"GUIDs of a switch", "S1", 1, GET, GUID_INFO, 0, OK},
	        {"GUIDs of a switch, block 1", "S1", 1, GET, GUID_INFO, 1, BAD_FIELD},
	        {"GUIDs, every bit", "H1", 1, SET, GUID_INFO, 0xffffffff, BAD_FIELD},
	        {"NodeInfo is read-only", "H1", 1, SET, NODE_INFO, 0, BAD_ATTRIBUTE},
	        {"NodeDescription is read-only", "H1", 1, SET, NODE_DESCRIPTION, 0, BAD_ATTRIBUTE},
	        {"no such attribute", "H1", 1, GET, 0x1a, 0, BAD_ATTRIBUTE},
	        {"a vendor's attribute", "S1", 1, GET, 0xff90, 0, BAD_ATTRIBUTE},
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		print_message("# %s\n", rows[i].what);
		memset(data, 0, sizeof(data));
		assert_int_equal(smp(rows[i].node, rows[i].number, rows[i].method,
		                         rows[i].attribute, rows[i].modifier),
		        rows[i].status);
	}
}

static void wrong_versions_and_methods_are_told_apart(void **state)
{
	uint8_t mad[256] = {2, CLASS_SUBN_LID, 1, GET};
	uint32_t at = fixture_port(fabric, "H1", 1);

	mad_set16(mad, MAD_ATTRIBUTE, NODE_INFO);
	assert_int_equal(sma_handle(fabric, at, 1, mad), SMA_ANSWERED);
	assert_int_equal(mad_get16(mad, MAD_STATUS), STATUS_BAD_VERSION);
	mad[MAD_METHOD] = 0x03;
	assert_int_equal(sma_handle(fabric, at, 1, mad), SMA_NOT_MINE);
	mad[MAD_METHOD] = METHOD_SUBN_TRAP_REPRESS; /* of a trap that a client has sent */
	assert_int_equal(sma_handle(fabric, at, 1, mad), SMA_NOT_MINE);
}

static void lft_set_routes_the_next_packet(void **state)
{
	uint32_t to;

	memset(data, LFT_NO_PORT, sizeof(data));
	data[12] = 1;
	assert_int_equal(smp("S2", 1, SET, LFT, 0), OK);
	assert_int_equal(data[12], 1);
	assert_int_equal(data[13], LFT_NO_PORT);
	assert_int_equal(
	        forward_unicast(fabric, fixture_port(fabric, "H1", 1), 12, &to, NULL), -ELOOP);
	assert_int_equal(counts("S2", SMP_linear_table)->set, 1);
	assert_int_equal(counts("S2", SMP_linear_table)->changed, 1);
	assert_int_equal(smp("S2", 1, SET, LFT, 0), OK);
	assert_int_equal(counts("S2", SMP_linear_table)->set, 2);
	assert_int_equal(counts("S2", SMP_linear_table)->changed, 1);
}

static void untouched_tables_hold_ibsims_defaults(void **state)
{
	static const uint8_t sl_to_vl[] = {0x01, 0x23, 0x45, 0x67, 0x89, 0xab, 0xcd, 0xe7};
	static const uint8_t low[] = {0, 0, 1, 4, 2, 4, 3, 4}, high[] = {0, 4, 1, 0, 2, 0, 3, 0};

	smp("S1", 1, GET, LFT, 5);
	for (unsigned i = 0; i < sizeof(data); i++)
		assert_int_equal(data[i], LFT_NO_PORT);
	smp("S1", 1, GET, SL_TO_VL, 2 << 8 | 3);
	assert_memory_equal(data, sl_to_vl, sizeof(sl_to_vl));
	smp("H1", 1, GET, VL_ARB, 1 << 16);
	assert_memory_equal(data, low, sizeof(low));
	smp("S1", 1, GET, VL_ARB, 3 << 16 | 2);
	assert_memory_equal(data, high, sizeof(high));
	smp("S1", 1, GET, PKEYS, 2 << 16);
	assert_int_equal(mad_get16(data, 0), 0xffff);
	assert_int_equal(mad_get16(data, 2), 0);
}

static void what_is_set_is_got_and_nothing_else_changes(void **state)
{
	uint8_t table[8] = {1, 2, 3, 4, 5, 6, 7, 8};

	memcpy(data, table, sizeof(table));
	assert_int_equal(smp("S1", 1, SET, SL_TO_VL, 2 << 8 | 3), OK);
	smp("S1", 1, GET, SL_TO_VL, 2 << 8 | 3);
	assert_memory_equal(data, table, sizeof(table));
	smp("S1", 1, GET, SL_TO_VL, 3 << 8 | 2);
	assert_int_equal(data[0], 0x01);
	assert_int_equal(data[1], 0x23);
	memcpy(data, table, sizeof(table));
	assert_int_equal(smp("H1", 1, SET, PKEYS, 1), OK);
	assert_int_equal(port_pkey(port("H1", 1), 32), 0x0102);
	assert_int_equal(port_pkey(port("H1", 1), 0), 0xffff);
	assert_int_equal(port("H1", 1)->events[PORT_EVENT_PKEY_CHANGE], 1);
	memcpy(data, table, sizeof(table));
	assert_int_equal(smp("S1", 1, SET, MFT, 3), OK);
	assert_memory_equal(switch_mft_block(fabric, 0, 0, 3), table, sizeof(table));
}

static void port_guid_cannot_be_set_but_alias_guids_can(void **state)
{
	uint64_t guid = port("vf1", 1)->guid;

	mad_set64(data, 0, 0x1234);
	mad_set64(data, 8, 0x5678);
	assert_int_equal(smp("vf1", 1, SET, GUID_INFO, 0), OK);
	assert_int_equal(mad_get64(data, 0), guid);
	assert_int_equal(mad_get64(data, 8), 0x5678);
	assert_int_equal(port("vf1", 1)->guid, guid);
	assert_int_equal(port("vf1", 1)->events[PORT_EVENT_GID_CHANGE], 1);
	mad_set64(data, 0, 0x1234);
	assert_int_equal(smp("vf1", 1, SET, GUID_INFO, 0), OK);
	assert_int_equal(counts("vf1", SMP_guid_info)->changed, 1);
}

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

static void port_state_change_is_cleared_by_writing_a_one(void **state)
{
	switch_info_set_state_change(switch_info("S1"), 1);
	smp("S1", 1, GET, SWITCH_INFO, 0);
	assert_int_equal(switch_info_state_change(data), 1);
	switch_info_set_state_change(data, 0);
	assert_int_equal(smp("S1", 1, SET, SWITCH_INFO, 0), OK);
	assert_int_equal(switch_info_state_change(switch_info("S1")), 1);
	switch_info_set_state_change(data, 1);
	assert_int_equal(smp("S1", 1, SET, SWITCH_INFO, 0), OK);
	assert_int_equal(switch_info_state_change(switch_info("S1")), 0);
}

static void switch_info_keeps_what_cannot_be_written(void **state)
{
	memset(data, 0xff, sizeof(data));
	switch_info_set_linear_top(data, 100);
	switch_info_set_multicast_top(data, 0xc010);
	assert_int_equal(smp("S1", 1, SET, SWITCH_INFO, 0), OK);
	assert_int_equal(switch_info_linear_cap(data), LFT_CAPACITY);
	assert_int_equal(switch_info_random_cap(data), 0);
	assert_int_equal(switch_info_linear_top(data), 100);
	assert_int_equal(switch_info_enforcement_cap(data), PKEY_TABLE_SIZE);
	switch_info_set_linear_top(data, LFT_CAPACITY);
	assert_int_equal(smp("S1", 1, SET, SWITCH_INFO, 0), BAD_FIELD);
	assert_int_equal(switch_info_linear_top(switch_info("S1")), 100);
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
	        on_fabric(node_info_names_the_port_that_it_came_by),
	        on_fabric(every_modifier_is_checked),
	        on_fabric(wrong_versions_and_methods_are_told_apart),
	        on_fabric(lft_set_routes_the_next_packet),
	        on_fabric(untouched_tables_hold_ibsims_defaults),
	        on_fabric(what_is_set_is_got_and_nothing_else_changes),
	        on_fabric(port_guid_cannot_be_set_but_alias_guids_can),
	        on_fabric(port_states_are_taken_step_by_step),
	        on_fabric(wrong_port_info_changes_nothing),
	        on_fabric(lid_change_is_counted_and_heard_of),
	        on_fabric(switch_notes_what_happens_at_the_other_end_of_a_link),
	        on_fabric(port_state_change_is_cleared_by_writing_a_one),
	        on_fabric(switch_info_keeps_what_cannot_be_written),
	        on_fabric(disabled_port_is_down_at_both_ends_until_it_polls),
	        on_fabric(pulled_cable_cannot_be_polled_up),
	        on_fabric(retrained_link_runs_at_what_both_ends_allow),
	        on_fabric(set_without_the_mkey_is_not_even_answered),
	        on_fabric(protected_mkey_is_hidden_or_everything_is),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
