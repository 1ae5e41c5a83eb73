/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/* What a node answers of its attributes and tables, and what can be set of them. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "notifier/base/cleanup.h"
#include "simfabric/forward.h"
#include "unit/simfabric_smps.h"

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
	        on_fabric(port_state_change_is_cleared_by_writing_a_one),
	        on_fabric(switch_info_keeps_what_cannot_be_written),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
