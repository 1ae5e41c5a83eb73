/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/* verbs-shell: requests, completions and events. */
#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "simfabric/verbs_shell.h"

/* ---- work ---- */

static struct ibv_sge sge_of(const struct command *command)
{
	return (struct ibv_sge){.addr = (uintptr_t)shell.memory + shell_number(command, 3),
	        .length = (uint32_t)shell_number(command, 4),
	        .lkey = shell.mr->lkey};
}

void shell_recv(const struct command *command)
{
	struct ibv_sge sge = sge_of(command);
	struct ibv_recv_wr wr = {.wr_id = shell_number(command, 2), .sg_list = &sge, .num_sge = 1},
	                   *bad;

	if (!strcmp(command->words[1], "srq"))
		shell_answer(ibv_post_srq_recv(shell.srq, &wr, &bad));
	else
		shell_answer(ibv_post_recv(shell_qp(command), &wr, &bad));
}

static enum ibv_wr_opcode opcode_of(const struct command *command)
{
	bool has_imm = shell_option(command, "imm", UINT64_MAX) != UINT64_MAX;

	switch (command->words[0][0]) {
	case 's':
		return has_imm ? IBV_WR_SEND_WITH_IMM : IBV_WR_SEND;
	case 'w':
		return has_imm ? IBV_WR_RDMA_WRITE_WITH_IMM : IBV_WR_RDMA_WRITE;
	case 'r':
		return IBV_WR_RDMA_READ;
	case 'a':
		return IBV_WR_ATOMIC_FETCH_AND_ADD;
	default:
		return IBV_WR_ATOMIC_CMP_AND_SWP;
	}
}

static unsigned flags_of(const struct command *command)
{
	return (shell_option(command, "unsignalled", 0) ? 0 : IBV_SEND_SIGNALED) |
	       (shell_option(command, "inline", 0) ? IBV_SEND_INLINE : 0) |
	       (shell_option(command, "fence", 0) ? IBV_SEND_FENCE : 0) |
	       (shell_option(command, "solicited", 0) ? IBV_SEND_SOLICITED : 0);
}

static struct ibv_ah *open_address(const struct command *command)
{
	const char *gid = shell_text(command, "gid");
	struct ibv_ah_attr attr = {.dlid = (uint16_t)shell_option(command, "lid", 0),
	        .sl = (uint8_t)shell_option(command, "sl", 0),
	        .port_num = 1};

	if (gid) {
		attr.is_global = 1;
		attr.grh.dgid = shell_gid(gid);
		attr.grh.sgid_index = (uint8_t)shell_option(command, "sgid", 0);
		attr.grh.hop_limit = 64;
	}
	return ibv_create_ah(shell.pd, &attr);
}

void shell_request(const struct command *command)
{
	struct ibv_qp *qp = shell_qp(command);
	struct ibv_ah *ah = NULL;
	struct ibv_sge sge = sge_of(command);
	struct ibv_send_wr wr = {.wr_id = shell_number(command, 2),
	                           .sg_list = &sge,
	                           .num_sge = 1,
	                           .opcode = opcode_of(command),
	                           .send_flags = flags_of(command),
	                           .imm_data = (__be32)shell_option(command, "imm", 0)},
	                   *bad;

	if (wr.opcode == IBV_WR_ATOMIC_FETCH_AND_ADD || wr.opcode == IBV_WR_ATOMIC_CMP_AND_SWP) {
		wr.wr.atomic.remote_addr = shell_option(command, "raddr", 0);
		wr.wr.atomic.rkey = (uint32_t)shell_option(command, "rkey", 0);
		wr.wr.atomic.compare_add =
		        shell_option(command, "add", shell_option(command, "compare", 0));
		wr.wr.atomic.swap = shell_option(command, "swap", 0);
	} else if (qp->qp_type == IBV_QPT_UD) {
		ah = open_address(command);
		wr.wr.ud.ah = ah;
		wr.wr.ud.remote_qpn = (uint32_t)shell_option(command, "qpn", 0);
		wr.wr.ud.remote_qkey = (uint32_t)shell_option(command, "qkey", 0);
		if (!ah) {
			shell_answer_errno();
			return;
		}
	} else {
		wr.wr.rdma.remote_addr = shell_option(command, "raddr", 0);
		wr.wr.rdma.rkey = (uint32_t)shell_option(command, "rkey", 0);
	}
	shell_answer(ibv_post_send(qp, &wr, &bad));
	if (ah)
		ibv_destroy_ah(ah);
}

int64_t shell_now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000ll + now.tv_nsec / 1000000;
}

struct ibv_cq *shell_cq(const struct command *command)
{
	return command->count > 1 && command->words[1][0] == 's' ? shell.send_cq : shell.recv_cq;
}

int shell_poll_one(struct ibv_cq *cq, uint64_t ms, struct ibv_wc *wc)
{
	int64_t end_ms = shell_now_ms() + (int64_t)ms;
	int n;

	do
		n = ibv_poll_cq(cq, 1, wc);
	while (!n && shell_now_ms() < end_ms);
	return n;
}

void shell_poll(const struct command *command)
{
	struct ibv_wc wc;
	int n = shell_poll_one(shell_cq(command), shell_number(command, 2), &wc);

	if (n < 0)
		shell_answer(EIO);
	else if (!n)
		printf("ok none\n");
	else
		printf("ok wr_id=%" PRIu64
		       " status=%d opcode=%d bytes=%u qpn=%u flags=%u imm=%u slid=%u"
		       " src_qp=%u sl=%u path_bits=%u pkey_index=%u\n",
		        wc.wr_id, wc.status, wc.opcode, wc.byte_len, wc.qp_num, wc.wc_flags,
		        wc.imm_data, wc.slid, wc.src_qp, wc.sl, wc.dlid_path_bits, wc.pkey_index);
}

/* ---- events ---- */

void shell_arm(const struct command *command)
{
	shell_answer(ibv_req_notify_cq(shell_cq(command), (int)shell_number(command, 2)));
}

void shell_moderate(const struct command *command)
{
	struct ibv_modify_cq_attr attr = {.attr_mask = IBV_CQ_ATTR_MODERATE,
	        .moderate = {
	                (uint16_t)shell_number(command, 2), (uint16_t)shell_number(command, 3)}};

	shell_answer(ibv_modify_cq(shell_cq(command), &attr));
}

static bool readable(int fd, uint64_t timeout_ms)
{
	struct pollfd poll_fd = {.fd = fd, .events = POLLIN};

	return poll(&poll_fd, 1, (int)timeout_ms) > 0;
}

void shell_cqevent(const struct command *command)
{
	struct ibv_cq *cq;
	void *context;

	if (!readable(shell.channel->fd, shell_number(command, 1))) {
		printf("ok none\n");
		return;
	}
	if (ibv_get_cq_event(shell.channel, &cq, &context)) {
		shell_answer_errno();
		return;
	}
	ibv_ack_cq_events(cq, 1);
	printf("ok cq=%s\n", cq == shell.send_cq ? "send" : "recv");
}

void shell_event(const struct command *command)
{
	struct ibv_async_event event;

	if (!readable(shell.context->async_fd, shell_number(command, 1))) {
		printf("ok none\n");
		return;
	}
	if (ibv_get_async_event(shell.context, &event)) {
		shell_answer_errno();
		return;
	}
	ibv_ack_async_event(&event);
	printf("ok type=%d\n", event.event_type);
}
