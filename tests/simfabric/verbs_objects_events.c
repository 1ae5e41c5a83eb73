/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/* The asynchronous events of queue pairs and shared receive queues. */
#include "simfabric/verbs_objects_ends.h"

/* The next one, once the sender has its completion. */
static struct ibv_async_event event_after(
        struct objects *o, struct ends *ends, enum ibv_wc_status status)
{
	objects_poll_for(ends->send_cq, 1, status);
	return objects_event(o->context);
}

static void wrong_key_is_an_access_error_of_the_target(struct objects *o)
{
	struct ibv_async_event event;
	struct ends ends;

	ends_open(o, &ends, false);
	ends_post_with_key(o, &ends, IBV_WR_RDMA_WRITE, IBV_SEND_SIGNALED, o->mr->rkey + 1);
	event = event_after(o, &ends, IBV_WC_REM_ACCESS_ERR);
	CHECK(event.event_type == IBV_EVENT_QP_ACCESS_ERR && event.element.qp == ends.receiver);
	CHECK(!objects_has_event(o->context->async_fd));
	ends_close(&ends);
}

static void message_too_long_is_a_request_error(struct objects *o)
{
	struct ibv_async_event event;
	struct ends ends;

	ends_open(o, &ends, false);
	ends_post_receive(&ends, objects_sge(o, 0x10000, ENDS_BYTES / 2));
	ends_post(o, &ends, IBV_WR_SEND, IBV_SEND_SIGNALED);
	event = event_after(o, &ends, IBV_WC_REM_INV_REQ_ERR);
	CHECK(event.event_type == IBV_EVENT_QP_REQ_ERR && event.element.qp == ends.receiver);
	objects_poll_for(ends.recv_cq, 100, IBV_WC_LOC_LEN_ERR);
	ends_close(&ends);
}

static void receive_into_nothing_is_fatal_for_the_queue_pair(struct objects *o)
{
	struct ibv_sge sge = {.addr = 16, .length = ENDS_BYTES, .lkey = o->mr->lkey};
	struct ibv_async_event event;
	struct ends ends;

	ends_open(o, &ends, false);
	ends_post_receive(&ends, sge);
	ends_post(o, &ends, IBV_WR_SEND, IBV_SEND_SIGNALED);
	event = event_after(o, &ends, IBV_WC_REM_OP_ERR);
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
	ends_exchange(o, &ends, IBV_WR_RDMA_WRITE, 0);
	event = objects_event(o->context);
	CHECK(event.event_type == IBV_EVENT_COMM_EST && event.element.qp == ends.receiver);
	ends_exchange(o, &ends, IBV_WR_RDMA_WRITE, 0);
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
	ends_post(o, &ends, IBV_WR_SEND, IBV_SEND_SIGNALED);
	CHECK(!ibv_modify_qp(ends.sender, &attr, IBV_QP_STATE | IBV_QP_EN_SQD_ASYNC_NOTIFY));
	objects_poll_nothing(ends.send_cq);
	CHECK(!objects_has_event(o->context->async_fd));
	ends_post_receives(o, &ends, 1);
	event = event_after(o, &ends, IBV_WC_SUCCESS);
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
	ends_post_receives(o, &ends, 2);
	ends_exchange(o, &ends, IBV_WR_SEND, 0);
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
	struct ibv_async_event event;
	struct ends ends;

	ends_open(o, &ends, true);
	ends_post_receive(&ends, objects_sge(o, 0x10000, ENDS_BYTES / 2));
	ends_post(o, &ends, IBV_WR_SEND, IBV_SEND_SIGNALED);
	event = event_after(o, &ends, IBV_WC_REM_INV_REQ_ERR);
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
	ends_post_receives(o, &ends, 2);
	for (int i = 0; i < 2; i++) {
		/* Two are there: not below the limit. */
		CHECK(!ibv_modify_srq(ends.srq, &attr, IBV_SRQ_LIMIT));
		CHECK(!objects_has_event(o->context->async_fd));
		ends_exchange(o, &ends, IBV_WR_SEND, 0);
		event = objects_event(o->context);
		CHECK(event.event_type == IBV_EVENT_SRQ_LIMIT_REACHED);
		CHECK(event.element.srq == ends.srq);
		ends_exchange(o, &ends, IBV_WR_SEND, 0);
		CHECK(!objects_has_event(o->context->async_fd));
		ends_post_receives(o, &ends, 2);
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
