/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "sm-side/plan/order_waves.h"

#define NOBODY UINT32_MAX

/*
 * Nodes are blocks of switches; an entry belongs to one. Who waits for whom is said of entries, and
 * so of their nodes. Arrays in one allocation.
 */
struct waiting {
	const struct fabric_view *view;
	const struct plan_entry *entries;
	uint32_t count, node_count, component_count;
	uint32_t *words; /* what all of the others are carved from */
	/* by switch */
	uint32_t *here; /* its entry for the LID at hand */
	/* by entry */
	uint32_t *by_lid;     /* entries, ascending by LID */
	uint32_t *downstream; /* the first that changes down the new route */
	uint32_t *drained;   /* the first that changes down the old one, if it is to lead nowhere */
	uint32_t *first;     /* in waits_for; one more than entries */
	uint32_t *waits_for; /* entries; at most two for each */
	uint32_t *turn;      /* entries, each after those that it waits for */
	uint32_t *sorted;
	uint32_t *node; /* it belongs to */
	/* by node */
	uint32_t *node_first; /* in entries; one more than nodes */
	uint32_t *component;
	uint32_t *number, *low, *cursor, *parent, *stack; /* Tarjan's */
	/* by component */
	uint32_t *component_first; /* in sorted; one more than components */
	uint32_t *component_nodes;
};

static uint32_t *carve(uint32_t **at, uint32_t words)
{
	uint32_t *array = *at;

	*at += words;
	return array;
}

static int waiting_begin(struct waiting *w, const struct fabric_view *view,
        const struct plan_entry *entries, uint32_t count)
{
	size_t words = (size_t)view->switch_count + 17 * ((size_t)count + 2);
	uint32_t *at = calloc(words, sizeof(*at)), n = count + 1;

	*w = (struct waiting){.view = view, .entries = entries, .count = count, .words = at};
	if (!at)
		return -ENOMEM;
	w->here = carve(&at, view->switch_count);
	w->by_lid = carve(&at, n);
	w->downstream = carve(&at, n);
	w->drained = carve(&at, n);
	w->first = carve(&at, n);
	w->waits_for = carve(&at, 2 * n);
	w->turn = carve(&at, n);
	w->sorted = carve(&at, n);
	w->node = carve(&at, n);
	w->node_first = carve(&at, n);
	w->component = carve(&at, n);
	w->number = carve(&at, n);
	w->low = carve(&at, n);
	w->cursor = carve(&at, n);
	w->parent = carve(&at, n);
	w->stack = carve(&at, n);
	w->component_first = carve(&at, n + 1);
	/* When a component is known, Tarjan's numbers are not needed any more. */
	w->component_nodes = w->number;
	return 0;
}

static void nodes_find(struct waiting *w)
{
	for (uint32_t i = 0; i < w->count; i++) {
		const struct plan_entry *entry = &w->entries[i], *last = entry - 1;

		if (!i || last->sw != entry->sw ||
		        last->lid / LFT_BLOCK_LIDS != entry->lid / LFT_BLOCK_LIDS)
			w->node_first[w->node_count++] = i;
		w->node[i] = w->node_count - 1;
	}
	w->node_first[w->node_count] = w->count;
}

/* ---- who waits for whom ---- */

/* One pass of a radix sort: @to gets what is in @from, ascending by a byte of the LID. */
static void sort_by_byte(
        const struct waiting *w, const uint32_t *from, uint32_t *to, unsigned shift)
{
	uint32_t start[257] = {0};

	for (uint32_t i = 0; i < w->count; i++)
		start[(w->entries[i].lid >> shift & 0xff) + 1]++;
	for (unsigned i = 0; i < 256; i++)
		start[i + 1] += start[i];
	for (uint32_t i = 0; i < w->count; i++)
		to[start[w->entries[from[i]].lid >> shift & 0xff]++] = from[i];
}

static void sort_by_lid(struct waiting *w)
{
	for (uint32_t i = 0; i < w->count; i++)
		w->turn[i] = i;
	sort_by_byte(w, w->turn, w->sorted, 0);
	sort_by_byte(w, w->sorted, w->by_lid, 8);
}

/* From @entry's switch on through @port: the first entry of the LID at hand that changes. */
static uint32_t first_changed(const struct waiting *w, const struct plan_entry *entry, uint8_t port)
{
	const struct view_switch *sw = &w->view->switches[entry->sw];

	for (uint32_t hops = 0; hops < w->view->switch_count; hops++) {
		const struct view_peer *peer = view_peer_of(w->view, sw, port);

		if (peer->kind != PEER_SWITCH)
			return NOBODY;
		if (w->here[peer->index] != NOBODY)
			return w->here[peer->index];
		sw = &w->view->switches[peer->index];
		port = view_lft_entry(sw, entry->lid);
	}
	return NOBODY;
}

/* A LID whose tables are to lead nowhere at all needs no order. */
static bool leads_on(const struct waiting *w, const uint32_t *lids, uint32_t count)
{
	for (uint32_t i = 0; i < count; i++)
		if (w->entries[lids[i]].after != LFT_NO_PORT)
			return true;
	return false;
}

static void entry_find_waits(struct waiting *w, uint32_t index)
{
	const struct plan_entry *entry = &w->entries[index];
	uint8_t now = view_lft_entry(&w->view->switches[entry->sw], entry->lid);
	uint32_t old = first_changed(w, entry, now);

	if (entry->after != LFT_NO_PORT)
		w->downstream[index] = first_changed(w, entry, entry->after);
	if (old != NOBODY && w->entries[old].after == LFT_NO_PORT)
		w->drained[index] = old;
}

/* Of the entries @lids[0] to @lids[@count - 1], all for one LID. */
static void lid_find_waits(struct waiting *w, const uint32_t *lids, uint32_t count)
{
	if (!leads_on(w, lids, count))
		return;
	for (uint32_t i = 0; i < count; i++)
		w->here[w->entries[lids[i]].sw] = lids[i];
	for (uint32_t i = 0; i < count; i++)
		entry_find_waits(w, lids[i]);
	for (uint32_t i = 0; i < count; i++)
		w->here[w->entries[lids[i]].sw] = NOBODY;
}

static void waits_find(struct waiting *w)
{
	memset(w->here, 0xff, w->view->switch_count * sizeof(*w->here));
	memset(w->downstream, 0xff, w->count * sizeof(*w->downstream));
	memset(w->drained, 0xff, w->count * sizeof(*w->drained));
	for (uint32_t i = 0, end; i < w->count; i = end) {
		uint16_t lid = w->entries[w->by_lid[i]].lid;

		for (end = i + 1; end < w->count && w->entries[w->by_lid[end]].lid == lid; end++)
			;
		lid_find_waits(w, &w->by_lid[i], end - i);
	}
}

/* Gather what is known of each entry by those that it waits for. */
static void waits_gather(struct waiting *w)
{
	uint32_t at = 0;

	for (uint32_t i = 0; i < w->count; i++) {
		w->first[i] += w->downstream[i] != NOBODY;
		if (w->drained[i] != NOBODY)
			w->first[w->drained[i]]++;
	}
	for (uint32_t i = 0; i <= w->count; i++) {
		at += w->first[i];
		w->first[i] = at;
	}
	for (uint32_t i = 0; i < w->count; i++) {
		if (w->downstream[i] != NOBODY)
			w->waits_for[--w->first[i]] = w->downstream[i];
		if (w->drained[i] != NOBODY)
			w->waits_for[--w->first[w->drained[i]]] = i;
	}
}

/* The way from @entry along @next, as far as it is new and leads to entries that @drop. */
static uint32_t way_find(struct waiting *w, uint32_t entry, const uint32_t *next, bool drop)
{
	uint32_t *seen = w->low, *way = w->stack, length = 0;

	for (; entry != NOBODY && !seen[entry]; entry = next[entry]) {
		if ((w->entries[entry].after == LFT_NO_PORT) != drop)
			break;
		seen[entry] = true;
		way[length++] = entry;
	}
	return length;
}

/* Entries that lead on come first, each behind the one downstream of it; then those that are to
 * lead nowhere, for which only others of their kind wait: each before the one that it drains. */
static void turns_find(struct waiting *w)
{
	uint32_t turns = 0, last = w->count;

	for (uint32_t i = 0; i < w->count; i++) {
		uint32_t length = way_find(w, i, w->downstream, false);

		while (length)
			w->turn[turns++] = w->stack[--length];
		length = way_find(w, i, w->drained, true);
		while (length)
			w->turn[--last] = w->stack[--length];
	}
	memset(w->low, 0, w->count * sizeof(*w->low));
}

/* ---- circles of nodes: strongly connected components (Tarjan 1972), without recursion ---- */

struct search {
	uint32_t numbers, height;
};

static void node_open(struct waiting *w, struct search *search, uint32_t node, uint32_t parent)
{
	w->number[node] = w->low[node] = ++search->numbers;
	w->cursor[node] = w->first[w->node_first[node]];
	w->parent[node] = parent;
	w->component[node] = NOBODY;
	w->stack[search->height++] = node;
}

/* The next node to look at: one that @node waits for, or back up. */
static uint32_t node_step(struct waiting *w, struct search *search, uint32_t node)
{
	while (w->cursor[node] < w->first[w->node_first[node + 1]]) {
		uint32_t next = w->node[w->waits_for[w->cursor[node]++]];

		if (!w->number[next]) {
			node_open(w, search, next, node);
			return next;
		}
		if (w->component[next] == NOBODY && w->number[next] < w->low[node])
			w->low[node] = w->number[next];
	}
	if (w->low[node] == w->number[node]) {
		uint32_t member;

		do {
			member = w->stack[--search->height];
			w->component[member] = w->component_count;
		} while (member != node);
		w->component_count++;
	}
	if (w->parent[node] != NOBODY && w->low[node] < w->low[w->parent[node]])
		w->low[w->parent[node]] = w->low[node];
	return w->parent[node];
}

/* Components are numbered so that none waits for one with a higher number. */
static void components_find(struct waiting *w)
{
	struct search search = {0};

	for (uint32_t root = 0; root < w->node_count; root++) {
		uint32_t node = root;

		if (w->number[root])
			continue;
		node_open(w, &search, root, NOBODY);
		while (node != NOBODY)
			node = node_step(w, &search, node);
	}
	memset(w->component_nodes, 0, w->count * sizeof(*w->component_nodes));
	for (uint32_t node = 0; node < w->node_count; node++)
		w->component_nodes[w->component[node]]++;
}

/* Entries component by component, within one by turns. */
static void entries_sort(struct waiting *w)
{
	uint32_t *start = w->component_first;

	for (uint32_t i = 0; i < w->count; i++)
		start[w->component[w->node[i]] + 1]++;
	for (uint32_t i = 0; i < w->component_count; i++)
		start[i + 1] += start[i];
	for (uint32_t i = 0; i < w->count; i++)
		w->sorted[start[w->component[w->node[w->turn[i]]]]++] = w->turn[i];
	for (uint32_t i = w->component_count; i; i--)
		start[i] = start[i - 1];
	start[0] = 0;
}

/* ---- waves ---- */

static uint32_t earliest(const struct waiting *w, const uint32_t *waves, uint32_t entry)
{
	uint32_t wave = 0;

	for (uint32_t i = w->first[entry]; i < w->first[entry + 1]; i++)
		if (waves[w->waits_for[i]] + 1 > wave)
			wave = waves[w->waits_for[i]] + 1;
	return wave;
}

static void node_wave(
        const struct waiting *w, const uint32_t *entries, uint32_t count, uint32_t *waves)
{
	uint32_t wave = 0;

	for (uint32_t i = 0; i < count; i++) {
		uint32_t its = earliest(w, waves, entries[i]);

		if (its > wave)
			wave = its;
	}
	for (uint32_t i = 0; i < count; i++)
		waves[entries[i]] = wave;
}

static void waves_find(const struct waiting *w, uint32_t *waves)
{
	for (uint32_t c = 0; c < w->component_count; c++) {
		const uint32_t *entries = &w->sorted[w->component_first[c]];
		uint32_t count = w->component_first[c + 1] - w->component_first[c];

		if (w->component_nodes[c] == 1)
			node_wave(w, entries, count, waves);
		else
			for (uint32_t i = 0; i < count; i++)
				waves[entries[i]] = earliest(w, waves, entries[i]);
	}
}

/* A wave up to @last that an entry of @entry's node stays in (none is earlier than its own), else
 * its own. */
static uint32_t shared_wave(const struct waiting *w, const uint32_t *waves, const bool *stays,
        uint32_t entry, uint32_t last)
{
	uint32_t node = w->node[entry];

	for (uint32_t i = w->node_first[node]; i < w->node_first[node + 1]; i++)
		if (stays[i] && waves[i] <= last)
			return waves[i];
	return waves[entry];
}

static uint32_t waves_count(const struct waiting *w, const uint32_t *waves)
{
	uint32_t count = 0;

	for (uint32_t i = 0; i < w->count; i++)
		if (waves[i] >= count)
			count = waves[i] + 1;
	return count;
}

static void sort_by_wave(struct waiting *w, const uint32_t *waves)
{
	uint32_t *start = w->component_first;

	memset(start, 0, (w->count + 2) * sizeof(*start));
	for (uint32_t i = 0; i < w->count; i++)
		start[waves[i] + 1]++;
	for (uint32_t i = 0; i < w->count; i++)
		start[i + 1] += start[i];
	for (uint32_t i = 0; i < w->count; i++)
		w->sorted[start[waves[i]]++] = i;
}

/* Entries of circles that nobody waits for so soon go along with a later Set of their block. */
static int waves_share(struct waiting *w, uint32_t *waves)
{
	bool *stays = calloc(w->count + 1, sizeof(*stays));
	uint32_t *latest = w->turn; /* by entry; turns are not needed any more */
	uint32_t last = waves_count(w, waves);

	if (!stays)
		return -ENOMEM;
	sort_by_wave(w, waves);
	for (uint32_t i = 0; i < w->count; i++)
		latest[i] = last - 1;
	for (uint32_t left = w->count; left; left--) {
		uint32_t entry = w->sorted[left - 1];

		if (w->component_nodes[w->component[w->node[entry]]] > 1)
			waves[entry] = shared_wave(w, waves, stays, entry, latest[entry]);
		stays[entry] = true;
		for (uint32_t i = w->first[entry]; i < w->first[entry + 1]; i++)
			if (waves[entry] - 1 < latest[w->waits_for[i]])
				latest[w->waits_for[i]] = waves[entry] - 1;
	}
	free(stays);
	return 0;
}

int order_waves(const struct fabric_view *view, const struct plan_entry *entries, uint32_t count,
        uint32_t *waves)
{
	struct waiting w;
	int error;

	if (waiting_begin(&w, view, entries, count))
		return -ENOMEM;
	nodes_find(&w);
	sort_by_lid(&w);
	waits_find(&w);
	waits_gather(&w);
	turns_find(&w);
	components_find(&w);
	entries_sort(&w);
	waves_find(&w, waves);
	error = waves_share(&w, waves);
	free(w.words);
	return error;
}
