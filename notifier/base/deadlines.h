/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * The one table of default deadlines, in milliseconds. A setting of the same name (lower case) in
 * smd.conf or agent.conf overrides a row for that daemon; see deadlines_set. libtether.so reads no
 * settings: it has what an event says, else the defaults. A child's deadline is always shorter
 * than its parent's, so that an answer naming who is missing arrives before the parent gives up on
 * the child.
 */
#ifndef TETHER_DEADLINES_H
#define TETHER_DEADLINES_H

#include <stddef.h>

#define TETHER_DEADLINES(DEADLINE)                                                                 \
	DEADLINE(prepare_ms, 3000, "PREPARE: every process says what it cannot move")              \
	DEADLINE(stop_ms, 5000, "STOP: gates closed and sends drained")                            \
	DEADLINE(drain_ms, 200, "STOP: a QP without any progress for so long is not waited for")   \
	DEADLINE(datagram_ms, 100, "SETTLE: so long nothing came any more of what was sent")       \
	DEADLINE(settle_ms, 3000, "SETTLE: evidence collected, vote cast")                         \
	DEADLINE(lease_ms, 8000, "STOP: a process that hears nothing for so long reopens alone")   \
	DEADLINE(release_ms, 5000, "RELEASE: objects torn down, device closed")                    \
	DEADLINE(detach_ms, 5000, "host order: the VF has left the VM")                            \
	DEADLINE(move_ms, 20000, "host order: the VM's memory has moved")                          \
	DEADLINE(guids_ms, 1000, "host order: GUIDs programmed")                                   \
	DEADLINE(plan_ms, 2000, "SM: plan computed")                                               \
	DEADLINE(sm_lease_ms, 6000, "SM: sweeps held off while GUIDs and a plan are applied")      \
	DEADLINE(apply_ms, 4000, "SM: plan applied and verified")                                  \
	DEADLINE(                                                                                  \
	        wake_ms, 8000, "SM: a sweep activates the port whose link came up (dynamic LIDs)") \
	DEADLINE(attach_ms, 5000, "host order and ATTACH: new VF there, objects rebuilt")          \
	DEADLINE(reconnect_ms, 3000, "RECONNECT: both ends of every pair in RTR")                  \
	DEADLINE(resume_ms, 3000, "RESUME: replayed, gates open")                                  \
	DEADLINE(overall_ms, 30000, "all of it; what cannot be rebuilt by then ends with errors")  \
	DEADLINE(change_ms, 120000, "a VM that comes or goes: all of it, and all of the way back") \
	DEADLINE(inventory_ms, 10000, "agent: the driver says what the host has")                  \
	DEADLINE(report_ms, 1000, "agents that are asked how they are answer")                     \
	DEADLINE(away_ms, 2000, "relays: so long a child may lose its link and be the same one")   \
	DEADLINE(                                                                                  \
	        notice_ms, 100, "signal = mad: what a notice told of is asked for, or told again") \
	DEADLINE(heartbeat_ms, 100, "links: three of these without a word and the link is dead")   \
	DEADLINE(ask_ms, 500,                                                                      \
	        "links to processes and guests: who is silent about a frame is asked")             \
	DEADLINE(reconnect_link_ms, 20, "links: first pause before connecting again; doubles")

struct deadlines {
#define DEADLINE(name, value, meaning) unsigned name;
	TETHER_DEADLINES(DEADLINE)
#undef DEADLINE
};

/* The table's defaults. */
extern const struct deadlines deadlines_default;

/* The name of the @index-th row; NULL behind the last one. What a value has to be. */
const char *deadlines_key(size_t index);
#define DEADLINES_WANT "a number of milliseconds from 1 to 3600000"

/* Override row @name. -ENOENT: no such row; -EINVAL: not a number from 1 to 3,600,000. */
int deadlines_set(struct deadlines *table, const char *name, const char *value);

#endif
