/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include "preload/address_handle.h"

#include <errno.h>
#include <stdlib.h>

#include "preload/agent_link.h"
#include "preload/control.h"
#include "preload/datagram_numbers.h"

/* Those who move VMs are to know of it before anything is sent; what is sent to a group reaches
 * whoever is in it. */
static void find_out(struct address_handle *ah)
{
	ah->to = (struct remote){
	        .lid = ah->attr.dlid,
	        .gid = ah->attr.grh.dgid,
	        .by_gid = ah->attr.is_global,
	        .real_lid = ah->attr.dlid,
	        .real_gid = ah->attr.grh.dgid,
	};
	if (!ah->to.lid && !ah->to.by_gid)
		return;
	ah->numbers = datagram_numbers_of(ah->to.lid, &ah->to.gid);
	if (ah->numbers)
		agent_link_register_datagrams(&ah->to);
}

static void address_handle_free(struct address_handle *ah)
{
	if (ah->numbers)
		agent_link_forget(&ah->to);
	free(ah);
}

static void address_handle_make(struct address_handle *ah, struct protection_domain *pd)
{
	struct ibv_ah_attr attr = ah->attr;

	errno = -port_tables_ah_to_real(context_of(pd->shown.context), &attr);
	if (!errno)
		ah->real = below.ibv_create_ah(pd->real, &attr);
}

WRAPPER struct ibv_ah *ibv_create_ah(struct ibv_pd *shown_pd, struct ibv_ah_attr *attr)
{
	struct protection_domain *pd = protection_domain_of(shown_pd);
	struct context *context;
	struct address_handle *ah;
	bool was_made;
	int err;

	if (!pd)
		return below.ibv_create_ah(shown_pd, attr);
	context = context_of(shown_pd->context);
	ah = calloc(1, sizeof(*ah));
	if (!ah)
		return NULL;
	ah->attr = *attr;
	find_out(ah);
	if (control_enter(context, NEEDS_DEVICE)) {
		address_handle_free(ah);
		errno = ENODEV;
		return NULL;
	}
	address_handle_make(ah, pd);
	if (ah->real) {
		ah->shown = (struct ibv_ah){
		        .context = shown_pd->context, .pd = shown_pd, .handle = ah->real->handle};
		OBJECT_ADD(context, ahs, ah);
	}
	was_made = ah->real;
	control_leave();
	if (was_made)
		return &ah->shown;
	err = errno;
	address_handle_free(ah);
	errno = err;
	return NULL;
}

WRAPPER struct ibv_ah *ibv_create_ah_from_wc(
        struct ibv_pd *pd, struct ibv_wc *wc, struct ibv_grh *grh, uint8_t port)
{
	struct ibv_ah_attr attr;

	if (!protection_domain_of(pd))
		return below.ibv_create_ah_from_wc(pd, wc, grh, port);
	if (ibv_init_ah_from_wc(pd->context, port, wc, grh, &attr))
		return NULL;
	return ibv_create_ah(pd, &attr);
}

/* ---- destroyed with work open ---- */

static bool queue_names(struct queue_pair *qp, const struct address_handle *ah)
{
	const struct send_log *log = &qp->sends;
	bool found = false;

	if (!qp->datagrams || !send_log_open(log))
		return false;
	gate_close(&qp->send_gate);
	for (uint32_t i = __atomic_load_n(&log->tail, __ATOMIC_ACQUIRE); i != log->head; i++)
		found |= send_log_operands(log, send_log_at(log, i))->ud.ah == &ah->shown;
	gate_open(&qp->send_gate);
	return found;
}

/* Under the list lock. */
static bool is_in_use(const struct context *context, const struct address_handle *ah)
{
	struct queue_pair *qp;

	TAILQ_FOREACH(qp, &context->qps, link)
	{
		if (queue_names(qp, ah))
			return true;
	}
	return false;
}

TAILQ_HEAD(handles, address_handle);

/* Under the list lock; an errno. Without work it goes to @gone. */
static int let_go(struct context *context, struct address_handle *ah, struct handles *gone)
{
	bool is_orphan = is_in_use(context, ah);
	int err = 0;

	context->orphans += is_orphan - ah->is_orphan;
	ah->is_orphan = is_orphan;
	if (is_orphan)
		return 0;
	if (ah->real)
		err = below.ibv_destroy_ah(ah->real);
	if (err)
		return err;
	TAILQ_REMOVE(&context->ahs, ah, link);
	TAILQ_INSERT_TAIL(gone, ah, link);
	return 0;
}

static void reap(struct context *context, struct handles *gone)
{
	struct address_handle *ah = TAILQ_FIRST(&context->ahs), *next;

	for (; ah && context->orphans; ah = next) {
		next = TAILQ_NEXT(ah, link);
		if (ah->is_orphan)
			let_go(context, ah, gone);
	}
}

/* @ah NULL: only those that were destroyed before. */
static int destroy(struct context *context, struct address_handle *ah)
{
	struct handles gone = TAILQ_HEAD_INITIALIZER(gone);
	int err = 0;

	pthread_mutex_lock(&context->lists_lock);
	reap(context, &gone);
	if (ah)
		err = let_go(context, ah, &gone);
	pthread_mutex_unlock(&context->lists_lock);
	while ((ah = TAILQ_FIRST(&gone))) {
		TAILQ_REMOVE(&gone, ah, link);
		address_handle_free(ah);
	}
	return err;
}

void address_handles_reap(struct context *context)
{
	destroy(context, NULL);
}

WRAPPER int ibv_destroy_ah(struct ibv_ah *shown)
{
	struct address_handle *ah = address_handle_of(shown);
	struct context *context;
	int err;

	if (!ah)
		return below.ibv_destroy_ah(shown);
	context = context_of(shown->context);
	control_enter(context, NEEDS_NOTHING);
	err = destroy(context, ah);
	control_leave();
	return err;
}

int address_handle_rebuild(struct address_handle *ah)
{
	address_handle_make(ah, protection_domain_of(ah->shown.pd));
	return ah->real ? 0 : errno ? -errno : -ENOMEM;
}
