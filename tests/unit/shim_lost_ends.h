/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/* A device that is taken away by surprise and gives nothing back: who is there, and what is asked.
 */
#ifndef TEST_SHIM_LOST_ENDS_H
#define TEST_SHIM_LOST_ENDS_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>

#include "preload/lost_devices.h"
#include "preload/objects.h"
#include "tests/unit/shim_harness.h"

static struct harness h;

static inline int setup_with(struct harness wanted)
{
	assert_int_equal(lost_devices_begin(), 0);
	harness_begin(&h, wanted);
	return 0;
}

static inline int setup(void **state)
{
	return setup_with((struct harness){0});
}

static inline int setup_shared(void **state)
{
	return setup_with((struct harness){.with_srq = true});
}

static inline int setup_channel(void **state)
{
	return setup_with((struct harness){.with_channel = true});
}

static inline int setup_datagrams(void **state)
{
	return setup_with((struct harness){.type = IBV_QPT_UD});
}

static inline int teardown(void **state)
{
	harness_close(&h);
	lost_devices_forget();
	return 0;
}
static inline struct ibv_context *real_context(const struct end *end)
{
	return context_of(end->context)->real;
}

static inline void device_tells(const struct end *end, enum ibv_event_type type)
{
	fake_async_event(real_context(end),
	        (struct ibv_async_event){.element.port_num = 1, .event_type = type});
}

/* The VM's, which is where fake.slot says. */
static inline void take_away(void)
{
	fake.gone |= 1u << fake.slot;
	device_tells(&h.vm, IBV_EVENT_DEVICE_FATAL);
	fake.slot = -1;
}

static inline void service_looks(void)
{
	lost_devices_tick(h.now_ms);
}

static inline void lose_device(void)
{
	take_away();
	service_looks();
}

static inline int get_event(const struct end *end, struct ibv_async_event *event)
{
	int fd = end->context->async_fd;

	assert_int_equal(fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK), 0);
	if (ibv_get_async_event(end->context, event)) {
		assert_int_equal(errno, EAGAIN);
		return 0;
	}
	ibv_ack_async_event(event);
	return 1;
}

static inline unsigned fatal_events(const struct end *end)
{
	struct ibv_async_event event;
	unsigned count = 0;

	while (get_event(end, &event))
		count += event.event_type == IBV_EVENT_DEVICE_FATAL;
	return count;
}

static inline void expect_lost(const struct end *end)
{
	assert_int_equal(fatal_events(end), 1);
	assert_int_equal(context_of(end->context)->phase, PHASE_LOST);
	assert_null(real_context(end));
}

static inline void expect_alive(const struct end *end)
{
	assert_int_equal(fatal_events(end), 0);
	assert_int_equal(context_of(end->context)->phase, PHASE_RUNNING);
	assert_non_null(real_context(end));
}

static inline void expect_wc(unsigned nth, uint64_t wr_id, enum ibv_wc_status status)
{
	assert_int_equal(h.wc[nth].wr_id, wr_id);
	assert_int_equal(h.wc[nth].status, status);
	assert_int_equal(h.wc[nth].qp_num, h.vm.qp->qp_num);
}

static inline int send(uint64_t wr_id, unsigned flags)
{
	return end_rdma(&h.vm, &h.peer, IBV_WR_RDMA_WRITE, wr_id, 0, 8, flags);
}

static inline void step(Tether__Step step)
{
	harness_expect(&h, step, DONE);
}

static inline void step_fails(Tether__Step step, const char *why)
{
	harness_expect(&h, step, FAILED);
	assert_string_equal(harness_reason(&h), why);
}

#define TEST(name)      cmocka_unit_test_setup_teardown(name, setup, teardown)
#define SHARED(name)    cmocka_unit_test_setup_teardown(name, setup_shared, teardown)
#define CHANNEL(name)   cmocka_unit_test_setup_teardown(name, setup_channel, teardown)
#define DATAGRAMS(name) cmocka_unit_test_setup_teardown(name, setup_datagrams, teardown)

#endif
