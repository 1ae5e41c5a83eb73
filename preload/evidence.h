/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * What each side knows of a connection that was stopped: said upward at SETTLE, taken from the
 * other side at RELEASE, and the fate of unfinished work decided from both. The service thread's,
 * control verbs kept out.
 */
#ifndef TETHER_EVIDENCE_H
#define TETHER_EVIDENCE_H

#include "preload/move.h"

/*
 * Tables of the answers: the pairs concerned, asked for and behind a vote; every queue pair that
 * was rebuilt, also one that is not connected yet, since whoever connects to it later has only its
 * virtual number; evidence; rkeys. -ENOMEM.
 */
int evidence_report_pairs(const struct move *move, Tether__Answer *answer);
int evidence_report_voted(const struct move *move, Tether__Answer *answer);
int evidence_report_rebuilt(const struct move *move, Tether__Answer *answer);
int evidence_report(const struct move *move, Tether__Answer *answer);
/* It has rows: some are broken, and not of datagrams. */
bool evidence_names_some(const struct move *move);
int evidence_report_keys(const struct move *move, Tether__Answer *answer);

/* Note the other sides' rows. -EBADMSG: unequal columns. */
int evidence_take(struct move *move, const Tether__EvidenceRows *rows);

/*
 * An acknowledgement may have come before the receive's completion: true when all that the other
 * sides' sends have taken are here.
 */
bool evidence_receives_are_here(struct move *move);
/* They did not come in time: these queue pairs end with an error. */
void evidence_give_up_receives(struct move *move);

/* Decide every fate, and complete what was executed. Counts go to the move. Idempotent. */
void evidence_settle(struct move *move);

#endif
