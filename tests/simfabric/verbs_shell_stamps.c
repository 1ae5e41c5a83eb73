/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/* Queues that tell when their work has completed, and the clock by which they do. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

#include "simfabric/verbs_shell.h"

struct ibv_cq *shell_create_stamped(int cqe)
{
	struct ibv_cq_init_attr_ex attr = {.cqe = (uint32_t)cqe,
	        .channel = shell.channel,
	        .wc_flags = IBV_WC_STANDARD_FLAGS | IBV_WC_EX_WITH_COMPLETION_TIMESTAMP |
	                    IBV_WC_EX_WITH_COMPLETION_TIMESTAMP_WALLCLOCK};
	struct ibv_cq_ex *made = ibv_create_cq_ex(shell.context, &attr);

	return made ? ibv_cq_ex_to_cq(made) : NULL;
}

void shell_clock(const struct command *command)
{
	struct ibv_values_ex values = {.comp_mask = IBV_VALUES_MASK_RAW_CLOCK};
	struct ibv_device_attr_ex attr;
	int err = ibv_query_device_ex(shell.context, NULL, &attr);

	if (!err)
		err = ibv_query_rt_values_ex(shell.context, &values);
	if (err)
		shell_answer(err);
	else
		printf("ok ticks=%" PRIu64 " mask=%" PRIu64 " khz=%" PRIu64 "\n",
		        (uint64_t)values.raw_clock.tv_nsec, attr.completion_timestamp_mask,
		        attr.hca_core_clock);
}

void shell_stamp(const struct command *command)
{
	struct ibv_cq_ex *cq = (struct ibv_cq_ex *)(void *)shell_cq(command);
	int64_t end_ms = shell_now_ms() + (int64_t)shell_number(command, 2);
	struct ibv_poll_cq_attr attr = {0};
	int err;

	do
		err = ibv_start_poll(cq, &attr);
	while (err == ENOENT && shell_now_ms() < end_ms);
	if (err == ENOENT) {
		printf("ok none\n");
		return;
	}
	if (err) {
		shell_answer(err);
		return;
	}
	printf("ok wr_id=%" PRIu64 " status=%d ticks=%" PRIu64 " wall_ns=%" PRIu64 "\n", cq->wr_id,
	        cq->status, ibv_wc_read_completion_ts(cq), ibv_wc_read_completion_wallclock_ns(cq));
	ibv_end_poll(cq);
}
