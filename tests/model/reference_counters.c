/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * Atomics: the values that a counter had are one path from the first to the last. Each atomic that
 * was executed is one step of it, an end's in their order; what was still open when its queue pair
 * failed may be one, from the oldest on.
 */
#include "model/reference_state.h"

struct path {
	const struct reference *reference;
	unsigned process, counter;
	uint32_t at[ENDS_MOST]; /* the next of each end's work to be looked at */
	uint64_t last;
	unsigned steps; /* looked at, so that a search ends */
};

/* More unknown atomics than can be tried are not held against anybody. */
enum { STEPS_MOST = 500000 };

/* @end's next atomic on the counter; NULL: none. */
static const struct sent *next_of(struct path *path, unsigned end)
{
	const struct end_state *state = &path->reference->ends[end];

	if (end_process(path->reference->program, end_other(end)) != path->process)
		return NULL;
	for (; path->at[end] < state->sent_count; path->at[end]++) {
		const struct sent *sent = &state->sent[path->at[end]];

		/* The other end has refused it, and takes nothing more. */
		if (sent->work->wrong != RIGHT && !work_fails_late(sent->work))
			return NULL;
		if (work_is_atomic(sent->work) && sent->work->index == path->counter)
			return sent;
	}
	return NULL;
}

static bool is_certain(const struct path *path, unsigned end)
{
	return path->at[end] < path->reference->ends[end].executed;
}

static uint64_t after(const struct sent *sent, uint64_t value)
{
	if (sent->work->opcode == IBV_WR_ATOMIC_FETCH_AND_ADD)
		return value + sent->work->operand;
	return value == sent->compare ? sent->work->operand : value;
}

static bool is_complete(struct path *path, uint64_t value)
{
	for (unsigned end = 0; end < 2 * path->reference->program->link_count; end++) {
		if (next_of(path, end) && is_certain(path, end))
			return false;
	}
	return value == path->last;
}

static bool goes_on(struct path *path, uint64_t value);

/* One step by @end's next, which may be taken here. */
static bool goes_on_by(struct path *path, unsigned end, const struct sent *sent, uint64_t value)
{
	uint32_t at = path->at[end];
	bool found;

	path->at[end]++;
	found = goes_on(path, after(sent, value));
	path->at[end] = at;
	return found;
}

/*
 * Values do not come again, so where a known original fits there is no other way; but what changes
 * nothing, a comparison that failed, goes first.
 */
static int known_step(struct path *path, uint64_t value)
{
	int found = -1;

	for (unsigned end = 0; end < 2 * path->reference->program->link_count; end++) {
		const struct sent *sent = next_of(path, end);

		if (!sent || !sent->answered || sent->original != value)
			continue;
		if (after(sent, value) == value)
			return (int)end;
		found = (int)end;
	}
	return found;
}

static bool goes_on(struct path *path, uint64_t value)
{
	int known = known_step(path, value);

	if (known >= 0)
		return goes_on_by(path, (unsigned)known, next_of(path, (unsigned)known), value);
	if (is_complete(path, value))
		return true;
	if (path->steps++ > STEPS_MOST)
		return true;
	for (unsigned end = 0; end < 2 * path->reference->program->link_count; end++) {
		const struct sent *sent = next_of(path, end);

		if (sent && !sent->answered && goes_on_by(path, end, sent, value))
			return true;
	}
	return false;
}

void counters_are_explained(struct reference *reference)
{
	for (unsigned process = 0; process < PROCESSES; process++) {
		for (unsigned i = 0; i < COUNTERS; i++) {
			struct path path = {
			        .reference = reference,
			        .process = process,
			        .counter = i,
			        .last = reference->counters[process][i],
			};

			if (!goes_on(&path, reference_counter_begins(process, i)))
				violated(reference,
				        "counter %u of process %u: no order of the atomics on it, "
				        "each "
				        "executed once, explains its values",
				        i, process);
		}
	}
}
