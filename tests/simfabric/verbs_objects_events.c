/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/* Completion channels, and the events of queues and queue pairs. */
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <string.h>

#include "simfabric/verbs_objects.h"

enum { BYTES = 100 };

/* A QP that sends to another, all completions on CQs of their own, all CQs on the channel. */
struct ends {
	struct ibv_cq *send_cq, *recv_cq;
	struct ibv_srq *srq; /* of the receiver, if asked for */
	struct ibv_qp *sender, *receiver;
};

static struct ibv_qp *open_qp(struct objects *o, struct ends *ends, struct ibv_srq *srq)
{
	struct ibv_qp_init_attr attr = {.send_cq = ends->send_cq,
	        .recv_cq = ends->recv_cq,
	        .srq = srq,
	        .cap = {.max_send_wr = 16, .max_recv_wr = 16, .max_send_sge = 1, .max_recv_sge = 1},
	        .qp_type = IBV_QPT_RC};
	struct ibv_qp *qp = ibv_create_qp(o->pd, &attr);

	CHECK(qp);
	return qp;
}

static void ends_open(struct objects *o, struct ends *ends, bool with_srq)
{
	struct ibv_srq_init_attr srq_attr = {.attr = {.max_wr = 16, .max_sge = 1}};

	memset(ends, 0, sizeof(*ends));
	CHECK((ends->send_cq = ibv_create_cq(o->context, 64, &ends->send_cq, o->channel, 0)));
	CHECK((ends->recv_cq = ibv_create_cq(o->context, 64, &ends->recv_cq, o->channel, 0)));
	if (with_srq)
		CHECK((ends->srq = ibv_create_srq(o->pd, &srq_attr)));
	ends->sender = open_qp(o, ends, NULL);
	ends->receiver = open_qp(o, ends, ends->srq);
	objects_connect(o, ends->sender, ends->receiver);
}

static void ends_close(struct ends *ends)
{
	CHECK(!ibv_destroy_qp(ends->sender) && !ibv_destroy_qp(ends->receiver));
	CHECK(!ends->srq || !ibv_destroy_srq(ends->srq));
	CHECK(!ibv_destroy_cq(ends->send_cq) && !ibv_destroy_cq(ends->recv_cq));
}

static void post_receives(struct objects *o, struct ends *ends, int count)
{
	struct ibv_sge sge = objects_sge(o, 0x10000, BYTES);
	struct ibv_recv_wr wr = {.wr_id = 100, .sg_list = &sge, .num_sge = 1}, *bad;

	while (count--)
		CHECK(!(ends->srq ? ibv_post_srq_recv(ends->srq, &wr, &bad)
		                  : ibv_post_recv(ends->receiver, &wr, &bad)));
}

static void post(struct objects *o, struct ends *ends, enum ibv_wr_opcode opcode, unsigned flags)
{
	struct ibv_sge sge = objects_sge(o, 0, BYTES);
	struct ibv_send_wr wr = {.wr_id = 1,
	                           .sg_list = &sge,
	                           .num_sge = 1,
	                           .opcode = opcode,
	                           .send_flags = flags,
	                           .wr = {.rdma = {.remote_addr = (uintptr_t)o->memory + 0x20000,
	                                          .rkey = o->mr->rkey}}},
	                   *bad;

	CHECK(!ibv_post_send(ends->sender, &wr, &bad));
}

/* Send, and both ends have seen it through. */
static void exchange(
        struct objects *o, struct ends *ends, enum ibv_wr_opcode opcode, unsigned flags)
{
	post(o, ends, opcode, flags | IBV_SEND_SIGNALED);
	objects_poll_for(ends->send_cq, 1, IBV_WC_SUCCESS);
	if (opcode != IBV_WR_RDMA_WRITE)
		objects_poll_for(ends->recv_cq, 100, IBV_WC_SUCCESS);
}

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

static struct ibv_async_event fail_with(
        struct objects *o, struct ends *ends, enum ibv_wc_status status)
{
	objects_poll_for(ends->send_cq, 1, status);
	return objects_event(o->context);
}

/* ---- completion events ---- */

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
		post_receives(o, &ends, rows[i].opcode != IBV_WR_RDMA_WRITE);
		exchange(o, &ends, rows[i].opcode, rows[i].flags);
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
	post_receives(o, &ends, 1);
	exchange(o, &ends, IBV_WR_SEND, IBV_SEND_SOLICITED);
	assert_no_event(o);
	ends_close(&ends);
}

static void errors_wake_a_solicited_arm(struct objects *o)
{
	struct ibv_qp_attr attr = {.qp_state = IBV_QPS_ERR};
	struct ends ends;

	ends_open(o, &ends, false);
	post_receives(o, &ends, 1);
	CHECK(!ibv_req_notify_cq(ends.recv_cq, 1) && !ibv_req_notify_cq(ends.send_cq, 1));
	CHECK(!ibv_modify_qp(ends.receiver, &attr, IBV_QP_STATE));
	take_event(o, ends.recv_cq);
	CHECK(!ibv_modify_qp(ends.sender, &attr, IBV_QP_STATE));
	assert_no_event(o);
	post(o, &ends, IBV_WR_SEND, 0);
	take_event(o, ends.send_cq);
	ends_close(&ends);
}

static void each_arm_gives_one_event(struct objects *o)
{
	struct ends ends;

	ends_open(o, &ends, false);
	post_receives(o, &ends, 3);
	CHECK(!ibv_req_notify_cq(ends.recv_cq, 0) && !ibv_req_notify_cq(ends.recv_cq, 0));
	exchange(o, &ends, IBV_WR_SEND, 0);
	exchange(o, &ends, IBV_WR_SEND, 0);
	take_event(o, ends.recv_cq);
	assert_no_event(o);
	/* What came before the arm does not count. */
	post(o, &ends, IBV_WR_SEND, IBV_SEND_SIGNALED);
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
	post_receives(o, &ends, 2);
	CHECK(!ibv_req_notify_cq(ends.recv_cq, 0) && !ibv_req_notify_cq(ends.recv_cq, 1));
	exchange(o, &ends, IBV_WR_SEND, 0);
	take_event(o, ends.recv_cq);
	CHECK(!ibv_req_notify_cq(ends.recv_cq, 1) && !ibv_req_notify_cq(ends.recv_cq, 0));
	exchange(o, &ends, IBV_WR_SEND, 0);
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
	post_receives(o, &ends, 1);
	CHECK(!ibv_req_notify_cq(ends.recv_cq, 0));
	exchange(o, &ends, IBV_WR_SEND, 0);
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

/* ---- asynchronous events ---- */

static void wrong_key_is_an_access_error_of_the_target(struct objects *o)
{
	struct ibv_sge sge = objects_sge(o, 0, BYTES);
	struct ibv_send_wr wr = {.wr_id = 1,
	                           .sg_list = &sge,
	                           .num_sge = 1,
	                           .opcode = IBV_WR_RDMA_WRITE,
	                           .send_flags = IBV_SEND_SIGNALED,
	                           .wr = {.rdma = {.remote_addr = (uintptr_t)o->memory,
	                                          .rkey = o->mr->rkey + 1}}},
	                   *bad;
	struct ibv_async_event event;
	struct ends ends;

	ends_open(o, &ends, false);
	CHECK(!ibv_post_send(ends.sender, &wr, &bad));
	event = fail_with(o, &ends, IBV_WC_REM_ACCESS_ERR);
	CHECK(event.event_type == IBV_EVENT_QP_ACCESS_ERR && event.element.qp == ends.receiver);
	CHECK(!objects_has_event(o->context->async_fd));
	ends_close(&ends);
}

static void message_too_long_is_a_request_error(struct objects *o)
{
	struct ibv_sge sge = objects_sge(o, 0x10000, BYTES / 2);
	struct ibv_recv_wr wr = {.wr_id = 100, .sg_list = &sge, .num_sge = 1}, *bad;
	struct ibv_async_event event;
	struct ends ends;

	ends_open(o, &ends, false);
	CHECK(!ibv_post_recv(ends.receiver, &wr, &bad));
	post(o, &ends, IBV_WR_SEND, IBV_SEND_SIGNALED);
	event = fail_with(o, &ends, IBV_WC_REM_INV_REQ_ERR);
	CHECK(event.event_type == IBV_EVENT_QP_REQ_ERR && event.element.qp == ends.receiver);
	objects_poll_for(ends.recv_cq, 100, IBV_WC_LOC_LEN_ERR);
	ends_close(&ends);
}

static void receive_into_nothing_is_fatal_for_the_queue_pair(struct objects *o)
{
	struct ibv_sge sge = {.addr = 16, .length = BYTES, .lkey = o->mr->lkey};
	struct ibv_recv_wr wr = {.wr_id = 100, .sg_list = &sge, .num_sge = 1}, *bad;
	struct ibv_async_event event;
	struct ends ends;

	ends_open(o, &ends, false);
	CHECK(!ibv_post_recv(ends.receiver, &wr, &bad));
	post(o, &ends, IBV_WR_SEND, IBV_SEND_SIGNALED);
	event = fail_with(o, &ends, IBV_WC_REM_OP_ERR);
	CHECK(event.event_type == IBV_EVENT_QP_FATAL && event.element.qp == ends.receiver);
	objects_poll_for(ends.recv_cq, 100, IBV_WC_LOC_PROT_ERR);
	ends_close(&ends);
}

static void first_packet_before_rts_establishes(struct objects *o)
{
	struct ibv_qp_attr attr = {.qp_state = IBV_QPS_INIT,
	        .port_num = 1,
	        .qp_access_flags = OBJECTS_ALL_ACCESS,
	        .ah_attr = {.dlid = o->lid, .port_num = 1},
	        .path_mtu = IBV_MTU_1024,
	        .max_dest_rd_atomic = 1};
	struct ibv_async_event event;
	struct ends ends;

	ends_open(o, &ends, false);
	attr.qp_state = IBV_QPS_RESET;
	CHECK(!ibv_modify_qp(ends.receiver, &attr, IBV_QP_STATE));
	attr.qp_state = IBV_QPS_INIT;
	CHECK(!ibv_modify_qp(ends.receiver, &attr,
	        IBV_QP_STATE | IBV_QP_PKEY_INDEX | IBV_QP_PORT | IBV_QP_ACCESS_FLAGS));
	attr.qp_state = IBV_QPS_RTR;
	attr.dest_qp_num = ends.sender->qp_num;
	CHECK(!ibv_modify_qp(ends.receiver, &attr,
	        IBV_QP_STATE | IBV_QP_AV | IBV_QP_PATH_MTU | IBV_QP_DEST_QPN | IBV_QP_RQ_PSN |
	                IBV_QP_MAX_DEST_RD_ATOMIC | IBV_QP_MIN_RNR_TIMER));
	exchange(o, &ends, IBV_WR_RDMA_WRITE, 0);
	event = objects_event(o->context);
	CHECK(event.event_type == IBV_EVENT_COMM_EST && event.element.qp == ends.receiver);
	exchange(o, &ends, IBV_WR_RDMA_WRITE, 0);
	CHECK(!objects_has_event(o->context->async_fd));
	ends_close(&ends);
}

static void drained_send_queue_says_so_where_asked(struct objects *o)
{
	struct ibv_qp_attr attr = {.qp_state = IBV_QPS_SQD, .en_sqd_async_notify = 1};
	struct ibv_async_event event;
	struct ends ends;

	ends_open(o, &ends, false);
	/* Not acknowledged before a receive is there. */
	post(o, &ends, IBV_WR_SEND, IBV_SEND_SIGNALED);
	CHECK(!ibv_modify_qp(ends.sender, &attr, IBV_QP_STATE | IBV_QP_EN_SQD_ASYNC_NOTIFY));
	objects_poll_nothing(ends.send_cq);
	CHECK(!objects_has_event(o->context->async_fd));
	post_receives(o, &ends, 1);
	event = fail_with(o, &ends, IBV_WC_SUCCESS);
	CHECK(event.event_type == IBV_EVENT_SQ_DRAINED && event.element.qp == ends.sender);
	attr.qp_state = IBV_QPS_RTS;
	CHECK(!ibv_modify_qp(ends.sender, &attr, IBV_QP_STATE));
	attr.qp_state = IBV_QPS_SQD;
	CHECK(!ibv_modify_qp(ends.sender, &attr, IBV_QP_STATE));
	CHECK(!objects_has_event(o->context->async_fd));
	ends_close(&ends);
}

static void last_receive_of_a_shared_queue_is_told(struct objects *o)
{
	struct ibv_qp_attr attr = {.qp_state = IBV_QPS_ERR};
	struct ibv_async_event event;
	struct ends ends;

	ends_open(o, &ends, true);
	post_receives(o, &ends, 2);
	exchange(o, &ends, IBV_WR_SEND, 0);
	CHECK(!ibv_modify_qp(ends.receiver, &attr, IBV_QP_STATE));
	event = objects_event(o->context);
	CHECK(event.event_type == IBV_EVENT_QP_LAST_WQE_REACHED);
	CHECK(event.element.qp == ends.receiver);
	/* The other receive is the queue's still. */
	objects_poll_nothing(ends.recv_cq);
	CHECK(!ibv_modify_qp(ends.receiver, &attr, IBV_QP_STATE));
	CHECK(!objects_has_event(o->context->async_fd));
	ends_close(&ends);
}

static void queue_pair_that_fails_tells_the_last_receive_too(struct objects *o)
{
	struct ibv_sge sge = objects_sge(o, 0x10000, BYTES / 2);
	struct ibv_recv_wr wr = {.wr_id = 100, .sg_list = &sge, .num_sge = 1}, *bad;
	struct ibv_async_event event;
	struct ends ends;

	ends_open(o, &ends, true);
	CHECK(!ibv_post_srq_recv(ends.srq, &wr, &bad));
	post(o, &ends, IBV_WR_SEND, IBV_SEND_SIGNALED);
	event = fail_with(o, &ends, IBV_WC_REM_INV_REQ_ERR);
	CHECK(event.event_type == IBV_EVENT_QP_REQ_ERR);
	event = objects_event(o->context);
	CHECK(event.event_type == IBV_EVENT_QP_LAST_WQE_REACHED);
	objects_poll_for(ends.recv_cq, 100, IBV_WC_LOC_LEN_ERR);
	ends_close(&ends);
}

static void limit_is_told_once_for_each_time_it_is_set(struct objects *o)
{
	struct ibv_srq_attr attr = {.srq_limit = 2};
	struct ibv_async_event event;
	struct ends ends;

	ends_open(o, &ends, true);
	post_receives(o, &ends, 2);
	for (int i = 0; i < 2; i++) {
		/* Two are there: not below the limit. */
		CHECK(!ibv_modify_srq(ends.srq, &attr, IBV_SRQ_LIMIT));
		CHECK(!objects_has_event(o->context->async_fd));
		exchange(o, &ends, IBV_WR_SEND, 0);
		event = objects_event(o->context);
		CHECK(event.event_type == IBV_EVENT_SRQ_LIMIT_REACHED);
		CHECK(event.element.srq == ends.srq);
		exchange(o, &ends, IBV_WR_SEND, 0);
		CHECK(!objects_has_event(o->context->async_fd));
		post_receives(o, &ends, 2);
	}
	/* Set below what is there, it is told at once. */
	attr.srq_limit = 3;
	CHECK(!ibv_modify_srq(ends.srq, &attr, IBV_SRQ_LIMIT));
	CHECK(objects_event(o->context).event_type == IBV_EVENT_SRQ_LIMIT_REACHED);
	attr.srq_limit = 17;
	CHECK(ibv_modify_srq(ends.srq, &attr, IBV_SRQ_LIMIT) == EINVAL);
	ends_close(&ends);
}

static void events_go_with_the_object_that_they_are_about(struct objects *o)
{
	struct ibv_qp_attr attr = {.qp_state = IBV_QPS_ERR};
	struct ends ends;

	ends_open(o, &ends, true);
	CHECK(!ibv_modify_qp(ends.receiver, &attr, IBV_QP_STATE));
	CHECK(objects_has_event(o->context->async_fd));
	ends_close(&ends);
	CHECK(!objects_has_event(o->context->async_fd));
}

static void paths_do_not_migrate_by_themselves(struct objects *o)
{
	struct ibv_qp_attr attr = {.path_mig_state = IBV_MIG_REARM};
	struct ibv_device_attr device;
	struct ends ends;

	CHECK(!ibv_query_device(o->context, &device));
	CHECK(!(device.device_cap_flags & IBV_DEVICE_AUTO_PATH_MIG));
	ends_open(o, &ends, false);
	CHECK(ibv_modify_qp(ends.sender, &attr, IBV_QP_PATH_MIG_STATE) == EINVAL);
	ends_close(&ends);
}

const struct objects_test objects_events_tests[] = {
        OBJECTS_TEST(solicited_arm_hears_of_solicited_receives_only),
        OBJECTS_TEST(sends_are_never_solicited),
        OBJECTS_TEST(errors_wake_a_solicited_arm),
        OBJECTS_TEST(each_arm_gives_one_event),
        OBJECTS_TEST(arm_for_all_outdoes_one_for_solicited),
        OBJECTS_TEST(channel_that_does_not_block_says_so),
        OBJECTS_TEST(channel_is_busy_while_a_queue_is_on_it),
        OBJECTS_TEST(destroyed_queue_takes_its_events_along),
        OBJECTS_TEST(destruction_waits_for_acknowledgements),
        OBJECTS_TEST(wrong_key_is_an_access_error_of_the_target),
        OBJECTS_TEST(message_too_long_is_a_request_error),
        OBJECTS_TEST(receive_into_nothing_is_fatal_for_the_queue_pair),
        OBJECTS_TEST(first_packet_before_rts_establishes),
        OBJECTS_TEST(drained_send_queue_says_so_where_asked),
        OBJECTS_TEST(last_receive_of_a_shared_queue_is_told),
        OBJECTS_TEST(queue_pair_that_fails_tells_the_last_receive_too),
        OBJECTS_TEST(limit_is_told_once_for_each_time_it_is_set),
        OBJECTS_TEST(events_go_with_the_object_that_they_are_about),
        OBJECTS_TEST(paths_do_not_migrate_by_themselves),
        {0},
};
