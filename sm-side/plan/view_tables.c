/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/* The tables that a view keeps itself. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "sm-side/plan/fabric_view.h"

/* Free what of the table is the view's own. */
static void lft_forget(struct view_switch *sw)
{
	if (sw->keeps_lft)
		free((void *)sw->lft);
	free((void *)sw->compact);
	sw->lft = NULL;
	sw->compact = NULL;
	sw->lft_entries = 0;
	sw->keeps_lft = false;
}

void fabric_view_drop_lfts(struct fabric_view *view)
{
	for (uint32_t i = 0; i < view->switch_count; i++)
		lft_forget(&view->switches[i]);
	while (view->routed) {
		struct routed_lids *next = view->routed->next;

		free(view->routed);
		view->routed = next;
	}
}

static int lft_compact_alone(struct fabric_view *view, const uint8_t *lft, uint32_t entries,
        struct compact_lft **compact)
{
	struct routed_lids *routed = malloc(sizeof(*routed));
	int error;

	if (!routed)
		return -ENOMEM;
	routed_lids_of(lft, entries, routed);
	error = compact_lft_create(lft, entries, routed, compact);
	if (error) {
		free(routed);
		return error;
	}
	routed->next = view->routed;
	view->routed = routed;
	return 0;
}

/* Over the set of routed LIDs made last, else over one of its own. */
static int lft_compact(struct fabric_view *view, const uint8_t *lft, uint32_t entries,
        struct compact_lft **compact)
{
	int error = -E2BIG;

	if (view->routed)
		error = compact_lft_create(lft, entries, view->routed, compact);
	return error == -E2BIG ? lft_compact_alone(view, lft, entries, compact) : error;
}

int fabric_view_keep_lft(
        struct fabric_view *view, uint32_t sw, const uint8_t *lft, uint32_t lft_entries)
{
	uint32_t entries = lft_whole_blocks(lft_entries);
	struct compact_lft *compact = NULL;
	uint8_t *copy = NULL;
	int error = entries ? lft_compact(view, lft, entries, &compact) : 0;

	if (error == -ENOMEM)
		return error;
	if (error) {
		copy = malloc(entries);
		if (!copy)
			return -ENOMEM;
		memcpy(copy, lft, entries);
	}
	lft_forget(&view->switches[sw]);
	view->switches[sw].lft = copy;
	view->switches[sw].compact = compact;
	view->switches[sw].lft_entries = entries;
	view->switches[sw].keeps_lft = copy != NULL;
	return 0;
}

void view_lft_block(const struct view_switch *sw, uint16_t block, uint8_t *bytes)
{
	uint32_t first = (uint32_t)block * LFT_BLOCK_LIDS;

	if (sw->lft && first < sw->lft_entries) {
		memcpy(bytes, sw->lft + first, LFT_BLOCK_LIDS);
		return;
	}
	for (unsigned i = 0; i < LFT_BLOCK_LIDS; i++)
		bytes[i] = view_lft_entry(sw, (uint16_t)(first + i));
}

static int lfts_copy(const struct fabric_view *view, struct fabric_view *copy)
{
	uint8_t lft[UINT16_MAX + 1];

	for (uint32_t i = 0; i < view->switch_count; i++) {
		const struct view_switch *sw = &view->switches[i];

		for (uint32_t at = 0; at < sw->lft_entries; at += LFT_BLOCK_LIDS)
			view_lft_block(sw, (uint16_t)(at / LFT_BLOCK_LIDS), lft + at);
		if (fabric_view_keep_lft(copy, i, lft, sw->lft_entries))
			return -ENOMEM;
	}
	return 0;
}

static int contents_copy(const struct fabric_view *view, struct fabric_view *copy)
{
	for (uint32_t i = 0; i < view->switch_count; i++) {
		const struct view_switch *sw = &view->switches[i];

		if (fabric_view_add_switch(copy, sw->guid, sw->ports, NULL, 0) == VIEW_NONE)
			return -ENOMEM;
		copy->switches[i].lid = sw->lid;
	}
	for (uint32_t i = 0; i < view->end_port_count; i++) {
		if (fabric_view_add_end_port(copy, &view->end_ports[i]) == VIEW_NONE)
			return -ENOMEM;
		copy->end_ports[i] = view->end_ports[i];
		copy->end_ports[i].source = NULL;
	}
	copy->fault = view->fault;
	for (uint32_t i = 0; i < view->switch_count && view->cables; i++)
		for (unsigned port = 0; port <= view->switches[i].ports; port++)
			if (fabric_view_limit(copy, i, (uint8_t)port,
			            view_cable_of(view, &view->switches[i], port)))
				return -ENOMEM;
	memcpy(copy->peers, view->peers, view->peer_count * sizeof(*view->peers));
	return lfts_copy(view, copy);
}

struct fabric_view *fabric_view_copy(const struct fabric_view *view)
{
	struct fabric_view *copy = fabric_view_create();

	if (!copy)
		return NULL;
	if (contents_copy(view, copy) || fabric_view_finish(copy) == -ENOMEM) {
		fabric_view_destroy(copy);
		return NULL;
	}
	return copy;
}

size_t fabric_view_bytes(const struct fabric_view *view)
{
	size_t bytes = sizeof(*view);

	bytes += view->switch_room * sizeof(*view->switches);
	bytes += view->end_port_room * sizeof(*view->end_ports);
	bytes += view->peer_room * sizeof(*view->peers);
	bytes += view->cable_room * sizeof(*view->cables);
	bytes += view->switch_count * sizeof(*view->switches_by_guid);
	bytes += view->end_port_count * sizeof(*view->end_ports_by_guid);
	bytes += view->end_ports_by_lid ? LFT_ENTRIES_MAX * sizeof(*view->end_ports_by_lid) : 0;
	for (const struct routed_lids *routed = view->routed; routed; routed = routed->next)
		bytes += sizeof(*routed);
	for (uint32_t i = 0; i < view->switch_count; i++) {
		const struct view_switch *sw = &view->switches[i];

		bytes += sw->keeps_lft ? sw->lft_entries : 0;
		bytes += sw->compact ? compact_lft_bytes(sw->compact) : 0;
	}
	return bytes;
}
