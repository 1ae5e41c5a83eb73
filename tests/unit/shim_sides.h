/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/* Tests that run both ways: a promise of a move holds for who moves and for who stays. */
#ifndef TEST_SHIM_SIDES_H
#define TEST_SHIM_SIDES_H

#include <stdint.h>

#include "tests/unit/shim_harness.h"

struct sides {
	struct end *from, *to;
};

struct sides from_vm(struct harness *h);
struct sides from_peer(struct harness *h);
/* @text goes to 8 * wr_id in both memories. */
int write8(struct sides s, uint64_t wr_id, const char *text, unsigned flags);
const char *there(struct sides s, uint64_t wr_id);

/* Once from the VM and once from its peer. */
#define BOTH_WAYS(name)                                                                            \
	static void name##_here(struct harness *h, struct sides s);                                \
	static void name(void **state)                                                             \
	{                                                                                          \
		name##_here(*state, from_vm(*state));                                              \
		name##_here(*state, from_peer(*state));                                            \
	}                                                                                          \
	static void name##_here(struct harness *h, struct sides s)

#endif
