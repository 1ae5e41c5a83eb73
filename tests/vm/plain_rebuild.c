/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * plain-rebuild: what a plain verbs program needs that loses its device and does by itself what it
 * can do then: close everything, open the device again, make everything anew, exchange addresses,
 * connect, and send. What bench-vm compares a move with. One thread.
 */
#include <errno.h>
#include <getopt.h>
#include <infiniband/verbs.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "demo-apps/verify/device.h"
#include "demo-apps/verify/process.h"
#include "demo-apps/verify/rendezvous.h"

enum {
	QPS_MAX = 1024,
	ROUNDS_MAX = 1000,
	DEPTH = 32,
	HEAR_MS = 60000,
	MESSAGE_BYTES = 64,
	PSN = 0x1000,
};

struct settings {
	const char *host; /* NULL: server */
	const char *device;
	int gid_index;
	uint16_t port;
	unsigned qps, rounds;
	size_t bytes;
};

struct other {
	uint16_t lid;
	union ibv_gid gid;
	uint32_t qpn;
};

struct end {
	const struct settings *settings;
	struct rendezvous rendezvous;
	struct ibv_context *context;
	bool uses_grh;
	enum ibv_mtu mtu;
	struct port_address at;
	struct ibv_pd *pd;
	struct ibv_cq *cq;
	unsigned char *memory[QPS_MAX]; /* the program's own: it stays */
	struct ibv_mr *mr[QPS_MAX];
	struct ibv_qp *qp[QPS_MAX];
	struct other other[QPS_MAX];
};

static const char usage[] =
        "usage: plain-rebuild [options]          wait for a client\n"
        "       plain-rebuild [options] HOST     rebuild, and say how long it took\n"
        "\n"
        "  -d, --device NAME    RDMA device (the first)\n"
        "  -x, --gid-index N    source GID (0)\n"
        "  -p, --port PORT      TCP port (18700)\n"
        "  -q, --qps N          of both (8)\n"
        "  -b, --bytes N        of memory that each registers (262144)\n"
        "  -r, --rounds N       times; the last line is one JSON object (5)\n";

static bool number(const char *text, unsigned long most, unsigned long *value)
{
	char *end;

	errno = 0;
	*value = strtoul(text, &end, 10);
	return !errno && end != text && !*end && *value <= most;
}

/* 0; 1: help was printed; -EINVAL. */
static int settings_parse(struct settings *s, int argc, char **argv)
{
	static const struct option options[] = {{"device", 1, NULL, 'd'},
	        {"gid-index", 1, NULL, 'x'}, {"port", 1, NULL, 'p'}, {"qps", 1, NULL, 'q'},
	        {"bytes", 1, NULL, 'b'}, {"rounds", 1, NULL, 'r'}, {"help", 0, NULL, 'h'}, {0}};
	unsigned long value = 1;
	bool good = true;
	int which;

	*s = (struct settings){.port = 18700, .qps = 8, .rounds = 5, .bytes = 262144};
	while (good && (which = getopt_long(argc, argv, "d:x:p:q:b:r:h", options, NULL)) >= 0) {
		if (which == 'd')
			s->device = optarg;
		else if (which == 'x' && (good = number(optarg, 255, &value)))
			s->gid_index = (int)value;
		else if (which == 'p' && (good = number(optarg, UINT16_MAX, &value)))
			s->port = (uint16_t)value;
		else if (which == 'q' && (good = number(optarg, QPS_MAX, &value) && value))
			s->qps = (unsigned)value;
		else if (which == 'b' &&
		         (good = number(optarg, 1UL << 30, &value) && value >= MESSAGE_BYTES))
			s->bytes = value;
		else if (which == 'r' && (good = number(optarg, ROUNDS_MAX, &value) && value))
			s->rounds = (unsigned)value;
		else if (which == 'h')
			return fputs(usage, stdout), 1;
		else if (which == '?')
			good = false;
	}
	if (good && argc - optind <= 1) {
		s->host = argv[optind];
		return 0;
	}
	fputs(usage, stderr);
	return -EINVAL;
}

static int end_open(struct end *end)
{
	const struct settings *s = end->settings;
	struct ibv_port_attr port;

	end->context = device_open(s->device);
	if (!end->context)
		return -ENODEV;
	if (ibv_query_port(end->context, DEVICE_PORT, &port))
		return failed("ibv_query_port", errno);
	end->uses_grh = port.link_layer == IBV_LINK_LAYER_ETHERNET;
	end->mtu = port.active_mtu;
	if (port_address_ask(end->context, s->gid_index, &end->at))
		return -EIO;
	end->pd = ibv_alloc_pd(end->context);
	if (!end->pd)
		return failed("ibv_alloc_pd", errno);
	end->cq = ibv_create_cq(end->context, (int)(2 * DEPTH * s->qps), NULL, NULL, 0);
	return end->cq ? 0 : failed("ibv_create_cq", errno);
}

static int qp_to_init(struct ibv_qp *qp)
{
	struct ibv_qp_attr attr = {.qp_state = IBV_QPS_INIT,
	        .port_num = DEVICE_PORT,
	        .qp_access_flags = IBV_ACCESS_REMOTE_WRITE | IBV_ACCESS_REMOTE_READ};
	int error = ibv_modify_qp(
	        qp, &attr, IBV_QP_STATE | IBV_QP_PKEY_INDEX | IBV_QP_PORT | IBV_QP_ACCESS_FLAGS);

	return error ? failed("ibv_modify_qp to INIT", error) : 0;
}

static int qp_make(struct end *end, unsigned i)
{
	struct ibv_qp_init_attr attr = {.send_cq = end->cq,
	        .recv_cq = end->cq,
	        .qp_type = IBV_QPT_RC,
	        .cap = {.max_send_wr = DEPTH,
	                .max_recv_wr = DEPTH,
	                .max_send_sge = 2,
	                .max_recv_sge = 2}};
	int access = IBV_ACCESS_LOCAL_WRITE | IBV_ACCESS_REMOTE_WRITE | IBV_ACCESS_REMOTE_READ;

	end->mr[i] = ibv_reg_mr(end->pd, end->memory[i], end->settings->bytes, access);
	if (!end->mr[i])
		return failed("ibv_reg_mr", errno);
	end->qp[i] = ibv_create_qp(end->pd, &attr);
	if (!end->qp[i])
		return failed("ibv_create_qp", errno);
	return qp_to_init(end->qp[i]);
}

static int all_make(struct end *end)
{
	int error = end_open(end);

	for (unsigned i = 0; i < end->settings->qps && !error; i++)
		error = qp_make(end, i);
	return error;
}

static void all_close(struct end *end)
{
	for (unsigned i = 0; i < end->settings->qps; i++) {
		if (end->qp[i])
			ibv_destroy_qp(end->qp[i]);
		if (end->mr[i])
			ibv_dereg_mr(end->mr[i]);
		end->qp[i] = NULL;
		end->mr[i] = NULL;
	}
	if (end->cq)
		ibv_destroy_cq(end->cq);
	if (end->pd)
		ibv_dealloc_pd(end->pd);
	if (end->context)
		ibv_close_device(end->context);
	end->cq = NULL;
	end->pd = NULL;
	end->context = NULL;
}

static int describe(struct end *end)
{
	const uint64_t *gid = (const uint64_t *)(const void *)end->at.gid.raw;
	int error = 0;

	for (unsigned i = 0; i < end->settings->qps && !error; i++)
		error = rendezvous_say(&end->rendezvous,
		        "qp %u %u %016" PRIx64 " %016" PRIx64 " %u", i, end->at.lid, gid[0], gid[1],
		        end->qp[i]->qp_num);
	return error;
}

static int hear_other(struct end *end)
{
	for (unsigned i = 0; i < end->settings->qps; i++) {
		struct other *other = &end->other[i];
		char line[RENDEZVOUS_LINE];
		uint64_t gid[2];
		unsigned index;
		int error = rendezvous_hear(&end->rendezvous, line, HEAR_MS);

		if (!error && (sscanf(line, "qp %u %hu %" SCNx64 " %" SCNx64 " %u", &index,
		                       &other->lid, &gid[0], &gid[1], &other->qpn) != 5 ||
		                      index != i))
			error = -EPROTO;
		if (error)
			return error;
		memcpy(&other->gid, gid, sizeof(gid));
	}
	return 0;
}

static int post_receive(struct end *end, unsigned i)
{
	struct ibv_sge sge = {.addr = (uintptr_t)end->memory[i],
	        .length = MESSAGE_BYTES,
	        .lkey = end->mr[i]->lkey};
	struct ibv_recv_wr wr = {.sg_list = &sge, .num_sge = 1}, *bad;
	int error = ibv_post_recv(end->qp[i], &wr, &bad);

	return error ? failed("ibv_post_recv", error) : 0;
}

static int qp_to_rts(struct end *end, unsigned i)
{
	const struct other *other = &end->other[i];
	struct ibv_qp_attr attr = {.qp_state = IBV_QPS_RTR,
	        .path_mtu = end->mtu,
	        .dest_qp_num = other->qpn,
	        .rq_psn = PSN,
	        .max_dest_rd_atomic = 1,
	        .min_rnr_timer = 12,
	        .ah_attr = {.dlid = other->lid, .port_num = DEVICE_PORT}};
	int error;

	if (end->uses_grh) {
		attr.ah_attr.is_global = 1;
		attr.ah_attr.grh.dgid = other->gid;
		attr.ah_attr.grh.sgid_index = (uint8_t)end->settings->gid_index;
		attr.ah_attr.grh.hop_limit = 64;
	}
	error = ibv_modify_qp(end->qp[i], &attr,
	        IBV_QP_STATE | IBV_QP_AV | IBV_QP_PATH_MTU | IBV_QP_DEST_QPN | IBV_QP_RQ_PSN |
	                IBV_QP_MAX_DEST_RD_ATOMIC | IBV_QP_MIN_RNR_TIMER);
	if (error)
		return failed("ibv_modify_qp to RTR", error);
	attr = (struct ibv_qp_attr){.qp_state = IBV_QPS_RTS,
	        .sq_psn = PSN,
	        .max_rd_atomic = 1,
	        .timeout = 14,
	        .retry_cnt = 7,
	        .rnr_retry = 7};
	error = ibv_modify_qp(end->qp[i], &attr,
	        IBV_QP_STATE | IBV_QP_TIMEOUT | IBV_QP_RETRY_CNT | IBV_QP_RNR_RETRY |
	                IBV_QP_SQ_PSN | IBV_QP_MAX_QP_RD_ATOMIC);
	return error ? failed("ibv_modify_qp to RTS", error) : 0;
}

static int all_connect(struct end *end)
{
	int error = 0;

	for (unsigned i = 0; i < end->settings->qps && !error; i++) {
		error = post_receive(end, i);
		if (!error)
			error = qp_to_rts(end, i);
	}
	return error;
}

static int say_ready(struct end *end)
{
	char line[RENDEZVOUS_LINE];
	int error = rendezvous_say(&end->rendezvous, "ready");

	if (!error)
		error = rendezvous_hear(&end->rendezvous, line, HEAR_MS);
	return error || !strcmp(line, "ready") ? error : -EPROTO;
}

/* One message on each, until all have been acknowledged. */
static int all_send(struct end *end)
{
	unsigned done = 0;

	for (unsigned i = 0; i < end->settings->qps; i++) {
		struct ibv_sge sge = {.addr = (uintptr_t)end->memory[i],
		        .length = MESSAGE_BYTES,
		        .lkey = end->mr[i]->lkey};
		struct ibv_send_wr wr = {.sg_list = &sge,
		                           .num_sge = 1,
		                           .opcode = IBV_WR_SEND,
		                           .send_flags = IBV_SEND_SIGNALED},
		                   *bad;
		int error = ibv_post_send(end->qp[i], &wr, &bad);

		if (error)
			return failed("ibv_post_send", error);
	}
	while (done < end->settings->qps && !stop_asked) {
		struct ibv_wc wc;
		int count = ibv_poll_cq(end->cq, 1, &wc);

		if (count < 0 || (count && wc.status != IBV_WC_SUCCESS))
			return failed(
			        count < 0 ? "ibv_poll_cq" : ibv_wc_status_str(wc.status), EIO);
		done += (unsigned)count;
	}
	return stop_asked ? -EINTR : 0;
}

/* As the end that has lost its device. */
static int rebuild(struct end *end)
{
	int error;

	all_close(end);
	error = all_make(end);
	if (!error)
		error = describe(end);
	if (!error)
		error = hear_other(end);
	if (!error)
		error = all_connect(end);
	if (!error)
		error = say_ready(end);
	return error ? error : all_send(end);
}

/* As the end that keeps it, when the other one has told its addresses. */
static int reconnect(struct end *end)
{
	struct ibv_qp_attr reset = {.qp_state = IBV_QPS_RESET};
	int error = hear_other(end);

	for (unsigned i = 0; i < end->settings->qps && !error; i++) {
		error = ibv_modify_qp(end->qp[i], &reset, IBV_QP_STATE);
		error = error ? failed("ibv_modify_qp to RESET", error) : qp_to_init(end->qp[i]);
	}
	if (!error)
		error = all_connect(end);
	if (!error)
		error = describe(end);
	return error ? error : say_ready(end);
}

static int memory_make(struct end *end)
{
	for (unsigned i = 0; i < end->settings->qps; i++) {
		end->memory[i] = aligned_alloc(4096, (end->settings->bytes + 4095) & ~4095UL);
		if (!end->memory[i])
			return failed("memory", ENOMEM);
		memset(end->memory[i], (int)i, end->settings->bytes);
	}
	return 0;
}

static int by_time(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

static int client(struct end *end)
{
	const struct settings *s = end->settings;
	uint64_t took_us[ROUNDS_MAX];
	int error = memory_make(end);

	if (!error)
		error = rendezvous_connect(&end->rendezvous, s->host, s->port, HEAR_MS);
	if (!error)
		error = rendezvous_say(&end->rendezvous, "rounds %u %u", s->rounds + 1, s->qps);
	/* The first makes what the others close. */
	if (!error)
		error = rebuild(end);
	for (unsigned i = 0; i < s->rounds && !error; i++) {
		uint64_t since_us = clock_us(CLOCK_MONOTONIC);

		error = rebuild(end);
		took_us[i] = clock_us(CLOCK_MONOTONIC) - since_us;
	}
	if (!error)
		error = rendezvous_say(&end->rendezvous, "done");
	if (error)
		return failed("rebuilding", -error);
	qsort(took_us, s->rounds, sizeof(*took_us), by_time);
	printf("{\"rounds\": %u, \"qps\": %u, \"bytes\": %zu, \"plain_ms\": %.3f, \"min_ms\": "
	       "%.3f, \"max_ms\": %.3f}\n",
	        s->rounds, s->qps, s->bytes, took_us[s->rounds / 2] / 1e3, took_us[0] / 1e3,
	        took_us[s->rounds - 1] / 1e3);
	return 0;
}

static int server(struct end *end, struct settings *s)
{
	char line[RENDEZVOUS_LINE];
	unsigned rounds = 0;
	int error = rendezvous_accept(&end->rendezvous, s->port);

	if (!error)
		error = rendezvous_hear(&end->rendezvous, line, HEAR_MS);
	if (!error && (sscanf(line, "rounds %u %u", &rounds, &s->qps) != 2 || !s->qps ||
	                      s->qps > QPS_MAX))
		error = -EPROTO;
	if (!error)
		error = memory_make(end);
	if (!error)
		error = all_make(end);
	for (unsigned i = 0; i < rounds && !error; i++)
		error = reconnect(end);
	/* Its last messages come when we are ready. */
	if (!error)
		error = rendezvous_hear(&end->rendezvous, line, HEAR_MS);
	return error ? failed("the client", -error) : 0;
}

int main(int argc, char **argv)
{
	static struct end end;
	struct settings settings;
	int error = settings_parse(&settings, argc, argv);

	if (error)
		return error < 0 ? 2 : 0;
	stop_signals_catch();
	end.settings = &settings;
	error = settings.host ? client(&end) : server(&end, &settings);
	all_close(&end);
	rendezvous_close(&end.rendezvous);
	for (unsigned i = 0; i < QPS_MAX; i++)
		free(end.memory[i]);
	return error ? 1 : 0;
}
