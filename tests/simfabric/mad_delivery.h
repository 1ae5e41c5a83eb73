/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * A MAD's way from the client that sends it to whoever answers: smi.c for subnet management, gsi.c
 * for everything else. Under the fabric's lock.
 */
#ifndef SIMFABRIC_MAD_DELIVERY_H
#define SIMFABRIC_MAD_DELIVERY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <infiniband/umad.h>

#include "simfabric/mad_fields.h"
#include "simfabric/mad_faults.h"
#include "simfabric/messages.h"
#include "simfabric/shared_file.h"

/* Who sends, and to whom an answer goes. */
struct mad_origin {
	uint32_t port;
	uint32_t mailbox; /* NO_INDEX: an SMA, which expects no answer */
	uint32_t generation;
	uint32_t agent;
};

/* A MAD under way. @bytes is 256, or with RMPP all that the message has; @mad has 256 at least. */
struct mad_packet {
	struct mad_origin origin;
	struct ib_mad_addr to;
	const uint8_t *mad;
	size_t bytes;
	bool is_rmpp; /* a whole message, header and data */
	bool is_late; /* the sender waits for the answer, instead of having it at once */
};

/*
 * Send. *@is_answered: the answer stands in the origin's mailbox already. A MAD that is lost on the
 * way is not an error. -EINVAL: a directed route that does not begin at the port.
 */
int mad_send(struct fabric *fabric, const struct mad_packet *packet, bool *is_answered);

/* Do what is due: MADs that arrive late, traps that are repeated. */
void mad_run_due(struct fabric *fabric);

/* For smi.c and gsi.c. Put a MAD into a mailbox; false: no room, or the mailbox is gone. */
bool mad_deliver(struct fabric *fabric, const struct mad_origin *to, const struct ib_mad_addr *from,
        const uint8_t *mad, size_t bytes, bool is_answered);
/* Let the packet arrive later, if a rule says so. */
bool mad_is_delayed(
        struct fabric *fabric, const struct mad_packet *packet, uint32_t node, unsigned hops);
/* Let a copy arrive as well, if a rule says so. */
bool mad_is_duplicated(
        struct fabric *fabric, const struct mad_packet *packet, uint32_t node, unsigned hops);
bool mad_is_dropped(
        struct fabric *fabric, const uint8_t *request, uint32_t node, enum mad_direction direction);

/* The other end of the address: what the receiver sees of the sender. */
struct ib_mad_addr mad_address_of(
        const struct fabric *fabric, uint32_t port, const struct ib_mad_addr *to);

int smi_send(struct fabric *fabric, const struct mad_packet *packet, bool *is_answered);
bool smi_arrive(struct fabric *fabric, const struct mad_packet *packet);
int gsi_send(struct fabric *fabric, const struct mad_packet *packet, bool *is_answered);
bool gsi_arrive(struct fabric *fabric, const struct mad_packet *packet);

#endif
