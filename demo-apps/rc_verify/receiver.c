/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include "demo-apps/rc_verify/receiver.h"

#include <arpa/inet.h>
#include <string.h>

#include "demo-apps/verify/message.h"
#include "demo-apps/rc_verify/wr_id.h"

enum { RECEIVE_BATCH = 8 };

static unsigned char *receive_buffer(struct lane *lane, uint64_t number)
{
	return lane->memory + lane->layout.receive +
	       (number % lane->queue.depth) * lane->layout.send_slot;
}

/* Odd ones take their message in two pieces, LANE_GAP apart. */
static int receive_sges(struct lane *lane, uint64_t number, struct ibv_sge *sges)
{
	unsigned char *buffer = receive_buffer(lane, number);
	uint32_t length = lane->layout.slot;

	sges[0] = (struct ibv_sge){(uint64_t)(uintptr_t)buffer, length, lane->mr->lkey};
	if (number % 2 == 0)
		return 1;
	sges[0].length = length / 2;
	sges[1] = (struct ibv_sge){(uint64_t)(uintptr_t)(buffer + length / 2 + LANE_GAP),
	        length - length / 2, lane->mr->lkey};
	return 2;
}

static void receives_post(struct run *run, struct lane *lane)
{
	struct ibv_recv_wr wr[RECEIVE_BATCH], *bad;
	struct ibv_sge sges[RECEIVE_BATCH][2];
	unsigned count = 0;
	uint64_t number;
	int error;

	while (count < RECEIVE_BATCH && receive_book_post(&lane->receives, &number)) {
		wr[count] = (struct ibv_recv_wr){
		        .wr_id = wr_id_make(true, lane->index, number), .sg_list = sges[count]};
		wr[count].num_sge = receive_sges(lane, number, sges[count]);
		if (count)
			wr[count - 1].next = &wr[count];
		count++;
	}
	error = lane->srq ? ibv_post_srq_recv(lane->srq, wr, &bad)
	                  : ibv_post_recv(lane->qp, wr, &bad);
	if (error)
		run_fail(run, lane, "posting receives", strerror(error));
}

static void receives_refill(struct run *run, struct lane *lane)
{
	while (!run->has_failed && lane->receives.free_count)
		receives_post(run, lane);
}

void receiver_start(struct run *run, struct lane *lane)
{
	receives_refill(run, lane);
}

static const unsigned char *message_of_send(
        struct run *run, struct lane *lane, uint64_t number, uint32_t length)
{
	unsigned char *buffer = receive_buffer(lane, number);
	uint32_t half = lane->layout.slot / 2;

	if (number % 2 == 0 || length <= half)
		return buffer;
	memcpy(run->scratch, buffer, half);
	memcpy(run->scratch + half, buffer + half + LANE_GAP, length - half);
	return run->scratch;
}

/* The immediate is the message's number, cut to 32 bits; it says which slot. */
static unsigned char *slot_of_write(struct lane *lane, uint32_t imm)
{
	uint64_t near = lane->messages.next;
	uint64_t number = near + (uint64_t)(int64_t)(int32_t)(imm - (uint32_t)near);

	return lane->memory + lane->layout.with_imm +
	       (number % lane->layout.window + 1) * lane->layout.slot;
}

static enum work_kind kind_of(const struct ibv_wc *wc)
{
	if (wc->opcode == IBV_WC_RECV_RDMA_WITH_IMM)
		return WORK_write_imm;
	return wc->wc_flags & IBV_WC_WITH_IMM ? WORK_send_imm : WORK_send;
}

/* Receives complete each once, and in the order in which they were posted unless they are shared.
 */
static void receive_check(struct run *run, struct lane *lane, uint64_t number)
{
	if (!receive_book_complete(&lane->receives, number)) {
		run->findings.duplicated++;
		return;
	}
	if (lane->srq)
		return;
	run->findings.lost += number - lane->receives_done;
	lane->receives_done = number + 1;
}

static void message_take(struct run *run, struct lane *lane, const struct ibv_wc *wc)
{
	uint32_t stream = message_stream(!run->is_server, lane->index, false);
	uint32_t length = wc->byte_len, imm = ntohl(wc->imm_data);
	enum work_kind kind = kind_of(wc);
	uint64_t number = lane->messages.next;
	const unsigned char *message = NULL;
	unsigned char *end = NULL;
	bool good = length <= lane->layout.slot;

	if (good && kind == WORK_write_imm) {
		end = slot_of_write(lane, imm);
		message = end - length;
	} else if (good) {
		message = message_of_send(run, lane, wr_id_number(wc->wr_id), length);
	}
	good = good && message_check(message, length, stream, &number) == MESSAGE_GOOD &&
	       (kind == WORK_send || imm == (uint32_t)number);
	if (end)
		memset(end - length, 0, length);
	if (!good)
		run->findings.corrupted++;
	run->received[kind]++;
	sequence_check_arrived(
	        &lane->messages, good ? number : lane->messages.next, &run->findings);
}

static void publish(struct lane *lane)
{
	struct lane_progress *progress = lane_progress(lane);

	__atomic_store_n(
	        &progress->messages, progress_encode(lane->messages.next), __ATOMIC_RELEASE);
	__atomic_store_n(
	        &progress->writes, progress_encode(lane->writes.released), __ATOMIC_RELEASE);
}

void receiver_completed(struct run *run, struct lane *lane, const struct ibv_wc *wc)
{
	uint32_t every = run->options.work.is_paced ? 0 : run->options.work.late_every;
	struct findings before = run->findings;

	receive_check(run, lane, wr_id_number(wc->wr_id));
	run_note(run, lane, &before, "receive", wr_id_number(wc->wr_id));
	before = run->findings;
	message_take(run, lane, wc);
	run_note(run, lane, &before, "message in receive", wr_id_number(wc->wr_id));
	if (!lane->late_until_us && every && random_next(&lane->workload.seed) % every == 0)
		lane->late_until_us = run->now_us + run->options.work.late_ms * 1000ULL;
	if (!lane->late_until_us)
		receives_refill(run, lane);
	publish(lane); /* who is told of it may send as much again */
}

bool receiver_poll(struct run *run, struct lane *lane)
{
	struct findings before = run->findings;
	unsigned writes = slot_ring_poll(&lane->writes, run->now_us, &run->findings);

	run_note(run, lane, &before, "WRITEs up to", lane->writes.sequence.next);
	run->received[WORK_write] += writes;
	if (writes)
		publish(lane);
	if (lane->late_until_us && run->now_us >= lane->late_until_us) {
		lane->late_until_us = 0;
		receives_refill(run, lane);
	}
	return writes;
}

void receiver_finish(struct run *run, struct lane *lane, uint64_t messages, uint64_t writes)
{
	sequence_check_finish(&lane->messages, messages, &run->findings);
	slot_ring_finish(&lane->writes, writes, &run->findings);
}
