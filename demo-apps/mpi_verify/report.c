/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include "demo-apps/mpi_verify/report.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* What this rank has found counts for it in any case, whatever becomes of the sum. */
void report_sum(struct job *job, struct findings sum[CHECK_COUNT])
{
	memcpy(sum, job->findings, sizeof(job->findings));
	CALL(job, MPI_Allreduce(job->findings, sum, CHECK_COUNT * FINDING_COUNT, MPI_UINT64_T,
	                  MPI_SUM, job->comm));
}

/* "Open MPI v4.1.4", "MPICH Version: 4.0.2": the first words of the first line. */
static void library_name(char *name)
{
	int length;

	MPI_Get_library_version(name, &length);
	name[strcspn(name, ",\n\"")] = 0;
	for (char *at = name; *at; at++)
		if (*at == '\t')
			*at = ' ';
}

static void findings_print(const struct findings *found)
{
	for (unsigned i = 0; i < FINDING_COUNT; i++)
		printf("\"%s\": %" PRIu64 ", ", finding_name[i], found->count[i]);
	printf("\"errors\": %" PRIu64, findings_sum(found));
}

static void json_print(struct job *job, const struct findings *sum, const struct findings *all,
        double seconds, const uint64_t volume[2])
{
	char name[MPI_MAX_LIBRARY_VERSION_STRING];
	const char *comma = "";

	library_name(name);
	printf("{\"program\": \"mpi-verify\", \"mpi\": \"%s\", \"ranks\": %d, \"rounds\": %" PRIu64
	       ", \"seconds\": %.3f, \"seed\": %" PRIu64 ", \"messages\": %" PRIu64
	       ", \"bytes\": %" PRIu64 ", ",
	        name, job->ranks, job->round, seconds, job->options.seed, volume[0], volume[1]);
	findings_print(all);
	printf(", \"ok\": %s, \"checks\": {", findings_sum(all) ? "false" : "true");
	for (unsigned i = 0; i < CHECK_COUNT; i++) {
		if (!job->runs[i])
			continue;
		printf("%s\"%s\": {\"runs\": %" PRIu64 ", ", comma, check_row[i].name,
		        job->runs[i]);
		findings_print(&sum[i]);
		printf("}");
		comma = ", ";
	}
	printf("}}\n");
}

static void table_print(struct job *job, const struct findings *sum)
{
	printf("%-22s %6s", "check", "runs");
	for (unsigned f = 0; f < FINDING_COUNT; f++)
		printf(" %10s", finding_name[f]);
	printf("\n");
	for (unsigned i = 0; i < CHECK_COUNT; i++) {
		if (!job->runs[i])
			continue;
		printf("%-22s %6" PRIu64, check_row[i].name, job->runs[i]);
		for (unsigned f = 0; f < FINDING_COUNT; f++)
			printf(" %10" PRIu64, sum[i].count[f]);
		printf("\n");
	}
}

uint64_t report_print(struct job *job, double seconds)
{
	struct findings sum[CHECK_COUNT], all = {0};
	uint64_t own[2] = {job->messages, job->bytes}, volume[2] = {0};

	report_sum(job, sum);
	CALL(job, MPI_Reduce(own, volume, 2, MPI_UINT64_T, MPI_SUM, 0, job->comm));
	for (unsigned i = 0; i < CHECK_COUNT; i++)
		for (unsigned f = 0; f < FINDING_COUNT; f++)
			all.count[f] += sum[i].count[f];
	if (job->rank == 0 && job->options.is_json)
		json_print(job, sum, &all, seconds, volume);
	else if (job->rank == 0)
		table_print(job, sum);
	fflush(stdout);
	return findings_sum(&all);
}
