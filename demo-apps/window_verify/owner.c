/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/* What opens memory, and looks at what has become of it. */
#include <string.h>

#include "demo-apps/window_verify/lane.h"

enum { HALF = LANE_BYTES / 2 };

/* Another part of its half each time. */
static struct part part_of(const struct lane *lane, unsigned half, uint32_t round)
{
	uint32_t seed = (round * 2654435761u ^ (lane->number + half) * 40503u) >> 4;
	uint32_t length = 1 + seed % (HALF - 1), start = (seed >> 8) % (HALF - length + 1);

	return (struct part){
	        .addr = (uintptr_t)lane->memory->open + half * HALF + start, .length = length};
}

static struct ibv_mw_bind_info info_of(const struct lane *lane, const struct part *part)
{
	return (struct ibv_mw_bind_info){.mr = lane->mr,
	        .addr = part->addr,
	        .length = part->length,
	        .mw_access_flags = IBV_ACCESS_REMOTE_WRITE | IBV_ACCESS_REMOTE_READ};
}

static void bind_type_2(struct lane *lane, struct part *part)
{
	struct ibv_mw_bind_info info = info_of(lane, part);
	const struct ibv_mw *mw = lane->mws[0];
	bool signals = lane->round % 3;

	if (lane->is_bound)
		lane_invalidate(lane, mw->rkey, signals);
	lane_bind(lane, ibv_inc_rkey(mw->rkey), &info, signals);
	lane->is_bound = true;
	part->rkey = mw->rkey;
}

static void bind_type_1(struct lane *lane, struct part *part)
{
	struct ibv_mw_bind bind = {.wr_id = WR_BIND,
	        .send_flags = lane->round % 5 ? IBV_SEND_SIGNALED : 0,
	        .bind_info = info_of(lane, part)};

	lane_note(lane, "a bind of type 1", ibv_bind_mw(lane->qp, lane->mws[1], &bind));
	part->rkey = lane->mws[1]->rkey;
}

void owner_offers(struct lane *lane)
{
	struct message *offer = &lane->offer;

	*offer = (struct message){.kind = MESSAGE_OFFER, .round = ++lane->round};
	for (unsigned half = 0; half < 2; half++)
		offer->parts[half] = part_of(lane, half, lane->round);
	bind_type_2(lane, &offer->parts[0]);
	bind_type_1(lane, &offer->parts[1]);
	lane_send(lane, offer, 0);
}

static void owner_ends(struct lane *lane)
{
	struct message end = {.kind = MESSAGE_END};

	lane->own_end = true;
	lane_send(lane, &end, 0);
}

static void expect(struct lane *lane, const struct part *part)
{
	uint64_t start = part->addr - (uintptr_t)lane->memory->open;

	for (uint64_t i = 0; i < part->length; i++)
		lane->memory->expect[start + i] =
		        pattern_byte(lane->number, lane->round, start + i);
	lane->verdict.bytes += part->length;
}

static void look_at_memory(struct lane *lane)
{
	for (unsigned half = 0; half < 2; half++)
		expect(lane, &lane->offer.parts[half]);
	for (unsigned i = 0; i < LANE_BYTES; i++)
		lane->verdict.corrupted += lane->memory->open[i] != lane->memory->expect[i];
	memcpy(lane->memory->expect, lane->memory->open, LANE_BYTES);
}

void owner_takes_done(struct lane *lane, const struct message *message, const struct ibv_wc *wc)
{
	bool ended = wc->wc_flags & IBV_WC_WITH_INV;

	if (message->round != lane->round)
		lane_note(lane, "an answer to another round", (int)message->round);
	if (ended != !!message->invalidates ||
	        (ended && wc->invalidated_rkey != lane->mws[0]->rkey))
		lane_note(lane, "another window was invalidated", (int)wc->invalidated_rkey);
	if (ended)
		lane->is_bound = false;
	lane->verdict.invalidations += ended;
	lane->verdict.rounds++;
	look_at_memory(lane);
	lane->stop |= message->stop;
	lane->owner_is_due = true;
}

void owner_goes_on(struct lane *lane)
{
	if (lane->stop)
		owner_ends(lane);
	else
		owner_offers(lane);
}
