/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * Who may talk to whom, by the P_Keys in the places: what of an event concerns whom, and who may
 * register for an address. A VM of which nobody has asked the SM is not refused, but hears nothing
 * of the moves of those of whom it was asked; one that the SM does not know where its host has it,
 * or that has no VF, is nowhere and asks for nothing, and where there is no VM nobody asks for one.
 */
#include "notifier/relay/relay_state.h"

#include <stdlib.h>
#include <string.h>

static bool has_pkeys(const Tether__VmPlace *place)
{
	return place && place->located && place->n_pkeys;
}

/* Nobody has asked the SM of it. */
static bool is_open(const Tether__VmPlace *place)
{
	return !place || !place->located;
}

static bool may_talk(const Tether__VmPlace *place, const uint32_t *pkeys, size_t count)
{
	return pkeys_may_talk(place->pkeys, place->n_pkeys, pkeys, count);
}

static bool vm_may_hear(const struct relay *relay, const char *vm, const Tether__Event *event)
{
	const Tether__VmPlace *place = vm_places_find(relay->places, vm);

	return has_pkeys(place) && may_talk(place, event->pkeys, event->n_pkeys);
}

static bool host_may_hear(
        const struct relay *relay, struct host_behind *host, const Tether__Event *event)
{
	for (size_t i = 0; i < host->said->n_vms; i++)
		if (host_may_have(host, host->said->vms[i]->name) &&
		        vm_may_hear(relay, host->said->vms[i]->name, event))
			return true;
	return false;
}

/* News says nothing that is not to be heard, and is for agents whose own port is in any partition.
 */
bool relay_may_hear(
        const struct relay *relay, const struct child *child, const Tether__Event *event)
{
	struct host_behind *host = child->hosts;

	if (!event->n_pkeys || step_is_news(event->step))
		return true;
	if (child->vm)
		return vm_may_hear(relay, child->vm, event);
	while (host && !host_may_hear(relay, host, event))
		host = host->next;
	return host;
}

static int pkeys_append(struct relay *relay, const Tether__VmPlace *place)
{
	size_t count = relay->pkeys_at.count + place->n_pkeys;
	uint32_t *grown;

	if (count > relay->pkeys_at.room) {
		grown = realloc(relay->pkeys_at.pkeys, 2 * count * sizeof(*grown));
		if (!grown)
			return -1;
		relay->pkeys_at.pkeys = grown;
		relay->pkeys_at.room = 2 * count;
	}
	memcpy(relay->pkeys_at.pkeys + relay->pkeys_at.count, place->pkeys,
	        place->n_pkeys * sizeof(*place->pkeys));
	relay->pkeys_at.count = count;
	return 0;
}

const uint32_t *relay_pkeys_at(void *at, const struct address *address, size_t *count)
{
	struct relay *relay = at;
	const struct vm_place_at *place = NULL;

	relay->pkeys_at.count = 0;
	while (address->lid && (place = vm_places_at_lid(relay->places, address->lid, place)))
		if (has_pkeys(vm_place(place)) && pkeys_append(relay, vm_place(place)))
			break;
	*count = relay->pkeys_at.count;
	return *count ? relay->pkeys_at.pkeys : NULL;
}

/* It has a VM that may, or some, and none of which the SM was asked. */
static bool any_may_talk(
        const struct relay *relay, const struct child *child, const uint32_t *pkeys, size_t count)
{
	bool has_open = false, has_asked = false;

	for (struct host_behind *host = child->hosts; host; host = host->next) {
		for (size_t i = 0; i < host->said->n_vms; i++) {
			const char *vm = host->said->vms[i]->name;
			const Tether__VmPlace *place = vm_places_find(relay->places, vm);

			if (!host_may_have(host, vm))
				continue;
			if (has_pkeys(place) && may_talk(place, pkeys, count))
				return true;
			has_asked |= !is_open(place);
			has_open |= is_open(place);
		}
	}
	return has_open && !has_asked;
}

/* By its own word, or by the root's, who may be ahead of it. */
static bool child_is_of_vm(const struct relay *relay, const struct child *child, const char *vm)
{
	const Tether__VmPlace *place = vm_places_find(relay->places, vm);
	const struct host_behind *host = child->hosts;

	while (place && host && !vm_place_is_of(place, host->said->name))
		host = host->next;
	return (place && host) || child_has_vm(child, vm);
}

/* What an agent itself keeps of an address is no connection of a VM; numbers are for VMs. Who names
 * a VM that it has not is asked which it has. */
static bool child_may_ask(const struct relay *relay, const struct child *child,
        const struct request *request, const uint32_t *pkeys, size_t count)
{
	const Tether__VmPlace *place;

	if (!*request->asker && !request_asks_something(request))
		return true;
	if (!child_is_of_vm(relay, child, request->asker))
		return any_may_talk(relay, child, pkeys, count);
	place = vm_places_find(relay->places, request->asker);
	return is_open(place) || vm_place_has_lid(place, request->address.lid) ||
	       may_talk(place, pkeys, count);
}

bool relay_may_ask(void *at, const struct request *request, const uint32_t *pkeys, size_t count)
{
	struct relay *relay = at;
	const struct child *child = children_by_member(&relay->children, request->member);

	return !child || child_may_ask(relay, child, request, pkeys, count);
}
