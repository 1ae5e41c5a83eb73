/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * One process's part of the run: who it is, its communicators, what it has found. One thread; every
 * checker gets the job and adds to the findings of the check that is running.
 */
#ifndef MPI_VERIFY_JOB_H
#define MPI_VERIFY_JOB_H

#include <mpi.h>
#include <stdbool.h>
#include <stdint.h>

#include "demo-apps/mpi_verify/checks.h"
#include "demo-apps/mpi_verify/content.h"
#include "demo-apps/mpi_verify/findings.h"
#include "demo-apps/mpi_verify/options.h"

enum {
	GROUPS_MAX = 4,
	SPOIL_LENGTH =
	        16, /* the least length of what is spoilt, so that it cannot pass for another */
	EVERYBODY = 0xffff, /* the receiver of what is the same for all */
	CANARY_LENGTH = 16,
};

struct group {
	const char *name;
	MPI_Comm comm;
	int rank, size;
	uint32_t space;
};

struct stream;
struct window;

struct job {
	struct options options;
	int rank, ranks;
	uint64_t round;
	uint64_t random; /* of this rank alone */

	MPI_Comm comm;      /* point to point */
	MPI_Comm wild_comm; /* for receives that take anything */
	struct group group[GROUPS_MAX];
	unsigned groups;

	enum check check;
	struct findings findings[CHECK_COUNT];
	uint64_t runs[CHECK_COUNT];
	uint64_t number[CHECK_COUNT]; /* of the next collective or one-sided epoch */
	uint64_t messages, bytes;     /* that have been checked */

	struct stream *streams[CHECK_COUNT]; /* of each peer and tag; see messages.c */
	struct window *window;               /* NULL until needed */

	/* A fault to be committed once by every rank, when self-testing; FINDING_COUNT: none. */
	enum finding spoil;
	bool is_spoilt; /* it has been committed */
	bool is_quiet;  /* findings are expected: do not print them */
};

/* Returns 0; on failure a message has been printed. */
int job_create(struct job *job, const struct options *options);
void job_destroy(struct job *job);

/* CALL(job, MPI_Send(...)): an error that a call returns is a finding. */
#define CALL(job, call) job_called(job, call, #call)
void job_called(struct job *job, int result, const char *text);
void job_found(struct job *job, enum finding finding, const char *what, uint64_t detail);

/* True once, if that is the fault to be committed. */
bool job_spoils(struct job *job, enum finding finding);

/* In the space of the check that is running. */
struct content_id job_content(
        const struct job *job, uint32_t space, uint32_t sender, uint32_t receiver, uint64_t number);
/* Equal on all ranks that give the same arguments. */
uint64_t job_shared_random(const struct job *job, uint32_t space, uint64_t number);

/* Memory behind a buffer that must stay as it is. */
void canary_put(void *at);
bool canary_lives(const void *at);

#endif
