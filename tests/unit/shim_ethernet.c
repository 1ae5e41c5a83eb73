/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * Connections of a VM whose ports are Ethernet: what it is known by stays, and what its device has
 * is another's afterwards. What becomes of work, other tests show on each kind of port.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>

#include "notifier/wire/gid_name.h"
#include "preload/interest_answer.h"
#include "preload/objects.h"
#include "tests/unit/shim_ethernet_ends.h"
#include "tests/unit/shim_fake_tables.h"

static void each_end_is_led_to_where_the_other_is(void **state)
{
	for (int i = 0; i < 3; i++) {
		harness_move(&h);
		expect_leads_to(&h.peer, fake_link_local_gid(vm_host()));
		expect_comes_from(&h.vm, fake_link_local_gid(vm_host()));
		expect_leads_to(&h.vm, fake_link_local_gid(FAKE_HOST_PEER));
		carry_data_both_ways(&h.vm, &h.peer);
	}
}

/* Name, node GUID and GIDs of the device are others; the program sees the ones that it knows. */
static void the_program_sees_what_it_saw(void **state)
{
	__be64 guid = ibv_get_device_guid(h.vm.context->device);
	struct ibv_qp_init_attr init;
	struct ibv_port_attr port;
	struct ibv_qp_attr attr;
	union ibv_gid gid;

	harness_move(&h);
	assert_string_not_equal(context_of(h.vm.context)->real->device->name, "fake0");
	assert_string_equal(h.vm.context->device->name, "fake0");
	assert_int_equal(ibv_get_device_guid(h.vm.context->device), guid);
	assert_int_equal(ibv_query_gid(h.vm.context, 1, h.vm.gid_index, &gid), 0);
	assert_memory_equal(&gid, &h.vm.gid, sizeof(gid));
	assert_int_equal(___ibv_query_port(h.vm.context, 1, &port), 0);
	assert_int_equal(port.link_layer, IBV_LINK_LAYER_ETHERNET);
	assert_int_equal(port.lid, 0);
	assert_int_equal(ibv_query_qp(h.peer.qp, &attr, IBV_QP_AV, &init), 0);
	assert_memory_equal(&attr.ah_attr.grh.dgid, &h.vm.gid, sizeof(gid));
	assert_int_equal(ibv_query_qp(h.vm.qp, &attr, IBV_QP_AV, &init), 0);
	assert_int_equal(attr.ah_attr.grh.sgid_index, h.vm.gid_index);
}

static void evidence_and_numbers_are_said_by_names(void **state)
{
	struct evidence_row evidence;
	struct qp_row row;
	union ibv_gid gid;

	harness_stop(&h);
	evidence = evidence_rows_get(h.settled->evidence, 0);
	assert_int_equal(evidence.local_lid, name_of(h.vm.gid));
	assert_int_equal(evidence.remote_lid, name_of(h.peer.gid));
	harness_go_on(&h);
	row = row_of(h.attached->qps, &h.vm, name_of(h.vm.gid));
	assert_int_equal(row.remote_lid, name_of(h.peer.gid));
	assert_int_equal(row.real_lid, name_of(fake_link_local_gid(vm_host())));
	assert_true(gid_rows_find(h.attached->gids, row.real_lid, gid.raw));
	assert_true(gid_rows_find(h.attached->gids, row.local_lid, gid.raw));
}

/* One is known by its first GID, another by its second. */
static void each_queue_pair_has_its_own_gid_of_a_port(void **state)
{
	struct end vm = h.vm, peer = h.peer;

	h.gids = GIDS_OF_IPV4;
	harness_choose_gids(&h);
	vm.gid = h.vm.gid;
	vm.gid_index = h.vm.gid_index;
	peer.gid = h.peer.gid;
	peer.gid_index = h.peer.gid_index;
	end_create_qp(&vm, &h);
	end_create_qp(&peer, &h);
	end_connect(&vm, &peer, 0);
	end_connect(&peer, &vm, 0);
	h.gids = GIDS_LINK_LOCAL;
	harness_choose_gids(&h);
	harness_move(&h);
	expect_leads_to(&h.peer, fake_link_local_gid(vm_host()));
	expect_comes_from(&h.vm, fake_link_local_gid(vm_host()));
	expect_leads_to(&peer, fake_ipv4_gid(vm_host()));
	expect_comes_from(&vm, fake_ipv4_gid(vm_host()));
	carry_data_both_ways(&h.vm, &h.peer);
	carry_data_both_ways(&vm, &peer);
	assert_int_equal(ibv_destroy_qp(vm.qp), 0);
	assert_int_equal(ibv_destroy_qp(peer.qp), 0);
}

/* ---- two peers whose queue pairs have the same number ---- */

static void say_that(
        struct qp_row row, uint32_t received, union ibv_gid gid, Tether__Answer *answer)
{
	struct evidence_row evidence = {.local_lid = row.local_lid,
	        .local_qpn = row.local_qpn,
	        .remote_lid = row.remote_lid,
	        .remote_qpn = row.remote_qpn,
	        .rq_psn = (HARNESS_FIRST_PSN + received) & 0xffffff,
	        .flags = TETHER__EVIDENCE_FLAG__EVIDENCE_BROKEN};

	assert_int_equal(qp_rows_append(answer->qps, &row), 0);
	assert_int_equal(evidence_rows_append(answer->evidence, &evidence), 0);
	assert_int_equal(gid_rows_add(answer->gids, gid.raw), 0);
}

static void peers_of_one_number_are_not_mixed_up(void **state)
{
	enum { ELSEWHERE = 20, MOVED_TO = 21, MOVED_QPN = 0x777 };
	struct end far = {.qp = h.peer.qp, .gid = fake_link_local_gid(ELSEWHERE)};
	union ibv_gid now = fake_link_local_gid(MOVED_TO);
	struct end vm = h.vm;
	struct qp_row row;

	end_create_qp(&vm, &h);
	end_connect(&vm, &far, 0);
	assert_int_equal(harness_write(&h, 3), 0);
	harness_stop(&h);
	row = (struct qp_row){.local_lid = name_of(far.gid),
	        .local_qpn = far.qp->qp_num,
	        .real_qpn = MOVED_QPN,
	        .real_lid = name_of(now),
	        .remote_lid = name_of(vm.gid),
	        .remote_qpn = vm.qp->qp_num};
	say_that(row, 0, now, h.settled);
	/* It goes on naming one that it was connected to before. */
	row.remote_qpn = h.vm.qp->qp_num;
	say_that(row, 1, now, h.settled);
	harness_go_on(&h);
	assert_int_equal(end_run(&h.vm, 9), 1);
	harness_expect_one(&h, &h.vm, 3);
	expect_leads_to(&vm, now);
	assert_int_equal(fake_qp_dest(real_of(vm.qp)), MOVED_QPN);
	expect_leads_to(&h.vm, fake_link_local_gid(FAKE_HOST_PEER));
	assert_int_equal(fake_qp_dest(real_of(h.vm.qp)), real_of(h.peer.qp)->qp_num);
	carry_data_both_ways(&h.vm, &h.peer);
	assert_int_equal(ibv_destroy_qp(vm.qp), 0);
}

/* ---- names without GIDs ---- */

static void who_is_not_told_the_gid_ends_with_an_error(void **state)
{
	union ibv_gid before = h.vm.gid;

	harness_stop(&h);
	assert_int_equal(
	        end_rdma(&h.peer, &h.vm, IBV_WR_RDMA_WRITE, 1, 0, 8, IBV_SEND_SIGNALED), 0);
	h.hides_gids = true;
	harness_go_on(&h);
	assert_int_equal(harness_poll(&h, &h.peer), 1);
	assert_int_equal(h.wc[0].status, IBV_WC_RETRY_EXC_ERR);
	assert_int_equal(real_of(h.peer.qp)->state, IBV_QPS_ERR);
	expect_leads_to(&h.peer, before);
}

/* ---- late peers ---- */

static bool without_gids;

static void root_answers(struct remote *remote)
{
	Tether__InterestAnswer answer = TETHER__INTEREST_ANSWER__INIT;

	answer.outcome = DONE;
	answer.qps = h.attached->qps;
	answer.keys = h.attached->keys;
	answer.gids = without_gids ? NULL : h.attached->gids;
	interest_answer_take(&answer, remote);
}

static void moved_before_they_connect(void)
{
	end_create_qp(&h.vm, &h);
	end_create_qp(&h.peer, &h);
	harness_move(&h);
	harness_registering = root_answers;
}

static void a_late_peer_is_led_to_where_the_vm_is(void **state)
{
	without_gids = false;
	moved_before_they_connect();
	end_connect(&h.peer, &h.vm, 0);
	harness_registering = NULL;
	end_connect(&h.vm, &h.peer, 0);
	expect_leads_to(&h.peer, fake_link_local_gid(vm_host()));
	carry_data_both_ways(&h.vm, &h.peer);
}

static void a_late_peer_that_is_not_told_the_gid_goes_nowhere(void **state)
{
	int interest = harness_interest;

	without_gids = true;
	moved_before_they_connect();
	assert_int_equal(end_to_rtr(&h.peer, &h.vm), EHOSTUNREACH);
	assert_int_equal(real_of(h.peer.qp)->state, IBV_QPS_INIT);
	assert_int_equal(harness_interest, interest);
}

/* ---- where it arrives ---- */

/* Nobody has it open, and for a while it is the only one that is there. */
static void a_device_that_was_there_before_is_not_the_next(void **state)
{
	struct harness alone = {.ethernet = true};

	harness_close(&h);
	harness_ends = ENDS_ON_DEVICE;
	h = alone;
	harness_open(&h);
	harness_connect(&h);
	harness_stop(&h);
	harness_expect(&h, TETHER__STEP__STEP_RELEASE, DONE);
	fake.slot = -1;
	harness_expect(&h, TETHER__STEP__STEP_ATTACH, FAILED);
	assert_string_equal(harness_reason(&h), "no-device");
	fake.slot = 1;
	harness_arrive(&h);
	carry_data_both_ways(&h.vm, &h.peer);
	/* It may come back as it was. */
	harness_stop(&h);
	harness_expect(&h, TETHER__STEP__STEP_RELEASE, DONE);
	harness_arrive(&h);
	harness_ends = ENDS_APART;
}

/* The kernel asks the network for each GID, and an interface that has just come is not heard yet.
 */
static void who_is_not_reached_at_once_is_tried_again(void **state)
{
	assert_int_equal(harness_write(&h, 3), 0);
	harness_stop(&h);
	harness_expect(&h, TETHER__STEP__STEP_RELEASE, DONE);
	fake.slot = 1;
	harness_expect(&h, TETHER__STEP__STEP_ATTACH, DONE);
	fake.unreached = 5;
	harness_expect(&h, TETHER__STEP__STEP_RECONNECT, DONE);
	assert_int_equal(fake.unreached, 0);
	harness_expect(&h, TETHER__STEP__STEP_RESUME, DONE);
	assert_int_equal(end_run(&h.vm, 9), 1);
	harness_expect_one(&h, &h.vm, 3);
	carry_data_both_ways(&h.vm, &h.peer);
}

/* However often connections are tried. */
static void handles_to_the_vm_are_made_anew_once(void **state)
{
	struct ibv_ah_attr there = end_address(&h.peer, &h.vm, 0);
	struct ibv_ah *ah = ibv_create_ah(h.peer.pd, &there);
	unsigned before;

	harness_stop(&h);
	harness_expect(&h, TETHER__STEP__STEP_RELEASE, DONE);
	fake.slot = 1;
	harness_expect(&h, TETHER__STEP__STEP_ATTACH, DONE);
	fake.unreached = 5;
	before = fake.handles_asked_for;
	harness_expect(&h, TETHER__STEP__STEP_RECONNECT, DONE);
	assert_int_equal(fake.unreached, 0);
	assert_int_equal(fake.handles_asked_for - before, 1);
	harness_expect(&h, TETHER__STEP__STEP_RESUME, DONE);
	carry_data_both_ways(&h.vm, &h.peer);
	assert_int_equal(ibv_destroy_ah(ah), 0);
}

static void who_is_never_reached_ends_with_an_error(void **state)
{
	assert_int_equal(harness_write(&h, 3), 0);
	harness_stop(&h);
	harness_expect(&h, TETHER__STEP__STEP_RELEASE, DONE);
	fake.slot = 1;
	harness_expect(&h, TETHER__STEP__STEP_ATTACH, DONE);
	fake.unreached = UINT32_MAX;
	harness_expect(&h, TETHER__STEP__STEP_RECONNECT, DONE);
	harness_expect(&h, TETHER__STEP__STEP_RESUME, DONE);
	assert_int_equal(harness_poll(&h, &h.vm), 1);
	assert_int_equal(h.wc[0].status, IBV_WC_RETRY_EXC_ERR);
}

static void after_an_abort_all_is_where_it_was(void **state)
{
	harness_stop(&h);
	harness_expect(&h, TETHER__STEP__STEP_ABORT, DONE);
	harness_expect(&h, TETHER__STEP__STEP_RECONNECT, DONE);
	harness_expect(&h, TETHER__STEP__STEP_RESUME, DONE);
	expect_leads_to(&h.peer, h.vm.gid);
	expect_comes_from(&h.vm, h.vm.gid);
	carry_data_both_ways(&h.vm, &h.peer);
	harness_move(&h);
	carry_data_both_ways(&h.vm, &h.peer);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        CONNECTED(each_end_is_led_to_where_the_other_is),
	        CONNECTED(the_program_sees_what_it_saw),
	        CONNECTED(evidence_and_numbers_are_said_by_names),
	        CONNECTED(each_queue_pair_has_its_own_gid_of_a_port),
	        CONNECTED(peers_of_one_number_are_not_mixed_up),
	        CONNECTED(who_is_not_told_the_gid_ends_with_an_error),
	        UNCONNECTED(a_late_peer_is_led_to_where_the_vm_is),
	        UNCONNECTED(a_late_peer_that_is_not_told_the_gid_goes_nowhere),
	        CONNECTED(a_device_that_was_there_before_is_not_the_next),
	        CONNECTED(who_is_not_reached_at_once_is_tried_again),
	        CONNECTED(handles_to_the_vm_are_made_anew_once),
	        CONNECTED(who_is_never_reached_ends_with_an_error),
	        CONNECTED(after_an_abort_all_is_where_it_was),
	};

	return cmocka_run_group_tests_name("shim_ethernet", tests, NULL, NULL);
}
