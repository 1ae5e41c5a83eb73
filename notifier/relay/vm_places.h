/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * Where VMs are by the root's word: which host has one, or is about to, and what LIDs and P_Keys
 * the SM has given it. What others say of VMs is measured by this. A VM without a place is one that
 * the root has not spoken of. Pure; belongs to one relay and its thread.
 */
#ifndef TETHER_VM_PLACES_H
#define TETHER_VM_PLACES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "tether.pb-c.h"

struct vm_places;
struct vm_place_at; /* one of several */

struct vm_places *vm_places_create(void);
void vm_places_destroy(struct vm_places *places);

/* @said counts from now on; without a host the VM has no place any more. A copy is kept. -ENOMEM:
 * nothing has changed. */
int vm_places_put(struct vm_places *places, const Tether__VmPlace *said);

bool vm_places_are_none(const struct vm_places *places);

/* NULL: it has none. All that is found here is good until the next vm_places_put of that VM. */
const Tether__VmPlace *vm_places_find(const struct vm_places *places, const char *vm);

/* Those that a host has or is about to have, and those of a LID: each from NULL, one after the
 * other. */
const struct vm_place_at *vm_places_of_host(
        const struct vm_places *places, const char *host, const struct vm_place_at *after);
const struct vm_place_at *vm_places_at_lid(
        const struct vm_places *places, uint32_t lid, const struct vm_place_at *after);
const Tether__VmPlace *vm_place(const struct vm_place_at *at);

/* Rises with each change of whose a VM is. */
uint64_t vm_places_changes(const struct vm_places *places);

/* Nobody else has the VM, as far as is known. @places: may be NULL. */
bool vm_place_may_claim(const struct vm_places *places, const char *vm, const char *host);
/* It is @host's, or about to be. */
bool vm_place_is_of(const Tether__VmPlace *place, const char *host);
bool vm_place_has_lid(const Tether__VmPlace *place, uint32_t lid);

/* Of two with these P_Keys: one is a full member of a partition that both are in. */
bool pkeys_may_talk(const uint32_t *a, size_t a_count, const uint32_t *b, size_t b_count);

#endif
