/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * The table of checks: name, the function that runs one round of it, what it can find (a letter
 * each: lost, duplicated, reordered, corrupted, failed), and what it does.
 */
#ifndef MPI_VERIFY_CHECKS_H
#define MPI_VERIFY_CHECKS_H

struct job;

/* A collective in its blocking form and in its nonblocking one, this on all communicators at once.
 */
#define CHECKS_COLLECTIVE(CHECK, name, run, finds)                                                 \
	CHECK(name, run, finds, "MPI_" #name)                                                      \
	CHECK(i##name, run, finds, "MPI_I" #name)

#define CHECKS(CHECK)                                                                              \
	CHECK(blocking, check_blocking, "ldrcf", "send and receive in all lengths")                \
	CHECK(modes, check_modes, "ldrc", "synchronous, buffered and ready sends")                 \
	CHECK(outstanding, check_outstanding, "ldrc", "many nonblocking ones with every rank")     \
	CHECK(sendrecv, check_sendrecv, "ldrc", "sendrecv and sendrecv_replace in a ring")         \
	CHECK(persistent, check_persistent, "ldrc", "persistent requests, started again")          \
	CHECK(order, check_order, "ldrc", "several tags, received in another order than sent")     \
	CHECK(wildcards, check_wildcards, "ldrc", "any source, any tag")                           \
	CHECK(probes, check_probes, "ldrc", "probe, iprobe, mprobe, improbe")                      \
	CHECK(datatypes, check_datatypes, "ldrc", "derived datatypes on one side or both")         \
	CHECKS_COLLECTIVE(CHECK, barrier, check_barrier, "ld")                                     \
	CHECKS_COLLECTIVE(CHECK, bcast, check_blocks, "ldrc")                                      \
	CHECKS_COLLECTIVE(CHECK, gather, check_blocks, "ldrc")                                     \
	CHECKS_COLLECTIVE(CHECK, gatherv, check_blocks, "ldrc")                                    \
	CHECKS_COLLECTIVE(CHECK, scatter, check_blocks, "ldrc")                                    \
	CHECKS_COLLECTIVE(CHECK, scatterv, check_blocks, "ldrc")                                   \
	CHECKS_COLLECTIVE(CHECK, allgather, check_blocks, "ldrc")                                  \
	CHECKS_COLLECTIVE(CHECK, allgatherv, check_blocks, "ldrc")                                 \
	CHECKS_COLLECTIVE(CHECK, alltoall, check_blocks, "ldrc")                                   \
	CHECKS_COLLECTIVE(CHECK, alltoallv, check_blocks, "ldrc")                                  \
	CHECKS_COLLECTIVE(CHECK, reduce, check_reductions, "ldrc")                                 \
	CHECKS_COLLECTIVE(CHECK, allreduce, check_reductions, "ldrc")                              \
	CHECKS_COLLECTIVE(CHECK, scan, check_reductions, "ldc")                                    \
	CHECKS_COLLECTIVE(CHECK, exscan, check_reductions, "ldc")                                  \
	CHECKS_COLLECTIVE(CHECK, reduce_scatter, check_reductions, "ldrc")                         \
	CHECKS_COLLECTIVE(CHECK, reduce_scatter_block, check_reductions, "ldrc")                   \
	CHECK(rma_fence, check_one_sided, "ldrc", "put, get, accumulate between fences")           \
	CHECK(rma_pscw, check_one_sided, "ldrc", "the same under post, start, complete, wait")     \
	CHECK(rma_lock, check_one_sided, "ldrc", "the same under a lock for each target")          \
	CHECK(rma_lock_all, check_one_sided, "ldrc", "the same under lock_all and flush")          \
	CHECK(get_accumulate, check_get_accumulate, "ldc", "get_accumulate, results checked")      \
	CHECK(fetch_and_op, check_fetch_and_op, "ldc", "tickets drawn from one counter")           \
	CHECK(compare_and_swap, check_compare_and_swap, "ld", "a counter raised by its old value")

enum check {
#define CHECK(name, run, finds, what) CHECK_##name,
	CHECKS(CHECK)
#undef CHECK
	        CHECK_COUNT
};

struct check_row {
	const char *name;
	void (*run)(struct job *job);
	const char *finds, *what;
};
extern const struct check_row check_row[CHECK_COUNT];

#define CHECK(name, run, finds, what) void run(struct job *job);
CHECKS(CHECK)
#undef CHECK

#endif
