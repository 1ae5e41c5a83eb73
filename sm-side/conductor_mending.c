/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * GUIDs that a road back has left at two slots: the host that did not let go of them is told what
 * belongs in its slot. Each is told for itself, by an order of no migration and of an epoch of its
 * own, whatever else is under way.
 */
#include "sm-side/conductor_state.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "notifier/base/log.h"
#include "notifier/base/monotonic.h"
#include "sm-side/orders.h"
#include "sm-side/owners.h"

/* One that has been told and has not answered. */
struct mending {
	struct mending *next;
	uint64_t epoch;
	char host[MIGRATION_NAME_BYTES], slot[MIGRATION_NAME_BYTES];
};

static bool is_told(const struct conductor *c, const char *host, const char *slot)
{
	const struct mending *m = c->mendings;

	while (m && (strcmp(m->host, host) || strcmp(m->slot, slot)))
		m = m->next;
	return m;
}

static struct mending *mending_add(struct conductor *c, const struct order *order)
{
	struct mending *m = calloc(1, sizeof(*m));

	if (!m)
		return NULL;
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
	if (!mending_add(c, &order))
		return -1;
	log_warn("migration", "slot %s of %s still shows the GUID of %s: it is given its own",
	        order.host.slot, order.host.host, m->intent.vm);
	err = root_send(c->root, &order.event);
	if (err)
		mending_end(c, &c->mendings);
	return err;
}

void conductor_mend_guids(struct conductor *c, const char *host)
{
	struct owners_second second = {0};
	struct under_way under_way;

	if (!inventory_is_connected(root_inventory(c->root), host) ||
	        !conductor_under_way(c, &under_way))
		return;
	while (owners_find_second(root_inventory(c->root), &under_way, c->ledger, host, &second))
		if (!is_told(c, host, second.slot->name) && tell(c, &second))
			log_error("migration", "%s could not be told to", host);
	free(under_way.migrations);
}

void conductor_mend_guids_again(struct conductor *c, const char *host)
{
	struct mending **at = &c->mendings;

	while (*at)
		if (!strcmp((*at)->host, host))
			mending_end(c, at);
		else
			at = &(*at)->next;
	conductor_mend_guids(c, host);
}

bool conductor_mended_guids(struct conductor *c, const Tether__Answer *answer)
{
	struct mending **at = &c->mendings;

	while (*at && (*at)->epoch != answer->epoch)
		at = &(*at)->next;
	if (answer->migration || !*at)
		return false;
	root_result_take(c->root, (*at)->host, answer->result);
	if (answer->outcome != TETHER__OUTCOME__OUTCOME_DONE)
		log_error("migration", "%s could not set the GUIDs of slot %s", (*at)->host,
		        (*at)->slot);
	mending_end(c, at);
	return true;
}

void conductor_mendings_clear(struct conductor *c)
{
	while (c->mendings)
		mending_end(c, &c->mendings);
}
