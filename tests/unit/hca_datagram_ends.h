/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/* Two UD queue pairs on a wire, and what end 0 sends to end 1. For unit tests. */
#ifndef UNIT_HCA_DATAGRAM_ENDS_H
#define UNIT_HCA_DATAGRAM_ENDS_H

#include "simfabric/address_handle.h"
#include "simfabric/datagram.h"
#include "unit/hca_pair.h"

enum {
	GRH = DATAGRAM_GRH_ROOM,
	FAR = 0x40000, /* where end 1 receives */
	MTU = 1024,
};

/* A test's setup and teardown: its state is the pair. */
int ud_open(void **state);
int ud_open_with_srq(void **state);
int ud_close(void **state);

/* By a GRH. */
struct address_handle global_to(int end);

/* A datagram that end 0 posts, with what it points to. */
struct datagram {
	struct address_handle handle;
	struct ibv_sge sge;
	struct ibv_send_wr wr;
};

void datagram_make(struct pair *pair, struct datagram *datagram, uint32_t bytes);
/* Posted, and all has happened that comes of it. */
void post(struct pair *pair, const struct ibv_send_wr *wr);
void send_by(struct pair *pair, struct address_handle handle, uint32_t bytes);
void send_bytes(struct pair *pair, uint32_t bytes);
enum ibv_wc_status sent_with(struct pair *pair);
void nothing_received(struct pair *pair);

#endif
