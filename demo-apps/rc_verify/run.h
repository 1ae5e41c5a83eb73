/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * One run from set-up to verdict. Holds everything; one thread.
 */
#ifndef RC_VERIFY_RUN_H
#define RC_VERIFY_RUN_H

#include "demo-apps/rc_verify/add_ledger.h"
#include "demo-apps/rc_verify/endpoint.h"
#include "demo-apps/verify/findings.h"
#include "demo-apps/rc_verify/lane.h"
#include "demo-apps/verify/pauses.h"
#include "demo-apps/verify/rendezvous.h"

/* CMP_SWAP: each success adds one, so the counter ends at the number of successes. */
struct swap_ledger {
	uint64_t known; /* newest value seen */
	uint64_t successes;
};

struct run {
	const struct options *asked;
	struct options options; /* with the client's choices */
	bool is_server;
	struct endpoint endpoint;
	struct lane *lanes;
	struct rendezvous rendezvous;
	unsigned char *scratch; /* one message, whole */

	struct findings findings;
	struct add_ledger *adds;
	struct swap_ledger swaps;
	struct pauses pauses;
	uint64_t sent[WORK_KIND_COUNT], received[WORK_KIND_COUNT];
	enum injection injection; /* still to be committed */

	uint64_t start_us, now_us;
	uint64_t wall_start_us; /* CLOCK_REALTIME at start_us */
	struct port_address at_end;
	bool sums_ok, addresses_same, qpns_same;
	unsigned notes;  /* said on stderr */
	bool has_failed; /* an error completion, a failed call, a lost partner: ends the run */
	int peer_ok;     /* the other side's verdict; -1: not heard */
};

/* Returns 0 when the run came to its end, whatever it found; -errno when it could not start. */
int run_execute(struct run *run, const struct options *options);
bool run_is_exact(const struct run *run);
void run_destroy(struct run *run);

/* Says on stderr what was found since @before, @number being the work at hand; the first ones only.
 */
void run_note(struct run *run, const struct lane *lane, const struct findings *before,
        const char *what, uint64_t number);

/* For the requester and the receiver: something that ends the run. */
void run_fail(struct run *run, const struct lane *lane, const char *what, const char *why);

#endif
