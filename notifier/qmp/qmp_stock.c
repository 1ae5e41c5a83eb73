/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include "notifier/qmp/qmp_stock.h"

#include <errno.h>
#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "notifier/base/cleanup.h"
#include "notifier/base/log.h"
#include "notifier/base/timer.h"
#include "notifier/driver/host_inventory.h"
#include "notifier/qmp/qmp_inventory.h"
#include "notifier/qmp/qmp_settings.h"
#include "notifier/qmp/qmp_talk.h"

enum {
	ASKED_AT_A_TIME = 16,
	/* Of the whole time one has so little, that some may be silent. */
	SHARE = 4,
	ERROR_SIZE = 256,
};

/* One VM that is being asked. */
struct asked {
	struct qmp_stock *stock;
	struct qmp_talk *talk; /* NULL: the place is free */
	size_t index;
	bool is_again;
};

struct qmp_stock {
	struct event_base *base;
	struct qmp_stock_settings settings;
	struct qmp_rows rows;
	bool *is_touched; /* of each VM */
	struct asked asked[ASKED_AT_A_TIME];
	size_t asked_count;
	size_t next; /* VM */
	struct event *go_on, *deadline;
	bool is_late;
};

static const struct qmp_vm *vm_at(const struct qmp_stock *stock, size_t index)
{
	return &stock->rows.settings->vms[index];
}

static void stock_end(struct qmp_stock *stock)
{
	struct host_inventory fresh = {0};
	char error[ERROR_SIZE] = "";
	int err;

	for (size_t i = 0; i < stock->rows.settings->vms_count; i++)
		if (stock->is_touched[i])
			qmp_rows_keep(&stock->rows, i, stock->settings.known);
	err = qmp_rows_tell(&stock->rows, &fresh, error, sizeof(error));

	evtimer_del(stock->deadline);
	evtimer_del(stock->go_on);
	/* It may be destroyed there. */
	stock->settings.ended(stock->settings.context, err ? NULL : &fresh, error);
	host_inventory_clear(&fresh);
}

/* Of one that does not answer it is certain that it is here, though nobody may know what it has. */
static void silent(struct qmp_stock *stock, size_t index, const struct qmp_order *order)
{
	log_warn("qmp", "inventory: %s; what was known counts",
	        order ? order->text : "no memory to ask");
	qmp_rows_keep(&stock->rows, index, stock->settings.known);
	if (order && order->err == -ETIMEDOUT)
		stock->rows.vm_is_here[index] = true;
}

static void ask(struct qmp_stock *stock, struct asked *asked, size_t index, bool is_again);

static void on_ended(void *context, struct qmp_talk *talk, const struct qmp_order *order)
{
	struct asked *asked = context;
	struct qmp_stock *stock = asked->stock;
	bool was_reached = *order->seen.status != 0;

	asked->talk = NULL;
	stock->asked_count--;
	if (order->err && order->err != -ETIMEDOUT && !asked->is_again) {
		/* It has ended, perhaps: then nobody listens any more. */
		ask(stock, asked, asked->index, true);
	} else if (order->err) {
		silent(stock, asked->index, order);
	} else if (was_reached) {
		qmp_rows_seen(&stock->rows, asked->index, &order->seen);
		if (stock->rows.vm_is_here[asked->index])
			stock->settings.here(
			        stock->settings.context, vm_at(stock, asked->index)->name);
	}
	qmp_talk_destroy(talk);
	timer_set(stock->go_on, 0);
}

static struct asked *place_free(struct qmp_stock *stock)
{
	for (size_t i = 0; i < ASKED_AT_A_TIME; i++)
		if (!stock->asked[i].talk)
			return &stock->asked[i];
	return NULL;
}

static unsigned share_ms(const struct qmp_stock *stock)
{
	return stock->settings.deadline_ms / SHARE + 1;
}

static void ask(struct qmp_stock *stock, struct asked *asked, size_t index, bool is_again)
{
	struct qmp_talk_settings settings = {
	        .request = {.action = TETHER__HOST_ACTION__HOST_NOTHING,
	                .settings = stock->rows.settings,
	                .vm = vm_at(stock, index),
	                .peer_host = ""},
	        .log_name = "inventory",
	        .deadline_ms = share_ms(stock),
	        .end_ms = share_ms(stock),
	        .ended = on_ended,
	        .context = asked};

	asked->stock = stock;
	asked->index = index;
	asked->is_again = is_again;
	asked->talk = qmp_talk_start(stock->base, &settings);
	if (asked->talk)
		stock->asked_count++;
	else
		silent(stock, index, NULL);
}

static void on_go_on(evutil_socket_t fd, short what, void *at)
{
	struct qmp_stock *stock = at;
	struct asked *asked;

	while (stock->next < stock->rows.settings->vms_count && (asked = place_free(stock))) {
		size_t index = stock->next++;

		if (stock->is_late ||
		        stock->settings.is_busy(stock->settings.context, vm_at(stock, index)->name))
			stock->is_touched[index] = true;
		else
			ask(stock, asked, index, false);
	}
	if (!stock->asked_count && stock->next == stock->rows.settings->vms_count)
		stock_end(stock);
}

/* Who is being asked has his share of it; nobody else is any more. */
static void on_deadline(evutil_socket_t fd, short what, void *at)
{
	struct qmp_stock *stock = at;

	log_warn("qmp", "inventory: time is over at VM %zu of %zu", stock->next,
	        stock->rows.settings->vms_count);
	stock->is_late = true;
}

struct qmp_stock *qmp_stock_take(struct event_base *base, const struct qmp_stock_settings *settings)
{
	struct qmp_stock *stock = calloc(1, sizeof(*stock));

	if (!stock)
		return NULL;
	stock->base = base;
	stock->settings = *settings;
	stock->go_on = evtimer_new(base, on_go_on, stock);
	stock->deadline = evtimer_new(base, on_deadline, stock);
	stock->is_touched = calloc(settings->settings->vms_count + 1, sizeof(*stock->is_touched));
	if (!qmp_rows_make(&stock->rows, settings->settings) && stock->is_touched && stock->go_on &&
	        stock->deadline && !timer_set(stock->go_on, 0) &&
	        !timer_set(stock->deadline, settings->deadline_ms - settings->deadline_ms / SHARE))
		return stock;
	qmp_stock_destroy(stock);
	return NULL;
}

/* QEMU has one connection at a time, and an order does not wait for the next one. */
static void asked_drop(struct qmp_stock *stock, size_t index)
{
	for (size_t i = 0; i < ASKED_AT_A_TIME; i++) {
		struct asked *asked = &stock->asked[i];

		if (!asked->talk || asked->index != index)
			continue;
		qmp_talk_destroy(asked->talk);
		asked->talk = NULL;
		stock->asked_count--;
		timer_set(stock->go_on, 0);
	}
}

void qmp_stock_touch(struct qmp_stock *stock, const char *vm)
{
	for (size_t i = 0; i < stock->rows.settings->vms_count; i++) {
		if (strcmp(vm_at(stock, i)->name, vm) != 0)
			continue;
		stock->is_touched[i] = true;
		asked_drop(stock, i);
	}
}

void qmp_stock_destroy(struct qmp_stock *stock)
{
	if (!stock)
		return;
	for (size_t i = 0; i < ASKED_AT_A_TIME; i++)
		qmp_talk_destroy(stock->asked[i].talk);
	if (stock->go_on)
		event_free(stock->go_on);
	if (stock->deadline)
		event_free(stock->deadline);
	qmp_rows_clear(&stock->rows);
	free(stock->is_touched);
	free(stock);
}
