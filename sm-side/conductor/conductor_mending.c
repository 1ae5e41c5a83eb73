/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * GUIDs that a road back has left at two slots: the host that did not let go of them is told what
 * belongs in its slot. Each is told for itself, by an order of no migration and of an epoch of its
 * own, whatever else is under way. One that does not do it is told again by time: nobody gets a
 * lease before it has.
 */
#include "sm-side/conductor/conductor_state.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <event2/event.h>

#include "notifier/base/log.h"
#include "notifier/base/monotonic.h"
#include "sm-side/migration/orders.h"
#include "sm-side/migration/owners.h"

/* Each order writes a durable epoch, so a host that cannot is asked less and less often. */
enum { AGAIN_FIRST_S = 1, AGAIN_MOST_S = 60 };

/* One that has been told and has not answered. */
struct mending {
	struct mending *next;
	uint64_t migration; /* that has left it so */
	uint64_t epoch;
	char host[MIGRATION_NAME_BYTES], slot[MIGRATION_NAME_BYTES];
};

/* A host that is looked at again when its time has come. */
struct mending_again {
	struct mending_again *next;
	struct conductor *conductor;
	struct event *timer;
	unsigned pause_s; /* the next one */
	char host[MIGRATION_NAME_BYTES];
};

static bool is_told(const struct conductor *c, const char *host, const char *slot)
{
	const struct mending *m = c->mendings;

	while (m && (strcmp(m->host, host) || strcmp(m->slot, slot)))
		m = m->next;
	return m;
}

static struct mending *mending_add(
        struct conductor *c, const struct migration *left_by, const struct order *order)
{
	struct mending *m = calloc(1, sizeof(*m));

	if (!m)
		return NULL;
	m->migration = left_by->intent.id;
	m->epoch = order->event.epoch;
	snprintf(m->host, sizeof(m->host), "%s", order->host.host);
	snprintf(m->slot, sizeof(m->slot), "%s", order->host.slot);
	m->next = c->mendings;
	c->mendings = m;
	return m;
}

static void mending_end(struct conductor *c, struct mending **at)
{
	struct mending *m = *at;

	*at = m->next;
	free(m);
}

/* An order of no migration: 0 is what a HELLO says when none is open. */
static int tell(struct conductor *c, const struct owners_second *second)
{
	struct migration *m = second->left_by;
	struct order order;
	int err = conductor_record_epoch(c, c->ledger->epoch + 1);

	if (!err)
		err = order_fill_host(&order, m, second->action, NULL, monotonic_us());
	if (err)
		return err;
	order.event.migration = 0;
	order.event.epoch = c->ledger->epoch;
	order.event.deadline_ms = c->deadlines->guids_ms;
	if (!mending_add(c, m, &order))
		return -1;
	log_warn("migration",
	        "%" PRIu64 "/%" PRIu64
	        " slot %s of %s still shows the GUID of %s: it is given its own",
	        m->intent.id, order.event.epoch, order.host.slot, order.host.host, m->intent.vm);
	err = root_send(c->root, &order.event);
	if (err)
		mending_end(c, &c->mendings);
	return err;
}

/* ---- again by time ---- */

static void again_free(struct mending_again **at)
{
	struct mending_again *again = *at;

	*at = again->next;
	event_free(again->timer);
	free(again);
}

static struct mending_again **again_find(struct conductor *c, const char *host)
{
	struct mending_again **at = &c->mendings_again;

	while (*at && strcmp((*at)->host, host))
		at = &(*at)->next;
	return at;
}

static void again_end(struct conductor *c, const char *host)
{
	struct mending_again **at = again_find(c, host);

	if (*at)
		again_free(at);
}

static void again_due(evutil_socket_t unused, short what, void *context)
{
	struct mending_again *again = context;

	conductor_mend_guids(again->conductor, again->host);
}

static struct mending_again *again_make(struct conductor *c, const char *host)
{
	struct mending_again *again = calloc(1, sizeof(*again));
	struct event *timer = again ? evtimer_new(c->base, again_due, again) : NULL;

	if (!timer) {
		free(again);
		return NULL;
	}
	again->conductor = c;
	again->timer = timer;
	again->pause_s = AGAIN_FIRST_S;
	snprintf(again->host, sizeof(again->host), "%s", host);
	again->next = c->mendings_again;
	c->mendings_again = again;
	return again;
}

static void again_later(struct conductor *c, const char *host)
{
	struct mending_again *again = *again_find(c, host);
	struct timeval pause = {0};

	if (!again)
		again = again_make(c, host);
	if (!again) {
		log_error("owners", "%s cannot be told again by time: no memory", host);
		return;
	}
	if (evtimer_pending(again->timer, NULL))
		return;
	pause.tv_sec = again->pause_s;
	evtimer_add(again->timer, &pause);
	again->pause_s = 2 * again->pause_s < AGAIN_MOST_S ? 2 * again->pause_s : AGAIN_MOST_S;
}

/* Also where slot or VM is under way: not every end of that comes by here. */
static void look_again(struct conductor *c, const char *host)
{
	static const struct under_way nothing = {0};
	struct owners_second second = {0};
	bool is_right = true, may_be_told = false;

	while (inventory_is_connected(root_inventory(c->root), host) &&
	        owners_find_second(root_inventory(c->root), &nothing, c->ledger, host, &second)) {
		is_right = false;
		may_be_told |= !is_told(c, host, second.slot->name);
	}
	if (is_right)
		again_end(c, host);
	else if (may_be_told)
		again_later(c, host);
}

/* ---- for the other rooms ---- */

static void tell_all(struct conductor *c, const char *host)
{
	struct owners_second second = {0};
	struct under_way under_way;

	if (!inventory_is_connected(root_inventory(c->root), host) ||
	        !conductor_under_way(c, &under_way))
		return;
	while (owners_find_second(root_inventory(c->root), &under_way, c->ledger, host, &second))
		if (!is_told(c, host, second.slot->name) && tell(c, &second))
			log_error("owners", "%s could not be told to", host);
	free(under_way.migrations);
}

void conductor_mend_guids(struct conductor *c, const char *host)
{
	tell_all(c, host);
	look_again(c, host);
}

void conductor_mend_guids_again(struct conductor *c, const char *host)
{
	struct mending **at = &c->mendings;

	while (*at)
		if (!strcmp((*at)->host, host))
			mending_end(c, at);
		else
			at = &(*at)->next;
	again_end(c, host);
	conductor_mend_guids(c, host);
	/* What others show may belong to a VM there. */
	for (const struct inventory_host *h = root_inventory(c->root)->hosts; h; h = h->next)
		if (!*again_find(c, h->name))
			conductor_mend_guids(c, h->name);
}

bool conductor_mended_guids(struct conductor *c, const Tether__Answer *answer)
{
	struct mending **at = &c->mendings;
	char host[MIGRATION_NAME_BYTES];

	while (*at && (*at)->epoch != answer->epoch)
		at = &(*at)->next;
	if (answer->migration || !*at)
		return false;
	conductor_result_take(c, (*at)->host, answer->result);
	if (answer->outcome != TETHER__OUTCOME__OUTCOME_DONE)
		log_error("migration",
		        "%" PRIu64 "/%" PRIu64 " %s could not set the GUIDs of slot %s",
		        (*at)->migration, (*at)->epoch, (*at)->host, (*at)->slot);
	snprintf(host, sizeof(host), "%s", (*at)->host);
	mending_end(c, at);
	look_again(c, host);
	return true;
}

void conductor_mendings_clear(struct conductor *c)
{
	while (c->mendings)
		mending_end(c, &c->mendings);
	while (c->mendings_again)
		again_free(&c->mendings_again);
}
