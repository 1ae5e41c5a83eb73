/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/* librdmacm finds the device that the kernel names, wherever it is; the program knows one. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "tests/unit/shim_connections.h"
#include "tests/unit/shim_fake_tables.h"

static void new_connections_are_of_the_same_device(void **state)
{
	struct connection *c = *state;
	struct ibv_context *verbs = c->ids[OF_VM]->verbs;
	struct ibv_pd *pd = c->ids[OF_VM]->pd;

	for (int moves = 0; moves < 5; moves++) {
		struct rdma_cm_id *id;

		connection_move(c);
		id = id_resolved(c->channels[OF_VM], OF_VM);
		/* A program uses what it has made for one id with another. */
		assert_ptr_equal(id->verbs, verbs);
		assert_ptr_equal(id->pd, pd);
		assert_int_equal(rdma_destroy_id(id), 0);
	}
}

static void they_are_under_another_guid(void **state)
{
	fake.guids_differ = true;
	new_connections_are_of_the_same_device(state);
}

static void whoever_is_left_keeps_it(void **state)
{
	struct connection *c = *state;
	struct ibv_context *verbs = c->ids[OF_VM]->verbs;
	struct ibv_device_attr attr;
	struct rdma_cm_id *id;
	struct ibv_mr *mr;

	connection_move(c);
	id = id_resolved(c->channels[OF_VM], OF_VM);
	assert_int_equal(rdma_destroy_id(c->ids[OF_VM]), 0);
	assert_ptr_equal(id->verbs, verbs);
	assert_int_equal(ibv_query_device(id->verbs, &attr), 0);
	mr = ibv_reg_mr(id->pd, c->h.vm.memory, 64, 0);
	assert_non_null(mr);
	assert_int_equal(ibv_dereg_mr(mr), 0);
	c->ids[OF_VM] = id;
}

static int listed(void)
{
	struct ibv_device **list;
	int count;

	list = ibv_get_device_list(&count);
	ibv_free_device_list(list);
	return count;
}

static void the_program_sees_one_device(void **state)
{
	struct connection *c = *state;
	struct ibv_device *device = c->ids[OF_VM]->verbs->device;
	__be64 guid = ibv_get_device_guid(device);
	struct ibv_context **before, **after;
	int count, count_after;

	fake.guids_differ = true;
	before = rdma_get_devices(&count);
	assert_int_equal(count, 2);
	connection_move(c);
	after = rdma_get_devices(&count_after);
	assert_int_equal(count_after, 2);
	for (int i = 0; i < count; i++)
		assert_true(before[i] == after[0] || before[i] == after[1]);
	assert_int_equal(listed(), 2);
	assert_int_equal(ibv_get_device_guid(device), guid);
	assert_ptr_equal(c->ids[OF_VM]->verbs->device, device);
	free(before);
	free(after);
}

/* The kernel says where the device has its GIDs and P_Keys, the program where it has seen them. */
static void what_the_kernel_says_is_said_in_the_programs_terms(void **state)
{
	struct connection *c = *state;
	struct rdma_cm_id *id;
	struct ibv_qp_attr attr;
	int mask;

	connection_close(c);
	connection_begin(c);
	fake_tables = (struct fake_tables){.gids = {1, 2}, .pkeys = {0xffff, 0x8001}};
	harness_stop(&c->h);
	harness_expect(&c->h, TETHER__STEP__STEP_RELEASE, DONE);
	fake_rdmacm_remove(c->ids[OF_VM]->verbs);
	fake_tables = (struct fake_tables){.gids = {1}, .pkeys = {0x8001, 0xffff}};
	fake.slot = 1;
	harness_arrive(&c->h);
	/* Its address has come to the device since. */
	fake_tables.gids[1] = 3;
	fake_tables.gids[2] = 2;
	id = id_resolved(c->channels[OF_VM], OF_VM);
	assert_int_equal(rdma_init_qp_attr(id, &attr, &mask), 0);
	assert_int_equal(attr.pkey_index, 0);
	fake_tables.gids[1] = 2;
	fake_tables.gids[2] = 0;
	assert_int_equal(rdma_init_qp_attr(id, &attr, &mask), 0);
	assert_int_equal(attr.ah_attr.grh.sgid_index, 1);
	fake_tables = (struct fake_tables){.gids = {2, 1}, .pkeys = {0x8001, 0xffff}};
	assert_int_equal(rdma_init_qp_attr(id, &attr, &mask), 0);
	assert_int_equal(attr.ah_attr.grh.sgid_index, 0);
	assert_int_equal(rdma_destroy_id(id), 0);
}

#define BOTH(test) cmocka_unit_test_setup_teardown(test, connection_setup, connection_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
	        BOTH(new_connections_are_of_the_same_device),
	        BOTH(they_are_under_another_guid),
	        BOTH(whoever_is_left_keeps_it),
	        BOTH(the_program_sees_one_device),
	        BOTH(what_the_kernel_says_is_said_in_the_programs_terms),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
