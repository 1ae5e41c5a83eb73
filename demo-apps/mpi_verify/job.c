/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include "demo-apps/mpi_verify/job.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "demo-apps/mpi_verify/messages.h"
#include "demo-apps/mpi_verify/stall.h"
#include "demo-apps/mpi_verify/window.h"

const char *const finding_name[FINDING_COUNT] = {
#define FINDING(name, what) #name,
        FINDINGS(FINDING)
#undef FINDING
};

const char *const finding_meaning[FINDING_COUNT] = {
#define FINDING(name, what) what,
        FINDINGS(FINDING)
#undef FINDING
};

const struct check_row check_row[CHECK_COUNT] = {
#define CHECK(name, run, finds, what) {#name, run, finds, what},
        CHECKS(CHECK)
#undef CHECK
};

static const uint64_t findings_printed_most = 20;

static void group_add(struct job *job, const char *name, MPI_Comm comm)
{
	struct group *group = &job->group[job->groups];

	group->name = name;
	group->comm = comm;
	group->space = job->groups++;
	MPI_Comm_set_errhandler(comm, MPI_ERRORS_RETURN);
	MPI_Comm_rank(comm, &group->rank);
	MPI_Comm_size(comm, &group->size);
}

static void groups_create(struct job *job)
{
	MPI_Comm comm;

	MPI_Comm_dup(MPI_COMM_WORLD, &comm);
	group_add(job, "all", comm);
	MPI_Comm_split(MPI_COMM_WORLD, 0, -job->rank, &comm);
	group_add(job, "reversed", comm);
	MPI_Comm_split(MPI_COMM_WORLD, job->rank % 2, job->rank, &comm);
	group_add(job, "every other", comm);
	MPI_Comm_split(MPI_COMM_WORLD, job->rank * 2 / job->ranks, job->rank, &comm);
	group_add(job, "halves", comm);
}

int job_create(struct job *job, const struct options *options)
{
	*job = (struct job){.options = *options, .spoil = FINDING_COUNT};
	MPI_Comm_rank(MPI_COMM_WORLD, &job->rank);
	MPI_Comm_size(MPI_COMM_WORLD, &job->ranks);
	if (job->ranks < 2) {
		fputs("mpi-verify: needs two ranks or more\n", stderr);
		return -1;
	}
	job->random = options->seed * 1000003 + (uint64_t)job->rank;
	MPI_Comm_set_errhandler(MPI_COMM_WORLD, MPI_ERRORS_RETURN);
	MPI_Comm_dup(MPI_COMM_WORLD, &job->comm);
	MPI_Comm_dup(MPI_COMM_WORLD, &job->wild_comm);
	groups_create(job);
	/* So that a number below the first is one too. */
	for (unsigned i = 0; i < CHECK_COUNT; i++)
		job->number[i] = CONTENT_REACH;
	return 0;
}

void job_destroy(struct job *job)
{
	window_destroy(job->window);
	for (unsigned i = 0; i < CHECK_COUNT; i++)
		free(job->streams[i]);
	for (unsigned i = 0; i < job->groups; i++)
		MPI_Comm_free(&job->group[i].comm);
	MPI_Comm_free(&job->wild_comm);
	MPI_Comm_free(&job->comm);
}

void job_called(struct job *job, int result, const char *text)
{
	char message[MPI_MAX_ERROR_STRING];
	int length;

	stall_progress();
	if (result == MPI_SUCCESS)
		return;
	job_found(job, FINDING_failed, text, (uint64_t)result);
	if (job->is_quiet || MPI_Error_string(result, message, &length) != MPI_SUCCESS)
		return;
	fprintf(stderr, "mpi-verify: rank %d: %s: %s\n", job->rank, text, message);
}

void job_found(struct job *job, enum finding finding, const char *what, uint64_t detail)
{
	struct findings *findings = &job->findings[job->check];

	if (!job->is_quiet && findings_sum(findings) < findings_printed_most)
		fprintf(stderr, "mpi-verify: rank %d, round %llu, %s: %s: %s (%llu)\n", job->rank,
		        (unsigned long long)job->round, check_row[job->check].name,
		        finding_name[finding], what, (unsigned long long)detail);
	findings->count[finding]++;
}

bool job_spoils(struct job *job, enum finding finding)
{
	if (job->spoil != finding || job->is_spoilt)
		return false;
	job->is_spoilt = true;
	return true;
}

struct content_id job_content(
        const struct job *job, uint32_t space, uint32_t sender, uint32_t receiver, uint64_t number)
{
	return (struct content_id){.seed = job->options.seed,
	        .space = (uint32_t)job->check << 8 | space,
	        .sender = sender,
	        .receiver = receiver,
	        .number = number};
}

uint64_t job_shared_random(const struct job *job, uint32_t space, uint64_t number)
{
	struct content_id id = job_content(job, space, EVERYBODY, EVERYBODY, number);

	return content_value(&id, 0);
}

static const unsigned char canary = 0xa7;

void canary_put(void *at)
{
	memset(at, canary, CANARY_LENGTH);
}

bool canary_lives(const void *at)
{
	const unsigned char *byte = at;

	for (unsigned i = 0; i < CANARY_LENGTH; i++)
		if (byte[i] != canary)
			return false;
	return true;
}
