/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/* What writes and reads where the other side lets it. */
#include "demo-apps/window_verify/lane.h"

enum { HALF = LANE_BYTES / 2 };

uint8_t pattern_byte(unsigned lane, uint32_t round, uint64_t at)
{
	uint64_t x = (at + 1) * 0x9e3779b97f4a7c15u ^ (uint64_t)round << 17 ^ lane;

	return (uint8_t)(x >> 29 ^ x >> 47);
}

/* The pattern counts from where the owner's memory begins, which is a multiple of its size. */
static uint64_t start_of(const struct part *part, unsigned half)
{
	return half * HALF + (part->addr & (HALF - 1));
}

static void fill(struct lane *lane, unsigned half)
{
	const struct part *part = &lane->asked.parts[half];

	for (uint32_t i = 0; i < part->length; i++)
		lane->memory->pattern[half * HALF + i] =
		        pattern_byte(lane->number, lane->asked.round, start_of(part, half) + i);
}

/* The second READ completes last, and all that is before it is done then. */
void guest_goes_on(struct lane *lane)
{
	struct memory *memory = lane->memory;

	for (unsigned half = 0; half < 2; half++) {
		const struct part *part = &lane->asked.parts[half];

		fill(lane, half);
		lane_transfer(lane, IBV_WR_RDMA_WRITE, part, &memory->pattern[half * HALF], false);
		lane_transfer(lane, IBV_WR_RDMA_READ, part, &memory->back[half * HALF], half == 1);
	}
}

void guest_has_read(struct lane *lane)
{
	const struct message *asked = &lane->asked;
	struct message done = {
	        .kind = MESSAGE_DONE,
	        .round = asked->round,
	        .invalidates = asked->round % 2,
	        .stop = lane->stop,
	};

	for (unsigned half = 0; half < 2; half++) {
		for (uint32_t i = 0; i < asked->parts[half].length; i++)
			lane->verdict.corrupted += lane->memory->back[half * HALF + i] !=
			                           lane->memory->pattern[half * HALF + i];
		lane->verdict.bytes += asked->parts[half].length;
	}
	lane_send(lane, &done, done.invalidates ? asked->parts[0].rkey : 0);
}
