/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * Stamps of completions and the clock that they are of: one clock for the application, though each
 * of the fake HCAs has one of another rate, width and beginning.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "preload/objects.h"
#include "tests/unit/shim_fake_clocks.h"
#include "tests/unit/shim_harness.h"

enum { BYTES = 40, MOVES = 6, PATIENCE_S = 30, NS_PER_S = 1000000000 };

static struct harness harness;

static struct ibv_cq_ex *ex(const struct end *end)
{
	return (struct ibv_cq_ex *)(void *)end->cq;
}

static struct ibv_cq_ex *make(struct end *end, uint64_t wc_flags)
{
	struct ibv_cq_init_attr_ex attr = {.cqe = 4 * HARNESS_DEPTH,
	        .channel = end->channel,
	        .wc_flags = IBV_WC_STANDARD_FLAGS | wc_flags};

	return ibv_create_cq_ex(end->context, &attr);
}

static void replace(struct end *end)
{
	struct ibv_cq_ex *made = make(end, IBV_WC_EX_WITH_COMPLETION_TIMESTAMP |
	                                           IBV_WC_EX_WITH_COMPLETION_TIMESTAMP_WALLCLOCK);

	assert_non_null(made);
	assert_int_equal(ibv_destroy_cq(end->cq), 0);
	end->cq = ibv_cq_ex_to_cq(made);
}

static int setup_at(void **state, int slot, bool with_channel)
{
	struct fake_clock ordinary;

	alarm(PATIENCE_S);
	memset(&harness, 0, sizeof(harness));
	harness.with_channel = with_channel;
	harness_open(&harness);
	end_close(&harness.vm);
	end_close(&harness.peer);
	/* As if the VM had begun there. */
	ordinary = fake_clocks.of_slot[0];
	fake_clocks.of_slot[0] = fake_clocks.of_slot[slot];
	fake_clocks.of_slot[slot] = ordinary;
	fake_clocks.are_there = true;
	end_open(&harness.vm, FAKE_LID_VM, false);
	end_open(&harness.peer, FAKE_LID_PEER, false);
	replace(&harness.vm);
	replace(&harness.peer);
	harness_connect(&harness);
	*state = &harness;
	return 0;
}

static int setup(void **state)
{
	return setup_at(state, 0, false);
}

static int setup_narrow(void **state)
{
	return setup_at(state, 3, false);
}

static int setup_fast(void **state)
{
	return setup_at(state, 1, false);
}

static int setup_events(void **state)
{
	return setup_at(state, 0, true);
}

static int teardown(void **state)
{
	alarm(0);
	harness_close(*state);
	return 0;
}

/* ---- what the application reads ---- */

static struct ibv_device_attr_ex attr_of(const struct end *end)
{
	struct ibv_device_attr_ex attr;

	assert_int_equal(ibv_query_device_ex(end->context, NULL, &attr), 0);
	return attr;
}

static uint64_t clock_now(const struct end *end)
{
	struct ibv_values_ex values = {.comp_mask = IBV_VALUES_MASK_RAW_CLOCK};

	assert_int_equal(ibv_query_rt_values_ex(end->context, &values), 0);
	assert_int_equal(values.comp_mask, IBV_VALUES_MASK_RAW_CLOCK);
	assert_int_equal(values.raw_clock.tv_sec, 0);
	return (uint64_t)values.raw_clock.tv_nsec;
}

/* As an application compares what may wrap. */
#define FOLLOWS(end, early, late)                                                                  \
	do {                                                                                       \
		uint64_t mask_ = attr_of(end).completion_timestamp_mask;                           \
                                                                                                   \
		assert_int_equal((late) & ~mask_, 0);                                              \
		assert_true((((late) - (early)) & mask_) <= mask_ / 2);                            \
	} while (0)

static uint64_t host_ns(clockid_t clock)
{
	struct timespec now;

	clock_gettime(clock, &now);
	return (uint64_t)now.tv_sec * NS_PER_S + (uint64_t)now.tv_nsec;
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

/* ---- the tests ---- */

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

/* In the application's ticks, what @from_ns to @until_ns of the host's clock makes. */
static uint64_t ticks_of(const struct harness *h, uint64_t from_ns, uint64_t until_ns)
{
	unsigned __int128 passed = until_ns - from_ns;

	return (uint64_t)(passed * attr_of(&h->vm).hca_core_clock / 1000000);
}

static void the_clock_goes_on_while_there_is_no_device(void **state)
{
	enum { ROUNDED = 16 }; /* ticks, at a few places each move */
	struct harness *h = *state;
	uint64_t mask = attr_of(&h->vm).completion_timestamp_mask;
	uint64_t outer_ns, inner_ns, begin, away, end, least, most;
	int slot;

	for (int moves = 0; moves < MOVES; moves++) {
		outer_ns = host_ns(CLOCK_MONOTONIC_RAW);
		begin = clock_now(&h->vm);
		inner_ns = host_ns(CLOCK_MONOTONIC_RAW);
		harness_stop(h);
		harness_expect(h, TETHER__STEP__STEP_RELEASE, DONE);
		slot = (fake.slot + 1) % 4;
		fake.slot = -1;
		away = clock_now(&h->vm);
		FOLLOWS(&h->vm, begin, away);
		/* What lies between a reading of the device and one of the host counts twice. */
		most = 2 * ticks_of(h, outer_ns, host_ns(CLOCK_MONOTONIC_RAW)) + ROUNDED;
		assert_in_range((away - begin) & mask, 0, most);
		fake.slot = slot;
		harness_expect(h, TETHER__STEP__STEP_ATTACH, DONE);
		harness_expect(h, TETHER__STEP__STEP_RECONNECT, DONE);
		harness_expect(h, TETHER__STEP__STEP_RESUME, DONE);
		least = ticks_of(h, inner_ns, host_ns(CLOCK_MONOTONIC_RAW));
		end = clock_now(&h->vm);
		FOLLOWS(&h->vm, away, end);
		most = 2 * ticks_of(h, outer_ns, host_ns(CLOCK_MONOTONIC_RAW)) + ROUNDED;
		assert_in_range(((end - begin) & mask) + ROUNDED, least, most + ROUNDED);
	}
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

static void the_first_devices_rate_and_width_are_shown_for_ever(void **state)
{
	struct harness *h = *state;
	struct ibv_device_attr_ex first = attr_of(&h->vm), now;

	assert_int_equal(first.hca_core_clock, fake_clocks.of_slot[0].khz);
	assert_int_equal(first.completion_timestamp_mask, fake_clocks.of_slot[0].mask);
	for (int moves = 0; moves < MOVES; moves++) {
		harness_move(h);
		now = attr_of(&h->vm);
		assert_int_equal(now.hca_core_clock, first.hca_core_clock);
		assert_int_equal(now.completion_timestamp_mask, first.completion_timestamp_mask);
	}
}

static void made_after_a_move_it_stamps_likewise(void **state)
{
	struct harness *h = *state;
	uint64_t before, stamp;

	harness_move(h);
	assert_int_equal(ibv_destroy_qp(h->vm.qp), 0);
	assert_int_equal(ibv_destroy_qp(h->peer.qp), 0);
	replace(&h->vm);
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
	fake_clocks.of_slot[0].begin += 1000000000;
	fake_clocks.cannot_be_read = cannot_be_read;
	harness_expect(h, TETHER__STEP__STEP_ATTACH, DONE);
	harness_expect(h, TETHER__STEP__STEP_RECONNECT, DONE);
	harness_expect(h, TETHER__STEP__STEP_RESUME, DONE);
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

/* ---- a clock that cannot be read for once ---- */

/* The first device has gained on the host's clock since it came. */
static void gains(void)
{
	fake_clocks.of_slot[0].begin += 1000000000;
}

static void a_failed_reading_is_none_of_the_hosts(void **state)
{
	struct ibv_values_ex values = {.comp_mask = IBV_VALUES_MASK_RAW_CLOCK};
	struct harness *h = *state;
	uint64_t before, after;

	gains();
	before = clock_now(&h->vm);
	fake_clocks.cannot_be_read = true;
	assert_int_equal(ibv_query_rt_values_ex(h->vm.context, &values), EOPNOTSUPP);
	fake_clocks.cannot_be_read = false;
	after = clock_now(&h->vm);
	FOLLOWS(&h->vm, before, after);
}

static void what_is_made_up_meanwhile_is_no_earlier_than_what_was_shown(void **state)
{
	struct harness *h = *state;
	uint64_t before, after;
	struct seen made_up;

	write_back(h, 1);
	assert_int_equal(fake_execute(real_of(h->peer.qp), 1, false), 1);
	gains();
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
		gains();
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

/* ---- and all the time ---- */

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

/* ---- devices that lack something ---- */

static void lacks(struct end *end, uint64_t wc_flags)
{
	errno = 0;
	assert_null(make(end, wc_flags));
	assert_int_equal(errno, EOPNOTSUPP);
}

static void reopen(struct harness *h)
{
	end_close(&h->vm);
	h->vm.qp = NULL;
	end_open(&h->vm, FAKE_LID_VM, false);
}

static void has_no_clock(struct harness *h)
{
	struct ibv_values_ex values = {.comp_mask = IBV_VALUES_MASK_RAW_CLOCK};
	struct ibv_device_attr_ex attr = attr_of(&h->vm);

	assert_int_equal(ibv_query_rt_values_ex(h->vm.context, &values), EOPNOTSUPP);
	assert_int_equal(attr.completion_timestamp_mask, 0);
	assert_int_equal(attr.hca_core_clock, 0);
	lacks(&h->vm, IBV_WC_EX_WITH_COMPLETION_TIMESTAMP);
}

static void what_the_device_lacks_is_not_offered(void **state)
{
	struct harness *h = *state;

	fake_clocks.are_there = false;
	reopen(h);
	has_no_clock(h);
	lacks(&h->vm, IBV_WC_EX_WITH_COMPLETION_TIMESTAMP_WALLCLOCK);
}

/* Nobody could say when something was made up. */
static void stamps_without_a_clock_to_read_are_not_offered(void **state)
{
	struct harness *h = *state;
	struct ibv_cq_ex *wall;

	fake_clocks.cannot_be_read = true;
	reopen(h);
	has_no_clock(h);
	/* The other needs none. */
	wall = make(&h->vm, IBV_WC_EX_WITH_COMPLETION_TIMESTAMP_WALLCLOCK);
	assert_non_null(wall);
	assert_int_equal(ibv_destroy_cq(ibv_cq_ex_to_cq(wall)), 0);
}

static void other_values_are_not_answered(void **state)
{
	struct harness *h = *state;
	struct ibv_values_ex values = {.comp_mask = IBV_VALUES_MASK_RESERVED};

	assert_int_equal(ibv_query_rt_values_ex(h->vm.context, &values), 0);
	assert_int_equal(values.comp_mask, 0);
}

static void does_not_do(struct harness *h, bool has_clock)
{
	uint64_t before = clock_now(&h->vm), after;
	int slot = fake.slot + 1;

	harness_stop(h);
	harness_expect(h, TETHER__STEP__STEP_RELEASE, DONE);
	fake.slot = slot;
	fake_clocks.are_there = has_clock;
	fake_clocks.cannot_be_read = true;
	harness_expect(h, TETHER__STEP__STEP_ATTACH, FAILED);
	assert_string_equal(harness_reason(h), "not-rebuilt");
	after = clock_now(&h->vm);
	FOLLOWS(&h->vm, before, after);
}

static void a_device_that_cannot_stamp_does_not_do(void **state)
{
	does_not_do(*state, false);
}

/* Though it would stamp. */
static void a_device_whose_clock_cannot_be_read_does_not_do(void **state)
{
	does_not_do(*state, true);
}

static void without_a_clock_no_queue_is_made_that_stamps(void **state)
{
	struct harness *h = *state;
	struct ibv_cq *plain = ibv_create_cq(h->vm.context, 1, NULL, NULL, 0);

	assert_int_equal(ibv_destroy_qp(h->vm.qp), 0);
	assert_int_equal(ibv_destroy_cq(h->vm.cq), 0);
	h->vm.cq = plain;
	h->vm.qp = NULL;
	fake_clocks.cannot_be_read = true;
	harness_move(h);
	lacks(&h->vm, IBV_WC_EX_WITH_COMPLETION_TIMESTAMP);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
#define FROM(name, kind)                                                                           \
	{                                                                                          \
#name "_from_a_" #kind "_one", name, setup_##kind, teardown, NULL                  \
	}
#define OF_EACH(name) TEST(name), FROM(name, narrow), FROM(name, fast)

int main(void)
{
	const struct CMUnitTest tests[] = {
	        OF_EACH(stamps_are_between_readings_of_the_clock),
	        OF_EACH(what_is_taken_ahead_keeps_its_stamp),
	        OF_EACH(what_is_made_up_is_stamped_when_it_is_made),
	        OF_EACH(the_clock_goes_on_while_there_is_no_device),
	        TEST(receives_are_stamped_at_the_other_end),
	        TEST(the_wall_clock_is_kept_as_it_was_read),
	        TEST(what_comes_behind_is_not_earlier),
	        TEST(what_is_flushed_without_a_device_is_stamped_by_the_hosts_clock),
	        TEST(the_first_devices_rate_and_width_are_shown_for_ever),
	        TEST(made_after_a_move_it_stamps_likewise),
	        TEST(it_can_be_polled_as_a_plain_one),
	        cmocka_unit_test_setup_teardown(
	                events_come_as_with_any_other, setup_events, teardown),
	        TEST(a_queue_that_does_not_go_stamps_on),
	        TEST(it_stamps_on_where_the_clock_cannot_be_read_any_more),
	        TEST(a_failed_reading_is_none_of_the_hosts),
	        TEST(what_is_made_up_meanwhile_is_no_earlier_than_what_was_shown),
	        TEST(nothing_is_shown_again_where_the_last_reading_fails),
	        OF_EACH(who_watches_all_the_time_sees_it_go_on),
	        TEST(what_the_device_lacks_is_not_offered),
	        TEST(stamps_without_a_clock_to_read_are_not_offered),
	        TEST(other_values_are_not_answered),
	        TEST(a_device_that_cannot_stamp_does_not_do),
	        TEST(a_device_whose_clock_cannot_be_read_does_not_do),
	        TEST(without_a_clock_no_queue_is_made_that_stamps),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
