/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * The link state machine: what happens at both ends when a cable is pulled or plugged, or the
 * subnet manager takes a port down. Under the fabric's lock; changes go through the redo log.
 */
#ifndef SIMFABRIC_LINKS_H
#define SIMFABRIC_LINKS_H

#include <stdbool.h>
#include <stdint.h>

#include "simfabric/shared_file.h"

/* Pull or plug the cable of @port. Both switches set PortStateChange and send trap 128. */
void link_plug(struct fabric *fabric, uint32_t port, bool is_plugged);

/*
 * The subnet manager has written @info to @port, with a new physical or logical state: stage it and
 * what it does to the other end. The port's own switch does not note a change that was asked of it
 * (IBA 14.2.5.4). The caller commits, then calls
 * link_send_peer_trap.
 */
enum link_order {
	LINK_KEEP,
	LINK_RETRAIN, /* PortState Down: no way out of Disabled */
	LINK_STOP,    /* Disabled or Sleep, as @info says */
	LINK_START,   /* Polling */
};
void link_stage_order(
        struct fabric *fabric, uint32_t port, uint8_t info[64], enum link_order order);
/* Pure: agree on width and speed in both images; false: the ends have none in common. */
bool link_negotiate(uint8_t a[64], uint8_t b[64]);

/* After redo_commit: trap 128 of the switch at the other end of @port. */
void link_send_peer_trap(struct fabric *fabric, uint32_t port);

/* From the beginning on, so nobody is told; link_plug brings it up. */
void link_begin_unplugged(struct fabric *fabric, uint32_t port);

#endif
