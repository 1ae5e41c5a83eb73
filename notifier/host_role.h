/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * The agent of a physical server: its relay, the link to tether-smd, its VMs' sockets, and the
 * orders that its driver carries out. One per process; lives in the loop's thread.
 */
#ifndef TETHER_HOST_ROLE_H
#define TETHER_HOST_ROLE_H

#include "notifier/agent_settings.h"

struct event_base;
struct host_role;

/*
 * Begin; @settings stay the caller's and are read on until host_role_destroy. The loop does the
 * rest: the driver's inventory first, then the sockets and the link to the root. -errno, logged.
 */
int host_role_create(
        struct event_base *base, const struct agent_settings *settings, struct host_role **role);

/* @settings have new deadlines; the driver is asked again what the host has, and the root told. */
void host_role_reload(struct host_role *role);

/* Links are closed, sockets removed, drivers killed. NULL is fine. */
void host_role_destroy(struct host_role *role);

#endif
