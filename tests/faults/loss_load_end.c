/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include "tests/faults/loss_load.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct end end;

enum {
	ACCESS = IBV_ACCESS_LOCAL_WRITE | IBV_ACCESS_REMOTE_WRITE | IBV_ACCESS_REMOTE_READ |
	         IBV_ACCESS_REMOTE_ATOMIC
};
/* 134 ms, five times more: what is lost is missed within a second or so. */
enum { TIMEOUT = 15, RETRIES = 5, RNR_RETRIES = 7, FIRST_PSN = 77 };

static struct ibv_context *open_first(void)
{
	struct ibv_device **list = ibv_get_device_list(NULL);
	struct ibv_context *context = NULL;

	errno = ENODEV;
	if (list && *list)
		context = ibv_open_device(*list);
	if (list)
		ibv_free_device_list(list);
	return context;
}

static struct ibv_qp *create_qp(enum lane lane)
{
	bool by_polling = lane == LANE_MEMORY || lane == LANE_IDLE;
	struct ibv_cq *cq = by_polling ? ibv_cq_ex_to_cq(end.polled) : end.woken;
	struct ibv_qp_init_attr attr = {
	        .send_cq = cq,
	        .recv_cq = cq,
	        .srq = lane == LANE_SHARED ? end.srq : NULL,
	        .cap = {.max_send_wr = LANE_DEPTH + 1,
	                .max_recv_wr = RECEIVES + 1,
	                .max_send_sge = 1,
	                .max_recv_sge = 1},
	        .qp_type = lane == LANE_DATAGRAMS ? IBV_QPT_UD : IBV_QPT_RC,
	};

	return ibv_create_qp(end.pd, &attr);
}

static int create_queues(const char **said)
{
	struct ibv_srq_init_attr srq = {.attr = {.max_wr = RECEIVES + 1, .max_sge = 1}};
	struct ibv_cq_init_attr_ex polled = {
	        .cqe = 4 * LANE_DEPTH, .wc_flags = IBV_WC_STANDARD_FLAGS};

	*said = "queues";
	end.channel = ibv_create_comp_channel(end.context);
	end.woken = end.channel ? ibv_create_cq(end.context, 8 * LANE_DEPTH, NULL, end.channel, 0)
	                        : NULL;
	end.polled = ibv_create_cq_ex(end.context, &polled);
	end.srq = ibv_create_srq(end.pd, &srq);
	if (!end.woken || !end.polled || !end.srq)
		return errno;
	for (unsigned lane = 0; lane < LANES; lane++) {
		end.qps[lane] = create_qp(lane);
		if (!end.qps[lane])
			return errno;
	}
	return 0;
}

int end_open(const char **said)
{
	*said = "device";
	end.context = open_first();
	if (!end.context)
		return errno;
	*said = "memory";
	if (!end.memory)
		end.memory = aligned_alloc(4096, LANES * LANE_BYTES);
	end.pd = ibv_alloc_pd(end.context);
	end.mr = end.pd ? ibv_reg_mr(end.pd, end.memory, LANES * LANE_BYTES, ACCESS) : NULL;
	return end.mr ? create_queues(said) : errno;
}

void end_describe(char *text, size_t size)
{
	struct ibv_port_attr port = {0};
	int length;

	ibv_query_port(end.context, 1, &port);
	length = snprintf(
	        text, size, "%u %" PRIuPTR " %u", port.lid, (uintptr_t)end.memory, end.mr->rkey);
	for (unsigned lane = 0; lane < LANES; lane++)
		length += snprintf(
		        text + length, size - (size_t)length, " %u", end.qps[lane]->qp_num);
}

static int modify(enum lane lane, struct ibv_qp_attr attr, enum ibv_qp_state state, int mask)
{
	attr.qp_state = state;
	return ibv_modify_qp(end.qps[lane], &attr, mask | IBV_QP_STATE);
}

static int connect_lane(enum lane lane, uint16_t lid)
{
	bool is_rc = lane != LANE_DATAGRAMS;
	struct ibv_qp_attr attr = {
	        .port_num = 1,
	        .qkey = QKEY,
	        .qp_access_flags = ACCESS,
	        .ah_attr = {.dlid = lid, .port_num = 1},
	        .path_mtu = IBV_MTU_1024,
	        .dest_qp_num = end.remote_qpns[lane],
	        .rq_psn = FIRST_PSN,
	        .sq_psn = FIRST_PSN,
	        .max_dest_rd_atomic = 4,
	        .max_rd_atomic = 4,
	        .min_rnr_timer = 1,
	        .timeout = TIMEOUT,
	        .retry_cnt = RETRIES,
	        .rnr_retry = RNR_RETRIES,
	};
	int err = modify(lane, attr, IBV_QPS_INIT,
	        IBV_QP_PKEY_INDEX | IBV_QP_PORT | (is_rc ? IBV_QP_ACCESS_FLAGS : IBV_QP_QKEY));

	if (!err)
		err = modify(lane, attr, IBV_QPS_RTR,
		        is_rc ? IBV_QP_AV | IBV_QP_PATH_MTU | IBV_QP_DEST_QPN | IBV_QP_RQ_PSN |
		                        IBV_QP_MAX_DEST_RD_ATOMIC | IBV_QP_MIN_RNR_TIMER
		              : 0);
	if (!err)
		err = modify(lane, attr, IBV_QPS_RTS,
		        IBV_QP_SQ_PSN |
		                (is_rc ? IBV_QP_TIMEOUT | IBV_QP_RETRY_CNT | IBV_QP_RNR_RETRY |
		                                        IBV_QP_MAX_QP_RD_ATOMIC
		                       : 0));
	return err;
}

/* As the other end describes itself. */
int end_connect(const char *address, const char **said)
{
	struct ibv_ah_attr ah = {.port_num = 1};
	unsigned long long numbers[3 + LANES];
	char *at = (char *)address;
	int err = 0;

	for (unsigned i = 0; i < 3 + LANES; i++)
		numbers[i] = strtoull(at, &at, 10);
	end.remote_addr = numbers[1];
	end.remote_rkey = (uint32_t)numbers[2];
	ah.dlid = (uint16_t)numbers[0];
	for (unsigned lane = 0; lane < LANES && !err; lane++) {
		end.remote_qpns[lane] = (uint32_t)numbers[3 + lane];
		err = connect_lane(lane, ah.dlid);
	}
	*said = "connection";
	if (err)
		return err;
	*said = "address handle";
	end.ah = ibv_create_ah(end.pd, &ah);
	return end.ah ? 0 : errno;
}

int end_fail_all(void)
{
	int err = 0;

	for (unsigned lane = 0; lane < LANES && !err; lane++)
		err = modify(lane, (struct ibv_qp_attr){0}, IBV_QPS_ERR, 0);
	return err;
}

unsigned end_transport_ms(void)
{
	uint64_t longest_us = 0;

	for (unsigned lane = 0; lane < LANE_DATAGRAMS; lane++) {
		struct ibv_qp_init_attr init;
		struct ibv_qp_attr attr = {0};
		uint64_t us;

		ibv_query_qp(end.qps[lane], &attr, IBV_QP_TIMEOUT | IBV_QP_RETRY_CNT, &init);
		us = (UINT64_C(4096) << attr.timeout) / 1000 * (attr.retry_cnt + 1u);
		longest_us = us > longest_us ? us : longest_us;
	}
	return (unsigned)(longest_us / 1000);
}

#define CLOSE(what, call)                                                                          \
	do {                                                                                       \
		int err = (call);                                                                  \
                                                                                                   \
		*said = what;                                                                      \
		if (err)                                                                           \
			return err;                                                                \
	} while (0)

int end_close(const char **said)
{
	for (unsigned lane = 0; lane < LANES; lane++)
		CLOSE("queue pair", ibv_destroy_qp(end.qps[lane]));
	CLOSE("address handle", ibv_destroy_ah(end.ah));
	CLOSE("shared queue", ibv_destroy_srq(end.srq));
	CLOSE("woken queue", ibv_destroy_cq(end.woken));
	CLOSE("polled queue", ibv_destroy_cq(ibv_cq_ex_to_cq(end.polled)));
	CLOSE("channel", ibv_destroy_comp_channel(end.channel));
	CLOSE("region", ibv_dereg_mr(end.mr));
	CLOSE("domain", ibv_dealloc_pd(end.pd));
	CLOSE("device", ibv_close_device(end.context));
	return 0;
}
