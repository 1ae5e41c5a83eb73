/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include "demo-apps/mpi_verify/collective.h"

#include <stdlib.h>
#include <string.h>

static const unsigned char gap_fill = 0x3b;

void side_create(struct side *side, unsigned blocks, const size_t *length, size_t gap)
{
	size_t total = 0;

	side->blocks = blocks;
	side->count = calloc(blocks, sizeof(*side->count));
	side->at = calloc(blocks, sizeof(*side->at));
	if (!side->count || !side->at)
		abort();
	for (unsigned i = 0; i < blocks; i++) {
		side->count[i] = (int)length[i];
		side->at[i] = (int)total;
		total += length[i] + gap;
	}
	side->bytes = malloc(total + CANARY_LENGTH);
	if (!side->bytes)
		abort();
	memset(side->bytes, gap_fill, total);
	canary_put(side->bytes + total);
}

void side_destroy(struct side *side)
{
	free(side->count);
	free(side->at);
	free(side->bytes);
	*side = (struct side){0};
}

bool side_gaps_live(const struct side *side, size_t gap)
{
	const unsigned char *end = side->bytes;

	for (unsigned i = 0; i < side->blocks; i++) {
		end = side->bytes + side->at[i] + side->count[i];
		for (size_t n = 0; n < gap; n++)
			if (end[n] != gap_fill)
				return false;
		end += gap;
	}
	return canary_lives(end);
}

static const struct collective_kind *kind_of(
        const struct job *job, const struct collective_kind *kinds, unsigned count)
{
	for (unsigned i = 0; i < count; i++)
		if (kinds[i].blocking == job->check || kinds[i].nonblocking == job->check)
			return &kinds[i];
	abort();
}

static void begin(struct job *job, const struct collective_kind *kind,
        struct collective *collective, const struct group *group, uint64_t number)
{
	*collective = (struct collective){.group = group,
	        .is_nonblocking = kind->nonblocking == job->check,
	        .request = MPI_REQUEST_NULL,
	        .number = number};
	collective->root =
	        (int)(job_shared_random(job, group->space, number) % (uint64_t)group->size);
	kind->prepare(job, collective);
	kind->start(job, collective);
}

static void end(struct job *job, const struct collective_kind *kind, struct collective *collective)
{
	CALL(job, MPI_Wait(&collective->request, MPI_STATUS_IGNORE));
	kind->check(job, collective);
	side_destroy(&collective->sent);
	side_destroy(&collective->received);
	free(collective->parts);
}

void collective_run(struct job *job, const struct collective_kind *kinds, unsigned count)
{
	const struct collective_kind *kind = kind_of(job, kinds, count);
	uint64_t number = job->number[job->check]++;
	struct collective collective[GROUPS_MAX];

	for (unsigned i = 0; i < job->groups; i++) {
		begin(job, kind, &collective[i], &job->group[i], number);
		if (!collective[i].is_nonblocking)
			end(job, kind, &collective[i]);
	}
	for (unsigned i = job->groups; i-- > 0;)
		if (collective[i].is_nonblocking)
			end(job, kind, &collective[i]);
}
