/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * The VMs that get or give up a VF: those under way and the latest that have ended, what of each
 * goes into the journal and comes back, and whose slots, names and GUIDs are taken by them. Pure;
 * belongs to the conductor and its thread.
 */
#ifndef TETHER_VM_CHANGES_H
#define TETHER_VM_CHANGES_H

#include "sm-side/journal/record.h"

struct vm_changes {
	struct vm_change *newest;
	size_t count;
	uint64_t last_id, epoch; /* highest so far */
	const struct deadlines *deadlines;
};

void vm_changes_init(struct vm_changes *changes, const struct deadlines *deadlines);
void vm_changes_clear(struct vm_changes *changes);

/* A new one; the oldest that has ended is forgotten where there are too many, unless it says
 * what a VM that is there has displaced, or what is left of one. NULL: no memory. */
struct vm_change *vm_changes_add(struct vm_changes *changes, const struct vm_change_intent *intent);
struct vm_change *vm_changes_find(const struct vm_changes *changes, uint64_t id);
/* Of @vm the latest; NULL: none. */
struct vm_change *vm_changes_latest(const struct vm_changes *changes, const char *vm);
/* The latest that was not refused: how things stand with @vm. NULL: none. */
const struct vm_change *vm_changes_standing(const struct vm_changes *changes, const char *vm);

/* Under way: of @vm; with this slot; with one of these GUIDs, one that a slot gets back, or that
 * of a VM of which something is left. NULL: none. */
const struct vm_change *vm_changes_of_vm(const struct vm_changes *changes, const char *vm);
const struct vm_change *vm_changes_of_slot(
        const struct vm_changes *changes, const char *host, const char *slot);
const struct vm_change *vm_changes_of_identity(
        const struct vm_changes *changes, struct identity identity);
/* What was left of a VM in a slot, which still shows @port_guid: the VM's, or its own again. */
const struct vm_change *vm_changes_left_in(
        const struct vm_changes *changes, const char *host, const char *slot, uint64_t port_guid);
size_t vm_changes_under_way(const struct vm_changes *changes);
/* Without those that wait for their hosts. */
size_t vm_changes_at_work(const struct vm_changes *changes);

/* What was in the slot when @vm came with @port_guid, and belongs where it ends; all 0: not known,
 * or the same. */
struct identity vm_changes_own(
        const struct vm_changes *changes, const char *vm, uint64_t port_guid);
/* @vm has given up its VF after @since_us: what was known of it before is another's. */
bool vm_changes_has_gone(const struct vm_changes *changes, const char *vm, int64_t since_us);

/* The state that @change is in. Points into it. */
struct record vm_change_record(const struct vm_change *change);
/* Take one record of the journal. -EBADMSG: it does not follow from those before it; -ENOMEM. */
int vm_changes_take(struct vm_changes *changes, const struct record *record);

#endif
