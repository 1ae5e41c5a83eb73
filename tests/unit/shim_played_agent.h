/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/* The agent at the other end of the library's link: what it hears and says. */
#ifndef TEST_SHIM_PLAYED_AGENT_H
#define TEST_SHIM_PLAYED_AGENT_H

#include <stdbool.h>
#include <stdint.h>

#include "notifier/wire/frame.h"
#include "preload/move.h"
#include "preload/objects.h"
#include "tests/unit/shim_askers.h"
#include "tests/unit/shim_played_library.h"

enum { LID = 7, QPN = 0x100, REAL_QPN = 0x200, DATAGRAM_LID = 100, LONG_S = 4000 };

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
void agent_hangs_up(void);
/* Nobody is behind its path any more. */
void agent_goes_for_good(void);
/* It has not. */
bool agent_is_played(void);
/* The number of the question that comes; with a GID, which one it names. */
uint32_t agent_is_asked(uint8_t *gid);
void agent_answers(uint32_t request, Tether__Outcome outcome);
void agent_has_no_room(uint32_t request);
void agent_refuses(uint32_t request, const char *reason);
Tether__Frame *agent_hears_interest(void);
/* A connection has ended at one end. */
void agent_hears_parting(const struct pair_names *names);
void agent_tells_parting(const struct pair_names *names);
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

#endif
