/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * What is added to memory far away, and what the answers say was there before.
 */
#include <stdlib.h>
#include <string.h>

#include "demo-apps/mpi_verify/collective.h"
#include "demo-apps/mpi_verify/sums.h"
#include "demo-apps/mpi_verify/window.h"

enum {
	LANES_MOST = 8, /* ranks that have eight bits of each word */
	LANE_OPERATIONS = 3,
	TICKETS = 16,
	SWAPS = 6,
};

/* Own words at @offset become 0, and everybody knows. */
static void words_clear(struct job *job, struct window *window, MPI_Aint offset, size_t words)
{
	CALL(job, MPI_Win_lock(MPI_LOCK_EXCLUSIVE, job->rank, 0, window_win(window)));
	memset(window_at(window, offset), 0, words * sizeof(uint64_t));
	CALL(job, MPI_Win_unlock(job->rank, window_win(window)));
	CALL(job, MPI_Barrier(job->comm));
}

/* Own word at @offset after everybody has done what he wanted. */
static uint64_t word_read(struct job *job, struct window *window, MPI_Aint offset)
{
	uint64_t value;

	CALL(job, MPI_Win_lock(MPI_LOCK_SHARED, job->rank, 0, window_win(window)));
	memcpy(&value, window_at(window, offset), sizeof(value));
	CALL(job, MPI_Win_unlock(job->rank, window_win(window)));
	return value;
}

static unsigned lane_value(uint64_t word, int rank)
{
	return (unsigned)(word >> 8 * rank & 0xff);
}

/* Lanes of ranks that there are not stay 0; no lane gets beyond what all operations add. */
static void lanes_check(struct job *job, uint64_t word, int rank, unsigned expected)
{
	enum finding finding = FINDING_corrupted;
	unsigned value = lane_value(word, rank);

	for (int lane = job->ranks; lane < LANES_MOST; lane++)
		if (lane_value(word, lane))
			job_found(job, FINDING_corrupted, "lane that nobody has", (uint64_t)lane);
	if (value == expected)
		return;
	if (value <= 2 * LANE_OPERATIONS)
		finding = value < expected ? FINDING_lost : FINDING_duplicated;
	job_found(job, finding, "lane", value);
}

static uint64_t lane_addend(struct job *job)
{
	uint64_t one = job->rank < LANES_MOST ? 1ULL << 8 * job->rank : 0;

	if (job_spoils(job, FINDING_lost))
		return 0;
	if (job_spoils(job, FINDING_duplicated))
		return 2 * one;
	return job_spoils(job, FINDING_corrupted) ? 100 * one : one;
}

static void lanes_add(struct job *job, struct window *window, int target)
{
	static uint64_t added[LANE_OPERATIONS][WINDOW_LANES], before[LANE_OPERATIONS][WINDOW_LANES];
	MPI_Win win = window_win(window);

	for (unsigned n = 0; n < LANE_OPERATIONS; n++)
		for (unsigned i = 0; i < WINDOW_LANES; i++)
			added[n][i] = lane_addend(job);
	CALL(job, MPI_Win_lock(MPI_LOCK_SHARED, target, 0, win));
	for (unsigned n = 0; n < LANE_OPERATIONS; n++)
		CALL(job, MPI_Get_accumulate(added[n], WINDOW_LANES, MPI_UINT64_T, before[n],
		                  WINDOW_LANES, MPI_UINT64_T, target, window_lanes(job),
		                  WINDOW_LANES, MPI_UINT64_T, MPI_SUM, win));
	CALL(job, MPI_Win_unlock(target, win));
	for (unsigned n = 0; n < LANE_OPERATIONS && job->rank < LANES_MOST; n++)
		for (unsigned i = 0; i < WINDOW_LANES; i++)
			lanes_check(job, before[n][i], job->rank, n);
}

void check_get_accumulate(struct job *job)
{
	struct window *window = window_of_round(job);
	MPI_Aint place = window_lanes(job);

	words_clear(job, window, place, WINDOW_LANES);
	for (int n = 0; n < job->ranks; n++)
		lanes_add(job, window, (job->rank + n) % job->ranks);
	CALL(job, MPI_Barrier(job->comm));
	for (unsigned i = 0; i < WINDOW_LANES; i++) {
		uint64_t word = word_read(job, window, place + (MPI_Aint)(i * sizeof(word)));

		for (int rank = 0; rank < job->ranks && rank < LANES_MOST; rank++)
			lanes_check(job, word, rank, LANE_OPERATIONS);
		job->messages++;
		job->bytes += sizeof(word);
	}
	CALL(job, MPI_Barrier(job->comm));
}

static uint64_t ticket_step(struct job *job)
{
	if (job_spoils(job, FINDING_lost))
		return 2;
	if (job_spoils(job, FINDING_duplicated))
		return 0;
	return job_spoils(job, FINDING_corrupted) ? 1ULL << 40 : 1;
}

/* Everybody draws from one rank's counter; no two may draw the same. */
void check_fetch_and_op(struct job *job)
{
	struct window *window = window_of_round(job);
	int target = (int)(job->round % (uint64_t)job->ranks);
	uint64_t drawn[TICKETS], *all = calloc((size_t)job->ranks * TICKETS, sizeof(*all)),
	                         step[TICKETS];
	struct findings found = {0};

	words_clear(job, window, window_counter(job), 1);
	CALL(job, MPI_Win_lock(MPI_LOCK_SHARED, target, 0, window_win(window)));
	for (unsigned n = 0; n < TICKETS; n++) {
		step[n] = ticket_step(job);
		CALL(job, MPI_Fetch_and_op(&step[n], &drawn[n], MPI_UINT64_T, target,
		                  window_counter(job), MPI_SUM, window_win(window)));
		if (n % 2)
			CALL(job, MPI_Win_flush(target, window_win(window)));
	}
	CALL(job, MPI_Win_unlock(target, window_win(window)));
	CALL(job, MPI_Gather(drawn, TICKETS, MPI_UINT64_T, all, TICKETS, MPI_UINT64_T, target,
	                  job->comm));
	if (job->rank == target)
		tickets_check(all, (size_t)job->ranks * TICKETS, 0, &found);
	for (unsigned i = 0; i < FINDING_COUNT; i++)
		for (uint64_t n = 0; n < found.count[i]; n++)
			job_found(job, i, "ticket", n);
	job->messages += TICKETS;
	job->bytes += sizeof(drawn);
	free(all);
}

static uint64_t swap(struct job *job, struct window *window, int target, uint64_t expected)
{
	uint64_t next = expected + 1, before = UINT64_MAX;

	CALL(job, MPI_Compare_and_swap(&next, &expected, &before, MPI_UINT64_T, target,
	                  window_counter(job), window_win(window)));
	CALL(job, MPI_Win_flush(target, window_win(window)));
	return before;
}

/* Until it has succeeded so often, which may need more attempts, since the others do the same. */
static void swap_some(struct job *job, struct window *window, int target, unsigned swaps)
{
	uint64_t expected = 0;

	CALL(job, MPI_Win_lock(MPI_LOCK_SHARED, target, 0, window_win(window)));
	while (swaps) {
		uint64_t before = swap(job, window, target, expected);

		swaps -= before == expected;
		expected = before == expected ? before + 1 : before;
	}
	CALL(job, MPI_Win_unlock(target, window_win(window)));
}

void check_compare_and_swap(struct job *job)
{
	struct window *window = window_of_round(job);
	int target = (int)((job->round + 1) % (uint64_t)job->ranks);
	uint64_t expected = (uint64_t)job->ranks * SWAPS, got;
	unsigned swaps = SWAPS;

	words_clear(job, window, window_counter(job), 1);
	swaps += job_spoils(job, FINDING_duplicated);
	swaps -= job_spoils(job, FINDING_lost);
	swap_some(job, window, target, swaps);
	CALL(job, MPI_Barrier(job->comm));
	got = word_read(job, window, window_counter(job));
	if (job->rank == target && got != expected)
		job_found(job, got < expected ? FINDING_lost : FINDING_duplicated, "swaps", got);
	job->messages += SWAPS;
	job->bytes += SWAPS * sizeof(uint64_t);
	CALL(job, MPI_Barrier(job->comm));
}

static void enter(struct job *job, struct window *window, MPI_Op operation)
{
	uint64_t one = 1, before;

	CALL(job, MPI_Win_lock(MPI_LOCK_SHARED, 0, 0, window_win(window)));
	CALL(job, MPI_Fetch_and_op(&one, &before, MPI_UINT64_T, 0, window_counter(job), operation,
	                  window_win(window)));
	CALL(job, MPI_Win_unlock(0, window_win(window)));
}

static uint64_t entered(struct job *job, struct window *window)
{
	uint64_t none = 0, count;

	CALL(job, MPI_Win_lock(MPI_LOCK_SHARED, 0, 0, window_win(window)));
	CALL(job, MPI_Fetch_and_op(&none, &count, MPI_UINT64_T, 0, window_counter(job), MPI_NO_OP,
	                  window_win(window)));
	CALL(job, MPI_Win_unlock(0, window_win(window)));
	return count;
}

/* Who has left a barrier sees that all have entered it. */
void check_barrier(struct job *job)
{
	struct window *window = window_of_round(job);
	MPI_Request request = MPI_REQUEST_NULL;
	uint64_t count;

	words_clear(job, window, window_counter(job), 1);
	if (!job_spoils(job, FINDING_lost))
		enter(job, window, MPI_SUM);
	if (job_spoils(job, FINDING_duplicated))
		enter(job, window, MPI_SUM);
	if (job->check == CHECK_ibarrier)
		CALL(job, MPI_Ibarrier(job->group[0].comm, &request));
	else
		CALL(job, MPI_Barrier(job->group[0].comm));
	CALL(job, MPI_Wait(&request, MPI_STATUS_IGNORE));
	count = entered(job, window);
	if (count != (uint64_t)job->ranks)
		job_found(job, count < (uint64_t)job->ranks ? FINDING_lost : FINDING_duplicated,
		        "ranks in the barrier", count);
	CALL(job, MPI_Barrier(job->comm));
}
