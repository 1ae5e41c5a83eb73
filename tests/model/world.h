/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * A world in one process and one thread: some VMs with a VF each on one vSwitch, the library under
 * test over the simulated HCA, a clock that goes on when it is told to, and dice. Nothing happens
 * by itself: world_turn lets one small thing happen, of all that can. So what comes of a program
 * and a seed is the same each time.
 *
 * One world in a process's life: the library keeps much. Who needs more forks first.
 */
#ifndef TEST_MODEL_WORLD_H
#define TEST_MODEL_WORLD_H

#include <infiniband/verbs.h>
#include <stdbool.h>
#include <stdint.h>

#include "tests/model/turns.h"

enum { WORLD_VMS = 4, WORLD_SLOTS = 8, WORLD_MTU = 1024 };

struct world {
	uint64_t now_ns;
	uint64_t dice;  /* of what happens next, and of what the library draws */
	uint64_t turns; /* that have been taken */
	/* A timer may run out though packets are under way: once in so many turns; 0: never. */
	unsigned hasty;
	const struct turns *hca;
};

extern struct world world;

/* @settings: as `simfabric fault data` has them, ended by NULL. Dies with a word if it cannot be
 * made. Its files are in memory, and have no names once it stands. */
void world_begin(uint64_t seed, const char *const *settings);
void world_end(void);
/* One setting, from now on. */
void world_set(const char *setting);

/* 0 to @count - 1. */
uint32_t world_draw(uint32_t count);
uint64_t world_now_ms(void);

/* One thing happens. False: nothing can, and no timer runs. */
bool world_turn(void);
/* So many, or until nothing can happen. */
void world_turns(unsigned count);
/* Until nothing is under way and nobody has anything to send; timers run on. */
void world_calm(void);

/* Where a VM is. -1: without its device. */
int world_slot_of(unsigned vm);
uint16_t world_lid_of(unsigned vm);
/* The VF goes, once nobody holds it; false: somebody does. It comes at a free slot, with LID and
 * GUIDs. */
bool world_detach(unsigned vm);
void world_attach(unsigned vm, unsigned slot);
unsigned world_free_slot(void);
/* Taken away at once, whoever holds it. */
void world_surprise(unsigned vm);

/* The VM's device, through the library. */
struct ibv_context *world_open(unsigned vm);
/* The real queue pair behind one of the library's; NULL: it has none now. */
struct ibv_qp *world_real_of(struct ibv_qp *shown);

#endif
