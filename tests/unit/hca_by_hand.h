/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * A pair of RC queue pairs whose peer is the test: packets are made by hand, given to one end, and
 * what that end sends is taken off the wire. For unit tests.
 */
#ifndef UNIT_HCA_BY_HAND_H
#define UNIT_HCA_BY_HAND_H

#include "unit/hca_pair.h"

enum {
	FIRST_PSN = 100, /* of both directions */
	BYTES = 1024,    /* one MTU */
	FAR = 0x40000,   /* where requests work in end 1's memory */
};

/* A test's setup and teardown: its state is the pair. */
int hand_open(void **state);
int hand_close(void **state);

/* A request to end 1 as end 0 would send it. */
struct packet hand_request(struct pair *pair, uint8_t op, uint32_t psn);
/* A response to end 0 as end 1 would send it. */
struct packet hand_response(uint8_t op, uint32_t psn, uint8_t syndrome);
void hand_give(struct pair *pair, int end, const struct packet *packet);
void hand_give_request(struct pair *pair, uint8_t op, uint32_t psn);
void hand_give_response(struct pair *pair, uint8_t op, uint32_t psn, uint8_t syndrome);

/* The next packet that either end sends, taken off the wire; good until the next one. */
struct packet *hand_next(struct pair *pair);
/* It is this acknowledgement. */
void hand_assert_answered(struct pair *pair, uint32_t psn, uint8_t syndrome);
void hand_assert_silent(struct pair *pair);

#endif
