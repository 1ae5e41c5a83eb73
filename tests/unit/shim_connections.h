/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/* A connection that rdma_cm has made, with an id at either end, over the fake HCA and librdmacm. */
#ifndef TEST_SHIM_CONNECTIONS_H
#define TEST_SHIM_CONNECTIONS_H

#include "tests/unit/shim_fake_rdmacm.h"
#include "tests/unit/shim_harness.h"

enum { OF_VM, OF_PEER, SIDES };

struct connection {
	struct harness h;
	struct rdma_event_channel *channels[SIDES];
	struct rdma_cm_id *ids[SIDES]; /* NULL: destroyed by the test */
};

/* Both are established, on channels of their own. */
void connection_begin(struct connection *c);
void connection_close(struct connection *c);
int connection_setup(void **state);
int connection_teardown(void **state);

/* An address of that side's device, with a port. */
struct sockaddr *address_of(int side, uint16_t port);
/* An id on that side's device, resolved. */
struct rdma_cm_id *id_resolved(struct rdma_event_channel *channel, int side);
/* Its calls wait: it has a channel of its own; *_established as connection_begin has it. */
struct rdma_cm_id *id_established(struct rdma_event_channel *channel, int side, struct ibv_qp *qp);

/* The channel has this event, of @id, and its descriptor says so. It is acknowledged. */
void event_expect(struct rdma_event_channel *channel, const struct rdma_cm_id *id,
        enum rdma_cm_event_type what);
/* It has none, and its descriptor does not say so. */
void event_none(struct rdma_event_channel *channel);

/* RELEASE to RESUME, the device taken away from the kernel's ids in between. */
void connection_go_on(struct connection *c);
void connection_move(struct connection *c);
/* A message arrives either way. */
void connection_lives(struct connection *c);

#endif
