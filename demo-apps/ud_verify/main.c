/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * ud-verify: are datagrams delivered unchanged, at most once, where they were sent, and from whom
 * they say? A plain verbs program; it knows nothing of migration.
 */
#include <inttypes.h>
#include <stdio.h>

#include "demo-apps/ud_verify/run.h"
#include "demo-apps/verify/process.h"

/* Wall-clock time in seconds, so that a migration's log can be laid beside it. */
static double wall_s(const struct run *run, uint64_t at_us)
{
	if (!at_us)
		at_us = run->start_us;
	return (double)(run->wall_start_us + (at_us - run->start_us)) / 1e6;
}

static void losses_print(const struct run *run)
{
	const struct losses *losses = &run->losses;

	printf(", \"losses\": [");
	for (unsigned i = 0; i < losses->count && i < LOSSES_KEPT; i++)
		printf("%s{\"first\": %.6f, \"last\": %.6f, \"datagrams\": %" PRIu64 "}",
		        i ? ", " : "", wall_s(run, losses->kept[i].first_us),
		        wall_s(run, losses->kept[i].last_us), losses->kept[i].datagrams);
	printf("], \"loss_count\": %u", losses->count);
}

static void report_print(struct run *run)
{
	const struct findings *found = &run->findings;

	printf("{\"program\": \"ud-verify\", \"role\": \"%s\", \"qps\": %u, \"seconds\": %.3f",
	        run->is_server ? "server" : "client", run->end.count,
	        (double)(run->now_us - run->start_us) / 1e6);
	printf(", \"sent\": %" PRIu64 ", \"received\": %" PRIu64 ", \"begun_again\": %" PRIu64,
	        run->sent, run->received, run->begun_again);
	printf(", \"lost\": %" PRIu64 ", \"duplicated\": %" PRIu64 ", \"corrupted\": %" PRIu64
	       ", \"misdelivered\": %" PRIu64 ", \"misattributed\": %" PRIu64
	       ", \"strange_headers\": %" PRIu64 ", \"strange_pkeys\": %" PRIu64
	       ", \"out_of_order\": %" PRIu64 ", \"errors\": %" PRIu64,
	        found->lost, found->duplicated, found->corrupted, run->misdelivered,
	        run->misattributed, run->strange_headers, run->strange_pkeys, found->out_of_order,
	        found->errors);
	losses_print(run);
	printf(", \"longest_pause_ms\": %.3f", (double)pauses_longest_us(&run->pauses) / 1e3);
	printf(", \"unchanged\": %s, \"peer_ok\": %s, \"ok\": %s}\n",
	        run->unchanged ? "true" : "false", run->other_is_good ? "true" : "false",
	        run_is_good(run) && run->other_is_good ? "true" : "false");
	fflush(stdout);
}

int main(int argc, char **argv)
{
	static struct run run;
	struct options options;
	int error = options_parse(&options, argc, argv);
	bool good;

	if (error)
		return error < 0 ? 2 : 0;
	stop_signals_catch();
	error = run_execute(&run, &options);
	if (error) {
		run.findings.errors++;
		run.has_failed = true;
	}
	good = run_is_good(&run) && run.other_is_good;
	report_print(&run);
	run_destroy(&run);
	return good ? 0 : 1;
}
