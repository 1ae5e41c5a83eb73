/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/* What is on its way when everybody has stopped is waited for, and not for ever. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>

#include "notifier/wire/frame.h"
#include "notifier/wire/rows.h"
#include "preload/objects.h"
#include "tests/unit/shim_harness.h"
#include "tests/unit/shim_letters.h"

static void what_is_on_its_way_is_waited_for(void **state)
{
	struct harness *h = *state;

	letter_arrives_late(h, &h->peer, &h->vm);
	letter_arrives_late(h, &h->vm, &h->peer);
	letter_arrives_late(h, &h->peer, &h->vm);
}

/* Whoever has no receive posted never sees it. */
static void what_was_lost_is_not_waited_for_twice(void **state)
{
	struct harness *h = *state;

	send_letter(&h->peer, 0, IBV_SEND_SIGNALED);
	end_run(&h->peer, 1);
	assert_true(move_and_measure_settle(h) > 0);
	assert_int_equal(move_and_measure_settle(h), 0);
	post_receive(&h->vm, 0);
	harness_expect_one(h, &h->peer, 0);
	send_letter(&h->peer, 1, IBV_SEND_SIGNALED);
	end_run(&h->peer, 1);
	assert_int_equal(move_and_measure_settle(h), 0);
	expect_letter(h, &h->vm, 0, 1);
}

static void nothing_is_waited_for_when_all_has_come(void **state)
{
	struct harness *h = *state;

	for (uint64_t n = 0; n < 3; n++) {
		post_receive(&h->vm, n);
		send_letter(&h->peer, n, 0);
	}
	end_run(&h->peer, 9);
	post_receive(&h->peer, 0);
	send_letter(&h->vm, 0, 0);
	end_run(&h->vm, 9);
	assert_int_equal(move_and_measure_settle(h), 0);
	assert_int_equal(harness_poll(h, &h->vm), 3);
}

static void what_the_device_refused_is_not_waited_for(void **state)
{
	struct harness *h = *state;

	post_receive(&h->vm, 0);
	fake.post_fails_at = 1;
	assert_int_equal(send_two(&h->peer, h->peer.ah, h->peer.ah), ENOMEM);
	fake.post_fails_at = 0;
	assert_int_equal(send_letter(&h->peer, 0, 0), ENOMEM);
	fake.post_fails_at = -1;
	assert_int_equal(end_run(&h->peer, 9), 1);
	assert_int_equal(move_and_measure_settle(h), 0);
	assert_int_equal(harness_poll(h, &h->vm), 1);
}

static const union ibv_gid group = {.raw = {0xff, 0x12}};

static struct ibv_ah *global_to_vm(const struct harness *h)
{
	struct ibv_ah_attr there = {.dlid = FAKE_LID_VM, .port_num = 1, .is_global = 1};

	return ibv_create_ah(h->peer.pd, &there);
}

/* A member does not know whether it came to it or to the group. */
static void what_may_be_of_a_group_is_not_waited_for(void **state)
{
	struct harness *h = *state;
	struct ibv_ah *plain = h->peer.ah, *global = global_to_vm(h);

	assert_int_equal(ibv_attach_mcast(h->vm.qp, &group, 0xc001), 0);
	for (uint64_t n = 0; n < 4; n++) {
		post_receive(&h->vm, n);
		h->peer.ah = n % 2 ? plain : global;
		send_letter(&h->peer, n, 0);
	}
	assert_int_equal(end_run(&h->peer, 9), 4);
	assert_int_equal(move_and_measure_settle(h), 0);
	h->peer.ah = plain;
	assert_int_equal(harness_poll(h, &h->vm), 4);
	/* Without a GRH it is its own. */
	send_letter(&h->peer, 1, 0);
	end_run(&h->peer, 1);
	assert_true(move_and_measure_settle(h) > 0);
	assert_int_equal(ibv_detach_mcast(h->vm.qp, &group, 0xc001), 0);
	assert_int_equal(ibv_destroy_ah(global), 0);
}

static void a_header_is_no_group(void **state)
{
	struct harness *h = *state;
	struct ibv_ah *plain = h->peer.ah;

	h->peer.ah = global_to_vm(h);
	send_letter(&h->peer, 1, 0);
	end_run(&h->peer, 1);
	assert_true(move_and_measure_settle(h) > 0);
	assert_int_equal(ibv_destroy_ah(h->peer.ah), 0);
	h->peer.ah = plain;
}

/* More addresses than an answer has room for. */
static void a_stop_is_answered_whatever_was_sent(void **state)
{
	struct harness *h = *state;
	struct datagram_counts *sent = &queue_pair_of(h->vm.qp)->sent;

	for (uint32_t i = 0; i < 100000; i++)
		datagram_counts_add(sent, 0, FAKE_LID_PEER, 0x10000 + i, false);
	harness_step(h, TETHER__STEP__STEP_PREPARE);
	assert_int_equal(harness_step(h, TETHER__STEP__STEP_STOP), TETHER__OUTCOME__OUTCOME_DONE);
	assert_true(tether__answer__get_packed_size(h->stopped) < FRAME_MAX_BYTES);
	harness_step(h, TETHER__STEP__STEP_ABORT);
	harness_move(h);
}

static size_t rows_of_a_stop(struct harness *h)
{
	size_t count;

	harness_stop(h);
	assert_int_equal(evidence_rows_count(h->stopped->evidence, &count), 0);
	harness_go_on(h);
	return count;
}

static void what_has_been_settled_is_not_told_again(void **state)
{
	struct harness *h = *state;
	struct end *ends[] = {&h->vm, &h->peer};

	for (int i = 0; i < 4; i++) {
		struct end *from = ends[i % 2], *to = ends[1 - i % 2];

		post_receive(to, 0);
		send_letter(from, 1, 0);
		end_run(from, 9);
		assert_int_equal(rows_of_a_stop(h), 1);
		assert_int_equal(rows_of_a_stop(h), 0);
		expect_letter(h, to, 0, 1);
	}
}

/* Who gives up has not said that it has waited. */
static void what_was_told_in_vain_is_told_again(void **state)
{
	struct harness *h = *state;

	post_receive(&h->vm, 0);
	send_letter(&h->peer, 1, 0);
	end_run(&h->peer, 9);
	harness_step(h, TETHER__STEP__STEP_PREPARE);
	harness_step(h, TETHER__STEP__STEP_STOP);
	harness_step(h, TETHER__STEP__STEP_ABORT);
	assert_int_equal(rows_of_a_stop(h), 1);
}

static void counts_are_of_each_address(void **state)
{
	struct datagram_counts counts = {0};

	for (uint32_t round = 1; round <= 2; round++) {
		for (uint32_t qpn = 0; qpn < 1000; qpn++)
			datagram_counts_add(&counts, 0, 1 + qpn % 3, qpn, qpn % 2);
		for (uint32_t qpn = 0; qpn < 1000; qpn++)
			assert_int_equal(
			        datagram_counts_at(&counts, 0, datagram_other(1 + qpn % 3, qpn))
			                ->count,
			        round);
	}
	/* At another name of its own it begins anew. */
	assert_int_equal(datagram_counts_at(&counts, 7, datagram_other(1, 0))->count, 0);
	assert_null(datagram_counts_at(&counts, 0, datagram_other(0, 5)));
	datagram_counts_fini(&counts);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        BOTH(what_is_on_its_way_is_waited_for),
	        BOTH(what_was_lost_is_not_waited_for_twice),
	        BOTH(nothing_is_waited_for_when_all_has_come),
	        UD(what_the_device_refused_is_not_waited_for),
	        UD(what_may_be_of_a_group_is_not_waited_for),
	        UD(a_header_is_no_group),
	        UD(what_has_been_settled_is_not_told_again),
	        UD(what_was_told_in_vain_is_told_again),
	        UD(a_stop_is_answered_whatever_was_sent),
	        cmocka_unit_test(counts_are_of_each_address),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
