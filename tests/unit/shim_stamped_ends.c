/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include "tests/unit/shim_stamped_ends.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <string.h>
#include <unistd.h>

enum { PATIENCE_S = 30 };

static struct harness harness;

struct ibv_cq_ex *make_cq_ex(struct end *end, uint64_t wc_flags)
{
	struct ibv_cq_init_attr_ex attr = {.cqe = 4 * HARNESS_DEPTH,
	        .channel = end->channel,
	        .wc_flags = IBV_WC_STANDARD_FLAGS | wc_flags};

	return ibv_create_cq_ex(end->context, &attr);
}

void replace_cq(struct end *end)
{
	struct ibv_cq_ex *made =
	        make_cq_ex(end, IBV_WC_EX_WITH_COMPLETION_TIMESTAMP |
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
	replace_cq(&harness.vm);
	replace_cq(&harness.peer);
	harness_connect(&harness);
	*state = &harness;
	return 0;
}

int stamped_setup(void **state)
{
	return setup_at(state, 0, false);
}

int stamped_setup_narrow(void **state)
{
	return setup_at(state, 3, false);
}

int stamped_setup_fast(void **state)
{
	return setup_at(state, 1, false);
}

int stamped_setup_events(void **state)
{
	return setup_at(state, 0, true);
}

int stamped_teardown(void **state)
{
	alarm(0);
	harness_close(*state);
	return 0;
}

struct ibv_device_attr_ex attr_of(const struct end *end)
{
	struct ibv_device_attr_ex attr;

	assert_int_equal(ibv_query_device_ex(end->context, NULL, &attr), 0);
	return attr;
}

uint64_t clock_now(const struct end *end)
{
	struct ibv_values_ex values = {.comp_mask = IBV_VALUES_MASK_RAW_CLOCK};

	assert_int_equal(ibv_query_rt_values_ex(end->context, &values), 0);
	assert_int_equal(values.comp_mask, IBV_VALUES_MASK_RAW_CLOCK);
	assert_int_equal(values.raw_clock.tv_sec, 0);
	return (uint64_t)values.raw_clock.tv_nsec;
}

uint64_t host_ns(clockid_t clock)
{
	struct timespec now;

	clock_gettime(clock, &now);
	return (uint64_t)now.tv_sec * NS_PER_S + (uint64_t)now.tv_nsec;
}

void clock_gains(void)
{
	fake_clocks.of_slot[0].begin += 1000000000;
}
