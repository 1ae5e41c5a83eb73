/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/* UD: who has sent it, and what its handle is needed for. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <pthread.h>
#include <sched.h>

#include "preload/objects.h"
#include "tests/unit/shim_harness.h"
#include "tests/unit/shim_letters.h"

static void rebuild_with_number(struct harness *h, uint32_t first)
{
	int next = fake.slot + 1;

	harness_expect(h, TETHER__STEP__STEP_RELEASE, DONE);
	fake.slot = next;
	fake_next_number(first);
	harness_arrive(h);
}

/* The new function gives each the number by which another is known. */
static void numbers_that_were_another_s_mean_who_they_meant(void **state)
{
	struct harness *h = *state;
	struct end second = second_of(h, &h->vm, &h->peer);

	harness_stop(h);
	/* One region first. */
	rebuild_with_number(h, second.qp->qp_num - 1);
	assert_int_equal(real_of(h->vm.qp)->qp_num, second.qp->qp_num);
	post_receive(&h->vm, 0);
	end_receive(&second, 71, INBOX + 512, LENGTH + GRH);
	h->peer.remote_qpn = second.qp->qp_num;
	send_letter(&h->peer, 3, 0);
	assert_int_equal(end_run(&h->peer, 9), 1);
	harness_expect_one(h, &second, 71);
	post_receive(&h->peer, 0);
	send_letter(&second, 4, 0);
	assert_int_equal(end_run(&second, 9), 1);
	expect_letter(h, &h->peer, 0, 4);
	h->peer.remote_qpn = h->vm.qp->qp_num;
	send_letter(&h->peer, 5, 0);
	assert_int_equal(end_run(&h->peer, 9), 1);
	expect_letter(h, &h->vm, 0, 5);
	second_end(&second);
}

/* What was received before the move is of who had the number then. */
static void what_came_before_is_of_who_sent_it_then(void **state)
{
	struct harness *h = *state;
	struct end second = second_of(h, &h->vm, &h->peer);

	post_receive(&h->peer, 0);
	fake.hold_receives = true;
	send_letter(&second, 4, 0);
	end_run(&second, 9);
	harness_stop(h);
	fake_release_receives();
	rebuild_with_number(h, second.qp->qp_num - 1);
	h->peer.remote_qpn = second.qp->qp_num;
	expect_letter(h, &h->peer, 0, 4);
	second_end(&second);
}

/* As a device does, which copies the address with the work. */
static void a_handle_may_be_destroyed_behind_its_post(void **state)
{
	struct harness *h = *state;
	struct ibv_ah_attr there = {.dlid = FAKE_LID_PEER, .port_num = 1};
	struct ibv_ah *to_peer = h->vm.ah;
	unsigned live;

	letter_has_gone(h, &h->vm, &h->peer);
	post_receive(&h->peer, 0);
	post_receive(&h->peer, 1);
	send_letter(&h->vm, 0, IBV_SEND_SIGNALED);
	harness_stop(h);
	send_letter(&h->vm, 1, IBV_SEND_SIGNALED);
	assert_int_equal(ibv_destroy_ah(to_peer), 0);
	harness_go_on(h);
	assert_int_equal(end_run(&h->vm, 9), 2);
	assert_int_equal(harness_poll(h, &h->peer), 2);
	assert_int_equal(h->peer.memory[INBOX + 128 + GRH], 'b');
	assert_int_equal(harness_poll(h, &h->vm), 2);
	live = fake.live_objects;
	h->vm.ah = ibv_create_ah(h->vm.pd, &there);
	assert_int_equal(ibv_destroy_ah(h->vm.ah), 0);
	h->vm.ah = NULL;
	assert_int_equal(fake.live_objects, live - 1);
}

static struct ibv_ah *to_peer_of(const struct harness *h)
{
	struct ibv_ah_attr there = {.dlid = FAKE_LID_PEER, .port_num = 1};

	return ibv_create_ah(h->vm.pd, &there);
}

/* One for each message, and a completion now and then. */
static void handles_of_done_work_do_not_pile_up(void **state)
{
	struct harness *h = *state;
	struct ibv_ah *own = h->vm.ah;
	unsigned live = fake.live_objects;

	for (uint64_t n = 0; n < 1000; n++) {
		h->vm.ah = to_peer_of(h);
		assert_int_equal(send_letter(&h->vm, n % 8, n % 4 ? 0 : IBV_SEND_SIGNALED), 0);
		assert_int_equal(ibv_destroy_ah(h->vm.ah), 0);
		assert_true(fake.live_objects < live + 100);
		end_run(&h->vm, 9);
		harness_poll(h, &h->vm);
	}
	h->vm.ah = own;
	harness_move(h);
	assert_true(fake.live_objects < live + HARNESS_DEPTH);
}

struct destroyer {
	struct ibv_ah *ah;
	bool done;
};

static void *destroy_it(void *at)
{
	struct destroyer *d = at;

	assert_int_equal(ibv_destroy_ah(d->ah), 0);
	__atomic_store_n(&d->done, true, __ATOMIC_RELEASE);
	return NULL;
}

/* Who posts is not disturbed by each of them. */
static void who_destroys_a_handle_does_not_look_at_the_queues(void **state)
{
	struct harness *h = *state;
	struct gate *gate = &queue_pair_of(h->vm.qp)->send_gate;
	struct destroyer d = {.ah = to_peer_of(h)};
	enum gate_pass pass;
	bool is_disturbed;
	pthread_t thread;

	send_letter(&h->vm, 0, 0);
	pass = gate_enter(gate);
	assert_int_equal(pass, GATE_OWNED);
	pthread_create(&thread, NULL, destroy_it, &d);
	while (!__atomic_load_n(&d.done, __ATOMIC_ACQUIRE) &&
	        __atomic_load_n(&gate->owner, __ATOMIC_RELAXED))
		sched_yield();
	is_disturbed = !__atomic_load_n(&gate->owner, __ATOMIC_RELAXED);
	gate_leave(gate, pass);
	pthread_join(thread, NULL);
	assert_false(is_disturbed);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        UD(numbers_that_were_another_s_mean_who_they_meant),
	        UD(what_came_before_is_of_who_sent_it_then),
	        UD(a_handle_may_be_destroyed_behind_its_post),
	        UD(handles_of_done_work_do_not_pile_up),
	        UD(who_destroys_a_handle_does_not_look_at_the_queues),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
