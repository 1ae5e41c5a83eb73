/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "sm-side/plan/channel_graph.h"

static bool passes_through(const struct fabric_view *view, const struct view_peer *peer)
{
	return peer->kind == PEER_SWITCH && !view->switches[peer->index].is_vswitch;
}

bool is_channel(const struct fabric_view *view, const struct view_switch *sw, uint8_t port)
{
	return !sw->is_vswitch && passes_through(view, view_peer_of(view, sw, port));
}

int channel_graph_prepare(struct channel_graph *graph, const struct fabric_view *view)
{
	*graph = (struct channel_graph){.view = view};
	graph->row = malloc((view->peer_count + 1) * sizeof(*graph->row));
	if (!graph->row)
		return -ENOMEM;
	memset(graph->row, 0xff, (view->peer_count + 1) * sizeof(*graph->row));
	for (uint32_t i = 0; i < view->switch_count; i++) {
		const struct view_switch *sw = &view->switches[i];

		for (unsigned port = 1; port <= sw->ports; port++) {
			const struct view_peer *peer = view_peer_of(view, sw, port);

			if (!is_channel(view, sw, (uint8_t)port))
				continue;
			graph->row[sw->first_peer + port] = graph->row_words;
			graph->row_words += view->switches[peer->index].ports / 64 + 1;
		}
	}
	graph->words = calloc(graph->row_words + 1, sizeof(*graph->words));
	if (!graph->words) {
		channel_graph_clear(graph);
		return -ENOMEM;
	}
	return 0;
}

void channel_graph_clear(struct channel_graph *graph)
{
	free(graph->row);
	free(graph->words);
	*graph = (struct channel_graph){0};
}

/* ---- strongly connected components ---- */

struct visit {
	uint32_t channel;
	unsigned port; /* to be looked at next, of the switch that it leads to */
};

struct components {
	const struct channel_graph *graph;
	uint32_t *order;     /* in which channels were found, from 1; 0: not yet */
	uint32_t *low;       /* the earliest that is known to be reached */
	uint32_t *component; /* 0: not in one yet */
	uint32_t *open;      /* channels that are not in one yet, as found */
	struct visit *visits;
	uint32_t found, open_count, depth, component_count;
};

static void channel_open(struct components *all, uint32_t channel)
{
	all->order[channel] = all->low[channel] = ++all->found;
	all->open[all->open_count++] = channel;
	all->visits[all->depth++] = (struct visit){channel, 1};
}

static void lower(uint32_t *low, uint32_t to)
{
	if (to < *low)
		*low = to;
}

static void channel_close(struct components *all, uint32_t channel)
{
	uint32_t member;

	if (all->depth)
		lower(&all->low[all->visits[all->depth - 1].channel], all->low[channel]);
	if (all->low[channel] != all->order[channel])
		return;
	all->component_count++;
	do {
		member = all->open[--all->open_count];
		all->component[member] = all->component_count;
	} while (member != channel);
}

/* The switch that @channel leads to. */
static const struct view_switch *behind(const struct fabric_view *view, uint32_t channel)
{
	return &view->switches[view->peers[channel].index];
}

static void visit_next(struct components *all)
{
	struct visit *visit = &all->visits[all->depth - 1];
	const struct view_switch *sw = behind(all->graph->view, visit->channel);
	uint32_t next;

	if (visit->port > sw->ports) {
		all->depth--;
		channel_close(all, visit->channel);
		return;
	}
	next = sw->first_peer + visit->port;
	if (!channel_graph_has(all->graph,
	            (struct channel_dependency){visit->channel, (uint8_t)visit->port++}))
		return;
	if (!all->order[next])
		channel_open(all, next);
	else if (!all->component[next])
		lower(&all->low[visit->channel], all->order[next]);
}

static void components_from(struct components *all, uint32_t channel)
{
	if (all->order[channel])
		return;
	channel_open(all, channel);
	while (all->depth)
		visit_next(all);
}

static bool components_prepare(struct components *all, const struct channel_graph *graph)
{
	uint32_t count = graph->view->peer_count + 1;

	*all = (struct components){.graph = graph};
	all->order = calloc(count, sizeof(*all->order));
	all->low = calloc(count, sizeof(*all->low));
	all->component = calloc(count, sizeof(*all->component));
	all->open = calloc(count, sizeof(*all->open));
	all->visits = calloc(count, sizeof(*all->visits));
	return all->order && all->low && all->component && all->open && all->visits;
}

static void components_clear(struct components *all)
{
	free(all->order);
	free(all->low);
	free(all->component);
	free(all->open);
	free(all->visits);
}

int channel_graph_cycles(const struct channel_graph *graph,
        const struct channel_dependency *dependencies, uint32_t count, bool *cycle)
{
	struct components all;
	bool found = false;

	if (!components_prepare(&all, graph)) {
		components_clear(&all);
		return -ENOMEM;
	}
	for (uint32_t i = 0; i < count && !found; i++) {
		const struct channel_dependency *one = &dependencies[i];
		uint32_t next = behind(graph->view, one->held)->first_peer + one->port;

		components_from(&all, one->held);
		found = all.component[one->held] == all.component[next];
	}
	components_clear(&all);
	*cycle = found;
	return 0;
}
