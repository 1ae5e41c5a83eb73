/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include "preload/connection_manager.h"

#include <stdlib.h>

#include "notifier/base/cleanup.h"
#include "notifier/base/log.h"
#include "preload/connection_devices.h"
#include "preload/connection_news.h"

struct channel {
	struct rdma_event_channel *channel;
	TAILQ_ENTRY(channel) link;
};

struct cm_id_list cm_ids = TAILQ_HEAD_INITIALIZER(cm_ids);
pthread_mutex_t cm_lock = PTHREAD_MUTEX_INITIALIZER;
pthread_cond_t cm_changed = PTHREAD_COND_INITIALIZER;
bool cm_has_strangers;
__thread unsigned connection_depth;
static TAILQ_HEAD(, channel) channels = TAILQ_HEAD_INITIALIZER(channels);

/* By address: servers have thousands. */
enum { BUCKETS = 1024 };
static LIST_HEAD(bucket, cm_id) buckets[BUCKETS];

static struct bucket *bucket_of(const struct rdma_cm_id *id)
{
	return &buckets[((uintptr_t)id >> 6) * 0x9e3779b1u % BUCKETS];
}

struct cm_id *cm_id_find(const struct rdma_cm_id *id)
{
	struct cm_id *cm;

	LIST_FOREACH(cm, bucket_of(id), by_id)
	{
		if (cm->id == id)
			return cm;
	}
	return NULL;
}

struct cm_id *cm_id_of_stand_in(const struct rdma_cm_id *id)
{
	struct cm_id *cm;

	TAILQ_FOREACH(cm, &cm_ids, link)
	{
		if (cm->stand_in && cm->stand_in == id)
			return cm;
	}
	return NULL;
}

struct cm_id *cm_id_add(struct rdma_cm_id *id, bool is_sync)
{
	struct cm_id *cm = calloc(1, sizeof(*cm));

	if (!cm) {
		cm_has_strangers = true;
		return NULL;
	}
	cm->id = id;
	cm->is_sync = is_sync;
	TAILQ_INSERT_TAIL(&cm_ids, cm, link);
	LIST_INSERT_HEAD(bucket_of(id), cm, by_id);
	return cm;
}

void cm_id_remove(struct cm_id *cm)
{
	TAILQ_REMOVE(&cm_ids, cm, link);
	LIST_REMOVE(cm, by_id);
	free(cm);
}

/* The program may have opened the device once more for itself. */
struct queue_pair *cm_id_queue_pair(const struct cm_id *cm)
{
	const struct context *of_id = context_of(cm->id->verbs);
	const struct context *context;

	if (!of_id || !cm->qpn)
		return NULL;
	TAILQ_FOREACH(context, &contexts, link)
	{
		const struct number_entry *entry = NULL;

		if (context->device == of_id->device)
			entry = number_table_find(&context->numbers, cm->qpn);
		if (entry)
			return (struct queue_pair *)entry->value;
	}
	return NULL;
}

void cm_channel_add(struct rdma_event_channel *channel)
{
	struct channel *known = calloc(1, sizeof(*known));

	if (!known) {
		cm_has_strangers = true;
		return;
	}
	known->channel = channel;
	TAILQ_INSERT_TAIL(&channels, known, link);
}

void cm_channel_remove(struct rdma_event_channel *channel)
{
	struct channel *known;

	TAILQ_FOREACH(known, &channels, link)
	{
		if (known->channel != channel)
			continue;
		TAILQ_REMOVE(&channels, known, link);
		free(known);
		return;
	}
}

bool cm_knows_fd(int fd)
{
	const struct channel *known;

	TAILQ_FOREACH(known, &channels, link)
	{
		if (known->channel->fd == fd)
			return true;
	}
	return false;
}

struct cm_id *cm_call_begin(const struct rdma_cm_id *id)
{
	struct cm_id *cm;

	connection_depth++;
	LOCK_GUARD(&cm_lock);
	cm = cm_id_find(id);
	if (cm)
		cm->busy++;
	return cm;
}

void cm_call_end(struct cm_id *cm)
{
	connection_depth--;
	if (!cm)
		return;
	LOCK_GUARD(&cm_lock);
	cm->busy--;
}

void connection_manager_forget(void)
{
	pthread_mutex_init(&cm_lock, NULL);
	pthread_cond_init(&cm_changed, NULL);
	connection_news_forget();
	connection_devices_forget();
}
