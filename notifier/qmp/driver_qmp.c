/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * The driver speaks to the QEMU of each VM itself, over its QMP socket (notifier/DESIGN.md "The
 * driver"). Which VMs and sockets there are says a file, tether-qmp.conf(5).
 */
#include "notifier/driver/driver.h"

#include <errno.h>
#include <event2/event.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "notifier/base/cleanup.h"
#include "notifier/base/log.h"
#include "notifier/base/timer.h"
#include "notifier/qmp/qmp_known.h"
#include "notifier/qmp/qmp_mark.h"
#include "notifier/qmp/qmp_message.h"
#include "notifier/qmp/qmp_settings.h"
#include "notifier/qmp/qmp_stock.h"
#include "notifier/qmp/qmp_talk.h"
#include "notifier/qmp/qmp_watch.h"
#include "notifier/wire/message.h"

enum {
	LOG_NAME_SIZE = 64,
	TEXT_SIZE = 256,
	/* Of an order's time so much is left to come to an end in: to cancel a migration, say. */
	RESERVE_SHARE = 10,
	RESERVE_MOST_MS = 2000,
};

struct driver_qmp {
	struct driver driver;
	struct event_base *base;
	char *path;
	struct qmp_settings *settings;
	struct driver_job *jobs;
	struct qmp_watches *watches;
	struct qmp_known known;
};

struct driver_job {
	struct driver_job *next;
	struct driver_qmp *owner;
	struct qmp_settings *settings; /* as they were when it began */
	Tether__HostOrder *order;
	char *socket_dir;
	char *moved_to;
	char log_name[LOG_NAME_SIZE];
	uint64_t started_us;
	struct qmp_talk *talk;
	struct qmp_stock *stock;
	struct event *at_once; /* what needs no QEMU */
	char text[TEXT_SIZE];  /* why it cannot be done; "": it is done */
	driver_done done;
	void *context;
};

static void job_destroy(struct driver_job *job)
{
	struct driver_job **at = &job->owner->jobs;

	while (*at && *at != job)
		at = &(*at)->next;
	if (*at)
		*at = job->next;
	qmp_talk_destroy(job->talk);
	qmp_stock_destroy(job->stock);
	if (job->at_once)
		event_free(job->at_once);
	if (job->order)
		tether__host_order__free_unpacked(job->order, NULL);
	qmp_settings_drop(job->settings);
	free(job->socket_dir);
	free(job->moved_to);
	free(job);
}

static void job_finish(struct driver_job *job, struct driver_result *result)
{
	driver_done done = job->done;
	void *context = job->context;

	result->exit_status = result->err ? 1 : 0;
	result->output = "";
	result->elapsed_us = monotonic_us() - job->started_us;
	job_destroy(job);
	done(context, result);
}

static void on_at_once(evutil_socket_t fd, short what, void *at)
{
	struct driver_job *job = at;
	char text[TEXT_SIZE];
	struct driver_result result = {.err = *job->text ? -EREMOTEIO : 0, .text = text};

	memcpy(text, job->text, sizeof(text));
	job_finish(job, &result);
}

static int job_at_once(struct driver_job *job)
{
	job->at_once = evtimer_new(job->owner->base, on_at_once, job);
	return job->at_once && !timer_set(job->at_once, 0) ? 0 : -ENOMEM;
}

static bool is_busy(void *context, const char *vm)
{
	const struct driver_job *first = context;

	for (const struct driver_job *job = first->owner->jobs; job; job = job->next)
		if (job->talk && !strcmp(job->order->vm, vm))
			return true;
	return qmp_watches_has(first->owner->watches, vm);
}

static void is_here(void *context, const char *vm)
{
	const struct driver_job *job = context;

	qmp_mark_remove(job->socket_dir, vm);
}

static void on_stock(void *context, struct host_inventory *fresh, const char *error)
{
	struct driver_job *job = context;
	struct host_inventory told = {0};
	char text[TEXT_SIZE];
	struct driver_result result = {.text = text, .inventory = &told};

	snprintf(text, sizeof(text), "%s", error);
	if (!fresh || qmp_known_renew(&job->owner->known, fresh, &told)) {
		result.err = fresh ? -ENOMEM : -EREMOTEIO;
		result.inventory = NULL;
	}
	job_finish(job, &result);
	host_inventory_clear(&told);
}

/* Operators add VMs and slots while the agent runs. */
static void settings_renew(struct driver_qmp *driver)
{
	struct qmp_settings *read;
	char error[TEXT_SIZE];

	if (qmp_settings_read(driver->path, &read, error, sizeof(error))) {
		log_error("qmp", "%s; the settings stay as they were", error);
		return;
	}
	qmp_settings_drop(driver->settings);
	driver->settings = read;
}

static int stock_begin(struct driver_job *job, unsigned deadline_ms)
{
	struct driver_qmp *driver = job->owner;
	struct qmp_stock_settings settings = {.known = &driver->known.inventory,
	        .deadline_ms = deadline_ms,
	        .is_busy = is_busy,
	        .here = is_here,
	        .ended = on_stock,
	        .context = job};

	settings_renew(driver);
	qmp_settings_drop(job->settings);
	job->settings = qmp_settings_hold(driver->settings);
	settings.settings = job->settings;
	job->stock = qmp_stock_take(driver->base, &settings);
	return job->stock ? 0 : -ENOMEM;
}

/* What it asks of QEMUs meanwhile may be older than what an order has done. */
static void stocks_touch(const struct driver_qmp *driver, const char *vm)
{
	for (const struct driver_job *job = driver->jobs; job; job = job->next)
		if (job->stock)
			qmp_stock_touch(job->stock, vm);
}

/* The VM that has come has an agent in it, which only the settings know how to reach. */
static void tell_inventory(
        struct driver_job *job, struct driver_result *result, struct host_inventory *told)
{
	if (!qmp_gives_a_vf(job->order) || !job->owner->known.is_whole)
		return;
	if (qmp_known_tell(&job->owner->known, told))
		log_warn("qmp", "%s: no memory for what this host has", job->log_name);
	else
		result->inventory = told;
}

static void watch(struct driver_job *job, const struct qmp_order *order)
{
	struct qmp_watches *watches = job->owner->watches;
	const Tether__HostOrder *ordered = job->order;

	if (ordered->action == TETHER__HOST_ACTION__HOST_DETACH && order->err &&
	        order->has_unplug_begun)
		qmp_watches_expect(watches, ordered->vm, ordered->slot);
	else if (ordered->action == TETHER__HOST_ACTION__HOST_DETACH ||
	         ordered->action == TETHER__HOST_ACTION__HOST_MOVE)
		qmp_watches_forget(watches, ordered->vm, ordered->slot);
	else if (qmp_gives_a_vf(ordered) && !order->err)
		qmp_watches_begin(
		        watches, job->settings, ordered->vm, ordered->slot, job->log_name);
}

static void on_talk(void *context, struct qmp_talk *talk, const struct qmp_order *order)
{
	struct driver_job *job = context;
	struct host_inventory told = {0};
	char text[QMP_ORDER_TEXT];
	struct driver_result result = {.err = order->err, .text = text, .copy_ms = order->copy_ms};

	memcpy(text, order->text, sizeof(text));
	if (!result.err && qmp_known_change(&job->owner->known, job->settings, job->order)) {
		result.err = -ENOMEM;
		snprintf(text, sizeof(text), "no memory");
	}
	stocks_touch(job->owner, job->order->vm);
	watch(job, order);
	if (!result.err && (qmp_gives_a_vf(job->order) ||
	                           job->order->action == TETHER__HOST_ACTION__HOST_CHECK))
		qmp_mark_remove(job->socket_dir, job->order->vm);
	if (!result.err)
		tell_inventory(job, &result, &told);
	job_finish(job, &result);
	host_inventory_clear(&told);
}

static void on_moved(void *context, struct qmp_talk *talk)
{
	const struct driver_job *job = context;
	int err = qmp_mark_write(job->socket_dir, job->order->vm, job->order->peer_host);

	if (err)
		log_warn("qmp", "%s: that VM %s has moved is not written down: %s", job->log_name,
		        job->order->vm, strerror(-err));
}

static unsigned reserve_ms(unsigned deadline_ms)
{
	unsigned share = deadline_ms / RESERVE_SHARE;

	return share < RESERVE_MOST_MS ? share : RESERVE_MOST_MS;
}

static int talk_begin(struct driver_job *job, const struct qmp_vm *vm, const struct qmp_slot *slot,
        unsigned deadline_ms)
{
	struct qmp_talk_settings settings = {.request = {.action = job->order->action,
	                                             .settings = job->settings,
	                                             .vm = vm,
	                                             .slot = slot,
	                                             .peer_host = job->order->peer_host},
	        .log_name = job->log_name,
	        .deadline_ms = deadline_ms - reserve_ms(deadline_ms) + 1,
	        .end_ms = deadline_ms + 1,
	        .ended = on_talk,
	        .moved = on_moved,
	        .context = job};

	job->moved_to = qmp_mark_read(job->socket_dir, job->order->vm);
	settings.moved_to = job->moved_to;
	qmp_watches_stop(job->owner->watches, job->order->vm);
	stocks_touch(job->owner, job->order->vm);
	job->talk = qmp_talk_start(job->owner->base, &settings);
	return job->talk ? 0 : -ENOMEM;
}

static bool wants_slot(Tether__HostAction action)
{
	return action == TETHER__HOST_ACTION__HOST_CHECK ||
	       action == TETHER__HOST_ACTION__HOST_DETACH ||
	       action == TETHER__HOST_ACTION__HOST_ATTACH ||
	       action == TETHER__HOST_ACTION__HOST_GIVE_BACK;
}

/* The PCI device of this server that is passed to the VM; NULL: it is another kind of device, or is
 * here. */
static const char *device_lacking(const struct qmp_slot *slot)
{
	const char *host = qmp_text(slot->arguments, "host");
	CLEANUP_FREE char *path = NULL;

	if (!*host || strchr(host, '/'))
		return NULL;
	/* QEMU takes it without a domain, too. */
	if (asprintf(&path, "/sys/bus/pci/devices/%s%s", strlen(host) > 7 ? "" : "0000:", host) < 0)
		path = NULL;
	return path && access(path, F_OK) ? host : NULL;
}

/* What would only be found out when the VM has come. */
static int check_begin(struct driver_job *job, const struct qmp_vm *vm, const struct qmp_slot *slot,
        unsigned deadline_ms)
{
	const char *lacking = device_lacking(slot);

	if (!lacking)
		return talk_begin(job, vm, slot, deadline_ms);
	snprintf(job->text, sizeof(job->text), "slot %s: no PCI device %s is here", slot->name,
	        lacking);
	return job_at_once(job);
}

static int order_begin(struct driver_job *job, unsigned deadline_ms)
{
	const Tether__HostOrder *order = job->order;
	const struct qmp_vm *vm = qmp_settings_vm(job->settings, order->vm);
	const struct qmp_slot *slot = qmp_settings_slot(job->settings, order->slot);

	if (order->action == TETHER__HOST_ACTION__HOST_SET_GUIDS) {
		log_info("qmp", "%s: slot %s: GUIDs are left as they are", job->log_name,
		        order->slot);
		return job_at_once(job);
	}
	if (vm && slot && order->action == TETHER__HOST_ACTION__HOST_CHECK)
		return check_begin(job, vm, slot, deadline_ms);
	if (vm && (slot || !wants_slot(order->action)))
		return talk_begin(job, vm, slot, deadline_ms);
	snprintf(job->text, sizeof(job->text), "%.128s says nothing of %s %.64s", job->owner->path,
	        vm ? "slot" : "VM", vm ? order->slot : order->vm);
	return job_at_once(job);
}

static struct driver_job *job_make(struct driver_qmp *owner, const struct driver_request *request,
        driver_done done, void *context)
{
	struct driver_job *job = calloc(1, sizeof(*job));

	if (!job)
		return NULL;
	job->owner = owner;
	job->settings = qmp_settings_hold(owner->settings);
	job->order = message_copy(&request->order->base);
	job->socket_dir = strdup(request->socket_dir ? request->socket_dir : ".");
	snprintf(job->log_name, sizeof(job->log_name), "migration %" PRIu64 "/%" PRIu64,
	        request->migration, request->epoch);
	job->started_us = monotonic_us();
	job->done = done;
	job->context = context;
	if (job->order && job->socket_dir)
		return job;
	job_destroy(job);
	return NULL;
}

static struct driver_job *qmp_start(struct driver *driver, const struct driver_request *request,
        driver_done done, void *context)
{
	struct driver_qmp *owner = (struct driver_qmp *)driver;
	struct driver_job *job = job_make(owner, request, done, context);
	int err = -ENOMEM;

	if (job && job->order->action == TETHER__HOST_ACTION__HOST_NOTHING)
		err = stock_begin(job, request->deadline_ms);
	else if (job)
		err = order_begin(job, request->deadline_ms);
	if (!err) {
		job->next = owner->jobs;
		owner->jobs = job;
		return job;
	}
	if (job)
		job_destroy(job);
	errno = -err;
	return NULL;
}

/* The rest is done at once, or soon. */
static void qmp_stop(struct driver_job *job)
{
	if (job->talk)
		qmp_talk_give_up(job->talk, -ECANCELED);
}

static void qmp_destroy(struct driver *driver)
{
	struct driver_qmp *owner = (struct driver_qmp *)driver;

	while (owner->jobs)
		job_destroy(owner->jobs);
	qmp_watches_destroy(owner->watches);
	qmp_known_clear(&owner->known);
	qmp_settings_drop(owner->settings);
	free(owner->path);
	free(owner);
}

static struct driver *qmp_create(
        struct event_base *base, const char *rest, const char *host, int lock)
{
	struct driver_qmp *driver = calloc(1, sizeof(*driver));
	char error[TEXT_SIZE];

	if (!driver)
		return NULL;
	driver->driver.ops = &driver_qmp_ops;
	driver->base = base;
	driver->path = strdup(rest);
	driver->watches = qmp_watches_create(base);
	if (!driver->path || !driver->watches)
		goto undo_driver;
	if (!qmp_settings_read(driver->path, &driver->settings, error, sizeof(error)))
		return &driver->driver;
	log_error("qmp", "%s", error);
undo_driver:
	qmp_destroy(&driver->driver);
	return NULL;
}

const struct driver_ops driver_qmp_ops = {
        .scheme = "qmp",
        .create = qmp_create,
        .destroy = qmp_destroy,
        .start = qmp_start,
        .stop = qmp_stop,
};
