/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * Many names of processes ("vm1/12.345"), to be asked for those of one VM. Each has its place: how
 * many were added before it. Pure; one thread. Zero-initialise.
 */
#ifndef TETHER_VM_NAMES_H
#define TETHER_VM_NAMES_H

#include <stddef.h>
#include <stdint.h>

#include "notifier/relay/name_index.h"

/* One VM's: places and 1. */
struct vm_names_chain {
	uint32_t first, last;
};

struct vm_names {
	const char **names; /* the caller's, as long as they are here */
	uint32_t *next;     /* of the same VM: its place and 1; 0: none */
	size_t count, room;
	struct name_index vms;
	struct vm_names_chain *chains; /* by the place of the VM */
};

void vm_names_clear(struct vm_names *names);

/* Room for @count in all. -ENOMEM */
int vm_names_reserve(struct vm_names *names, size_t count);
/* A name without a VM has a place, too. -ENOMEM: it was not added. */
int vm_names_add(struct vm_names *names, const char *name);

/* for (uint32_t at = vm_names_first(&names, &vm); at; at = vm_names_next(&names, at)): the place of
 * each of @vm's is at - 1; in the order in which they were added. */
uint32_t vm_names_first(const struct vm_names *names, const struct name *vm);
uint32_t vm_names_next(const struct vm_names *names, uint32_t at);

#endif
