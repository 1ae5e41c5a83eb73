/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include "demo-apps/ud_verify/run.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "demo-apps/verify/message.h"
#include "demo-apps/verify/process.h"

enum { BATCH = 32, LISTEN_EVERY_US = 20000, TALK_MS = 30000, AFTER_MS = 200 };

static int wrong(struct run *run, const char *what)
{
	fprintf(stderr, "ud-verify: %s\n", what);
	run->findings.errors++;
	run->has_failed = true;
	return -EIO;
}

/* ---- meeting ---- */

static int introduce(struct run *run)
{
	const struct port_address *own = &run->end.own;
	int error = rendezvous_say(&run->line, "address %u %016llx %016llx", own->lid,
	        own->gid.global.subnet_prefix, own->gid.global.interface_id);

	for (uint32_t i = 0; i < run->end.count && !error; i++)
		error = rendezvous_say(&run->line, "qp %u", run->end.qps[i].qpn);
	return error;
}

static int get_to_know(struct run *run)
{
	struct port_address *other = &run->other.address;
	char line[RENDEZVOUS_LINE];
	unsigned lid;
	int error = rendezvous_hear(&run->line, line, TALK_MS);

	if (error || sscanf(line, "address %u %llx %llx", &lid, &other->gid.global.subnet_prefix,
	                     &other->gid.global.interface_id) != 3)
		return -EPROTO;
	other->lid = (uint16_t)lid;
	for (uint32_t i = 0; i < run->end.count; i++) {
		error = rendezvous_hear(&run->line, line, TALK_MS);
		if (error || sscanf(line, "qp %u", &run->other.qpns[i]) != 1)
			return -EPROTO;
	}
	return 0;
}

static int meet(struct run *run)
{
	int error = run->is_server ? rendezvous_accept(&run->line, run->options.port)
	                           : rendezvous_connect(&run->line, run->options.host,
	                                     run->options.port, TALK_MS);

	if (!error)
		error = introduce(run);
	if (!error)
		error = get_to_know(run);
	return error ? failed("set-up", error) : end_meet(&run->end, &run->other.address);
}

/* ---- receiving ---- */

static bool is_global(const struct run *run, uint32_t ours, uint32_t others)
{
	return run->end.is_ethernet || (ours + others) % 2;
}

/* RoCE v2 over IPv4: its header is in the place of the second half (IBA annex A17.4.5). */
static bool ends_are_right(const struct run *run, const unsigned char *at)
{
	static const unsigned char mapped[12] = {[10] = 0xff, 0xff};
	const unsigned char *from = run->other.address.gid.raw, *to = run->end.own.gid.raw;
	const struct ibv_grh *grh = (const void *)at;

	if (run->end.is_ethernet && !memcmp(from, mapped, sizeof(mapped)))
		return at[20] >> 4 == 4 && !memcmp(at + 32, from + 12, 4) &&
		       !memcmp(at + 36, to + 12, 4);
	return !memcmp(&grh->sgid, from, sizeof(grh->sgid)) &&
	       !memcmp(&grh->dgid, to, sizeof(grh->dgid));
}

/* What comes by a global route says from where to where (IBA 8.3), and other than that nothing. */
static bool header_is_right(
        const struct run *run, const struct ibv_wc *wc, const unsigned char *at, bool global)
{
	if (wc->slid != run->other.address.lid)
		return false;
	if (!(wc->wc_flags & IBV_WC_GRH))
		return !global;
	return global && ends_are_right(run, at);
}

static int sender_of(const struct run *run, uint32_t qpn)
{
	for (uint32_t i = 0; i < run->end.count; i++) {
		if (run->other.qpns[i] == qpn)
			return (int)i;
	}
	return -1;
}

static void look_at(struct run *run, uint32_t qp, uint32_t from, const struct ibv_wc *wc,
        const unsigned char *at)
{
	struct datagram_ends ends = {!run->is_server, from, qp, run->end.count};
	struct pair *pair = &run->pairs[qp][from];
	uint64_t number;

	switch (datagram_check(at + GRH_BYTES, wc->byte_len - GRH_BYTES, &ends, &number)) {
	case DATAGRAM_CORRUPT:
		run->findings.corrupted++;
		return;
	case DATAGRAM_MISDELIVERED:
		run->misdelivered++;
		return;
	case DATAGRAM_MISATTRIBUTED:
		run->misattributed++;
		return;
	case DATAGRAM_GOOD:
		break;
	}
	run->strange_headers += !header_is_right(run, wc, at, is_global(run, qp, from));
	run->strange_pkeys += wc->pkey_index != run->end.pkey_index;
	stream_arrived(&pair->in, number, run->now_us, &run->findings, &run->losses);
	pair->alive_us = run->now_us;
	if (!run->is_stopping)
		pair->owed++;
}

static int receive(struct run *run, const struct ibv_wc *wc)
{
	uint32_t qp = (uint32_t)(wc->wr_id >> 32) & 0xff, slot = (uint32_t)wc->wr_id;
	int from = sender_of(run, wc->src_qp), error;

	if (!run->received++)
		fprintf(stderr, "ud-verify: works\n");
	if (wc->qp_num != run->end.qps[qp].qpn)
		return wrong(run, "a receive completed for another QP");
	if (from < 0)
		run->misattributed++;
	else
		look_at(run, qp, (uint32_t)from, wc, end_receive_at(&run->end, qp, slot));
	error = end_post_receive(&run->end, qp, slot);
	return error ? failed("ibv_post_recv", error) : 0;
}

static int poll(struct run *run)
{
	struct ibv_wc wc[BATCH];
	int got = ibv_poll_cq(run->end.cq, BATCH, wc), error = 0;

	run->now_us = clock_us(CLOCK_MONOTONIC);
	if (got < 0)
		return wrong(run, "ibv_poll_cq failed");
	for (int i = 0; i < got && !error; i++) {
		if (wc[i].status != IBV_WC_SUCCESS)
			return wrong(run, ibv_wc_status_str(wc[i].status));
		pauses_completion(&run->pauses, run->now_us);
		run->last_us = run->now_us;
		if (id_is_receive(wc[i].wr_id))
			error = receive(run, &wc[i]);
		else
			end_sends_completed(&run->end, (uint32_t)wc[i].wr_id);
	}
	return error;
}

/* ---- sending ---- */

static int send_one(struct run *run, uint32_t qp, uint32_t to)
{
	struct pair *pair = &run->pairs[qp][to];
	uint32_t room = run->options.length_max - MESSAGE_MIN + 1;
	uint32_t length = MESSAGE_MIN + (uint32_t)(random_next(&run->random) % room);
	bool fresh = !(random_next(&run->random) % run->options.fresh_every);
	int error;

	/* Short ones are inline. */
	if (random_next(&run->random) % 4 == 0)
		length = MESSAGE_MIN + length % 40;
	message_fill(end_send_at(&run->end, qp), length, stream_name(run->is_server, qp, to),
	        pair->sent);
	error = end_send(&run->end, qp, run->other.qpns[to], length, is_global(run, qp, to), fresh);
	if (error)
		return error;
	pair->sent++;
	pair->owed--;
	run->sent++;
	return 0;
}

static int send_owed(struct run *run)
{
	int error = 0;

	for (uint32_t qp = 0; qp < run->end.count; qp++) {
		for (uint32_t to = 0; to < run->end.count; to++) {
			struct pair *pair = &run->pairs[qp][to];

			while (!error && pair->owed && run->end.qps[qp].sends_open < run->end.sends)
				error = send_one(run, qp, to);
		}
	}
	return error == -ENOMEM ? 0 : error;
}

/* A pair that has been silent for so long has lost its tokens. */
static void begin(struct run *run)
{
	uint64_t patience_us = run->options.patience_ms * UINT64_C(1000);

	for (uint32_t qp = 0; qp < run->end.count; qp++) {
		for (uint32_t to = 0; to < run->end.count; to++) {
			struct pair *pair = &run->pairs[qp][to];

			if (pair->owed || !end_sends_are_done(&run->end, qp) ||
			        (pair->alive_us && run->now_us - pair->alive_us < patience_us))
				continue;
			run->begun_again += pair->alive_us != 0;
			pair->owed = run->options.tokens;
			pair->alive_us = run->now_us;
		}
	}
}

/* ---- the whole ---- */

static bool is_asked_to_stop(struct run *run)
{
	static uint64_t listened_us;
	char line[RENDEZVOUS_LINE];
	double seconds = (double)(run->now_us - run->start_us) / 1e6;

	if (stop_asked || (run->options.seconds > 0 && seconds >= run->options.seconds))
		return rendezvous_say(&run->line, "stop") || true;
	if (run->now_us - listened_us < LISTEN_EVERY_US)
		return false;
	listened_us = run->now_us;
	if (rendezvous_hear(&run->line, line, 0) == -EAGAIN)
		return false;
	/* Both may have been asked. */
	return rendezvous_say(&run->line, "stop") || true;
}

static int work(struct run *run)
{
	int error = 0;

	while (!error && !is_asked_to_stop(run)) {
		if (!run->is_server)
			begin(run);
		error = send_owed(run);
		if (!error)
			error = poll(run);
		if (!error && run->now_us - run->last_us > run->options.stall_s * UINT64_C(1000000))
			error = wrong(run, "stalled");
	}
	run->is_stopping = true;
	return error;
}

static bool all_are_sent(const struct run *run)
{
	for (uint32_t i = 0; i < run->end.count; i++) {
		if (!end_sends_are_done(&run->end, i))
			return false;
	}
	return true;
}

static int finish_sends(struct run *run)
{
	uint64_t until_us = run->now_us + run->options.stall_s * UINT64_C(1000000);
	int error = 0;

	while (!error && !all_are_sent(run)) {
		error = poll(run);
		if (!error && run->now_us > until_us)
			error = wrong(run, "sends do not complete");
	}
	return error;
}

static int tell_totals(struct run *run)
{
	int error = 0;

	for (uint32_t qp = 0; qp < run->end.count; qp++) {
		for (uint32_t to = 0; to < run->end.count && !error; to++)
			error = rendezvous_say(
			        &run->line, "sent %u %u %" PRIu64, qp, to, run->pairs[qp][to].sent);
	}
	return error;
}

/* The word by which both were told to stop may still be on its way. */
static int hear(struct run *run, char line[RENDEZVOUS_LINE])
{
	uint64_t until_us = run->now_us + TALK_MS * UINT64_C(1000);
	int error;

	do {
		error = rendezvous_hear(&run->line, line, 1);
		if (error && error != -EAGAIN)
			return wrong(run, "the other side is gone");
		if (poll(run))
			return -EIO;
	} while ((error || !strcmp(line, "stop")) && run->now_us < until_us);
	return error ? wrong(run, "the other side says nothing") : 0;
}

static int hear_totals(struct run *run, uint64_t totals[QPS_MAX][QPS_MAX])
{
	char line[RENDEZVOUS_LINE];
	uint32_t from, to;
	uint64_t total;

	for (uint32_t i = 0; i < run->end.count * run->end.count; i++) {
		if (hear(run, line))
			return -EIO;
		if (sscanf(line, "sent %u %u %" SCNu64, &from, &to, &total) != 3 ||
		        from >= run->end.count || to >= run->end.count)
			return wrong(run, "the other side's totals cannot be read");
		totals[to][from] = total;
	}
	return 0;
}

static bool all_have_come(const struct run *run, uint64_t totals[QPS_MAX][QPS_MAX])
{
	for (uint32_t qp = 0; qp < run->end.count; qp++) {
		for (uint32_t from = 0; from < run->end.count; from++) {
			if (run->pairs[qp][from].in.numbers.next < totals[qp][from])
				return false;
		}
	}
	return true;
}

/* What is still missing when nothing has come for a while is lost; and what comes again comes soon.
 */
static int collect(struct run *run, uint64_t totals[QPS_MAX][QPS_MAX])
{
	uint64_t since_us;
	int error = 0;

	run->last_us = run->now_us;
	do {
		since_us = run->now_us - run->last_us;
		error = poll(run);
	} while (!error && since_us < (all_have_come(run, totals)
	                                              ? AFTER_MS * UINT64_C(1000)
	                                              : run->options.patience_ms * UINT64_C(1000)));
	for (uint32_t qp = 0; qp < run->end.count; qp++) {
		for (uint32_t from = 0; from < run->end.count; from++)
			stream_finish(&run->pairs[qp][from].in, totals[qp][from], run->now_us,
			        &run->findings, &run->losses);
	}
	return error;
}

static bool nothing_has_changed(struct run *run)
{
	struct port_address now;
	bool same = !port_address_ask(run->end.context, run->end.gid_index, &now) &&
	            port_addresses_same(&now, &run->end.own);

	for (uint32_t i = 0; i < run->end.count; i++) {
		struct ibv_qp_init_attr init;
		struct ibv_qp_attr attr;

		same &= run->end.qps[i].qp->qp_num == run->end.qps[i].qpn &&
		        !ibv_query_qp(run->end.qps[i].qp, &attr,
		                IBV_QP_STATE | IBV_QP_PKEY_INDEX | IBV_QP_QKEY, &init) &&
		        attr.qp_state == IBV_QPS_RTS && attr.qkey == END_QKEY &&
		        attr.pkey_index == run->end.pkey_index;
	}
	return same;
}

static int compare_verdicts(struct run *run)
{
	char line[RENDEZVOUS_LINE];

	run->unchanged = nothing_has_changed(run);
	if (rendezvous_say(&run->line, "verdict %d", run_is_good(run)) || hear(run, line))
		return -EIO;
	run->other_is_good = !strcmp(line, "verdict 1");
	return 0;
}

bool run_is_good(const struct run *run)
{
	const struct findings *found = &run->findings;

	return !found->duplicated && !found->corrupted && !found->errors && !run->misdelivered &&
	       !run->misattributed && !run->strange_headers && !run->strange_pkeys &&
	       run->unchanged && run->received;
}

int run_execute(struct run *run, const struct options *options)
{
	static uint64_t totals[QPS_MAX][QPS_MAX];
	int error;

	*run = (struct run){
	        .options = *options, .is_server = !options->host, .line = {.fd = -1}, .random = 1};
	error = end_open(&run->end, options);
	if (!error)
		error = meet(run);
	run->start_us = run->now_us = run->last_us = clock_us(CLOCK_MONOTONIC);
	run->wall_start_us = clock_us(CLOCK_REALTIME);
	if (!error)
		error = work(run);
	if (!error)
		error = finish_sends(run);
	if (!error)
		error = tell_totals(run);
	if (!error)
		error = hear_totals(run, totals);
	if (!error)
		error = collect(run, totals);
	if (!error)
		error = compare_verdicts(run);
	return error;
}

void run_destroy(struct run *run)
{
	rendezvous_close(&run->line);
	end_close(&run->end);
}
