/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/* XRC domains: they are opened again as they were, and what is in them of others is refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "preload/objects.h"
#include "preload/real_verbs.h"
#include "preload/xrc.h"
#include "tests/unit/shim_harness.h"
#include "tests/unit/shim_xrc_ends.h"

static void the_domain_is_opened_again_as_it_was_shared(void **state)
{
	struct harness *h = &xrc.h;
	int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
	struct ibv_xrcd_init_attr attr = {
	        .comp_mask = IBV_XRCD_INIT_ATTR_FD | IBV_XRCD_INIT_ATTR_OFLAGS,
	        .fd = fd,
	        .oflags = O_CREAT | O_EXCL,
	};
	struct ibv_xrcd *domain = ibv_open_xrcd(h->vm.context, &attr);

	assert_non_null(domain);
	assert_int_equal(fake.xrcd_oflags, O_CREAT | O_EXCL);
	close(fd);
	fake.xrcd_fd = -1;
	harness_move(h);
	assert_int_not_equal(fake.xrcd_fd, -1);
	assert_int_equal(fcntl(fake.xrcd_fd, F_GETFD), FD_CLOEXEC);
	assert_int_equal(fake.xrcd_oflags, O_CREAT);
	assert_int_equal(ibv_close_xrcd(domain), 0);
	assert_int_equal(fcntl(fake.xrcd_fd, F_GETFD), -1);
}

static void what_is_used_is_busy(void **state)
{
	assert_int_equal(ibv_close_xrcd(xrc.vm.domain), EBUSY);
	assert_int_equal(ibv_destroy_cq(xrc.vm.cq), EBUSY);
}

/* A target that this library has not made gets what the peer sends; it stands for one of another
 * process. */
static struct ibv_qp *stranger_receives(struct harness *h)
{
	struct ibv_qp_init_attr_ex init = {
	        .qp_type = IBV_QPT_XRC_RECV,
	        .comp_mask = IBV_QP_INIT_ATTR_XRCD,
	        .xrcd = xrc_domain_of(xrc.vm.domain)->real,
	};
	struct ibv_qp *stranger = ibv_create_qp_ex(real_of(h->vm.qp)->context, &init);
	struct ibv_qp_attr attr = {.qp_state = IBV_QPS_INIT, .port_num = 1};

	assert_int_equal(below.ibv_modify_qp(stranger, &attr, IBV_QP_STATE), 0);
	attr = (struct ibv_qp_attr){.qp_state = IBV_QPS_RTR,
	        .dest_qp_num = real_of(h->peer.qp)->qp_num,
	        .rq_psn = HARNESS_FIRST_PSN,
	        .ah_attr.dlid = FAKE_LID_PEER};
	assert_int_equal(below.ibv_modify_qp(stranger, &attr, IBV_QP_STATE), 0);
	attr.dest_qp_num = stranger->qp_num;
	attr.ah_attr.dlid = FAKE_LID_VM;
	fake_aim(real_of(h->peer.qp), &attr);
	assert_int_equal(xend_receive(&xrc.vm, 1, 5, 0, BYTES), 0);
	assert_int_equal(xend_send(&xrc.peer, xrc.vm.numbers[1], 6, BYTES), 0);
	assert_int_equal(xend_execute(&xrc.peer, 9, true), 1);
	expect_completion(xrc.vm.cq, 5, stranger->qp_num);
	return stranger;
}

/* Whose numbers and evidence this process does not have. */
static void a_domain_with_targets_of_others_is_refused(void **state)
{
	struct harness *h = &xrc.h;
	struct ibv_qp *stranger = stranger_receives(h);

	harness_expect(h, TETHER__STEP__STEP_PREPARE, REFUSED);
	assert_string_equal(harness_reason(h), "veto-xrc-shared");
	assert_int_equal(below.ibv_destroy_qp(stranger), 0);
}

static void a_stranger_is_not_taken_for_one_that_is_gone(void **state)
{
	struct harness *h = &xrc.h;
	struct ibv_qp_init_attr_ex init = {
	        .qp_type = IBV_QPT_XRC_RECV,
	        .comp_mask = IBV_QP_INIT_ATTR_XRCD,
	        .xrcd = xrc.vm.domain,
	};
	struct ibv_qp *gone = ibv_create_qp_ex(h->vm.context, &init), *stranger;
	uint32_t number = gone->qp_num;

	assert_int_equal(ibv_destroy_qp(gone), 0);
	harness_move(h);
	fake_next_number(number);
	stranger = stranger_receives(h);
	assert_int_equal(stranger->qp_num, number);
	harness_expect(h, TETHER__STEP__STEP_PREPARE, REFUSED);
	assert_string_equal(harness_reason(h), "veto-xrc-shared");
	assert_int_equal(below.ibv_destroy_qp(stranger), 0);
}

/* Under a checker for leaks: and nothing is left of the attempt. */
static void no_queue_is_made_without_a_device(void **state)
{
	struct harness *h = &xrc.h;

	harness_stop(h);
	harness_expect(h, TETHER__STEP__STEP_RELEASE, DONE);
	harness_expect(h, TETHER__STEP__STEP_ERROR, DONE);
	errno = 0;
	assert_null(xend_create_srq_ex(&xrc.vm, xrc.vm.cq));
	assert_int_equal(errno, ENODEV);
}

static void other_kinds_are_refused(void **state)
{
	struct harness *h = &xrc.h;
	struct ibv_srq_init_attr_ex matching = {
	        .attr = {.max_wr = 1, .max_sge = 1},
	        .comp_mask = IBV_SRQ_INIT_ATTR_TYPE | IBV_SRQ_INIT_ATTR_PD | IBV_SRQ_INIT_ATTR_CQ |
	                     IBV_SRQ_INIT_ATTR_TM,
	        .srq_type = IBV_SRQT_TM,
	        .pd = h->vm.pd,
	        .cq = h->vm.cq,
	};
	struct ibv_qp_open_attr open = {
	        .comp_mask = IBV_QP_OPEN_ATTR_NUM | IBV_QP_OPEN_ATTR_XRCD | IBV_QP_OPEN_ATTR_TYPE,
	        .qp_num = xrc.vm.target->qp_num,
	        .xrcd = xrc.vm.domain,
	        .qp_type = IBV_QPT_XRC_RECV,
	};

	assert_null(ibv_create_srq_ex(h->vm.context, &matching));
	assert_int_equal(errno, EOPNOTSUPP);
	errno = 0;
	assert_null(ibv_open_qp(h->vm.context, &open));
	assert_int_equal(errno, EOPNOTSUPP);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, xrc_setup, xrc_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
	        TEST(the_domain_is_opened_again_as_it_was_shared),
	        TEST(what_is_used_is_busy),
	        TEST(a_domain_with_targets_of_others_is_refused),
	        TEST(a_stranger_is_not_taken_for_one_that_is_gone),
	        TEST(no_queue_is_made_without_a_device),
	        TEST(other_kinds_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
