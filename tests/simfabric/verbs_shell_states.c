/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/* verbs-shell: states of queue pairs, and what the port says of itself. */
#include <endian.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "simfabric/verbs_shell.h"

void shell_connect(const struct command *command)
{
	const int answering = IBV_QP_MAX_DEST_RD_ATOMIC | IBV_QP_MIN_RNR_TIMER;
	const int asking =
	        IBV_QP_MAX_QP_RD_ATOMIC | IBV_QP_RETRY_CNT | IBV_QP_RNR_RETRY | IBV_QP_TIMEOUT;
	struct ibv_qp *qp = shell_qp(command);
	bool is_reliable = qp->qp_type == IBV_QPT_RC;
	struct ibv_qp_attr attr = {.qp_state = IBV_QPS_INIT,
	        .port_num = 1,
	        .qp_access_flags = (unsigned)shell_option(command, "access", ALL_ACCESS),
	        .ah_attr = {.dlid = (uint16_t)shell_number(command, 2), .port_num = 1},
	        .dest_qp_num = (uint32_t)shell_number(command, 3),
	        .sq_psn = (uint32_t)shell_number(command, 4),
	        .rq_psn = (uint32_t)shell_number(command, 5),
	        .path_mtu = (enum ibv_mtu)shell_option(command, "mtu", IBV_MTU_1024),
	        .max_rd_atomic = (uint8_t)shell_option(command, "reads", 4),
	        .max_dest_rd_atomic = (uint8_t)shell_option(command, "reads", 4),
	        .timeout = (uint8_t)shell_option(command, "timeout", 14),
	        .retry_cnt = (uint8_t)shell_option(command, "retry", 7),
	        .rnr_retry = (uint8_t)shell_option(command, "rnr", 7),
	        .min_rnr_timer = (uint8_t)shell_option(command, "rnr_timer", 12)};
	int err = ibv_modify_qp(
	        qp, &attr, IBV_QP_STATE | IBV_QP_PKEY_INDEX | IBV_QP_PORT | IBV_QP_ACCESS_FLAGS);

	attr.qp_state = IBV_QPS_RTR;
	if (!err)
		err = ibv_modify_qp(qp, &attr,
		        IBV_QP_STATE | IBV_QP_AV | IBV_QP_PATH_MTU | IBV_QP_DEST_QPN |
		                IBV_QP_RQ_PSN | (is_reliable ? answering : 0));
	attr.qp_state = IBV_QPS_RTS;
	if (!err)
		err = ibv_modify_qp(
		        qp, &attr, IBV_QP_STATE | IBV_QP_SQ_PSN | (is_reliable ? asking : 0));
	shell_answer(err);
}

void shell_ready(const struct command *command)
{
	struct ibv_qp *qp = shell_qp(command);
	struct ibv_qp_attr attr = {.qp_state = IBV_QPS_INIT,
	        .port_num = 1,
	        .pkey_index = (uint16_t)shell_option(command, "pkey_index", 0),
	        .qkey = (uint32_t)shell_number(command, 2)};
	int err = ibv_modify_qp(
	        qp, &attr, IBV_QP_STATE | IBV_QP_PKEY_INDEX | IBV_QP_PORT | IBV_QP_QKEY);

	attr.qp_state = IBV_QPS_RTR;
	if (!err)
		err = ibv_modify_qp(qp, &attr, IBV_QP_STATE);
	attr.qp_state = IBV_QPS_RTS;
	if (!err)
		err = ibv_modify_qp(qp, &attr, IBV_QP_STATE | IBV_QP_SQ_PSN);
	shell_answer(err);
}

void shell_group(const struct command *command)
{
	union ibv_gid gid = shell_gid(command->words[2]);
	uint16_t lid = (uint16_t)shell_number(command, 3);

	if (!strcmp(command->words[0], "attach"))
		shell_answer(ibv_attach_mcast(shell_qp(command), &gid, lid));
	else
		shell_answer(ibv_detach_mcast(shell_qp(command), &gid, lid));
}

void shell_port(const struct command *command)
{
	int index = (int)shell_number(command, 1);
	union ibv_gid gid;
	__be16 pkey;

	if (!strcmp(command->words[0], "pkey")) {
		if (ibv_query_pkey(shell.context, 1, index, &pkey))
			shell_answer_errno();
		else
			printf("ok pkey=%u\n", be16toh(pkey));
	} else if (ibv_query_gid(shell.context, 1, index, &gid)) {
		shell_answer_errno();
	} else {
		/* Not to be taken for a number: the prefix has letters. */
		printf("ok gid=%016" PRIx64 "%016" PRIx64 "\n", be64toh(gid.global.subnet_prefix),
		        be64toh(gid.global.interface_id));
	}
}

void shell_state(const struct command *command)
{
	struct ibv_qp_attr attr = {.qp_state = (enum ibv_qp_state)shell_number(command, 2)};

	shell_answer(ibv_modify_qp(shell_qp(command), &attr, IBV_QP_STATE));
}

void shell_query(const struct command *command)
{
	struct ibv_qp_init_attr init_attr;
	struct ibv_qp_attr attr;
	int err = ibv_query_qp(
	        shell_qp(command), &attr, IBV_QP_STATE | IBV_QP_RQ_PSN | IBV_QP_SQ_PSN, &init_attr);

	if (err)
		shell_answer(err);
	else
		printf("ok state=%d rq_psn=%u sq_psn=%u\n", attr.qp_state, attr.rq_psn,
		        attr.sq_psn);
}
