/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/* The device's clock, and the times of completions. */
#include <time.h>

#include "simfabric/verbs_objects_loop.h"

static void timestamps_are_the_clock_of_the_device(struct objects *o)
{
	struct ibv_values_ex before = {.comp_mask = IBV_VALUES_MASK_RAW_CLOCK}, after = before;
	struct ibv_device_attr_ex attr;
	struct timespec now;
	uint64_t wall_ns, mask, from_ns;
	struct loop loop;

	CHECK(!ibv_query_device_ex(o->context, NULL, &attr));
	mask = attr.completion_timestamp_mask;
	CHECK(mask && attr.hca_core_clock);
	loop_open(o, &loop,
	        loop_wants(IBV_WC_EX_WITH_COMPLETION_TIMESTAMP |
	                   IBV_WC_EX_WITH_COMPLETION_TIMESTAMP_WALLCLOCK));
	clock_gettime(CLOCK_REALTIME, &now);
	from_ns = (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
	CHECK(!ibv_query_rt_values_ex(o->context, &before));
	loop_post_write(o, &loop, 1);
	loop_start(loop.cq);
	wall_ns = ibv_wc_read_completion_wallclock_ns(loop.cq);
	CHECK(!ibv_query_rt_values_ex(o->context, &after));
	CHECK(before.comp_mask == IBV_VALUES_MASK_RAW_CLOCK && !before.raw_clock.tv_sec);
	CHECK((uint64_t)before.raw_clock.tv_nsec <= ibv_wc_read_completion_ts(loop.cq));
	CHECK(ibv_wc_read_completion_ts(loop.cq) <= (uint64_t)after.raw_clock.tv_nsec);
	CHECK(((uint64_t)after.raw_clock.tv_nsec & ~mask) == 0);
	clock_gettime(CLOCK_REALTIME, &now);
	/* The two clocks are not read at one moment. */
	CHECK(wall_ns + 1000000000 > from_ns);
	CHECK(wall_ns < (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec + 1000000000);
	ibv_end_poll(loop.cq);
	loop_close(&loop);
}

/* However late it is read. Each reading asks two clocks, between which anything may happen: one
 * undisturbed pair of readings shows it. */
static void wall_clock_time_is_that_of_the_completion(struct objects *o)
{
	const struct timespec nap = {.tv_nsec = 20000000};
	uint64_t first, second;
	struct loop loop;

	loop_open(o, &loop, loop_wants(IBV_WC_EX_WITH_COMPLETION_TIMESTAMP_WALLCLOCK));
	loop_post_write(o, &loop, 1);
	loop_start(loop.cq);
	for (int i = 0;; i++) {
		first = ibv_wc_read_completion_wallclock_ns(loop.cq);
		nanosleep(&nap, NULL);
		second = ibv_wc_read_completion_wallclock_ns(loop.cq);
		if (second < first + (uint64_t)nap.tv_nsec / 2)
			break;
		CHECK(i < 50);
	}
	ibv_end_poll(loop.cq);
	loop_close(&loop);
}

static void clock_runs_as_fast_as_it_says(struct objects *o)
{
	struct ibv_values_ex begin = {.comp_mask = IBV_VALUES_MASK_RAW_CLOCK}, end = begin;
	struct timespec from, until, nap = {.tv_nsec = 20000000}; /* what is measured */
	struct ibv_device_attr_ex attr;
	uint64_t ticks, at_least_ns, ns;

	CHECK(!ibv_query_device_ex(o->context, NULL, &attr));
	clock_gettime(CLOCK_MONOTONIC, &from);
	CHECK(!ibv_query_rt_values_ex(o->context, &begin));
	nanosleep(&nap, NULL);
	CHECK(!ibv_query_rt_values_ex(o->context, &end));
	clock_gettime(CLOCK_MONOTONIC, &until);
	ticks = (uint64_t)(end.raw_clock.tv_nsec - begin.raw_clock.tv_nsec);
	ns = ticks * 1000000 / attr.hca_core_clock;
	at_least_ns = (uint64_t)nap.tv_nsec;
	CHECK(ns + 1000 >= at_least_ns);
	CHECK(ns <= (uint64_t)(until.tv_sec - from.tv_sec) * 1000000000 +
	                    (uint64_t)(until.tv_nsec - from.tv_nsec) + 1000);
}

static void unknown_values_are_not_answered(struct objects *o)
{
	struct ibv_values_ex values = {.comp_mask = IBV_VALUES_MASK_RESERVED};

	CHECK(!ibv_query_rt_values_ex(o->context, &values));
	CHECK(!values.comp_mask);
}

const struct objects_test objects_clocks_tests[] = {
        OBJECTS_TEST(timestamps_are_the_clock_of_the_device),
        OBJECTS_TEST(wall_clock_time_is_that_of_the_completion),
        OBJECTS_TEST(clock_runs_as_fast_as_it_says),
        OBJECTS_TEST(unknown_values_are_not_answered),
        {0},
};
