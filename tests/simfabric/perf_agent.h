/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * The PerfMgt agent of every port (IBA 1.4, 16.1): ClassPortInfo, PortCounters and
 * PortCountersExtended over the traffic that counters.c counts. Resetting moves a base; counting
 * never stops. Under the fabric's lock.
 */
#ifndef SIMFABRIC_PERF_AGENT_H
#define SIMFABRIC_PERF_AGENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "simfabric/shared_file.h"

/* A request for end port @port; the MAD becomes the response. False: no answer (not a Get or Set).
 */
bool perf_agent_handle(struct fabric *fabric, uint32_t port, uint8_t mad[256]);

size_t perf_bases_size(const struct net *net);

#endif
