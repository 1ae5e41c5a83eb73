/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * Places where the shared file is half changed. SIMFABRIC_DIE_AT=name:count kills the process with
 * SIGKILL when it comes to the place for the count-th time, so that a test can walk through all of
 * them. Without the setting a point costs a load and a compare.
 */
#ifndef SIMFABRIC_FAULT_POINTS_H
#define SIMFABRIC_FAULT_POINTS_H

#define FAULT_POINTS(POINT)                                                                        \
	POINT(lock_taken, "the lock is held, nothing changed")                                     \
	POINT(redo_staged, "a change is collected, not committed")                                 \
	POINT(redo_committed, "a change is committed, not applied")                                \
	POINT(redo_half_applied, "a change is applied to its first word")                          \
	POINT(redo_applied, "a change is applied, the log not empty")                              \
	POINT(message_chunk_taken, "a message's first chunk is neither free nor anybody's")        \
	POINT(message_half_copied, "a long message lacks chunks")                                  \
	POINT(message_half_freed, "a long message is half given back")                             \
	POINT(mailbox_half_open, "a mailbox is filled in, not in use")                             \
	POINT(mailbox_linked, "a mailbox is in its port's list, not in use")                       \
	POINT(mailbox_half_closed, "a mailbox is out of its port's list, in use")                  \
	POINT(mailbox_message_unlinked, "a message is complete and in no queue")                   \
	POINT(mailbox_tail_stale, "a message is queued, the tail is not it")                       \
	POINT(mailbox_message_taken, "a message has left its queue, not freed")                    \
	POINT(agent_half_registered, "an agent is filled in, not in use")                          \
	POINT(event_half_added, "an event is filled in, not in use")                               \
	POINT(event_not_in_heap, "an event is in use and not in the heap")                         \
	POINT(event_heap_half_swapped, "an event stands twice in the heap, another not at all")    \
	POINT(event_half_taken, "an event is not in use and still in the heap")                    \
	POINT(trap_half_recorded, "a trap is filled in, not in use")                               \
	POINT(smp_answered, "an SMP has been carried out and not answered")                        \
	POINT(client_half_reaped, "what a dead client held is given back, its row in use")         \
	POINT(packet_ring_taken, "a packet ring has an owner who does not read it yet")            \
	POINT(qpn_taken, "a queue pair number is taken and not counted")                           \
	POINT(packet_half_sent, "a packet is written, its ring locked")                            \
	POINT(packet_sent, "a packet is in a ring, its reader not woken")

enum fault_point {
	FAULT_POINT_NONE,
#define POINT(name, meaning) FAULT_POINT_##name,
	FAULT_POINTS(POINT)
#undef POINT
	        FAULT_POINT_COUNT,
};

extern enum fault_point fault_point_armed;

/* Read SIMFABRIC_DIE_AT. -EINVAL: no such point or no number. */
int fault_point_arm(const char *setting);
void fault_point_reached(void);
const char *fault_point_name(enum fault_point point);
const char *fault_point_meaning(enum fault_point point);

#define fault_point(name)                                                                          \
	do {                                                                                       \
		if (__builtin_expect(fault_point_armed == FAULT_POINT_##name, 0))                  \
			fault_point_reached();                                                     \
	} while (0)

#endif
