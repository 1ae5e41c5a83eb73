/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/* verbs-shell: who is said to have sent a datagram, and an answer to whom that names. */
#include <endian.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

#include "simfabric/verbs_shell.h"

static struct ibv_wc heard;

static const char *gid_text(const union ibv_gid *gid, char *text)
{
	sprintf(text, "g%016" PRIx64 "%016" PRIx64, be64toh(gid->global.subnet_prefix),
	        be64toh(gid->global.interface_id));
	return text;
}

static const struct ibv_grh *grh_of(const struct ibv_wc *wc)
{
	return (const struct ibv_grh *)(const void *)(shell.memory + wc->wr_id);
}

void shell_hear(const struct command *command)
{
	char sgid[40], dgid[40];

	if (shell_poll_one(shell.recv_cq, shell_number(command, 1), &heard) <= 0) {
		printf("ok none\n");
		return;
	}
	if (heard.status != IBV_WC_SUCCESS) {
		printf("ok wr_id=%" PRIu64 " status=%d\n", heard.wr_id, heard.status);
		return;
	}
	printf("ok wr_id=%" PRIu64 " status=0 qpn=%u src_qp=%u slid=%u pkey_index=%u length=%u "
	       "grh=%d sgid=%s dgid=%s\n",
	        heard.wr_id, heard.qp_num, heard.src_qp, heard.slid, heard.pkey_index,
	        heard.byte_len - (uint32_t)sizeof(struct ibv_grh), !!(heard.wc_flags & IBV_WC_GRH),
	        gid_text(&grh_of(&heard)->sgid, sgid), gid_text(&grh_of(&heard)->dgid, dgid));
}

void shell_answer_heard(const struct command *command)
{
	struct ibv_ah *ah = ibv_create_ah_from_wc(
	        shell.pd, &heard, (struct ibv_grh *)(uintptr_t)grh_of(&heard), 1);
	struct ibv_sge sge = {.addr = (uintptr_t)shell.memory + shell_number(command, 3),
	        .length = (uint32_t)shell_number(command, 4),
	        .lkey = shell.mr->lkey};
	struct ibv_send_wr wr = {.wr_id = shell_number(command, 2),
	                           .sg_list = &sge,
	                           .num_sge = 1,
	                           .opcode = IBV_WR_SEND,
	                           .send_flags = IBV_SEND_SIGNALED},
	                   *bad;

	if (!ah) {
		shell_answer_errno();
		return;
	}
	wr.wr.ud.ah = ah;
	wr.wr.ud.remote_qpn = heard.src_qp;
	wr.wr.ud.remote_qkey = (uint32_t)shell_option(command, "qkey", 0);
	shell_answer(ibv_post_send(shell_qp(command), &wr, &bad));
	ibv_destroy_ah(ah);
}

void shell_place(const struct command *command)
{
	__be16 pkey = htobe16((uint16_t)shell_number(command, 1));
	int index = ibv_get_pkey_index(shell.context, 1, pkey);

	if (index < 0)
		shell_answer(ENOENT);
	else
		printf("ok index=%d\n", index);
}
