/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/* A program's work as verbs. */
#include <errno.h>
#include <stdlib.h>

#include "model/actors.h"
#include "model/pattern.h"

enum { WRONG_KEY = 0x00517100, SHORT_BYTES = 1 };

/* ---- work requests ---- */

static uint32_t local_key(const struct actor_end *end, uint32_t number, enum wrong wrong)
{
	return end->actor->mr[number % KEYS]->lkey ^ (wrong == WRONG_LKEY ? WRONG_KEY : 0);
}

static unsigned spread(struct run *run, unsigned end, uint32_t number, struct ibv_sge *sges)
{
	const struct actor_end *state = &run->ends[end];
	const struct work *work = state->order[number];
	uint32_t each = work->length / work->sges, left = work->length;
	uintptr_t at = (uintptr_t)state->local[number];

	if (!left)
		return 0;
	for (unsigned i = 0; i < work->sges; i++) {
		uint32_t length = i + 1u == work->sges ? left : each;

		sges[i] = (struct ibv_sge){.addr = at,
		        .length = length,
		        .lkey = local_key(state, number + i, work->wrong)};
		at += length;
		left -= length;
	}
	return work->sges;
}

static uintptr_t remote_address(struct run *run, unsigned end, uint32_t number)
{
	const struct actor_end *state = &run->ends[end], *other = &run->ends[end_other(end)];
	const struct work *work = state->order[number];

	if (work->wrong == WRONG_BOUNDS)
		return (uintptr_t)other->actor->memory + ACTOR_BYTES -
		       (work_is_atomic(work) ? 0 : work->length / 2);
	switch (work->place) {
	case PLACE_CELL:
		return (uintptr_t)state->cell[number];
	case PLACE_HOT:
		return (uintptr_t)state->hot[work->index];
	case PLACE_VERSIONED:
		return (uintptr_t)other->versioned[work->index];
	case PLACE_COUNTER:
		return (uintptr_t)&other->actor->counters[work->index];
	default:
		return (uintptr_t)other->actor->memory;
	}
}

static uint32_t remote_key(struct run *run, unsigned end, uint32_t number)
{
	const struct actor_end *other = &run->ends[end_other(end)];
	bool is_wrong = run->ends[end].order[number]->wrong == WRONG_RKEY;

	return other->actor->mr[number % KEYS]->rkey ^ (is_wrong ? WRONG_KEY : 0);
}

/* What it sends. Returns what an atomic compares: what the counter is just now. */
static uint64_t prepare(struct run *run, unsigned end, uint32_t number)
{
	const struct actor_end *state = &run->ends[end];
	const struct work *work = state->order[number];

	if (work_is_atomic(work))
		return run->ends[end_other(end)].actor->counters[work->index];
	if (work->place == PLACE_HOT && work_writes(work))
		cell_fill(state->local[number], work->length, cell_word(end, number + 1));
	else if (!work_has_answer(work))
		pattern_fill(state->local[number], work->length, end, number);
	return 0;
}

static void fill(struct run *run, unsigned end, uint32_t number, struct ibv_send_wr *wr,
        struct ibv_sge *sges, uint64_t compare)
{
	const struct work *work = run->ends[end].order[number];

	*wr = (struct ibv_send_wr){
	        .wr_id = wr_id_of_send(end, number),
	        .sg_list = sges,
	        .num_sge = (int)spread(run, end, number, sges),
	        .opcode = work->opcode,
	        .send_flags = work->flags,
	        .imm_data = (uint32_t)work->operand,
	};
	if (work_is_atomic(work)) {
		bool swaps = work->opcode == IBV_WR_ATOMIC_CMP_AND_SWP;

		wr->wr.atomic.remote_addr = remote_address(run, end, number);
		wr->wr.atomic.rkey = remote_key(run, end, number);
		wr->wr.atomic.compare_add = swaps ? compare : work->operand;
		wr->wr.atomic.swap = work->operand;
	} else {
		wr->wr.rdma.remote_addr = remote_address(run, end, number);
		wr->wr.rdma.rkey = remote_key(run, end, number);
	}
	if (end_link(run->program, end)->xrc)
		wr->qp_type.xrc.remote_srqn =
		        run->ends[end_other(end)]
		                .actor->xrc_number[work_srq(run->program, end, work)];
}

/* ---- one way, and the other ---- */

static unsigned post_list(
        struct run *run, unsigned end, struct ibv_send_wr *wrs, unsigned count, int *err)
{
	struct ibv_send_wr *bad = NULL;

	for (unsigned i = 0; i < count; i++)
		wrs[i].next = i + 1 < count ? &wrs[i + 1] : NULL;
	*err = ibv_post_send(run->ends[end].qp, wrs, &bad);
	return *err ? (unsigned)(bad - wrs) : count;
}

static void set_data(struct ibv_qp_ex *qp, const struct ibv_send_wr *wr)
{
	struct ibv_data_buf buffers[SGES_MOST];

	if (!(wr->send_flags & IBV_SEND_INLINE)) {
		ibv_wr_set_sge_list(qp, (size_t)wr->num_sge, wr->sg_list);
		return;
	}
	for (int i = 0; i < wr->num_sge; i++)
		buffers[i] = (struct ibv_data_buf){
		        (void *)(uintptr_t)wr->sg_list[i].addr, wr->sg_list[i].length};
	ibv_wr_set_inline_data_list(qp, (size_t)wr->num_sge, buffers);
}

static void build(struct ibv_qp_ex *qp, const struct ibv_send_wr *wr)
{
	qp->wr_id = wr->wr_id;
	qp->wr_flags = wr->send_flags;
	switch (wr->opcode) {
	case IBV_WR_SEND:
		ibv_wr_send(qp);
		break;
	case IBV_WR_SEND_WITH_IMM:
		ibv_wr_send_imm(qp, wr->imm_data);
		break;
	case IBV_WR_RDMA_WRITE:
		ibv_wr_rdma_write(qp, wr->wr.rdma.rkey, wr->wr.rdma.remote_addr);
		break;
	case IBV_WR_RDMA_WRITE_WITH_IMM:
		ibv_wr_rdma_write_imm(qp, wr->wr.rdma.rkey, wr->wr.rdma.remote_addr, wr->imm_data);
		break;
	case IBV_WR_RDMA_READ:
		ibv_wr_rdma_read(qp, wr->wr.rdma.rkey, wr->wr.rdma.remote_addr);
		break;
	case IBV_WR_SEND_WITH_INV:
		ibv_wr_send_inv(qp, wr->invalidate_rkey);
		break;
	case IBV_WR_LOCAL_INV:
		ibv_wr_local_inv(qp, wr->invalidate_rkey);
		return;
	case IBV_WR_BIND_MW:
		ibv_wr_bind_mw(qp, wr->bind_mw.mw, wr->bind_mw.rkey, &wr->bind_mw.bind_info);
		return;
	case IBV_WR_ATOMIC_FETCH_AND_ADD:
		ibv_wr_atomic_fetch_add(qp, wr->wr.atomic.rkey, wr->wr.atomic.remote_addr,
		        wr->wr.atomic.compare_add);
		break;
	default:
		ibv_wr_atomic_cmp_swp(qp, wr->wr.atomic.rkey, wr->wr.atomic.remote_addr,
		        wr->wr.atomic.compare_add, wr->wr.atomic.swap);
	}
	if (qp->qp_base.qp_type == IBV_QPT_XRC_SEND)
		ibv_wr_set_xrc_srqn(qp, wr->qp_type.xrc.remote_srqn);
	set_data(qp, wr);
}

/* All of them or none. */
static unsigned post_built(
        struct run *run, unsigned end, struct ibv_send_wr *wrs, unsigned count, int *err)
{
	struct ibv_qp_ex *qp = ibv_qp_to_qp_ex(run->ends[end].qp);

	ibv_wr_start(qp);
	for (unsigned i = 0; i < count; i++)
		build(qp, &wrs[i]);
	*err = ibv_wr_complete(qp);
	return *err ? 0 : count;
}

static unsigned post_some(struct run *run, unsigned end, unsigned count)
{
	struct actor_end *state = &run->ends[end];
	struct ibv_sge sges[POST_MOST][SGES_MOST];
	struct ibv_send_wr wrs[POST_MOST];
	struct window_choice windows[POST_MOST];
	uint64_t compares[POST_MOST] = {0};
	unsigned taken;
	int err;

	for (unsigned i = 0; i < count; i++) {
		compares[i] = prepare(run, end, state->posted + i);
		fill(run, end, state->posted + i, &wrs[i], sges[i], compares[i]);
		windows[i] = window_choose(run, end, state->posted + i);
		window_fill(run, end, &windows[i], &wrs[i]);
		if (work_names_window(state->order[state->posted + i]))
			compares[i] = window_key(run, end, &windows[i]);
	}
	if (end_link(run->program, end)->builders[end & 1])
		taken = post_built(run, end, wrs, count, &err);
	else
		taken = post_list(run, end, wrs, count, &err);
	if (err && err != ENOMEM)
		run_says(run, "end %u: work %u is refused: error %d", end, state->posted + taken,
		        err);
	for (unsigned i = count; i-- > taken;)
		window_undo(run, end, &windows[i]);
	for (unsigned i = 0; i < taken; i++)
		window_posted(run, end, &windows[i]);
	for (unsigned i = 0; i < taken; i++)
		run_tells(run, (struct event){.kind = EVENT_SENT, .of = end, .value = compares[i]});
	state->posted += taken;
	return taken;
}

void post_due(struct run *run, unsigned end)
{
	struct actor_end *state = &run->ends[end];
	unsigned depth = end_link(run->program, end)->depth, most = POST_MOST;

	most = depth / 2 < most ? depth / 2 : most;
	most = most ? most : 1;
	while (state->is_connected && !state->is_destroyed && state->posted < state->due) {
		unsigned count = state->due - state->posted;

		count = count < most ? count : most;
		if (!post_some(run, end, count) && !post_some(run, end, 1))
			return;
	}
}

/* ---- RECVs ---- */

static uint8_t *take_buffer(struct actor *actor)
{
	uint8_t *buffer;

	if (actor->free_count > 8) {
		buffer = actor->free_buffers[actor->free_first++ % 1024];
		actor->free_count--;
		return buffer;
	}
	buffer = actor->memory + actor->used;
	actor->used += MESSAGE_MOST;
	if (actor->used > ACTOR_BYTES)
		abort();
	return buffer;
}

static void keep_buffer(struct actor_queue *queue, uint8_t *buffer)
{
	if (queue->count == queue->room) {
		queue->room = queue->room ? 2 * queue->room : 64;
		queue->buffers = realloc(queue->buffers, queue->room * sizeof(*queue->buffers));
		if (!queue->buffers)
			abort();
	}
	queue->buffers[queue->count++] = buffer;
}

static int post_receive(struct run *run, unsigned end, unsigned srq, struct ibv_recv_wr *wr)
{
	struct actor_end *state = &run->ends[end];
	struct ibv_recv_wr *bad;

	if (end_is_target(run->program, end))
		return ibv_post_srq_recv(state->actor->xrc_srq[srq], wr, &bad);
	if (end_shares(run->program, end))
		return ibv_post_srq_recv(state->actor->srq, wr, &bad);
	return ibv_post_recv(state->qp, wr, &bad);
}

void post_receives(struct run *run, unsigned end, unsigned count, unsigned how)
{
	unsigned queue = reference_queue_of(run->program, end, receive_srq(how));
	enum wrong wrong = receive_wrong(how);
	struct actor_end *state = &run->ends[end];
	struct actor_queue *receives = &run->queues[queue];

	while (count-- && state->is_connected && !state->is_destroyed) {
		uint8_t *buffer = take_buffer(state->actor);
		struct ibv_sge sge = {.addr = (uintptr_t)buffer,
		        .length = wrong == WRONG_SHORT ? SHORT_BYTES : MESSAGE_MOST,
		        .lkey = local_key(state, receives->count, wrong)};
		struct ibv_recv_wr wr = {.wr_id = wr_id_of_receive(queue, receives->count),
		        .sg_list = &sge,
		        .num_sge = 1};
		int err = post_receive(run, end, receive_srq(how), &wr);

		if (err) {
			if (err != ENOMEM)
				run_says(run, "end %u: a RECV is refused: error %d", end, err);
			return;
		}
		run_tells(run, (struct event){.kind = EVENT_RECEIVE,
		                       .queue = queue,
		                       .number = receives->count,
		                       .how = wrong});
		keep_buffer(receives, buffer);
	}
}
