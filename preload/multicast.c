/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include "preload/multicast.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "preload/control.h"

static struct multicast_group *group_of(
        struct queue_pair *qp, const union ibv_gid *gid, uint16_t lid)
{
	struct multicast_group *group;

	TAILQ_FOREACH(group, &qp->groups, link)
	{
		if (group->lid == lid && !memcmp(&group->gid, gid, sizeof(*gid)))
			return group;
	}
	return NULL;
}

static int attach(struct queue_pair *qp, const union ibv_gid *gid, uint16_t lid)
{
	struct multicast_group *group = group_of(qp, gid, lid) ? NULL : malloc(sizeof(*group));
	int err = below.ibv_attach_mcast(qp->real, gid, lid);

	if (err || !group) {
		free(group);
		return err;
	}
	*group = (struct multicast_group){.gid = *gid, .lid = lid};
	TAILQ_INSERT_TAIL(&qp->groups, group, link);
	__atomic_fetch_add(&qp->group_count, 1, __ATOMIC_RELAXED);
	return 0;
}

static int detach(struct queue_pair *qp, const union ibv_gid *gid, uint16_t lid)
{
	struct multicast_group *group = group_of(qp, gid, lid);
	int err = !group ? EINVAL : 0;

	if (qp->real)
		err = below.ibv_detach_mcast(qp->real, gid, lid);
	if (err || !group)
		return err;
	TAILQ_REMOVE(&qp->groups, group, link);
	__atomic_fetch_sub(&qp->group_count, 1, __ATOMIC_RELAXED);
	free(group);
	return 0;
}

/* Calls on one queue pair take turns. */
static int change(int (*how)(struct queue_pair *, const union ibv_gid *, uint16_t),
        struct queue_pair *qp, const union ibv_gid *gid, uint16_t lid, enum control_need need)
{
	int err = control_enter_qp(qp, need);

	if (err)
		return err;
	pthread_mutex_lock(&qp->shown.qp_base.mutex);
	err = how(qp, gid, lid);
	pthread_mutex_unlock(&qp->shown.qp_base.mutex);
	control_leave();
	return err;
}

WRAPPER int ibv_attach_mcast(struct ibv_qp *shown, const union ibv_gid *gid, uint16_t lid)
{
	struct queue_pair *qp = queue_pair_of(shown);

	return qp ? change(attach, qp, gid, lid, NEEDS_DEVICE)
	          : below.ibv_attach_mcast(shown, gid, lid);
}

WRAPPER int ibv_detach_mcast(struct ibv_qp *shown, const union ibv_gid *gid, uint16_t lid)
{
	struct queue_pair *qp = queue_pair_of(shown);
	int err;

	if (!qp)
		return below.ibv_detach_mcast(shown, gid, lid);
	err = change(detach, qp, gid, lid, NEEDS_DEVICE);
	/* Without a device for good the program may still clean up. */
	return err == ENODEV ? change(detach, qp, gid, lid, NEEDS_NOTHING) : err;
}

static int with_each_group(
        struct queue_pair *qp, int (*verb)(struct ibv_qp *, const union ibv_gid *, uint16_t))
{
	struct multicast_group *group;
	int err = 0;

	TAILQ_FOREACH(group, &qp->groups, link)
	err = err ? err : -verb(qp->real, &group->gid, group->lid);
	return err;
}

void multicast_forget(struct queue_pair *qp)
{
	struct multicast_group *group;

	while ((group = TAILQ_FIRST(&qp->groups))) {
		TAILQ_REMOVE(&qp->groups, group, link);
		free(group);
	}
}

/* Both stop at the first that fails, so the way back reaches all that were changed. */
int multicast_leave(struct queue_pair *qp)
{
	int err = with_each_group(qp, below.ibv_detach_mcast);

	if (err)
		with_each_group(qp, below.ibv_attach_mcast);
	return err;
}

int multicast_join(struct queue_pair *qp)
{
	int err = with_each_group(qp, below.ibv_attach_mcast);

	if (err)
		with_each_group(qp, below.ibv_detach_mcast);
	return err;
}
