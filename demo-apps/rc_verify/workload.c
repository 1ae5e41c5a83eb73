/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include "demo-apps/rc_verify/workload.h"

#include "demo-apps/verify/message.h"

const char *const work_kind_name[WORK_KIND_COUNT] = {
#define KIND(name, weight) #name,
        WORK_KINDS(KIND)
#undef KIND
};

static const uint32_t weight[WORK_KIND_COUNT] = {
#define KIND(name, weight) weight,
        WORK_KINDS(KIND)
#undef KIND
};

/* 0..@below - 1 */
static uint32_t draw(struct workload *workload, uint32_t below)
{
	return (random_next(&workload->seed) >> 16) % below;
}

static enum work_kind draw_kind(struct workload *workload)
{
	uint32_t left = draw(workload, 1000);

	for (enum work_kind kind = 0; kind < WORK_KIND_COUNT; kind++) {
		if (left < weight[kind])
			return kind;
		left -= weight[kind];
	}
	return WORK_progress;
}

/*
 * A tail that straddles two packets would be there in part while the second is lost, for as long as
 * a retransmission takes, and be taken for damage (slot_ring.h). Every MTU is a multiple of 256.
 */
static uint32_t keep_tail_whole(uint32_t length)
{
	const uint32_t least_mtu = 256, tail = 8;

	return length > least_mtu && length % least_mtu < tail ? length - length % least_mtu
	                                                       : length;
}

/* A third short (inline), a third of up to a quarter, a third of any length. */
static uint32_t draw_length(struct workload *workload)
{
	const struct workload_limits *limits = &workload->limits;
	uint32_t most = limits->length_max;

	switch (draw(workload, 3)) {
	case 0:
		most = limits->inline_max;
		break;
	case 1:
		most /= 4;
		break;
	}
	if (most < MESSAGE_MIN)
		most = MESSAGE_MIN;
	return keep_tail_whole(MESSAGE_MIN + draw(workload, most - MESSAGE_MIN + 1));
}

static void draw_read(struct workload *workload, struct work *work)
{
	if (work->length > workload->limits.pattern_length)
		work->length = workload->limits.pattern_length;
	work->offset = draw(workload, workload->limits.pattern_length - work->length + 1);
}

void workload_progress(struct work *work)
{
	*work = (struct work){.kind = WORK_progress, .length = 16, .sges = 1, .is_signalled = true};
}

void workload_next(struct workload *workload, struct work *work)
{
	const struct workload_limits *limits = &workload->limits;
	enum work_kind kind = draw_kind(workload);

	if (!limits->has_atomics && (kind == WORK_fetch_add || kind == WORK_cmp_swap))
		kind = WORK_read;
	if (kind == WORK_progress) {
		workload_progress(work);
		return;
	}
	*work = (struct work){.kind = kind, .length = draw_length(workload), .sges = 1};
	work->is_signalled = draw(workload, limits->signal_every) == 0;
	work->is_fenced = draw(workload, 16) == 0;
	if (kind == WORK_fetch_add || kind == WORK_cmp_swap) {
		work->length = 8;
		work->operand = 1 + draw(workload, 1000);
		return;
	}
	if (draw(workload, 3) == 0)
		work->sges = 1 + draw(workload, limits->sges_max);
	if (kind == WORK_read) {
		draw_read(workload, work);
		return;
	}
	work->is_inline = work->length <= limits->inline_max && draw(workload, 4) != 0;
}
