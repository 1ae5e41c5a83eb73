/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include "notifier/agent_holders.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "notifier/agent_settings.h"
#include "notifier/base/cleanup.h"
#include "notifier/base/device_holders.h"
#include "notifier/wire/gid_name.h"

struct holders_look {
	void (*each)(void *context, uint32_t pid, uint32_t forked_by, const char *program);
	void *context;
};

static void holder_say(void *at, const struct device_holder *holder)
{
	const struct holders_look *look = at;

	look->each(
	        look->context, (uint32_t)holder->pid, (uint32_t)holder->forked_by, holder->program);
}

/* Where the VM is; NULL: that does not say which of its devices moves. A shared port's LID changes
 * under it, and an Ethernet port has none. */
static uint32_t *lids_of(const Tether__Event *event, size_t *count)
{
	uint32_t *lids;

	*count = 0;
	if (!event->address || !event->address->lid || event->shared_port ||
	        is_gid_name(event->address->lid))
		return NULL;
	lids = malloc((event->n_known_lids + 1) * sizeof(*lids));
	if (!lids)
		return NULL;
	lids[(*count)++] = event->address->lid;
	for (size_t i = 0; i < event->n_known_lids; i++)
		lids[(*count)++] = event->known_lids[i];
	return lids;
}

/* In a VM the nodes are its own; of VMs that share this kernel each has a folder of its name. */
static void folder_fill(
        char *path, size_t size, const char *devices, Tether__Role role, const Tether__Event *event)
{
	snprintf(path, size, "%s/%s", devices, role == TETHER__ROLE__ROLE_GUEST ? "" : event->vm);
}

void agent_holders_each(const struct agent_settings *settings, Tether__Role role,
        const Tether__Event *event,
        void (*each)(void *context, uint32_t pid, uint32_t forked_by, const char *program),
        void *context)
{
	struct holders_look look = {each, context};
	struct device_place place = {.sysfs = "/sys"};
	CLEANUP_FREE uint32_t *lids = NULL;
	char path[PATH_MAX];

	if (!strcmp(settings->devices, "none"))
		return;
	lids = lids_of(event, &place.count);
	place.lids = lids;
	folder_fill(path, sizeof(path), settings->devices, role, event);
	device_holders_each(path, &place, holder_say, &look);
}
