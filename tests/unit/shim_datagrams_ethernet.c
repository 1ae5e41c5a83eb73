/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/* UD over Ethernet ports through moves: nothing is lost or waited for in vain, and each end is
 * called as it calls itself. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "tests/unit/shim_ethernet_letters.h"

static void after_a_move_each_is_called_as_before(void **state)
{
	struct harness *h = *state;

	/* Also to where it was before. */
	for (int moves = 0; moves < 6; moves++) {
		both_hear_each_other(h);
		harness_move(h);
		assert_int_not_equal(real_of(h->vm.qp)->qp_num, h->vm.qp->qp_num);
	}
	both_hear_each_other(h);
}

static void both_ends_may_have_moved(void **state)
{
	struct harness *h = *state;

	harness_move(h);
	h->moves_peer = true;
	h->migration += 10;
	harness_stop(h);
	harness_expect(h, TETHER__STEP__STEP_RELEASE, DONE);
	harness_arrive(h);
	assert_int_not_equal(real_of(h->peer.qp)->qp_num, h->peer.qp->qp_num);
	both_hear_each_other(h);
	h->moves_peer = false;
	h->migration += 10;
	harness_move(h);
	both_hear_each_other(h);
}

/* What is sent meanwhile is kept, and what was on its way is waited for: nothing is lost. */
static void nothing_is_lost_by_a_move(void **state)
{
	struct harness *h = *state;

	for (uint64_t n = 0; n < 4; n++)
		post_receive(n % 2 ? &h->vm : &h->peer, n);
	send_letter(&h->vm, 0, 0);
	send_letter(&h->peer, 1, 0);
	end_run(&h->vm, 9);
	end_run(&h->peer, 9);
	harness_stop(h);
	send_letter(&h->vm, 2, 0);
	send_letter(&h->peer, 3, 0);
	end_run(&h->peer, 9);
	harness_go_on(h);
	assert_int_equal(end_run(&h->vm, 9) + end_run(&h->peer, 9), 2);
	assert_int_equal(harness_poll(h, &h->vm), 2);
	assert_int_equal(h->wc[1].src_qp, h->peer.qp->qp_num);
	assert_int_equal(harness_poll(h, &h->peer), 2);
	assert_int_equal(h->wc[1].src_qp, h->vm.qp->qp_num);
}

static void arrives_late(struct harness *h, struct end *from, struct end *to)
{
	letter_arrives_late(h, from, to);
	expect_header_of(h, to, from, 0);
}

static void what_is_on_its_way_is_waited_for(void **state)
{
	struct harness *h = *state;

	both_hear_each_other(h);
	arrives_late(h, &h->peer, &h->vm);
	arrives_late(h, &h->vm, &h->peer);
	arrives_late(h, &h->peer, &h->vm);
}

static void when_all_has_come_nothing_is_waited_for(void **state)
{
	struct harness *h = *state;

	for (int moves = 0; moves < 2; moves++) {
		both_hear_each_other(h);
		assert_int_equal(move_and_measure_settle(h), 0);
	}
	/* And what has no receive posted is. */
	send_letter(&h->peer, 0, 0);
	end_run(&h->peer, 1);
	assert_true(move_and_measure_settle(h) > 0);
}

/* By another GID of its own each is another pair. */
static void counts_are_of_each_gid(void **state)
{
	struct harness *h = *state;
	struct end vm = h->vm, peer = h->peer;
	struct ibv_ah_attr there;

	both_hear_each_other(h);
	h->gids = h->gids == GIDS_OF_IPV4 ? GIDS_LINK_LOCAL : GIDS_OF_IPV4;
	harness_choose_gids(h);
	there = end_address(&h->vm, &h->peer, 0);
	h->vm.ah = ibv_create_ah(h->vm.pd, &there);
	says(h, &h->vm, &h->peer, 1);
	assert_int_equal(move_and_measure_settle(h), 0);
	says(h, &h->vm, &h->peer, 2);
	assert_int_equal(ibv_destroy_ah(h->vm.ah), 0);
	h->gids = h->gids == GIDS_OF_IPV4 ? GIDS_LINK_LOCAL : GIDS_OF_IPV4;
	h->vm = vm;
	h->peer = peer;
	both_hear_each_other(h);
}

/* Where the VM is then its queue pair has the peer's number. */
static void numbers_of_two_hosts_may_be_the_same(void **state)
{
	struct harness *h = *state;
	struct ibv_ah_attr home = end_address(&h->peer, &h->peer, 0);
	struct ibv_ah *to_vm = h->peer.ah, *to_itself = ibv_create_ah(h->peer.pd, &home);

	harness_stop(h);
	harness_expect(h, TETHER__STEP__STEP_RELEASE, DONE);
	fake.slot++;
	fake_next_number(h->peer.qp->qp_num - 1);
	harness_arrive(h);
	assert_int_equal(real_of(h->vm.qp)->qp_num, h->peer.qp->qp_num);
	both_hear_each_other(h);
	h->peer.ah = to_itself;
	h->peer.remote_qpn = h->peer.qp->qp_num;
	says(h, &h->peer, &h->peer, 4);
	h->peer.ah = to_vm;
	h->peer.remote_qpn = h->vm.qp->qp_num;
	both_hear_each_other(h);
	assert_int_equal(ibv_destroy_ah(to_itself), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        EACH(after_a_move_each_is_called_as_before),
	        EACH(both_ends_may_have_moved),
	        EACH(nothing_is_lost_by_a_move),
	        LINK_LOCAL(what_is_on_its_way_is_waited_for),
	        IPV4(what_is_on_its_way_is_waited_for),
	        EACH(when_all_has_come_nothing_is_waited_for),
	        LINK_LOCAL(counts_are_of_each_gid),
	        IPV4(counts_are_of_each_gid),
	        EACH(numbers_of_two_hosts_may_be_the_same),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
