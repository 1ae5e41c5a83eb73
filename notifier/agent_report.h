/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * How an agent is, for whoever asks: its parent (Report), Prometheus, the service manager. Part of
 * agent_relay and its thread.
 */
#ifndef TETHER_AGENT_REPORT_H
#define TETHER_AGENT_REPORT_H

#include <stdint.h>

struct agent_relay;

/* Where settings->metrics says, Prometheus may ask. -errno, logged. */
int agent_report_open(struct agent_relay *agent);
void agent_report_close(struct agent_relay *agent);

/* To the parent, in answer to its question @request. @agent: a struct agent_relay. */
void agent_report_send(void *agent, uint32_t request);

#endif
