/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * Collectives that move blocks and leave them as they are.
 */
#include <stdlib.h>
#include <string.h>

#include "demo-apps/mpi_verify/blocks.h"
#include "demo-apps/mpi_verify/collective.h"
#include "demo-apps/mpi_verify/sizes.h"

enum {
	BLOCK_LENGTH = 32 << 10, /* of most blocks, if every rank has one for every other */
	GAP_LENGTH = 3,
	RANKS_MOST = 1024,
};

/* Who gives blocks to whom. */
enum flow { FLOW_ROOT_ALL, FLOW_ROOT_EACH, FLOW_EACH_ROOT, FLOW_EACH_ALL, FLOW_EACH_EACH };

struct shape {
	enum check blocking, nonblocking;
	enum flow flow;
	bool varies; /* in length: the v forms */
};

static const struct shape shapes[] = {
        {CHECK_bcast, CHECK_ibcast, FLOW_ROOT_ALL, false},
        {CHECK_gather, CHECK_igather, FLOW_EACH_ROOT, false},
        {CHECK_gatherv, CHECK_igatherv, FLOW_EACH_ROOT, true},
        {CHECK_scatter, CHECK_iscatter, FLOW_ROOT_EACH, false},
        {CHECK_scatterv, CHECK_iscatterv, FLOW_ROOT_EACH, true},
        {CHECK_allgather, CHECK_iallgather, FLOW_EACH_ALL, false},
        {CHECK_allgatherv, CHECK_iallgatherv, FLOW_EACH_ALL, true},
        {CHECK_alltoall, CHECK_ialltoall, FLOW_EACH_EACH, false},
        {CHECK_alltoallv, CHECK_ialltoallv, FLOW_EACH_EACH, true},
};

static const struct shape *shape_of(const struct job *job)
{
	for (unsigned i = 0; i < sizeof(shapes) / sizeof(shapes[0]); i++)
		if (shapes[i].blocking == job->check || shapes[i].nonblocking == job->check)
			return &shapes[i];
	abort();
}

static size_t gap_of(const struct shape *shape)
{
	return shape->varies ? GAP_LENGTH : 0;
}

/* Now and then one of any length. */
static size_t block_length(const struct job *job, const struct shape *shape,
        const struct collective *collective, unsigned sender, unsigned receiver)
{
	uint32_t pair = shape->varies ? sender * RANKS_MOST + receiver + 1 : 0;
	uint64_t random = job_shared_random(
	        job, collective->group->space << 24 | pair, collective->number * 2 + 1);
	size_t most = BLOCK_LENGTH;

	if (shape->flow == FLOW_ROOT_ALL || random % 8 == 0)
		most = job->options.length_max / (shape->flow == FLOW_EACH_EACH ? 8 : 1);
	return sizes_draw(&random, most < job->options.length_max ? most : job->options.length_max);
}

static bool is_root(const struct collective *collective)
{
	return collective->root == collective->group->rank;
}

/* How many blocks this rank gives. */
static unsigned blocks_given(const struct shape *shape, const struct collective *collective)
{
	if (shape->flow == FLOW_EACH_EACH)
		return (unsigned)collective->group->size;
	if (shape->flow == FLOW_ROOT_EACH)
		return is_root(collective) ? (unsigned)collective->group->size : 0;
	if (shape->flow == FLOW_ROOT_ALL)
		return is_root(collective);
	return 1;
}

static unsigned blocks_taken(const struct shape *shape, const struct collective *collective)
{
	if (shape->flow == FLOW_EACH_EACH || shape->flow == FLOW_EACH_ALL)
		return (unsigned)collective->group->size;
	if (shape->flow == FLOW_EACH_ROOT)
		return is_root(collective) ? (unsigned)collective->group->size : 0;
	return 1;
}

static struct content_id block_given(const struct job *job, const struct shape *shape,
        const struct collective *collective, unsigned n)
{
	uint32_t to = n;

	if (shape->flow == FLOW_ROOT_ALL || shape->flow == FLOW_EACH_ALL)
		to = EVERYBODY;
	else if (shape->flow == FLOW_EACH_ROOT)
		to = (uint32_t)collective->root;
	return job_content(job, collective->group->space, (uint32_t)collective->group->rank, to,
	        collective->number);
}

static struct content_id block_taken(const struct job *job, const struct shape *shape,
        const struct collective *collective, unsigned n)
{
	uint32_t from = n, to = (uint32_t)collective->group->rank;

	if (shape->flow == FLOW_ROOT_ALL || shape->flow == FLOW_ROOT_EACH)
		from = (uint32_t)collective->root;
	if (shape->flow == FLOW_ROOT_ALL || shape->flow == FLOW_EACH_ALL)
		to = EVERYBODY;
	return job_content(job, collective->group->space, from, to, collective->number);
}

static void given_create(struct job *job, const struct shape *shape, struct collective *collective)
{
	unsigned blocks = blocks_given(shape, collective), size = (unsigned)collective->group->size;
	struct side *side = &collective->sent;
	size_t length[RANKS_MOST] = {0};

	for (unsigned n = 0; n < blocks; n++) {
		struct content_id id = block_given(job, shape, collective, n);

		length[n] = block_length(job, shape, collective, id.sender, id.receiver);
	}
	side_create(side, blocks, length, gap_of(shape));
	for (unsigned n = 0; n < blocks; n++) {
		struct content_id id = block_given(job, shape, collective, n);

		block_fill(job, &block_of_collective, side->bytes + side->at[n],
		        (size_t)side->count[n], &id, size);
	}
}

static void taken_create(struct job *job, const struct shape *shape, struct collective *collective)
{
	unsigned blocks = blocks_taken(shape, collective);
	size_t length[RANKS_MOST] = {0};

	for (unsigned n = 0; n < blocks; n++) {
		struct content_id id = block_taken(job, shape, collective, n);

		length[n] = block_length(job, shape, collective, id.sender, id.receiver);
	}
	side_create(&collective->received, blocks, length, gap_of(shape));
}

static void prepare(struct job *job, struct collective *collective)
{
	const struct shape *shape = shape_of(job);

	collective->length = block_length(job, shape, collective, 0, 0);
	given_create(job, shape, collective);
	taken_create(job, shape, collective);
	if (shape->flow == FLOW_ROOT_ALL && is_root(collective))
		memcpy(collective->received.bytes, collective->sent.bytes,
		        (size_t)collective->sent.count[0]);
}

static void check(struct job *job, struct collective *collective)
{
	const struct shape *shape = shape_of(job);
	const struct side *side = &collective->received;

	for (unsigned n = 0; n < side->blocks; n++) {
		struct content_id id = block_taken(job, shape, collective, n);

		/* What it has itself spoilt, root has not received. */
		if (shape->flow == FLOW_ROOT_ALL && is_root(collective))
			continue;
		block_check(job, &block_of_collective, side->bytes + side->at[n],
		        (size_t)side->count[n], &id, (unsigned)collective->group->size);
	}
	if (!side_gaps_live(side, gap_of(shape)))
		job_found(job, FINDING_corrupted, "memory beside a block", collective->number);
}

/* Both forms with the same arguments. */
#define FORMS(name, Name, ...)                                                                     \
	if (c->is_nonblocking)                                                                     \
		CALL(job, MPI_I##name(__VA_ARGS__, c->group->comm, &c->request));                  \
	else                                                                                       \
		CALL(job, MPI_##Name(__VA_ARGS__, c->group->comm))
#define SENT(count)     c->sent.bytes, count, MPI_BYTE
#define SENT_V          c->sent.bytes, c->sent.count, c->sent.at, MPI_BYTE
#define RECEIVED(count) c->received.bytes, count, MPI_BYTE
#define RECEIVED_V      c->received.bytes, c->received.count, c->received.at, MPI_BYTE

static int only(const struct side *side)
{
	return side->blocks ? side->count[0] : 0;
}

static void start(struct job *job, struct collective *c)
{
	int length = (int)c->length;

	switch (shape_of(job)->blocking) {
	case CHECK_bcast:
		FORMS(bcast, Bcast, RECEIVED(length), c->root);
		return;
	case CHECK_gather:
		FORMS(gather, Gather, SENT(length), RECEIVED(length), c->root);
		return;
	case CHECK_gatherv:
		FORMS(gatherv, Gatherv, SENT(only(&c->sent)), RECEIVED_V, c->root);
		return;
	case CHECK_scatter:
		FORMS(scatter, Scatter, SENT(length), RECEIVED(length), c->root);
		return;
	case CHECK_scatterv:
		FORMS(scatterv, Scatterv, SENT_V, RECEIVED(only(&c->received)), c->root);
		return;
	case CHECK_allgather:
		FORMS(allgather, Allgather, SENT(length), RECEIVED(length));
		return;
	case CHECK_allgatherv:
		FORMS(allgatherv, Allgatherv, SENT(only(&c->sent)), RECEIVED_V);
		return;
	case CHECK_alltoall:
		FORMS(alltoall, Alltoall, SENT(length), RECEIVED(length));
		return;
	case CHECK_alltoallv:
		FORMS(alltoallv, Alltoallv, SENT_V, RECEIVED_V);
		return;
	default:
		abort();
	}
}

void check_blocks(struct job *job)
{
	const struct shape *shape = shape_of(job);
	struct collective_kind kind = {shape->blocking, shape->nonblocking, prepare, start, check};

	collective_run(job, &kind, 1);
}
