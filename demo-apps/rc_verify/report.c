/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include "demo-apps/rc_verify/report.h"

#include <inttypes.h>
#include <stdio.h>

enum { PAUSES_PRINTED = 256 };

static void kinds_print(const char *name, const uint64_t *counts)
{
	printf(", \"%s\": {", name);
	for (unsigned i = 0; i < WORK_KIND_COUNT; i++)
		printf("%s\"%s\": %" PRIu64, i ? ", " : "", work_kind_name[i], counts[i]);
	printf("}");
}

static void address_print(const char *when, const struct port_address *address)
{
	printf(", \"lid_%s\": %u, \"gid_%s\": \"", when, address->lid, when);
	for (unsigned i = 0; i < 16; i++)
		printf("%s%02x", i && i % 2 == 0 ? ":" : "", address->gid.raw[i]);
	printf("\"");
}

static void qpns_print(const struct run *run)
{
	printf(", \"qpns\": [");
	for (uint32_t i = 0; run->lanes && i < run->options.work.qps; i++)
		printf("%s%u", i ? ", " : "", run->lanes[i].qpn_at_start);
	printf("], \"qpns_same\": %s", run->qpns_same ? "true" : "false");
}

/* "at" is wall-clock time in seconds, so that a migration's log can be laid beside it. */
static void pauses_print(struct run *run)
{
	struct pause pauses[PAUSES_PRINTED];
	unsigned count = pauses_longest(&run->pauses, pauses, PAUSES_PRINTED);

	printf(", \"longest_pause_ms\": %.3f, \"pauses\": [",
	        (double)pauses_longest_us(&run->pauses) / 1e3);
	for (unsigned i = 0; i < count; i++) {
		uint64_t at_us = run->wall_start_us + (pauses[i].start_us - run->start_us);

		printf("%s{\"at\": %.6f, \"ms\": %.3f}", i ? ", " : "", (double)at_us / 1e6,
		        (double)pauses[i].length_us / 1e3);
	}
	printf("]");
}

void report_print(struct run *run)
{
	const struct findings *found = &run->findings;

	printf("{\"program\": \"rc-verify\", \"role\": \"%s\", \"qps\": %u, \"seconds\": %.3f",
	        run->is_server ? "server" : "client", run->options.work.qps,
	        (double)(run->now_us - run->start_us) / 1e6);
	kinds_print("sent", run->sent);
	kinds_print("received", run->received);
	printf(", \"lost\": %" PRIu64 ", \"duplicated\": %" PRIu64 ", \"corrupted\": %" PRIu64
	       ", \"out_of_order\": %" PRIu64 ", \"errors\": %" PRIu64,
	        found->lost, found->duplicated, found->corrupted, found->out_of_order,
	        found->errors);
	printf(", \"sums_ok\": %s", run->sums_ok ? "true" : "false");
	pauses_print(run);
	address_print("before", &run->endpoint.at_start);
	address_print("after", &run->at_end);
	qpns_print(run);
	printf(", \"peer_ok\": %s, \"ok\": %s}\n", run->peer_ok == 1 ? "true" : "false",
	        run_is_exact(run) && run->peer_ok == 1 ? "true" : "false");
	fflush(stdout);
}
