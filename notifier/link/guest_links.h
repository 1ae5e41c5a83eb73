/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * The links of a host to the agents inside its VMs, one for each VM that has a channel for it. Over
 * which channel a guest came is all that says of which VM it is. Lives in the loop's thread; feeds
 * one relay.
 */
#ifndef TETHER_GUEST_LINKS_H
#define TETHER_GUEST_LINKS_H

#include <stdint.h>
#include <sys/types.h>

#include "tether.pb-c.h"

struct connection_settings;
struct event_base;
struct guest_links;
struct relay;
struct shared_rates;

struct guest_links_settings {
	const char *directory;
	mode_t mode;         /* of the sockets in it */
	uint32_t vsock_port; /* 0: none is listened at */
	/* A guest has one of these with its VM's processes; outlives the links. NULL: its own. */
	struct shared_rates *rates;
};

/* @fed is called after anything has been handed to @relay. NULL with errno; a port that cannot be
 * listened at is logged. */
struct guest_links *guest_links_create(struct event_base *base,
        const struct guest_links_settings *settings, const struct connection_settings *connections,
        struct relay *relay, void (*fed)(void *owner), void *owner);
/* Closes all links and removes the sockets. NULL is fine. */
void guest_links_destroy(struct guest_links *links);

/* @vm's guest is reached over @channel (guest_channel.h) from now on, or over none; done already is
 * fine. -errno, logged. */
int guest_links_open(struct guest_links *links, const char *vm, const char *channel);
/* @vm has no channel any more; a link that stands ends at once. */
void guest_links_close(struct guest_links *links, const char *vm);

/* The relay's outputs. Nothing happens where @child is none of these. */
void guest_links_send(struct guest_links *links, uint32_t child, const Tether__Frame *frame);
void guest_links_end(struct guest_links *links, uint32_t child, const char *why);

void guest_links_settings_set(
        struct guest_links *links, const struct connection_settings *connections);

#endif
