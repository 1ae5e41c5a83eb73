/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/* An answer of the tree to a step of a migration, put together by hand. */
#ifndef TETHER_TESTS_MIGRATION_SAID_H
#define TETHER_TESTS_MIGRATION_SAID_H

#include "notifier/wire/rows.h"
#include "tests/unit/migration_drive.h"

struct said {
	Tether__Answer answer;
	Tether__EvidenceRows evidence;
	Tether__QpRows qps;
	Tether__KeyRows keys;
	char *answered[4], *missing[4], *ended[4];
	Tether__Refusal refusal;
	Tether__Refusal *refusals[1];
};

void said_init(struct said *said, Tether__Step step, Tether__Outcome outcome);
/* Its rows. */
void said_clear(struct said *said);
void said_qp(struct said *said, uint32_t lid, uint32_t qpn, uint32_t to_lid, uint32_t to_qpn);
void said_answered(struct said *said, const char *name);
void said_missing(struct said *said, const char *name);
void said_refusal(struct said *said, const char *who);

#endif
