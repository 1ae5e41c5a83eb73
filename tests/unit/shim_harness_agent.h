/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * The library's link to its agent, where there is none: what the agent would be told is counted,
 * and what it would answer is set.
 */
#ifndef TEST_SHIM_HARNESS_AGENT_H
#define TEST_SHIM_HARNESS_AGENT_H

#include <stdint.h>

struct pair_names;
struct remote;

/* Connections, and address handles, that the agent has been told of and has not been told the end
 * of. */
extern int harness_interest, harness_handles;

/* Queue pairs that the agent knows the context of, contexts that it knows to have moved, and what
 * it says to the next. */
extern int harness_announced, harness_contexts, harness_announce_error;
/* Objects of the fake HCA when something was withdrawn. */
extern int harness_live_at_withdrawal;

/* What the root says when it has heard of a context; NULL: nothing against it. */
extern int (*harness_awaited)(uint32_t context);

/* What the agent does meanwhile, before it answers. */
extern void (*harness_registering)(struct remote *remote);

/* Connections of rdma_cm whose other ends the agent was to tell that they have ended, and the last.
 */
extern unsigned harness_partings;
extern struct pair_names harness_parting;

/* The agent, if it is to be asked about senders of datagrams; NULL: there is none. */
extern void (*harness_stranger)(uint32_t lid);

#endif
