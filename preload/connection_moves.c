/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include "preload/connection_moves.h"

#include <dirent.h>
#include <endian.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "notifier/base/cleanup.h"
#include "notifier/base/log.h"
#include "preload/connection_ends.h"
#include "preload/connection_listeners.h"
#include "preload/move_address.h"
#include "preload/queue_pair.h"
#include "preload/remote_place.h"

static bool moves(const struct move *move, const struct cm_id *cm)
{
	const struct context *context = context_of(cm->id->verbs);

	return context && move_takes_along(move, context);
}

/* Where it asks for a connection, as far as that is known. */
static bool leads_to(const struct move *move, const struct cm_id *cm)
{
	const struct context *context = context_of(cm->id->verbs);
	const struct rdma_route *route = &cm->id->route;
	struct ibv_ah_attr address = {.port_num = cm->id->port_num,
	        .is_global = 1,
	        .grh = {.dgid = route->addr.addr.ibaddr.dgid}};
	struct remote remote;

	if (!context)
		return false;
	if (route->num_paths)
		address.dlid = be16toh(route->path_rec->dlid);
	remote = remote_at(context, &address, 0);
	return move_has_remote(move, &remote);
}

bool connections_are_between(const struct move *move)
{
	const struct cm_id *cm;

	LOCK_GUARD(&cm_lock);
	TAILQ_FOREACH(cm, &cm_ids, link)
	{
		if (cm->state == CM_BOUND && moves(move, cm))
			return true;
		if (cm->state == CM_CONNECTING && (moves(move, cm) || leads_to(move, cm)))
			return true;
	}
	return false;
}

bool connections_join_groups(const struct move *move)
{
	const struct cm_id *cm;

	LOCK_GUARD(&cm_lock);
	TAILQ_FOREACH(cm, &cm_ids, link)
	{
		if (cm->groups && moves(move, cm))
			return true;
	}
	return false;
}

/* ---- what is not known ---- */

static bool is_rdma_cm(int folder, const char *fd)
{
	static const char name[] = "/dev/infiniband/rdma_cm";
	char target[sizeof(name) + 1];
	ssize_t length = readlinkat(folder, fd, target, sizeof(target));

	return length == sizeof(name) - 1 && !memcmp(target, name, sizeof(name) - 1);
}

static bool has_unknown_channels(void)
{
	DIR *fds = opendir("/proc/self/fd");
	struct dirent *fd;
	bool found = false;

	while (fds && (fd = readdir(fds)))
		found |= is_rdma_cm(dirfd(fds), fd->d_name) && !cm_knows_fd(atoi(fd->d_name));
	if (fds)
		closedir(fds);
	return found;
}

/* Nobody could say to its other end that it has parted. */
static bool connects_unknown(const struct move *move, const struct cm_id *cm)
{
	return cm->state == CM_CONNECTED && !cm->is_cut && cm->id->qp_type != IBV_QPT_UD &&
	       moves(move, cm) && !cm_id_queue_pair(cm);
}

bool connections_are_unknown(const struct move *move)
{
	const struct cm_id *cm;

	LOCK_GUARD(&cm_lock);
	TAILQ_FOREACH(cm, &cm_ids, link)
	{
		if (connects_unknown(move, cm))
			return true;
	}
	return cm_has_strangers || has_unknown_channels();
}

/* ---- behind the commit ---- */

static void note_names(struct cm_id *cm, const struct queue_pair *qp)
{
	if (!qp || !queue_pair_is_connected(qp))
		return;
	cm->has_names = true;
	cm->names = (struct pair_names){.local_lid = queue_pair_lid(qp),
	        .local_qpn = queue_pair_number(qp),
	        .remote_lid = qp->remote.lid,
	        .remote_qpn = qp->remote.qpn};
}

/*
 * Its events go where nobody reads, so that the program's descriptor is not readable for what is
 * not its own. Not where librdmacm would wait for the program, or has closed the id's own channel
 * then: what comes of such an id is left out as it is read (connection_events.c).
 */
static void go_aside(struct cm_id *cm)
{
	struct rdma_event_channel *shown = cm->id->channel, *aside;

	cm->kernel_channel = shown;
	if (cm->is_sync || cm->busy || cm->unacked)
		return;
	aside = connection_channel_aside();
	if (!aside || rdmacm.rdma_migrate_id(cm->id, aside)) {
		log_warn("cm", "the end of an id's device is heard: %s", strerror(errno));
		return;
	}
	cm->id->channel = shown;
	cm->kernel_channel = aside;
}

/* Of the listener that was made again, likewise; it goes when the next is made. */
static void stand_in_goes_aside(struct cm_id *cm)
{
	struct rdma_event_channel *aside = cm->unacked ? NULL : connection_channel_aside();

	if (cm->stand_in && aside && rdmacm.rdma_migrate_id(cm->stand_in, aside))
		log_warn("cm", "the end of a listener's device is heard: %s", strerror(errno));
}

static void cut(struct move *move, struct cm_id *cm, const struct queue_pair *qp)
{
	cm->cut_by = move->id;
	if (moves(move, cm) && cm->state == CM_LISTENING) {
		stand_in_goes_aside(cm);
		connection_listener_wants(cm);
	}
	if (cm->is_cut)
		return;
	cm->is_cut = true;
	if (cm->state == CM_CONNECTED)
		note_names(cm, qp);
	go_aside(cm);
}

void connections_cut(struct move *move)
{
	struct cm_id *cm;

	LOCK_GUARD(&cm_lock);
	TAILQ_FOREACH(cm, &cm_ids, link)
	{
		const struct queue_pair *qp = cm_id_queue_pair(cm);

		if (moves(move, cm) || (qp && qp->migration.move == move))
			cut(move, cm, qp);
	}
}

void connections_go_on(void)
{
	struct cm_id *cm;

	LOCK_GUARD(&cm_lock);
	TAILQ_FOREACH(cm, &cm_ids, link)
	{
		if (cm->is_cut && cm->asked_to_end)
			connection_end(cm, 0, true);
	}
}

void connections_fail(const struct move *move)
{
	struct cm_id *cm;

	LOCK_GUARD(&cm_lock);
	TAILQ_FOREACH(cm, &cm_ids, link)
	{
		if (cm->is_cut && cm->cut_by == move->id)
			connection_end(cm, -ETIMEDOUT, true);
	}
}
