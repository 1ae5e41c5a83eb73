/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * A libibumad that a test plays: what was sent lies in a row, and the test says what comes of it.
 * Answers say what the request said.
 */
#ifndef TETHER_TEST_RAW_WIRE_H
#define TETHER_TEST_RAW_WIRE_H

#include <stdint.h>

#include "sm-side/raw/smp.h"

enum { WIRE_SENT_MAX = 64 };

struct raw_wire {
	uint8_t sent[WIRE_SENT_MAX][SMP_BYTES];
	uint16_t to_lid[WIRE_SENT_MAX];
	unsigned count, next;  /* sent; the next to be answered */
	unsigned lose;         /* the first so many */
	unsigned spoil;        /* of those answered, the first so many say something else */
	unsigned spoil_at;     /* in which byte of the data */
	unsigned repeat_first; /* answer the first one again, so often */
	uint16_t status;       /* of answers */
	unsigned most_at_a_time;
	unsigned sleep_ms; /* before the next answer */
	int send_error;
};

extern struct raw_wire wire;

/* The attribute modifier of what was sent as number @which. */
uint32_t wire_modifier(unsigned which);
/* Its data. */
const uint8_t *wire_data(unsigned which);

#endif
