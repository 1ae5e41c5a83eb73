/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include "preload/places.h"

#include <errno.h>

#include "notifier/base/cleanup.h"
#include "notifier/base/log.h"
#include "notifier/wire/answer.h"
#include "notifier/wire/gid_name.h"
#include "preload/agent_link.h"
#include "preload/device_list.h"

static bool place_of_lid(const struct port *port, unsigned i, struct place *place)
{
	if (i)
		return false;
	*place =
	        (struct place){.lid = port->attr.lid, .real_lid = port->real_lid, .gid = port->gid};
	return true;
}

static void place_of_gid(
        const struct context *context, unsigned port, const union ibv_gid *gid, struct place *place)
{
	*place = (struct place){.lid = gid_name(gid->raw), .gid = *gid};
	place->real_lid = place->lid;
	if (port_tables_real_gid(context, port, gid, &place->real_gid))
		place->real_lid = gid_name(place->real_gid.raw);
}

static bool port_place(
        const struct context *context, unsigned port, unsigned i, struct place *place)
{
	union ibv_gid gid;

	if (!port_is_ethernet(&context->ports[port - 1]))
		return place_of_lid(&context->ports[port - 1], i, place);
	if (!known_gids_get(&context->ports[port - 1].gids, i, &gid))
		return false;
	place_of_gid(context, port, &gid, place);
	return true;
}

bool context_has_ethernet(const struct context *context)
{
	for (unsigned i = 0; i < PORTS_MAX; i++) {
		if (port_is_ethernet(&context->ports[i]))
			return true;
	}
	return false;
}

/* What has no port yet will be at the first, where there are LIDs. */
static unsigned places_at(const struct context *context, unsigned port)
{
	const struct port *at = &context->ports[port - 1];

	return port_is_ethernet(at) ? known_gids_announced(&at->gids) : port == 1;
}

bool context_place(const struct context *context, unsigned i, struct place *place)
{
	for (unsigned port = 1; port <= PORTS_MAX; port++) {
		unsigned count = places_at(context, port);

		if (i < count)
			return port_place(context, port, i, place);
		i -= count;
	}
	return false;
}

bool queue_pair_place(const struct queue_pair *qp, unsigned i, struct place *place)
{
	unsigned port = qp->attr.port_num;

	if (!port)
		return context_place(qp->context, i, place);
	if (port > PORTS_MAX)
		return false;
	if (!gid_name(qp->gid.raw))
		return port_place(qp->context, port, i, place);
	if (i)
		return false;
	place_of_gid(qp->context, port, &qp->gid, place);
	return true;
}

/* ---- what the root is told ---- */

static int report_gid(const union ibv_gid *gid, Tether__Answer *answer)
{
	Tether__GidRows *gids = answer_gids(answer);

	return gids ? gid_rows_add(gids, gid->raw) : -ENOMEM;
}

int place_report(const struct place *place, struct qp_row *row, Tether__Answer *answer)
{
	int err;

	row->local_lid = place->lid;
	row->real_lid = place->real_lid;
	err = qp_rows_append(answer->qps, row);
	if (!err && gid_name(place->real_gid.raw))
		err = report_gid(&place->gid, answer);
	if (!err && gid_name(place->real_gid.raw))
		err = report_gid(&place->real_gid, answer);
	return err;
}

void context_learn_gids(struct context *context)
{
	CLEANUP_FREE struct ibv_gid_entry *entries = NULL;
	ssize_t count;

	if (!context_has_ethernet(context))
		return;
	count = port_tables_known_gids(context, &entries);
	if (count < 0)
		log_warn("places", "%s: its GIDs cannot be read: error %zd",
		        context->device->shown.name, -count);
	for (ssize_t i = 0; i < count; i++) {
		unsigned port = entries[i].port_num;

		if (port < 1 || port > PORTS_MAX || !port_is_ethernet(&context->ports[port - 1]))
			continue;
		if (known_gids_add(&context->ports[port - 1].gids, &entries[i].gid) < 0)
			log_error("places", "no memory for a GID");
	}
	for (unsigned i = 0; i < PORTS_MAX; i++) {
		if (port_is_ethernet(&context->ports[i]))
			device_learn_port(context->device, i, &context->ports[i]);
	}
}

static struct announcement announcement_of(
        const struct context *context, const struct place *place, uint32_t qpn)
{
	return (struct announcement){
	        .lid = place->lid, .gid = place->gid, .qpn = qpn, .context = context->number};
}

void context_announce_gids(struct context *context)
{
	if (!context_has_ethernet(context))
		return;
	for (unsigned port = 0; port < PORTS_MAX; port++) {
		struct place place = {0};

		while (known_gids_next(&context->ports[port].gids, &place.gid)) {
			struct announcement own;

			place.lid = gid_name(place.gid.raw);
			own = announcement_of(context, &place, 0);
			if (agent_link_announce_unasked(&own))
				log_error("places", "no memory to announce a GID");
			context->announced = true;
		}
	}
	agent_link_wake();
}

int context_announce(const struct context *context, uint32_t qpn, announce *how)
{
	struct place place;
	int err = 0;

	for (unsigned i = 0; !err && context_place(context, i, &place); i++) {
		struct announcement own = announcement_of(context, &place, qpn);

		err = how(&own);
	}
	return err;
}

void context_withdraw(const struct context *context, uint32_t qpn)
{
	struct place place;

	for (unsigned i = 0; context_place(context, i, &place); i++) {
		struct announcement own = announcement_of(context, &place, qpn);

		agent_link_withdraw(&own);
	}
}
