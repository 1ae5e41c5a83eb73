/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * The hosts that a child stands for: itself where it is one, or those behind an agent between, at
 * any depth. What each said last of its VMs and slots; a VM is its only where the places do not
 * give it to another. One that is away stays for a while. A list, headed by a pointer that is NULL
 * at first. Pure; part of the children and of their thread.
 */
#ifndef TETHER_HOST_BEHIND_H
#define TETHER_HOST_BEHIND_H

#include <stdbool.h>
#include <stdint.h>

#include "notifier/relay/name_index.h"
#include "notifier/relay/name_table.h"
#include "notifier/relay/vm_places.h"
#include "tether.pb-c.h"

struct child;

struct host_behind {
	struct host_behind *next;
	struct name_node named;   /* among those of all children (children.c) */
	struct child *child;      /* whose it is; children.c */
	Tether__HostBehind *said; /* its own word, whatever others say */
	struct name_index vms;    /* that it says */
	uint64_t away_ms;         /* when it went away; 0: it is here */
	/* What others say; the relay's. Of all that is said here nothing is another's, as they were
	 * when they had changed so often. */
	const struct vm_places *places;
	uint64_t looked_at;
	bool undisputed;
};

struct host_behind *hosts_find(struct host_behind *hosts, const char *name);
/* @said counts from now on, as far as @places (NULL: none) do not say otherwise, and the host is
 * here. A copy is kept; *@before is what counted, if anything did, and the caller's to free.
 * -ENOMEM: nothing has changed. */
int hosts_put(struct host_behind **hosts, const struct vm_places *places,
        const Tether__HostBehind *said, Tether__HostBehind **before);
/* It is away since @now_ms, unless it was before. */
void host_is_away(struct host_behind *host, uint64_t now_ms);
void hosts_remove(struct host_behind **hosts, struct host_behind *host);

/* By its own word. */
bool host_says_vm(const struct host_behind *host, const char *vm);
/* No other host has @vm, which this one says that it has. */
bool host_may_have(struct host_behind *host, const char *vm);
/* By both. */
bool host_has_vm(struct host_behind *host, const struct name *vm);
/* Its place among those that the host says and 1; 0: it has it not. */
uint32_t host_vm_find(struct host_behind *host, const struct name *vm);
/* Is that the VM at @at, any place and 1, and the host's? */
bool host_vm_is_at(struct host_behind *host, uint32_t at, const char *vm, size_t length);
bool hosts_have_vm(struct host_behind *hosts, const char *vm);

/* What HELLO says of the host that says it; it points into @hello. */
Tether__HostBehind host_of_hello(const Tether__Hello *hello);

#endif
