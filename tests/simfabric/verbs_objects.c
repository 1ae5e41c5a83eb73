/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include "simfabric/verbs_objects.h"

#include <poll.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { END_S = 20 };

static jmp_buf failed;

void objects_fail(const char *file, int line, const char *what)
{
	printf("# %s:%d: %s (errno %d)\n", file, line, what, errno);
	longjmp(failed, 1);
}

struct ibv_context *objects_open_device(void)
{
	struct ibv_device **list = ibv_get_device_list(NULL);
	struct ibv_context *context;

	CHECK(list && list[0]);
	context = ibv_open_device(list[0]);
	ibv_free_device_list(list);
	CHECK(context);
	return context;
}

static void open_objects(struct objects *o)
{
	struct ibv_port_attr port;

	memset(o, 0, sizeof(*o));
	o->context = objects_open_device();
	CHECK(!ibv_query_port(o->context, 1, &port));
	o->lid = port.lid;
	o->memory = aligned_alloc(4096, OBJECTS_MEMORY);
	CHECK(o->memory);
	memset(o->memory, 0, OBJECTS_MEMORY);
	CHECK((o->pd = ibv_alloc_pd(o->context)));
	CHECK((o->mr = ibv_reg_mr(o->pd, o->memory, OBJECTS_MEMORY, OBJECTS_ALL_ACCESS)));
	CHECK((o->channel = ibv_create_comp_channel(o->context)));
	CHECK((o->cq = ibv_create_cq(o->context, 256, o, o->channel, 0)));
}

/* A test that leaves something of its own behind makes one of these busy. */
static void close_objects(struct objects *o)
{
	CHECK(!ibv_destroy_cq(o->cq));
	CHECK(!ibv_destroy_comp_channel(o->channel));
	CHECK(!ibv_dereg_mr(o->mr));
	CHECK(!ibv_dealloc_pd(o->pd));
	CHECK(!ibv_close_device(o->context));
	free(o->memory);
}

struct ibv_qp *objects_rc(struct objects *o, struct ibv_cq *send_cq, struct ibv_cq *recv_cq)
{
	struct ibv_qp_init_attr attr = {.send_cq = send_cq,
	        .recv_cq = recv_cq,
	        .cap = {.max_send_wr = 64,
	                .max_recv_wr = 64,
	                .max_send_sge = 2,
	                .max_recv_sge = 2,
	                .max_inline_data = 64},
	        .qp_type = IBV_QPT_RC};
	struct ibv_qp *qp = ibv_create_qp(o->pd, &attr);

	CHECK(qp);
	return qp;
}

static void connect_one(struct objects *o, struct ibv_qp *qp, uint32_t dest_qpn)
{
	struct ibv_qp_attr attr = {.qp_state = IBV_QPS_INIT,
	        .port_num = 1,
	        .qp_access_flags = OBJECTS_ALL_ACCESS,
	        .ah_attr = {.dlid = o->lid, .port_num = 1},
	        .dest_qp_num = dest_qpn,
	        .path_mtu = IBV_MTU_1024,
	        .max_rd_atomic = 4,
	        .max_dest_rd_atomic = 4,
	        .timeout = 14,
	        .retry_cnt = 7,
	        .rnr_retry = 7,
	        .min_rnr_timer = 1};
	bool is_reliable = qp->qp_type != IBV_QPT_UC;

	CHECK(!ibv_modify_qp(
	        qp, &attr, IBV_QP_STATE | IBV_QP_PKEY_INDEX | IBV_QP_PORT | IBV_QP_ACCESS_FLAGS));
	attr.qp_state = IBV_QPS_RTR;
	CHECK(!ibv_modify_qp(qp, &attr,
	        IBV_QP_STATE | IBV_QP_AV | IBV_QP_PATH_MTU | IBV_QP_DEST_QPN | IBV_QP_RQ_PSN |
	                (is_reliable ? IBV_QP_MAX_DEST_RD_ATOMIC | IBV_QP_MIN_RNR_TIMER : 0)));
	attr.qp_state = IBV_QPS_RTS;
	CHECK(!ibv_modify_qp(qp, &attr,
	        IBV_QP_STATE | IBV_QP_SQ_PSN |
	                (is_reliable ? IBV_QP_MAX_QP_RD_ATOMIC | IBV_QP_RETRY_CNT |
	                                        IBV_QP_RNR_RETRY | IBV_QP_TIMEOUT
	                             : 0)));
}

void objects_connect(struct objects *o, struct ibv_qp *a, struct ibv_qp *b)
{
	connect_one(o, a, b->qp_num);
	if (b != a)
		connect_one(o, b, a->qp_num);
}

struct ibv_sge objects_sge(const struct objects *o, uint64_t offset, uint32_t length)
{
	return (struct ibv_sge){
	        .addr = (uintptr_t)o->memory + offset, .length = length, .lkey = o->mr->lkey};
}

struct ibv_wc objects_poll(struct ibv_cq *cq)
{
	time_t end = time(NULL) + END_S;
	struct ibv_wc wc;
	int n;

	while (!(n = ibv_poll_cq(cq, 1, &wc)))
		CHECK(time(NULL) < end);
	CHECK(n == 1);
	return wc;
}

void objects_poll_for(struct ibv_cq *cq, uint64_t wr_id, enum ibv_wc_status status)
{
	struct ibv_wc wc = objects_poll(cq);

	if (wc.wr_id != wr_id || wc.status != status)
		printf("# wr_id %llu, status %d\n", (unsigned long long)wc.wr_id, wc.status);
	CHECK(wc.wr_id == wr_id);
	CHECK(wc.status == status);
}

void objects_poll_nothing(struct ibv_cq *cq)
{
	struct ibv_wc wc;

	/* Each poll is a turn of the HCA, which both ends of all connections share. */
	for (int i = 0; i < 16; i++)
		CHECK(!ibv_poll_cq(cq, 1, &wc));
}

bool objects_has_event(int fd)
{
	struct pollfd poll_fd = {.fd = fd, .events = POLLIN};

	return poll(&poll_fd, 1, 0) > 0;
}

struct ibv_async_event objects_event(struct ibv_context *context)
{
	struct pollfd poll_fd = {.fd = context->async_fd, .events = POLLIN};
	struct ibv_async_event event;

	CHECK(poll(&poll_fd, 1, END_S * 1000) == 1);
	CHECK(!ibv_get_async_event(context, &event));
	ibv_ack_async_event(&event);
	return event;
}

static const struct {
	const char *name;
	const struct objects_test *tests;
} groups[] = {
        {"channels", objects_channels_tests},
        {"clocks", objects_clocks_tests},
        {"cq_ex", objects_cq_ex_tests},
        {"datagram", objects_datagram_tests},
        {"events", objects_events_tests},
        {"memory", objects_memory_tests},
        {"windows", objects_windows_tests},
        {"xrc", objects_xrc_tests},
};

static bool passes(const struct objects_test *test)
{
	static struct objects o;

	if (setjmp(failed))
		return false;
	open_objects(&o);
	test->run(&o);
	close_objects(&o);
	return true;
}

static int run(const struct objects_test *tests)
{
	int number = 0, bad = 0;

	for (; tests->name; tests++) {
		bool good = passes(tests);

		bad += !good;
		printf("%sok %d - %s\n", good ? "" : "not ", ++number, tests->name);
	}
	return bad ? 1 : 0;
}

/* Without a group: which there are. */
int main(int argc, char **argv)
{
	setvbuf(stdout, NULL, _IOLBF, 0);
	for (size_t i = 0; i < sizeof(groups) / sizeof(groups[0]); i++) {
		if (argc < 2)
			printf("%s\n", groups[i].name);
		else if (!strcmp(groups[i].name, argv[1]))
			return run(groups[i].tests);
	}
	return argc < 2 ? 0 : 2;
}
