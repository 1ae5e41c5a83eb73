/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/* What the files of plan_topologies.h tell each other. */
#ifndef TETHER_TEST_PLAN_TOPOLOGY_PARTS_H
#define TETHER_TEST_PLAN_TOPOLOGY_PARTS_H

#include "unit/plan_topologies.h"

/* A channel is numbered by its switch and port. */
enum { CHANNELS = TOPOLOGY_SWITCHES * (TOPOLOGY_PORTS + 1) };

/* Which channel waits for which, as sets of ports: from channel c one goes on at the switch that it
 * leads to, so the ports of that switch are enough. */
struct channel_graph {
	uint64_t next[CHANNELS];
};

/* Gives every switch its rank where the kind has not. */
void topology_rank(struct topology *topology);

/* Add what packets to @lid hold and wait for, on their way from wherever one may enter. */
void channels_add(const struct topology *topology, struct channel_graph *graph, uint16_t lid);
bool channels_cycle(const struct topology *topology, const struct channel_graph *graph);

#endif
