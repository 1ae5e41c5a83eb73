/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * The port at which a server hears notices: a libibumad agent for the subnet administrator's
 * Reports, all of which it acknowledges. Lives in the loop's thread and never blocks. One that is
 * not there (yet), or goes, is looked for again.
 */
#ifndef TETHER_MAD_PORT_H
#define TETHER_MAD_PORT_H

#include <stdbool.h>
#include <stdint.h>

struct event_base;
struct mad_port;

struct mad_port_callbacks {
	/* A Report has come, and is acknowledged: NOTICE_MAD_BYTES. */
	void (*report)(void *owner, const uint8_t *mad);
	/* The SM's answer to mad_port_subscribe; @status: what it refuses with, or -ETIMEDOUT. */
	void (*subscribed)(void *owner, int status);
	/* Where the port and the SM are, as often as that is looked at; 0: not to be had. */
	void (*looked)(void *owner, uint16_t lid, uint16_t sm_lid);
};

/* @name: "CA" or "CA:PORT", port 1 if it is not said. NULL with errno. */
struct mad_port *mad_port_create(struct event_base *base, const char *name,
        const struct mad_port_callbacks *callbacks, void *owner);
void mad_port_destroy(struct mad_port *port);

/* Is @name one? */
bool mad_port_name_is_fit(const char *name);

/* Ask the SM at @sm_lid for the notices for @lid; `subscribed` is called, from the loop. */
void mad_port_subscribe(struct mad_port *port, uint16_t lid, uint16_t sm_lid);

#endif
