/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * The run: tokens go to and fro between each QP of one side and each of the other, a datagram each,
 * so that no receive queue can overflow; the client begins, and begins again with a pair that has
 * lost its tokens. At the end both say what they have sent. One thread.
 */
#ifndef UD_VERIFY_RUN_H
#define UD_VERIFY_RUN_H

#include <stdbool.h>
#include <stdint.h>

#include "demo-apps/verify/pauses.h"
#include "demo-apps/verify/rendezvous.h"
#include "demo-apps/ud_verify/end.h"
#include "demo-apps/ud_verify/options.h"
#include "demo-apps/ud_verify/stream.h"

struct other_side {
	struct port_address address;
	uint32_t qpns[QPS_MAX];
};

struct run {
	struct options options;
	bool is_server;
	struct rendezvous line;
	struct end end;
	struct other_side other;
	struct pair {
		struct stream in;  /* from the other's QP */
		uint64_t sent;     /* to it */
		uint32_t owed;     /* tokens that we hold */
		uint64_t alive_us; /* when one moved last */
	} pairs[QPS_MAX][QPS_MAX]; /* ours, the other's */
	struct findings findings;
	uint64_t misdelivered, misattributed, strange_headers, strange_pkeys;
	uint64_t received, sent, begun_again;
	struct losses losses;
	struct pauses pauses;
	uint64_t random, start_us, wall_start_us, now_us, last_us;
	bool is_stopping, unchanged, other_is_good, has_failed;
};

int run_execute(struct run *run, const struct options *options);
/* Nothing wrong but losses. */
bool run_is_good(const struct run *run);
void run_destroy(struct run *run);

#endif
