/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include "preload/queue_pair.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "notifier/base/cleanup.h"
#include "preload/agent_link.h"
#include "preload/aside.h"
#include "preload/async_events.h"
#include "preload/completion_queue.h"
#include "preload/completions.h"
#include "preload/control.h"
#include "preload/datagrams.h"
#include "preload/device.h"
#include "preload/memory_windows.h"
#include "preload/multicast.h"
#include "preload/places.h"
#include "preload/reserved_numbers.h"
#include "preload/users.h"
#include "preload/xrc.h"

void queue_pair_close(struct queue_pair *qp)
{
	struct gate *gates[] = {&qp->send_gate, &qp->receive_gate, NULL, NULL};

	gates_close(gates, 2 + queue_pair_completion_gates(qp, gates + 2));
	queue_pair_close_xrc(qp);
}

void queue_pair_open(struct queue_pair *qp)
{
	queue_pair_open_completions(qp);
	gate_open(&qp->receive_gate);
	gate_open(&qp->send_gate);
}

void queue_pair_close_sends(struct queue_pair *qp)
{
	struct gate *gates[] = {&qp->send_gate, NULL, NULL};

	gates_close(gates, 1 + queue_pair_completion_gates(qp, gates + 1));
	queue_pair_close_xrc(qp);
}

void queue_pair_open_sends(struct queue_pair *qp)
{
	queue_pair_open_completions(qp);
	gate_open(&qp->send_gate);
}

uint32_t queue_pair_lid(const struct queue_pair *qp)
{
	struct place place;

	return queue_pair_place(qp, 0, &place) ? place.lid : 0;
}

/* ---- making ---- */

/* Peers know moved queue pairs of this VM by numbers that the device may now give to others. */
static bool number_is_virtual(uint32_t qpn)
{
	struct context *context;
	bool found = number_is_reserved(qpn);

	pthread_mutex_lock(&contexts_lock);
	TAILQ_FOREACH(context, &contexts, link)
	found |= number_table_find(&context->qpns, qpn) != NULL;
	pthread_mutex_unlock(&contexts_lock);
	return found;
}

static struct ibv_qp *create_real(struct queue_pair *qp, struct ibv_qp_cap *cap)
{
	struct ibv_qp_init_attr init = qp->init;
	struct ibv_qp *made;

	if (qp->is_target) {
		*cap = init.cap;
		return xrc_create_real_target(qp);
	}
	init.qp_context = qp;
	init.send_cq = qp->send_cq->real;
	init.recv_cq = init.qp_type == IBV_QPT_XRC_SEND ? NULL : qp->recv_cq->real;
	init.srq = qp->srq ? qp->srq->real : NULL;
	made = below.ibv_create_qp(protection_domain_of(qp->shown.qp_base.pd)->real, &init);
	*cap = init.cap;
	return made;
}

static int destroy_aside(void *qp)
{
	return below.ibv_destroy_qp(qp);
}

static struct ibv_qp *create_unlike_virtual(struct queue_pair *qp, struct ibv_qp_cap *cap)
{
	struct aside aside = {.destroy = destroy_aside};
	struct ibv_qp *made;

	do
		made = create_real(qp, cap);
	while (made && number_is_virtual(made->qp_num) && aside_keep(&aside, made));
	return aside_end(&aside, made);
}

static int logs_init(struct queue_pair *qp)
{
	const struct ibv_qp_cap *cap = &qp->init.cap;

	if (send_log_init(&qp->sends, cap))
		return -ENOMEM;
	qp->sends.flags_always = qp->init.sq_sig_all ? IBV_SEND_SIGNALED : 0;
	/* With a completion channel a completion more would be a wake-up more; atomics are rare. */
	qp->sends.signal_reads = !qp->send_cq->channel;
	qp->sends.datagrams = qp->datagrams;
	qp->sends.signal_atomics = true;
	if (receive_log_init(&qp->receives, qp->srq ? 0 : cap->max_recv_wr, cap->max_recv_sge))
		return -ENOMEM;
	qp->scratch_sges = calloc(POST_CHUNK * (cap->max_send_sge + 1u), sizeof(struct ibv_sge));
	qp->scratch_receive_sges =
	        calloc(POST_CHUNK * (cap->max_recv_sge + 1u), sizeof(struct ibv_sge));
	return qp->scratch_sges && qp->scratch_receive_sges ? 0 : -ENOMEM;
}

static void queue_pair_free(struct queue_pair *qp)
{
	multicast_forget(qp);
	datagram_counts_fini(&qp->sent);
	datagram_counts_fini(&qp->received);
	send_log_fini(&qp->sends);
	receive_log_fini(&qp->receives);
	free(qp->scratch_sges);
	free(qp->scratch_receive_sges);
	gate_fini(&qp->build_gate);
	gate_fini(&qp->send_gate);
	gate_fini(&qp->receive_gate);
	pthread_mutex_destroy(&qp->shown.qp_base.mutex);
	pthread_cond_destroy(&qp->shown.qp_base.cond);
	free(qp);
}

static void queue_pair_show(struct queue_pair *qp)
{
	struct ibv_qp *shown = &qp->shown.qp_base;

	shown->context = &qp->context->shown.context;
	shown->qp_context = qp->init.qp_context;
	shown->send_cq = qp->init.send_cq;
	shown->recv_cq = qp->init.recv_cq;
	shown->srq = qp->init.srq;
	shown->handle = qp->real->handle;
	shown->qp_num = qp->real->qp_num;
	shown->state = IBV_QPS_RESET;
	shown->qp_type = qp->init.qp_type;
}

static int enlist(struct queue_pair *qp)
{
	int err;

	queue_pair_close_completions(qp);
	err = queue_pair_enlist(qp);
	if (err)
		queue_pair_delist(qp, qp->real->qp_num);
	queue_pair_open_completions(qp);
	return err;
}

static int queue_pair_build(struct queue_pair *qp)
{
	struct ibv_qp_cap cap;

	qp->real = create_unlike_virtual(qp, &cap);
	if (!qp->real)
		return below_error();
	qp->init.cap = cap;
	queue_pair_show(qp);
	if (logs_init(qp) || enlist(qp)) {
		below.ibv_destroy_qp(qp->real);
		return -ENOMEM;
	}
	completion_queue_make_room(qp->send_cq, qp->init.cap.max_send_wr);
	return 0;
}

/* Its number may be another's already: the device gave it away when it was destroyed there. */
static void number_forget(const struct queue_pair *qp)
{
	struct number_table *numbers = &qp->context->numbers;
	const struct number_entry *entry = number_table_find(numbers, queue_pair_number(qp));

	if (entry && entry->value == (uintptr_t)qp)
		number_table_remove(numbers, queue_pair_number(qp));
}

static struct used used_by(const struct queue_pair *qp)
{
	return (struct used){qp->send_cq, qp->recv_cq, qp->xrc_domain, qp->srq};
}

static void join(struct queue_pair *qp)
{
	LOCK_GUARD(&qp->context->lists_lock);
	number_table_set(&qp->context->numbers, queue_pair_number(qp), (uintptr_t)qp);
	users_add(used_by(qp), 1);
}

static void leave(struct queue_pair *qp)
{
	LOCK_GUARD(&qp->context->lists_lock);
	number_forget(qp);
	users_add(used_by(qp), -1);
	qp->send_cq->unasked -= qp->init.cap.max_send_wr;
}

static bool is_xrc(enum ibv_qp_type type)
{
	return type == IBV_QPT_XRC_SEND || type == IBV_QPT_XRC_RECV;
}

static bool type_is_supported(enum ibv_qp_type type)
{
	return type == IBV_QPT_RC || type == IBV_QPT_UC || type == IBV_QPT_UD || is_xrc(type);
}

static bool is_complete(const struct ibv_qp_init_attr *attr, const struct xrc_domain *domain)
{
	if (attr->qp_type == IBV_QPT_XRC_RECV)
		return domain && !attr->srq;
	return completion_queue_of(attr->send_cq) &&
	       (attr->qp_type == IBV_QPT_XRC_SEND ? !attr->srq
	                                          : completion_queue_of(attr->recv_cq) != NULL);
}

/* Of XRC each half has what the other lacks. */
static void find_queues(struct queue_pair *qp)
{
	struct ibv_qp_init_attr *init = &qp->init;

	if (qp->is_target)
		init->cap = (struct ibv_qp_cap){0};
	if (is_xrc(init->qp_type))
		init->cap.max_recv_wr = init->cap.max_recv_sge = 0;
	qp->send_cq = qp->is_target ? &qp->xrc_domain->nowhere : completion_queue_of(init->send_cq);
	qp->recv_cq = is_xrc(init->qp_type) ? qp->send_cq : completion_queue_of(init->recv_cq);
	qp->srq = shared_receive_queue_of(init->srq);
}

static struct queue_pair *queue_pair_alloc(struct context *context, struct protection_domain *pd,
        struct xrc_domain *domain, const struct ibv_qp_init_attr *attr)
{
	struct queue_pair *qp = calloc(1, sizeof(*qp));

	if (!qp)
		return NULL;
	qp->init = *attr;
	qp->context = context;
	qp->shown.qp_base.pd = pd ? &pd->shown : NULL;
	qp->xrc_domain = domain;
	qp->is_target = domain != NULL;
	find_queues(qp);
	qp->reliable = attr->qp_type == IBV_QPT_RC || is_xrc(attr->qp_type);
	qp->datagrams = qp->looks_at_receives = attr->qp_type == IBV_QPT_UD;
	TAILQ_INIT(&qp->groups);
	gate_init(&qp->build_gate);
	gate_init(&qp->send_gate);
	gate_init(&qp->receive_gate);
	pthread_mutex_init(&qp->shown.qp_base.mutex, NULL);
	pthread_cond_init(&qp->shown.qp_base.cond, NULL);
	return qp;
}

/* Under Shared Port, and without LIDs, it shows another place than it is at. */
static bool is_known_elsewhere(const struct context *context)
{
	struct place place;

	for (unsigned i = 0; context_place(context, i, &place); i++) {
		if (place.real_lid && place.real_lid != place.lid)
			return true;
	}
	return false;
}

/* -errno */
static int queue_pair_make(struct queue_pair *qp)
{
	int err = -control_enter(qp->context, NEEDS_DEVICE);

	if (err)
		return err;
	err = queue_pair_build(qp);
	if (!err) {
		join(qp);
		OBJECT_ADD(qp->context, qps, qp);
		windows_look_at(qp);
		if (qp->is_target)
			xrc_add_target(qp);
		qp->announced =
		        qp->context->moved && (!qp->datagrams || is_known_elsewhere(qp->context));
	}
	control_leave();
	return err;
}

struct queue_pair *queue_pair_create(struct context *context, struct protection_domain *pd,
        struct xrc_domain *domain, struct ibv_qp_init_attr *attr)
{
	struct queue_pair *qp;
	int err;

	if (!type_is_supported(attr->qp_type) || !is_complete(attr, domain)) {
		errno = type_is_supported(attr->qp_type) ? EINVAL : EOPNOTSUPP;
		return NULL;
	}
	qp = queue_pair_alloc(context, pd, domain, attr);
	if (!qp)
		return NULL;
	err = queue_pair_make(qp);
	if (err) {
		queue_pair_free(qp);
		errno = -err;
		return NULL;
	}
	/* Its peers find keys of before the move only if they are told whose they are. */
	if (qp->announced &&
	        context_announce(context, queue_pair_number(qp), agent_link_announce)) {
		ibv_destroy_qp(&qp->shown.qp_base);
		errno = ENOMEM;
		return NULL;
	}
	attr->cap = qp->init.cap;
	return qp;
}

WRAPPER struct ibv_qp *ibv_create_qp(struct ibv_pd *shown_pd, struct ibv_qp_init_attr *attr)
{
	struct protection_domain *pd = protection_domain_of(shown_pd);
	struct queue_pair *qp;

	if (!pd)
		return below.ibv_create_qp(shown_pd, attr);
	qp = queue_pair_create(context_of(shown_pd->context), pd, NULL, attr);
	return qp ? &qp->shown.qp_base : NULL;
}

WRAPPER struct ibv_qp_ex *ibv_qp_to_qp_ex(struct ibv_qp *shown)
{
	struct queue_pair *qp = queue_pair_of(shown);

	if (!qp)
		return below.ibv_qp_to_qp_ex(shown);
	return qp->has_ex ? &qp->shown : NULL;
}

void queue_pair_purge(struct queue_pair *qp)
{
	if (qp->datagrams)
		datagrams_purge(qp);
	completion_ring_purge(&qp->send_cq->ring, queue_pair_number(qp));
	completion_ring_purge(&qp->recv_cq->ring, queue_pair_number(qp));
	if (qp->made_up_due)
		qp->send_cq->made_up_due--;
	qp->made_up_due = false;
}

/* Once it is given back, whoever is given its number next may announce it. */
static int destroy_real(struct queue_pair *qp)
{
	uint32_t number = qp->real->qp_num;
	int err;

	queue_pair_harvest(qp);
	if (qp->announced)
		context_withdraw(qp->context, queue_pair_number(qp));
	err = below.ibv_destroy_qp(qp->real);
	if (!err)
		queue_pair_delist(qp, number);
	else if (qp->announced)
		context_announce(qp->context, queue_pair_number(qp), agent_link_announce_unasked);
	return err;
}

WRAPPER int ibv_destroy_qp(struct ibv_qp *shown)
{
	struct queue_pair *qp = queue_pair_of(shown);
	int err = 0;

	if (!qp)
		return below.ibv_destroy_qp(shown);
	control_enter(qp->context, NEEDS_NOTHING);
	queue_pair_close(qp);
	if (qp->real)
		err = destroy_real(qp);
	else if (!TAILQ_EMPTY(&qp->groups) && qp->context->phase != PHASE_LOST)
		err = EBUSY;
	else if (qp->announced)
		context_withdraw(qp->context, queue_pair_number(qp));
	if (!err) {
		queue_pair_purge(qp);
		windows_forget_queue_pair(qp);
	}
	queue_pair_open(qp);
	if (!err) {
		OBJECT_REMOVE(qp->context, qps, qp);
		if (qp->is_target)
			xrc_remove_target(qp);
		leave(qp);
	}
	control_leave();
	if (err)
		return err;
	queue_pair_forget_remote(qp, &qp->remote);
	async_events_await_qp(qp);
	queue_pair_free(qp);
	return 0;
}

/* ---- again, for a migration ---- */

int queue_pair_make_real(struct queue_pair *qp)
{
	struct context *context = qp->context;
	const struct ibv_qp_cap *had = &qp->init.cap;
	struct ibv_qp_cap cap;

	qp->real = create_real(qp, &cap);
	if (!qp->real)
		return below_error();
	if (cap.max_send_wr < had->max_send_wr || cap.max_recv_wr < had->max_recv_wr ||
	        cap.max_inline_data < had->max_inline_data)
		return -ENOSPC;
	if (qp->real->qp_num == queue_pair_number(qp))
		number_table_remove(&context->qpns, queue_pair_number(qp));
	else if (number_table_set(&context->qpns, queue_pair_number(qp), qp->real->qp_num))
		return -ENOMEM;
	return queue_pair_enlist(qp);
}
