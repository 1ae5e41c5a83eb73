/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include "preload/connection_ends.h"

#include <errno.h>

#include "notifier/base/cleanup.h"
#include "notifier/base/log.h"
#include "preload/agent_link.h"
#include "preload/connection_news.h"
#include "preload/control.h"

/* For as long as the process lives: the kernel ends what is there when it is closed. */
static struct rdma_event_channel *aside;

struct rdma_event_channel *connection_channel_aside(void)
{
	if (!aside)
		aside = rdmacm.rdma_create_event_channel();
	if (aside && !cm_knows_fd(aside->fd))
		cm_channel_add(aside);
	return aside;
}

static bool is_other_end(const struct cm_id *cm, const struct pair_names *names)
{
	return cm->is_cut && cm->has_names && cm->state == CM_CONNECTED &&
	       cm->names.local_lid == names->remote_lid &&
	       cm->names.local_qpn == names->remote_qpn &&
	       cm->names.remote_lid == names->local_lid && cm->names.remote_qpn == names->local_qpn;
}

static bool parted(const struct pair_names *names)
{
	struct cm_id *cm;

	TAILQ_FOREACH(cm, &cm_ids, link)
	{
		if (!is_other_end(cm, names))
			continue;
		connection_end(cm, 0, false);
		return true;
	}
	return false;
}

bool connection_parted(const struct pair_names *names)
{
	LOCK_GUARD(&cm_lock);
	return parted(names);
}

static void say(const struct cm_id *cm)
{
	if (!cm->has_names)
		return;
	log_debug("cm", "qp 0x%x at lid %u has parted from qp 0x%x at lid %u", cm->names.local_qpn,
	        cm->names.local_lid, cm->names.remote_qpn, cm->names.remote_lid);
	/* Both ends may be here. */
	if (!parted(&cm->names))
		agent_link_part(&cm->names);
}

void connection_end(struct cm_id *cm, int status, bool says)
{
	if (cm->state != CM_CONNECTED)
		return;
	cm->state = CM_ENDED;
	if (says)
		say(cm);
	connection_news_raise(cm->id, RDMA_CM_EVENT_DISCONNECTED, status);
	connection_news_raise(cm->id, RDMA_CM_EVENT_TIMEWAIT_EXIT, 0);
}

/* While its VM is stopped, or the connection is: what becomes of it is known behind that. @qp is
 * NULL where the program may have destroyed it. */
static void await_move(const struct rdma_cm_id *id, struct ibv_qp *shown)
{
	const struct queue_pair *qp = shown ? queue_pair_of(shown) : NULL;
	const struct context *context = id->verbs ? context_of(id->verbs) : NULL;

	if (qp && !control_enter_qp(qp, NEEDS_CONNECTION))
		control_leave();
	else if (!qp && context && !control_enter(context, NEEDS_CONNECTION))
		control_leave();
}

/* True: it was, and the program is told so. */
static bool end_here(const struct rdma_cm_id *id)
{
	struct cm_id *cm;

	LOCK_GUARD(&cm_lock);
	cm = cm_id_find(id);
	if (!cm || cm->state != CM_CONNECTED)
		return false;
	connection_end(cm, 0, true);
	return true;
}

/* As librdmacm does for an id whose calls wait. */
static int await_event(struct rdma_cm_id *id)
{
	if (id->event)
		rdma_ack_cm_event(id->event);
	id->event = NULL;
	return rdma_get_cm_event(id->channel, &id->event);
}

static int disconnect_cut(struct rdma_cm_id *id, bool is_sync)
{
	struct ibv_qp_attr attr = {.qp_state = IBV_QPS_ERR};
	int err = id->qp ? ibv_modify_qp(id->qp, &attr, IBV_QP_STATE) : 0;

	if (err) {
		errno = err;
		return -1;
	}
	return end_here(id) && is_sync ? await_event(id) : 0;
}

static int disconnect(struct rdma_cm_id *id, struct cm_id *cm)
{
	int err;

	cm_call_begin(id);
	err = rdmacm.rdma_disconnect(id);
	cm_call_end(cm);
	if (err && cm) {
		LOCK_GUARD(&cm_lock);
		cm->asked_to_end = false;
	}
	return err;
}

WRAPPER int rdma_disconnect(struct rdma_cm_id *id)
{
	bool is_cut = false, is_sync = false;
	struct cm_id *cm;

	await_move(id, id->qp);
	pthread_mutex_lock(&cm_lock);
	cm = cm_id_find(id);
	if (cm) {
		cm->asked_to_end = true;
		is_cut = cm->is_cut;
		is_sync = cm->is_sync;
	}
	pthread_mutex_unlock(&cm_lock);
	return is_cut ? disconnect_cut(id, is_sync) : disconnect(id, cm);
}

/* ---- ids that go ---- */

/* True: @id was known, and *@stand_in is to go with it. */
static void leave(struct rdma_cm_id *id, struct rdma_cm_id **stand_in)
{
	struct cm_id *cm;

	LOCK_GUARD(&cm_lock);
	cm = cm_id_find(id);
	if (!cm)
		return;
	while (cm->makes_stand_in)
		pthread_cond_wait(&cm_changed, &cm_lock);
	if (cm->is_cut && cm->state == CM_CONNECTED) {
		cm->state = CM_ENDED;
		say(cm);
	}
	connection_news_end(id);
	if (cm->is_cut)
		id->channel = cm->kernel_channel;
	*stand_in = cm->stand_in;
	cm_id_remove(cm);
}

static void id_goes(struct rdma_cm_id *id)
{
	struct rdma_cm_id *stand_in = NULL;

	await_move(id, NULL);
	leave(id, &stand_in);
	if (stand_in)
		rdmacm.rdma_destroy_id(stand_in);
}

WRAPPER int rdma_destroy_id(struct rdma_cm_id *id)
{
	id_goes(id);
	return rdmacm.rdma_destroy_id(id);
}

WRAPPER void rdma_destroy_ep(struct rdma_cm_id *id)
{
	id_goes(id);
	rdmacm.rdma_destroy_ep(id);
}

/* ---- ids that go to another channel ---- */

/* What its kernel says of it is over; what is told here goes to the new one. */
static bool migrate_cut(struct rdma_cm_id *id, struct rdma_event_channel *channel)
{
	struct cm_id *cm;

	LOCK_GUARD(&cm_lock);
	cm = cm_id_find(id);
	if (!cm || !cm->is_cut || !channel)
		return false;
	id->channel = channel;
	cm->is_sync = false;
	connection_news_move(id);
	return true;
}

WRAPPER int rdma_migrate_id(struct rdma_cm_id *id, struct rdma_event_channel *channel)
{
	struct cm_id *cm;
	int err;

	if (migrate_cut(id, channel))
		return 0;
	cm = cm_call_begin(id);
	err = rdmacm.rdma_migrate_id(id, channel);
	if (!err && cm) {
		LOCK_GUARD(&cm_lock);
		cm->is_sync = !channel;
	}
	cm_call_end(cm);
	return err;
}
