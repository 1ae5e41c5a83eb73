/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * The link to the agent, which is played here, with the library's clock in the test's hand: the
 * rooms agent_link, agent_service and agent_socket are compiled in with another clock.
 */
#ifndef TEST_SHIM_PLAYED_AGENT_H
#define TEST_SHIM_PLAYED_AGENT_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "notifier/wire/frame.h"
#include "preload/move.h"
#include "preload/objects.h"

enum {
	LID = 7,
	QPN = 0x100,
	REAL_QPN = 0x200,
	DATAGRAM_LID = 100,
	LONG_S = 4000,
	LIBRARY_ABSENT_MS = 1000
};

/* A thread that connects, or makes an address handle. */
struct asker {
	pthread_t thread;
	struct remote remote;
	bool is_handle;
	atomic_bool done;
};

/* Of the protocol; 0: the agent does not say. */
extern uint32_t agent_version;
int agent_setup(void **state);
int agent_teardown(void **state);
Tether__Frame *agent_reads(void);
void agent_welcomes(void);
/* Somebody is there and says HELLO; then it is answered. */
void agent_hears_hello(void);
Tether__Frame *agent_reads_hello(void);
void agent_answers_hello(Tether__Outcome outcome);
/* By the library's clock; 0: it is here. */
uint64_t agent_is_away_since(void);
void agent_hangs_up(void);
/* Nobody is behind its path any more. */
void agent_goes_for_good(void);
/* The number of the question that comes; with a GID, which one it names. */
uint32_t agent_is_asked(uint8_t *gid);
void agent_answers(uint32_t request, Tether__Outcome outcome);
void agent_has_no_room(uint32_t request);
void agent_refuses(uint32_t request, const char *reason);
Tether__Frame *agent_hears_interest(void);
/* A connection has ended at one end. */
void agent_hears_parting(const struct pair_names *names);
void agent_tells_parting(const struct pair_names *names);
unsigned partings_heard(struct pair_names *last);
uint32_t agent_is_asked_for_datagrams(uint32_t lid);
uint32_t agent_is_asked_for_gid(const union ibv_gid *gid);
/* What rows say; the caller's. */
void agent_answers_rows(uint32_t request, Tether__QpRows *rows, Tether__GidRows *gids);
/* It names a datagram for its reason. */
bool who_asked_has_heard(void);
void agent_hears_drop(uint32_t lid);
void agent_hears_nothing_more(void);
/* QPN is at @lid and called @real there. */
void agent_answers_datagrams(uint32_t request, uint32_t lid, uint32_t real);
/* And its VM is moving. */
void agent_answers_in_a_move(uint32_t request, uint32_t lid, uint32_t real);
/* What was said before has been heard. */
void agent_is_heard(void);
/* In between the service thread does nothing for anybody. */
void service_is_kept_busy(void);
void service_goes_on(void);
/* Of questions. */
bool was_packed_without_lock(void);
/* How often somebody who waits has. */
unsigned looks_at_clock(void);
/* By the clock that it sees. */
uint64_t library_ms(void);
void time_passes(int seconds);
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
