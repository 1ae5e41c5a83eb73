/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/* What the operator knows better than the directory: whose a VM is not any more, who will not come
 * back. */
#include "sm-side/conductor/conductor_state.h"

#include <stdlib.h>
#include <string.h>

#include "notifier/base/log.h"
#include "sm-side/directory/directory.h"
#include "sm-side/conductor/evacuation_room.h"

struct admission conductor_release(
        struct conductor *c, const char *vm, bool force, const char **host)
{
	switch (directory_release(c->directory, vm, force)) {
	case RELEASE_UNKNOWN:
		return admission_refuse(
		        "unknown-vm", "no host has a VM of that name; see tether vms");
	case RELEASE_MOVING:
		return admission_refuse("vm-already-moving",
		        "%s is moving, or is being created; ask again when that has ended", vm);
	case RELEASE_HELD:
		return admission_refuse("vm-not-disputed",
		        "%s is on %s, whose agent is here, and no other host says that it has it; "
		        "--force (\"force\": true) takes it away all the same",
		        vm, directory_host_of(c->directory, vm));
	case RELEASE_DONE:
		break;
	}
	root_places_changed(c->root);
	conductor_look(c);
	*host = directory_host_of(c->directory, vm);
	log_warn("directory", "VM %s was released by the operator; it is %s%s now", vm,
	        **host ? "host " : "nobody", **host ? *host : "'s");
	c->changed(c->owner);
	return (struct admission){0};
}

/* Something of ours is under way that has to do with @host. */
static bool is_under_way(const struct conductor *c, const char *host)
{
	for (const struct ledger_entry *e = c->ledger->newest; e; e = e->older) {
		const struct migration *m = &e->migration;

		if (!migration_ended(m) && (!strcmp(m->intent.source.host, host) ||
		                                   !strcmp(m->intent.destination.host, host)))
			return true;
	}
	for (const struct vm_change *change = vm_changer_changes(c->vms)->newest; change;
	        change = change->older)
		if (!vm_change_ended(change) && !strcmp(change->intent.place.host, host))
			return true;
	return evacuation_empties(c->evacuations, host);
}

struct admission conductor_forget(struct conductor *c, const char *host)
{
	if (!inventory_find(root_inventory(c->root), host) && !directory_knows(c->directory, host))
		return admission_refuse("unknown-host",
		        "no agent has ever called itself %s; see tether hosts", host);
	if (inventory_is_connected(root_inventory(c->root), host))
		return admission_refuse("host-connected",
		        "the agent of %s is connected; what it has is its own", host);
	if (is_under_way(c, host) || !directory_forget(c->directory, host))
		return admission_refuse("busy",
		        "%s has to do with what is under way; ask again when that has ended", host);
	inventory_forget(root_inventory(c->root), host);
	log_warn("directory", "host %s is forgotten by the operator's word", host);
	root_places_changed(c->root);
	conductor_look(c);
	c->changed(c->owner);
	return (struct admission){0};
}
