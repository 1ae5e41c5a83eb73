/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * The process's link to its agent, and the thread that serves it: says hello, hands events to
 * steps.h, brings interest up and answers down. Started before the first device is opened, if
 * TETHER_AGENT is set; connects again for as long as the process lives. Any thread may call.
 */
#ifndef TETHER_AGENT_LINK_H
#define TETHER_AGENT_LINK_H

#include <infiniband/verbs.h>
#include <stdint.h>

struct remote;

/* A queue pair of this process, made after its VM has moved: its number is its own, the rkeys of
 * its context may not be. */
struct own_queue_pair {
	uint32_t lid;
	union ibv_gid gid;
	uint32_t qpn, context;
};

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
/* A connection to @remote is gone. */
void agent_link_forget(const struct remote *remote);

/*
 * Before the application knows of @own: let those who will connect to it know which rkeys go with
 * it. Waits as agent_link_register does.
 */
void agent_link_announce(const struct own_queue_pair *own);
/* It is gone; nothing happens if it was never announced. */
void agent_link_withdraw(uint32_t qpn);

#endif
