/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * window-verify: do memory windows let in whom they are opened to, to what they are bound to, and
 * nobody else? A plain verbs program; it knows nothing of migration. The last line of output is one
 * JSON object; exit status 0 only if all was right at both ends.
 *
 *   window-verify [-p PORT] [-q LANES] [-x GID_INDEX] [-S STALL_SECONDS] [HOST]
 *
 * With -x, and on Ethernet, by a GRH with that source GID (0); else by LID alone.
 * Without HOST it waits for a client. SIGTERM to the client ends the run.
 */
#include <errno.h>
#include <inttypes.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "demo-apps/verify/device.h"
#include "demo-apps/verify/process.h"
#include "demo-apps/verify/rendezvous.h"
#include "demo-apps/window_verify/lane.h"

enum { LANES_MAX = 16, PATIENCE_MS = 30000, BATCH = 16 };

struct run {
	const char *host;
	uint16_t port;
	unsigned count, stall_s;
	int gid_index; /* -1: none */
	struct rendezvous rendezvous;
	struct ibv_context *context;
	struct ibv_pd *pd;
	struct ibv_cq *cq;
	struct port_address own;
	struct lane lanes[LANES_MAX];
	bool other_is_good;
};

static int options_parse(struct run *run, int argc, char **argv)
{
	int option;

	while ((option = getopt(argc, argv, "p:q:x:S:")) != -1) {
		unsigned long value = optarg ? strtoul(optarg, NULL, 10) : 0;

		if (option == 'p' && value && value <= UINT16_MAX)
			run->port = (uint16_t)value;
		else if (option == 'q' && value && value <= LANES_MAX)
			run->count = (unsigned)value;
		else if (option == 'x' && value < 256)
			run->gid_index = (int)value;
		else if (option == 'S' && value)
			run->stall_s = (unsigned)value;
		else
			return -EINVAL;
	}
	run->host = argv[optind];
	return 0;
}

/* ---- set-up ---- */

static int objects_open(struct run *run)
{
	struct ibv_port_attr port;
	int err;

	run->context = device_open(NULL);
	if (!run->context)
		return -ENODEV;
	if (ibv_query_port(run->context, DEVICE_PORT, &port))
		return -errno;
	if (run->gid_index < 0 && port.link_layer == IBV_LINK_LAYER_ETHERNET)
		run->gid_index = 0;
	err = port_address_ask(run->context, run->gid_index < 0 ? 0 : run->gid_index, &run->own);
	if (err)
		return err;
	run->pd = ibv_alloc_pd(run->context);
	run->cq = ibv_create_cq(
	        run->context, (int)run->count * (SEND_DEPTH + MESSAGES), NULL, NULL, 0);
	return run->pd && run->cq ? 0 : -errno;
}

static int lanes_open(struct run *run)
{
	int err = 0;

	for (unsigned i = 0; i < run->count && !err; i++) {
		run->lanes[i].number = i;
		run->lanes[i].builds = i % 2;
		err = lane_open(&run->lanes[i], run->context, run->pd, run->cq);
	}
	return err;
}

static int lane_meet(struct run *run, struct lane *lane)
{
	char line[RENDEZVOUS_LINE];
	const struct port_address *own = &run->own;
	struct port_address other;
	unsigned lid, qpn;
	int err = rendezvous_say(&run->rendezvous, "%u %u %016llx %016llx", own->lid,
	        lane->qp->qp_num, own->gid.global.subnet_prefix, own->gid.global.interface_id);

	if (!err)
		err = rendezvous_hear(&run->rendezvous, line, PATIENCE_MS);
	if (!err && sscanf(line, "%u %u %llx %llx", &lid, &qpn, &other.gid.global.subnet_prefix,
	                    &other.gid.global.interface_id) != 4)
		err = -EPROTO;
	if (err)
		return err;
	other.lid = (uint16_t)lid;
	return lane_connect(lane, &other, run->gid_index, qpn);
}

/* When one lets the other in, both can. */
static int both_are(struct run *run, const char *word, char answer[RENDEZVOUS_LINE], int timeout_ms)
{
	int err = rendezvous_say(&run->rendezvous, "%s", word);

	return err ? err : rendezvous_hear(&run->rendezvous, answer, timeout_ms);
}

static int set_up(struct run *run)
{
	char line[RENDEZVOUS_LINE];
	int err = objects_open(run);

	if (!err)
		err = lanes_open(run);
	if (!err && run->host)
		err = rendezvous_connect(&run->rendezvous, run->host, run->port, PATIENCE_MS);
	else if (!err)
		err = rendezvous_accept(&run->rendezvous, run->port);
	for (unsigned i = 0; i < run->count && !err; i++)
		err = lane_meet(run, &run->lanes[i]);
	return err ? err : both_are(run, "ready", line, PATIENCE_MS);
}

/* ---- the run ---- */

static struct lane *lane_of(struct run *run, const struct ibv_wc *wc)
{
	for (unsigned i = 0; i < run->count; i++) {
		if (run->lanes[i].qp->qp_num == wc->qp_num)
			return &run->lanes[i];
	}
	return NULL;
}

static int poll_some(struct run *run)
{
	struct ibv_wc wcs[BATCH];
	int got = ibv_poll_cq(run->cq, BATCH, wcs);

	for (int i = 0; i < got; i++) {
		struct lane *lane = lane_of(run, &wcs[i]);

		if (lane)
			lane_take(lane, &wcs[i]);
		else
			lane_note(&run->lanes[0], "a completion of nobody", (int)wcs[i].qp_num);
	}
	return got;
}

static bool has_failed(const struct run *run)
{
	uint64_t failures = 0;

	for (unsigned i = 0; i < run->count; i++)
		failures += run->lanes[i].verdict.errors + run->lanes[i].verdict.corrupted;
	return failures;
}

static bool is_over(struct run *run)
{
	bool over = true;

	for (unsigned i = 0; i < run->count; i++) {
		run->lanes[i].stop |= run->host && stop_asked;
		over &= lane_is_over(&run->lanes[i]);
	}
	return over;
}

static void lanes_run(struct run *run)
{
	time_t last = time(NULL);
	bool says_so = false;

	for (unsigned i = 0; i < run->count; i++)
		lane_begin(&run->lanes[i]);
	while (!is_over(run) && !has_failed(run)) {
		int got = poll_some(run);

		if (got < 0)
			lane_note(&run->lanes[0], "polling", got);
		if (got > 0)
			last = time(NULL);
		else if (time(NULL) - last > (time_t)run->stall_s)
			lane_note(&run->lanes[0], "nothing has completed for long", 1);
		else
			sched_yield();
		if (!says_so && run->lanes[0].verdict.rounds) {
			fprintf(stderr, "window-verify: works\n");
			says_so = true;
		}
	}
}

static struct verdict total(const struct run *run)
{
	struct verdict sum = {0};

	for (unsigned i = 0; i < run->count; i++) {
		const struct verdict *one = &run->lanes[i].verdict;

		sum.rounds += one->rounds;
		sum.bytes += one->bytes;
		sum.invalidations += one->invalidations;
		sum.corrupted += one->corrupted;
		sum.errors += one->errors;
	}
	return sum;
}

static void clean_up(struct run *run)
{
	for (unsigned i = 0; i < run->count; i++)
		lane_close(&run->lanes[i]);
	if (run->cq)
		lane_note(&run->lanes[0], "destroying the queue", ibv_destroy_cq(run->cq));
	if (run->pd)
		lane_note(&run->lanes[0], "freeing the domain", ibv_dealloc_pd(run->pd));
	if (run->context)
		ibv_close_device(run->context);
}

static bool report(const struct run *run)
{
	const struct verdict sum = total(run);
	bool good = !has_failed(run) && run->other_is_good && sum.rounds;

	printf("{\"program\": \"window-verify\", \"role\": \"%s\", \"lanes\": %u, \"rounds\": "
	       "%" PRIu64 ", \"invalidations\": %" PRIu64 ", \"bytes\": %" PRIu64
	       ", \"corrupted\": %" PRIu64 ", \"errors\": %" PRIu64 ", \"ok\": %s}\n",
	        run->host ? "client" : "server", run->count, sum.rounds, sum.invalidations,
	        sum.bytes, sum.corrupted, sum.errors, good ? "true" : "false");
	fflush(stdout);
	return good;
}

int main(int argc, char **argv)
{
	static struct run run = {.port = 18602, .count = 4, .stall_s = 60, .gid_index = -1};
	char line[RENDEZVOUS_LINE];
	int err;

	if (options_parse(&run, argc, argv)) {
		fprintf(stderr, "usage: window-verify [-p PORT] [-q LANES] [-x GID_INDEX] "
		                "[-S SECONDS] [HOST]\n");
		return 2;
	}
	stop_signals_catch();
	err = set_up(&run);
	lane_note(&run.lanes[0], "set-up", err);
	if (!err) {
		lanes_run(&run);
		err = both_are(
		        &run, has_failed(&run) ? "bad" : "good", line, (int)run.stall_s * 1000);
		run.other_is_good = !err && !strcmp(line, "good");
	}
	clean_up(&run);
	rendezvous_close(&run.rendezvous);
	return report(&run) ? 0 : 1;
}
