/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * A libibverbs that only notes who was called, in place of preload/real_verbs.c, and no agent. Its
 * objects are memory that nobody looks into.
 */
#ifndef TEST_SHIM_NOTED_VERBS_H
#define TEST_SHIM_NOTED_VERBS_H

#include <infiniband/verbs.h>
#include <stdbool.h>
#include <stdint.h>

enum { NOTED_MAX_QP = 77 };

/* One device, and the context that it is opened as. */
extern struct ibv_device real_device, *real_devices[];
extern struct ibv_context real_context;

/* Nothing has been called, nothing is there. */
void noted_begin(void);
void noted_end(void);
void noted_forget(void);
unsigned noted_calls(void);
/* By its name, with this as its first argument; by its name alone. */
bool was_called(const char *name, uintptr_t first);
bool was_named(const char *name);

/* What is there to be polled, once. */
extern struct ibv_wc completed;
extern bool has_completed;
/* What was posted last. */
extern struct ibv_send_wr posted;
extern uint64_t received_as;

#endif
