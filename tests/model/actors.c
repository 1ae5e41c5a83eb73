/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include "model/actors.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "model/pattern.h"
#include "model/world.h"

enum {
	FIRST_PSN = 0x7ffff0,
	TIMEOUT = 11,   /* some 8 ms */
	RNR_TIMER = 14, /* 1 ms */
	ACCESS = IBV_ACCESS_LOCAL_WRITE | IBV_ACCESS_REMOTE_WRITE | IBV_ACCESS_REMOTE_READ |
	         IBV_ACCESS_REMOTE_ATOMIC,
};

/* A page is left behind what a wrong address names. */
static uint8_t *memory_of(struct actor *actor, size_t bytes)
{
	uint8_t *memory = actor->memory + actor->used;

	actor->used += (bytes + 63) & ~(size_t)63;
	if (actor->used > ACTOR_BYTES)
		abort();
	return memory;
}

static void *list_of(size_t count)
{
	void *list = calloc(count + 1, sizeof(void *));

	if (!list)
		abort();
	return list;
}

static void must(struct run *run, const void *object, const char *what)
{
	if (!object)
		run_says(run, "%s cannot be made", what);
}

static void open_domain(struct run *run, struct actor *actor)
{
	struct ibv_xrcd_init_attr domain = {
	        .comp_mask = IBV_XRCD_INIT_ATTR_FD | IBV_XRCD_INIT_ATTR_OFLAGS,
	        .fd = -1,
	        .oflags = O_CREAT | O_EXCL,
	};
	struct ibv_srq_init_attr_ex srq = {
	        .attr = {.max_wr = RECEIVE_DEPTH, .max_sge = SGES_MOST},
	        .comp_mask = IBV_SRQ_INIT_ATTR_TYPE | IBV_SRQ_INIT_ATTR_PD |
	                     IBV_SRQ_INIT_ATTR_XRCD | IBV_SRQ_INIT_ATTR_CQ,
	        .srq_type = IBV_SRQT_XRC,
	        .pd = actor->pd,
	};

	srq.xrcd = actor->domain = ibv_open_xrcd(actor->context, &domain);
	must(run, actor->domain, "a domain");
	for (unsigned i = 0; i < XRC_SRQS; i++) {
		srq.cq = actor->cq[run->program->world.apart ? i : 0];
		actor->xrc_srq[i] = ibv_create_srq_ex(actor->context, &srq);
		must(run, actor->xrc_srq[i], "a shared queue of XRC");
		if (ibv_get_srq_num(actor->xrc_srq[i], &actor->xrc_number[i]))
			must(run, NULL, "a number of a shared queue");
	}
}

static bool has_xrc(const struct program *program)
{
	bool has = false;

	for (unsigned i = 0; i < program->link_count; i++)
		has |= program->links[i].xrc;
	return has;
}

static void open_actor(struct run *run, unsigned process)
{
	struct ibv_srq_init_attr srq = {
	        .attr = {.max_wr = RECEIVE_DEPTH, .max_sge = SGES_MOST},
	};
	struct actor *actor = &run->actors[process];

	actor->context = world_open(process);
	must(run, actor->context, "a context");
	actor->memory =
	        mmap(NULL, ACTOR_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	/* All of it is asked for at each registration: few large pages are cheap. */
	madvise(actor->memory, ACTOR_BYTES, MADV_HUGEPAGE);
	actor->pd = ibv_alloc_pd(actor->context);
	for (unsigned i = 0; i < KEYS; i++) {
		actor->mr[i] = ibv_reg_mr(
		        actor->pd, actor->memory, ACTOR_BYTES, ACCESS | IBV_ACCESS_MW_BIND);
		must(run, actor->mr[i], "a region");
	}
	for (unsigned i = 0; i < PROCESS_CQS; i++) {
		actor->cq[i] = ibv_create_cq(actor->context, 4096, NULL, NULL, 0);
		must(run, actor->cq[i], "a completion queue");
	}
	actor->srq = ibv_create_srq(actor->pd, &srq);
	must(run, actor->srq, "a shared queue");
	if (has_xrc(run->program))
		open_domain(run, actor);
	actor->counters = (uint64_t *)(void *)memory_of(actor, COUNTERS * sizeof(uint64_t));
	for (unsigned i = 0; i < COUNTERS; i++)
		actor->counters[i] = reference_counter_begins(process, i);
}

/* What each end is to post, and where that finds its memory. */
static void learn_work(struct run *run, unsigned end)
{
	struct actor_end *state = &run->ends[end];
	struct actor *other = &run->actors[end_process(run->program, end_other(end))];
	uint32_t number = 0;

	state->order = list_of(state->count);
	state->local = list_of(state->count);
	state->cell = list_of(state->count);
	for (unsigned i = 0; i < run->program->action_count; i++) {
		const struct action *action = &run->program->actions[i];

		for (unsigned j = 0;
		        action->kind == ACTION_POST && action->of == end && j < action->count;
		        j++, number++) {
			const struct work *work = &run->program->work[action->first + j];

			state->order[number] = work;
			state->local[number] = memory_of(state->actor, work->length);
			if (work->place == PLACE_CELL)
				state->cell[number] = memory_of(other, work->length);
		}
	}
}

static void open_end(struct run *run, unsigned end)
{
	struct actor_end *state = &run->ends[end];
	struct actor *other = &run->actors[end_process(run->program, end_other(end))];

	state->actor = &run->actors[end_process(run->program, end)];
	for (unsigned i = 0; i < run->program->action_count; i++) {
		if (run->program->actions[i].kind == ACTION_POST &&
		        run->program->actions[i].of == end)
			state->count += run->program->actions[i].count;
	}
	learn_work(run, end);
	windows_open(run, state);
	for (unsigned i = 0; i < HOT_CELLS; i++)
		state->hot[i] = (uint64_t *)(void *)memory_of(other, HOT_BYTES);
	for (unsigned i = 0; i < VERSIONED_CELLS; i++) {
		state->versioned[i] = (uint64_t *)(void *)memory_of(state->actor, MESSAGE_MOST);
		state->versions[i] = 1;
		cell_fill(state->versioned[i], MESSAGE_MOST, cell_word(end, 1));
	}
}

void actors_open(struct run *run)
{
	for (unsigned process = 0; process < PROCESSES; process++)
		open_actor(run, process);
	for (unsigned end = 0; end < 2 * run->program->link_count; end++)
		open_end(run, end);
}

/* ---- queue pairs ---- */

static void create_target(struct run *run, struct actor_end *state)
{
	struct ibv_qp_init_attr_ex attr = {
	        .qp_type = IBV_QPT_XRC_RECV,
	        .comp_mask = IBV_QP_INIT_ATTR_XRCD,
	        .xrcd = state->actor->domain,
	};

	state->qp = ibv_create_qp_ex(state->actor->context, &attr);
	must(run, state->qp, "a target");
	state->qpn = state->qp->qp_num;
}

static void create_end(struct run *run, unsigned end)
{
	const struct program_link *link = end_link(run->program, end);
	struct actor_end *state = &run->ends[end];
	unsigned side = end & 1;
	struct ibv_qp_init_attr_ex attr = {
	        .send_cq = state->actor->cq[link->cq[side][0]],
	        .recv_cq = state->actor->cq[link->cq[side][1]],
	        .srq = link->shares[side] ? state->actor->srq : NULL,
	        .cap = {.max_send_wr = link->depth,
	                .max_recv_wr = link->shares[side] ? 0 : RECEIVE_DEPTH,
	                .max_send_sge = SGES_MOST,
	                .max_recv_sge = SGES_MOST,
	                .max_inline_data = INLINE_MOST},
	        .qp_type = IBV_QPT_RC,
	        .sq_sig_all = link->signal_all[side],
	        .comp_mask = IBV_QP_INIT_ATTR_PD,
	        .pd = state->actor->pd,
	};

	if (end_is_target(run->program, end)) {
		create_target(run, state);
		return;
	}
	if (link->xrc) {
		attr.qp_type = IBV_QPT_XRC_SEND;
		attr.recv_cq = NULL;
		attr.cap.max_recv_wr = 0;
	}
	if (link->builders[side]) {
		attr.comp_mask |= IBV_QP_INIT_ATTR_SEND_OPS_FLAGS;
		attr.send_ops_flags = IBV_QP_EX_WITH_SEND | IBV_QP_EX_WITH_SEND_WITH_IMM |
		                      IBV_QP_EX_WITH_RDMA_WRITE |
		                      IBV_QP_EX_WITH_RDMA_WRITE_WITH_IMM |
		                      IBV_QP_EX_WITH_RDMA_READ | IBV_QP_EX_WITH_ATOMIC_CMP_AND_SWP |
		                      IBV_QP_EX_WITH_ATOMIC_FETCH_AND_ADD;
		if (!link->xrc)
			attr.send_ops_flags |= IBV_QP_EX_WITH_SEND_WITH_INV |
			                       IBV_QP_EX_WITH_BIND_MW | IBV_QP_EX_WITH_LOCAL_INV;
	}
	state->qp = ibv_create_qp_ex(state->actor->context, &attr);
	must(run, state->qp, "a queue pair");
	state->qpn = state->qp->qp_num;
}

static void to_state(struct run *run, unsigned end, struct ibv_qp_attr attr, int mask)
{
	int err = ibv_modify_qp(run->ends[end].qp, &attr, mask | IBV_QP_STATE);

	if (err)
		run_says(run, "end %u: to state %d: error %d", end, attr.qp_state, err);
}

/* Of XRC one end asks, and the other answers. */
static int answering(const struct run *run, unsigned end)
{
	return end_receives(run->program, end) ? IBV_QP_MAX_DEST_RD_ATOMIC | IBV_QP_MIN_RNR_TIMER
	                                       : 0;
}

static int asking(const struct run *run, unsigned end)
{
	return end_posts(run->program, end)
	               ? IBV_QP_RETRY_CNT | IBV_QP_RNR_RETRY | IBV_QP_MAX_QP_RD_ATOMIC
	               : 0;
}

static void connect_end(struct run *run, unsigned end)
{
	const struct program_link *link = end_link(run->program, end);
	unsigned other = end_other(end);

	to_state(run, end,
	        (struct ibv_qp_attr){
	                .qp_state = IBV_QPS_INIT, .port_num = 1, .qp_access_flags = ACCESS},
	        IBV_QP_PKEY_INDEX | IBV_QP_PORT | IBV_QP_ACCESS_FLAGS);
	to_state(run, end,
	        (struct ibv_qp_attr){.qp_state = IBV_QPS_RTR,
	                .path_mtu = link->mtu,
	                .dest_qp_num = run->ends[other].qpn,
	                .rq_psn = FIRST_PSN + other * 0x1000,
	                .max_dest_rd_atomic = link->reads,
	                .min_rnr_timer = RNR_TIMER,
	                .ah_attr = {.dlid = world_lid_of(end_process(run->program, other)),
	                        .port_num = 1}},
	        IBV_QP_AV | IBV_QP_PATH_MTU | IBV_QP_DEST_QPN | IBV_QP_RQ_PSN |
	                answering(run, end));
	to_state(run, end,
	        (struct ibv_qp_attr){.qp_state = IBV_QPS_RTS,
	                .sq_psn = FIRST_PSN + end * 0x1000,
	                .timeout = TIMEOUT,
	                .retry_cnt = 7,
	                .rnr_retry = link->rnr_retry,
	                .max_rd_atomic = link->reads},
	        IBV_QP_SQ_PSN | IBV_QP_TIMEOUT | asking(run, end));
	run->ends[end].is_connected = true;
}

void actors_connect(struct run *run, unsigned link)
{
	create_end(run, 2 * link);
	create_end(run, 2 * link + 1);
	connect_end(run, 2 * link);
	connect_end(run, 2 * link + 1);
	run_tells(run, (struct event){.kind = EVENT_CONNECTED, .of = link});
}

/* A completion of one that has ended is that of whoever had the number last. */
int actors_end_of(const struct run *run, unsigned process, uint32_t qpn)
{
	for (int end = (int)(2 * run->program->link_count) - 1; end >= 0; end--) {
		if (run->ends[end].is_connected &&
		        end_process(run->program, (unsigned)end) == process &&
		        run->ends[end].qpn == qpn)
			return end;
	}
	return -1;
}

void actors_destroy(struct run *run, unsigned end)
{
	int err = ibv_destroy_qp(run->ends[end].qp);

	if (err)
		run_says(run, "end %u: cannot be destroyed: error %d", end, err);
	run->ends[end].qp = NULL;
	run->ends[end].is_destroyed = true;
	run_tells(run, (struct event){.kind = EVENT_DESTROYED, .of = end});
}

void actors_fail(struct run *run, unsigned end)
{
	struct ibv_qp_attr attr = {.qp_state = IBV_QPS_ERR};
	int err = ibv_modify_qp(run->ends[end].qp, &attr, IBV_QP_STATE);

	if (err)
		run_says(run, "end %u: to ERR: error %d", end, err);
	run_tells(run, (struct event){.kind = EVENT_FAILED, .of = end});
}
