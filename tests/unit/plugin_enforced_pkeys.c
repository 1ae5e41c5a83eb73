/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * What a switch port lets through, for an end port's table by hand: what is expected is what
 * OpenSM's pkey_mgr_update_peer_port (osm_pkey_mgr.c) packs of it. That OpenSM agrees is shown by
 * tests/simfabric/plugin_pkeys_test.py.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "sm-side/identity/enforced_pkeys.h"

enum { BLOCK = IB_NUM_PKEY_ELEMENTS_IN_BLOCK, BLOCKS = 3, KEYS = BLOCKS * BLOCK };

static osm_opensm_t osm;
static osm_switch_t vswitch;
static osm_node_t vswitch_node, ca_node;
static osm_physp_t switch_port, ca;
static ib_pkey_table_t there[BLOCKS], wanted[BLOCKS], let_through[BLOCKS];

/* ---- what the model calls of OpenSM ---- */

osm_port_t *osm_get_port_by_guid(const osm_subn_t *subn, ib_net64_t guid)
{
	return NULL;
}

osm_switch_t *osm_get_switch_by_guid(const osm_subn_t *subn, ib_net64_t guid)
{
	return NULL;
}

/* ---- the world ---- */

static void table_make(cl_ptr_vector_t *vector, ib_pkey_table_t *blocks, unsigned count)
{
	cl_ptr_vector_construct(vector);
	assert_int_equal(cl_ptr_vector_init(vector, 0, 1), CL_SUCCESS);
	for (unsigned i = 0; i < count; i++)
		assert_int_equal(cl_ptr_vector_set(vector, i, &blocks[i]), CL_SUCCESS);
}

/* So many blocks are known, or wanted, of either table. */
static void tables_make(unsigned known, unsigned new_blocks)
{
	table_make(&ca.pkeys.blocks, there, known);
	table_make(&ca.pkeys.new_blocks, wanted, new_blocks);
	table_make(&switch_port.pkeys.blocks, let_through, BLOCKS);
	table_make(&switch_port.pkeys.new_blocks, NULL, 0);
}

static void tables_destroy(void)
{
	cl_ptr_vector_destroy(&ca.pkeys.blocks);
	cl_ptr_vector_destroy(&ca.pkeys.new_blocks);
	cl_ptr_vector_destroy(&switch_port.pkeys.blocks);
	cl_ptr_vector_destroy(&switch_port.pkeys.new_blocks);
}

static int world_make(void **state)
{
	memset(there, 0, sizeof(there));
	memset(wanted, 0, sizeof(wanted));
	memset(let_through, 0, sizeof(let_through));
	osm.subn.opt.part_enforce_enum = OSM_PARTITION_ENFORCE_TYPE_BOTH;
	vswitch.switch_info.enforce_cap = cl_hton16(KEYS);
	vswitch_node.sw = &vswitch;
	switch_port = (osm_physp_t){.port_guid = 1, .p_node = &vswitch_node, .p_remote_physp = &ca};
	ca = (osm_physp_t){.port_guid = 2, .p_node = &ca_node, .p_remote_physp = &switch_port};
	tables_make(BLOCKS, BLOCKS);
	return 0;
}

static int world_destroy(void **state)
{
	tables_destroy();
	return 0;
}

static void keys_put(ib_pkey_table_t *blocks, const uint16_t *keys)
{
	for (unsigned i = 0; i < KEYS; i++)
		blocks[i / BLOCK].pkey_entry[i % BLOCK] = cl_hton16(keys[i]);
}

static void assert_lets_through(const char *what, const uint16_t *keys)
{
	for (unsigned block = 0; block < BLOCKS; block++) {
		ib_pkey_table_t computed;

		enforced_pkeys_stand(&switch_port, &ca, block, &computed);
		for (unsigned i = 0; i < BLOCK; i++)
			if (cl_ntoh16(computed.pkey_entry[i]) != keys[block * BLOCK + i])
				fail_msg("%s: key %u of block %u is 0x%04x, not 0x%04x", what, i,
				        block, cl_ntoh16(computed.pkey_entry[i]),
				        keys[block * BLOCK + i]);
	}
}

/* ---- the tests ---- */

static void a_table_is_packed_as_opensm_does(void **state)
{
	static const struct {
		const char *what;
		uint16_t end_port[KEYS], switch_port[KEYS];
	} rows[] = {
	        {"the default partition", {0xffff}, {0xffff}},
	        {"a limited member", {0x7fff, 0x8001}, {0x7fff, 0x8001}},
	        {"holes", {0xffff, 0, 0x8001, 0, 0, 0x0002}, {0xffff, 0x8001, 0x0002}},
	        {"nothing at index 0", {0, 0x8001}, {0x8001}},
	        {"no partition at all", {0}, {0}},
	        {"bits of membership without a partition", {0x8000, 0x8001, 0}, {0x8001}},
	        {"both memberships, the full one first", {0xffff, 0x8001, 0x0001},
	                {0xffff, 0x8001}},
	        {"both, the limited one first", {0x0001, 0xffff, 0x8001}, {0xffff, 0x8001}},
	        {"both, in other blocks",
	                {0x0001, 0x0002, [BLOCK] = 0x8002, [2 * BLOCK + 5] = 0x8001},
	                {0x8002, 0x8001}},
	        {"later blocks only", {[2 * BLOCK] = 0xffff, [2 * BLOCK + 31] = 0x8003},
	                {0xffff, 0x8003}},
	        {"an order of its own", {0x8003, 0x8001, 0x0002}, {0x8003, 0x8001, 0x0002}},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		keys_put(wanted, rows[i].end_port);
		assert_lets_through(rows[i].what, rows[i].switch_port);
	}
}

/* @count keys from 0x8001 on, with @hole left free. */
static void keys_make(uint16_t *keys, unsigned count, unsigned hole)
{
	memset(keys, 0, KEYS * sizeof(*keys));
	for (unsigned i = 0; i < count; i++)
		if (i != hole)
			keys[i] = 0x8001 + i;
}

static void blocks_are_filled_one_after_the_other(void **state)
{
	uint16_t keys[KEYS], packed[KEYS];

	for (unsigned count = BLOCK - 1; count <= KEYS; count++) {
		unsigned hole = count / 2;

		keys_make(keys, count, KEYS);
		keys_put(wanted, keys);
		assert_lets_through("a row of keys", keys);
		keys_make(keys, count, hole);
		keys_put(wanted, keys);
		memcpy(packed, keys, sizeof(packed));
		memmove(packed + hole, packed + hole + 1, (KEYS - hole - 1) * sizeof(*packed));
		packed[KEYS - 1] = 0;
		assert_lets_through("a row with a hole", packed);
	}
}

static void what_is_wanted_counts_and_not_what_is_there(void **state)
{
	static const uint16_t old[KEYS] = {0xffff, 0x8009}, now[KEYS] = {0xffff, 0x8001};

	keys_put(there, old);
	keys_put(wanted, now);
	assert_lets_through("a change of partitions", now);
}

/* OpenSM asks for the blocks that a port has; one that it has not heard of yet may be wanted. */
static void a_block_that_is_wanted_counts_before_it_is_known(void **state)
{
	uint16_t keys[KEYS];

	tables_destroy();
	tables_make(1, BLOCKS);
	keys_make(keys, 2 * BLOCK, KEYS);
	keys_put(wanted, keys);
	assert_lets_through("one block of two is known", keys);
	keys_make(keys, BLOCK + 1, KEYS);
	keys[0] = 0x0001 + BLOCK;
	keys_put(wanted, keys);
	memmove(keys, keys + 1, (KEYS - 1) * sizeof(*keys));
	assert_lets_through("the full membership is in the one that is not known", keys);
}

static void a_table_stands_block_by_block(void **state)
{
	uint16_t keys[KEYS];
	ib_pkey_table_t block;

	keys_make(keys, BLOCK + 3, KEYS);
	keys_put(wanted, keys);
	keys_put(let_through, keys);
	for (unsigned i = 0; i < BLOCKS; i++)
		assert_true(enforced_pkeys_stand(&switch_port, &ca, i, &block));
	/* Of a predecessor in the slot; OpenSM leaves such blocks as they are. */
	let_through[2].pkey_entry[0] = cl_hton16(0x8077);
	let_through[1].pkey_entry[2] = 0;
	assert_true(enforced_pkeys_stand(&switch_port, &ca, 0, &block));
	assert_false(enforced_pkeys_stand(&switch_port, &ca, 1, &block));
	assert_false(enforced_pkeys_stand(&switch_port, &ca, 2, &block));
	assert_int_equal(block.pkey_entry[0], 0);
	/* None that was read. */
	assert_false(enforced_pkeys_stand(&switch_port, &ca, BLOCKS, &block));
}

static void there_is_a_switch_port_only_where_opensm_enforces(void **state)
{
	assert_ptr_equal(enforced_pkeys_port(&osm, &ca), &switch_port);
	osm.subn.opt.part_enforce_enum = OSM_PARTITION_ENFORCE_TYPE_OFF;
	assert_null(enforced_pkeys_port(&osm, &ca));
	osm.subn.opt.part_enforce_enum = OSM_PARTITION_ENFORCE_TYPE_OUT;
	assert_ptr_equal(enforced_pkeys_port(&osm, &ca), &switch_port);
	vswitch.switch_info.enforce_cap = 0;
	assert_null(enforced_pkeys_port(&osm, &ca));
	vswitch.switch_info.enforce_cap = cl_hton16(KEYS);
	vswitch_node.sw = NULL;
	assert_null(enforced_pkeys_port(&osm, &ca));
	vswitch_node.sw = &vswitch;
	ca.p_remote_physp = NULL;
	assert_null(enforced_pkeys_port(&osm, &ca));
	ca.p_remote_physp = &switch_port;
	tables_destroy();
	tables_make(BLOCKS, 0);
	assert_null(enforced_pkeys_port(&osm, &ca));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define in_world(test) cmocka_unit_test_setup_teardown(test, world_make, world_destroy)
	        in_world(a_table_is_packed_as_opensm_does),
	        in_world(blocks_are_filled_one_after_the_other),
	        in_world(what_is_wanted_counts_and_not_what_is_there),
	        in_world(a_block_that_is_wanted_counts_before_it_is_known),
	        in_world(a_table_stands_block_by_block),
	        in_world(there_is_a_switch_port_only_where_opensm_enforces),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
