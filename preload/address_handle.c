/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include "preload/address_handle.h"

#include <errno.h>
#include <stdlib.h>

#include "preload/address_route.h"
#include "preload/agent_link.h"
#include "preload/control.h"
#include "preload/datagram_numbers.h"
#include "preload/remote_place.h"

/* By which the other end will know it. 0: no such GID, and the device will say so. */
static uint32_t own_name(struct context *context, const struct ibv_ah_attr *attr)
{
	union ibv_gid gid;

	if (ibv_query_gid(&context->shown.context, attr->port_num, attr->grh.sgid_index, &gid))
		return 0;
	return gid_name(gid.raw);
}

/* Those who move VMs are to know of it before anything is sent; what is sent to a group reaches
 * whoever is in it. */
static void find_out(struct context *context, struct address_handle *ah)
{
	ah->to = remote_at(context, &ah->attr, 0);
	if (!ah->to.lid)
		return;
	ah->numbers = datagram_numbers_of(ah->to.lid, &ah->to.gid);
	if (ah->numbers && is_gid_name(ah->to.lid))
		ah->own = own_name(context, &ah->attr);
	if (ah->numbers)
		agent_link_register_datagrams(&ah->to);
}

/* Another GID has the name of this one: who is meant nobody could say. */
static bool is_mixed_up(const struct address_handle *ah)
{
	return is_gid_name(ah->to.lid) && !ah->numbers && ah->to.gid.raw[0] != 0xff;
}

static void address_handle_free(struct address_handle *ah)
{
	if (ah->numbers)
		agent_link_forget(&ah->to);
	free(ah);
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
	find_out(context, ah);
	if (is_mixed_up(ah)) {
		address_handle_free(ah);
		errno = EADDRINUSE;
		return NULL;
	}
	if (control_enter(context, NEEDS_DEVICE)) {
		address_handle_free(ah);
		errno = ENODEV;
		return NULL;
	}
	address_route_begin(ah, pd);
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

/*
 * Who names a handle says the send log of each queue, inside its gate. So that a handle for each
 * message does not cost a look at each log, it is looked for those that were destroyed together,
 * when they are twice as many as were named the last time.
 */
enum { ORPHANS_LEAST = 64 };

static bool has_open_work(const struct queue_pair *qp)
{
	return qp->datagrams && send_log_open(&qp->sends);
}

/* Under the list lock, as all that follows. */
static bool work_is_open(const struct context *context)
{
	const struct queue_pair *qp;

	TAILQ_FOREACH(qp, &context->qps, link)
	{
		if (has_open_work(qp))
			return true;
	}
	return false;
}

static void mark_named(struct queue_pair *qp)
{
	const struct send_log *log = &qp->sends;

	if (!has_open_work(qp))
		return;
	gate_close(&qp->send_gate);
	for (uint32_t i = __atomic_load_n(&log->tail, __ATOMIC_ACQUIRE); i != log->head; i++)
		container_of(send_log_operands(log, send_log_at(log, i))->ud.ah,
		        struct address_handle, shown)
		        ->is_named = true;
	gate_open(&qp->send_gate);
}

TAILQ_HEAD(handles, address_handle);

/* No work names it: to @gone. An errno. */
static int let_go(struct context *context, struct address_handle *ah, struct handles *gone)
{
	int err = -address_route_tear_down(ah);

	if (err)
		return err;
	TAILQ_REMOVE(&context->ahs, ah, link);
	TAILQ_INSERT_TAIL(gone, ah, link);
	return 0;
}

static void orphan_add(struct context *context, struct address_handle *ah)
{
	TAILQ_INSERT_TAIL(&context->orphans, ah, orphan_link);
	context->orphan_count++;
}

static void orphan_reap(struct context *context, struct address_handle *ah, struct handles *gone)
{
	if (ah->is_named || let_go(context, ah, gone))
		return;
	TAILQ_REMOVE(&context->orphans, ah, orphan_link);
	context->orphan_count--;
}

static void reap(struct context *context, struct handles *gone)
{
	struct address_handle *ah, *next;
	struct queue_pair *qp;

	if (!context->orphan_count)
		return;
	TAILQ_FOREACH(ah, &context->orphans, orphan_link)
	ah->is_named = false;
	TAILQ_FOREACH(qp, &context->qps, link)
	mark_named(qp);
	for (ah = TAILQ_FIRST(&context->orphans); ah; ah = next) {
		next = TAILQ_NEXT(ah, orphan_link);
		orphan_reap(context, ah, gone);
	}
	context->orphans_due = 2 * context->orphan_count;
}

/* @ah NULL: only those that were destroyed before. */
static int destroy(struct context *context, struct address_handle *ah)
{
	struct handles gone = TAILQ_HEAD_INITIALIZER(gone);
	bool is_open;
	int err = 0;

	pthread_mutex_lock(&context->lists_lock);
	is_open = work_is_open(context);
	if (ah && is_open)
		orphan_add(context, ah);
	else if (ah)
		err = let_go(context, ah, &gone);
	if (!ah || !is_open || context->orphan_count >= context->orphans_due + ORPHANS_LEAST)
		reap(context, &gone);
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
