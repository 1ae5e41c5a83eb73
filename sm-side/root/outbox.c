/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include "sm-side/root/outbox.h"

#include <errno.h>
#include <stdlib.h>

#include "notifier/wire/message.h"

enum { DEADLINE_MS = 5000 }; /* of an event that names none */

struct entry {
	struct entry *next;
	Tether__Event *event;
	uint64_t put_ms, until_ms;
};

struct outbox_host {
	struct outbox_host *next;
	uint64_t sequence;
	struct entry *first, **end;
	size_t count;
	uint64_t hint_ms; /* while something waits */
};

struct outbox {
	struct outbox_host *hosts;
};

struct outbox *outbox_create(void)
{
	return calloc(1, sizeof(struct outbox));
}

static void entry_free(struct entry *entry)
{
	tether__event__free_unpacked(entry->event, NULL);
	free(entry);
}

static struct entry *entry_unlink(struct outbox_host *host)
{
	struct entry *entry = host->first;

	if (!entry)
		return NULL;
	host->first = entry->next;
	if (!host->first)
		host->end = &host->first;
	host->count--;
	return entry;
}

void outbox_empty(struct outbox_host *host)
{
	struct entry *entry;

	while ((entry = entry_unlink(host)))
		entry_free(entry);
}

void outbox_destroy(struct outbox *outbox)
{
	if (!outbox)
		return;
	while (outbox->hosts) {
		struct outbox_host *host = outbox->hosts;

		outbox->hosts = host->next;
		outbox_empty(host);
		free(host);
	}
	free(outbox);
}

struct outbox_host *outbox_host_add(struct outbox *outbox)
{
	struct outbox_host *host = calloc(1, sizeof(*host));

	if (!host)
		return NULL;
	host->end = &host->first;
	host->next = outbox->hosts;
	outbox->hosts = host;
	return host;
}

int outbox_put(struct outbox_host *host, const Tether__Event *event, uint64_t now_ms,
        uint64_t hint_ms, uint64_t *sequence)
{
	struct entry *entry;

	if (host->count == OUTBOX_EVENTS_MAX)
		return -ENOSPC;
	entry = calloc(1, sizeof(*entry));
	if (entry)
		entry->event = message_copy(&event->base);
	if (!entry || !entry->event) {
		free(entry);
		return -ENOMEM;
	}
	entry->put_ms = now_ms;
	entry->until_ms = now_ms + (event->deadline_ms ? event->deadline_ms : DEADLINE_MS);
	if (!host->first)
		host->hint_ms = hint_ms;
	*host->end = entry;
	host->end = &entry->next;
	host->count++;
	*sequence = ++host->sequence;
	return 0;
}

uint64_t outbox_sequence(const struct outbox_host *host)
{
	return host->sequence;
}

static uint32_t left_ms(uint32_t ms, uint64_t waited_ms)
{
	if (!ms)
		return 0;
	return ms > waited_ms ? ms - (uint32_t)waited_ms : 1;
}

Tether__Event *outbox_take(struct outbox_host *host, uint64_t now_ms)
{
	struct entry *entry = entry_unlink(host);
	Tether__Event *event;

	if (!entry)
		return NULL;
	event = entry->event;
	event->deadline_ms = left_ms(event->deadline_ms, now_ms - entry->put_ms);
	event->overall_ms = left_ms(event->overall_ms, now_ms - entry->put_ms);
	free(entry);
	return event;
}

uint64_t outbox_next(const struct outbox *outbox)
{
	uint64_t next = UINT64_MAX;

	for (const struct outbox_host *host = outbox->hosts; host; host = host->next)
		if (host->first && host->hint_ms < next)
			next = host->hint_ms;
	return next;
}

static void let_go(struct outbox_host *host, uint64_t now_ms)
{
	while (host->first && host->first->until_ms <= now_ms)
		entry_free(entry_unlink(host));
}

struct outbox_host *outbox_overdue(struct outbox *outbox, uint64_t now_ms, unsigned again_ms)
{
	for (struct outbox_host *host = outbox->hosts; host; host = host->next) {
		if (!host->first || host->hint_ms > now_ms)
			continue;
		let_go(host, now_ms);
		if (!host->first)
			continue;
		host->hint_ms = now_ms + again_ms;
		return host;
	}
	return NULL;
}
