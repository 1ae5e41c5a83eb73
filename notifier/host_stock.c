/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * What there is here, as the driver says it. It is asked beside orders, one of which may take as
 * long as a VM does not let go of its VF: of what such an order has to do with it cannot be said
 * whether the driver saw it before or after, so there the order's own end counts, and the driver is
 * asked once more then.
 */
#include "notifier/host_role_state.h"

#include <errno.h>
#include <event2/event.h>
#include <stdlib.h>
#include <string.h>

#include "notifier/base/cleanup.h"
#include "notifier/base/log.h"
#include "notifier/base/timer.h"
#include "notifier/wire/message.h"

enum { AGAIN_MS = 1000 };

/* One that was under way when the driver was asked, or has begun since. */
struct order_apart {
	struct order_apart *next;
	Tether__HostOrder *order; /* NULL: no memory for it, so nothing that is said counts */
};

static void apart_clear(struct host_role *role)
{
	while (role->apart) {
		struct order_apart *apart = role->apart;

		role->apart = apart->next;
		if (apart->order)
			tether__host_order__free_unpacked(apart->order, NULL);
		free(apart);
	}
}

static bool changes_something(const Tether__HostOrder *order)
{
	return order->action != TETHER__HOST_ACTION__HOST_CHECK &&
	       order->action != TETHER__HOST_ACTION__HOST_NOTHING;
}

static void apart_add(struct host_role *role, const Tether__HostOrder *order)
{
	struct order_apart *apart = changes_something(order) ? calloc(1, sizeof(*apart)) : NULL;

	if (!apart)
		return;
	apart->order = message_copy(&order->base);
	apart->next = role->apart;
	role->apart = apart;
}

void host_stock_apart(struct host_role *role, const Tether__HostOrder *order)
{
	if (role->stocktaking)
		apart_add(role, order);
}

static void stock_again(struct host_role *role)
{
	timer_set(role->inventory_again, AGAIN_MS);
}

/* Of orders that were beside it @fresh says what is known. -ENOMEM */
static int orders_keep(const struct host_role *role, struct host_inventory *fresh)
{
	const struct order_apart *apart = role->apart;
	int err = 0;

	for (; apart && !err; apart = apart->next)
		err = apart->order ? host_inventory_keep(fresh, &role->inventory, apart->order->vm,
		                             apart->order->slot)
		                   : -ENOMEM;
	return err;
}

/* To compare two of them. Without memory they are taken for the same. */
static uint8_t *inventory_pack(const struct host_inventory *inventory, size_t *size)
{
	Tether__Hello hello = TETHER__HELLO__INIT;
	uint8_t *packed;

	hello.vms = inventory->vms;
	hello.n_vms = inventory->vms_count;
	hello.slots = inventory->slots;
	hello.n_slots = inventory->slots_count;
	*size = tether__hello__get_packed_size(&hello);
	packed = malloc(*size + 1);
	if (packed)
		tether__hello__pack(&hello, packed);
	else
		*size = 0;
	return packed;
}

static int take_over(struct host_role *role, struct host_inventory *fresh)
{
	CLEANUP_FREE uint8_t *before = NULL, *after = NULL;
	size_t before_size, after_size;

	before = inventory_pack(&role->inventory, &before_size);
	if (orders_keep(role, fresh))
		return -ENOMEM;
	host_role_inventory(role, fresh);
	after = inventory_pack(&role->inventory, &after_size);
	log_info("host", "%zu VMs, %zu slots", role->inventory.vms_count,
	        role->inventory.slots_count);
	/* A link that stands is not broken for nothing. */
	if (!role->agent.parent || before_size != after_size ||
	        (after_size && memcmp(before, after, after_size) != 0))
		agent_relay_tell(&role->agent);
	return 0;
}

static void stock_taken(void *context, const struct driver_result *result)
{
	struct host_role *role = context;
	bool again = role->inventory_wanted;

	role->stocktaking = false;
	role->inventory_wanted = false;
	if (result->err) {
		log_error("host", "the driver does not say what this host has: %s", result->text);
		stock_again(role);
	} else if (take_over(role, result->inventory)) {
		log_error("host", "no memory for what this host has");
		stock_again(role);
	} else {
		/* When one of them has ended. */
		role->inventory_wanted = role->runs && role->apart;
	}
	apart_clear(role);
	if (again)
		host_role_take_stock(role);
}

void host_role_take_stock(struct host_role *role)
{
	Tether__HostOrder nothing = TETHER__HOST_ORDER__INIT;
	struct driver_request request = {.order = &nothing,
	        .socket_dir = role->settings->socket_dir,
	        .deadline_ms = role->settings->deadlines.inventory_ms};

	if (role->stocktaking) {
		role->inventory_wanted = true;
		return;
	}
	role->inventory_wanted = false;
	host_orders_each(role, apart_add);
	role->stocktaking = role->driver->ops->start(role->driver, &request, stock_taken, role);
	if (role->stocktaking)
		return;
	log_error("host", "the driver cannot be started: %s", strerror(errno));
	apart_clear(role);
	stock_again(role);
}

static void on_again(evutil_socket_t fd, short what, void *at)
{
	host_role_take_stock(at);
}

int host_stock_create(struct host_role *role)
{
	role->inventory_again = evtimer_new(role->base, on_again, role);
	return role->inventory_again ? 0 : -ENOMEM;
}

void host_stock_clear(struct host_role *role)
{
	apart_clear(role);
	if (role->inventory_again)
		event_free(role->inventory_again);
}
