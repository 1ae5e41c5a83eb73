/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * The links of VMs' processes: one listening socket for each VM, on a host DIR/VM.sock. Through
 * which socket a process came is all that says of which VM it is. Lives in the loop's thread; feeds
 * one relay.
 */
#ifndef TETHER_VM_LINKS_H
#define TETHER_VM_LINKS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "tether.pb-c.h"

struct connection_settings;
struct event_base;
struct relay;
struct shared_rates;
struct vm_links;

struct vm_links_settings {
	const char *directory;
	mode_t mode; /* of the sockets */
	/* A process calls itself by its VM's name as far as the name of its socket says it. Where
	 * that says nothing, in the VM itself, it is called by the VM's whatever it says. */
	bool names_processes;
	/* All links of a VM have one of these together; outlives them. NULL: each has its own. */
	struct shared_rates *rates;
};

/* @fed is called after anything has been handed to @relay. NULL: no memory. */
struct vm_links *vm_links_create(struct event_base *base, const struct vm_links_settings *settings,
        const struct connection_settings *connections, struct relay *relay,
        void (*fed)(void *owner), void *owner);
/* Closes all links and removes the sockets. NULL is fine. */
void vm_links_destroy(struct vm_links *links);

/* Listen for @vm's processes; done already is fine. -errno as channel_unix_listen. */
int vm_links_open(struct vm_links *links, const char *vm);
/* The same at @path. */
int vm_links_open_at(struct vm_links *links, const char *vm, const char *path);
/* Listen no more; links that stand are the relay's to end. */
void vm_links_close(struct vm_links *links, const char *vm);
/* NULL: not open. */
const char *vm_links_path(const struct vm_links *links, const char *vm);

/* The relay's outputs. */
void vm_links_send(struct vm_links *links, uint32_t child, const Tether__Frame *frame);
void vm_links_end(struct vm_links *links, uint32_t child, const char *why);

#endif
