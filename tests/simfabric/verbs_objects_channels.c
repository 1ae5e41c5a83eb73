/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/* Completion channels: which completions wake, and what becomes of events. */
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>

#include "simfabric/verbs_objects_ends.h"

/* The event that is there, of @cq; fails if there is none. */
static void take_event(struct objects *o, struct ibv_cq *cq)
{
	struct ibv_cq *from;
	void *context;

	CHECK(objects_has_event(o->channel->fd));
	CHECK(!ibv_get_cq_event(o->channel, &from, &context));
	CHECK(from == cq && context == cq->cq_context);
	ibv_ack_cq_events(from, 1);
}

static void assert_no_event(struct objects *o)
{
	CHECK(!objects_has_event(o->channel->fd));
}

static void solicited_arm_hears_of_solicited_receives_only(struct objects *o)
{
	static const struct {
		enum ibv_wr_opcode opcode;
		unsigned flags;
		bool wakes;
	} rows[] = {
	        {IBV_WR_SEND, 0, false},
	        {IBV_WR_SEND, IBV_SEND_SOLICITED, true},
	        {IBV_WR_SEND_WITH_IMM, 0, false},
	        {IBV_WR_SEND_WITH_IMM, IBV_SEND_SOLICITED, true},
	        {IBV_WR_RDMA_WRITE_WITH_IMM, 0, false},
	        {IBV_WR_RDMA_WRITE_WITH_IMM, IBV_SEND_SOLICITED, true},
	        {IBV_WR_RDMA_WRITE, IBV_SEND_SOLICITED, false},
	};
	struct ends ends;

	ends_open(o, &ends, false);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		CHECK(!ibv_req_notify_cq(ends.recv_cq, 1));
		ends_post_receives(o, &ends, rows[i].opcode != IBV_WR_RDMA_WRITE);
		ends_exchange(o, &ends, rows[i].opcode, rows[i].flags);
		if (rows[i].wakes)
			take_event(o, ends.recv_cq);
		assert_no_event(o);
	}
	ends_close(&ends);
}

/* The flag is for the receiver: the sender's own completion is not solicited by it. */
static void sends_are_never_solicited(struct objects *o)
{
	struct ends ends;

	ends_open(o, &ends, false);
	CHECK(!ibv_req_notify_cq(ends.send_cq, 1));
	ends_post_receives(o, &ends, 1);
	ends_exchange(o, &ends, IBV_WR_SEND, IBV_SEND_SOLICITED);
	assert_no_event(o);
	ends_close(&ends);
}

static void errors_wake_a_solicited_arm(struct objects *o)
{
	struct ibv_qp_attr attr = {.qp_state = IBV_QPS_ERR};
	struct ends ends;

	ends_open(o, &ends, false);
	ends_post_receives(o, &ends, 1);
	CHECK(!ibv_req_notify_cq(ends.recv_cq, 1) && !ibv_req_notify_cq(ends.send_cq, 1));
	CHECK(!ibv_modify_qp(ends.receiver, &attr, IBV_QP_STATE));
	take_event(o, ends.recv_cq);
	CHECK(!ibv_modify_qp(ends.sender, &attr, IBV_QP_STATE));
	assert_no_event(o);
	ends_post(o, &ends, IBV_WR_SEND, 0);
	take_event(o, ends.send_cq);
	ends_close(&ends);
}

static void each_arm_gives_one_event(struct objects *o)
{
	struct ends ends;

	ends_open(o, &ends, false);
	ends_post_receives(o, &ends, 3);
	CHECK(!ibv_req_notify_cq(ends.recv_cq, 0) && !ibv_req_notify_cq(ends.recv_cq, 0));
	ends_exchange(o, &ends, IBV_WR_SEND, 0);
	ends_exchange(o, &ends, IBV_WR_SEND, 0);
	take_event(o, ends.recv_cq);
	assert_no_event(o);
	/* What came before the arm does not count. */
	ends_post(o, &ends, IBV_WR_SEND, IBV_SEND_SIGNALED);
	objects_poll_for(ends.send_cq, 1, IBV_WC_SUCCESS);
	CHECK(!ibv_req_notify_cq(ends.recv_cq, 0));
	assert_no_event(o);
	objects_poll_for(ends.recv_cq, 100, IBV_WC_SUCCESS);
	ends_close(&ends);
}

static void arm_for_all_outdoes_one_for_solicited(struct objects *o)
{
	struct ends ends;

	ends_open(o, &ends, false);
	ends_post_receives(o, &ends, 2);
	CHECK(!ibv_req_notify_cq(ends.recv_cq, 0) && !ibv_req_notify_cq(ends.recv_cq, 1));
	ends_exchange(o, &ends, IBV_WR_SEND, 0);
	take_event(o, ends.recv_cq);
	CHECK(!ibv_req_notify_cq(ends.recv_cq, 1) && !ibv_req_notify_cq(ends.recv_cq, 0));
	ends_exchange(o, &ends, IBV_WR_SEND, 0);
	take_event(o, ends.recv_cq);
	ends_close(&ends);
}

static void channel_that_does_not_block_says_so(struct objects *o)
{
	struct ibv_cq *cq;
	void *context;

	CHECK(!fcntl(o->channel->fd, F_SETFL, fcntl(o->channel->fd, F_GETFL) | O_NONBLOCK));
	CHECK(ibv_get_cq_event(o->channel, &cq, &context) == -1 && errno == EAGAIN);
	CHECK(!fcntl(
	        o->context->async_fd, F_SETFL, fcntl(o->context->async_fd, F_GETFL) | O_NONBLOCK));
	CHECK(ibv_get_async_event(o->context, &(struct ibv_async_event){0}) == -1);
	CHECK(errno == EAGAIN);
}

static void channel_is_busy_while_a_queue_is_on_it(struct objects *o)
{
	struct ibv_comp_channel *channel = ibv_create_comp_channel(o->context);
	struct ibv_cq *cq = ibv_create_cq(o->context, 4, NULL, channel, 0);

	CHECK(channel && cq && channel->refcnt == 1);
	CHECK(ibv_destroy_comp_channel(channel) == EBUSY);
	CHECK(!ibv_destroy_cq(cq) && !ibv_destroy_comp_channel(channel));
}

/* An event that nobody got goes with its queue: the next reader must not be given a freed CQ. */
static void destroyed_queue_takes_its_events_along(struct objects *o)
{
	struct ends ends;

	ends_open(o, &ends, false);
	ends_post_receives(o, &ends, 1);
	CHECK(!ibv_req_notify_cq(ends.recv_cq, 0));
	ends_exchange(o, &ends, IBV_WR_SEND, 0);
	CHECK(objects_has_event(o->channel->fd));
	ends_close(&ends);
	assert_no_event(o);
}

static bool acknowledged;

static void *destroy(void *cq)
{
	int err = ibv_destroy_cq(cq);

	return (void *)(intptr_t)(!err && __atomic_load_n(&acknowledged, __ATOMIC_ACQUIRE));
}

static void destruction_waits_for_acknowledgements(struct objects *o)
{
	struct ibv_comp_channel *channel = ibv_create_comp_channel(o->context);
	struct ibv_cq *cq = ibv_create_cq(o->context, 16, NULL, channel, 0), *from;
	struct ibv_qp *qp = objects_rc(o, cq, cq);
	struct ibv_qp_attr attr = {.qp_state = IBV_QPS_ERR};
	struct ibv_recv_wr wr = {.wr_id = 1}, *bad;
	pthread_t thread;
	void *result;

	objects_connect(o, qp, qp);
	CHECK(!ibv_post_recv(qp, &wr, &bad) && !ibv_req_notify_cq(cq, 0));
	CHECK(!ibv_modify_qp(qp, &attr, IBV_QP_STATE));
	CHECK(!ibv_get_cq_event(channel, &from, &result) && from == cq);
	CHECK(!ibv_destroy_qp(qp));
	acknowledged = false;
	CHECK(!pthread_create(&thread, NULL, destroy, cq));
	/* When the queue has left its channel, nothing but the wait is to come. */
	while (ibv_destroy_comp_channel(channel) == EBUSY)
		sched_yield();
	for (int i = 0; i < 1000; i++)
		sched_yield();
	__atomic_store_n(&acknowledged, true, __ATOMIC_RELEASE);
	ibv_ack_cq_events(cq, 1);
	CHECK(!pthread_join(thread, &result) && result);
}
const struct objects_test objects_channels_tests[] = {
        OBJECTS_TEST(solicited_arm_hears_of_solicited_receives_only),
        OBJECTS_TEST(sends_are_never_solicited),
        OBJECTS_TEST(errors_wake_a_solicited_arm),
        OBJECTS_TEST(each_arm_gives_one_event),
        OBJECTS_TEST(arm_for_all_outdoes_one_for_solicited),
        OBJECTS_TEST(channel_that_does_not_block_says_so),
        OBJECTS_TEST(channel_is_busy_while_a_queue_is_on_it),
        OBJECTS_TEST(destroyed_queue_takes_its_events_along),
        OBJECTS_TEST(destruction_waits_for_acknowledgements),
        {0},
};
