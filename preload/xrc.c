/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include "preload/xrc.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "notifier/wire/rows.h"
#include "preload/aside.h"
#include "preload/completions.h"
#include "preload/control.h"
#include "preload/datagrams.h"
#include "preload/places.h"
#include "preload/reserved_numbers.h"
#include "preload/shared_receive_queue.h"

/* ---- domains ---- */

static struct ibv_xrcd *open_real(const struct xrc_domain *domain, int oflags)
{
	struct ibv_xrcd_init_attr attr = {
	        .comp_mask = IBV_XRCD_INIT_ATTR_FD | IBV_XRCD_INIT_ATTR_OFLAGS,
	        .fd = domain->fd,
	        .oflags = oflags,
	};

	return ibv_open_xrcd(context_of(domain->shown.context)->real, &attr);
}

static struct xrc_domain *domain_create(struct context *context, int fd)
{
	struct xrc_domain *domain = calloc(1, sizeof(*domain));

	if (!domain)
		return NULL;
	domain->fd = fd < 0 ? -1 : fcntl(fd, F_DUPFD_CLOEXEC, 0);
	if (fd >= 0 && domain->fd < 0) {
		free(domain);
		return NULL;
	}
	domain->shown.context = &context->shown.context;
	domain->nowhere.context = context;
	gate_init(&domain->nowhere.gate);
	pthread_mutex_init(&domain->lock, NULL);
	TAILQ_INIT(&domain->srqs);
	TAILQ_INIT(&domain->targets);
	return domain;
}

static void domain_free(struct xrc_domain *domain)
{
	if (domain->fd >= 0)
		close(domain->fd);
	gate_fini(&domain->nowhere.gate);
	completion_ring_fini(&domain->nowhere.ring);
	number_table_clear(&domain->nowhere.qps);
	free(domain->gates);
	pthread_mutex_destroy(&domain->lock);
	free(domain);
}

struct ibv_xrcd *xrc_open_domain(struct ibv_context *shown, struct ibv_xrcd_init_attr *attr)
{
	const uint32_t needed = IBV_XRCD_INIT_ATTR_FD | IBV_XRCD_INIT_ATTR_OFLAGS;
	struct context *context = context_of(shown);
	struct xrc_domain *domain;
	int err;

	if (attr->comp_mask != needed) {
		errno = EINVAL;
		return NULL;
	}
	domain = domain_create(context, attr->fd);
	if (!domain)
		return NULL;
	err = control_enter(context, NEEDS_DEVICE);
	if (!err) {
		domain->real = open_real(domain, attr->oflags);
		err = domain->real ? 0 : -below_error();
		if (!err)
			OBJECT_ADD(context, xrc_domains, domain);
		control_leave();
	}
	if (!err)
		return &domain->shown;
	domain_free(domain);
	errno = err;
	return NULL;
}

int xrc_close_domain(struct ibv_xrcd *shown)
{
	struct xrc_domain *domain = xrc_domain_of(shown);
	struct context *context = context_of(shown->context);
	int err;

	control_enter(context, NEEDS_NOTHING);
	err = domain->users ? EBUSY : 0;
	if (!err && domain->real)
		err = ibv_close_xrcd(domain->real);
	if (!err)
		OBJECT_REMOVE(context, xrc_domains, domain);
	control_leave();
	if (!err)
		domain_free(domain);
	return err;
}

int xrc_domain_tear_down(struct xrc_domain *domain)
{
	int err = domain->real ? -ibv_close_xrcd(domain->real) : 0;

	err = unless_gone(domain->nowhere.context, err);
	if (!err)
		domain->real = NULL;
	return err;
}

/* Of those who share it whoever comes first makes it. */
int xrc_domain_rebuild(struct xrc_domain *domain)
{
	domain->real = open_real(domain, O_CREAT);
	return domain->real ? 0 : below_error();
}

void xrc_domain_inherit(struct xrc_domain *domain)
{
	gate_init(&domain->nowhere.gate);
	pthread_mutex_init(&domain->lock, NULL);
}

/* ---- where a target's receives complete ---- */

/* The next one by address; NULL: none. The order in which gates are taken. */
static struct completion_queue *queue_after(
        const struct xrc_domain *domain, const struct completion_queue *last)
{
	struct completion_queue *next = NULL;
	struct shared_receive_queue *srq;

	TAILQ_FOREACH(srq, &domain->srqs, domain_link)
	{
		if (srq->cq > last && (!next || srq->cq < next))
			next = srq->cq;
	}
	return next;
}

#define EACH_QUEUE(domain, cq)                                                                     \
	for (struct completion_queue *cq = queue_after(domain, NULL); cq;                          \
	        cq = queue_after(domain, cq))

void xrc_close_completions(struct xrc_domain *domain)
{
	size_t count = 0;

	pthread_mutex_lock(&domain->lock);
	EACH_QUEUE(domain, cq)
	domain->gates[count++] = &cq->gate;
	gates_close(domain->gates, count);
	domain->closed = count;
}

void xrc_open_completions(struct xrc_domain *domain)
{
	gates_open(domain->gates, domain->closed);
	pthread_mutex_unlock(&domain->lock);
}

void xrc_harvest(struct xrc_domain *domain)
{
	EACH_QUEUE(domain, cq)
	completion_queue_harvest(cq);
}

void xrc_want_completions(struct xrc_domain *domain)
{
	EACH_QUEUE(domain, cq)
	cq->wanted = true;
}

int xrc_enlist(struct queue_pair *target)
{
	int err = 0;

	EACH_QUEUE(target->xrc_domain, cq)
	{
		if (!err)
			err = number_table_set(&cq->qps, target->real->qp_num, (uintptr_t)target);
	}
	return err;
}

/* The device has given it back, and what is there of it by now is all: it is not a stranger's. */
void xrc_delist(struct queue_pair *target, uint32_t real_number)
{
	EACH_QUEUE(target->xrc_domain, cq)
	{
		completion_queue_harvest(cq);
		number_table_remove(&cq->qps, real_number);
	}
}

void xrc_add_target(struct queue_pair *qp)
{
	pthread_mutex_lock(&qp->xrc_domain->lock);
	TAILQ_INSERT_TAIL(&qp->xrc_domain->targets, qp, domain_link);
	pthread_mutex_unlock(&qp->xrc_domain->lock);
}

void xrc_remove_target(struct queue_pair *qp)
{
	pthread_mutex_lock(&qp->xrc_domain->lock);
	TAILQ_REMOVE(&qp->xrc_domain->targets, qp, domain_link);
	pthread_mutex_unlock(&qp->xrc_domain->lock);
}

struct ibv_qp *xrc_create_real_target(const struct queue_pair *qp)
{
	struct ibv_qp_init_attr_ex init = {
	        .qp_context = (void *)(uintptr_t)qp,
	        .qp_type = IBV_QPT_XRC_RECV,
	        .comp_mask = IBV_QP_INIT_ATTR_XRCD,
	        .xrcd = qp->xrc_domain->real,
	};

	return ibv_create_qp_ex(qp->context->real, &init);
}

/* ---- shared queues ---- */

/*
 * Several complete in one queue, and their buffers carry no number of theirs: so the incarnation
 * in the tag is one that no other has, nor any queue pair, whose incarnations are counted from 1.
 */
static uint32_t incarnation_draw(void)
{
	static uint32_t last;

	return 1u << 30 | (__atomic_add_fetch(&last, 1, __ATOMIC_RELAXED) & ((1u << 30) - 1));
}

int xrc_restart_srq(struct shared_receive_queue *srq)
{
	uint32_t fresh = incarnation_draw();
	int err = number_table_set(&srq->cq->xrc_srqs, fresh, (uintptr_t)srq);

	if (err)
		return err;
	number_table_remove(&srq->cq->xrc_srqs, srq->log.incarnation);
	srq->log.incarnation = fresh;
	return 0;
}

static int meet_targets(struct shared_receive_queue *srq)
{
	struct completion_queue *cq = srq->cq;
	struct queue_pair *target;
	int err = 0;

	TAILQ_FOREACH(target, &srq->domain->targets, domain_link)
	{
		if (!err && target->real)
			err = number_table_set(&cq->qps, target->real->qp_num, (uintptr_t)target);
	}
	return err;
}

/* For as many queues as there are shared ones, and one more. */
static int make_room_for_gates(struct xrc_domain *domain)
{
	const struct shared_receive_queue *srq;
	struct gate **grown;
	size_t count = 1;

	TAILQ_FOREACH(srq, &domain->srqs, domain_link)
	count++;
	grown = realloc(domain->gates, count * sizeof(*grown));
	if (!grown)
		return -ENOMEM;
	domain->gates = grown;
	return 0;
}

int xrc_enlist_srq(struct shared_receive_queue *srq)
{
	int err;

	pthread_mutex_lock(&srq->domain->lock);
	gate_close(&srq->cq->gate);
	err = make_room_for_gates(srq->domain);
	if (!err)
		err = xrc_restart_srq(srq);
	if (!err)
		err = meet_targets(srq);
	gate_open(&srq->cq->gate);
	if (!err)
		TAILQ_INSERT_TAIL(&srq->domain->srqs, srq, domain_link);
	pthread_mutex_unlock(&srq->domain->lock);
	return err;
}

static bool is_served_by_others(const struct shared_receive_queue *gone)
{
	const struct shared_receive_queue *srq;

	TAILQ_FOREACH(srq, &gone->domain->srqs, domain_link)
	{
		if (srq->cq == gone->cq)
			return true;
	}
	return false;
}

void xrc_delist_srq(struct shared_receive_queue *srq)
{
	struct queue_pair *target;

	pthread_mutex_lock(&srq->domain->lock);
	TAILQ_REMOVE(&srq->domain->srqs, srq, domain_link);
	gate_close(&srq->cq->gate);
	completion_queue_harvest(srq->cq);
	number_table_remove(&srq->cq->xrc_srqs, srq->log.incarnation);
	TAILQ_FOREACH(target, &srq->domain->targets, domain_link)
	{
		if (target->real && !is_served_by_others(srq))
			number_table_remove(&srq->cq->qps, target->real->qp_num);
	}
	gate_open(&srq->cq->gate);
	pthread_mutex_unlock(&srq->domain->lock);
}

static struct ibv_srq *create_real(struct shared_receive_queue *srq, struct ibv_srq_init_attr *attr)
{
	struct ibv_srq_init_attr_ex wanted = {
	        .srq_context = srq,
	        .attr = srq->attr.attr,
	        .comp_mask = IBV_SRQ_INIT_ATTR_TYPE | IBV_SRQ_INIT_ATTR_PD |
	                     IBV_SRQ_INIT_ATTR_XRCD | IBV_SRQ_INIT_ATTR_CQ,
	        .srq_type = IBV_SRQT_XRC,
	        .pd = protection_domain_of(srq->shown.pd)->real,
	        .xrcd = srq->domain->real,
	        .cq = srq->cq->real,
	};
	struct ibv_srq *made = ibv_create_srq_ex(srq->context->real, &wanted);

	attr->attr = wanted.attr;
	return made;
}

static struct ibv_srq *create_numbered(
        struct shared_receive_queue *srq, struct ibv_srq_init_attr *attr)
{
	struct ibv_srq *made = create_real(srq, attr);
	int err = made ? ibv_get_srq_num(made, &srq->number) : 0;

	if (!err)
		return made;
	below.ibv_destroy_srq(made);
	errno = err;
	return NULL;
}

static int destroy_aside(void *srq)
{
	return below.ibv_destroy_srq(srq);
}

/* RECONNECT has said by which numbers those of the VM are known. */
static struct ibv_srq *create_unlike_virtual(
        struct shared_receive_queue *srq, struct ibv_srq_init_attr *attr)
{
	struct aside aside = {.destroy = destroy_aside};
	struct ibv_srq *made;

	do
		made = create_numbered(srq, attr);
	while (made && number_is_reserved(XRC_NUMBERS | srq->number) && aside_keep(&aside, made));
	return aside_end(&aside, made);
}

struct ibv_srq *xrc_create_real_srq(
        struct shared_receive_queue *srq, struct ibv_srq_init_attr *attr)
{
	return srq->is_numbered ? create_real(srq, attr) : create_unlike_virtual(srq, attr);
}

struct ibv_srq *xrc_create_srq(struct ibv_context *context, struct ibv_srq_init_attr_ex *attr)
{
	const uint32_t needed = IBV_SRQ_INIT_ATTR_TYPE | IBV_SRQ_INIT_ATTR_PD |
	                        IBV_SRQ_INIT_ATTR_XRCD | IBV_SRQ_INIT_ATTR_CQ;
	struct ibv_srq_init_attr plain = {attr->srq_context, attr->attr};
	struct shared_receive_queue *srq;

	if (attr->comp_mask != needed || attr->srq_type != IBV_SRQT_XRC) {
		errno = EOPNOTSUPP;
		return NULL;
	}
	if (!protection_domain_of(attr->pd) || !xrc_domain_of(attr->xrcd) ||
	        !completion_queue_of(attr->cq)) {
		errno = EINVAL;
		return NULL;
	}
	srq = shared_receive_queue_create(
	        attr->pd, &plain, xrc_domain_of(attr->xrcd), completion_queue_of(attr->cq));
	if (!srq)
		return NULL;
	attr->attr = plain.attr;
	return &srq->shown;
}

int xrc_query_srq_number(struct ibv_srq *shown, uint32_t *number)
{
	const struct shared_receive_queue *srq = shared_receive_queue_of(shown);

	if (!srq->domain)
		return EOPNOTSUPP;
	*number = srq->number;
	return 0;
}

static int report_at_each_place(
        const struct context *context, struct qp_row *row, Tether__Answer *answer)
{
	struct place place;
	int err = 0;

	for (unsigned i = 0; !err && context_place(context, i, &place); i++)
		err = place_report(&place, row, answer);
	return err;
}

int xrc_report_numbers(const struct context *context, Tether__Answer *answer)
{
	const struct shared_receive_queue *srq;
	int err = 0;

	TAILQ_FOREACH(srq, &context->srqs, link)
	{
		struct qp_row row = {
		        .of_vm = true,
		        .local_qpn = XRC_NUMBERS | srq->number,
		        .context = context->number,
		};
		uint32_t real;

		if (err || !srq->domain || !srq->real)
			continue;
		err = -ibv_get_srq_num(srq->real, &real);
		row.real_qpn = XRC_NUMBERS | real;
		if (!err)
			err = report_at_each_place(context, &row, answer);
	}
	return err;
}

/* ---- completions ---- */

/*
 * Targets have no gate in which their completions meet, there may be several queues: the count is
 * read and begun anew while all of them are closed.
 */
static void count_receive(struct queue_pair *qp)
{
	__atomic_fetch_add(&qp->receives_done, 1, __ATOMIC_RELAXED);
}

bool xrc_receive_pass(struct completion_queue *cq, struct queue_pair *qp, struct ibv_wc *wc)
{
	const struct number_entry *entry =
	        number_table_find(&cq->xrc_srqs, tag_incarnation(wc->wr_id));
	struct shared_receive_queue *srq = (struct shared_receive_queue *)entry->value;
	uint32_t index = tag_sequence(wc->wr_id);

	if (!qp)
		__atomic_store_n(&srq->domain->has_foreign, true, __ATOMIC_RELAXED);
	if (wc->status != IBV_WC_SUCCESS) {
		if (qp && completion_is_of_a_move(qp, wc)) {
			shared_receive_queue_take_back(srq, index, !qp->held);
			return false;
		}
		if (qp)
			qp->application_error = true;
	} else if (qp) {
		count_receive(qp);
	}
	wc->wr_id = shared_log_give_back(&srq->log, index);
	datagram_it_is_not(wc);
	if (qp) {
		connection_received(qp, wc);
		wc->qp_num = queue_pair_number(qp);
	}
	return true;
}
