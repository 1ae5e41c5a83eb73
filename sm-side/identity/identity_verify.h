/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * Compares a plan with the fabric and with what OpenSM believes, by reading back what the plan is
 * about: NodeInfo, PortInfo and P_Keys at the slots, and the plan's LFT blocks. Threads and locks
 * as in identity_move.h.
 */
#ifndef TETHER_IDENTITY_VERIFY_H
#define TETHER_IDENTITY_VERIFY_H

#include <stdint.h>

#include "sm-side/plan/plan.h"
#include "sm-side/identity/smp_sender.h"

enum {
	DIFFERENCES_MAX = 32,
	DIFFERENCE_BYTES = 160,
};

struct differences {
	unsigned count; /* all; the first DIFFERENCES_MAX have a text */
	char text[DIFFERENCES_MAX][DIFFERENCE_BYTES];
};

/* *@differences is written where REFUSAL_NONE is returned. */
enum refusal identity_verify(struct osm_opensm *osm, struct smp_sender *sender,
        const struct plan *plan, uint64_t deadline_ns, struct differences *differences);

#endif
