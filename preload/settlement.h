/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * What became of work that was posted and has no completion, decided from what the responder says.
 * Pure. The argument for each class of work is in DESIGN.md, "Evidence".
 */
#ifndef TETHER_SETTLEMENT_H
#define TETHER_SETTLEMENT_H

#include <stdbool.h>
#include <stdint.h>

#include "preload/work_log.h"

enum { PSN_UNKNOWN = 0xffffffff };

struct settlement {
	uint32_t executed; /* work requests */
	uint32_t made_up;  /* of them, those whose completion was asked for */
	uint32_t replayed;
	bool lost;        /* something cannot be told: the queue pair has to end with an error */
	bool contradicts; /* @rq_psn cannot be of this connection: never sent, or before what is
	                     done */
};

/*
 * Set the fate of every open slot with the device. @rq_psn: the next PSN that the responder
 * expects, or PSN_UNKNOWN. Both gates are closed. Slots whose fate an earlier settlement has
 * decided keep it.
 */
struct settlement settle_sends(struct send_log *log, uint32_t rq_psn);

/*
 * The same where there is no such PSN, the responder's device being gone. @receives: how many of
 * its RECVs have completed for us. A responder executes in order (IBA 9.7.4), so the work that took
 * the last of them was executed, and what is before it. Of what is behind it only READs are
 * replayed: anything else may have been executed.
 */
struct settlement settle_sends_by_receives(struct send_log *log, uint32_t receives);

/*
 * Behind settle_sends: the receiver says that @receives RECVs have completed in this incarnation,
 * which are more than what counts as executed has taken. So it does not tell where it is.
 */
bool settlement_is_belied(const struct send_log *log, uint32_t receives);

/*
 * The same for a transport that acknowledges nothing. @sq_psn: the first PSN that our own device
 * has not sent, or PSN_UNKNOWN. What ERR gave back (@flushed) may have been sent all the same: it
 * is not sent again unless @sq_psn says that it was not. The first of the incarnation says so only
 * if the device is known to keep the number (@is_kept): another answers what it was given. What was
 * sent is done, whatever became of it.
 */
struct settlement settle_sent(struct send_log *log, bool flushed, uint32_t sq_psn, bool is_kept);
/* The device has counted on: it keeps the number. */
bool settlement_psn_has_moved(const struct send_log *log, uint32_t sq_psn);

/* The control to settle_sends: trust nothing but completions and replay everything else. */
struct settlement settle_sends_blindly(struct send_log *log);

/*
 * An atomic has no completion, and nothing here says that the responder has not executed it: work
 * before it that waits for a RECV may have found one, its acknowledgement being lost or under way.
 */
bool settlement_atomic_exposed(const struct send_log *log);

/*
 * The first PSN of the next incarnation, @next_psn being what the last one would have sent next.
 * Packets and acknowledgements of before may still be under way; none of them may be expected, or
 * taken for an acknowledgement, by what begins now. So it is far from those of the last incarnation
 * and of many before it, whichever way one counts.
 */
uint32_t psn_far_from(uint32_t next_psn);

/* The receiver's side: how many RECVs the sender's work has taken, by the sender's word. */
struct implied_receives {
	uint32_t count;  /* begins as EvidenceRow.sent */
	uint32_t rq_psn; /* ours */
};
/* One work request of whose end the sender does not know: it took a RECV if we are past @end_psn.
 */
void implied_receives_add(struct implied_receives *implied, uint32_t end_psn);

#endif
