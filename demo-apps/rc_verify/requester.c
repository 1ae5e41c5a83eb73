/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include "demo-apps/rc_verify/requester.h"

#include <arpa/inet.h>
#include <string.h>

#include "demo-apps/verify/message.h"
#include "demo-apps/rc_verify/wr_id.h"

enum {
	BATCH = 4,            /* work requests in one call, at most */
	INJECT_AT = 200,      /* the number of the message at which a fault is committed */
	SCRIBBLE_BYTE = 0xee, /* over a buffer that was sent inline */
};

struct batch {
	unsigned count;
	struct ibv_send_wr wr[BATCH];
	struct ibv_sge sge[BATCH][WORK_SGES];
};

static unsigned char *send_buffer(struct lane *lane, uint64_t number)
{
	return lane->memory + lane->layout.send +
	       (number % lane->queue.depth) * lane->layout.send_slot;
}

/* Piece @at of @work: pieces are equal but for the last and lie LANE_GAP apart. */
static uint32_t piece(const struct work *work, unsigned at, uint32_t *from)
{
	uint32_t each = work->length / work->sges;

	*from = at * each;
	return at + 1U == work->sges ? work->length - *from : each;
}

static void sges_make(
        struct lane *lane, const struct work *work, unsigned char *buffer, struct ibv_sge *sges)
{
	for (unsigned i = 0; i < work->sges; i++) {
		uint32_t from, length = piece(work, i, &from);

		sges[i].addr = (uint64_t)(uintptr_t)(buffer + from + i * LANE_GAP);
		sges[i].length = length;
		sges[i].lkey = lane->mr->lkey;
	}
}

static void spread(const struct work *work, unsigned char *buffer, const unsigned char *whole)
{
	for (unsigned i = 0; i < work->sges; i++) {
		uint32_t from, length = piece(work, i, &from);

		memcpy(buffer + from + i * LANE_GAP, whole + from, length);
	}
}

static void gather(const struct work *work, const unsigned char *buffer, unsigned char *whole)
{
	for (unsigned i = 0; i < work->sges; i++) {
		uint32_t from, length = piece(work, i, &from);

		memcpy(whole + from, buffer + from + i * LANE_GAP, length);
	}
}

static bool is_injected(
        const struct run *run, const struct lane *lane, enum injection kind, uint64_t number)
{
	return run->injection == kind && lane->index == 0 && number >= INJECT_AT;
}

/* True once: commit the fault @kind now. */
static bool inject(struct run *run, struct lane *lane, enum injection kind, uint64_t number)
{
	if (!is_injected(run, lane, kind, number))
		return false;
	run->injection = INJECT_none;
	return true;
}

static uint64_t message_number(struct run *run, struct lane *lane)
{
	if (inject(run, lane, INJECT_message_gap, lane->messages_sent))
		lane->messages_sent++;
	if (inject(run, lane, INJECT_message_repeat, lane->messages_sent))
		return lane->messages_sent - 1;
	return lane->messages_sent++;
}

static uint64_t write_number(struct run *run, struct lane *lane)
{
	if (inject(run, lane, INJECT_write_gap, lane->writes_sent))
		lane->writes_sent++;
	/* One that the receiver has taken and whose slot it has not released: before, or later, a
	 * repeat leaves no trace. */
	if (inject(run, lane, INJECT_write_repeat, lane->writes_sent))
		return lane->writes_sent - lane->layout.window / 2;
	return lane->writes_sent++;
}

static uint64_t slot_address(const struct lane *lane, size_t ring, uint64_t number, uint32_t length)
{
	const struct lane_layout *layout = &lane->layout;

	return lane->peer.memory + ring + (number % layout->window + 1) * layout->slot - length;
}

static void fill_message(struct run *run, struct lane *lane, const struct work *work,
        unsigned char *buffer, struct ibv_send_wr *wr)
{
	bool written = work->kind == WORK_write;
	uint32_t stream = message_stream(run->is_server, lane->index, written);
	uint64_t number = written ? write_number(run, lane) : message_number(run, lane);

	message_fill(run->scratch, work->length, stream, number);
	if (inject(run, lane, written ? INJECT_write_corrupt : INJECT_message_corrupt, number))
		run->scratch[0] ^= 1;
	spread(work, buffer, run->scratch);
	wr->imm_data = htonl((uint32_t)number);
	wr->wr.rdma.rkey = lane->peer.rkey;
	if (work->kind == WORK_write)
		wr->wr.rdma.remote_addr =
		        slot_address(lane, lane->layout.written, number, work->length);
	if (work->kind == WORK_write_imm)
		wr->wr.rdma.remote_addr =
		        slot_address(lane, lane->layout.with_imm, number, work->length);
}

static void aim_read(const struct lane *lane, size_t offset, struct ibv_send_wr *wr)
{
	wr->wr.rdma.remote_addr = lane->peer.memory + offset;
	wr->wr.rdma.rkey = lane->peer.rkey;
}

static void aim_atomic(
        struct run *run, struct lane *lane, struct work *work, struct ibv_send_wr *wr)
{
	wr->wr.atomic.rkey = lane->peer.counters_rkey;
	wr->wr.atomic.remote_addr = lane->peer.counters;
	if (work->kind == WORK_cmp_swap) {
		wr->wr.atomic.remote_addr += offsetof(struct shared_counters, swap);
		work->operand = run->swaps.known;
		wr->wr.atomic.swap = work->operand + 1;
		/* Until one succeeds (take_swap). */
		if (is_injected(run, lane, INJECT_swap_twice, lane->queue.posted))
			wr->wr.atomic.swap++;
	}
	wr->wr.atomic.compare_add = work->operand;
	if (work->kind == WORK_fetch_add && inject(run, lane, INJECT_add_twice, lane->queue.posted))
		wr->wr.atomic.compare_add *= 2;
}

static enum ibv_wr_opcode opcode_of(enum work_kind kind)
{
	static const enum ibv_wr_opcode opcode[WORK_KIND_COUNT] = {
	        [WORK_send] = IBV_WR_SEND,
	        [WORK_send_imm] = IBV_WR_SEND_WITH_IMM,
	        [WORK_write] = IBV_WR_RDMA_WRITE,
	        [WORK_write_imm] = IBV_WR_RDMA_WRITE_WITH_IMM,
	        [WORK_read] = IBV_WR_RDMA_READ,
	        [WORK_progress] = IBV_WR_RDMA_READ,
	        [WORK_fetch_add] = IBV_WR_ATOMIC_FETCH_AND_ADD,
	        [WORK_cmp_swap] = IBV_WR_ATOMIC_CMP_AND_SWP,
	};

	return opcode[kind];
}

static void compose(struct run *run, struct lane *lane, struct work *work, struct batch *batch)
{
	struct ibv_send_wr *wr = &batch->wr[batch->count];
	struct ibv_sge *sges = batch->sge[batch->count++];
	uint64_t number = lane->queue.posted;
	unsigned char *buffer = send_buffer(lane, number);

	*wr = (struct ibv_send_wr){.wr_id = wr_id_make(false, lane->index, number),
	        .opcode = opcode_of(work->kind),
	        .sg_list = sges,
	        .num_sge = work->sges};
	switch (work->kind) {
	case WORK_read:
		aim_read(lane, lane->layout.pattern + work->offset, wr);
		break;
	case WORK_progress:
		aim_read(lane, lane->layout.progress, wr);
		lane->is_asking = true;
		break;
	case WORK_fetch_add:
	case WORK_cmp_swap:
		aim_atomic(run, lane, work, wr);
		break;
	default:
		fill_message(run, lane, work, buffer, wr);
	}
	sges_make(lane, work, buffer, sges);
	wr->send_flags = (work->is_signalled ? IBV_SEND_SIGNALED : 0) |
	                 (work->is_inline ? IBV_SEND_INLINE : 0) |
	                 (work->is_fenced ? IBV_SEND_FENCE : 0);
	send_queue_push(&lane->queue, work);
}

static void wr_set_data(struct ibv_qp_ex *qp, const struct ibv_send_wr *wr)
{
	struct ibv_data_buf inline_data[WORK_SGES];

	if (!(wr->send_flags & IBV_SEND_INLINE)) {
		if (wr->num_sge == 1)
			ibv_wr_set_sge(
			        qp, wr->sg_list->lkey, wr->sg_list->addr, wr->sg_list->length);
		else
			ibv_wr_set_sge_list(qp, (size_t)wr->num_sge, wr->sg_list);
		return;
	}
	for (int i = 0; i < wr->num_sge; i++)
		inline_data[i] = (struct ibv_data_buf){
		        (void *)(uintptr_t)wr->sg_list[i].addr, wr->sg_list[i].length};
	if (wr->num_sge == 1)
		ibv_wr_set_inline_data(qp, inline_data[0].addr, inline_data[0].length);
	else
		ibv_wr_set_inline_data_list(qp, (size_t)wr->num_sge, inline_data);
}

static void wr_start_one(struct ibv_qp_ex *qp, const struct ibv_send_wr *wr)
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
	case IBV_WR_ATOMIC_FETCH_AND_ADD:
		ibv_wr_atomic_fetch_add(qp, wr->wr.atomic.rkey, wr->wr.atomic.remote_addr,
		        wr->wr.atomic.compare_add);
		break;
	default:
		ibv_wr_atomic_cmp_swp(qp, wr->wr.atomic.rkey, wr->wr.atomic.remote_addr,
		        wr->wr.atomic.compare_add, wr->wr.atomic.swap);
	}
	wr_set_data(qp, wr);
}

static int batch_post(struct lane *lane, struct batch *batch)
{
	struct ibv_send_wr *bad;

	if (!lane->qp_ex) {
		for (unsigned i = 0; i < batch->count; i++)
			batch->wr[i].qp_type.xrc.remote_srqn = lane->xrc.peer_srqn;
		for (unsigned i = 0; i + 1 < batch->count; i++)
			batch->wr[i].next = &batch->wr[i + 1];
		return ibv_post_send(lane->qp, batch->wr, &bad);
	}
	ibv_wr_start(lane->qp_ex);
	for (unsigned i = 0; i < batch->count; i++) {
		wr_start_one(lane->qp_ex, &batch->wr[i]);
		if (lane->xrc.target)
			ibv_wr_set_xrc_srqn(lane->qp_ex, lane->xrc.peer_srqn);
	}
	return ibv_wr_complete(lane->qp_ex);
}

/* An inline buffer is the program's own again as soon as the call returns. */
static void batch_scribble(struct lane *lane, const struct batch *batch)
{
	for (unsigned i = 0; i < batch->count; i++)
		if (batch->wr[i].send_flags & IBV_SEND_INLINE)
			memset(send_buffer(lane, wr_id_number(batch->wr[i].wr_id)), SCRIBBLE_BYTE,
			        lane->layout.send_slot);
}

static void batch_flush(struct run *run, struct lane *lane, struct batch *batch)
{
	int error;

	if (!batch->count)
		return;
	error = batch_post(lane, batch);
	if (error)
		run_fail(run, lane, lane->qp_ex ? "ibv_wr_complete" : "ibv_post_send",
		        strerror(error));
	batch_scribble(lane, batch);
	batch->count = 0;
}

static bool receiver_has_room(const struct lane *lane, enum work_kind kind)
{
	if (work_takes_a_receive(kind))
		return lane->messages_sent - lane->messages_taken < lane->message_window;
	if (kind == WORK_write)
		return lane->writes_sent - lane->writes_released < lane->layout.window;
	return true;
}

static bool wants_progress(const struct lane *lane)
{
	return !lane->is_asking &&
	       (lane->messages_sent - lane->messages_taken >= lane->message_window / 2 ||
	               lane->writes_sent - lane->writes_released >= lane->layout.window / 2);
}

/* What comes next, or false: the receiver must get on first. */
static bool draw(struct lane *lane, struct work *work)
{
	if (wants_progress(lane)) {
		workload_progress(work);
		return true;
	}
	if (!lane->has_next)
		workload_next(&lane->workload, &lane->next);
	lane->has_next = true;
	if (!receiver_has_room(lane, lane->next.kind))
		return false;
	*work = lane->next;
	lane->has_next = false;
	return work->kind != WORK_progress || !lane->is_asking;
}

/* Half a queue without a signal is enough. */
static bool needs_signal(const struct send_queue *queue)
{
	uint64_t heard = queue->signalled > queue->done ? queue->signalled : queue->done;

	return queue->posted - heard >= queue->depth / 2;
}

/* One entry stays free for requester_drain. */
void requester_fill(struct run *run, struct lane *lane)
{
	struct batch batch = {.count = 0};
	uint64_t limit = run->options.count ? run->options.count : UINT64_MAX;
	struct work work;

	while (!run->has_failed && lane->queue.posted < limit &&
	        send_queue_room(&lane->queue) > 1 && draw(lane, &work)) {
		if (needs_signal(&lane->queue))
			work.is_signalled = true;
		compose(run, lane, &work, &batch);
		if (batch.count == 1 + lane->queue.posted / 7 % BATCH || batch.count == BATCH)
			batch_flush(run, lane, &batch);
	}
	batch_flush(run, lane, &batch);
}

bool requester_drain(struct run *run, struct lane *lane)
{
	struct batch batch = {.count = 0};
	struct work work;

	if (lane->queue.posted == lane->queue.done)
		return true;
	if (!send_queue_is_mute(&lane->queue))
		return false;
	workload_progress(&work);
	compose(run, lane, &work, &batch);
	batch_flush(run, lane, &batch);
	return false;
}

static void take_progress(struct run *run, struct lane *lane, const unsigned char *buffer)
{
	struct lane_progress progress;
	uint64_t messages, writes;

	memcpy(&progress, buffer, sizeof(progress));
	lane->is_asking = false;
	if (!progress_decode(progress.messages, &messages) ||
	        !progress_decode(progress.writes, &writes) || messages < lane->messages_taken ||
	        writes < lane->writes_released || messages > lane->messages_sent ||
	        writes > lane->writes_sent) {
		run->findings.corrupted++;
		return;
	}
	lane->messages_taken = messages;
	lane->writes_released = writes;
}

static void take_swap(
        struct run *run, struct lane *lane, const struct work *work, uint64_t number, uint64_t old)
{
	uint64_t seen = old;

	if (old == work->operand) {
		inject(run, lane, INJECT_swap_twice, number);
		run->swaps.successes++;
		seen = old + 1;
	}
	if (seen > run->swaps.known)
		run->swaps.known = seen;
}

static void take_result(struct run *run, struct lane *lane, uint64_t number)
{
	const struct work *work = send_queue_at(&lane->queue, number);
	unsigned char *buffer = send_buffer(lane, number);
	uint64_t old;

	run->sent[work->kind]++;
	memcpy(&old, buffer, sizeof(old));
	switch (work->kind) {
	case WORK_read:
		gather(work, buffer, run->scratch);
		if (!pattern_matches(run->scratch, work->offset, work->length,
		            message_stream(!run->is_server, lane->index, false)))
			run->findings.corrupted++;
		break;
	case WORK_progress:
		take_progress(run, lane, buffer);
		break;
	case WORK_fetch_add:
		add_ledger_took(run->adds, old, work->operand, &run->findings);
		break;
	case WORK_cmp_swap:
		take_swap(run, lane, work, number, old);
		break;
	default:
		break;
	}
}

void requester_completed(struct run *run, struct lane *lane, uint64_t number)
{
	struct findings before = run->findings;
	uint64_t first = lane->queue.done;
	uint32_t count = send_queue_complete(&lane->queue, number, &run->findings);

	run_note(run, lane, &before, "completion", number);
	for (uint32_t i = 0; i < count; i++) {
		before = run->findings;
		take_result(run, lane, first + i);
		run_note(run, lane, &before,
		        work_kind_name[send_queue_at(&lane->queue, first + i)->kind], first + i);
	}
}
