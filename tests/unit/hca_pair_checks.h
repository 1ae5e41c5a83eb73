/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * Work that end 0 of a pair asks of end 1, and what must have come of it. For unit tests: what is
 * not as it must be fails the test that asks.
 */
#ifndef UNIT_HCA_PAIR_CHECKS_H
#define UNIT_HCA_PAIR_CHECKS_H

#include "unit/hca_pair.h"

enum {
	LOCAL = 0x10000, /* where things lie in each end's memory */
	REMOTE = 0x40000,
};

/* From LOCAL at end 0 to REMOTE at end 1, or back; immediate data where the opcode has any. */
void pair_post_work(struct pair *pair, enum ibv_wr_opcode opcode, uint32_t length, uint64_t wr_id);
/* The same for one word; wr_id is 1. */
void pair_post_atomic(
        struct pair *pair, enum ibv_wr_opcode opcode, uint64_t compare_add, uint64_t swap);

/* The next completion is this one. */
void pair_assert_sent(struct pair *pair, int index, uint64_t wr_id, enum ibv_wc_status status);
/* With success. */
void pair_assert_received(struct pair *pair, int index, uint64_t wr_id, uint32_t bytes);
/* No completion at either end. */
void pair_assert_nothing_more(struct pair *pair);

/* Bytes that @seed makes, others in each packet of a message. */
void pair_fill(struct pair *pair, int index, uint64_t offset, uint32_t length, uint8_t seed);
void pair_assert_filled(
        struct pair *pair, int index, uint64_t offset, uint32_t length, uint8_t seed);
/* What lies at @at0 of end 0 lies at @at1 of end 1. */
void pair_assert_same(struct pair *pair, uint64_t at0, uint64_t at1, uint32_t length);
uint64_t pair_word(struct pair *pair, int index, uint64_t offset);
void pair_set_word(struct pair *pair, int index, uint64_t offset, uint64_t value);

/* A fate: nothing arrives. */
int pair_lose_all(void *test, int from, const struct packet *packet, uint64_t *delay_ns);

#endif
