/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * Who has which queue pair number at which end port, and who reads which packet ring: the part of
 * the shared file that lets a packet find the process that it is for.
 *
 * Changed under the fabric's lock; looked up without. An entry is one word, so a reader sees it
 * whole; what a dead client had is given back by clients_reap.
 */
#ifndef SIMFABRIC_QPN_TABLE_H
#define SIMFABRIC_QPN_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "simfabric/packet_ring.h"
#include "simfabric/shared_file.h"

enum {
	PACKET_RINGS_MAX = 256, /* processes that have a device open */
};

/* Take a ring for this handle, which must have joined as a client. -EUSERS: all are taken. */
int packet_ring_take(struct fabric *fabric, uint32_t *ring);
void packet_ring_give_back(struct fabric *fabric, uint32_t ring);
struct packet_ring *packet_ring_at(const struct fabric *fabric, uint32_t ring);
/* False: nobody reads it any more; what it held has been given back. Takes the fabric's lock. */
bool packet_ring_is_read(struct fabric *fabric, uint32_t ring);

/*
 * A number that is free at @port, for packets into @ring. Each port has a range of its own and
 * hands the numbers out in turn, so that a queue pair made again elsewhere has another one;
 * @collide hands out the lowest free number of one range for all, counted exclusive-or @twist.
 * -ENOSPC: the table is full.
 */
int qpn_take(struct fabric *fabric, uint32_t port, uint32_t ring, bool collide, uint32_t twist,
        uint32_t *qpn);
void qpn_give_back(struct fabric *fabric, uint32_t port, uint32_t qpn);
/* The ring for packets to @qpn at @port; NO_INDEX: nobody has it. Without the lock. */
uint32_t qpn_find(const struct fabric *fabric, uint32_t port, uint32_t qpn);

/* Copies of multicast packets that reach @port are for this ring too; NO_INDEX: no longer. */
void packet_ring_listen(struct fabric *fabric, uint32_t ring, uint32_t port);
bool packet_ring_listens(const struct fabric *fabric, uint32_t ring, uint32_t port);

size_t qpn_table_size(const struct net *net);
void qpn_table_recover(struct fabric *fabric);
size_t packet_rings_size(const struct net *net);
void packet_rings_client_gone(struct fabric *fabric, uint32_t client);

#endif
