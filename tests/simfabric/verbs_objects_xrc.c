/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/* XRC domains, SRQs, initiators, targets and their handles. */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "simfabric/verbs_objects.h"

enum { BYTES = 3000 };

static int temporary_file(void)
{
	FILE *file = tmpfile();

	CHECK(file);
	return fileno(file);
}

static struct ibv_xrcd *try_xrcd(struct ibv_context *context, int fd, int oflags)
{
	struct ibv_xrcd_init_attr attr = {
	        .comp_mask = IBV_XRCD_INIT_ATTR_FD | IBV_XRCD_INIT_ATTR_OFLAGS,
	        .fd = fd,
	        .oflags = oflags};

	return ibv_open_xrcd(context, &attr);
}

static struct ibv_xrcd *open_xrcd(struct ibv_context *context, int fd)
{
	struct ibv_xrcd *xrcd = try_xrcd(context, fd, O_CREAT);

	CHECK(xrcd);
	return xrcd;
}

static struct ibv_srq *open_srq(struct objects *o, struct ibv_xrcd *xrcd, struct ibv_cq *cq)
{
	struct ibv_srq_init_attr_ex attr = {.attr = {.max_wr = 16, .max_sge = 1},
	        .comp_mask = IBV_SRQ_INIT_ATTR_TYPE | IBV_SRQ_INIT_ATTR_XRCD |
	                     IBV_SRQ_INIT_ATTR_CQ | IBV_SRQ_INIT_ATTR_PD,
	        .srq_type = IBV_SRQT_XRC,
	        .pd = o->pd,
	        .xrcd = xrcd,
	        .cq = cq};
	struct ibv_srq *srq = ibv_create_srq_ex(o->context, &attr);

	CHECK(srq);
	return srq;
}

static uint32_t number_of(struct ibv_srq *srq)
{
	uint32_t number;

	CHECK(!ibv_get_srq_num(srq, &number));
	return number;
}

static void post_receive(struct objects *o, struct ibv_srq *srq, uint64_t offset, uint64_t wr_id)
{
	struct ibv_sge sge = objects_sge(o, offset, BYTES);
	struct ibv_recv_wr wr = {.wr_id = wr_id, .sg_list = &sge, .num_sge = 1}, *bad;

	CHECK(!ibv_post_srq_recv(srq, &wr, &bad));
}

static struct ibv_qp *open_initiator(struct objects *o)
{
	struct ibv_qp_init_attr_ex attr = {.send_cq = o->cq,
	        .cap = {.max_send_wr = 16, .max_send_sge = 1},
	        .qp_type = IBV_QPT_XRC_SEND,
	        .comp_mask = IBV_QP_INIT_ATTR_PD | IBV_QP_INIT_ATTR_SEND_OPS_FLAGS,
	        .pd = o->pd,
	        .send_ops_flags = IBV_QP_EX_WITH_SEND | IBV_QP_EX_WITH_RDMA_READ};
	struct ibv_qp *qp = ibv_create_qp_ex(o->context, &attr);

	CHECK(qp);
	return qp;
}

static struct ibv_qp *open_target(struct ibv_context *context, struct ibv_xrcd *xrcd)
{
	struct ibv_qp_init_attr_ex attr = {
	        .qp_type = IBV_QPT_XRC_RECV, .comp_mask = IBV_QP_INIT_ATTR_XRCD, .xrcd = xrcd};
	struct ibv_qp *qp = ibv_create_qp_ex(context, &attr);

	CHECK(qp);
	return qp;
}

static struct ibv_qp *try_handle(
        struct ibv_context *context, struct ibv_xrcd *xrcd, uint32_t qpn, void *qp_context)
{
	struct ibv_qp_open_attr attr = {.comp_mask = IBV_QP_OPEN_ATTR_NUM | IBV_QP_OPEN_ATTR_XRCD |
	                                             IBV_QP_OPEN_ATTR_CONTEXT |
	                                             IBV_QP_OPEN_ATTR_TYPE,
	        .qp_num = qpn,
	        .xrcd = xrcd,
	        .qp_context = qp_context,
	        .qp_type = IBV_QPT_XRC_RECV};

	return ibv_open_qp(context, &attr);
}

static void post_send(struct objects *o, struct ibv_qp *qp, uint32_t srqn, uint64_t wr_id)
{
	struct ibv_sge sge = objects_sge(o, 0, BYTES);
	struct ibv_send_wr wr = {.wr_id = wr_id,
	                           .sg_list = &sge,
	                           .num_sge = 1,
	                           .opcode = IBV_WR_SEND,
	                           .send_flags = IBV_SEND_SIGNALED,
	                           .qp_type = {.xrc = {.remote_srqn = srqn}}},
	                   *bad;

	CHECK(!ibv_post_send(qp, &wr, &bad));
}

static void domain_goes_by_the_file(struct objects *o)
{
	int fd = temporary_file(), other_fd = temporary_file();
	struct ibv_xrcd *xrcd, *same;

	CHECK_NULL(EAGAIN, try_xrcd(o->context, fd, 0));
	CHECK_NULL(EBADF, try_xrcd(o->context, 9999, O_CREAT));
	CHECK((xrcd = try_xrcd(o->context, fd, O_CREAT | O_EXCL)));
	CHECK_NULL(EINVAL, try_xrcd(o->context, fd, O_CREAT | O_EXCL));
	CHECK((same = try_xrcd(o->context, fd, 0)));
	CHECK_NULL(EAGAIN, try_xrcd(o->context, other_fd, 0));
	CHECK(!ibv_close_xrcd(xrcd));
	/* The other handle holds the domain. */
	CHECK((xrcd = try_xrcd(o->context, fd, 0)));
	CHECK(!ibv_close_xrcd(xrcd));
	CHECK(!ibv_close_xrcd(same));
	CHECK_NULL(EAGAIN, try_xrcd(o->context, fd, 0));
}

static void domain_needs_to_be_told_of_a_file(struct objects *o)
{
	struct ibv_xrcd_init_attr attr = {.comp_mask = IBV_XRCD_INIT_ATTR_FD, .fd = -1};

	CHECK_NULL(EINVAL, ibv_open_xrcd(o->context, &attr));
	attr.comp_mask = IBV_XRCD_INIT_ATTR_RESERVED | IBV_XRCD_INIT_ATTR_FD;
	CHECK_NULL(EOPNOTSUPP, ibv_open_xrcd(o->context, &attr));
}

static void domain_is_busy_while_something_is_in_it(struct objects *o)
{
	struct ibv_xrcd *xrcd = open_xrcd(o->context, -1);
	struct ibv_qp *target = open_target(o->context, xrcd);
	struct ibv_srq *srq = open_srq(o, xrcd, o->cq);

	CHECK(ibv_close_xrcd(xrcd) == EBUSY);
	CHECK(!ibv_destroy_qp(target));
	CHECK(ibv_close_xrcd(xrcd) == EBUSY);
	CHECK(ibv_destroy_cq(o->cq) == EBUSY);
	CHECK(!ibv_destroy_srq(srq));
	CHECK(!ibv_close_xrcd(xrcd));
}

/* Two contexts that opened one file; the SRQ is of one of them, the target of the other. */
static void contexts_share_a_domain(struct objects *o)
{
	int fd = temporary_file();
	struct ibv_context *context = objects_open_device();
	struct ibv_xrcd *here = open_xrcd(o->context, fd), *there = open_xrcd(context, fd);
	struct ibv_qp *target = open_target(context, there), *initiator = open_initiator(o);
	struct ibv_srq *srq = open_srq(o, here, o->cq);
	struct ibv_wc wc;

	objects_connect(o, initiator, target);
	memset(o->memory, 0x5a, BYTES);
	post_receive(o, srq, 0x10000, 7);
	post_send(o, initiator, number_of(srq), 1);
	wc = objects_poll(o->cq);
	CHECK(wc.wr_id == 7 && wc.status == IBV_WC_SUCCESS && wc.opcode == IBV_WC_RECV);
	CHECK(wc.qp_num == target->qp_num && wc.byte_len == BYTES);
	objects_poll_for(o->cq, 1, IBV_WC_SUCCESS);
	CHECK(!memcmp(o->memory, o->memory + 0x10000, BYTES));
	CHECK(!ibv_destroy_qp(initiator) && !ibv_destroy_qp(target) && !ibv_destroy_srq(srq));
	CHECK(!ibv_close_xrcd(here) && !ibv_close_xrcd(there) && !ibv_close_device(context));
}

static void private_domain_is_reached_from_no_other(struct objects *o)
{
	struct ibv_xrcd *a = open_xrcd(o->context, -1), *b = open_xrcd(o->context, -1);
	struct ibv_qp *target = open_target(o->context, a), *initiator = open_initiator(o);
	struct ibv_srq *srq = open_srq(o, b, o->cq);

	objects_connect(o, initiator, target);
	post_receive(o, srq, 0x10000, 7);
	post_send(o, initiator, number_of(srq), 1);
	objects_poll_for(o->cq, 1, IBV_WC_REM_INV_REQ_ERR);
	objects_poll_nothing(o->cq);
	CHECK(!ibv_destroy_qp(initiator) && !ibv_destroy_qp(target) && !ibv_destroy_srq(srq));
	CHECK(!ibv_close_xrcd(a) && !ibv_close_xrcd(b));
}

static void ordinary_srq_is_not_reached_by_its_number(struct objects *o)
{
	struct ibv_srq_init_attr attr = {.attr = {.max_wr = 4, .max_sge = 1}};
	struct ibv_xrcd *xrcd = open_xrcd(o->context, -1);
	struct ibv_qp *target = open_target(o->context, xrcd), *initiator = open_initiator(o);
	struct ibv_srq *srq = ibv_create_srq(o->pd, &attr);

	CHECK(srq);
	objects_connect(o, initiator, target);
	post_receive(o, srq, 0x10000, 7);
	post_send(o, initiator, number_of(srq), 1);
	objects_poll_for(o->cq, 1, IBV_WC_REM_INV_REQ_ERR);
	CHECK(!ibv_destroy_qp(initiator) && !ibv_destroy_qp(target) && !ibv_destroy_srq(srq));
	CHECK(!ibv_close_xrcd(xrcd));
}

static void srq_number_can_be_set_through_qp_ex(struct objects *o)
{
	struct ibv_xrcd *xrcd = open_xrcd(o->context, -1);
	struct ibv_qp *target = open_target(o->context, xrcd), *initiator = open_initiator(o);
	struct ibv_qp_ex *ex = ibv_qp_to_qp_ex(initiator);
	struct ibv_srq *srq = open_srq(o, xrcd, o->cq), *other = open_srq(o, xrcd, o->cq);

	CHECK(number_of(srq) != number_of(other));
	objects_connect(o, initiator, target);
	post_receive(o, srq, 0x10000, 7);
	post_receive(o, other, 0x20000, 8);
	ibv_wr_start(ex);
	ex->wr_id = 1;
	ex->wr_flags = IBV_SEND_SIGNALED;
	ibv_wr_send(ex);
	ibv_wr_set_xrc_srqn(ex, number_of(other));
	ibv_wr_set_sge(ex, o->mr->lkey, (uintptr_t)o->memory, 10);
	CHECK(!ibv_wr_complete(ex));
	objects_poll_for(o->cq, 8, IBV_WC_SUCCESS);
	objects_poll_for(o->cq, 1, IBV_WC_SUCCESS);
	CHECK(!ibv_destroy_qp(initiator) && !ibv_destroy_qp(target));
	CHECK(!ibv_destroy_srq(srq) && !ibv_destroy_srq(other) && !ibv_close_xrcd(xrcd));
}

static void target_lives_as_long_as_a_handle(struct objects *o)
{
	int fd = temporary_file();
	struct ibv_context *context = objects_open_device();
	struct ibv_xrcd *here = open_xrcd(o->context, fd), *there = open_xrcd(context, fd);
	struct ibv_qp *target = open_target(o->context, here), *initiator = open_initiator(o);
	struct ibv_srq *srq = open_srq(o, here, o->cq);
	struct ibv_qp *handle = try_handle(context, there, target->qp_num, srq);
	struct ibv_qp_init_attr init_attr;
	struct ibv_qp_attr attr;

	CHECK(handle && handle->qp_num == target->qp_num && handle->qp_context == srq);
	CHECK(handle->context == context && handle->qp_type == IBV_QPT_XRC_RECV);
	objects_connect(o, initiator, target);
	CHECK(!ibv_destroy_qp(target));
	CHECK(!ibv_query_qp(handle, &attr, IBV_QP_STATE, &init_attr));
	CHECK(attr.qp_state == IBV_QPS_RTS);
	post_receive(o, srq, 0x10000, 7);
	post_send(o, initiator, number_of(srq), 1);
	objects_poll_for(o->cq, 7, IBV_WC_SUCCESS);
	objects_poll_for(o->cq, 1, IBV_WC_SUCCESS);
	CHECK(!ibv_destroy_qp(handle));
	CHECK_NULL(EINVAL, try_handle(context, there, attr.dest_qp_num, NULL));
	CHECK(!ibv_destroy_qp(initiator) && !ibv_destroy_srq(srq));
	CHECK(!ibv_close_xrcd(here) && !ibv_close_xrcd(there) && !ibv_close_device(context));
}

/* As the kernel does with a process that ends: the others go on. */
static void closed_context_takes_its_handle_only(struct objects *o)
{
	int fd = temporary_file();
	struct ibv_context *context = objects_open_device();
	struct ibv_xrcd *here = open_xrcd(o->context, fd), *there = open_xrcd(context, fd);
	struct ibv_qp *target = open_target(context, there), *initiator = open_initiator(o);
	struct ibv_srq *srq = open_srq(o, here, o->cq);
	struct ibv_qp *handle = try_handle(o->context, here, target->qp_num, NULL);

	CHECK(handle);
	objects_connect(o, initiator, target);
	CHECK(!ibv_close_device(context));
	post_receive(o, srq, 0x10000, 7);
	post_send(o, initiator, number_of(srq), 1);
	objects_poll_for(o->cq, 7, IBV_WC_SUCCESS);
	objects_poll_for(o->cq, 1, IBV_WC_SUCCESS);
	CHECK(!ibv_destroy_qp(handle) && !ibv_destroy_qp(initiator) && !ibv_destroy_srq(srq));
	CHECK(!ibv_close_xrcd(here));
}

static void only_targets_of_the_domain_can_be_opened(struct objects *o)
{
	struct ibv_xrcd *a = open_xrcd(o->context, -1), *b = open_xrcd(o->context, -1);
	struct ibv_qp *target = open_target(o->context, a), *initiator = open_initiator(o);
	struct ibv_qp_open_attr attr = {.comp_mask = IBV_QP_OPEN_ATTR_NUM | IBV_QP_OPEN_ATTR_XRCD,
	        .qp_num = target->qp_num,
	        .xrcd = a};

	CHECK_NULL(EINVAL, try_handle(o->context, b, target->qp_num, NULL));
	CHECK_NULL(EINVAL, try_handle(o->context, a, initiator->qp_num, NULL));
	CHECK_NULL(EINVAL, ibv_open_qp(o->context, &attr));
	attr.comp_mask |= IBV_QP_OPEN_ATTR_TYPE | IBV_QP_OPEN_ATTR_RESERVED;
	CHECK_NULL(EOPNOTSUPP, ibv_open_qp(o->context, &attr));
	CHECK(!ibv_destroy_qp(target) && !ibv_destroy_qp(initiator));
	CHECK(!ibv_close_xrcd(a) && !ibv_close_xrcd(b));
}

static void events_of_a_target_go_to_every_handle(struct objects *o)
{
	int fd = temporary_file();
	struct ibv_context *context = objects_open_device();
	struct ibv_xrcd *here = open_xrcd(o->context, fd), *there = open_xrcd(context, fd);
	struct ibv_qp *target = open_target(o->context, here), *initiator = open_initiator(o);
	struct ibv_qp *handle = try_handle(context, there, target->qp_num, NULL);
	struct ibv_async_event event;

	CHECK(handle);
	objects_connect(o, initiator, target);
	post_send(o, initiator, 0xabcdef, 1);
	objects_poll_for(o->cq, 1, IBV_WC_REM_INV_REQ_ERR);
	event = objects_event(o->context);
	CHECK(event.event_type == IBV_EVENT_QP_REQ_ERR && event.element.qp == target);
	event = objects_event(context);
	CHECK(event.event_type == IBV_EVENT_QP_REQ_ERR && event.element.qp == handle);
	CHECK(!ibv_destroy_qp(handle) && !ibv_destroy_qp(target) && !ibv_destroy_qp(initiator));
	CHECK(!ibv_close_xrcd(here) && !ibv_close_xrcd(there) && !ibv_close_device(context));
}

static void limit_of_an_xrc_srq_is_reached(struct objects *o)
{
	struct ibv_xrcd *xrcd = open_xrcd(o->context, -1);
	struct ibv_qp *target = open_target(o->context, xrcd), *initiator = open_initiator(o);
	struct ibv_srq *srq = open_srq(o, xrcd, o->cq);
	struct ibv_srq_attr attr = {.srq_limit = 2};
	struct ibv_async_event event;

	objects_connect(o, initiator, target);
	for (uint64_t i = 0; i < 3; i++)
		post_receive(o, srq, 0x10000, i);
	CHECK(!ibv_modify_srq(srq, &attr, IBV_SRQ_LIMIT));
	post_send(o, initiator, number_of(srq), 10);
	objects_poll_for(o->cq, 0, IBV_WC_SUCCESS);
	objects_poll_for(o->cq, 10, IBV_WC_SUCCESS);
	CHECK(!objects_has_event(o->context->async_fd));
	post_send(o, initiator, number_of(srq), 11);
	objects_poll_for(o->cq, 1, IBV_WC_SUCCESS);
	objects_poll_for(o->cq, 11, IBV_WC_SUCCESS);
	event = objects_event(o->context);
	CHECK(event.event_type == IBV_EVENT_SRQ_LIMIT_REACHED && event.element.srq == srq);
	CHECK(!ibv_query_srq(srq, &attr) && !attr.srq_limit);
	CHECK(!ibv_destroy_qp(target) && !ibv_destroy_qp(initiator) && !ibv_destroy_srq(srq));
	CHECK(!ibv_close_xrcd(xrcd));
}

/* Polled after its target and its SRQ are gone, a completion says what it said before. */
static void completions_outlive_target_and_srq(struct objects *o)
{
	struct ibv_cq *cq = ibv_create_cq(o->context, 16, NULL, NULL, 0);
	struct ibv_xrcd *xrcd = open_xrcd(o->context, -1);
	struct ibv_qp *target = open_target(o->context, xrcd), *initiator = open_initiator(o);
	struct ibv_srq *srq = open_srq(o, xrcd, cq);

	objects_connect(o, initiator, target);
	post_receive(o, srq, 0x10000, 7);
	post_send(o, initiator, number_of(srq), 1);
	objects_poll_for(o->cq, 1, IBV_WC_SUCCESS);
	CHECK(!ibv_destroy_qp(target) && !ibv_destroy_srq(srq));
	objects_poll_for(cq, 7, IBV_WC_SUCCESS);
	CHECK(!ibv_destroy_qp(initiator) && !ibv_destroy_cq(cq) && !ibv_close_xrcd(xrcd));
}

static void srq_of_xrc_needs_all_its_objects(struct objects *o)
{
	struct ibv_xrcd *xrcd = open_xrcd(o->context, -1);
	struct ibv_srq_init_attr_ex attr = {.attr = {.max_wr = 16, .max_sge = 1},
	        .comp_mask = IBV_SRQ_INIT_ATTR_TYPE | IBV_SRQ_INIT_ATTR_XRCD | IBV_SRQ_INIT_ATTR_CQ,
	        .srq_type = IBV_SRQT_XRC,
	        .pd = o->pd,
	        .xrcd = xrcd,
	        .cq = o->cq};

	CHECK_NULL(EINVAL, ibv_create_srq_ex(o->context, &attr));
	attr.comp_mask = IBV_SRQ_INIT_ATTR_TYPE | IBV_SRQ_INIT_ATTR_PD | IBV_SRQ_INIT_ATTR_CQ;
	CHECK_NULL(EINVAL, ibv_create_srq_ex(o->context, &attr));
	attr.comp_mask = IBV_SRQ_INIT_ATTR_TYPE | IBV_SRQ_INIT_ATTR_PD | IBV_SRQ_INIT_ATTR_XRCD;
	CHECK_NULL(EINVAL, ibv_create_srq_ex(o->context, &attr));
	attr.comp_mask |= IBV_SRQ_INIT_ATTR_CQ | IBV_SRQ_INIT_ATTR_TM;
	CHECK_NULL(EOPNOTSUPP, ibv_create_srq_ex(o->context, &attr));
	CHECK(!ibv_close_xrcd(xrcd));
}

static void target_needs_a_domain_and_takes_no_srq(struct objects *o)
{
	struct ibv_xrcd *xrcd = open_xrcd(o->context, -1);
	struct ibv_srq *srq = open_srq(o, xrcd, o->cq);
	struct ibv_qp_init_attr_ex attr = {
	        .qp_type = IBV_QPT_XRC_RECV, .comp_mask = IBV_QP_INIT_ATTR_PD, .pd = o->pd};

	CHECK_NULL(EINVAL, ibv_create_qp_ex(o->context, &attr));
	attr.comp_mask = IBV_QP_INIT_ATTR_XRCD;
	CHECK_NULL(EINVAL, ibv_create_qp_ex(o->context, &attr));
	attr.xrcd = xrcd;
	attr.srq = srq;
	CHECK_NULL(EINVAL, ibv_create_qp_ex(o->context, &attr));
	CHECK(!ibv_destroy_srq(srq) && !ibv_close_xrcd(xrcd));
}

static void targets_and_initiators_lack_the_other_half(struct objects *o)
{
	struct ibv_xrcd *xrcd = open_xrcd(o->context, -1);
	struct ibv_qp *target = open_target(o->context, xrcd), *initiator = open_initiator(o);
	struct ibv_recv_wr receive = {0}, *bad_receive;
	struct ibv_send_wr send = {0}, *bad_send;

	objects_connect(o, initiator, target);
	CHECK(ibv_post_recv(initiator, &receive, &bad_receive) && bad_receive == &receive);
	CHECK(ibv_post_recv(target, &receive, &bad_receive) && bad_receive == &receive);
	CHECK(ibv_post_send(target, &send, &bad_send) && bad_send == &send);
	CHECK(!ibv_destroy_qp(target) && !ibv_destroy_qp(initiator) && !ibv_close_xrcd(xrcd));
}

static void device_claims_xrc(struct objects *o)
{
	struct ibv_device_attr attr;

	CHECK(!ibv_query_device(o->context, &attr));
	CHECK(attr.device_cap_flags & IBV_DEVICE_XRC);
}

const struct objects_test objects_xrc_tests[] = {
        OBJECTS_TEST(domain_goes_by_the_file),
        OBJECTS_TEST(domain_needs_to_be_told_of_a_file),
        OBJECTS_TEST(domain_is_busy_while_something_is_in_it),
        OBJECTS_TEST(contexts_share_a_domain),
        OBJECTS_TEST(private_domain_is_reached_from_no_other),
        OBJECTS_TEST(ordinary_srq_is_not_reached_by_its_number),
        OBJECTS_TEST(srq_number_can_be_set_through_qp_ex),
        OBJECTS_TEST(target_lives_as_long_as_a_handle),
        OBJECTS_TEST(closed_context_takes_its_handle_only),
        OBJECTS_TEST(only_targets_of_the_domain_can_be_opened),
        OBJECTS_TEST(events_of_a_target_go_to_every_handle),
        OBJECTS_TEST(limit_of_an_xrc_srq_is_reached),
        OBJECTS_TEST(completions_outlive_target_and_srq),
        OBJECTS_TEST(srq_of_xrc_needs_all_its_objects),
        OBJECTS_TEST(target_needs_a_domain_and_takes_no_srq),
        OBJECTS_TEST(targets_and_initiators_lack_the_other_half),
        OBJECTS_TEST(device_claims_xrc),
        {0},
};
