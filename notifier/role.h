/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * What agent_main.c can start: one set of operations per role (host_role.c). One role per process;
 * it lives in the loop's thread.
 */
#ifndef TETHER_ROLE_H
#define TETHER_ROLE_H

#include "notifier/agent_settings.h"

struct event_base;

struct role {
	const char *name; /* as tether.conf(5) has it */
	/* Begin; @settings stay the caller's and are read on until destroy. The loop does the rest.
	 * -errno, logged. */
	int (*create)(struct event_base *base, const struct agent_settings *settings, void **made);
	/* The settings have new deadlines. */
	void (*reload)(void *made);
	/* Links are closed, sockets removed. NULL is fine. */
	void (*destroy)(void *made);
};

#endif
