/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * mpi-verify: does MPI deliver everything once, in order and unchanged? An ordinary MPI program.
 */
#include <mpi.h>
#include <string.h>

#include "demo-apps/mpi_verify/report.h"
#include "demo-apps/mpi_verify/rounds.h"
#include "demo-apps/mpi_verify/self_test.h"
#include "demo-apps/mpi_verify/stall.h"

static enum exit_status run(struct job *job)
{
	double began = MPI_Wtime();
	uint64_t found;

	if (job->options.is_spoil)
		return self_test(job) ? EXIT_FOUND : EXIT_EXACT;
	rounds_run(job);
	rounds_look_for_strays(job);
	found = report_print(job, MPI_Wtime() - began);
	return found ? EXIT_FOUND : EXIT_EXACT;
}

static bool asks_for_help(int argc, char **argv)
{
	return argc == 2 && !strcmp(argv[1], "--help");
}

int main(int argc, char **argv)
{
	static struct job job;
	enum exit_status status = EXIT_USAGE;
	struct options options;
	int rank, error;

	if (asks_for_help(argc, argv))
		return options_parse(&options, argc, argv, true) == 1 ? EXIT_EXACT : EXIT_USAGE;
	MPI_Init(&argc, &argv);
	MPI_Comm_rank(MPI_COMM_WORLD, &rank);
	error = options_parse(&options, argc, argv, rank == 0);
	if (!error && !job_create(&job, &options)) {
		stall_watch(rank, options.stall_s);
		status = run(&job);
		stall_where("the end");
		job_destroy(&job);
	}
	MPI_Finalize();
	return error == 1 ? EXIT_EXACT : status;
}
