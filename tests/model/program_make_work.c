/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/* A program's work requests from a seed. */
#include "model/program_make.h"

static uint16_t draw_length(struct maker *m, const struct program_link *link)
{
	unsigned mtu = 128u << link->mtu;

	switch (below(m, 8)) {
	case 0:
		return (uint16_t)(mtu < MESSAGE_MOST ? mtu : MESSAGE_MOST);
	case 1:
		return (uint16_t)(mtu + 1 < MESSAGE_MOST ? mtu + 1 : MESSAGE_MOST);
	case 2:
	case 3:
		return (uint16_t)chance_between(&m->chance, 1, MESSAGE_MOST);
	case 4:
		return (uint16_t)chance_between(&m->chance, mtu < 1024 ? mtu : 512, MESSAGE_MOST);
	default:
		return (uint16_t)chance_between(&m->chance, 1, SHORT_MOST);
	}
}

enum { ATOMIC_OPCODES = 2 };

static uint8_t draw_opcode(struct maker *m)
{
	static const uint8_t opcodes[] = {IBV_WR_SEND, IBV_WR_SEND, IBV_WR_SEND_WITH_IMM,
	        IBV_WR_RDMA_WRITE, IBV_WR_RDMA_WRITE, IBV_WR_RDMA_WRITE, IBV_WR_RDMA_WRITE_WITH_IMM,
	        IBV_WR_RDMA_READ, IBV_WR_RDMA_READ, IBV_WR_ATOMIC_FETCH_AND_ADD,
	        IBV_WR_ATOMIC_CMP_AND_SWP};

	return opcodes[below(m, sizeof(opcodes) - (m->has_atomics ? 0 : ATOMIC_OPCODES))];
}

static void draw_place(struct maker *m, struct work *work)
{
	if (work_is_atomic(work)) {
		work->place = PLACE_COUNTER;
		work->index = (uint8_t)below(m, COUNTERS);
		work->length = 8;
	} else if (work->opcode == IBV_WR_RDMA_READ) {
		work->place = percent(m, 50) ? PLACE_VERSIONED : PLACE_HOT;
		work->index =
		        (uint8_t)below(m, work->place == PLACE_HOT ? HOT_CELLS : VERSIONED_CELLS);
		work->length = work->place == PLACE_HOT ? HOT_BYTES : (work->length + 7) & ~7;
	} else if (work_writes(work) && percent(m, 30)) {
		work->place = PLACE_HOT;
		work->index = (uint8_t)below(m, HOT_CELLS);
		work->length = HOT_BYTES;
	} else if (work_writes(work)) {
		work->place = PLACE_CELL;
	}
}

/* Of what is long the operand says it, which is random as well: nothing else is drawn otherwise. */
static bool is_put_inline(struct maker *m, const struct work *work)
{
	return work->length <= SHORT_MOST ? percent(m, 40) : work->operand % 100 < 70;
}

void draw_flags(struct maker *m, struct work *work)
{
	if (percent(m, 45))
		work->flags |= IBV_SEND_SIGNALED;
	if (percent(m, 20))
		work->flags |= IBV_SEND_FENCE;
	if (work_takes_receive(work) && percent(m, 35))
		work->flags |= IBV_SEND_SOLICITED;
	if (!work_has_answer(work) && work->length <= INLINE_MOST && is_put_inline(m, work))
		work->flags |= IBV_SEND_INLINE;
}

/* Some are put in the place of what was drawn; some messages end a window, some work asks by one.
 */
static void maybe_window(struct maker *m, const struct program_link *link, struct work *work)
{
	if (!m->has_windows || link->xrc)
		return;
	if (window_percent(m, 12)) {
		*work = (struct work){
		        .opcode = window_percent(m, 65) ? IBV_WR_BIND_MW : IBV_WR_LOCAL_INV,
		        .flags = work->flags & (IBV_SEND_SIGNALED | IBV_SEND_FENCE),
		        .sges = 1};
		work->flags |= window_percent(m, 25) ? IBV_SEND_FENCE : 0;
		return;
	}
	if (work->opcode == IBV_WR_SEND && window_percent(m, 50))
		work->opcode = IBV_WR_SEND_WITH_INV;
	work->window = work->place != PLACE_NONE && window_percent(m, 60);
}

struct work draw_work_of(struct maker *m, const struct program_link *link, uint8_t opcode)
{
	struct work work = {.opcode = opcode, .operand = chance_next(&m->chance)};

	work.length = draw_length(m, link);
	draw_place(m, &work);
	if (work.place == PLACE_NONE && percent(m, 8))
		work.length = 0;
	work.sges = 1;
	if (!work_is_atomic(&work) && work.length >= SGES_MOST && percent(m, 30))
		work.sges = (uint8_t)chance_between(&m->chance, 1, SGES_MOST);
	draw_flags(m, &work);
	maybe_window(m, link, &work);
	return work;
}

struct work draw_work(struct maker *m, const struct program_link *link)
{
	return draw_work_of(m, link, draw_opcode(m));
}

void make_wrong(struct maker *m, struct work *work)
{
	bool is_remote = work_writes(work) || work_has_answer(work);

	if (!work->length)
		return;
	if (is_remote && percent(m, 60))
		work->wrong = percent(m, 50) ? WRONG_RKEY : WRONG_BOUNDS;
	else if (!(work->flags & IBV_SEND_INLINE))
		work->wrong = WRONG_LKEY;
}
