/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * What the thread that serves the link (agent_service.c) and those who wait for what it hears
 * (agent_link.c) share, and nobody else.
 */
#ifndef TETHER_AGENT_LINK_STATE_H
#define TETHER_AGENT_LINK_STATE_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

/* All of it, and interests.h, wants the lock, but for what never goes back. */
struct agent_link {
	pthread_mutex_t lock;
	bool started; /* there is a service thread; for good */
	pthread_cond_t changed;
	uint64_t absent_since_ms; /* 0: connected, and welcome */
	uint64_t said_ms;         /* when the agent said something last */
	bool heard;               /* what it has to say first, or that there is none */
	bool is_silent;           /* it was waited for in vain, and has said nothing since */
};

extern struct agent_link agent_link;

/* agent_service.c. Under the lock; -errno: there is no thread, and this process cannot move. */
int agent_service_start(void);
/* There is something to be sent. */
void agent_service_wake(void);
/* In a child after fork. */
void agent_service_forget(void);

#endif
