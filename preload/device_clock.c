/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include "preload/device_clock.h"

#include <errno.h>
#include <string.h>
#include <time.h>

#include "notifier/base/log.h"
#include "preload/control.h"

uint64_t host_clock_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC_RAW, &now);
	return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

/* Providers put the ticks where nanoseconds belong. */
int device_clock_read(struct ibv_context *real, uint64_t *reading)
{
	struct ibv_values_ex values = {.comp_mask = IBV_VALUES_MASK_RAW_CLOCK};
	int err = ibv_query_rt_values_ex(real, &values);

	if (!err && !(values.comp_mask & IBV_VALUES_MASK_RAW_CLOCK))
		err = EOPNOTSUPP;
	if (!err)
		*reading = (uint64_t)values.raw_clock.tv_nsec;
	return err;
}

static struct clock_rate rate_of(const struct ibv_device_attr_ex *attr)
{
	return (struct clock_rate){attr->completion_timestamp_mask, attr->hca_core_clock};
}

void context_clock_begin(struct context *context)
{
	struct clock_rate rate = rate_of(&context->attr);
	uint64_t reading;

	if (clock_rate_is_sound(&rate) && !device_clock_read(context->real, &reading)) {
		shown_clock_begin(&context->clock, &rate, reading, host_clock_ns());
		context->clock_shown = context->clock.base_counted;
		return;
	}
	context->attr.completion_timestamp_mask = 0;
	context->attr.hca_core_clock = 0;
}

/*
 * The host's clock is read before the device's here, and after it at the next one: what lies
 * between counts as time, so that nothing is shown later than it is shown again.
 */
void context_clock_depart(struct context *context)
{
	uint64_t host_ns = host_clock_ns(), reading;
	int err;

	if (!context->clock.device.mask)
		return;
	err = device_clock_read(context->real, &reading);
	shown_clock_depart(&context->clock, err ? NULL : &reading, host_ns);
	shown_clock_reach(&context->clock, context_clock_shown(context));
	if (err)
		log_warn("clock", "%s: the clock cannot be read any more: error %d",
		        context->device->shown.name, err);
}

void context_clock_arrive(struct context *context)
{
	struct ibv_device_attr_ex attr;
	struct clock_rate rate;
	uint64_t reading;

	if (!context->clock.shown.mask || context->clock.device.mask)
		return;
	if (ibv_query_device_ex(context->real, NULL, &attr))
		memset(&attr, 0, sizeof(attr));
	rate = rate_of(&attr);
	if (clock_rate_is_sound(&rate) && !device_clock_read(context->real, &reading))
		shown_clock_arrive(&context->clock, &rate, reading, host_clock_ns());
	else
		log_warn("clock", "%s: has no clock now", context->device->shown.name);
}

void context_clock_show(struct context *context, uint64_t counted)
{
	uint64_t latest = context_clock_shown(context);

	while (counted_before(latest, counted) &&
	        !__atomic_compare_exchange_n(&context->clock_shown, &latest, counted, true,
	                __ATOMIC_RELAXED, __ATOMIC_RELAXED))
		;
}

uint64_t context_clock_shown(const struct context *context)
{
	return __atomic_load_n(&context->clock_shown, __ATOMIC_RELAXED);
}

/*
 * Answered without a device as well. Not by the host's clock where there is one that cannot be read
 * for once: they have gone apart since the device came, and the next reading would go back.
 */
static int count_now(const struct context *context, uint64_t *counted)
{
	uint64_t reading = 0;
	int err = context->clock.device.mask ? device_clock_read(context->real, &reading) : 0;

	if (!err)
		*counted = shown_clock_of(&context->clock, reading, host_clock_ns());
	return err;
}

int device_clock_query(struct ibv_context *shown, struct ibv_values_ex *values)
{
	struct context *context = context_of(shown);
	uint64_t counted = 0;
	int err;

	if (!context->clock.shown.mask)
		return EOPNOTSUPP;
	values->comp_mask &= IBV_VALUES_MASK_RAW_CLOCK;
	if (!values->comp_mask)
		return 0;
	control_enter(context, NEEDS_NOTHING);
	err = count_now(context, &counted);
	if (!err) {
		context_clock_show(context, counted);
		values->raw_clock = (struct timespec){
		        .tv_nsec = (long)shown_clock_show(&context->clock, counted)};
	}
	control_leave();
	return err;
}
