/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include "preload/connection_listeners.h"

#include <errno.h>
#include <string.h>

#include "notifier/base/cleanup.h"
#include "notifier/base/log.h"
#include "notifier/base/monotonic.h"
#include "preload/control.h"

/* The device's addresses come back after it. */
enum { PAUSE_LEAST_MS = 20, PAUSE_MOST_MS = 1000 };

void connection_listener_wants(struct cm_id *cm)
{
	cm->wants_stand_in = true;
	cm->try_ms = 0;
	cm->pause_ms = PAUSE_LEAST_MS;
}

bool connection_listener_is_cut(const struct rdma_cm_id *id)
{
	const struct cm_id *cm;

	LOCK_GUARD(&cm_lock);
	cm = cm_id_find(id);
	return cm && cm->is_cut && cm->state == CM_LISTENING;
}

/* One that is made, and whom its owner waits for if he wants to destroy it. */
static struct cm_id *next_due(uint64_t now_ms)
{
	struct cm_id *cm;

	LOCK_GUARD(&cm_lock);
	TAILQ_FOREACH(cm, &cm_ids, link)
	{
		/* What stood in before goes, once the program has acknowledged what it told. */
		if (!cm->wants_stand_in || now_ms < cm->try_ms || cm->unacked)
			continue;
		cm->makes_stand_in = true;
		return cm;
	}
	return NULL;
}

static int64_t next_ms(uint64_t now_ms)
{
	const struct cm_id *cm;
	int64_t next = -1;

	LOCK_GUARD(&cm_lock);
	TAILQ_FOREACH(cm, &cm_ids, link)
	{
		uint64_t until = now_ms + PAUSE_LEAST_MS;

		if (!cm->wants_stand_in)
			continue;
		if (cm->try_ms > until)
			until = cm->try_ms;
		next = sooner_ms(next, (int64_t)(until - now_ms));
	}
	return next;
}

static struct rdma_cm_id *listen_again(const struct cm_id *cm)
{
	struct rdma_cm_id *id = cm->id, *again = NULL;
	int err;

	connection_depth++;
	err = rdmacm.rdma_create_id(id->channel, &again, id->context, id->ps);
	if (!err) {
		again->qp_type = id->qp_type;
		err = rdmacm.rdma_bind_addr(again, rdma_get_local_addr(id));
	}
	if (!err)
		err = rdmacm.rdma_listen(again, cm->backlog);
	if (err && again) {
		int why = errno;

		rdmacm.rdma_destroy_id(again);
		errno = why;
	}
	connection_depth--;
	return err ? NULL : again;
}

static void note_made(struct cm_id *cm, struct rdma_cm_id *made, uint64_t now_ms)
{
	LOCK_GUARD(&cm_lock);
	if (made) {
		cm->stand_in = made;
		cm->wants_stand_in = false;
	} else {
		if (cm->pause_ms == PAUSE_LEAST_MS)
			log_info("cm", "a listener is not there again yet: %s", strerror(errno));
		cm->try_ms = now_ms + cm->pause_ms;
		if (cm->pause_ms < PAUSE_MOST_MS)
			cm->pause_ms *= 2;
	}
	cm->makes_stand_in = false;
	pthread_cond_broadcast(&cm_changed);
}

/* Until it is gone what is read of it is known to be its. */
static void let_go_of_last(struct cm_id *cm)
{
	struct rdma_cm_id *last;

	pthread_mutex_lock(&cm_lock);
	last = cm->stand_in;
	pthread_mutex_unlock(&cm_lock);
	if (last)
		rdmacm.rdma_destroy_id(last);
	pthread_mutex_lock(&cm_lock);
	cm->stand_in = NULL;
	pthread_mutex_unlock(&cm_lock);
}

int64_t connection_listeners_tick(uint64_t now_ms)
{
	struct cm_id *cm;

	/* What librdmacm asks of devices then would wait for this thread. */
	if (move_has_taken_some())
		return -1;
	while ((cm = next_due(now_ms))) {
		let_go_of_last(cm);
		note_made(cm, listen_again(cm), now_ms);
	}
	return next_ms(now_ms);
}
