/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * Put, get and accumulate, each epoch opened and closed in one of four ways.
 */
#include <stdlib.h>

#include "demo-apps/mpi_verify/blocks.h"
#include "demo-apps/mpi_verify/messages.h"
#include "demo-apps/mpi_verify/sizes.h"
#include "demo-apps/mpi_verify/sums.h"
#include "demo-apps/mpi_verify/window.h"

struct epoch {
	struct job *job;
	struct window *window;
	MPI_Win win;
	uint64_t number;
	MPI_Group others;
};

/*
 * open: then every target may be accessed once open_to() was called for it, and close_to() ends
 * that; after close() everybody's operations are done, and what they did to this rank's memory can
 * be read.
 */
struct style {
	enum check check;
	void (*open)(struct epoch *epoch);
	void (*open_to)(struct epoch *epoch, int target);
	void (*close_to)(struct epoch *epoch, int target);
	void (*close)(struct epoch *epoch);
};

static void nothing(struct epoch *epoch)
{
}

static void nothing_to(struct epoch *epoch, int target)
{
}

static void fence(struct epoch *epoch)
{
	CALL(epoch->job, MPI_Win_fence(0, epoch->win));
}

static void pscw_open(struct epoch *epoch)
{
	CALL(epoch->job, MPI_Win_post(epoch->others, 0, epoch->win));
	CALL(epoch->job, MPI_Win_start(epoch->others, 0, epoch->win));
}

static void pscw_close(struct epoch *epoch)
{
	CALL(epoch->job, MPI_Win_complete(epoch->win));
	CALL(epoch->job, MPI_Win_wait(epoch->win));
}

/* Alone in one round, beside others in the next. */
static void lock_open_to(struct epoch *epoch, int target)
{
	int kind = epoch->number % 2 ? MPI_LOCK_EXCLUSIVE : MPI_LOCK_SHARED;

	CALL(epoch->job, MPI_Win_lock(kind, target, 0, epoch->win));
}

static void lock_close_to(struct epoch *epoch, int target)
{
	CALL(epoch->job, MPI_Win_unlock(target, epoch->win));
}

static void everybody_is_done(struct epoch *epoch)
{
	CALL(epoch->job, MPI_Barrier(epoch->job->comm));
	CALL(epoch->job, MPI_Win_lock(MPI_LOCK_SHARED, epoch->job->rank, 0, epoch->win));
	CALL(epoch->job, MPI_Win_unlock(epoch->job->rank, epoch->win));
}

static void lock_all_open(struct epoch *epoch)
{
	CALL(epoch->job, MPI_Win_lock_all(0, epoch->win));
}

static void lock_all_close_to(struct epoch *epoch, int target)
{
	if (target % 2)
		CALL(epoch->job, MPI_Win_flush(target, epoch->win));
}

static void lock_all_close(struct epoch *epoch)
{
	CALL(epoch->job, MPI_Win_flush_all(epoch->win));
	CALL(epoch->job, MPI_Barrier(epoch->job->comm));
	CALL(epoch->job, MPI_Win_sync(epoch->win));
	CALL(epoch->job, MPI_Win_unlock_all(epoch->win));
}

static const struct style styles[] = {
        {CHECK_rma_fence, fence, nothing_to, nothing_to, fence},
        {CHECK_rma_pscw, pscw_open, nothing_to, nothing_to, pscw_close},
        {CHECK_rma_lock, nothing, lock_open_to, lock_close_to, everybody_is_done},
        {CHECK_rma_lock_all, lock_all_open, nothing_to, lock_all_close_to, lock_all_close},
};

static const struct style *style_of(const struct job *job)
{
	for (unsigned i = 0; i < sizeof(styles) / sizeof(styles[0]); i++)
		if (styles[i].check == job->check)
			return &styles[i];
	abort();
}

static size_t put_length(const struct epoch *epoch, int origin, int target)
{
	uint32_t pair = (uint32_t)(origin * epoch->job->ranks + target);
	uint64_t random = job_shared_random(epoch->job, pair, epoch->number * 4);
	size_t most = epoch->job->options.length_max;

	return sizes_draw(&random, most < WINDOW_SLOT ? most : WINDOW_SLOT);
}

static size_t source_length(const struct epoch *epoch, int owner)
{
	return put_length(epoch, owner, owner);
}

static unsigned sums_count(const struct epoch *epoch)
{
	uint64_t random = job_shared_random(epoch->job, 0, epoch->number * 4 + 1);

	return 1 + (unsigned)(random % (random % 3 ? 32 : WINDOW_SUMS));
}

enum space { SPACE_PUT, SPACE_SOURCE, SPACE_SUM };

static struct content_id block_id(
        const struct epoch *epoch, enum space space, int sender, int receiver)
{
	return job_content(epoch->job, space, (uint32_t)sender, (uint32_t)receiver, epoch->number);
}

/* What must not be there any more in the end: the contents with the number before. */
static void stale_fill(void *at, size_t length, struct content_id id)
{
	id.number--;
	content_fill(at, length, &id);
	canary_put((unsigned char *)at + length);
}

/* Sums start with what this rank would have added itself. */
static void own_addends_put(struct epoch *epoch)
{
	struct job *job = epoch->job;
	struct content_id id = block_id(epoch, SPACE_SUM, job->rank, job->rank);
	uint64_t *sum = window_at(epoch->window, window_sums(job));

	for (unsigned i = 0; i < WINDOW_SUMS; i++)
		sum[i] = content_value(&id, i);
}

/* Own memory before the epoch. */
static void memory_prepare(struct epoch *epoch)
{
	struct job *job = epoch->job;
	struct content_id id = block_id(epoch, SPACE_SOURCE, job->rank, (int)EVERYBODY);

	CALL(job, MPI_Win_lock(MPI_LOCK_EXCLUSIVE, job->rank, 0, epoch->win));
	for (int origin = 0; origin < job->ranks; origin++)
		stale_fill(window_at(epoch->window, window_slot(job, origin)),
		        put_length(epoch, origin, job->rank),
		        block_id(epoch, SPACE_PUT, origin, job->rank));
	block_fill(job, &block_of_memory, window_at(epoch->window, window_source(job)),
	        source_length(epoch, job->rank), &id, (unsigned)job->ranks);
	own_addends_put(epoch);
	CALL(job, MPI_Win_unlock(job->rank, epoch->win));
	CALL(job, MPI_Barrier(job->comm));
}

/* Buffers that must stay until the epoch is closed. */
struct access {
	unsigned char *put, *got;
	uint64_t *added;
};

static void addends_fill(struct epoch *epoch, int target, struct access *access)
{
	struct job *job = epoch->job;
	struct content_id id = block_id(epoch, SPACE_SUM, job->rank, target);

	for (unsigned i = 0; i < sums_count(epoch); i++)
		access->added[i] = content_value(&id, i);
	if (job->rank == 0 && job_spoils(job, FINDING_duplicated))
		access->added[0] *= 2;
}

static void access_prepare(struct epoch *epoch, int target, struct access *access)
{
	struct job *job = epoch->job;
	size_t length = put_length(epoch, job->rank, target), got = source_length(epoch, target);
	struct content_id id = block_id(epoch, SPACE_PUT, job->rank, target);

	access->put = message_buffer(length);
	block_fill(job, &block_of_memory, access->put, length, &id, (unsigned)job->ranks);
	access->got = message_buffer(got);
	stale_fill(access->got, got, block_id(epoch, SPACE_SOURCE, target, (int)EVERYBODY));
	access->added = calloc(WINDOW_SUMS, sizeof(uint64_t));
	if (!access->added)
		abort();
	addends_fill(epoch, target, access);
}

static void access_start(struct epoch *epoch, int target, struct access *access)
{
	struct job *job = epoch->job;
	int length = (int)put_length(epoch, job->rank, target);
	int got = (int)source_length(epoch, target), sums = (int)sums_count(epoch);

	CALL(job, MPI_Put(access->put, length, MPI_BYTE, target, window_slot(job, job->rank),
	                  length, MPI_BYTE, epoch->win));
	CALL(job, MPI_Get(access->got, got, MPI_BYTE, target, window_source(job), got, MPI_BYTE,
	                  epoch->win));
	CALL(job, MPI_Accumulate(access->added, sums, MPI_UINT64_T, target, window_sums(job), sums,
	                  MPI_UINT64_T, MPI_SUM, epoch->win));
}

/* What the others did to this rank's memory. */
static void memory_check(struct epoch *epoch)
{
	struct job *job = epoch->job;
	const uint64_t *sum = window_at(epoch->window, window_sums(job));
	struct content_id id = block_id(epoch, SPACE_SUM, 0, job->rank);

	for (int origin = 0; origin < job->ranks; origin++) {
		const unsigned char *slot = window_at(epoch->window, window_slot(job, origin));
		struct content_id put = block_id(epoch, SPACE_PUT, origin, job->rank);
		size_t length = put_length(epoch, origin, job->rank);

		if (origin == job->rank)
			continue;
		block_check(job, &block_of_memory, slot, length, &put, (unsigned)job->ranks);
		if (!canary_lives(slot + length))
			job_found(job, FINDING_corrupted, "memory behind a put", length);
	}
	for (unsigned i = 0; i < sums_count(epoch); i++) {
		enum finding finding = sum_check(sum[i], &id, (unsigned)job->ranks, i);

		if (finding != FINDING_COUNT)
			job_found(job, finding, "accumulated sum", i);
	}
}

static void access_check(struct epoch *epoch, int target, struct access *access)
{
	struct job *job = epoch->job;
	struct content_id id = block_id(epoch, SPACE_SOURCE, target, (int)EVERYBODY);
	size_t length = source_length(epoch, target);

	block_check(job, &block_of_memory, access->got, length, &id, (unsigned)job->ranks);
	if (!canary_lives(access->got + length))
		job_found(job, FINDING_corrupted, "memory behind a get", length);
	free(access->put);
	free(access->got);
	free(access->added);
}

static void epoch_run(struct epoch *epoch, const struct style *style)
{
	struct job *job = epoch->job;
	struct access *access = calloc((size_t)job->ranks, sizeof(*access));

	if (!access)
		abort();
	for (int target = 0; target < job->ranks; target++)
		if (target != job->rank)
			access_prepare(epoch, target, &access[target]);
	style->open(epoch);
	for (int n = 1; n < job->ranks; n++) {
		int target = (job->rank + n) % job->ranks;

		style->open_to(epoch, target);
		access_start(epoch, target, &access[target]);
		style->close_to(epoch, target);
	}
	style->close(epoch);
	memory_check(epoch);
	for (int target = 0; target < job->ranks; target++)
		if (target != job->rank)
			access_check(epoch, target, &access[target]);
	free(access);
}

void check_one_sided(struct job *job)
{
	struct epoch epoch = {.job = job, .window = window_of_round(job)};
	MPI_Group all;

	epoch.win = window_win(epoch.window);
	epoch.number = job->number[job->check]++;
	CALL(job, MPI_Comm_group(job->comm, &all));
	CALL(job, MPI_Group_excl(all, 1, &job->rank, &epoch.others));
	memory_prepare(&epoch);
	epoch_run(&epoch, style_of(job));
	CALL(job, MPI_Group_free(&epoch.others));
	CALL(job, MPI_Group_free(&all));
	/* Nobody prepares the next while somebody still looks at this one. */
	CALL(job, MPI_Barrier(job->comm));
}
