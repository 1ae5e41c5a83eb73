/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include "demo-apps/mpi_verify/self_test.h"

#include <stdio.h>
#include <string.h>

#include "demo-apps/mpi_verify/report.h"
#include "demo-apps/mpi_verify/rounds.h"

enum {
	/* A reduction is spoilt in the round whose operands can show it, so there is more than one.
	 */
	SPOILT_ROUNDS = 3,
};

/* What all ranks find in a few rounds of @check with @spoil committed in them. */
static struct findings spoilt_run(struct job *job, enum check check, enum finding spoil)
{
	struct findings sum[CHECK_COUNT];

	memset(job->findings, 0, sizeof(job->findings));
	job->spoil = spoil;
	job->is_spoilt = false;
	for (unsigned n = 0; n < SPOILT_ROUNDS; n++) {
		round_of(job, check);
		job->round++;
	}
	job->spoil = FINDING_COUNT;
	report_sum(job, sum);
	return sum[check];
}

static bool is_only(const struct findings *found, enum finding finding)
{
	for (unsigned i = 0; i < FINDING_COUNT; i++)
		if ((i == finding) != (found->count[i] > 0))
			return false;
	return true;
}

static void row_print(const struct job *job, enum check check, const char *fault,
        const struct findings *found, bool is_good)
{
	if (job->rank != 0 || (is_good && job->options.is_quiet))
		return;
	printf("%-22s %-11s %s:", check_row[check].name, fault, is_good ? "found" : "MISSED");
	for (unsigned i = 0; i < FINDING_COUNT; i++)
		if (found->count[i])
			printf(" %s %llu", finding_name[i], (unsigned long long)found->count[i]);
	printf("\n");
}

static unsigned check_test(struct job *job, enum check check, unsigned *faults)
{
	struct findings found = spoilt_run(job, check, FINDING_COUNT);
	bool is_good = !findings_sum(&found);
	unsigned missed = !is_good;

	row_print(job, check, "none", &found, is_good);
	++*faults;
	for (unsigned i = 0; i < FINDING_COUNT; i++) {
		if (!strchr(check_row[check].finds, finding_name[i][0]))
			continue;
		found = spoilt_run(job, check, i);
		is_good = is_only(&found, i);
		missed += !is_good;
		row_print(job, check, finding_name[i], &found, is_good);
		++*faults;
	}
	return missed;
}

unsigned self_test(struct job *job)
{
	unsigned faults = 0, missed = 0;

	job->is_quiet = true;
	for (unsigned i = 0; i < CHECK_COUNT; i++)
		if (job->options.is_chosen[i])
			missed += check_test(job, i, &faults);
	if (job->rank == 0 && job->options.is_json)
		printf("{\"program\": \"mpi-verify\", \"spoilt\": %u, \"found\": %u, \"ok\": %s}\n",
		        faults, faults - missed, missed ? "false" : "true");
	fflush(stdout);
	return missed;
}
