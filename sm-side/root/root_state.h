/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/* What the root knows; shared by root.c (its life, and what its owner has it do), root_outputs.c
 * (what comes of what agents say), root_events.c (what they are told) and root_holds.c (who may not
 * connect for now), and by nobody else. */
#ifndef TETHER_ROOT_STATE_H
#define TETHER_ROOT_STATE_H

#include "notifier/link/agent_links.h"
#include "notifier/link/refusal_log.h"
#include "notifier/relay/relay.h"
#include "sm-side/root/agent_poll.h"
#include "sm-side/root/owner_notices.h"
#include "sm-side/root/questions.h"
#include "sm-side/root/root.h"
#include "sm-side/root/root_places.h"
#include "sm-side/root/root_signal.h"

struct root {
	struct event_base *base;
	struct event *ticking;
	uint64_t ticks_ms; /* when it goes off; UINT64_MAX: it does not; 0: it is not known */
	struct relay *relay;
	struct agent_links *links;
	struct owner_notices *notices;
	struct inventory inventory;
	struct root_places places;
	struct questions *questions;
	struct agent_poll *agents;
	struct credentials *credentials; /* NULL: no TLS */
	struct root_signal *signal;      /* NULL: signal = stream */
	struct refusal_log refusals;     /* agents that come and go */
	bool takes_interest; /* what comes up now is what an agent has just said in an Interest */
	const struct root_callbacks *callbacks;
	void *owner;
};

/* root.c: after anything that may have changed when the relay, or a question, wants to be called.
 */
void root_tick_arm(struct root *root);

/* root_outputs.c; their owner is the root. */
extern const struct relay_outputs root_relay_outputs;
extern const struct questions_outputs root_questions_outputs;

#endif
