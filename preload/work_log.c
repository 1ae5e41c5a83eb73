/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include "preload/work_log.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { MESSAGE_MAX_BYTES = 1u << 31 };

/* Tables of nothing are fine; NULL is not. */
static void *table_of(size_t count, size_t size)
{
	return calloc(count ? count : 1, size);
}

/* Each in a cache line of its own. */
static struct send_slot *slots_of(size_t count)
{
	const size_t bytes = count * sizeof(struct send_slot);
	struct send_slot *slots = aligned_alloc(_Alignof(struct send_slot), bytes);

	if (slots)
		memset(slots, 0, bytes);
	return slots;
}

static uint32_t size_for(uint32_t depth)
{
	uint32_t size = 1;

	while (size < depth)
		size *= 2;
	return size;
}

int send_log_init(struct send_log *log, const struct ibv_qp_cap *cap)
{
	size_t size = size_for(cap->max_send_wr);

	*log = (struct send_log){
	        .mask = (uint32_t)size - 1,
	        .depth = cap->max_send_wr,
	        .max_sge = cap->max_send_sge,
	        .max_inline = cap->max_inline_data,
	        .mtu = 256,
	        .incarnation = 1,
	};
	log->slots = slots_of(size);
	log->operands = table_of(size, sizeof(*log->operands));
	log->lists = table_of(size * cap->max_send_sge, sizeof(*log->lists));
	log->payloads = table_of(size * cap->max_inline_data, 1);
	if (log->slots && log->operands && log->lists && log->payloads)
		return 0;
	send_log_fini(log);
	return -ENOMEM;
}

void send_log_fini(struct send_log *log)
{
	free(log->slots);
	free(log->operands);
	free(log->lists);
	free(log->payloads);
	log->slots = NULL;
	log->operands = NULL;
	log->lists = NULL;
	log->payloads = NULL;
}

static size_t slot_index(const struct send_log *log, const struct send_slot *slot)
{
	return (size_t)(slot - log->slots);
}

static struct ibv_sge *slot_list(const struct send_log *log, const struct send_slot *slot)
{
	return &log->lists[slot_index(log, slot) * log->max_sge];
}

static uint8_t *slot_payload(const struct send_log *log, const struct send_slot *slot)
{
	return &log->payloads[slot_index(log, slot) * log->max_inline];
}

union send_operands *send_log_operands(const struct send_log *log, const struct send_slot *slot)
{
	return &log->operands[slot_index(log, slot)];
}

int send_log_set_sges(
        struct send_log *log, struct send_slot *slot, const struct ibv_sge *sges, uint32_t count)
{
	struct ibv_sge *to = count == 1 ? &slot->sge : slot_list(log, slot);
	uint64_t length = 0;

	if (count > log->max_sge)
		return -EINVAL;
	for (uint32_t i = 0; i < count; i++) {
		to[i] = sges[i];
		length += sges[i].length;
	}
	if (length > MESSAGE_MAX_BYTES)
		return -EINVAL;
	slot->num_sge = (uint8_t)count;
	slot->length = (uint32_t)length;
	return 0;
}

/* The payload is the application's again when the post returns: keep a copy, in one piece. */
static int payload_append(
        struct send_log *log, struct send_slot *slot, const void *addr, size_t length)
{
	if (length > log->max_inline - slot->length)
		return -EINVAL;
	if (length)
		memcpy(slot_payload(log, slot) + slot->length, addr, length);
	slot->length += (uint32_t)length;
	return 0;
}

static void payload_finish(struct send_log *log, struct send_slot *slot)
{
	slot->sge = (struct ibv_sge){
	        .addr = (uintptr_t)slot_payload(log, slot), .length = slot->length};
	slot->num_sge = slot->length > 0;
}

int send_log_set_inline(struct send_log *log, struct send_slot *slot,
        const struct ibv_data_buf *buffers, size_t count)
{
	int err = 0;

	slot->flags |= IBV_SEND_INLINE;
	for (size_t i = 0; i < count && !err; i++)
		err = payload_append(log, slot, buffers[i].addr, buffers[i].length);
	payload_finish(log, slot);
	return err;
}

/* By itself: every post would save the registers that its loop wants. */
static __attribute__((noinline)) int fill_inline(
        struct send_log *log, struct send_slot *slot, const struct ibv_send_wr *wr)
{
	int err = 0;

	for (int i = 0; i < wr->num_sge && !err; i++)
		err = payload_append(
		        log, slot, (void *)(uintptr_t)wr->sg_list[i].addr, wr->sg_list[i].length);
	payload_finish(log, slot);
	return err;
}

static bool opcode_is_logged(const struct send_log *log, unsigned opcode)
{
	if (log->datagrams)
		return opcode == IBV_WR_SEND || opcode == IBV_WR_SEND_WITH_IMM;
	return opcode <= IBV_WR_ATOMIC_FETCH_AND_ADD || opcode == IBV_WR_SEND_WITH_INV;
}

void send_log_set_local(struct send_slot *slot, unsigned opcode)
{
	slot->opcode = (uint8_t)opcode;
	slot->length = LENGTH_OF_LOCAL_WORK;
	slot->num_sge = 0;
}

int send_log_fill(struct send_log *log, uint32_t ahead, const struct ibv_send_wr *wr)
{
	struct send_slot *slot = send_log_begin(log, ahead);

	if (!slot)
		return -ENOMEM;
	if (!opcode_is_logged(log, wr->opcode) || wr->num_sge < 0)
		return -EINVAL;
	slot->wr_id = wr->wr_id;
	slot->opcode = (uint8_t)wr->opcode;
	slot->flags = (uint8_t)wr->send_flags | log->flags_always;
	slot->imm_data = wr->imm_data;
	slot->remote_srqn = wr->qp_type.xrc.remote_srqn;
	if (opcode_is_atomic(wr->opcode)) {
		union send_operands *operands = send_log_operands(log, slot);

		slot->remote_addr = wr->wr.atomic.remote_addr;
		slot->rkey = wr->wr.atomic.rkey;
		operands->atomic.compare_add = wr->wr.atomic.compare_add;
		operands->atomic.swap = wr->wr.atomic.swap;
	} else if (log->datagrams) {
		union send_operands *operands = send_log_operands(log, slot);

		operands->ud.ah = wr->wr.ud.ah;
		operands->ud.remote_qpn = wr->wr.ud.remote_qpn;
		operands->ud.remote_qkey = wr->wr.ud.remote_qkey;
	} else {
		slot->remote_addr = wr->wr.rdma.remote_addr;
		slot->rkey = wr->wr.rdma.rkey;
	}
	if (wr->send_flags & IBV_SEND_INLINE)
		return fill_inline(log, slot, wr);
	return send_log_set_sges(log, slot, wr->sg_list, (uint32_t)wr->num_sge);
}

static void slot_place(struct send_log *log, struct send_slot *slot)
{
	slot->psn = log->next_psn;
	log->next_psn = send_slot_end_psn(log, slot);
}

void send_log_number(struct send_log *log, uint32_t count)
{
	uint32_t receives = log->receives;

	for (uint32_t i = 0; i < count; i++) {
		struct send_slot *slot = send_log_at(log, log->head + i);

		receives += opcode_takes_receive(slot->opcode);
		slot->receives = receives;
	}
}

void send_log_commit(struct send_log *log, uint32_t count, bool posted)
{
	for (uint32_t i = 0; i < count; i++) {
		struct send_slot *slot = send_log_at(log, log->head + i);

		log->receives = slot->receives;
		if (posted)
			slot_place(log, slot);
	}
	__atomic_store_n(&log->head, log->head + count, __ATOMIC_RELEASE);
	if (posted)
		log->posted = log->head;
}

void send_log_reposted(struct send_log *log, uint32_t sequence)
{
	for (; log->posted != sequence; log->posted++) {
		struct send_slot *slot = send_log_at(log, log->posted);

		if (slot->fate == FATE_OPEN)
			slot_place(log, slot);
	}
}

/* Field by field: clearing all of a work request would cost more than the rest of a post. */
void send_log_wr(const struct send_log *log, uint32_t sequence, struct ibv_send_wr *wr)
{
	struct send_slot *slot = send_log_at(log, sequence);

	wr->wr_id = tag_of_send(log->incarnation, sequence);
	wr->next = NULL;
	wr->sg_list = slot->num_sge == 1 ? &slot->sge : slot_list(log, slot);
	wr->num_sge = slot->num_sge;
	wr->opcode = slot->opcode;
	wr->send_flags = slot->flags;
	wr->imm_data = slot->imm_data;
	wr->qp_type.xrc.remote_srqn = slot->remote_srqn;
	if (__builtin_expect(opcode_is_atomic(slot->opcode), 0)) {
		union send_operands *operands = send_log_operands(log, slot);

		wr->wr.atomic.remote_addr = slot->remote_addr;
		wr->wr.atomic.rkey = slot->rkey;
		wr->wr.atomic.compare_add = operands->atomic.compare_add;
		wr->wr.atomic.swap = operands->atomic.swap;
	} else if (log->datagrams) {
		union send_operands *operands = send_log_operands(log, slot);

		wr->wr.ud.ah = operands->ud.ah;
		wr->wr.ud.remote_qpn = operands->ud.remote_qpn;
		wr->wr.ud.remote_qkey = operands->ud.remote_qkey;
	} else {
		wr->wr.rdma.remote_addr = slot->remote_addr;
		wr->wr.rdma.rkey = slot->rkey;
	}
	if (opcode_has_answer(slot->opcode) && send_log_signals(log, slot->opcode))
		wr->send_flags |= IBV_SEND_SIGNALED;
}

/* What was executed before has nothing to do with the numbers of the new incarnation. */
void send_log_restart(struct send_log *log, uint32_t psn)
{
	log->incarnation = incarnation_after(log->incarnation);
	send_log_number_from(log, psn);
	log->posted = log->tail;
	log->failed = log->failed_end = log->tail;
	log->receives = log->receives_done = 0;
	for (uint32_t i = log->tail; i != log->head; i++) {
		struct send_slot *slot = send_log_at(log, i);

		log->receives += slot->fate == FATE_OPEN && opcode_takes_receive(slot->opcode);
		slot->receives = log->receives;
	}
}

void send_log_clear(struct send_log *log)
{
	log->tail = log->head;
	log->executed = 0;
	log->has_failed = false;
	send_log_restart(log, 0);
}

void send_log_forget_failed(struct send_log *log)
{
	const struct send_log before = *log;

	send_log_clear(log);
	log->first_psn = before.first_psn;
	log->next_psn = before.next_psn;
	log->receives = before.receives;
	log->receives_done = before.receives_done;
	log->failed = before.failed;
	log->failed_end = before.failed_end;
	send_log_note_failed(log, before.tail, before.posted);
}

int receive_log_init(struct receive_log *log, uint32_t depth, uint32_t max_sge)
{
	size_t size = size_for(depth);

	*log = (struct receive_log){
	        .mask = (uint32_t)size - 1, .depth = depth, .max_sge = max_sge, .incarnation = 1};
	log->slots = table_of(size, sizeof(*log->slots));
	log->lists = table_of(size * max_sge, sizeof(*log->lists));
	if (log->slots && log->lists)
		return 0;
	receive_log_fini(log);
	return -ENOMEM;
}

void receive_log_fini(struct receive_log *log)
{
	free(log->slots);
	free(log->lists);
	log->slots = NULL;
	log->lists = NULL;
}

static struct ibv_sge *receive_list(const struct receive_log *log, uint32_t sequence)
{
	return &log->lists[(size_t)(sequence & log->mask) * log->max_sge];
}

int receive_log_fill(struct receive_log *log, uint32_t ahead, const struct ibv_recv_wr *wr)
{
	uint32_t sequence = log->head + ahead;
	struct receive_slot *slot = receive_log_at(log, sequence);

	if (sequence - __atomic_load_n(&log->tail, __ATOMIC_ACQUIRE) >= log->depth)
		return -ENOMEM;
	if (wr->num_sge < 0 || (uint32_t)wr->num_sge > log->max_sge)
		return -EINVAL;
	slot->wr_id = wr->wr_id;
	slot->num_sge = (uint32_t)wr->num_sge;
	for (int i = 0; i < wr->num_sge; i++)
		receive_list(log, sequence)[i] = wr->sg_list[i];
	return 0;
}

void receive_log_commit(struct receive_log *log, uint32_t count, bool posted)
{
	log->head += count;
	if (posted)
		log->posted = log->head;
}

void receive_log_wr(const struct receive_log *log, uint32_t sequence, struct ibv_recv_wr *wr)
{
	*wr = (struct ibv_recv_wr){
	        .wr_id = tag_of_receive(log->incarnation, sequence),
	        .sg_list = receive_list(log, sequence),
	        .num_sge = (int)receive_log_at(log, sequence)->num_sge,
	};
}

void receive_log_restart(struct receive_log *log)
{
	log->incarnation = incarnation_after(log->incarnation);
	log->posted = log->tail;
}

void receive_log_clear(struct receive_log *log)
{
	log->incarnation = incarnation_after(log->incarnation);
	log->tail = log->posted = log->head;
}

int shared_log_init(struct shared_log *log, uint32_t depth, uint32_t max_sge)
{
	*log = (struct shared_log){.depth = depth, .max_sge = max_sge, .incarnation = 1};
	log->slots = table_of(depth, sizeof(*log->slots));
	log->lists = table_of((size_t)depth * max_sge, sizeof(*log->lists));
	log->free = table_of(depth, sizeof(*log->free));
	if (!log->slots || !log->lists || !log->free) {
		free(log->slots);
		free(log->lists);
		free(log->free);
		return -ENOMEM;
	}
	while (log->free_count < depth) {
		log->free[log->free_count] = depth - 1 - log->free_count;
		log->free_count++;
	}
	pthread_mutex_init(&log->lock, NULL);
	return 0;
}

void shared_log_fini(struct shared_log *log)
{
	pthread_mutex_destroy(&log->lock);
	free(log->slots);
	free(log->lists);
	free(log->free);
}

static struct ibv_sge *shared_list(const struct shared_log *log, uint32_t index)
{
	return &log->lists[(size_t)index * log->max_sge];
}

int shared_log_take(struct shared_log *log, const struct ibv_recv_wr *wr, uint32_t *index)
{
	struct shared_slot *slot;

	if (wr->num_sge < 0 || (uint32_t)wr->num_sge > log->max_sge)
		return -EINVAL;
	pthread_mutex_lock(&log->lock);
	if (!log->free_count) {
		pthread_mutex_unlock(&log->lock);
		return -ENOMEM;
	}
	*index = log->free[--log->free_count];
	slot = &log->slots[*index];
	*slot = (struct shared_slot){.wr_id = wr->wr_id,
	        .order = log->next_order++,
	        .num_sge = (uint32_t)wr->num_sge,
	        .state = SHARED_POSTED};
	for (int i = 0; i < wr->num_sge; i++)
		shared_list(log, *index)[i] = wr->sg_list[i];
	pthread_mutex_unlock(&log->lock);
	return 0;
}

void shared_log_wr(const struct shared_log *log, uint32_t index, struct ibv_recv_wr *wr)
{
	*wr = (struct ibv_recv_wr){
	        .wr_id = tag_of_receive(log->incarnation, index),
	        .sg_list = shared_list(log, index),
	        .num_sge = (int)log->slots[index].num_sge,
	};
}

uint64_t shared_log_give_back(struct shared_log *log, uint32_t index)
{
	uint64_t wr_id;

	pthread_mutex_lock(&log->lock);
	wr_id = log->slots[index].wr_id;
	log->slots[index].state = SHARED_FREE;
	log->free[log->free_count++] = index;
	pthread_mutex_unlock(&log->lock);
	return wr_id;
}

void shared_log_returned(struct shared_log *log, uint32_t index)
{
	pthread_mutex_lock(&log->lock);
	log->slots[index].state = SHARED_RETURNED;
	pthread_mutex_unlock(&log->lock);
}

static int older_first(const void *a, const void *b, void *slots)
{
	const struct shared_slot *table = slots;
	uint64_t x = table[*(const uint32_t *)a].order, y = table[*(const uint32_t *)b].order;

	return x < y ? -1 : x > y;
}

uint32_t shared_log_repost(struct shared_log *log, bool all, uint32_t *indices)
{
	uint32_t count = 0;

	pthread_mutex_lock(&log->lock);
	for (uint32_t i = 0; i < log->depth; i++) {
		uint8_t state = log->slots[i].state;

		if (state == SHARED_RETURNED || (all && state == SHARED_POSTED)) {
			log->slots[i].state = SHARED_POSTED;
			indices[count++] = i;
		}
	}
	qsort_r(indices, count, sizeof(*indices), older_first, log->slots);
	pthread_mutex_unlock(&log->lock);
	return count;
}
