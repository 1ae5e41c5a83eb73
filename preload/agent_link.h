/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * The process's link to its agent, and the thread that serves it: says hello, hands events to
 * steps.h, brings interest up and answers down. Started before the first device is opened, if
 * TETHER_AGENT is set; connects again for as long as the process lives. Any thread may call.
 */
#ifndef TETHER_AGENT_LINK_H
#define TETHER_AGENT_LINK_H

#include <stdbool.h>
#include <stdint.h>

#include "preload/announcements.h"

struct pair_names;
struct remote;

/*
 * Idempotent. Returns when the agent has made this process welcome, by when it has said whether the
 * VM is without its device; when there is no agent, or it does not speak.
 */
void agent_link_start(void);
/* After fork, in the child: there is no thread, the socket is the parent's. */
void agent_link_forget_parent(void);

/*
 * Before a connection to @remote is made: let those who move VMs know, and learn what the other
 * end's numbers are now. Waits for the answer; without an agent, or without an answer in time, goes
 * on with the numbers as they are. Never called inside control.h.
 */
void agent_link_register(struct remote *remote);
/*
 * The same before there is an address handle to @remote, for all datagram queue pairs there at
 * once: what they are called stands in datagram_numbers.h afterwards. Asks once for each address.
 */
void agent_link_register_datagrams(struct remote *remote);
/* A connection or address handle to @remote is gone. */
void agent_link_forget(const struct remote *remote);
/*
 * A move has said what numbers at @lid, or at @gid, mean. Where no address handle leads there any
 * more, and nobody is heard from there, the next will not be told of: they are forgotten.
 */
void agent_link_took_numbers(uint32_t lid, const union ibv_gid *gid);
/* Whoever is heard from there next is to be asked for as any stranger (heard_senders.h). */
void agent_link_sender_has_left(uint32_t lid, const union ibv_gid *gid);

/* There is an agent, or may be one. */
bool agent_link_is_there(void);
/* There is something in heard_senders.h. */
void agent_link_wake(void);
/*
 * Until that sender is known; to a second after @since_ms (monotonic_ms()), and not at all without
 * an agent, or after that was waited for in vain and has said nothing since. Holding no gate.
 */
void agent_link_await_sender(const struct remote *sender, uint64_t since_ms);

/*
 * Before the application knows of a queue pair: let those who will connect to it know which rkeys
 * go with it. Waits as agent_link_register does. -ENOMEM: it cannot be announced, here or above.
 */
int agent_link_announce(const struct announcement *what);
/* The same without waiting; heard before the next answer to an event. -ENOMEM */
int agent_link_announce_unasked(const struct announcement *what);
/*
 * Of contexts that are announced unasked: until all that is said of this one is heard above. Waits
 * as agent_link_register does. 0 or an errno: it is refused.
 */
int agent_link_await_announced(uint32_t context);

/*
 * A connection that rdma_cm has made is let go of at this end, which @names call the local one, and
 * no kernel tells the other: the agents do. Without waiting; said when there is an agent again.
 */
void agent_link_part(const struct pair_names *names);

/* It is gone; nothing happens if it was never announced. Heard before what is announced later. */
void agent_link_withdraw(const struct announcement *what);

#endif
