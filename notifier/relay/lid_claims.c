/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include "notifier/relay/lid_claims.h"

#include <string.h>

/* Its LIDs are known, and nobody else's. */
static bool is_plain(const Tether__VmPlace *place)
{
	return place && place->located && place->n_lids && !place->shared_port;
}

static bool is_childs(const struct child *child, const char *vm, const Tether__VmPlace *place)
{
	if (vm)
		return !strcmp(place->vm, vm);
	return hosts_find(child->hosts, place->host) ||
	       (*place->host_next && hosts_find(child->hosts, place->host_next));
}

enum whose { NOBODYS, ITS, ANOTHERS };

static enum whose whose_name(
        const struct gid_book *names, const struct child *child, const char *vm, uint32_t name)
{
	const char *owner = gid_book_vm(names, name);

	if (!owner)
		return NOBODYS;
	return (vm ? !strcmp(owner, vm) : child_has_vm(child, owner)) ? ITS : ANOTHERS;
}

static enum whose whose_lid(
        const struct lid_owners *owners, const struct child *child, const char *vm, uint32_t lid)
{
	enum whose whose = NOBODYS;

	if (is_gid_name(lid))
		return whose_name(owners->names, child, vm, lid);
	for (const struct vm_place_at *at = NULL;
	        (at = vm_places_at_lid(owners->places, lid, at));) {
		if (!is_plain(vm_place(at)))
			continue;
		if (is_childs(child, vm, vm_place(at)))
			return ITS;
		whose = ANOTHERS;
	}
	return whose;
}

/* It has VMs, of each of which all LIDs are known. One that has just left may still be told of. */
static bool are_all_plain(const struct vm_places *places, const struct child *child)
{
	bool has_any = false;

	for (struct host_behind *host = child->hosts; host; host = host->next) {
		for (size_t i = 0; i < host->said->n_vms; i++) {
			const char *vm = host->said->vms[i]->name;

			if (!host_may_have(host, vm))
				continue;
			if (!is_plain(vm_places_find(places, vm)))
				return false;
			has_any = true;
		}
	}
	return has_any;
}

bool lid_is_anothers(
        const struct lid_owners *owners, const struct child *child, const char *vm, uint32_t lid)
{
	return lid && whose_lid(owners, child, vm, lid) == ANOTHERS;
}

bool lid_is_foreign(
        const struct lid_owners *owners, const struct child *child, const char *vm, uint32_t lid)
{
	const struct vm_places *places = owners->places;

	if (!lid || vm_places_are_none(places))
		return false;
	switch (whose_lid(owners, child, vm, lid)) {
	case ITS:
		return false;
	case ANOTHERS:
		return true;
	default:
		return vm ? is_plain(vm_places_find(places, vm)) : are_all_plain(places, child);
	}
}
