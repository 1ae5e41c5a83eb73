/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/* Over Ethernet: datagrams of senders that a receiver has not heard before, and whose VM has moved.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "notifier/wire/rows.h"
#include "preload/datagrams.h"
#include "preload/grh.h"
#include "preload/places.h"
#include "tests/unit/shim_ethernet_letters.h"

static struct harness harness;
static unsigned questions;
static bool root_knows_it;

/* The GID that the VM's device has in place of the one that its peer knows. */
static union ibv_gid real_gid(void)
{
	const struct context *context = context_of(harness.vm.context);
	union ibv_gid real;

	assert_true(port_tables_real_gid(context, 1, &harness.vm.gid, &real));
	return real;
}

static void take(const union ibv_gid *at)
{
	const union ibv_gid real = real_gid();
	struct qp_row row = {.local_lid = gid_name(harness.vm.gid.raw),
	        .local_qpn = harness.vm.qp->qp_num,
	        .real_qpn = real_of(harness.vm.qp)->qp_num,
	        .real_lid = gid_name(real.raw)};
	Tether__QpRows rows = TETHER__QP_ROWS__INIT;
	Tether__GidRows gids = TETHER__GID_ROWS__INIT;

	assert_int_equal(qp_rows_append(&rows, &row), 0);
	assert_int_equal(gid_rows_add(&gids, harness.vm.gid.raw), 0);
	assert_int_equal(gid_rows_add(&gids, real.raw), 0);
	assert_int_equal(
	        datagram_numbers_take(datagram_numbers_of(gid_name(at->raw), at), &rows, &gids), 0);
	rows_clear(&rows.base);
	rows_clear(&gids.base);
}

/* What the root says of who is at the GID that the datagram has come from. */
static void answer(uint32_t name)
{
	const union ibv_gid real = real_gid();

	questions++;
	assert_int_equal(name, gid_name(real.raw));
	if (root_knows_it)
		take(&real);
}

/* The VM has moved, and the peer has not heard of it. */
static int setup(void **state)
{
	harness_begin(&harness,
	        (struct harness){.type = IBV_QPT_UD, .ethernet = true, .gids = GIDS_OF_IPV4});
	harness_move(&harness);
	ethernet_letters_forget();
	harness_stranger = answer;
	root_knows_it = true;
	questions = 0;
	*state = &harness;
	return 0;
}

static void vm_says(struct harness *h, uint64_t n)
{
	post_receive(&h->peer, n);
	assert_int_equal(send_letter(&h->vm, n, IBV_SEND_SIGNALED), 0);
	assert_int_equal(end_run(&h->vm, 9), 1);
	harness_expect_one(h, &h->vm, n);
}

static void expect_called(struct harness *h, const struct ibv_wc *wc, uint64_t n,
        const union ibv_gid *as, uint32_t qpn)
{
	union ibv_gid from, to;

	assert_int_equal(wc->wr_id, 50 + n);
	assert_int_equal(wc->src_qp, qpn);
	assert_int_equal(wc->vendor_err, 0);
	assert_int_equal(grh_ends(h->peer.memory + INBOX + 128 * n, &from, &to), GRH_IS_IPV4);
	assert_memory_equal(&from, as, sizeof(from));
	assert_memory_equal(&to, &h->peer.gid, sizeof(to));
}

static void peer_hears(struct harness *h, uint64_t n)
{
	assert_int_equal(harness_poll(h, &h->peer), 1);
	expect_called(h, &h->wc[0], n, &h->vm.gid, h->vm.qp->qp_num);
}

static uint32_t counted(const struct harness *h)
{
	return datagram_counts_at(&queue_pair_of(h->peer.qp)->received, gid_name(h->peer.gid.raw),
	        datagram_other(gid_name(h->vm.gid.raw), h->vm.qp->qp_num))
	        ->count;
}

static void a_stranger_is_asked_for_and_called_as_it_calls_itself(void **state)
{
	struct harness *h = *state;

	for (uint64_t n = 1; n < 4; n++) {
		vm_says(h, n);
		peer_hears(h, n);
		assert_int_equal(questions, 1);
		assert_int_equal(counted(h), n);
	}
}

static void of_several_at_once_each_is_introduced(void **state)
{
	struct harness *h = *state;

	for (uint64_t n = 0; n < 5; n++)
		vm_says(h, n);
	assert_int_equal(harness_poll(h, &h->peer), 5);
	for (uint64_t n = 0; n < 5; n++)
		expect_called(h, &h->wc[n], n, &h->vm.gid, h->vm.qp->qp_num);
	assert_int_equal(counted(h), 5);
}

/* Of whom the root knows nothing is called as the device has it, and asked for once. */
static void who_has_not_moved_is_who_it_is(void **state)
{
	const union ibv_gid real = real_gid();
	struct harness *h = *state;

	root_knows_it = false;
	for (uint64_t n = 1; n < 4; n++) {
		vm_says(h, n);
		assert_int_equal(harness_poll(h, &h->peer), 1);
		expect_called(h, &h->wc[0], n, &real, real_of(h->vm.qp)->qp_num);
		assert_int_equal(questions, 1);
	}
}

/* The service thread has taken it from the device: it does not wait, the application does. */
static void what_a_step_has_taken_is_introduced_when_it_is_polled(void **state)
{
	struct harness *h = *state;

	for (uint64_t n = 0; n < 42; n++) {
		if (n % 7 == 6) {
			harness_expect(h, TETHER__STEP__STEP_PREPARE, DONE);
			harness_expect(h, TETHER__STEP__STEP_STOP, DONE);
			harness_expect(h, TETHER__STEP__STEP_ABORT, DONE);
		} else {
			vm_says(h, n % 7);
		}
	}
	assert_int_equal(questions, 0);
	assert_int_equal(completion_queue_of(h->peer.cq)->strangers, 36);
	assert_int_equal(harness_poll(h, &h->peer), 36);
	for (int i = 0; i < 36; i++)
		assert_int_equal(h->wc[i].src_qp, h->vm.qp->qp_num);
	expect_called(h, &h->wc[35], 5, &h->vm.gid, h->vm.qp->qp_num);
	assert_int_equal(questions, 1);
	assert_int_equal(completion_queue_of(h->peer.cq)->strangers, 0);
}

/* What it is called then says who it was only before its VM moves again. */
static void a_stranger_is_who_it_was_when_it_sent(void **state)
{
	const uint32_t its_number = real_of(harness.vm.qp)->qp_num;
	const union ibv_gid real = real_gid();
	struct harness *h = *state;

	take(&real);
	vm_says(h, 1);
	harness_move(h);
	assert_int_equal(completion_queue_of(h->peer.cq)->strangers, 0);
	questions = 0;
	peer_hears(h, 1);
	assert_int_equal(questions, 0);
	/* Who comes there next is another. */
	assert_false(sender_is_known(gid_name(real.raw)));
	assert_null(datagram_sender(datagram_numbers_named(gid_name(real.raw)), its_number));
}

/* Where it was heard already, and the service thread has not looked yet. */
static void who_has_left_may_be_heard_there_again(void **state)
{
	const union ibv_gid real = real_gid();
	const uint32_t name = gid_name(real.raw);
	struct datagram_numbers *numbers = datagram_numbers_of(name, &real);
	struct remote sender;

	for (int turn = 0; turn < 2; turn++) {
		assert_false(sender_is_known(name));
		sender_set_unknown(numbers);
		assert_false(sender_is_known(name));
		assert_true(heard_senders_next(&sender));
		assert_int_equal(sender.lid, name);
		assert_false(heard_senders_next(&sender));
	}
	sender_set_known(name);
}

/* Taken from the device, and not asked for any more. */
static void what_goes_with_its_receiver_is_no_stranger_any_more(void **state)
{
	struct harness *h = *state;
	struct ibv_qp_attr reset = {.qp_state = IBV_QPS_RESET};

	take(&h->vm.gid);
	for (int destroyed = 0; destroyed < 2; destroyed++) {
		struct end second = second_of(h, &h->peer, &h->vm);

		h->vm.remote_qpn = second.qp->qp_num;
		post_receive(&second, 1);
		send_letter(&h->vm, 1, 0);
		assert_int_equal(end_run(&h->vm, 9), 1);
		if (!destroyed)
			assert_int_equal(ibv_modify_qp(second.qp, &reset, IBV_QP_STATE), 0);
		second_end(&second);
		assert_int_equal(completion_queue_of(h->peer.cq)->strangers, 0);
	}
	assert_int_equal(harness_poll(h, &h->peer), 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, ethernet_letters_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
	        TEST(a_stranger_is_asked_for_and_called_as_it_calls_itself),
	        TEST(of_several_at_once_each_is_introduced),
	        TEST(who_has_not_moved_is_who_it_is),
	        TEST(what_a_step_has_taken_is_introduced_when_it_is_polled),
	        TEST(a_stranger_is_who_it_was_when_it_sent),
	        TEST(who_has_left_may_be_heard_there_again),
	        TEST(what_goes_with_its_receiver_is_no_stranger_any_more),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
