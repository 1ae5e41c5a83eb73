/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include "preload/connection_news.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include "notifier/base/log.h"

enum { BELL_MS = 1000 };

struct news {
	struct rdma_cm_event event;
	struct rdma_event_channel *channel;
	struct rdma_cm_id *bell; /* NULL: none rings, or it has rung */
	bool is_shown;           /* the program has it */
	bool is_void;            /* nobody waits for it; who has said so silences the bell */
	TAILQ_ENTRY(news) link;
};

static TAILQ_HEAD(news_list, news) all = TAILQ_HEAD_INITIALIZER(all);

static int resolve(struct rdma_cm_id *bell, struct sockaddr *to)
{
	return to->sa_family ? rdmacm.rdma_resolve_addr(bell, NULL, to, BELL_MS) : -1;
}

/* Whether there is anything at that address is all the same: it is told. */
static struct rdma_cm_id *ring(struct rdma_event_channel *channel, struct rdma_cm_id *id)
{
	struct sockaddr_in self = {
	        .sin_family = AF_INET, .sin_port = htons(1), .sin_addr = {htonl(INADDR_LOOPBACK)}};
	struct rdma_cm_id *bell;

	if (rdmacm.rdma_create_id(channel, &bell, NULL, RDMA_PS_TCP))
		return NULL;
	if (!resolve(bell, (struct sockaddr *)&self) || !resolve(bell, rdma_get_peer_addr(id)))
		return bell;
	rdmacm.rdma_destroy_id(bell);
	return NULL;
}

void connection_news_raise(struct rdma_cm_id *id, enum rdma_cm_event_type what, int status)
{
	struct news *news = calloc(1, sizeof(*news));

	if (!news) {
		log_error("cm", "no memory: an event of a connection is not told");
		return;
	}
	news->event = (struct rdma_cm_event){.id = id, .event = what, .status = status};
	news->channel = id->channel;
	TAILQ_INSERT_TAIL(&all, news, link);
	news->bell = ring(news->channel, id);
	if (!news->bell)
		log_warn("cm", "an event of a connection waits for the next one: %s",
		        strerror(errno));
}

static struct news *of_bell(const struct rdma_cm_id *bell)
{
	struct news *news;

	TAILQ_FOREACH(news, &all, link)
	{
		if (bell && news->bell == bell)
			return news;
	}
	return NULL;
}

bool connection_news_is_bell(const struct rdma_cm_id *id)
{
	return of_bell(id);
}

static void news_free(struct news *news)
{
	TAILQ_REMOVE(&all, news, link);
	free(news);
}

struct rdma_cm_event *connection_news_take(struct rdma_cm_id *bell, struct rdma_cm_event *rang)
{
	struct news *news = of_bell(bell);

	rdmacm.rdma_ack_cm_event(rang);
	if (news->is_void)
		return NULL;
	rdmacm.rdma_destroy_id(bell);
	news->bell = NULL;
	news->is_shown = true;
	return &news->event;
}

struct rdma_cm_event *connection_news_unrung(const struct rdma_event_channel *channel)
{
	struct news *news;

	TAILQ_FOREACH(news, &all, link)
	{
		if (news->channel != channel || news->bell || news->is_shown)
			continue;
		news->is_shown = true;
		return &news->event;
	}
	return NULL;
}

bool connection_news_acknowledge(struct rdma_cm_event *event)
{
	struct news *news;

	TAILQ_FOREACH(news, &all, link)
	{
		if (&news->event != event)
			continue;
		news_free(news);
		pthread_cond_broadcast(&cm_changed);
		return true;
	}
	return false;
}

static bool is_unacknowledged(const struct rdma_cm_id *id)
{
	const struct news *news;

	TAILQ_FOREACH(news, &all, link)
	{
		if (news->event.id == id && news->is_shown)
			return true;
	}
	return false;
}

static struct news *unread_of(const struct rdma_cm_id *id)
{
	struct news *news;

	TAILQ_FOREACH(news, &all, link)
	{
		if (news->event.id == id && !news->is_shown)
			return news;
	}
	return NULL;
}

/* Who has read that it rang, and waits for the lock, acknowledges that first. */
static void silence(struct news *news)
{
	struct rdma_cm_id *bell = news->bell;

	news->is_void = true;
	news->event.id = NULL;
	if (bell) {
		pthread_mutex_unlock(&cm_lock);
		rdmacm.rdma_destroy_id(bell);
		pthread_mutex_lock(&cm_lock);
	}
	news_free(news);
}

void connection_news_end(struct rdma_cm_id *id)
{
	struct news *news;

	/* A call that waits has left it there, and would acknowledge it now. */
	if (id->event && connection_news_acknowledge(id->event))
		id->event = NULL;
	while ((news = unread_of(id)))
		silence(news);
	while (is_unacknowledged(id))
		pthread_cond_wait(&cm_changed, &cm_lock);
}

static struct news *elsewhere_of(const struct rdma_cm_id *id)
{
	struct news *news;

	TAILQ_FOREACH(news, &all, link)
	{
		if (news->event.id == id && !news->is_shown && news->channel != id->channel)
			return news;
	}
	return NULL;
}

void connection_news_move(struct rdma_cm_id *id)
{
	struct news *news;

	while ((news = elsewhere_of(id))) {
		connection_news_raise(id, news->event.event, news->event.status);
		silence(news);
	}
}

void connection_news_close(const struct rdma_event_channel *channel)
{
	struct news *news, *next;

	for (news = TAILQ_FIRST(&all); news; news = next) {
		next = TAILQ_NEXT(news, link);
		if (news->channel != channel || news->is_shown)
			continue;
		if (news->bell)
			rdmacm.rdma_destroy_id(news->bell);
		news_free(news);
	}
}

void connection_news_forget(void)
{
	TAILQ_INIT(&all);
}
