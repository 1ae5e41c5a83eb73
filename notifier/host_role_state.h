/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/* What the host role knows; shared by host_role.c and host_orders.c, and by nobody else. */
#ifndef TETHER_HOST_ROLE_STATE_H
#define TETHER_HOST_ROLE_STATE_H

#include <stdbool.h>

#include "notifier/agent_relay.h"
#include "notifier/driver/driver.h"
#include "notifier/link/guest_links.h"
#include "notifier/driver/host_inventory.h"
#include "notifier/host_role.h"
#include "notifier/notices/host_signal.h"
#include "notifier/link/shared_rates.h"
#include "notifier/link/vm_links.h"

struct order_run;
struct order_apart;

struct host_role {
	struct event_base *base;
	const struct agent_settings *settings;
	struct agent_relay agent;   /* it tells the root when the inventory is known */
	struct host_signal *signal; /* NULL: it hears no notices */
	struct shared_rates *rates; /* of VMs */
	struct vm_links *links;
	struct guest_links *guests;
	struct driver *driver;
	struct event *inventory_again;
	bool inventory_wanted;     /* asked for once more */
	bool stocktaking;          /* the driver is being asked */
	struct order_apart *apart; /* orders of which it cannot say what they have done */
	struct host_inventory inventory;
	struct order_run *runs; /* orders under way, one of a VM at most */
};

/* host_stock.c */
/* Ask the driver what there is; once more, if it is being asked. */
void host_role_take_stock(struct host_role *role);
/* The driver begins with @order. */
void host_stock_apart(struct host_role *role, const Tether__HostOrder *order);
int host_stock_create(struct host_role *role);
void host_stock_clear(struct host_role *role);

/* host_role.c */
/* Take over what the driver says there is; @fresh is emptied. VMs that are new get their socket,
 * others lose theirs. */
void host_role_inventory(struct host_role *role, struct host_inventory *fresh);
/* The socket of @vm stands and its processes are waited for; or not any more. -errno */
int host_role_vm_open(struct host_role *role, const char *vm);
void host_role_vm_close(struct host_role *role, const char *vm);

/* host_orders.c: carry out event->order. */
void host_order(struct host_role *role, const Tether__Event *event);
/* Each that is under way. */
void host_orders_each(struct host_role *role,
        void (*each)(struct host_role *role, const Tether__HostOrder *order));
/* After the driver was closed: no order is under way any more. */
void host_orders_clear(struct host_role *role);

#endif
