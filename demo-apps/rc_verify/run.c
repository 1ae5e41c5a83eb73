/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include "demo-apps/rc_verify/run.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "demo-apps/rc_verify/completions.h"
#include "demo-apps/rc_verify/partner.h"
#include "demo-apps/rc_verify/receiver.h"
#include "demo-apps/rc_verify/requester.h"
#include "demo-apps/rc_verify/set_up.h"
#include "demo-apps/rc_verify/wr_id.h"
#include "demo-apps/verify/process.h"

enum {
	POLL_BATCH = 32,
	HOUSEKEEPING_US = 5000,
	PROGRESS_US = 1000000,
	NOTES_MAX = 20,
	IDLE_LOOPS = 50, /* then the processor is given away */
};

void run_fail(struct run *run, const struct lane *lane, const char *what, const char *why)
{
	if (lane)
		fprintf(stderr, "rc-verify: qp 0x%x: %s: %s\n", lane->qpn_at_start, what, why);
	else
		fprintf(stderr, "rc-verify: %s: %s\n", what, why);
	run->findings.errors++;
	run->has_failed = true;
}

void run_note(struct run *run, const struct lane *lane, const struct findings *before,
        const char *what, uint64_t number)
{
	const struct findings *now = &run->findings;

	if (!memcmp(before, now, sizeof(*now)) || run->notes++ >= NOTES_MAX)
		return;
	fprintf(stderr,
	        "rc-verify: qp 0x%x: at %s %" PRIu64 ": lost %+" PRId64 " duplicated %+" PRId64
	        " corrupted %+" PRId64 " out of order %+" PRId64 "\n",
	        lane->qpn_at_start, what, number, (int64_t)(now->lost - before->lost),
	        (int64_t)(now->duplicated - before->duplicated),
	        (int64_t)(now->corrupted - before->corrupted),
	        (int64_t)(now->out_of_order - before->out_of_order));
}

static bool completion_fits(struct run *run, const struct ibv_wc *wc)
{
	uint32_t index = wr_id_lane(wc->wr_id);
	char why[96];

	if (index >= run->options.work.qps) {
		run_fail(run, NULL, "completion", "names no work request of ours");
		return false;
	}
	if (wc->status != IBV_WC_SUCCESS) {
		snprintf(why, sizeof(why), "%s (vendor 0x%x) for %s %" PRIu64,
		        ibv_wc_status_str(wc->status), wc->vendor_err,
		        wr_id_is_receive(wc->wr_id) ? "receive" : "send", wr_id_number(wc->wr_id));
		run_fail(run, &run->lanes[index], "completion with error", why);
		return false;
	}
	if (wc->qp_num != (wr_id_is_receive(wc->wr_id) ? lane_receiving_qpn(&run->lanes[index])
	                                               : run->lanes[index].qpn_at_start)) {
		snprintf(why, sizeof(why), "0x%x", wc->qp_num);
		run_fail(run, &run->lanes[index], "completion with another qp_num", why);
		return false;
	}
	return true;
}

static bool cq_poll(struct run *run, struct ibv_cq *cq)
{
	struct ibv_wc wc[POLL_BATCH];
	int count = completions_take(cq, POLL_BATCH, wc, run->endpoint.extended_cq);

	if (count < 0)
		run_fail(run, NULL, "polling", strerror(errno));
	for (int i = 0; i < count && !run->has_failed; i++) {
		struct lane *lane = &run->lanes[wr_id_lane(wc[i].wr_id)];

		if (!completion_fits(run, &wc[i]))
			break;
		if (wr_id_is_receive(wc[i].wr_id))
			receiver_completed(run, lane, &wc[i]);
		else
			requester_completed(run, lane, wr_id_number(wc[i].wr_id));
	}
	return count > 0;
}

/* What each lane waits for. */
static void lanes_print(const struct run *run)
{
	for (uint32_t i = 0; i < run->options.work.qps; i++) {
		const struct lane *lane = &run->lanes[i];

		fprintf(stderr,
		        "rc-verify: qp 0x%x: posted %" PRIu64 ", complete %" PRIu64
		        ", signalled up to %" PRIu64 ", messages received %" PRIu64 "\n",
		        lane->qpn_at_start, lane->queue.posted, lane->queue.done,
		        lane->queue.signalled, lane->messages.next);
	}
}

static void stall(struct run *run)
{
	run_fail(run, NULL, "stalled", "nothing has completed for too long");
	lanes_print(run);
}

/* Everything that comes by itself. True when something came. */
static bool take_all(struct run *run)
{
	bool came = false;

	run->now_us = clock_us(CLOCK_MONOTONIC);
	if (run->endpoint.shared_cq)
		came = cq_poll(run, run->endpoint.shared_cq);
	for (uint32_t i = 0; i < run->options.work.qps && !run->has_failed; i++) {
		struct lane *lane = &run->lanes[i];

		if (lane->owns_cq)
			came |= cq_poll(run, lane->cq);
		came |= receiver_poll(run, lane);
	}
	if (came)
		pauses_completion(&run->pauses, run->now_us);
	else if (run->now_us - run->pauses.last_us > run->options.stall_s * 1000000ULL)
		stall(run);
	return came;
}

static void idle(bool came, unsigned *loops)
{
	struct timespec nap = {.tv_nsec = 20000};

	if (came) {
		*loops = 0;
		return;
	}
	if (++*loops >= IDLE_LOOPS)
		nanosleep(&nap, NULL);
}

static bool control_says_stop(const char *path)
{
	char text[8] = "";
	int fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	ssize_t got;

	if (fd < 0)
		return false;
	got = read(fd, text, sizeof(text) - 1);
	close(fd);
	return got >= 4 && !strncmp(text, "stop", 4);
}

static bool count_is_reached(const struct run *run)
{
	if (!run->options.count)
		return false;
	for (uint32_t i = 0; i < run->options.work.qps; i++)
		if (run->lanes[i].queue.posted < run->options.count)
			return false;
	return true;
}

static bool is_time_to_stop(const struct run *run, const struct partner_words *words)
{
	const struct options *options = &run->options;

	if (stop_asked || words->stop || run->has_failed || count_is_reached(run))
		return true;
	if (options->seconds > 0 && run->now_us - run->start_us >= options->seconds * 1e6)
		return true;
	return options->control_path && control_says_stop(options->control_path);
}

static void progress_print(const struct run *run)
{
	const struct findings *found = &run->findings;
	uint64_t done = 0;

	for (uint32_t i = 0; i < run->options.work.qps; i++)
		done += run->lanes[i].queue.done;
	fprintf(stderr,
	        "rc-verify: %5.1f s %10" PRIu64 " done, lost %" PRIu64 " duplicated %" PRIu64
	        " corrupted %" PRIu64 " errors %" PRIu64 "\n",
	        (double)(run->now_us - run->start_us) / 1e6, done, found->lost, found->duplicated,
	        found->corrupted, found->errors);
}

static void work_phase(struct run *run, struct partner_words *words)
{
	uint64_t look_us = 0, print_us = run->start_us + PROGRESS_US;
	unsigned loops = 0;

	for (;;) {
		bool came = take_all(run);

		for (uint32_t i = 0; i < run->options.work.qps; i++)
			requester_fill(run, &run->lanes[i]);
		if (run->now_us >= look_us) {
			partner_hear(run, words, 0);
			if (is_time_to_stop(run, words))
				return;
			look_us = run->now_us + HOUSEKEEPING_US;
		}
		if (run->now_us >= print_us && !run->options.quiet) {
			progress_print(run);
			print_us += PROGRESS_US;
		}
		idle(came, &loops);
	}
}

static void drain_phase(struct run *run)
{
	bool done = false;
	unsigned loops = 0;

	while (!done && !run->has_failed) {
		bool came = take_all(run);

		done = true;
		for (uint32_t i = 0; i < run->options.work.qps && !run->has_failed; i++)
			done &= requester_drain(run, &run->lanes[i]);
		idle(came, &loops);
	}
}

static bool everything_came(const struct run *run, const struct partner_words *words)
{
	if (!words->sums)
		return false;
	for (uint32_t i = 0; i < run->options.work.qps; i++)
		if (run->lanes[i].messages.next < words->messages[i] ||
		        run->lanes[i].writes.sequence.next < words->writes[i])
			return false;
	return true;
}

/*
 * Both sides' sends are done; what was sent must be here or come soon. What is not here when the
 * time of a whole migration has passed is lost. True when it came.
 */
static void collect_phase(struct run *run, struct partner_words *words)
{
	uint64_t end_us = 0;
	unsigned loops = 0;

	while (!run->has_failed && !everything_came(run, words)) {
		bool came = take_all(run);

		partner_hear(run, words, 0);
		if (came || !end_us || !words->sums)
			end_us = run->now_us + run->options.stall_s * 1000000ULL / 2;
		if (run->now_us > end_us)
			return;
		idle(came, &loops);
	}
}

/* Both have checked and nobody sends: what comes now comes twice. */
static void linger_phase(struct run *run, struct partner_words *words)
{
	rendezvous_say(&run->rendezvous, "checked");
	while (!run->has_failed && !words->checked) {
		take_all(run);
		partner_hear(run, words, 1);
	}
	take_all(run);
}

static void sum_check(struct run *run, const char *what, uint64_t holds, uint64_t claimed)
{
	if (holds == claimed)
		return;
	fprintf(stderr,
	        "rc-verify: %s: counter holds %" PRIu64 ", the other side says %" PRIu64 "\n", what,
	        holds, claimed);
	run->sums_ok = false;
	if (holds > claimed)
		run->findings.duplicated++;
	else
		run->findings.lost++;
}

static void verify(struct run *run, const struct partner_words *words)
{
	struct shared_counters *counters = run->endpoint.counters;

	for (uint32_t i = 0; i < run->options.work.qps; i++) {
		receiver_finish(run, &run->lanes[i], words->messages[i], words->writes[i]);
		if (lane_unchanged(&run->lanes[i]))
			continue;
		fprintf(stderr, "rc-verify: qp 0x%x: number, path or state has changed\n",
		        run->lanes[i].qpn_at_start);
		run->qpns_same = false;
		run->findings.errors++;
	}
	add_ledger_finish(run->adds, &run->findings);
	run->sums_ok = true;
	sum_check(run, "fetch_add", __atomic_load_n(&counters->add, __ATOMIC_ACQUIRE), words->adds);
	sum_check(
	        run, "cmp_swap", __atomic_load_n(&counters->swap, __ATOMIC_ACQUIRE), words->swaps);
}

static void address_check(struct run *run)
{
	struct port_address *before = &run->endpoint.at_start, *after = &run->at_end;

	if (port_address_ask(run->endpoint.context, run->endpoint.gid_index, after)) {
		run->findings.errors++;
		return;
	}
	run->addresses_same = port_addresses_same(before, after);
	if (!run->addresses_same)
		run_fail(run, NULL, "the port's LID or GID", "has changed");
}

static void verdict_exchange(struct run *run, struct partner_words *words)
{
	uint64_t end_us = clock_us(CLOCK_MONOTONIC) + 10000000;

	if (run->has_failed)
		rendezvous_say(&run->rendezvous, "failed");
	rendezvous_say(&run->rendezvous, "verdict %u", run_is_exact(run));
	while (run->peer_ok < 0 && !run->has_failed && clock_us(CLOCK_MONOTONIC) < end_us)
		partner_hear(run, words, 10);
	if (run->peer_ok < 0 && !run->has_failed)
		run_fail(run, NULL, "the other side", "gave no verdict");
}

static void phases(struct run *run, struct partner_words *words)
{
	work_phase(run, words);
	rendezvous_say(&run->rendezvous, run->has_failed ? "failed" : "stop");
	drain_phase(run);
	if (!run->has_failed) {
		partner_tell_totals(run);
		collect_phase(run, words);
	}
	if (!run->has_failed)
		linger_phase(run, words);
	if (!run->has_failed)
		verify(run, words);
	address_check(run);
	verdict_exchange(run, words);
}

int run_execute(struct run *run, const struct options *options)
{
	struct partner_words words;
	int error;

	*run = (struct run){.asked = options,
	        .options = *options,
	        .is_server = !options->host,
	        .rendezvous = {.fd = -1},
	        .injection = options->injection,
	        .addresses_same = true,
	        .qpns_same = true,
	        .peer_ok = -1};
	error = set_up(run);
	if (!error)
		error = partner_words_init(&words, run->options.work.qps);
	if (error)
		return error;
	run->start_us = clock_us(CLOCK_MONOTONIC);
	run->wall_start_us = clock_us(CLOCK_REALTIME);
	run->pauses.last_us = run->start_us;
	phases(run, &words);
	run->now_us = clock_us(CLOCK_MONOTONIC);
	partner_words_finish(&words);
	return 0;
}

bool run_is_exact(const struct run *run)
{
	return findings_none(&run->findings) && run->sums_ok && run->addresses_same &&
	       run->qpns_same && !run->has_failed;
}

void run_destroy(struct run *run)
{
	for (uint32_t i = 0; run->lanes && i < run->options.work.qps; i++)
		lane_destroy(&run->lanes[i]);
	endpoint_close(&run->endpoint);
	rendezvous_close(&run->rendezvous);
	free(run->lanes);
	free(run->scratch);
	free(run->adds);
}
