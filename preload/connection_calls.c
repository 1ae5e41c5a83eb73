/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/* What the program does with its ids on the way to a connection. */
#include <errno.h>

#include "notifier/base/cleanup.h"
#include "preload/connection_listeners.h"
#include "preload/connection_manager.h"
#include "preload/control.h"

/* What asks a device, or makes a connection, waits for a move of it: its kernel's id would be gone
 * in the middle. */
static void await_move(const struct rdma_cm_id *id)
{
	const struct context *context = id->verbs ? context_of(id->verbs) : NULL;

	if (!context)
		control_await_devices();
	else if (!control_enter(context, NEEDS_CONNECTION))
		control_leave();
}

static void note_state(struct cm_id *cm, enum cm_state state)
{
	if (!cm)
		return;
	LOCK_GUARD(&cm_lock);
	cm->state = state;
}

/* The state that a call leads to is there before its event is. */
static enum cm_state state_becomes(struct cm_id *cm, enum cm_state state)
{
	enum cm_state before;

	if (!cm)
		return state;
	LOCK_GUARD(&cm_lock);
	before = cm->state;
	cm->state = state;
	return before;
}

static void note_new(struct rdma_cm_id *id, bool is_sync, enum cm_state state)
{
	struct cm_id *cm;

	LOCK_GUARD(&cm_lock);
	cm = cm_id_add(id, is_sync);
	if (cm)
		cm->state = state;
}

WRAPPER int rdma_create_id(struct rdma_event_channel *channel, struct rdma_cm_id **id,
        void *context, enum rdma_port_space ps)
{
	int err;

	connection_depth++;
	err = rdmacm.rdma_create_id(channel, id, context, ps);
	connection_depth--;
	if (!err)
		note_new(*id, !channel, CM_IDLE);
	return err;
}

/* Resolved, or bound to listen. */
WRAPPER int rdma_create_ep(struct rdma_cm_id **id, struct rdma_addrinfo *res, struct ibv_pd *pd,
        struct ibv_qp_init_attr *attr)
{
	int err;

	control_await_devices();
	connection_depth++;
	err = rdmacm.rdma_create_ep(id, res, pd, attr);
	connection_depth--;
	if (!err)
		note_new(*id, true, (*id)->verbs ? CM_BOUND : CM_IDLE);
	return err;
}

WRAPPER int rdma_bind_addr(struct rdma_cm_id *id, struct sockaddr *addr)
{
	struct cm_id *cm;
	int err;

	await_move(id);
	cm = cm_call_begin(id);
	err = rdmacm.rdma_bind_addr(id, addr);
	if (!err && id->verbs)
		note_state(cm, CM_BOUND);
	cm_call_end(cm);
	return err;
}

/* @state: where it leads; where nothing comes of it it is what it was. */
#define LEADS_TO(state, id, call)                                                                  \
	({                                                                                         \
		struct cm_id *cm_;                                                                 \
		enum cm_state before_;                                                             \
		int err_;                                                                          \
                                                                                                   \
		await_move(id);                                                                    \
		cm_ = cm_call_begin(id);                                                           \
		before_ = state_becomes(cm_, state);                                               \
		err_ = rdmacm.call;                                                                \
		if (err_)                                                                          \
			note_state(cm_, before_);                                                  \
		cm_call_end(cm_);                                                                  \
		err_;                                                                              \
	})

WRAPPER int rdma_resolve_addr(
        struct rdma_cm_id *id, struct sockaddr *from, struct sockaddr *to, int timeout_ms)
{
	return LEADS_TO(CM_BOUND, id, rdma_resolve_addr(id, from, to, timeout_ms));
}

WRAPPER int rdma_resolve_route(struct rdma_cm_id *id, int timeout_ms)
{
	return LEADS_TO(CM_BOUND, id, rdma_resolve_route(id, timeout_ms));
}

static void note_queue_pair(const struct rdma_cm_id *id, const struct rdma_conn_param *param)
{
	struct cm_id *cm;

	LOCK_GUARD(&cm_lock);
	cm = cm_id_find(id);
	if (cm && id->qp)
		cm->qpn = id->qp->qp_num;
	else if (cm && param)
		cm->qpn = param->qp_num;
}

WRAPPER int rdma_connect(struct rdma_cm_id *id, struct rdma_conn_param *param)
{
	note_queue_pair(id, param);
	return LEADS_TO(CM_CONNECTING, id, rdma_connect(id, param));
}

/* A datagram id has no connection that would come to stand later. */
WRAPPER int rdma_accept(struct rdma_cm_id *id, struct rdma_conn_param *param)
{
	note_queue_pair(id, param);
	return LEADS_TO(id->qp_type == IBV_QPT_UD ? CM_CONNECTED : CM_CONNECTING, id,
	        rdma_accept(id, param));
}

WRAPPER int rdma_establish(struct rdma_cm_id *id)
{
	return LEADS_TO(CM_CONNECTED, id, rdma_establish(id));
}

WRAPPER int rdma_reject(struct rdma_cm_id *id, const void *data, uint8_t length)
{
	return LEADS_TO(CM_ENDED, id, rdma_reject(id, data, length));
}

WRAPPER int rdma_reject_ece(struct rdma_cm_id *id, const void *data, uint8_t length)
{
	return LEADS_TO(CM_ENDED, id, rdma_reject_ece(id, data, length));
}

static void note_backlog(const struct rdma_cm_id *id, int backlog)
{
	struct cm_id *cm;

	LOCK_GUARD(&cm_lock);
	cm = cm_id_find(id);
	if (cm)
		cm->backlog = backlog;
}

WRAPPER int rdma_listen(struct rdma_cm_id *id, int backlog)
{
	note_backlog(id, backlog);
	if (connection_listener_is_cut(id))
		return 0;
	return LEADS_TO(CM_LISTENING, id, rdma_listen(id, backlog));
}

WRAPPER int rdma_notify(struct rdma_cm_id *id, enum ibv_event_type event)
{
	struct cm_id *cm = cm_call_begin(id);
	/* The kernel has nothing to bring about any more. */
	int err = cm && cm->is_cut ? 0 : rdmacm.rdma_notify(id, event);

	cm_call_end(cm);
	return err;
}

/* ---- groups ---- */

static void note_group(const struct rdma_cm_id *id, int more)
{
	struct cm_id *cm;

	LOCK_GUARD(&cm_lock);
	cm = cm_id_find(id);
	if (cm)
		cm->groups += (unsigned)more;
}

#define JOINS(id, call)                                                                            \
	({                                                                                         \
		struct cm_id *cm_;                                                                 \
		int err_;                                                                          \
                                                                                                   \
		await_move(id);                                                                    \
		note_group(id, 1);                                                                 \
		cm_ = cm_call_begin(id);                                                           \
		err_ = rdmacm.call;                                                                \
		cm_call_end(cm_);                                                                  \
		if (err_)                                                                          \
			note_group(id, -1);                                                        \
		err_;                                                                              \
	})

WRAPPER int rdma_join_multicast(struct rdma_cm_id *id, struct sockaddr *addr, void *context)
{
	return JOINS(id, rdma_join_multicast(id, addr, context));
}

WRAPPER int rdma_join_multicast_ex(
        struct rdma_cm_id *id, struct rdma_cm_join_mc_attr_ex *attr, void *context)
{
	return JOINS(id, rdma_join_multicast_ex(id, attr, context));
}

WRAPPER int rdma_leave_multicast(struct rdma_cm_id *id, struct sockaddr *addr)
{
	struct cm_id *cm = cm_call_begin(id);
	int err = rdmacm.rdma_leave_multicast(id, addr);

	cm_call_end(cm);
	if (!err)
		note_group(id, -1);
	return err;
}
