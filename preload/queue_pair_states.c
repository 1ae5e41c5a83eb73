/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/* A queue pair's states: the application's ibv_modify_qp and ibv_query_qp, and a migration's. */
#include "preload/queue_pair.h"

#include <string.h>

#include "preload/agent_link.h"
#include "preload/completions.h"
#include "preload/control.h"
#include "preload/datagram_numbers.h"
#include "preload/drain.h"
#include "preload/lost_peers.h"
#include "preload/memory_windows.h"
#include "preload/places.h"
#include "preload/remote_place.h"

static const struct {
	int bit;
	size_t offset, size;
} fields[] = {
#define FIELD(bit, name)                                                                           \
	{                                                                                          \
		bit, offsetof(struct ibv_qp_attr, name), sizeof(((struct ibv_qp_attr *)0)->name)   \
	}
        FIELD(IBV_QP_STATE, qp_state),
        FIELD(IBV_QP_ACCESS_FLAGS, qp_access_flags),
        FIELD(IBV_QP_PKEY_INDEX, pkey_index),
        FIELD(IBV_QP_PORT, port_num),
        FIELD(IBV_QP_QKEY, qkey),
        FIELD(IBV_QP_AV, ah_attr),
        FIELD(IBV_QP_PATH_MTU, path_mtu),
        FIELD(IBV_QP_TIMEOUT, timeout),
        FIELD(IBV_QP_RETRY_CNT, retry_cnt),
        FIELD(IBV_QP_RNR_RETRY, rnr_retry),
        FIELD(IBV_QP_RQ_PSN, rq_psn),
        FIELD(IBV_QP_MAX_QP_RD_ATOMIC, max_rd_atomic),
        FIELD(IBV_QP_ALT_PATH, alt_ah_attr),
        FIELD(IBV_QP_MIN_RNR_TIMER, min_rnr_timer),
        FIELD(IBV_QP_SQ_PSN, sq_psn),
        FIELD(IBV_QP_MAX_DEST_RD_ATOMIC, max_dest_rd_atomic),
        FIELD(IBV_QP_PATH_MIG_STATE, path_mig_state),
        FIELD(IBV_QP_DEST_QPN, dest_qp_num),
        FIELD(IBV_QP_RATE_LIMIT, rate_limit),
#undef FIELD
};

static void record(struct queue_pair *qp, const struct ibv_qp_attr *attr, int mask)
{
	for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++) {
		if (mask & fields[i].bit)
			memcpy((char *)&qp->attr + fields[i].offset,
			        (const char *)attr + fields[i].offset, fields[i].size);
	}
	qp->attr_mask |= mask;
	if (mask & IBV_QP_PORT && attr->port_num >= 1 && attr->port_num <= PORTS_MAX)
		qp->has_headers =
		        qp->datagrams && port_is_ethernet(&qp->context->ports[attr->port_num - 1]);
	if (mask & IBV_QP_PATH_MTU)
		qp->sends.mtu = 128u << attr->path_mtu;
	if (mask & IBV_QP_RQ_PSN)
		qp->given_rq_psn = attr->rq_psn & PSN_MASK;
	if (mask & IBV_QP_SQ_PSN)
		send_log_number_from(
		        &qp->sends, qp->sq_psn_agreed ? qp->migration.fresh_psn : attr->sq_psn);
	if (mask & IBV_QP_STATE)
		qp->shown.qp_base.state = attr->qp_state;
}

/* As RESET is defined: no work, no completions, no past. */
static int modify_to_reset(struct queue_pair *qp, struct ibv_qp_attr *attr, int mask)
{
	int err;

	queue_pair_close(qp);
	queue_pair_harvest(qp);
	err = below.ibv_modify_qp(qp->real, attr, mask);
	if (!err) {
		send_log_clear(&qp->sends);
		receive_log_clear(&qp->receives);
		queue_pair_purge(qp);
		windows_forget_queue_pair(qp);
		qp->receives_done = 0;
		qp->application_error = qp->flushed = qp->sq_psn_agreed = qp->last_wqe_told = false;
		qp->receives_flushed = false;
		qp->given_up = 0;
		kept_error_is_over(qp);
		queue_pair_let_receives_go(qp);
		qp->remote = (struct remote){0};
		qp->gid = (union ibv_gid){0};
		qp->attr_mask = 0;
		qp->shown.qp_base.state = IBV_QPS_RESET;
	}
	queue_pair_open(qp);
	return err;
}

/* Not with its device: stopped, or not told of the error that it had. */
static bool has_kept_work(const struct queue_pair *qp)
{
	return qp->held || queue_pair_awaits(qp) || qp->sends.posted != qp->sends.head;
}

/* A stopped queue pair goes to ERR without its device: its work is flushed here. */
static int modify_to_error(struct queue_pair *qp, struct ibv_qp_attr *attr, int mask)
{
	int err = 0;

	control_enter(qp->context, NEEDS_NOTHING);
	queue_pair_close(qp);
	if (qp->real)
		err = below.ibv_modify_qp(qp->real, attr, mask);
	if (qp->held)
		err = 0;
	if (!err && has_kept_work(qp)) {
		queue_pair_harvest(qp);
		lost_peer_is_left(qp);
		queue_pair_flush(qp, IBV_WC_WR_FLUSH_ERR);
	}
	if (!err) {
		qp->application_error = true;
		qp->shown.qp_base.state = IBV_QPS_ERR;
	}
	queue_pair_open(qp);
	control_leave();
	return err;
}

/* A sender of XRC names shared queues there, by numbers that are not of the connection. */
static bool needs_datagram_numbers(const struct queue_pair *qp)
{
	return qp->init.qp_type == IBV_QPT_XRC_SEND;
}

/* Of zeros: it is known by a LID. */
static union ibv_gid source_of(const struct queue_pair *qp)
{
	const struct ibv_ah_attr *address = &qp->attr.ah_attr;
	unsigned port = qp->attr.port_num;
	struct ibv_gid_entry entry = {0};

	if (port >= 1 && port <= PORTS_MAX && port_is_ethernet(&qp->context->ports[port - 1]))
		port_tables_known_gid(qp->context, port, address->grh.sgid_index, &entry);
	return entry.gid;
}

static int modify_connection(
        struct queue_pair *qp, struct ibv_qp_attr *attr, int mask, const struct remote *remote)
{
	struct ibv_qp_attr now = *attr;
	int err;

	if (remote) {
		now.dest_qp_num = remote->real_qpn;
		remote_address(remote, &now.ah_attr);
	}
	if (qp->sq_psn_agreed && mask & IBV_QP_SQ_PSN)
		now.sq_psn = qp->migration.fresh_psn;
	err = -port_tables_attr_to_real(qp, &now, mask);
	if (err)
		return err;
	gate_close(&qp->send_gate);
	err = below.ibv_modify_qp(qp->real, &now, mask);
	if (!err) {
		record(qp, attr, mask);
		if (mask & IBV_QP_AV)
			qp->gid = source_of(qp);
		if (remote)
			qp->remote = *remote;
		if (remote && needs_datagram_numbers(qp))
			qp->srq_numbers = datagram_numbers_of(remote->lid, &remote->gid);
		if (mask & IBV_QP_SQ_PSN)
			qp->sq_psn_agreed = false;
	}
	gate_open(&qp->send_gate);
	return err;
}

static void find_out(const struct queue_pair *qp, struct remote *remote)
{
	struct remote anybody = *remote;

	agent_link_register(remote);
	anybody.qpn = 0;
	if (needs_datagram_numbers(qp))
		agent_link_register_datagrams(&anybody);
}

void queue_pair_forget_remote(const struct queue_pair *qp, const struct remote *remote)
{
	struct remote anybody = *remote;

	agent_link_forget(remote);
	anybody.qpn = 0;
	if (remote->qpn && needs_datagram_numbers(qp))
		agent_link_forget(&anybody);
}

/* Before anything reaches it the root is to know the VM by the GID that it is reached by. */
static int be_known(const struct queue_pair *qp)
{
	struct context *context = qp->context;
	int err;

	if (!context_has_ethernet(context))
		return 0;
	err = control_enter_qp(qp, NEEDS_CONNECTION);
	if (err)
		return err;
	context_learn_gids(context);
	context_announce_gids(context);
	control_leave();
	return agent_link_await_announced(context->number);
}

/*
 * Whoever moves the other end must know of this connection before it exists. A migration that has
 * begun since did not see it, and what was learned of the other end may be of the past: once more.
 * Behind a PREPARE the agent answers only when it is over.
 */
static int enter_to_connect(
        struct queue_pair *qp, const struct ibv_qp_attr *attr, struct remote *remote)
{
	for (;;) {
		unsigned migrations = control_migrations();
		int err;

		*remote = remote_at(qp->context, &attr->ah_attr, attr->dest_qp_num);
		err = be_known(qp);
		if (err)
			return err;
		find_out(qp, remote);
		err = remote->unreachable ? remote->unreachable
		                          : control_enter_qp(qp, NEEDS_CONNECTION);
		if (err || migrations == control_migrations())
			return err;
		control_leave();
		queue_pair_forget_remote(qp, remote);
	}
}

static int enter_to_modify(const struct queue_pair *qp, const struct ibv_qp_attr *attr, int mask)
{
	int err = mask & IBV_QP_STATE && attr->qp_state == IBV_QPS_RTR ? be_known(qp) : 0;

	return err ? err : control_enter_qp(qp, NEEDS_CONNECTION);
}

WRAPPER int ibv_modify_qp(struct ibv_qp *shown, struct ibv_qp_attr *attr, int mask)
{
	struct queue_pair *qp = queue_pair_of(shown);
	struct remote remote;
	bool connects, resets;
	int err;

	if (!qp)
		return below.ibv_modify_qp(shown, attr, mask);
	if (mask & IBV_QP_STATE && attr->qp_state == IBV_QPS_ERR)
		return modify_to_error(qp, attr, mask);
	resets = mask & IBV_QP_STATE && attr->qp_state == IBV_QPS_RESET;
	connects = !resets && mask & IBV_QP_DEST_QPN && mask & IBV_QP_AV;
	err = connects ? enter_to_connect(qp, attr, &remote) : enter_to_modify(qp, attr, mask);
	if (!err) {
		if (resets) {
			remote = qp->remote;
			err = modify_to_reset(qp, attr, mask);
		} else
			err = modify_connection(qp, attr, mask, connects ? &remote : NULL);
		control_leave();
	}
	/* There is no connection, or none any more. */
	if ((connects && err) || (resets && !err))
		queue_pair_forget_remote(qp, &remote);
	return err;
}

/* ---- asking ---- */

/* Numbers and states as the application set them; without a device, all of it. */
static int query(struct queue_pair *qp, struct ibv_qp_attr *attr, int mask)
{
	struct ibv_qp_init_attr init;
	int err = 0;

	*attr = qp->attr;
	if (qp->real)
		err = below.ibv_query_qp(qp->real, attr, mask, &init);
	if (err)
		return err;
	attr->cap = qp->init.cap;
	attr->qp_access_flags = qp->attr.qp_access_flags;
	attr->dest_qp_num = qp->remote.qpn;
	if (qp->attr_mask & IBV_QP_PKEY_INDEX)
		attr->pkey_index = qp->attr.pkey_index;
	if (qp->attr_mask & IBV_QP_AV)
		attr->ah_attr = qp->attr.ah_attr;
	if (qp->held || !qp->real)
		attr->qp_state = qp->shown.qp_base.state;
	attr->cur_qp_state = attr->qp_state;
	return 0;
}

WRAPPER int ibv_query_qp(
        struct ibv_qp *shown, struct ibv_qp_attr *attr, int mask, struct ibv_qp_init_attr *init)
{
	struct queue_pair *qp = queue_pair_of(shown);
	int err;

	if (!qp)
		return below.ibv_query_qp(shown, attr, mask, init);
	control_enter(qp->context, NEEDS_NOTHING);
	/* A thread that posts to a stopped queue pair reads its state. */
	gate_close(&qp->send_gate);
	err = query(qp, attr, mask);
	if (!err) {
		*init = qp->init;
		shown->state = attr->qp_state;
	}
	gate_open(&qp->send_gate);
	control_leave();
	return err;
}

/* ---- what only the device can do ---- */

#define PASSES_TO_DEVICE(name, params, ...)                                                        \
	WRAPPER int name params                                                                    \
	{                                                                                          \
		struct queue_pair *mine = queue_pair_of(qp);                                       \
		int err;                                                                           \
                                                                                                   \
		if (!mine)                                                                         \
			return below.name(qp, __VA_ARGS__);                                        \
		err = control_enter_qp(mine, NEEDS_CONNECTION);                                    \
		if (err)                                                                           \
			return err;                                                                \
		err = below.name(mine->real, __VA_ARGS__);                                         \
		if (!err)                                                                          \
			noted_##name(mine);                                                        \
		control_leave();                                                                   \
		return err;                                                                        \
	}

static void noted_ibv_set_ece(struct queue_pair *qp)
{
	qp->ece_set = true;
}

static void noted_ibv_query_ece(struct queue_pair *qp)
{
}

PASSES_TO_DEVICE(ibv_query_ece, (struct ibv_qp * qp, struct ibv_ece *ece), ece)
PASSES_TO_DEVICE(ibv_set_ece, (struct ibv_qp * qp, struct ibv_ece *ece), ece)

/* Another device may order its writes otherwise: promise nothing. */
WRAPPER int ibv_query_qp_data_in_order(struct ibv_qp *qp, enum ibv_wr_opcode op, uint32_t flags)
{
	return queue_pair_of(qp) ? 0 : below.ibv_query_qp_data_in_order(qp, op, flags);
}

static int modify_real(struct queue_pair *qp, struct ibv_qp_attr *attr, int mask)
{
	int err = port_tables_attr_to_real(qp, attr, mask);

	return err ? err : -below.ibv_modify_qp(qp->real, attr, mask);
}

int queue_pair_to_state(struct queue_pair *qp, enum ibv_qp_state state)
{
	struct ibv_qp_attr attr = {.qp_state = state};

	return modify_real(qp, &attr, IBV_QP_STATE);
}

int queue_pair_to_init(struct queue_pair *qp)
{
	struct ibv_qp_attr attr = qp->attr;

	attr.qp_state = IBV_QPS_INIT;
	return modify_real(qp, &attr,
	        IBV_QP_STATE | IBV_QP_PKEY_INDEX | IBV_QP_PORT |
	                (qp->datagrams ? IBV_QP_QKEY : IBV_QP_ACCESS_FLAGS));
}

/* What each transport names of its connection (IBA 11.2.5.2). */
static int connection_mask(const struct queue_pair *qp)
{
	if (qp->datagrams)
		return IBV_QP_STATE;
	return IBV_QP_STATE | IBV_QP_AV | IBV_QP_PATH_MTU | IBV_QP_DEST_QPN | IBV_QP_RQ_PSN |
	       (qp->reliable ? IBV_QP_MAX_DEST_RD_ATOMIC | IBV_QP_MIN_RNR_TIMER : 0);
}

int queue_pair_to_rtr(struct queue_pair *qp, uint32_t rq_psn)
{
	struct ibv_qp_attr attr = qp->attr;

	attr.qp_state = IBV_QPS_RTR;
	attr.rq_psn = qp->given_rq_psn = rq_psn;
	attr.dest_qp_num = qp->remote.real_qpn;
	remote_address(&qp->remote, &attr.ah_attr);
	return modify_real(qp, &attr, connection_mask(qp));
}

int queue_pair_to_rts(struct queue_pair *qp)
{
	struct ibv_qp_attr attr = qp->attr;

	attr.qp_state = IBV_QPS_RTS;
	attr.sq_psn = qp->migration.fresh_psn;
	return modify_real(qp, &attr,
	        IBV_QP_STATE | IBV_QP_SQ_PSN |
	                (qp->reliable ? IBV_QP_TIMEOUT | IBV_QP_RETRY_CNT | IBV_QP_RNR_RETRY |
	                                        IBV_QP_MAX_QP_RD_ATOMIC
	                              : 0));
}
