/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * Stamps of completions: of one clock for the application, though each of the fake HCAs has one of
 * another rate, width and beginning.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <poll.h>
#include <pthread.h>

#include "tests/unit/shim_stamped_ends.h"

enum { BYTES = 40 };

static struct ibv_cq_ex *ex(const struct end *end)
{
	return (struct ibv_cq_ex *)(void *)end->cq;
}

struct seen {
	uint64_t wr_id, ticks, wall_ns;
	enum ibv_wc_status status;
};

static struct seen read_one(const struct end *end)
{
	struct ibv_poll_cq_attr attr = {0};
	struct ibv_cq_ex *cq = ex(end);
	struct seen seen;

	assert_int_equal(ibv_start_poll(cq, &attr), 0);
	seen = (struct seen){cq->wr_id, ibv_wc_read_completion_ts(cq),
	        ibv_wc_read_completion_wallclock_ns(cq), cq->status};
	assert_int_equal(ibv_wc_read_qp_num(cq), end->qp->qp_num);
	ibv_end_poll(cq);
	return seen;
}

static void nothing_more(const struct end *end)
{
	struct ibv_poll_cq_attr attr = {0};

	assert_int_equal(ibv_start_poll(ex(end), &attr), ENOENT);
}

static void write_one(struct harness *h, uint64_t wr_id)
{
	assert_int_equal(
	        end_rdma(&h->vm, &h->peer, IBV_WR_RDMA_WRITE, wr_id, 0, BYTES, IBV_SEND_SIGNALED),
	        0);
}

static void write_back(struct harness *h, uint64_t wr_id)
{
	assert_int_equal(
	        end_rdma(&h->peer, &h->vm, IBV_WR_RDMA_WRITE, wr_id, 0, BYTES, IBV_SEND_SIGNALED),
	        0);
}

static void execute(struct harness *h, unsigned count, bool acknowledged)
{
	assert_int_equal(fake_execute(real_of(h->vm.qp), count, acknowledged), count);
}

static void stamps_are_between_readings_of_the_clock(void **state)
{
	struct harness *h = *state;
	uint64_t before, after = clock_now(&h->vm);
	struct seen seen;

	for (uint64_t moves = 0; moves <= MOVES; moves++) {
		before = clock_now(&h->vm);
		FOLLOWS(&h->vm, after, before);
		write_one(h, moves);
		execute(h, 1, true);
		after = clock_now(&h->vm);
		seen = read_one(&h->vm);
		nothing_more(&h->vm);
		assert_int_equal(seen.wr_id, moves);
		FOLLOWS(&h->vm, before, seen.ticks);
		FOLLOWS(&h->vm, seen.ticks, after);
		harness_move(h);
	}
}

static void receives_are_stamped_at_the_other_end(void **state)
{
	struct harness *h = *state;
	uint64_t before = clock_now(&h->peer);
	struct seen seen;

	for (uint64_t moves = 0; moves <= MOVES; moves++) {
		assert_int_equal(end_receive(&h->peer, moves, 0, BYTES), 0);
		assert_int_equal(end_send(&h->vm, moves, 0, BYTES, 0), 0);
		execute(h, 1, true);
		/* A peer's device stays, and so does its clock. */
		harness_move(h);
		seen = read_one(&h->peer);
		assert_int_equal(seen.wr_id, moves);
		FOLLOWS(&h->peer, before, seen.ticks);
		before = clock_now(&h->peer);
		FOLLOWS(&h->peer, seen.ticks, before);
	}
}

static void what_is_taken_ahead_keeps_its_stamp(void **state)
{
	struct harness *h = *state;
	uint64_t before, after, walls[3];
	struct seen seen;

	before = clock_now(&h->vm);
	for (uint64_t i = 0; i < 3; i++) {
		write_one(h, i);
		execute(h, 1, true);
	}
	after = clock_now(&h->vm);
	for (int moves = 0; moves < 3; moves++)
		harness_move(h);
	for (uint64_t i = 0; i < 3; i++) {
		seen = read_one(&h->vm);
		assert_int_equal(seen.wr_id, i);
		FOLLOWS(&h->vm, before, seen.ticks);
		FOLLOWS(&h->vm, seen.ticks, after);
		before = seen.ticks;
		walls[i] = seen.wall_ns;
	}
	assert_int_equal(walls[1], walls[0] + FAKE_WALL_NS);
	assert_int_equal(walls[2], walls[1] + FAKE_WALL_NS);
}

static void the_wall_clock_is_kept_as_it_was_read(void **state)
{
	struct harness *h = *state;

	for (uint64_t moves = 0; moves <= MOVES; moves++) {
		uint64_t is = fake_stamp_now().wall_ns;

		write_one(h, moves);
		execute(h, 1, true);
		if (moves % 2)
			harness_move(h);
		assert_int_equal(read_one(&h->vm).wall_ns, is + FAKE_WALL_NS);
		harness_move(h);
	}
}

/* Executed, and the acknowledgement is lost. */
static void what_is_made_up_is_stamped_when_it_is_made(void **state)
{
	struct harness *h = *state;

	for (uint64_t moves = 0; moves < MOVES; moves++) {
		uint64_t before, after, wall_ns = host_ns(CLOCK_REALTIME);
		struct seen first, second;

		write_one(h, 1);
		execute(h, 1, true);
		write_one(h, 2);
		execute(h, 1, false);
		before = clock_now(&h->vm);
		harness_move(h);
		after = clock_now(&h->vm);
		first = read_one(&h->vm);
		second = read_one(&h->vm);
		assert_int_equal(first.wr_id, 1);
		assert_int_equal(second.wr_id, 2);
		assert_int_equal(second.status, IBV_WC_SUCCESS);
		FOLLOWS(&h->vm, first.ticks, before);
		FOLLOWS(&h->vm, before, second.ticks);
		FOLLOWS(&h->vm, second.ticks, after);
		assert_in_range(second.wall_ns, wall_ns, host_ns(CLOCK_REALTIME));
	}
}

/* An adapter may have stamped it before, and tells of it afterwards. The peer's clock stays. */
static void what_comes_behind_is_not_earlier(void **state)
{
	struct harness *h = *state;
	struct seen made_up, next;
	uint64_t clock;

	write_back(h, 1);
	assert_int_equal(fake_execute(real_of(h->peer.qp), 1, false), 1);
	harness_move(h);
	fake_clocks.lag_ns = NS_PER_S / 2;
	write_back(h, 2);
	assert_int_equal(fake_execute(real_of(h->peer.qp), 1, true), 1);
	clock = clock_now(&h->peer);
	made_up = read_one(&h->peer);
	next = read_one(&h->peer);
	assert_int_equal(made_up.wr_id, 1);
	assert_int_equal(next.wr_id, 2);
	FOLLOWS(&h->peer, made_up.ticks, clock);
	assert_int_equal(next.ticks, made_up.ticks);
}

/* Work that ends without a device: its completions are made up there and then. */
static void what_is_flushed_without_a_device_is_stamped_by_the_hosts_clock(void **state)
{
	struct ibv_qp_attr attr = {.qp_state = IBV_QPS_ERR};
	struct harness *h = *state;
	uint64_t before, after;
	struct seen seen;

	write_one(h, 1);
	harness_stop(h);
	harness_expect(h, TETHER__STEP__STEP_RELEASE, DONE);
	before = clock_now(&h->vm);
	assert_int_equal(ibv_modify_qp(h->vm.qp, &attr, IBV_QP_STATE), 0);
	after = clock_now(&h->vm);
	seen = read_one(&h->vm);
	assert_int_equal(seen.wr_id, 1);
	assert_int_equal(seen.status, IBV_WC_WR_FLUSH_ERR);
	FOLLOWS(&h->vm, before, seen.ticks);
	FOLLOWS(&h->vm, seen.ticks, after);
	harness_go_on(h);
	before = clock_now(&h->vm);
	FOLLOWS(&h->vm, after, before);
}

static void made_after_a_move_it_stamps_likewise(void **state)
{
	struct harness *h = *state;
	uint64_t before, stamp;

	harness_move(h);
	assert_int_equal(ibv_destroy_qp(h->vm.qp), 0);
	assert_int_equal(ibv_destroy_qp(h->peer.qp), 0);
	replace_cq(&h->vm);
	harness_connect(h);
	before = clock_now(&h->vm);
	write_one(h, 1);
	execute(h, 1, true);
	stamp = read_one(&h->vm).ticks;
	FOLLOWS(&h->vm, before, stamp);
	before = clock_now(&h->vm);
	FOLLOWS(&h->vm, stamp, before);
}

static void it_can_be_polled_as_a_plain_one(void **state)
{
	struct harness *h = *state;

	for (uint64_t moves = 0; moves < 3; moves++) {
		for (uint64_t i = 1; i <= 3; i++)
			write_one(h, i);
		execute(h, 3, true);
		assert_int_equal(read_one(&h->vm).wr_id, 1);
		assert_int_equal(harness_poll(h, &h->vm), 2);
		assert_int_equal(h->wc[0].wr_id, 2);
		assert_int_equal(h->wc[1].wr_id, 3);
		write_one(h, 4);
		execute(h, 1, true);
		assert_int_equal(harness_poll(h, &h->vm), 1);
		assert_int_equal(h->wc[0].wr_id, 4);
		harness_move(h);
	}
}

static bool is_ready(int fd)
{
	struct pollfd poll_fd = {.fd = fd, .events = POLLIN};

	return poll(&poll_fd, 1, 0) == 1;
}

static void events_come_as_with_any_other(void **state)
{
	struct harness *h = *state;
	struct ibv_cq *cq;
	void *context;

	for (uint64_t moves = 0; moves < 3; moves++) {
		assert_int_equal(ibv_req_notify_cq(h->vm.cq, 0), 0);
		harness_move(h);
		assert_false(is_ready(h->vm.channel->fd));
		write_one(h, moves);
		execute(h, 1, true);
		assert_true(is_ready(h->vm.channel->fd));
		assert_int_equal(ibv_get_cq_event(h->vm.channel, &cq, &context), 0);
		assert_ptr_equal(cq, h->vm.cq);
		ibv_ack_cq_events(cq, 1);
		assert_int_equal(read_one(&h->vm).wr_id, moves);
	}
}

/* Its clock was left already, and is taken up again. */
static void stamps_on(struct harness *h, bool cannot_be_read)
{
	uint64_t before = clock_now(&h->vm), after;
	struct seen seen;

	harness_stop(h);
	fake.destroys_no_cqs = true;
	harness_expect(h, TETHER__STEP__STEP_RELEASE, FAILED);
	fake.destroys_no_cqs = false;
	/* The device runs as no host's clock would tell. */
	clock_gains();
	fake_clocks.cannot_be_read = cannot_be_read;
	harness_arrive(h);
	after = clock_now(&h->vm);
	FOLLOWS(&h->vm, before, after);
	write_one(h, 1);
	execute(h, 1, true);
	before = after;
	/* The host's clock says no more than when it was looked for. */
	if (cannot_be_read)
		seen = read_one(&h->vm);
	after = clock_now(&h->vm);
	if (!cannot_be_read)
		seen = read_one(&h->vm);
	FOLLOWS(&h->vm, before, seen.ticks);
	FOLLOWS(&h->vm, seen.ticks, after);
}

static void a_queue_that_does_not_go_stamps_on(void **state)
{
	stamps_on(*state, false);
}

/* By the host's clock. */
static void it_stamps_on_where_the_clock_cannot_be_read_any_more(void **state)
{
	stamps_on(*state, true);
}

static void what_is_made_up_meanwhile_is_no_earlier_than_what_was_shown(void **state)
{
	struct harness *h = *state;
	uint64_t before, after;
	struct seen made_up;

	write_back(h, 1);
	assert_int_equal(fake_execute(real_of(h->peer.qp), 1, false), 1);
	clock_gains();
	before = clock_now(&h->peer);
	harness_stop(h);
	fake_clocks.cannot_be_read = true;
	harness_expect(h, TETHER__STEP__STEP_RELEASE, DONE);
	fake_clocks.cannot_be_read = false;
	harness_go_on(h);
	after = clock_now(&h->peer);
	made_up = read_one(&h->peer);
	assert_int_equal(made_up.wr_id, 1);
	FOLLOWS(&h->peer, before, made_up.ticks);
	FOLLOWS(&h->peer, made_up.ticks, after);
}

/* The latest that was shown is a reading, or a stamp. */
static void nothing_is_shown_again_where_the_last_reading_fails(void **state)
{
	struct harness *h = *state;
	uint64_t before, after;

	for (int moves = 0; moves < 2; moves++) {
		clock_gains();
		write_one(h, 1);
		execute(h, 1, true);
		before = read_one(&h->vm).ticks;
		if (moves)
			before = clock_now(&h->vm);
		harness_stop(h);
		fake_clocks.cannot_be_read = true;
		harness_expect(h, TETHER__STEP__STEP_RELEASE, DONE);
		fake_clocks.cannot_be_read = false;
		after = clock_now(&h->vm);
		FOLLOWS(&h->vm, before, after);
		harness_go_on(h);
		before = clock_now(&h->vm);
		FOLLOWS(&h->vm, after, before);
	}
}

struct watcher {
	struct harness *h;
	bool is_over;
	uint64_t seen;
};

/* Readings and stamps in turn, each after the one before, whatever is moved meanwhile. */
static void *watch(void *at)
{
	struct watcher *w = at;
	struct end *end = &w->h->vm;
	uint64_t latest = clock_now(end), now;
	struct ibv_poll_cq_attr attr = {0};

	while (!__atomic_load_n(&w->is_over, __ATOMIC_ACQUIRE) || !w->seen) {
		int err = end_rdma(
		        end, &w->h->peer, IBV_WR_RDMA_WRITE, w->seen, 0, BYTES, IBV_SEND_SIGNALED);

		if (!err) {
			while (ibv_start_poll(ex(end), &attr) == ENOENT)
				;
			now = ibv_wc_read_completion_ts(ex(end));
			assert_int_equal(ex(end)->wr_id, w->seen);
			ibv_end_poll(ex(end));
			FOLLOWS(end, latest, now);
			latest = now;
			w->seen++;
		}
		now = clock_now(end);
		FOLLOWS(end, latest, now);
		latest = now;
	}
	return NULL;
}

static void who_watches_all_the_time_sees_it_go_on(void **state)
{
	struct watcher w = {.h = *state};
	pthread_t thread;

	fake.automatic = true;
	assert_int_equal(pthread_create(&thread, NULL, watch, &w), 0);
	for (int moves = 0; moves < 2 * MOVES; moves++)
		harness_move(w.h);
	__atomic_store_n(&w.is_over, true, __ATOMIC_RELEASE);
	pthread_join(thread, NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        OF_EACH(stamps_are_between_readings_of_the_clock),
	        OF_EACH(what_is_taken_ahead_keeps_its_stamp),
	        OF_EACH(what_is_made_up_is_stamped_when_it_is_made),
	        TEST(receives_are_stamped_at_the_other_end),
	        TEST(the_wall_clock_is_kept_as_it_was_read),
	        TEST(what_comes_behind_is_not_earlier),
	        TEST(what_is_flushed_without_a_device_is_stamped_by_the_hosts_clock),
	        TEST(made_after_a_move_it_stamps_likewise),
	        TEST(it_can_be_polled_as_a_plain_one),
	        cmocka_unit_test_setup_teardown(
	                events_come_as_with_any_other, stamped_setup_events, stamped_teardown),
	        TEST(a_queue_that_does_not_go_stamps_on),
	        TEST(it_stamps_on_where_the_clock_cannot_be_read_any_more),
	        TEST(what_is_made_up_meanwhile_is_no_earlier_than_what_was_shown),
	        TEST(nothing_is_shown_again_where_the_last_reading_fails),
	        OF_EACH(who_watches_all_the_time_sees_it_go_on),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
