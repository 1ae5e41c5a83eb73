/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * Which channel waits for which. A channel is a port of a switch that is cabled to another switch,
 * named by the index of its peer in the view (view_switch.first_peer + port). One depends on
 * another where a packet may hold the buffers behind the one and wait for credits of the other
 * (Dally and Seitz, 1987). vSwitches are left out: nothing passes through them, so no cycle does.
 * Pure.
 */
#ifndef TETHER_CHANNEL_GRAPH_H
#define TETHER_CHANNEL_GRAPH_H

#include "sm-side/plan/fabric_view.h"

#define NOT_A_CHANNEL UINT32_MAX

struct channel_graph {
	const struct fabric_view *view;
	uint32_t *row;      /* of each channel, in words; NOT_A_CHANNEL */
	uint32_t row_words; /* of all */
	uint64_t *words;    /* in a channel's row a bit for each port of the switch it leads to */
};

/* On a held channel: through @port of the switch that it leads to. */
struct channel_dependency {
	uint32_t held;
	uint8_t port;
};

/* -ENOMEM. channel_graph_clear it. */
int channel_graph_prepare(struct channel_graph *graph, const struct fabric_view *view);
void channel_graph_clear(struct channel_graph *graph);

/* Does @port of @sw lead to another switch that packets may pass through? */
bool is_channel(const struct fabric_view *view, const struct view_switch *sw, uint8_t port);

/* The channel behind @port of @sw, NOT_A_CHANNEL if it leads elsewhere. */
static inline uint32_t channel_of(
        const struct channel_graph *graph, const struct view_switch *sw, uint8_t port)
{
	uint32_t channel = sw->first_peer + port;

	return port <= sw->ports && graph->row[channel] != NOT_A_CHANNEL ? channel : NOT_A_CHANNEL;
}

static inline void channel_graph_add(struct channel_graph *graph, struct channel_dependency added)
{
	graph->words[graph->row[added.held] + added.port / 64] |= UINT64_C(1) << added.port % 64;
}

static inline bool channel_graph_has(
        const struct channel_graph *graph, struct channel_dependency asked)
{
	return graph->words[graph->row[asked.held] + asked.port / 64] >> asked.port % 64 & 1;
}

/* Is one of @dependencies, which are in the graph, part of a cycle? Linear in dependencies
 * (Tarjan, 1972). -ENOMEM. */
int channel_graph_cycles(const struct channel_graph *graph,
        const struct channel_dependency *dependencies, uint32_t count, bool *cycle);

#endif
