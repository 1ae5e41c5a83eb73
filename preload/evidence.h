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
 * Tables of the answers: the pairs concerned; every queue pair that was rebuilt, also one that is
 * not connected yet, since whoever connects to it later has only its virtual number; evidence;
 * rkeys. -ENOMEM.
 */
int evidence_report_pairs(const struct move *move, Tether__Answer *answer);
int evidence_report_rebuilt(const struct move *move, Tether__Answer *answer);
int evidence_report(const struct move *move, Tether__Answer *answer);
int evidence_report_keys(const struct move *move, Tether__Answer *answer);

/*
 * The row that the other end of @qp has sent. Rows are found by the number of ours that they name,
 * which several devices of this process may use.
 */
struct pair_names {
	uint32_t local_lid, local_qpn, remote_lid, remote_qpn; /* as the other end says them */
};
bool pair_names_are_of(const struct pair_names *names, const struct queue_pair *qp);
struct queue_pair *move_find(const struct move *move, const struct pair_names *names);

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
