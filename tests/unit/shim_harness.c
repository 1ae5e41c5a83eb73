/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include "tests/unit/shim_harness.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "notifier/wire/rows.h"
#include "preload/agent_link.h"
#include "preload/heard_senders.h"
#include "preload/objects.h"
#include "preload/steps.h"

enum { DEADLINE_MS = 1000, LEASE_MS = 5000, OVERALL_MS = 20000 };

/* No agent: steps are called directly. */
void agent_link_start(void)
{
}

void agent_link_forget_parent(void)
{
	steps_forget();
}

int harness_interest, harness_handles;
void (*harness_registering)(struct remote *remote);

void agent_link_register(struct remote *remote)
{
	harness_interest++;
	if (harness_registering)
		harness_registering(remote);
}

void agent_link_register_datagrams(struct remote *remote)
{
	__atomic_fetch_add(&harness_handles, 1, __ATOMIC_RELAXED);
	if (harness_registering)
		harness_registering(remote);
}

bool agent_link_is_there(void)
{
	return harness_stranger != NULL;
}

void agent_link_wake(void)
{
}

void (*harness_stranger)(uint32_t lid);

void agent_link_await_sender(uint32_t lid, uint64_t since_ms)
{
	harness_stranger(lid);
	sender_set_known(lid);
}

void agent_link_forget(const struct remote *remote)
{
	__atomic_fetch_sub(&harness_interest, remote->qpn != 0, __ATOMIC_RELAXED);
	__atomic_fetch_sub(&harness_handles, !remote->qpn && remote->lid, __ATOMIC_RELAXED);
}

int harness_announced, harness_contexts, harness_announce_error;
int harness_live_at_withdrawal;

int agent_link_announce(const struct announcement *what)
{
	harness_announced++;
	return harness_announce_error;
}

int agent_link_announce_unasked(const struct announcement *what)
{
	harness_contexts += !what->qpn;
	return 0;
}

void agent_link_withdraw(const struct announcement *what)
{
	harness_live_at_withdrawal = fake.live_objects;
	if (what->qpn)
		harness_announced--;
	else
		harness_contexts--;
}

struct ibv_qp *real_of(struct ibv_qp *shown)
{
	return queue_pair_of(shown)->real;
}

/* ---- ends ---- */

static struct ibv_context *open_lid(uint16_t lid)
{
	struct ibv_device **list = ibv_get_device_list(NULL);
	struct ibv_context *found = NULL;

	for (struct ibv_device **d = list; *d && !found; d++) {
		struct ibv_context *context = ibv_open_device(*d);
		struct ibv_port_attr attr;

		assert_non_null(context);
		assert_int_equal(___ibv_query_port(context, 1, &attr), 0);
		if (attr.lid == lid)
			found = context;
		else
			ibv_close_device(context);
	}
	ibv_free_device_list(list);
	return found;
}

void end_open(struct end *end, uint16_t lid, bool with_srq)
{
	struct ibv_srq_init_attr srq = {.attr = {.max_wr = HARNESS_DEPTH, .max_sge = 1}};

	end->context = open_lid(lid);
	assert_non_null(end->context);
	end->memory = calloc(1, HARNESS_BYTES);
	end->pd = ibv_alloc_pd(end->context);
	end->mr = ibv_reg_mr(end->pd, end->memory, HARNESS_BYTES,
	        IBV_ACCESS_LOCAL_WRITE | IBV_ACCESS_REMOTE_WRITE | IBV_ACCESS_REMOTE_READ |
	                IBV_ACCESS_REMOTE_ATOMIC);
	end->channel = end->with_channel ? ibv_create_comp_channel(end->context) : NULL;
	end->cq = ibv_create_cq(end->context, 4 * HARNESS_DEPTH, end, end->channel, 0);
	end->srq = with_srq ? ibv_create_srq(end->pd, &srq) : NULL;
	assert_non_null(end->mr);
	assert_non_null(end->cq);
}

void end_create_qp(struct end *end, const struct harness *h)
{
	struct ibv_qp_init_attr_ex attr = {
	        .send_cq = end->cq,
	        .recv_cq = end->cq,
	        .srq = end->srq,
	        .cap = {.max_send_wr = HARNESS_DEPTH,
	                .max_recv_wr = HARNESS_DEPTH,
	                .max_send_sge = 2,
	                .max_recv_sge = 1},
	        .qp_type = h->type ? h->type : IBV_QPT_RC,
	        .sq_sig_all = h->signal_all,
	        .comp_mask = IBV_QP_INIT_ATTR_PD | IBV_QP_INIT_ATTR_SEND_OPS_FLAGS,
	        .pd = end->pd,
	        .send_ops_flags = h->type == IBV_QPT_UD
	                                  ? IBV_QP_EX_WITH_SEND
	                                  : IBV_QP_EX_WITH_SEND | IBV_QP_EX_WITH_RDMA_WRITE,
	};

	if (h->with_ex)
		end->qp = ibv_create_qp_ex(end->context, &attr);
	else
		end->qp = ibv_create_qp(end->pd, (struct ibv_qp_init_attr *)&attr);
	assert_non_null(end->qp);
}

/* It is connected to nobody: whoever has its number and its key is heard. */
static void end_begin_datagrams(struct end *end, const struct end *to, uint16_t lid)
{
	static const enum ibv_qp_state states[] = {IBV_QPS_INIT, IBV_QPS_RTR, IBV_QPS_RTS};
	static const int masks[] = {
	        IBV_QP_STATE | IBV_QP_PKEY_INDEX | IBV_QP_PORT | IBV_QP_QKEY,
	        IBV_QP_STATE,
	        IBV_QP_STATE | IBV_QP_SQ_PSN,
	};
	struct ibv_ah_attr address = {.dlid = lid, .port_num = 1};

	for (int i = 0; i < 3; i++) {
		struct ibv_qp_attr attr = {
		        .qp_state = states[i], .port_num = 1, .qkey = HARNESS_QKEY};

		assert_int_equal(ibv_modify_qp(end->qp, &attr, masks[i]), 0);
	}
	end->ah = ibv_create_ah(end->pd, &address);
	assert_non_null(end->ah);
	end->remote_qpn = to->qp->qp_num;
}

void end_connect(struct end *end, const struct end *to, uint16_t lid)
{
	struct ibv_qp_attr attr = {.qp_state = IBV_QPS_INIT, .port_num = 1};

	if (end->qp->qp_type == IBV_QPT_UD) {
		end_begin_datagrams(end, to, lid);
		return;
	}
	assert_int_equal(
	        ibv_modify_qp(end->qp, &attr,
	                IBV_QP_STATE | IBV_QP_PKEY_INDEX | IBV_QP_PORT | IBV_QP_ACCESS_FLAGS),
	        0);
	attr = (struct ibv_qp_attr){.qp_state = IBV_QPS_RTR,
	        .path_mtu = IBV_MTU_1024,
	        .dest_qp_num = to->qp->qp_num,
	        .rq_psn = HARNESS_FIRST_PSN,
	        .ah_attr = {.dlid = lid, .port_num = 1}};
	assert_int_equal(
	        ibv_modify_qp(end->qp, &attr,
	                IBV_QP_STATE | IBV_QP_AV | IBV_QP_PATH_MTU | IBV_QP_DEST_QPN |
	                        IBV_QP_RQ_PSN | IBV_QP_MAX_DEST_RD_ATOMIC | IBV_QP_MIN_RNR_TIMER),
	        0);
	attr = (struct ibv_qp_attr){.qp_state = IBV_QPS_RTS, .sq_psn = HARNESS_FIRST_PSN};
	assert_int_equal(
	        ibv_modify_qp(end->qp, &attr,
	                IBV_QP_STATE | IBV_QP_TIMEOUT | IBV_QP_RETRY_CNT | IBV_QP_RNR_RETRY |
	                        IBV_QP_SQ_PSN | IBV_QP_MAX_QP_RD_ATOMIC),
	        0);
}

void harness_open(struct harness *h)
{
	fake_reset();
	h->now_ms = 1000;
	h->vm.with_channel = h->peer.with_channel = h->with_channel;
	end_open(&h->vm, FAKE_LID_VM, h->with_srq);
	end_open(&h->peer, FAKE_LID_PEER, h->with_srq);
}

void harness_connect(struct harness *h)
{
	end_create_qp(&h->vm, h);
	end_create_qp(&h->peer, h);
	end_connect(&h->vm, &h->peer, FAKE_LID_PEER);
	end_connect(&h->peer, &h->vm, FAKE_LID_VM);
}

void end_close(struct end *end)
{
	if (end->qp)
		assert_int_equal(ibv_destroy_qp(end->qp), 0);
	if (end->ah)
		assert_int_equal(ibv_destroy_ah(end->ah), 0);
	if (end->srq)
		assert_int_equal(ibv_destroy_srq(end->srq), 0);
	assert_int_equal(ibv_destroy_cq(end->cq), 0);
	if (end->channel)
		assert_int_equal(ibv_destroy_comp_channel(end->channel), 0);
	assert_int_equal(ibv_dereg_mr(end->mr), 0);
	assert_int_equal(ibv_dealloc_pd(end->pd), 0);
	assert_int_equal(ibv_close_device(end->context), 0);
	free(end->memory);
}

static void answer_set(Tether__Answer **kept, Tether__Answer *answer)
{
	if (*kept)
		tether__answer__free_unpacked(*kept, NULL);
	*kept = answer;
}

void harness_close(struct harness *h)
{
	end_close(&h->vm);
	end_close(&h->peer);
	answer_set(&h->answer, NULL);
	answer_set(&h->stopped, NULL);
	answer_set(&h->settled, NULL);
	answer_set(&h->attached, NULL);
	steps_forget();
	assert_int_equal(fake.live_objects, 0);
}

/* ---- work ---- */

int harness_poll(struct harness *h, struct end *end)
{
	return ibv_poll_cq(end->cq, 64, h->wc);
}

static int post(struct end *from, struct ibv_send_wr *wr, uint32_t offset, uint32_t length)
{
	struct ibv_sge sge = {(uintptr_t)from->memory + offset, length, from->mr->lkey};
	struct ibv_send_wr *bad, posted = *wr;

	if (from->ah) {
		posted.wr.ud.ah = from->ah;
		posted.wr.ud.remote_qpn = from->remote_qpn;
		posted.wr.ud.remote_qkey = HARNESS_QKEY;
	}
	posted.sg_list = &sge;
	posted.num_sge = length > 0;
	return ibv_post_send(from->qp, &posted, &bad);
}

int end_send(struct end *from, uint64_t wr_id, uint32_t offset, uint32_t length, unsigned flags)
{
	struct ibv_send_wr wr = {.wr_id = wr_id, .opcode = IBV_WR_SEND, .send_flags = flags};

	return post(from, &wr, offset, length);
}

int end_rdma(struct end *from, const struct end *to, enum ibv_wr_opcode opcode, uint64_t wr_id,
        uint32_t offset, uint32_t length, unsigned flags)
{
	struct ibv_send_wr wr = {.wr_id = wr_id,
	        .opcode = opcode,
	        .send_flags = flags,
	        .wr.rdma = {(uintptr_t)to->memory + offset, to->mr->rkey}};

	return post(from, &wr, offset, length);
}

int end_fetch_add(
        struct end *from, const struct end *to, uint64_t wr_id, uint32_t offset, uint64_t add)
{
	struct ibv_send_wr wr = {.wr_id = wr_id,
	        .opcode = IBV_WR_ATOMIC_FETCH_AND_ADD,
	        .send_flags = IBV_SEND_SIGNALED,
	        .wr.atomic = {.remote_addr = (uintptr_t)to->memory + offset,
	                .compare_add = add,
	                .rkey = to->mr->rkey}};

	return post(from, &wr, offset, 8);
}

int end_receive(struct end *end, uint64_t wr_id, uint32_t offset, uint32_t length)
{
	struct ibv_sge sge = {(uintptr_t)end->memory + offset, length, end->mr->lkey};
	struct ibv_recv_wr wr = {.wr_id = wr_id, .sg_list = &sge, .num_sge = 1}, *bad;

	return end->srq ? ibv_post_srq_recv(end->srq, &wr, &bad)
	                : ibv_post_recv(end->qp, &wr, &bad);
}

/* ---- the root ---- */

static void keep_answer(const Tether__Answer *answer, void *owner)
{
	struct harness *h = owner;
	size_t size = tether__answer__get_packed_size(answer);
	uint8_t *bytes = malloc(size + 1);

	tether__answer__pack(answer, bytes);
	answer_set(&h->answer, tether__answer__unpack(NULL, size, bytes));
	free(bytes);
}

void harness_time_passes(struct harness *h, unsigned ms)
{
	while (ms--) {
		h->now_ms++;
		if (h->meanwhile)
			h->meanwhile(h);
		steps_tick(h->now_ms, keep_answer, h);
	}
}

Tether__Outcome harness_event(struct harness *h, Tether__Event *event)
{
	size_t size = tether__event__get_packed_size(event);
	uint8_t *bytes = malloc(size + 1);

	answer_set(&h->answer, NULL);
	tether__event__pack(event, bytes);
	steps_event(tether__event__unpack(NULL, size, bytes), h->now_ms, keep_answer, h);
	free(bytes);
	for (unsigned ms = 0; !h->answer && ms < 2 * DEADLINE_MS; ms++)
		harness_time_passes(h, 1);
	return h->answer ? h->answer->outcome : TETHER__OUTCOME__OUTCOME_NONE;
}

void harness_event_fill(struct harness *h, Tether__Event *event, Tether__Step step)
{
	static Tether__Address address = TETHER__ADDRESS__INIT;

	address.lid = FAKE_LID_VM;
	tether__event__init(event);
	h->migration += step == TETHER__STEP__STEP_PREPARE;
	event->migration = h->migration;
	event->epoch = 1;
	event->step = step;
	event->sequence = ++h->sequence;
	event->deadline_ms = DEADLINE_MS;
	event->lease_ms = LEASE_MS;
	event->overall_ms = OVERALL_MS;
	event->vm = (char *)"vm1";
	event->address = &address;
	event->to_vm = true;
	event->to_peers = !h->vm_alone;
}

/* Peers' numbers of SETTLE, and the VM's of ATTACH where there was one. */
static void merge_numbers(const struct harness *h, Tether__QpRows *rows)
{
	const Tether__QpRows *vm = h->attached ? h->attached->qps : h->settled->qps;

	tether__qp_rows__init(rows);
	for (size_t i = 0; i < h->settled->qps->n_local_qpn; i++) {
		struct qp_row row = qp_rows_get(h->settled->qps, i);

		if (row.local_lid != FAKE_LID_VM)
			qp_rows_append(rows, &row);
	}
	for (size_t i = 0; i < vm->n_local_qpn; i++) {
		struct qp_row row = qp_rows_get(vm, i);

		if (row.local_lid == FAKE_LID_VM)
			qp_rows_append(rows, &row);
	}
}

Tether__Outcome harness_step(struct harness *h, Tether__Step step)
{
	Tether__Outcome outcome;
	Tether__QpRows numbers;
	Tether__Event event;

	harness_event_fill(h, &event, step);
	if (step == TETHER__STEP__STEP_PREPARE) {
		answer_set(&h->stopped, NULL);
		answer_set(&h->settled, NULL);
	}
	tether__qp_rows__init(&numbers);
	if ((step == TETHER__STEP__STEP_RELEASE || step == TETHER__STEP__STEP_RECONNECT) &&
	        h->settled)
		event.evidence = h->settled->evidence;
	if (step == TETHER__STEP__STEP_SETTLE && h->stopped)
		event.evidence = h->stopped->evidence;
	if (step == TETHER__STEP__STEP_RECONNECT && h->settled) {
		merge_numbers(h, &numbers);
		event.qps = &numbers;
		event.keys = h->attached ? h->attached->keys : NULL;
	}
	outcome = harness_event(h, &event);
	rows_clear(&numbers.base);
	if (step == TETHER__STEP__STEP_STOP && outcome == TETHER__OUTCOME__OUTCOME_DONE) {
		answer_set(&h->stopped, h->answer);
		h->answer = NULL;
	}
	if (step == TETHER__STEP__STEP_SETTLE && outcome == TETHER__OUTCOME__OUTCOME_DONE) {
		answer_set(&h->settled, h->answer);
		answer_set(&h->attached, NULL);
		h->answer = NULL;
	}
	if (step == TETHER__STEP__STEP_ATTACH && outcome == TETHER__OUTCOME__OUTCOME_DONE) {
		answer_set(&h->attached, h->answer);
		h->answer = NULL;
	}
	return outcome;
}

const char *harness_reason(const struct harness *h)
{
	return h->answer && h->answer->n_refusals ? h->answer->refusals[0]->reason : "";
}

static void must(struct harness *h, Tether__Step step)
{
	if (harness_step(h, step) != TETHER__OUTCOME__OUTCOME_DONE)
		fail_msg("step %d: %s", step, harness_reason(h));
}

void harness_stop(struct harness *h)
{
	must(h, TETHER__STEP__STEP_PREPARE);
	must(h, TETHER__STEP__STEP_STOP);
	must(h, TETHER__STEP__STEP_SETTLE);
}

void harness_go_on(struct harness *h)
{
	int next = (fake.slot + 1) % 4;

	must(h, TETHER__STEP__STEP_RELEASE);
	fake.slot = -1;
	harness_time_passes(h, 20);
	fake.slot = next;
	must(h, TETHER__STEP__STEP_ATTACH);
	must(h, TETHER__STEP__STEP_RECONNECT);
	must(h, TETHER__STEP__STEP_RESUME);
}

void harness_move(struct harness *h)
{
	harness_stop(h);
	harness_go_on(h);
}
