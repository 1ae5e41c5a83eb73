/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/* Threads of the process that connect, or make address handles, and wait for the agent's answer. */
#ifndef TEST_SHIM_ASKERS_H
#define TEST_SHIM_ASKERS_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "preload/objects.h"

/* A thread that connects, or makes an address handle. */
struct asker {
	pthread_t thread;
	struct remote remote;
	bool is_handle;
	atomic_bool done;
};

/* By default a connection to LID and QPN. */
void asker_begin(struct asker *a);
/* It looks at the clock, again, and still waits; or it has come back. */
bool asker_is_waiting(const struct asker *a);
void asker_end(struct asker *a);
/* Asks, or need not. */
void handle_is_made(uint16_t lid);
void handle_is_gone(uint16_t lid);
/* Made, asked for and answered. */
void first_handle(uint16_t lid, uint32_t real);

#endif
