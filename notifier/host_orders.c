/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/* Orders of tether-smd for this host: checked, handed to the driver, answered. */
#include "notifier/host_role_state.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "notifier/base/die_point.h"
#include "notifier/base/log.h"
#include "notifier/base/monotonic.h"
#include "notifier/wire/answer.h"
#include "notifier/wire/message.h"

/* An order under way: what its answer must say, and what it changes when it is done. */
struct order_run {
	struct order_run *next;
	struct order_run *after; /* begins when this one has ended */
	struct driver_job *job;
	struct host_role *role;
	uint64_t until_ms;
	struct event_key event;
	Tether__HostOrder *order;
	bool vm_is_new; /* its socket was opened for this order */
};

static void run_destroy(struct order_run *run)
{
	if (run->order)
		tether__host_order__free_unpacked(run->order, NULL);
	free(run);
}

static struct order_run *run_create(struct host_role *role, const Tether__Event *event)
{
	struct order_run *run = calloc(1, sizeof(*run));

	if (!run)
		return NULL;
	run->role = role;
	run->event = event_key(event);
	run->until_ms = monotonic_ms() + event->deadline_ms;
	run->order = message_copy(&event->order->base);
	if (run->order)
		return run;
	run_destroy(run);
	return NULL;
}

static void run_answer(struct order_run *run, Tether__Outcome outcome, const char *reason,
        const char *text, const struct driver_result *result)
{
	struct host_inventory *inventory = &run->role->inventory;
	Tether__HostResult host_result = TETHER__HOST_RESULT__INIT;
	Tether__Answer answer;
	Tether__Refusal refusal = TETHER__REFUSAL__INIT;
	Tether__Refusal *refusals[] = {&refusal};

	if (result) {
		host_result.exit_status = result->exit_status;
		host_result.output = (char *)result->output;
		host_result.elapsed_us = result->elapsed_us;
		host_result.copy_ms = result->copy_ms;
	}
	host_result.host = run->role->settings->name;
	host_result.vms = inventory->vms;
	host_result.n_vms = inventory->vms_count;
	host_result.slots = inventory->slots;
	host_result.n_slots = inventory->slots_count;
	refusal.reason = (char *)reason;
	refusal.text = (char *)text;
	answer_begin(&answer, run->event);
	answer.outcome = outcome;
	answer.refusals = refusals;
	answer.n_refusals = reason ? 1 : 0;
	answer.result = &host_result;
	relay_order_done(run->role->agent.relay, &answer, monotonic_ms());
	agent_relay_fed(&run->role->agent);
}

static void run_refuse(struct order_run *run, const char *reason, const char *text)
{
	run_answer(run, TETHER__OUTCOME__OUTCOME_REFUSED, reason, text, NULL);
	run_destroy(run);
}

/* Why this slot will not do; NULL: it will. */
static const char *slot_objection(
        const struct host_role *role, const Tether__HostOrder *order, char *text, size_t size)
{
	const Tether__Slot *slot = host_inventory_slot(&role->inventory, order->slot);
	const char *lacking;

	if (!slot) {
		snprintf(text, size, "there is no slot \"%.64s\" here", order->slot);
		return "no-such-slot";
	}
	if (*slot->vm && strcmp(slot->vm, order->vm)) {
		snprintf(text, size, "slot %s is held by %s", slot->name, slot->vm);
		return "slot-busy";
	}
	if (!order->attributes || !slot->attributes)
		return NULL;
	lacking = attributes_lacking(slot->attributes, order->attributes);
	if (!lacking)
		return NULL;
	snprintf(text, size, "slot %s offers less %s than the VM has seen", slot->name, lacking);
	return "fewer-capabilities";
}

static const char *failure_reason(int err)
{
	switch (err) {
	case -ETIMEDOUT:
		return "driver-timeout";
	case -ECANCELED:
		return "superseded";
	case -EBADMSG:
		return "driver-answer";
	default:
		return "driver-failed";
	}
}

static int change_apply(struct order_run *run)
{
	struct host_role *role = run->role;
	const Tether__HostOrder *order = run->order;

	switch (order->action) {
	case TETHER__HOST_ACTION__HOST_DETACH:
		return host_inventory_detached(&role->inventory, order->vm, order->slot);
	case TETHER__HOST_ACTION__HOST_MOVE:
		host_role_vm_close(role, order->vm);
		return 0;
	case TETHER__HOST_ACTION__HOST_SET_GUIDS:
		host_inventory_guids(
		        &role->inventory, order->slot, order->node_guid, order->port_guid);
		return 0;
	case TETHER__HOST_ACTION__HOST_ATTACH:
	case TETHER__HOST_ACTION__HOST_GIVE_BACK:
		return host_inventory_attached(&role->inventory, order->vm, order->slot);
	default:
		return 0;
	}
}

/* What has changed here now that it is done; what the driver itself says counts more. */
static int run_apply(struct order_run *run, const struct driver_result *result)
{
	int err = change_apply(run);

	if (!err && result->inventory)
		host_role_inventory(run->role, result->inventory);
	return err;
}

static void run_begin(struct order_run *run);

static void runs_remove(struct order_run *run)
{
	struct order_run **at = &run->role->runs;

	while (*at && *at != run)
		at = &(*at)->next;
	if (*at)
		*at = run->next;
}

/* What a driver that failed has left behind, the driver alone knows. */
static bool leaves_doubt(const struct order_run *run)
{
	return run->order->action != TETHER__HOST_ACTION__HOST_CHECK &&
	       run->order->action != TETHER__HOST_ACTION__HOST_NOTHING;
}

static void run_done(void *context, const struct driver_result *result)
{
	struct order_run *run = context, *after = run->after;
	struct host_role *role = run->role;
	int err = result->err ? result->err : run_apply(run, result);

	runs_remove(run);
	die_point(DIE_ORDERED, driver_verb(run->order->action));
	log_info("host", "migration %" PRIu64 "/%" PRIu64 ": %s %s: %s, %u ms",
	        run->event.migration, run->event.epoch, driver_verb(run->order->action),
	        run->order->vm, err ? result->text : "done", result->elapsed_us / 1000);
	if (err && run->vm_is_new)
		host_role_vm_close(role, run->order->vm);
	role->inventory_wanted |= err && leaves_doubt(run);
	run_answer(run, err ? TETHER__OUTCOME__OUTCOME_FAILED : TETHER__OUTCOME__OUTCOME_DONE,
	        err ? failure_reason(err) : NULL, result->text, result);
	run_destroy(run);
	if (after)
		run_begin(after);
	if (role->inventory_wanted)
		host_role_take_stock(role);
}

/*
 * The VM's processes may come as soon as its VF does, so its socket stands before the
 * driver begins. NULL: it does.
 */
static const char *vm_welcome(struct order_run *run)
{
	struct host_role *role = run->role;
	const char *vm = run->order->vm;

	if (run->order->action != TETHER__HOST_ACTION__HOST_ATTACH &&
	        run->order->action != TETHER__HOST_ACTION__HOST_GIVE_BACK)
		return NULL;
	run->vm_is_new = !host_inventory_vm(&role->inventory, vm);
	if (!host_role_vm_open(role, vm))
		return NULL;
	if (run->vm_is_new)
		host_role_vm_close(role, vm);
	return "no socket could be opened for the VM";
}

static void run_start(struct order_run *run)
{
	struct host_role *role = run->role;
	uint64_t now_ms = monotonic_ms();
	struct driver_request request = {.order = run->order,
	        .socket = vm_links_path(role->links, run->order->vm),
	        .socket_dir = role->settings->socket_dir,
	        .deadline_ms = run->until_ms > now_ms ? run->until_ms - now_ms : 0,
	        .migration = run->event.migration,
	        .epoch = run->event.epoch};

	die_point(DIE_ORDER, driver_verb(run->order->action));
	host_stock_apart(role, run->order);
	run->job = role->driver->ops->start(role->driver, &request, run_done, run);
	if (run->job) {
		run->next = role->runs;
		role->runs = run;
		return;
	}
	log_error("host", "migration %" PRIu64 "/%" PRIu64 ": the driver cannot be started: %s",
	        run->event.migration, run->event.epoch, strerror(errno));
	if (run->vm_is_new)
		host_role_vm_close(role, run->order->vm);
	run_refuse(run, "driver-failed", "the driver cannot be started");
}

static void run_begin(struct order_run *run)
{
	const char *reason = NULL;
	char text[256];

	if (run->until_ms <= monotonic_ms()) {
		run_refuse(run, "driver-timeout", "its time went by while another order ended");
		return;
	}
	if (run->order->action == TETHER__HOST_ACTION__HOST_CHECK)
		reason = slot_objection(run->role, run->order, text, sizeof(text));
	if (reason) {
		run_refuse(run, reason, text);
		return;
	}
	reason = vm_welcome(run);
	if (reason)
		run_refuse(run, "no-socket", reason);
	else
		run_start(run);
}

static struct order_run *run_of_vm(const struct host_role *role, const char *vm)
{
	struct order_run *run = role->runs;

	while (run && strcmp(run->order->vm, vm))
		run = run->next;
	return run;
}

static bool is_same(const Tether__HostOrder *a, const Tether__HostOrder *b)
{
	return a->action == b->action && !strcmp(a->slot, b->slot) &&
	       a->node_guid == b->node_guid && a->port_guid == b->port_guid && a->link == b->link;
}

/*
 * Of two drivers for one VM nobody could say what they leave. Whoever gives another order has given
 * up the first; the same again (tether-smd was restarted) finds little left to do.
 */
static void run_after(struct order_run *running, struct order_run *run)
{
	if (running->after)
		run_refuse(running->after, "superseded", "a later order for this VM came");
	running->after = run;
	if (!is_same(running->order, run->order))
		running->role->driver->ops->stop(running->job);
}

void host_order(struct host_role *role, const Tether__Event *event)
{
	struct order_run *run = run_create(role, event), *running;

	if (!run)
		return; /* the relay's answer will name this host as missing */
	log_info("host", "migration %" PRIu64 "/%" PRIu64 ": order %s vm %s slot %s",
	        run->event.migration, run->event.epoch, driver_verb(run->order->action),
	        run->order->vm, run->order->slot);
	if (run->order->action > TETHER__HOST_ACTION__HOST_GIVE_BACK) {
		run_refuse(run, "unknown-order", "this agent does not know the order");
		return;
	}
	running = run_of_vm(role, run->order->vm);
	if (running)
		run_after(running, run);
	else
		run_begin(run);
}

void host_orders_each(struct host_role *role,
        void (*each)(struct host_role *role, const Tether__HostOrder *order))
{
	for (const struct order_run *run = role->runs; run; run = run->next)
		each(role, run->order);
}

void host_orders_clear(struct host_role *role)
{
	while (role->runs) {
		struct order_run *run = role->runs;

		role->runs = run->next;
		if (run->after)
			run_destroy(run->after);
		run_destroy(run);
	}
}
