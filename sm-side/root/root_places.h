/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * What hosts say goes through the directory: what is believed of it into the inventory, and whose a
 * VM is to the relays. Belongs to the root and its thread.
 */
#ifndef TETHER_ROOT_PLACES_H
#define TETHER_ROOT_PLACES_H

#include <stdint.h>

#include "sm-side/directory/directory.h"
#include "sm-side/root/inventory.h"

struct relay;

struct root_places {
	struct directory *directory;
	struct inventory *inventory;
	struct relay *relay;
	/* Whose something is has changed: the journal takes what it is owed, before anybody acts by
	 * it. NULL: there is none. */
	void (*write)(void *owner);
	void *owner;
};

/* The whole word of @host. -ENOMEM */
int root_places_word(const struct root_places *places, const char *host, Tether__HostVm **vms,
        size_t vm_count, Tether__Slot **slots, size_t slot_count, uint64_t now_ms);
/* Those of the VM of @event, so that only who may talk to it hears of it; under Shared Port its
 * port is others' too, and says nothing. Point into the directory. */
void root_places_pkeys(const struct root_places *places, Tether__Event *event);
/* The directory has been changed: so are the inventory and what the relays know. */
void root_places_told(const struct root_places *places, uint64_t now_ms);

#endif
