/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include "tests/unit/shim_fake_loss.h"

#include <errno.h>

#include "notifier/base/cleanup.h"
#include "tests/unit/shim_fake_completions.h"
#include "tests/unit/shim_fake_devices.h"
#include "tests/unit/shim_fake_events.h"
#include "tests/unit/shim_fake_hca.h"
#include "tests/unit/shim_fake_memory.h"
#include "tests/unit/shim_fake_queue_pairs.h"
#include "tests/unit/shim_fake_shared_queues.h"

bool fake_is_gone(const struct ibv_context *context)
{
	return fake_is_vm(context) ? fake.gone >> fake_slot_of(context) & 1 : fake.peer_is_gone;
}

int lost_refuses(const struct ibv_context *context)
{
	return fake.refuses_work || (fake.gone_refuses && fake_is_gone(context)) ? EIO : 0;
}

void fake_flush_receives_first(struct ibv_qp *shown)
{
	LOCK_GUARD(&fake_lock);
	fake_flush_receives((struct fake_qp *)shown);
}

void fake_give_up(struct ibv_qp *shown)
{
	fake_fail(shown, IBV_WC_RETRY_EXC_ERR);
}

void fake_fail(struct ibv_qp *shown, enum ibv_wc_status status)
{
	struct fake_qp *qp = (struct fake_qp *)shown;

	LOCK_GUARD(&fake_lock);
	if (qp->completed != qp->head)
		fake_complete_send(qp, status);
	if (qp->executed < qp->completed)
		qp->executed = qp->completed;
	fake_flush(qp);
	shown->state = IBV_QPS_ERR;
}

#define DESTROYS(verb, type)                                                                       \
	int lost_##verb(struct type *object)                                                       \
	{                                                                                          \
		bool gone = fake_is_gone(object->context);                                         \
		int err = fake_##verb(object);                                                     \
                                                                                                   \
		return gone ? EIO : err;                                                           \
	}

DESTROYS(destroy_qp, ibv_qp)
DESTROYS(destroy_cq, ibv_cq)
DESTROYS(destroy_srq, ibv_srq)
DESTROYS(destroy_ah, ibv_ah)
DESTROYS(destroy_comp_channel, ibv_comp_channel)
DESTROYS(dereg_mr, ibv_mr)
DESTROYS(dealloc_pd, ibv_pd)

int lost_modify_qp(struct ibv_qp *qp, struct ibv_qp_attr *attr, int mask)
{
	return fake_is_gone(qp->context) ? EIO : fake_modify_qp(qp, attr, mask);
}

int lost_query_qp(
        struct ibv_qp *qp, struct ibv_qp_attr *attr, int mask, struct ibv_qp_init_attr *init)
{
	return fake_is_gone(qp->context) ? EIO : fake_query_qp(qp, attr, mask, init);
}
