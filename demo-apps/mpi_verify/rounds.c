/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include "demo-apps/mpi_verify/rounds.h"

#include <stdio.h>
#include <unistd.h>

#include "demo-apps/mpi_verify/stall.h"

void round_of(struct job *job, enum check check)
{
	job->check = check;
	stall_where(check_row[check].name);
	job->runs[check]++;
	check_row[check].run(job);
}

static bool is_enough(const struct job *job, double began)
{
	const struct options *options = &job->options;

	return (options->rounds && job->round >= options->rounds) ||
	       (options->seconds > 0 && MPI_Wtime() - began >= options->seconds) ||
	       (options->until_file && access(options->until_file, F_OK) == 0);
}

/* Rank 0 decides; a decision that was changed on its way is one of its own kind. */
static bool goes_on(struct job *job, double began)
{
	const uint64_t go = 0x676f, end = 0x656e64;
	uint64_t decision = 0;

	if (job->rank == 0)
		decision = is_enough(job, began) ? end : go;
	CALL(job, MPI_Bcast(&decision, 1, MPI_UINT64_T, 0, job->comm));
	if (decision != go && decision != end)
		job_found(job, FINDING_corrupted, "whether to go on", decision);
	return decision == go;
}

static uint64_t errors_of(const struct job *job)
{
	uint64_t errors = 0;

	for (unsigned i = 0; i < CHECK_COUNT; i++)
		errors += findings_sum(&job->findings[i]);
	return errors;
}

void rounds_run(struct job *job)
{
	double began = MPI_Wtime();

	do {
		for (unsigned i = 0; i < CHECK_COUNT; i++)
			if (job->options.is_chosen[i])
				round_of(job, i);
		job->round++;
		if (job->rank == 0 && !job->options.is_quiet)
			fprintf(stderr, "mpi-verify: round %llu done, %.1f s, %llu errors here\n",
			        (unsigned long long)job->round, MPI_Wtime() - began,
			        (unsigned long long)errors_of(job));
	} while (goes_on(job, began));
}

void rounds_look_for_strays(struct job *job)
{
	MPI_Comm comm[2] = {job->comm, job->wild_comm};
	int is_there = 0;

	CALL(job, MPI_Barrier(job->comm));
	for (unsigned i = 0; i < 2; i++) {
		MPI_Status status;

		CALL(job, MPI_Iprobe(MPI_ANY_SOURCE, MPI_ANY_TAG, comm[i], &is_there, &status));
		if (is_there)
			job_found(job, FINDING_duplicated, "message that nobody expects",
			        (uint64_t)status.MPI_TAG);
	}
}
