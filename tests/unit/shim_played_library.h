/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * The library's end of the link to its agent: the rooms agent_link, agent_service and agent_socket,
 * compiled in with a clock that is in the test's hand; what they lead to is played.
 */
#ifndef TEST_SHIM_PLAYED_LIBRARY_H
#define TEST_SHIM_PLAYED_LIBRARY_H

#include <stdbool.h>
#include <stdint.h>

struct pair_names;

enum { LIBRARY_ABSENT_MS = 1000 };

/* Where it looks for its agent: shim_played_agent.h. */
extern char played_agent_path[];

/* By the library's clock; 0: it is here. */
uint64_t agent_is_away_since(void);
/* A question was, while somebody else could have taken the lock. */
bool was_packed_without_lock(void);
/* How often somebody who waits has looked. */
unsigned looks_at_clock(void);
/* By the clock that it sees. */
uint64_t library_ms(void);
void time_passes(int seconds);
/* Connections of which it was told that they have ended at their other ends, and the last. */
unsigned partings_heard(struct pair_names *last);
/* Events that it has heard. */
unsigned library_events(void);
/* With the next one it is busy until it is told otherwise. */
void service_keeps_busy(bool is_busy);

#endif
