/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * What a sleeper does while it is awake: it takes the completions that are there, answers a burst
 * when it has got the last of it, and arms its queues. Under its lock.
 */
#ifndef TEST_SHIM_SLEEPER_TURNS_H
#define TEST_SHIM_SLEEPER_TURNS_H

#include <stdbool.h>
#include <stdint.h>

#include "tests/unit/shim_sleepers.h"

/* @what does not hold: the first is kept for the end. */
void sleeper_expect(struct sleeper *sleeper, bool holds, const char *what);
/* A number of its own choice. */
unsigned sleeper_draw(struct sleeper *sleeper, unsigned below);

/* Of the first flow the first half of the buffers, of the shared queue the others. */
void sleeper_give_receive(struct sleeper *sleeper, uint64_t wr_id);
void sleeper_poll(struct sleeper *sleeper, struct heard_cq *heard);
void sleeper_arm(struct sleeper *sleeper, struct heard_cq *heard);
/* The shared queue is filled up only when it says so. */
void sleeper_refill(struct sleeper *sleeper);
/* Whatever it can do now. */
void sleeper_go_on(struct sleeper *sleeper);

#endif
