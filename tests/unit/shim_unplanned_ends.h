/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/* TETHER_UNPLANNED=reconnect: a device goes without a word, its peer gives up, another device is
 * there. */
#ifndef TEST_SHIM_UNPLANNED_ENDS_H
#define TEST_SHIM_UNPLANNED_ENDS_H

#include "tests/unit/shim_fake_loss.h"
#include "tests/unit/shim_lost_ends.h"

enum { WAITS_MS = 60000 };

/* It takes down what nobody else knows of it. */
static inline void lose_without_a_word(void)
{
	fake.gone |= 1u << fake.slot;
	fake_async_event(context_of(h.vm.context)->real,
	        (struct ibv_async_event){.event_type = IBV_EVENT_DEVICE_FATAL});
	fake.slot = -1;
	service_looks();
}

/* Whether the device is there, each device that is to be asked. */
static inline void service_asks(unsigned times)
{
	for (unsigned i = 0; i < times; i++, h.now_ms += 100)
		service_looks();
}

static inline void peer_gives_up(void)
{
	fake_give_up(real_of(h.peer.qp));
	assert_int_equal(harness_poll(&h, &h.peer), 0);
	service_looks();
}

static inline bool is_told(const struct end *end)
{
	return context_of(end->context)->fatal_told;
}

/* The VM has a device again, and is moved. */
static inline void recover(void)
{
	fake.slot = 1;
	harness_move(&h);
	assert_false(is_told(&h.vm));
	assert_int_equal(context_of(h.vm.context)->phase, PHASE_RUNNING);
}

static inline int write8(struct end *from, struct end *to, uint64_t wr_id)
{
	return end_rdma(from, to, IBV_WR_RDMA_WRITE, wr_id, 0, 8, IBV_SEND_SIGNALED);
}

static inline void expect(struct end *end, unsigned count, const enum ibv_wc_status *statuses)
{
	assert_int_equal(harness_poll(&h, end), count);
	for (unsigned i = 0; i < count; i++)
		assert_int_equal(h.wc[i].status, statuses[i]);
}

#define EXPECT(end, ...)                                                                           \
	do {                                                                                       \
		const enum ibv_wc_status statuses[] = {__VA_ARGS__};                               \
                                                                                                   \
		expect(end, sizeof(statuses) / sizeof(statuses[0]), statuses);                     \
	} while (0)

static const enum ibv_wc_status DONE_WELL = IBV_WC_SUCCESS;

/* What it kept is done where it is now: two of its own, and a RECV, 9. */
static inline void vm_goes_on(void)
{
	recover();
	assert_int_equal(end_run(&h.vm, 2), 2);
	EXPECT(&h.vm, DONE_WELL, DONE_WELL);
	assert_int_equal(end_send(&h.peer, 3, 0, 8, IBV_SEND_SIGNALED), 0);
	assert_int_equal(end_run(&h.peer, 1), 1);
	harness_expect_one(&h, &h.vm, 9);
	EXPECT(&h.peer, DONE_WELL);
}

#endif
