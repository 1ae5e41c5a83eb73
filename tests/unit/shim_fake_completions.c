/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include "tests/unit/shim_fake_completions.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>

#include "notifier/base/cleanup.h"
#include "tests/unit/shim_fake_clocks.h"
#include "tests/unit/shim_fake_events.h"
#include "tests/unit/shim_fake_hca.h"
#include "tests/unit/shim_fake_loss.h"
#include "tests/unit/shim_fake_memory.h"
#include "tests/unit/shim_fake_queue_pairs.h"

struct fake_cq {
	union {
		struct ibv_cq cq;
		struct fake_cq_ex ex; /* begins as one */
	};
	struct {
		struct ibv_wc wc;
		struct fake_stamp stamp;
	} ring[4 * FAKE_QUEUE];
	unsigned head, tail;
	enum fake_arm arm;
	struct ibv_moderate_cq moderation;
};

static struct {
	struct fake_cq *cq;
	struct ibv_wc wc;
	bool solicited;
} held[FAKE_QUEUE];
static unsigned held_count;

void fake_completions_reset(void)
{
	held_count = 0;
}

struct ibv_cq *fake_create_cq(struct ibv_context *context, int cqe, void *cq_context,
        struct ibv_comp_channel *channel, int vector)
{
	struct fake_cq *cq = calloc(1, sizeof(*cq));

	cq->cq.context = context;
	cq->cq.cq_context = cq_context;
	cq->cq.cqe = cqe;
	cq->cq.channel = channel;
	pthread_mutex_init(&cq->cq.mutex, NULL);
	pthread_cond_init(&cq->cq.cond, NULL);
	LOCK_GUARD(&fake_lock);
	if (channel)
		channel->refcnt++;
	fake.live_objects++;
	return &cq->cq;
}

int fake_resize_cq(struct ibv_cq *cq, int cqe)
{
	if (fake.resizes_no_cqs)
		return ENOMEM;
	cq->cqe = cqe;
	return 0;
}

int fake_modify_cq(struct ibv_cq *cq, struct ibv_modify_cq_attr *attr)
{
	if (fake.moderates_no_cqs)
		return ENOMEM;
	((struct fake_cq *)cq)->moderation = attr->moderate;
	return 0;
}

struct ibv_moderate_cq fake_moderation(const struct ibv_cq *real_cq)
{
	return ((const struct fake_cq *)real_cq)->moderation;
}

int fake_destroy_cq(struct ibv_cq *cq)
{
	unsigned kept = 0;

	if (fake.destroys_no_cqs)
		return EBUSY;
	fake_forget_events(
	        cq, &cq->mutex, &cq->cond, &cq->comp_events_completed, &cq->async_events_completed);
	LOCK_GUARD(&fake_lock);
	if (cq->channel)
		cq->channel->refcnt--;
	for (unsigned i = 0; i < held_count; i++) {
		if (held[i].cq != (struct fake_cq *)cq)
			held[kept++] = held[i];
	}
	held_count = kept;
	return fake_object_free(cq);
}

static void push(struct ibv_cq *shown, const struct ibv_wc *wc, bool solicited)
{
	struct fake_cq *cq = (struct fake_cq *)shown;

	cq->ring[cq->head % (4 * FAKE_QUEUE)].wc = *wc;
	cq->ring[cq->head++ % (4 * FAKE_QUEUE)].stamp = fake_stamp_now();
	fake_completion_event(shown, &cq->arm, solicited || wc->status);
}

int fake_req_notify_cq(struct ibv_cq *shown, int solicited_only)
{
	struct fake_cq *cq = (struct fake_cq *)shown;

	if (lost_refuses(shown->context))
		return EIO;
	LOCK_GUARD(&fake_lock);
	if (cq->arm != FAKE_ARMED_ALL)
		cq->arm = solicited_only ? FAKE_ARMED_SOLICITED : FAKE_ARMED_ALL;
	return 0;
}

void fake_inside(void)
{
	void (*call)(void) = __atomic_exchange_n(&fake.inside, NULL, __ATOMIC_RELAXED);

	if (call)
		call();
}

int fake_poll_cq(struct ibv_cq *shown, int count, struct ibv_wc *wc)
{
	struct fake_cq *cq = (struct fake_cq *)shown;
	int got = 0;

	fake_inside();
	LOCK_GUARD(&fake_lock);
	while (got < count && cq->tail != cq->head)
		wc[got++] = cq->ring[cq->tail++ % (4 * FAKE_QUEUE)].wc;
	return got;
}

bool fake_take_stamped(struct ibv_cq *shown, struct ibv_wc *wc, struct fake_stamp *stamp)
{
	struct fake_cq *cq = (struct fake_cq *)shown;

	LOCK_GUARD(&fake_lock);
	if (cq->tail == cq->head)
		return false;
	*wc = cq->ring[cq->tail % (4 * FAKE_QUEUE)].wc;
	*stamp = cq->ring[cq->tail++ % (4 * FAKE_QUEUE)].stamp;
	return true;
}

void fake_purge(struct ibv_cq *shown, uint32_t qp_num)
{
	struct fake_cq *cq = (struct fake_cq *)shown;
	unsigned kept;

	if (!cq)
		return;
	kept = cq->tail;

	for (unsigned i = cq->tail; i != cq->head; i++) {
		if (cq->ring[i % (4 * FAKE_QUEUE)].wc.qp_num != qp_num)
			cq->ring[kept++ % (4 * FAKE_QUEUE)] = cq->ring[i % (4 * FAKE_QUEUE)];
	}
	cq->head = kept;
}

/* Push it, or keep it back: a completion that is late. */
void fake_push_late(struct ibv_cq *cq, const struct ibv_wc *wc, bool solicited, bool keep)
{
	if (!keep) {
		push(cq, wc, solicited);
		return;
	}
	held[held_count].cq = (struct fake_cq *)cq;
	held[held_count].solicited = solicited;
	held[held_count++].wc = *wc;
}

static void release_held(void)
{
	for (unsigned i = 0; i < held_count; i++)
		push(&held[i].cq->cq, &held[i].wc, held[i].solicited);
	held_count = 0;
}

void fake_release_receives(void)
{
	release_held();
	fake.hold_receives = false;
}

void fake_release_flushes(void)
{
	release_held();
	fake.hold_flushes = fake.hold_failures = false;
}
