/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include "notifier/qmp/qmp_watch.h"

#include <stdlib.h>
#include <string.h>

#include "notifier/base/log.h"
#include "notifier/qmp/qmp_settings.h"
#include "notifier/qmp/qmp_talk.h"

struct watch {
	struct watch *next;
	struct qmp_watches *owner;
	char *vm, *slot;
	char *log_name;
	struct qmp_settings *settings;
	struct qmp_talk *talk; /* NULL: nobody looks at it now */
};

struct qmp_watches {
	struct event_base *base;
	struct watch *first;
};

struct qmp_watches *qmp_watches_create(struct event_base *base)
{
	struct qmp_watches *watches = calloc(1, sizeof(*watches));

	if (watches)
		watches->base = base;
	return watches;
}

static void watch_stop(struct watch *watch)
{
	qmp_talk_destroy(watch->talk);
	watch->talk = NULL;
	qmp_settings_drop(watch->settings);
	watch->settings = NULL;
	free(watch->log_name);
	watch->log_name = NULL;
}

static void watch_destroy(struct watch *watch)
{
	struct watch **at = &watch->owner->first;

	while (*at && *at != watch)
		at = &(*at)->next;
	if (*at)
		*at = watch->next;
	watch_stop(watch);
	free(watch->vm);
	free(watch->slot);
	free(watch);
}

void qmp_watches_destroy(struct qmp_watches *watches)
{
	if (!watches)
		return;
	while (watches->first)
		watch_destroy(watches->first);
	free(watches);
}

static struct watch *watch_of(const struct qmp_watches *watches, const char *vm, const char *slot)
{
	struct watch *watch = watches->first;

	while (watch && (strcmp(watch->vm, vm) != 0 || strcmp(watch->slot, slot) != 0))
		watch = watch->next;
	return watch;
}

void qmp_watches_expect(struct qmp_watches *watches, const char *vm, const char *slot)
{
	struct watch *watch = watch_of(watches, vm, slot);

	if (watch)
		return;
	watch = calloc(1, sizeof(*watch));
	if (!watch)
		return;
	watch->owner = watches;
	watch->vm = strdup(vm);
	watch->slot = strdup(slot);
	if (!watch->vm || !watch->slot) {
		watch_destroy(watch);
		return;
	}
	watch->next = watches->first;
	watches->first = watch;
}

void qmp_watches_forget(struct qmp_watches *watches, const char *vm, const char *slot)
{
	struct watch *watch = watch_of(watches, vm, slot);

	if (watch)
		watch_destroy(watch);
}

static void on_ended(void *context, struct qmp_talk *talk, const struct qmp_order *order)
{
	struct watch *watch = context;

	if (order->err)
		log_error("qmp", "%s: VM %s: the VF in slot %s was asked for in vain before: %s",
		        watch->log_name, watch->vm, watch->slot, order->text);
	else
		log_info("qmp", "%s: VM %s let go of the VF in slot %s late, and has it back",
		        watch->log_name, watch->vm, watch->slot);
	watch_destroy(watch);
}

void qmp_watches_begin(struct qmp_watches *watches, struct qmp_settings *settings, const char *vm,
        const char *slot, const char *log_name)
{
	struct watch *watch = watch_of(watches, vm, slot);
	struct qmp_talk_settings talk = {.request = {.action = TETHER__HOST_ACTION__HOST_GIVE_BACK,
	                                         .settings = settings,
	                                         .vm = qmp_settings_vm(settings, vm),
	                                         .slot = qmp_settings_slot(settings, slot),
	                                         .peer_host = "",
	                                         .stays_watched = true},
	        .ended = on_ended,
	        .context = watch};

	if (!watch)
		return;
	watch_stop(watch);
	watch->log_name = strdup(log_name);
	talk.log_name = watch->log_name ? watch->log_name : "";
	watch->settings = qmp_settings_hold(settings);
	watch->talk = qmp_talk_start(watches->base, &talk);
	if (!watch->talk)
		log_warn("qmp", "%s: VM %s: no memory to watch slot %s", talk.log_name, vm, slot);
}

void qmp_watches_stop(struct qmp_watches *watches, const char *vm)
{
	for (struct watch *watch = watches->first; watch; watch = watch->next)
		if (!strcmp(watch->vm, vm))
			watch_stop(watch);
}

bool qmp_watches_has(const struct qmp_watches *watches, const char *vm)
{
	for (const struct watch *watch = watches->first; watch; watch = watch->next)
		if (watch->talk && !strcmp(watch->vm, vm))
			return true;
	return false;
}
