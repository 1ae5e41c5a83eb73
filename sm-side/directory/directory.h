/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * Who has which VM and which slot, so that no host takes what is another's: the first that says so
 * has it, until its own word drops it, one of our own changes brings it to another host, or the
 * operator releases it. A host that is away keeps what it has. Who says it beside the one that has
 * it is not believed, and waits: if that one lets go of it, the first who waits and is here has it.
 *
 * A slot is at a place (vSwitch and port) and shows a GUID. Neither may be what a slot of another
 * host has; but a slot may show whatever our own changes had it show.
 *
 * Pure: what the journal has to remember comes out as records. Belongs to the conductor and its
 * thread.
 */
#ifndef TETHER_DIRECTORY_H
#define TETHER_DIRECTORY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "sm-side/journal/record.h"
#include "tether.pb-c.h"

struct directory;

enum directory_thing { DIRECTORY_VM, DIRECTORY_PLACE, DIRECTORY_GUID };

/* @host says that it has @name, a VM or a slot of its own, and @holder has it, or the slot's place
 * or GUID. */
struct directory_claim {
	enum directory_thing thing;
	const char *host, *name, *holder;
};

struct directory_outputs {
	/* One that is not believed, when it is first heard. */
	void (*refused)(void *owner, const struct directory_claim *claim);
};

/* NULL: no memory. */
struct directory *directory_create(const struct directory_outputs *outputs, void *owner);
void directory_destroy(struct directory *directory);

/* Its agent's link stands, or has ended. -ENOMEM */
int directory_host_here(struct directory *directory, const char *host, bool here);
/* May it say this of itself now? What it said last it may say at any time, in any order, something
 * else only so often, by how many rows are in one of both and not in the other; else it is to be
 * heard later. */
bool directory_host_may_say(struct directory *directory, const char *host, Tether__HostVm **vms,
        size_t vm_count, Tether__Slot **slots, size_t slot_count, uint64_t now_ms);
/* How many words were put off so since the start. */
uint64_t directory_put_off(const struct directory *directory);
/* The whole word of @host. What no VM may be called (name_is_fit) is left out, and of VMs or slots
 * of one name all but the first. -ENOMEM: some of it may count already. */
int directory_host_says(struct directory *directory, const char *host, Tether__HostVm **vms,
        size_t vm_count, Tether__Slot **slots, size_t slot_count);

/* What is believed of a host's latest word; points into it. */
struct directory_view {
	Tether__HostVm **vms;
	Tether__Slot **slots;
	size_t vm_count, slot_count;
};

/* -ENOMEM. directory_view_clear frees what it fills in. */
int directory_view(
        const struct directory *directory, const char *host, struct directory_view *view);
void directory_view_clear(struct directory_view *view);
/* A host of whose word something else is believed than when this last named it; NULL: none. */
const char *directory_stale(struct directory *directory);

/*
 * A change of ours begins, or is gone on with after a restart: the VM is @from's or comes from
 * there (NULL: nobody's), and @to may have it, too. Until the end @vm is nobody else's. -ENOMEM.
 */
int directory_move_begins(
        struct directory *directory, const char *vm, const char *from, const char *to);
/* It has ended and the VM is @host's; NULL: whose it was before, if he says so. */
void directory_move_ends(struct directory *directory, const char *vm, const char *host);
/* What our latest change had, or has, the slot show; 0: nothing. -ENOMEM */
int directory_slot_shows(
        struct directory *directory, const char *host, const char *slot, const uint64_t guids[2]);

enum directory_release {
	RELEASE_DONE,
	RELEASE_UNKNOWN, /* it is nobody's */
	RELEASE_MOVING,  /* a change of ours is under way */
	RELEASE_HELD,    /* whose it is is here, and nobody else says that he has it */
};

/* The operator knows better: the VM is not its host's any more. @force: though nobody else has said
 * that he has it, and until a change of ours brings it there that host's word on it does not count.
 */
enum directory_release directory_release(struct directory *directory, const char *vm, bool force);

/* ---- what the SM says of a VM ---- */

enum { DIRECTORY_LIDS = 64, DIRECTORY_PKEYS = 256 };

/* Where a VM is, as the relays are told (tether.proto, VmPlace). */
struct directory_place {
	const char *vm, *host, *next; /* "": nobody */
	uint64_t port;                /* what the SM is asked for, for whoever asks it */
	bool located, shared_port;
	bool moves; /* a change of ours is under way */
	const uint32_t *lids, *pkeys;
	size_t lid_count, pkey_count;
};

/* @place: all but whose it is. More numbers than fit are left out. -ENOMEM */
int directory_locate(struct directory *directory, const struct directory_place *place);
/* False: @vm is not known. It points into the directory, until the next call that changes it. */
bool directory_place_of(
        const struct directory *directory, const char *vm, struct directory_place *place);
/* Each VM that is known, in no order. */
void directory_each(const struct directory *directory,
        void (*each)(void *context, const struct directory_place *place), void *context);
/* Of which something has changed since the last call; in no order. What @each is given is good
 * until directory_tidy. */
void directory_news(struct directory *directory,
        void (*each)(void *context, const struct directory_place *place), void *context);
/* Forget the VMs that are nobody's any more and have been told. */
void directory_tidy(struct directory *directory);

/* The operator knows that @host will not come back: nothing is its any more. False: it is here, or
 * not known, or a change of ours that it has to do with is under way. */
bool directory_forget(struct directory *directory, const char *host);

/* It has said something, or has something by the journal. */
bool directory_knows(const struct directory *directory, const char *host);
/* Whose it is; "": nobody's. */
const char *directory_host_of(const struct directory *directory, const char *vm);
/* Who may have it, too, while a change of ours is under way; "": nobody. */
const char *directory_next_of(const struct directory *directory, const char *vm);
/* May what @host says of @vm be believed? */
bool directory_has(const struct directory *directory, const char *host, const char *vm);

/* All claims that are not believed now: by VM, then by host and slot. */
void directory_claims(const struct directory *directory,
        void (*each)(void *context, const struct directory_claim *claim), void *context);
/* The same of one VM. */
void directory_vm_claims(const struct directory *directory, const char *vm,
        void (*each)(void *context, const struct directory_claim *claim), void *context);
/* How many there were since the start. */
uint64_t directory_refused(const struct directory *directory, enum directory_thing thing);

/* ---- the journal ---- */

/* What it does not know yet: fill @records, at most @most; how many. They point into it. */
size_t directory_owed(const struct directory *directory, struct record *records, size_t most);
/* It has taken the first @count of them. */
void directory_paid(struct directory *directory, size_t count);
/* Take one of its records, before any host has said anything. -ENOMEM; -EBADMSG: it is none. */
int directory_take(struct directory *directory, const struct record *record);

#endif
