/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * Clocks of the fake HCAs, exact ones, each with a rate, a width and a beginning of its own; and
 * their ibv_cq_ex, with readers for what was asked for only.
 */
#ifndef TEST_SHIM_FAKE_CLOCKS_H
#define TEST_SHIM_FAKE_CLOCKS_H

#include <infiniband/verbs.h>
#include <stdbool.h>
#include <stdint.h>

enum { FAKE_CLOCKS = 4, FAKE_WALL_NS = 1000 };

struct fake_clock {
	uint64_t begin, mask, khz;
};

struct fake_clocks {
	bool are_there; /* at devices that are opened from now on; fake_reset: they are not */
	bool cannot_be_read;
	/* By slot; the peer's is that of slot 0. */
	struct fake_clock of_slot[FAKE_CLOCKS];
	uint64_t lag_ns; /* so much earlier than now completions are stamped, below a second */
};
extern struct fake_clocks fake_clocks;

void fake_clocks_reset(void);

struct fake_stamp {
	uint64_t at_ns;   /* CLOCK_MONOTONIC_RAW */
	uint64_t wall_ns; /* the n-th completion: n times FAKE_WALL_NS */
};

struct fake_stamp fake_stamp_now(void);

/* A queue, as an ibv_cq_ex, and the completion that is read. */
struct fake_cq_ex {
	union {
		struct ibv_cq cq;
		struct ibv_cq_ex shown;
	};
	struct ibv_wc wc;
	struct fake_stamp stamp;
	/* The next one; false: there is none. */
	bool (*take)(struct ibv_cq *cq, struct ibv_wc *wc, struct fake_stamp *stamp);
	bool is_being_read;
};

/* What a context that is opened can do with them. */
void fake_clocks_show(struct verbs_context *context);

#endif
