/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * The GIDs that a context is known by: announced before anybody is connected by them, shown for
 * good, and what becomes of those that a device lacks.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <string.h>

#include "notifier/wire/gid_name.h"
#include "preload/objects.h"
#include "tests/unit/shim_ethernet_ends.h"
#include "tests/unit/shim_fake_tables.h"

/* ---- known from the beginning ---- */

static int refused_with;
static unsigned awaited;

static int await(uint32_t context)
{
	awaited++;
	assert_int_equal(context, context_of(h.vm.context)->number);
	assert_int_equal(real_of(h.vm.qp)->state, IBV_QPS_INIT);
	return refused_with;
}

static void nobody_is_connected_before_the_root_knows_it(void **state)
{
	/* Two GIDs of each context; one stands there for both versions of RoCE. */
	assert_int_equal(harness_contexts, 4);
	end_create_qp(&h.vm, &h);
	end_create_qp(&h.peer, &h);
	harness_awaited = await;
	awaited = 0;
	refused_with = EADDRINUSE;
	assert_int_equal(end_to_rtr(&h.vm, &h.peer), EADDRINUSE);
	assert_int_equal(real_of(h.vm.qp)->state, IBV_QPS_INIT);
	refused_with = 0;
	assert_int_equal(ibv_modify_qp(h.vm.qp, &(struct ibv_qp_attr){0}, IBV_QP_STATE), 0);
	assert_int_equal(end_to_rtr(&h.vm, &h.peer), 0);
	assert_int_equal(awaited, 2);
}

/* Its address is given to the port when the device is long open. */
static void a_gid_that_comes_later_is_announced_before_it_is_used(void **state)
{
	harness_close(&h);
	h = (struct harness){.ethernet = true, .lacks_ipv4 = true};
	harness_open(&h);
	assert_int_equal(harness_contexts, 3);
	fake.lacks_ipv4 = false;
	h.gids = GIDS_OF_IPV4;
	harness_choose_gids(&h);
	harness_connect(&h);
	assert_int_equal(harness_contexts, 4);
	harness_move(&h);
	expect_leads_to(&h.peer, fake_ipv4_gid(vm_host()));
}

/* ---- since a move ---- */

/* Whoever connects to it may know it by any. */
static void what_is_not_connected_is_said_to_be_at_each_gid(void **state)
{
	const union ibv_gid known[] = {fake_link_local_gid(1), fake_ipv4_gid(1)};

	end_create_qp(&h.vm, &h);
	harness_move(&h);
	for (int i = 0; i < 2; i++) {
		union ibv_gid now = i ? fake_ipv4_gid(vm_host()) : fake_link_local_gid(vm_host());
		struct qp_row row = row_of(h.attached->qps, &h.vm, name_of(known[i]));

		assert_int_equal(row.real_qpn, real_of(h.vm.qp)->qp_num);
		assert_int_equal(row.real_lid, name_of(now));
	}
}

static void what_is_made_after_a_move_is_announced_by_each_gid(void **state)
{
	struct end second = h.vm;

	harness_move(&h);
	end_create_qp(&second, &h);
	assert_int_equal(harness_announced, 2);
	assert_int_equal(ibv_destroy_qp(second.qp), 0);
	assert_int_equal(harness_announced, 0);
}

static void reconnect(struct end *end, const struct end *to)
{
	struct ibv_qp_attr reset = {.qp_state = IBV_QPS_RESET};

	assert_int_equal(ibv_modify_qp(end->qp, &reset, IBV_QP_STATE), 0);
	end_connect(end, to, 0);
}

/* What stands in for another is no further one, and so no further name of the VM. */
static void moves_bring_no_further_gids(void **state)
{
	struct ibv_gid_entry entries[FAKE_GIDS];

	for (int i = 0; i < 4; i++) {
		harness_move(&h);
		assert_int_equal(ibv_query_gid_table(h.vm.context, entries, FAKE_GIDS, 0),
		        FAKE_ETHERNET_GIDS);
	}
	reconnect(&h.vm, &h.peer);
	assert_int_equal(harness_contexts, 4);
}

static bool shows(struct ibv_context *context, union ibv_gid wanted)
{
	union ibv_gid gid;
	bool found = false;

	for (int i = 0; i < FAKE_ETHERNET_GIDS; i++)
		found |= !ibv_query_gid(context, 1, i, &gid) && !memcmp(&gid, &wanted, sizeof(gid));
	return found;
}

static void who_opens_the_device_later_shows_what_it_has_now(void **state)
{
	struct ibv_context *later;
	int before;

	harness_move(&h);
	before = harness_contexts;
	later = ibv_open_device(h.vm.context->device);
	assert_non_null(later);
	assert_int_equal(harness_contexts, before + 2);
	assert_true(shows(later, fake_link_local_gid(vm_host())));
	assert_false(shows(later, h.vm.gid));
	harness_move(&h);
	carry_data_both_ways(&h.vm, &h.peer);
	assert_int_equal(ibv_close_device(later), 0);
	assert_int_equal(harness_contexts, before);
}

/* ---- what the device lacks ---- */

static void attach_waits_for_a_gid_that_is_in_use(void **state)
{
	h.gids = GIDS_OF_IPV4;
	harness_choose_gids(&h);
	harness_connect(&h);
	harness_stop(&h);
	harness_expect(&h, TETHER__STEP__STEP_RELEASE, DONE);
	fake.slot = 1;
	fake.lacks_ipv4 = true;
	harness_expect(&h, TETHER__STEP__STEP_ATTACH, FAILED);
	assert_string_equal(harness_reason(&h), "table-entry-missing");
	fake.lacks_ipv4 = false;
	harness_arrive(&h);
	expect_leads_to(&h.peer, fake_ipv4_gid(vm_host()));
	carry_data_both_ways(&h.vm, &h.peer);
}

/* It is nowhere, and who is told so is not sent to whoever has it by now. */
static void a_gid_that_is_not_in_use_may_be_gone(void **state)
{
	union ibv_gid gid;
	struct qp_row row;
	struct end second = h.vm;

	end_create_qp(&second, &h);
	harness_stop(&h);
	fake.lacks_ipv4 = true;
	harness_go_on(&h);
	carry_data_both_ways(&h.vm, &h.peer);
	row = row_of(h.attached->qps, &second, name_of(fake_ipv4_gid(1)));
	assert_int_equal(row.real_lid, row.local_lid);
	assert_false(gid_rows_find(h.attached->gids, row.real_lid, gid.raw));
	assert_int_equal(ibv_destroy_qp(second.qp), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        CONNECTED(moves_bring_no_further_gids),
	        UNCONNECTED(what_is_not_connected_is_said_to_be_at_each_gid),
	        UNCONNECTED(what_is_made_after_a_move_is_announced_by_each_gid),
	        UNCONNECTED(nobody_is_connected_before_the_root_knows_it),
	        UNCONNECTED(a_gid_that_comes_later_is_announced_before_it_is_used),
	        CONNECTED(who_opens_the_device_later_shows_what_it_has_now),
	        UNCONNECTED(attach_waits_for_a_gid_that_is_in_use),
	        CONNECTED(a_gid_that_is_not_in_use_may_be_gone),
	};

	return cmocka_run_group_tests_name("shim_ethernet_gids", tests, NULL, NULL);
}
