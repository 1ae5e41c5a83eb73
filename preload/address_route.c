/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include "preload/address_route.h"

#include <errno.h>
#include <stdlib.h>

#include "notifier/base/log.h"
#include "notifier/base/monotonic.h"
#include "preload/control.h"
#include "preload/datagram_numbers.h"

/* A datagram to a group's number is for nobody where it has no group's address. */
enum { NOBODYS_QPN = 0xffffff, RETRY_MS = 1000 };

struct address_route {
	uint32_t lid; /* or the name of a GID */
	struct ibv_ah *real;
	struct address_route *next;
};

/* False: nobody has said which GID has that name. */
static bool aim(struct ibv_ah_attr *attr, uint32_t lid)
{
	const struct datagram_numbers *there;

	if (!is_gid_name(lid)) {
		attr->dlid = (uint16_t)lid;
		return true;
	}
	there = datagram_numbers_named(lid);
	if (there)
		attr->grh.dgid = there->gid;
	return there;
}

static struct ibv_ah *make(const struct protection_domain *pd, struct ibv_ah_attr attr)
{
	errno = -port_tables_ah_to_real(context_of(pd->shown.context), &attr);
	return errno ? NULL : below.ibv_create_ah(pd->real, &attr);
}

/* What is the context's own follows it to the next device at once; of others the root says where
 * they are. */
static bool aim_at_place(
        const struct address_handle *ah, const struct context *context, struct ibv_ah_attr *attr)
{
	union ibv_gid own;

	if (!ah->numbers || !is_gid_name(ah->to.lid))
		return true;
	if (!port_tables_shown(context, attr->port_num) ||
	        !port_tables_real_gid(context, attr->port_num, &ah->to.gid, &own))
		return aim(attr, datagram_numbers_place(ah->numbers));
	attr->grh.dgid = own;
	return true;
}

static struct ibv_ah *make_at_place(
        const struct address_handle *ah, const struct protection_domain *pd, uint32_t *at)
{
	struct ibv_ah_attr attr = ah->attr;

	errno = EHOSTUNREACH;
	if (!aim_at_place(ah, context_of(pd->shown.context), &attr))
		return NULL;
	*at = is_gid_name(ah->to.lid) ? gid_name(attr.grh.dgid.raw) : attr.dlid;
	return make(pd, attr);
}

void address_route_begin(struct address_handle *ah, const struct protection_domain *pd)
{
	if (ah->numbers)
		ah->followed = datagram_numbers_turns(ah->numbers);
	ah->real = make_at_place(ah, pd, &ah->at);
}

/* ---- several ---- */

/* Threads that post to several queues may make the same one at once: both serve. */
static struct address_route *route_make(struct address_handle *ah, uint32_t lid)
{
	struct address_route *route = calloc(1, sizeof(*route));
	struct ibv_ah_attr attr = ah->attr;

	if (route && aim(&attr, lid))
		route->real = make(protection_domain_of(ah->shown.pd), attr);
	if (!route || !route->real) {
		free(route);
		return NULL;
	}
	route->lid = lid;
	route->next = __atomic_load_n(&ah->routes, __ATOMIC_RELAXED);
	while (!__atomic_compare_exchange_n(
	        &ah->routes, &route->next, route, false, __ATOMIC_RELEASE, __ATOMIC_RELAXED))
		;
	return route;
}

static struct address_route *route_find(const struct address_handle *ah, uint32_t lid)
{
	struct address_route *route = __atomic_load_n(&ah->routes, __ATOMIC_ACQUIRE);

	while (route && route->lid != lid)
		route = route->next;
	return route;
}

/* The kernel may take its time before it says that somebody is not there. */
static bool may_try(struct address_handle *ah)
{
	uint64_t now = monotonic_ms(), tried = __atomic_load_n(&ah->tried_ms, __ATOMIC_RELAXED);

	if (tried && now < tried + RETRY_MS)
		return false;
	__atomic_store_n(&ah->tried_ms, now, __ATOMIC_RELAXED);
	return true;
}

/* NULL: there is none to be had. */
static struct ibv_ah *real_to(struct address_handle *ah, uint32_t lid)
{
	struct address_route *route;

	if (lid == ah->at && !ah->is_astray)
		return ah->real;
	route = route_find(ah, lid);
	if (!route && (!is_gid_name(lid) || may_try(ah)))
		route = route_make(ah, lid);
	return route ? route->real : NULL;
}

void address_route_lead(struct address_handle *ah, uint32_t lid, struct ibv_send_wr *wr)
{
	struct ibv_ah *real = real_to(ah, lid ? lid : ah->at);

	if (real)
		wr->wr.ud.ah = real;
	else
		wr->wr.ud.remote_qpn = NOBODYS_QPN;
}

static int routes_destroy(const struct context *context, struct address_route **routes)
{
	while (*routes) {
		struct address_route *route = *routes;
		int err = unless_gone(context, below.ibv_destroy_ah(route->real));

		if (err)
			return -err;
		*routes = route->next;
		free(route);
	}
	return 0;
}

int address_route_tear_down(struct address_handle *ah)
{
	const struct context *context = context_of(ah->shown.context);
	int err = routes_destroy(context, &ah->routes);

	if (!err && ah->real)
		err = -unless_gone(context, below.ibv_destroy_ah(ah->real));
	if (!err)
		ah->real = NULL;
	return err;
}

/* ---- another device ---- */

/* Whoever is not there may not keep a VM from moving: a handle that leads home holds the place, and
 * nothing is sent by it to anybody's number. */
static struct ibv_ah *make_astray(
        const struct address_handle *ah, const struct protection_domain *pd)
{
	struct context *context = context_of(pd->shown.context);
	struct ibv_ah_attr attr = ah->attr;
	struct ibv_gid_entry own;

	if (!is_gid_name(ah->to.lid) ||
	        port_tables_known_gid(context, attr.port_num, attr.grh.sgid_index, &own) ||
	        !port_tables_real_gid(context, attr.port_num, &own.gid, &attr.grh.dgid))
		return NULL;
	return make(pd, attr);
}

static bool is_no_route(int err)
{
	return err == -ENETUNREACH || err == -EHOSTUNREACH || err == -EADDRNOTAVAIL ||
	       err == -ENODEV;
}

/* It was looked for in vain just now, which takes the kernel a second. */
static bool was_looked_for(const struct context *context, const struct address_handle *ah)
{
	const struct address_handle *other;

	if (!context->has_astray)
		return false;
	TAILQ_FOREACH(other, &context->ahs, link)
	{
		if (other->real && other->is_astray && other->to.lid == ah->to.lid)
			return true;
	}
	return false;
}

int address_route_rebuild(struct address_handle *ah)
{
	const struct protection_domain *pd = protection_domain_of(ah->shown.pd);
	struct context *context = context_of(pd->shown.context);
	int err = -EHOSTUNREACH;

	ah->is_astray = false;
	if (!was_looked_for(context, ah)) {
		address_route_begin(ah, pd);
		if (ah->real)
			return 0;
		err = below_error();
	}
	ah->real = make_astray(ah, pd);
	context->has_astray = ah->is_astray = ah->real;
	/* Not even its own address has a route: those of a new device come a little later. */
	if (!ah->real)
		return is_gid_name(ah->to.lid) && is_no_route(err) ? -EAGAIN : err;
	log_warn("rebuild", "datagrams to gid 0x%x go to nobody: error %d", ah->to.lid, -err);
	return 0;
}

/* ---- another place ---- */

/* What stands there now, or is to; with the gates closed the two are exchanged. */
static bool is_outdated(const struct address_handle *ah)
{
	return ah->real && ah->numbers && ah->followed != datagram_numbers_turns(ah->numbers);
}

static bool prepare_next(struct address_handle *ah)
{
	ah->followed = datagram_numbers_turns(ah->numbers);
	ah->next.at = datagram_numbers_place(ah->numbers);
	ah->next.real = make_at_place(ah, protection_domain_of(ah->shown.pd), &ah->next.at);
	if (!ah->next.real)
		log_warn("datagrams", "no address handle to where gid 0x%x is: error %d",
		        ah->to.lid, errno);
	return true;
}

/* Without another it goes nowhere: who is there now is somebody else. */
static void exchange(struct address_handle *ah)
{
	struct ibv_ah *before = ah->real;

	ah->is_astray = !ah->next.real;
	ah->at = ah->next.at;
	if (ah->next.real) {
		ah->real = ah->next.real;
		ah->next.real = before;
	}
	ah->next.routes = ah->routes;
	ah->routes = NULL;
	ah->tried_ms = 0;
}

static void destroy_before(const struct context *context, struct address_handle *ah)
{
	if (routes_destroy(context, &ah->next.routes) ||
	        (ah->next.real && unless_gone(context, below.ibv_destroy_ah(ah->next.real))))
		log_error("datagrams", "an address handle is left over");
	ah->next = (struct address_next){0};
}

static void with_each_sender(struct context *context, void (*how)(struct gate *gate))
{
	struct queue_pair *qp;

	TAILQ_FOREACH(qp, &context->qps, link)
	{
		if (qp->datagrams)
			how(&qp->send_gate);
	}
}

static void context_follow(struct context *context)
{
	struct address_handle *ah;
	unsigned count = 0;

	TAILQ_FOREACH(ah, &context->ahs, link)
	{
		ah->next.is_due = is_outdated(ah) && prepare_next(ah);
		count += ah->next.is_due;
	}
	if (!count)
		return;
	with_each_sender(context, gate_close);
	TAILQ_FOREACH(ah, &context->ahs, link)
	{
		if (ah->next.is_due)
			exchange(ah);
	}
	with_each_sender(context, gate_open);
	TAILQ_FOREACH(ah, &context->ahs, link)
	{
		if (ah->next.is_due)
			destroy_before(context, ah);
	}
}

void address_routes_follow(void)
{
	struct context *context;

	TAILQ_FOREACH(context, &contexts, link)
	{
		if (context->real)
			context_follow(context);
	}
}

void address_routes_turn(void)
{
	if (!datagram_numbers_have_turned())
		return;
	control_exclusive_begin();
	address_routes_follow();
	control_exclusive_end();
}
