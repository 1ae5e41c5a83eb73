/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * How are the agents? All are asked at once, and whoever wants to know is told when all have
 * answered, or `report_ms` after the question; whoever asks meanwhile hears the same. Lives in the
 * thread of its event_base. Callbacks come from the loop only, never from inside a call below.
 */
#ifndef TETHER_AGENT_POLL_H
#define TETHER_AGENT_POLL_H

#include "sm-side/root/agents.h"

struct agent_poll;
struct deadlines;
struct event_base;

/* A round begins: say to @agents who there is, and send the question @request. */
typedef void agent_poll_ask(void *owner, struct agents *agents, uint32_t request);
typedef void agent_poll_told(void *context, const struct agents *agents);

/* NULL: no memory. @deadlines stay the caller's. */
struct agent_poll *agent_poll_create(struct event_base *base, const struct deadlines *deadlines,
        agent_poll_ask *ask, void *owner);
/* Whoever waits hears nothing more. */
void agent_poll_destroy(struct agent_poll *poll);

/* @context names who asks. -ENOMEM */
int agent_poll_wait(struct agent_poll *poll, agent_poll_told *told, void *context);
/* Whoever asked with @context does not want to hear it any more. */
void agent_poll_forget(struct agent_poll *poll, const void *context);

/* One that was asked has gone. */
void agent_poll_gone(struct agent_poll *poll, const char *name, Tether__Role role);
/* An answer has come; the relay has seen to it that it is one to the latest question. */
void agent_poll_take(struct agent_poll *poll, const Tether__Report *report);

#endif
