/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include "unit/hca_pair.h"

#include <stdlib.h>
#include <string.h>

const void *pair_pd(void)
{
	static const char pd;

	return &pd;
}

static struct pair_end *pair_end_of(struct queue_pair *qp)
{
	return (struct pair_end *)(void *)qp->host;
}

uint16_t pair_lid(int index)
{
	return (uint16_t)(2 + 2 * index);
}

union ibv_gid pair_gid(int index)
{
	return (union ibv_gid){.raw = {0xfe, 0x80, [15] = (uint8_t)(1 + index)}};
}

static uint32_t pair_mtu(struct queue_pair *qp)
{
	return pair_end_of(qp)->pair->port_mtu;
}

static uint16_t pair_path_bits(struct queue_pair *qp)
{
	return 1;
}

static bool pair_gid_row(struct queue_pair *qp, uint8_t index, union ibv_gid *gid)
{
	*gid = pair_gid(pair_end_of(qp)->index);
	return index == 0;
}

static struct packet *pair_reserve(struct queue_pair *qp, uint16_t dlid, uint32_t dest_qpn)
{
	struct pair_end *end = pair_end_of(qp);

	if (end->pair->on_wire + 2 > end->pair->room)
		return NULL;
	end->scratch.slid = pair_lid(end->index);
	end->scratch.has_grh = 0;
	end->scratch.dlid = dlid;
	end->scratch.src_qpn = qp->qpn;
	end->scratch.dest_qpn = dest_qpn;
	return &end->scratch;
}

static void pair_put(struct pair *pair, int to, const struct packet *packet, uint64_t delay_ns)
{
	struct pair_packet *slot = &pair->wire[pair->on_wire++];

	slot->packet = malloc(sizeof(*packet));
	memcpy(slot->packet, packet, offsetof(struct packet, payload) + packet->payload_length);
	slot->arrives_ns = pair->now_ns + 1000 + delay_ns;
	slot->order = pair->order++;
	slot->to = to;
}

static void pair_send(struct queue_pair *qp, struct packet *packet)
{
	struct pair_end *end = pair_end_of(qp);
	uint64_t delay_ns = 0;
	int copies = 1;

	end->pair->sent[end->index]++;
	if (end->pair->fate)
		copies = end->pair->fate(end->pair->test, end->index, packet, &delay_ns);
	if (end->pair->faults && qp_faults_lose(end->pair->faults, packet))
		copies = 0;
	for (int i = 0; i < copies; i++)
		pair_put(end->pair, !end->index, packet, i ? 0 : delay_ns);
}

static void pair_discard(struct queue_pair *qp, struct packet *packet)
{
}

static bool pair_never_under_way(struct queue_pair *qp)
{
	return false;
}

static struct qp_name pair_name(int index)
{
	return (struct qp_name){pair_lid(index), 0x100u + (uint32_t)index};
}

static bool pair_is_held(struct queue_pair *qp, uint32_t psn, bool begins)
{
	const struct pair_end *end = pair_end_of(qp);
	struct qp_name name = pair_name(end->index);

	return end->pair->faults && qp_faults_hold(end->pair->faults, &name, psn, begins);
}

static bool pair_refuses_receive(struct queue_pair *qp)
{
	const struct pair_end *end = pair_end_of(qp);
	struct qp_name peer = pair_name(!end->index);

	return end->pair->faults &&
	       qp_faults_refuse(end->pair->faults, &peer, qp->responder.expected_psn);
}

static bool pair_hides(const struct pair_end *end, const struct completion *completion, bool is_new)
{
	struct qp_name peer = pair_name(!end->index);

	return end->pair->faults && completion->is_receive &&
	       completion->wc.status == IBV_WC_SUCCESS &&
	       qp_faults_hold_receive(end->pair->faults, &peer, completion->psn, is_new);
}

static bool pair_complete(
        struct queue_pair *qp, struct completion_queue *queue, const struct completion *completion)
{
	struct completion copy = *completion;

	if (pair_hides(pair_end_of(qp), completion, true))
		copy.visible_ns = COMPLETION_HELD;
	return completion_queue_push(queue, &copy, qp->host->now_ns);
}

static bool pair_still_hides(const struct completion *completion)
{
	return pair_hides((struct pair_end *)(void *)completion->qp->host, completion, false);
}

void pair_look_anew(struct pair *pair)
{
	for (int i = 0; i < 2; i++) {
		pair->end[i].is_ready = true;
		completion_queue_look_anew(&pair->end[i].receive_completions, pair_still_hides);
	}
}

static void pair_event(struct queue_pair *qp, enum ibv_event_type type)
{
	struct pair_end *end = pair_end_of(qp);

	if (end->event_count < PAIR_EVENTS)
		end->events[end->event_count++] = type;
}

static void pair_srq_taken(struct queue_pair *qp, struct receive_queue *queue)
{
}

static void pair_ready(struct queue_pair *qp)
{
	pair_end_of(qp)->is_ready = true;
}

static void pair_due(struct queue_pair *qp, uint64_t due_ns)
{
	struct pair_end *end = pair_end_of(qp);

	if (due_ns < end->due_ns)
		end->due_ns = due_ns;
}

const struct ibv_qp_cap pair_cap = {.max_send_wr = 256,
        .max_recv_wr = 256,
        .max_send_sge = 4,
        .max_recv_sge = 4,
        .max_inline_data = 256};

static enum ibv_qp_type pair_type(const struct pair_options *options, int index)
{
	return options->types[index] ? options->types[index] : IBV_QPT_RC;
}

static void pair_end_open(struct pair *pair, int index, const struct pair_options *options)
{
	struct pair_end *end = &pair->end[index];
	struct queue_pair_config config = {.host = &end->host,
	        .pd = pair_pd(),
	        .send_completions = &end->send_completions,
	        .receive_completions = &end->receive_completions,
	        .cap = pair_cap,
	        .qpn = 0x100u + (uint32_t)index,
	        .type = pair_type(options, index)};

	end->pair = pair;
	end->index = index;
	end->due_ns = UINT64_MAX;
	end->memory = aligned_alloc(64, PAIR_MEMORY);
	memset(end->memory, 0, PAIR_MEMORY);
	end->region =
	        (struct memory_region){.access = IBV_ACCESS_LOCAL_WRITE | IBV_ACCESS_REMOTE_WRITE |
	                                         IBV_ACCESS_REMOTE_READ | IBV_ACCESS_REMOTE_ATOMIC,
	                .pd = pair_pd(),
	                .address = (uintptr_t)end->memory,
	                .length = PAIR_MEMORY,
	                .memory = end->memory};
	end->host = (struct queue_pair_host){
	        .keys = memory_keys_create(0x1000u * (uint32_t)(index + 1), 0),
	        .err_flushes_receives = true,
	        .raises_last_wqe = true,
	        .reserve = pair_reserve,
	        .send = pair_send,
	        .discard = pair_discard,
	        .mtu = pair_mtu,
	        .path_bits = pair_path_bits,
	        .gid = pair_gid_row,
	        .is_under_way = pair_never_under_way,
	        .is_held = pair_is_held,
	        .refuses_receive = pair_refuses_receive,
	        .complete = pair_complete,
	        .event = pair_event,
	        .srq_taken = pair_srq_taken,
	        .ready = pair_ready,
	        .due = pair_due};
	memory_keys_add(end->host.keys, &end->region);
	completion_queue_init(&end->send_completions, 1024);
	completion_queue_init(&end->receive_completions, 1024);
	if (options->with_srq) {
		receive_queue_init(&end->shared_receives, 256, 4);
		config.shared_receives = &end->shared_receives;
	}
	queue_pair_init(&end->qp, &config);
}

const struct pair_options pair_default = {.first_psn = 0xfffff0, /* wraps soon */
        .mtu = IBV_MTU_1024,
        .timeout = 14,
        .retry_cnt = 7,
        .rnr_retry = 7,
        .min_rnr_timer = 12,
        .reads = 4,
        .access = IBV_ACCESS_REMOTE_WRITE | IBV_ACCESS_REMOTE_READ | IBV_ACCESS_REMOTE_ATOMIC,
        .qkey = 0x11111111};

/* UD: to RTS, which connects it with nobody. */
static int pair_make_ready(struct pair *pair, int index, const struct pair_options *options)
{
	struct queue_pair *qp = &pair->end[index].qp;
	struct ibv_qp_attr attr = {.qp_state = IBV_QPS_INIT,
	        .port_num = 1,
	        .qkey = options->qkey,
	        .sq_psn = options->first_psn};
	int err = queue_pair_modify(
	        qp, &attr, IBV_QP_STATE | IBV_QP_PKEY_INDEX | IBV_QP_PORT | IBV_QP_QKEY);

	attr.qp_state = IBV_QPS_RTR;
	err |= queue_pair_modify(qp, &attr, IBV_QP_STATE);
	attr.qp_state = IBV_QPS_RTS;
	return err | queue_pair_modify(qp, &attr, IBV_QP_STATE | IBV_QP_SQ_PSN);
}

/* The attributes of the half that answers, and of the half that asks. */
static int pair_answering(enum ibv_qp_type type)
{
	return type == IBV_QPT_XRC_SEND || type == IBV_QPT_UC
	               ? 0
	               : IBV_QP_MAX_DEST_RD_ATOMIC | IBV_QP_MIN_RNR_TIMER;
}

static int pair_asking(enum ibv_qp_type type)
{
	if (type == IBV_QPT_UC)
		return 0;
	return type == IBV_QPT_XRC_RECV ? IBV_QP_TIMEOUT
	                                : IBV_QP_MAX_QP_RD_ATOMIC | IBV_QP_RETRY_CNT |
	                                          IBV_QP_RNR_RETRY | IBV_QP_TIMEOUT;
}

int pair_connect(struct pair *pair, int index, const struct pair_options *options)
{
	struct queue_pair *qp = &pair->end[index].qp;
	struct ibv_qp_attr attr = {.qp_state = IBV_QPS_INIT,
	        .port_num = 1,
	        .qp_access_flags = options->access,
	        .path_mtu = options->mtu,
	        .dest_qp_num = 0x100u + !index,
	        .rq_psn = options->first_psn + (index ? 0 : 7),
	        .sq_psn = options->first_psn + (index ? 7 : 0),
	        .max_rd_atomic = options->reads,
	        .max_dest_rd_atomic = options->reads,
	        .min_rnr_timer = options->min_rnr_timer,
	        .timeout = options->timeout,
	        .retry_cnt = options->retry_cnt,
	        .rnr_retry = options->rnr_retry,
	        .ah_attr = {.dlid = pair_lid(!index), .port_num = 1}};
	int err = queue_pair_modify(
	        qp, &attr, IBV_QP_STATE | IBV_QP_PKEY_INDEX | IBV_QP_PORT | IBV_QP_ACCESS_FLAGS);

	attr.qp_state = IBV_QPS_RTR;
	err |= queue_pair_modify(qp, &attr,
	        IBV_QP_STATE | IBV_QP_AV | IBV_QP_PATH_MTU | IBV_QP_DEST_QPN | IBV_QP_RQ_PSN |
	                pair_answering(pair_type(options, index)));
	attr.qp_state = IBV_QPS_RTS;
	err |= queue_pair_modify(
	        qp, &attr, IBV_QP_STATE | IBV_QP_SQ_PSN | pair_asking(pair_type(options, index)));
	return err;
}

struct pair *pair_open(const struct pair_options *options)
{
	struct pair *pair = calloc(1, sizeof(*pair));

	pair->room = PAIR_WIRE_ROOM;
	pair->port_mtu = 128u << options->mtu;
	for (int i = 0; i < 2; i++) {
		int err;

		pair_end_open(pair, i, options);
		err = pair_type(options, i) == IBV_QPT_UD ? pair_make_ready(pair, i, options)
		                                          : pair_connect(pair, i, options);
		if (err)
			abort();
	}
	return pair;
}

void pair_close(struct pair *pair)
{
	for (unsigned i = 0; i < pair->on_wire; i++)
		free(pair->wire[i].packet);
	for (int i = 0; i < 2; i++) {
		struct pair_end *end = &pair->end[i];

		queue_pair_fini(&end->qp);
		completion_queue_fini(&end->send_completions);
		completion_queue_fini(&end->receive_completions);
		receive_queue_fini(&end->shared_receives);
		memory_keys_destroy(end->host.keys);
		free(end->memory);
	}
	free(pair);
}

static void pair_set_time(struct pair *pair, uint64_t now_ns)
{
	pair->now_ns = now_ns;
	pair->end[0].host.now_ns = pair->end[1].host.now_ns = now_ns;
}

bool pair_transmit(struct pair *pair)
{
	bool did = false;

	for (int i = 0; i < 2; i++) {
		struct pair_end *end = &pair->end[i];

		if (!end->is_ready)
			continue;
		did = true;
		end->is_ready = queue_pair_transmit(&end->qp);
	}
	return did;
}

struct pair_packet *pair_first_to_arrive(struct pair *pair)
{
	struct pair_packet *first = NULL;

	for (unsigned i = 0; i < pair->on_wire; i++) {
		struct pair_packet *p = &pair->wire[i];

		if (!first || p->arrives_ns < first->arrives_ns ||
		        (p->arrives_ns == first->arrives_ns && p->order < first->order))
			first = p;
	}
	return first;
}

void pair_deliver(struct pair *pair, struct pair_packet *first)
{
	struct pair_packet taken = *first;

	*first = pair->wire[--pair->on_wire];
	if (taken.arrives_ns > pair->now_ns)
		pair_set_time(pair, taken.arrives_ns);
	queue_pair_receive(&pair->end[taken.to].qp, taken.packet);
	free(taken.packet);
}

bool pair_step(struct pair *pair)
{
	struct pair_packet *first;
	struct pair_end *next;

	/* A full wire empties before senders try again. */
	if (pair_transmit(pair) && pair->on_wire + 2 <= pair->room)
		return true;
	first = pair_first_to_arrive(pair);
	next = pair->end[0].due_ns <= pair->end[1].due_ns ? &pair->end[0] : &pair->end[1];
	if (first && first->arrives_ns <= next->due_ns) {
		pair_deliver(pair, first);
		return true;
	}
	if (next->due_ns == UINT64_MAX)
		return false;
	if (next->due_ns > pair->now_ns)
		pair_set_time(pair, next->due_ns);
	next->due_ns = UINT64_MAX;
	queue_pair_expire(&next->qp);
	return true;
}

bool pair_settle(struct pair *pair)
{
	for (int i = 0; i < 10000000; i++) {
		if (!pair_step(pair))
			return true;
	}
	return false;
}

void pair_steps(struct pair *pair, unsigned count)
{
	while (count-- && pair_step(pair))
		;
}

bool pair_poll(struct completion_queue *queue, uint64_t now_ns, struct ibv_wc *wc)
{
	struct completion *completion = completion_queue_peek(queue, now_ns);

	if (!completion)
		return false;
	*wc = completion->wc;
	if (completion->qp && completion->is_receive && !completion->qp->uses_srq)
		completion->qp->responder.own_queue.freed = completion->covers;
	else if (completion->qp && !completion->is_receive)
		completion->qp->requester.queue.freed = completion->covers;
	completion_queue_pop(queue);
	return true;
}

bool pair_poll_send(struct pair *pair, int index, struct ibv_wc *wc)
{
	return pair_poll(&pair->end[index].send_completions, pair->now_ns, wc);
}

bool pair_poll_receive(struct pair *pair, int index, struct ibv_wc *wc)
{
	return pair_poll(&pair->end[index].receive_completions, pair->now_ns, wc);
}

int pair_post(struct pair *pair, int index, const struct ibv_send_wr *wr)
{
	struct queue_pair *qp = &pair->end[index].qp;
	int err = send_queue_prepare(&qp->requester.queue, 0, wr);

	return err ? err : queue_pair_post_send(qp, 1);
}

struct ibv_sge pair_sge(struct pair *pair, int index, uint64_t offset, uint32_t length)
{
	struct pair_end *end = &pair->end[index];

	return (struct ibv_sge){
	        .addr = end->region.address + offset, .length = length, .lkey = end->region.key};
}

struct ibv_send_wr pair_request(struct pair *pair, int from, enum ibv_wr_opcode opcode,
        struct ibv_sge *sge, uint64_t remote, uint64_t wr_id)
{
	const struct memory_region *target = &pair->end[!from].region;
	struct ibv_send_wr wr = {.wr_id = wr_id,
	        .sg_list = sge,
	        .num_sge = 1,
	        .opcode = opcode,
	        .send_flags = IBV_SEND_SIGNALED};

	if (opcode == IBV_WR_ATOMIC_CMP_AND_SWP || opcode == IBV_WR_ATOMIC_FETCH_AND_ADD) {
		wr.wr.atomic.remote_addr = target->address + remote;
		wr.wr.atomic.rkey = target->key;
	} else {
		wr.wr.rdma.remote_addr = target->address + remote;
		wr.wr.rdma.rkey = target->key;
	}
	return wr;
}

int pair_post_receive(
        struct pair *pair, int index, uint64_t offset, uint32_t length, uint64_t wr_id)
{
	struct pair_end *end = &pair->end[index];
	struct ibv_sge sge = pair_sge(pair, index, offset, length);
	struct ibv_recv_wr wr = {.wr_id = wr_id, .sg_list = &sge, .num_sge = 1};

	if (end->qp.uses_srq)
		return receive_queue_post(&end->shared_receives, &wr);
	return queue_pair_post_receive(&end->qp, &wr);
}
