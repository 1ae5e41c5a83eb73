/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * The process's link to its agent, and the thread that serves it: says hello, hands events to
 * steps.h, brings interest up and answers down. Started before the first device is opened, if
 * TETHER_AGENT is set; connects again for as long as the process lives. Any thread may call.
 */
#ifndef TETHER_AGENT_LINK_H
#define TETHER_AGENT_LINK_H

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
/* A connection to @remote is gone. */
void agent_link_forget(const struct remote *remote);

#endif
