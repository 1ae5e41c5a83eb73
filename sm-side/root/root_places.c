/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include "sm-side/root/root_places.h"

#include <errno.h>
#include <stdlib.h>

#include "notifier/base/log.h"
#include "notifier/relay/relay.h"

/* The inventory has of a host what is believed of its latest word. */
static int inventory_follows(const struct root_places *places, const char *host)
{
	struct directory_view view;
	int err = directory_view(places->directory, host, &view);

	if (!err)
		err = inventory_take(places->inventory, host, view.vms, view.vm_count, view.slots,
		        view.slot_count);
	directory_view_clear(&view);
	return err;
}

/* ---- to the relays ---- */

/* A message that grows; its places point into the directory, which stays as it is meanwhile. */
struct letter {
	Tether__Whereabouts message;
	size_t room;
	int err;
};

static int letter_grow(struct letter *letter)
{
	size_t room = letter->room ? 2 * letter->room : 16;
	Tether__VmPlace **grown = reallocarray(letter->message.vms, room, sizeof(*grown));

	if (!grown)
		return -ENOMEM;
	letter->message.vms = grown;
	letter->room = room;
	return 0;
}

static void letter_add(void *context, const struct directory_place *place)
{
	struct letter *letter = context;
	Tether__VmPlace *vm = NULL;

	if (letter->message.n_vms < letter->room || !letter_grow(letter))
		vm = malloc(sizeof(*vm));
	if (!vm) {
		letter->err = -ENOMEM;
		return;
	}
	tether__vm_place__init(vm);
	vm->vm = (char *)place->vm;
	/* One that is being made is its host's to come. */
	vm->host = (char *)(*place->host ? place->host : place->next);
	vm->host_next = (char *)(*place->host ? place->next : "");
	vm->located = place->located;
	vm->shared_port = place->shared_port;
	vm->at_rest = !place->moves;
	vm->lids = (uint32_t *)place->lids;
	vm->n_lids = place->lid_count;
	vm->pkeys = (uint32_t *)place->pkeys;
	vm->n_pkeys = place->pkey_count;
	letter->message.vms[letter->message.n_vms++] = vm;
}

static void relays_told(const struct root_places *places, uint64_t now_ms)
{
	struct letter letter = {TETHER__WHEREABOUTS__INIT, 0, 0};

	directory_news(places->directory, letter_add, &letter);
	if (letter.message.n_vms && !letter.err)
		letter.err = relay_whereabouts(places->relay, &letter.message, now_ms);
	if (letter.err)
		log_error("root", "no memory to tell hosts where VMs are");
	for (size_t i = 0; i < letter.message.n_vms; i++)
		free(letter.message.vms[i]);
	free(letter.message.vms);
	directory_tidy(places->directory);
}

void root_places_told(const struct root_places *places, uint64_t now_ms)
{
	const char *host;

	if (places->write)
		places->write(places->owner);
	while ((host = directory_stale(places->directory)))
		if (inventory_follows(places, host))
			log_error("root", "no memory for the inventory of %s", host);
	relays_told(places, now_ms);
}

void root_places_pkeys(const struct root_places *places, Tether__Event *event)
{
	struct directory_place place;

	if (event->order || event->shared_port ||
	        !directory_place_of(places->directory, event->vm, &place) || !place.located ||
	        place.shared_port)
		return;
	event->pkeys = (uint32_t *)place.pkeys;
	event->n_pkeys = place.pkey_count;
}

int root_places_word(const struct root_places *places, const char *host, Tether__HostVm **vms,
        size_t vm_count, Tether__Slot **slots, size_t slot_count, uint64_t now_ms)
{
	int err = directory_host_says(places->directory, host, vms, vm_count, slots, slot_count);

	if (!err)
		err = inventory_follows(places, host);
	root_places_told(places, now_ms);
	return err;
}
