/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/* XRC: senders, targets and the shared queues that senders name, before, in and after a move. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <string.h>
#include <unistd.h>

#include "notifier/wire/rows.h"
#include "preload/objects.h"
#include "preload/real_verbs.h"
#include "preload/xrc.h"
#include "tests/unit/shim_harness.h"

/* A deadlock ends the program. */
enum { DEADLOCK_S = 20 };
enum { QUEUES = 2, BYTES = 32, LONG_BYTES = 2 * FAKE_MTU };

/* An end with a sender in end->qp, a target, and shared queues; those of odd number complete in a
 * queue of their own. */
struct xend {
	struct end *end;
	struct ibv_xrcd *domain;
	struct ibv_cq *cq;
	struct ibv_srq *srqs[QUEUES];
	uint32_t numbers[QUEUES];
	struct ibv_qp *target;
};

static struct {
	struct harness h;
	struct xend vm, peer;
} fixture;

static struct ibv_srq *make_srq(struct xend *x, struct ibv_cq *cq)
{
	struct ibv_srq_init_attr_ex attr = {
	        .attr = {.max_wr = HARNESS_DEPTH, .max_sge = 1},
	        .comp_mask = IBV_SRQ_INIT_ATTR_TYPE | IBV_SRQ_INIT_ATTR_PD |
	                     IBV_SRQ_INIT_ATTR_XRCD | IBV_SRQ_INIT_ATTR_CQ,
	        .srq_type = IBV_SRQT_XRC,
	        .pd = x->end->pd,
	        .xrcd = x->domain,
	        .cq = cq,
	};

	return ibv_create_srq_ex(x->end->context, &attr);
}

static void make_queue_pairs(struct xend *x)
{
	struct ibv_qp_init_attr_ex sender = {
	        .send_cq = x->end->cq,
	        .cap = {.max_send_wr = HARNESS_DEPTH, .max_send_sge = 2},
	        .qp_type = IBV_QPT_XRC_SEND,
	        .comp_mask = IBV_QP_INIT_ATTR_PD | IBV_QP_INIT_ATTR_SEND_OPS_FLAGS,
	        .pd = x->end->pd,
	        .send_ops_flags = IBV_QP_EX_WITH_SEND,
	};
	struct ibv_qp_init_attr_ex target = {
	        .qp_type = IBV_QPT_XRC_RECV,
	        .comp_mask = IBV_QP_INIT_ATTR_XRCD,
	        .xrcd = x->domain,
	};

	x->end->qp = ibv_create_qp_ex(x->end->context, &sender);
	x->target = ibv_create_qp_ex(x->end->context, &target);
	assert_non_null(x->end->qp);
	assert_non_null(x->target);
}

static void xend_open(struct xend *x, struct end *end)
{
	struct ibv_xrcd_init_attr attr = {
	        .comp_mask = IBV_XRCD_INIT_ATTR_FD | IBV_XRCD_INIT_ATTR_OFLAGS,
	        .fd = -1,
	        .oflags = O_CREAT | O_EXCL,
	};

	x->end = end;
	x->domain = ibv_open_xrcd(end->context, &attr);
	assert_non_null(x->domain);
	x->cq = ibv_create_cq(end->context, 4 * HARNESS_DEPTH, NULL, NULL, 0);
	for (int i = 0; i < QUEUES; i++) {
		x->srqs[i] = make_srq(x, i ? x->cq : end->cq);
		assert_non_null(x->srqs[i]);
		assert_int_equal(ibv_get_srq_num(x->srqs[i], &x->numbers[i]), 0);
	}
	make_queue_pairs(x);
}

static void xend_close(struct xend *x)
{
	if (x->target)
		assert_int_equal(ibv_destroy_qp(x->target), 0);
	for (int i = 0; i < QUEUES; i++)
		assert_int_equal(ibv_destroy_srq(x->srqs[i]), 0);
	assert_int_equal(ibv_destroy_cq(x->cq), 0);
	assert_int_equal(ibv_close_xrcd(x->domain), 0);
}

/* end_connect for any two queue pairs. */
static void connect_to(struct end *end, struct ibv_qp *from, struct ibv_qp *to, uint16_t lid)
{
	struct end from_end = *end, to_end = {.qp = to};

	from_end.qp = from;
	end_connect(&from_end, &to_end, lid);
}

static int setup(void **state)
{
	struct harness *h = &fixture.h;

	memset(&fixture, 0, sizeof(fixture));
	harness_interest = harness_handles = 0;
	harness_open(h);
	xend_open(&fixture.vm, &h->vm);
	xend_open(&fixture.peer, &h->peer);
	connect_to(&h->vm, h->vm.qp, fixture.peer.target, FAKE_LID_PEER);
	connect_to(&h->peer, fixture.peer.target, h->vm.qp, FAKE_LID_VM);
	connect_to(&h->peer, h->peer.qp, fixture.vm.target, FAKE_LID_VM);
	connect_to(&h->vm, fixture.vm.target, h->peer.qp, FAKE_LID_PEER);
	*state = &fixture;
	return 0;
}

static int teardown(void **state)
{
	struct harness *h = &fixture.h;

	assert_int_equal(ibv_destroy_qp(h->vm.qp), 0);
	assert_int_equal(ibv_destroy_qp(h->peer.qp), 0);
	h->vm.qp = h->peer.qp = NULL;
	xend_close(&fixture.vm);
	xend_close(&fixture.peer);
	harness_close(h);
	assert_int_equal(harness_interest, 0);
	assert_int_equal(harness_handles, 0);
	return 0;
}

/* ---- work ---- */

static int receive(struct xend *x, int queue, uint64_t wr_id, uint32_t offset, uint32_t length)
{
	struct ibv_sge sge = {(uintptr_t)x->end->memory + offset, length, x->end->mr->lkey};
	struct ibv_recv_wr wr = {.wr_id = wr_id, .sg_list = &sge, .num_sge = 1}, *bad;

	return ibv_post_srq_recv(x->srqs[queue], &wr, &bad);
}

static int send_to(struct xend *from, uint32_t number, uint64_t wr_id, uint32_t length)
{
	struct ibv_sge sge = {(uintptr_t)from->end->memory, length, from->end->mr->lkey};
	struct ibv_send_wr *bad, wr = {
	                                 .wr_id = wr_id,
	                                 .sg_list = &sge,
	                                 .num_sge = 1,
	                                 .opcode = IBV_WR_SEND,
	                                 .send_flags = IBV_SEND_SIGNALED,
	                                 .qp_type.xrc.remote_srqn = number,
	                         };

	return ibv_post_send(from->end->qp, &wr, &bad);
}

static unsigned execute(struct xend *from, unsigned messages, bool acknowledged)
{
	return fake_execute(real_of(from->end->qp), messages, acknowledged);
}

static void expect_one(struct ibv_cq *cq, uint64_t wr_id, uint32_t qpn)
{
	struct ibv_wc wc[2];

	assert_int_equal(ibv_poll_cq(cq, 2, wc), 1);
	assert_int_equal(wc[0].status, IBV_WC_SUCCESS);
	assert_int_equal(wc[0].wr_id, wr_id);
	assert_int_equal(wc[0].qp_num, qpn);
}

static void expect_none(struct ibv_cq *cq)
{
	struct ibv_wc wc;

	assert_int_equal(ibv_poll_cq(cq, 1, &wc), 0);
}

/* A message to each shared queue at the other end. */
static void expect_it_works(struct xend *from, struct xend *to)
{
	for (int i = 0; i < QUEUES; i++) {
		assert_int_equal(receive(to, i, 70u + (unsigned)i, 0, BYTES), 0);
		assert_int_equal(send_to(from, to->numbers[i], 80u + (unsigned)i, BYTES), 0);
		assert_int_equal(execute(from, 9, true), 1);
		expect_one(from->end->cq, 80u + (unsigned)i, from->end->qp->qp_num);
		expect_one(i ? to->cq : to->end->cq, 70u + (unsigned)i, to->target->qp_num);
	}
}

/* ---- tests ---- */

static void messages_reach_the_queue_that_they_name(void **state)
{
	expect_it_works(&fixture.vm, &fixture.peer);
	expect_it_works(&fixture.peer, &fixture.vm);
}

static void they_do_after_moves(void **state)
{
	struct harness *h = &fixture.h;

	for (int i = 0; i < 3; i++) {
		uint32_t real;

		harness_move(h);
		assert_int_equal(
		        ibv_get_srq_num(shared_receive_queue_of(fixture.vm.srqs[0])->real, &real),
		        0);
		assert_int_not_equal(real, fixture.vm.numbers[0]);
		expect_it_works(&fixture.vm, &fixture.peer);
		expect_it_works(&fixture.peer, &fixture.vm);
	}
}

static void built_work_names_its_queue(void **state)
{
	struct harness *h = &fixture.h;
	struct ibv_qp_ex *qpx = ibv_qp_to_qp_ex(h->peer.qp);

	harness_move(h);
	assert_int_equal(receive(&fixture.vm, 1, 5, 0, BYTES), 0);
	ibv_wr_start(qpx);
	qpx->wr_id = 6;
	qpx->wr_flags = IBV_SEND_SIGNALED;
	ibv_wr_send(qpx);
	ibv_wr_set_sge(qpx, h->peer.mr->lkey, (uintptr_t)h->peer.memory, BYTES);
	ibv_wr_set_xrc_srqn(qpx, fixture.vm.numbers[1]);
	assert_int_equal(ibv_wr_complete(qpx), 0);
	assert_int_equal(execute(&fixture.peer, 9, true), 1);
	expect_one(fixture.vm.cq, 5, fixture.vm.target->qp_num);
	expect_one(h->peer.cq, 6, h->peer.qp->qp_num);
}

/* One executed without an answer, one not at all: one made up, one sent again, each once. */
static void expect_each_once(struct xend *from, struct xend *to)
{
	struct harness *h = &fixture.h;

	assert_int_equal(receive(to, 0, 10, 0, BYTES), 0);
	assert_int_equal(receive(to, 1, 11, BYTES, BYTES), 0);
	assert_int_equal(send_to(from, to->numbers[0], 1, BYTES), 0);
	assert_int_equal(send_to(from, to->numbers[1], 2, BYTES), 0);
	assert_int_equal(execute(from, 1, false), 1);
	harness_move(h);
	expect_one(from->end->cq, 1, from->end->qp->qp_num);
	expect_one(to->end->cq, 10, to->target->qp_num);
	expect_none(to->cq);
	assert_int_equal(execute(from, 9, true), 1);
	expect_one(from->end->cq, 2, from->end->qp->qp_num);
	expect_one(to->cq, 11, to->target->qp_num);
	expect_none(to->end->cq);
	expect_it_works(from, to);
}

static void what_the_vm_sends_is_executed_once(void **state)
{
	expect_each_once(&fixture.vm, &fixture.peer);
}

static void what_the_peer_sends_is_executed_once(void **state)
{
	expect_each_once(&fixture.peer, &fixture.vm);
}

static void release_waits_for_receives_in_all_queues(void **state)
{
	struct harness *h = &fixture.h;

	assert_int_equal(receive(&fixture.vm, 0, 10, 0, BYTES), 0);
	assert_int_equal(receive(&fixture.vm, 1, 11, 0, BYTES), 0);
	assert_int_equal(send_to(&fixture.peer, fixture.vm.numbers[0], 1, BYTES), 0);
	assert_int_equal(send_to(&fixture.peer, fixture.vm.numbers[1], 2, BYTES), 0);
	fake.hold_receives = true;
	assert_int_equal(execute(&fixture.peer, 9, true), 2);
	harness_stop(h);
	fake_release_receives();
	harness_go_on(h);
	expect_one(h->vm.cq, 10, fixture.vm.target->qp_num);
	expect_one(fixture.vm.cq, 11, fixture.vm.target->qp_num);
}

/* What RECONNECT does not say is taken back, and after an abort it says what SETTLE's answers did.
 */
static void numbers_outlive_an_abort(void **state)
{
	struct harness *h = &fixture.h;
	unsigned said = 0;

	harness_move(h);
	harness_stop(h);
	for (size_t i = 0; i < h->settled->qps->n_local_qpn; i++) {
		struct qp_row row = qp_rows_get(h->settled->qps, i);

		said += row.local_lid == FAKE_LID_VM && !row.remote_qpn && !row.remote_lid &&
		        row.local_qpn == (XRC_NUMBERS | fixture.vm.numbers[0]) &&
		        row.real_qpn != row.local_qpn;
	}
	assert_int_equal(said, 1);
	harness_expect(h, TETHER__STEP__STEP_ABORT, DONE);
	harness_expect(h, TETHER__STEP__STEP_SETTLE, DONE);
	harness_expect(h, TETHER__STEP__STEP_RECONNECT, DONE);
	harness_expect(h, TETHER__STEP__STEP_RESUME, DONE);
	expect_it_works(&fixture.vm, &fixture.peer);
	expect_it_works(&fixture.peer, &fixture.vm);
}

/* The peer's queues stay, and a message of which a part is there has taken a buffer. */
static void a_buffer_that_is_flushed_is_posted_again(void **state)
{
	struct harness *h = &fixture.h;

	assert_int_equal(receive(&fixture.peer, 1, 50, 0, LONG_BYTES), 0);
	assert_int_equal(send_to(&fixture.vm, fixture.peer.numbers[1], 1, LONG_BYTES), 0);
	fake_execute_part(real_of(h->vm.qp), 1);
	harness_move(h);
	assert_int_equal(execute(&fixture.vm, 9, true), 1);
	expect_one(fixture.peer.cq, 50, fixture.peer.target->qp_num);
	expect_one(h->vm.cq, 1, h->vm.qp->qp_num);
}

static void a_wrong_number_stays_wrong(void **state)
{
	struct harness *h = &fixture.h;
	struct ibv_wc wc;

	harness_move(h);
	assert_int_equal(send_to(&fixture.peer, 0x777777, 1, BYTES), 0);
	execute(&fixture.peer, 9, true);
	assert_int_equal(ibv_poll_cq(h->peer.cq, 1, &wc), 1);
	assert_int_equal(wc.status, IBV_WC_REM_INV_REQ_ERR);
}

static void a_number_that_is_taken_is_not_given(void **state)
{
	struct harness *h = &fixture.h;
	struct ibv_srq *made;
	uint32_t number;

	harness_move(h);
	fake_next_number(fixture.vm.numbers[0]);
	made = make_srq(&fixture.vm, h->vm.cq);
	assert_non_null(made);
	assert_int_equal(ibv_get_srq_num(made, &number), 0);
	assert_int_not_equal(number, fixture.vm.numbers[0]);
	assert_int_not_equal(number, fixture.vm.numbers[1]);
	assert_int_equal(ibv_destroy_srq(made), 0);
	expect_it_works(&fixture.peer, &fixture.vm);
}

static void a_queue_made_later_is_served_by_earlier_targets(void **state)
{
	struct harness *h = &fixture.h;
	struct ibv_srq *had = fixture.vm.srqs[1];

	harness_move(h);
	fixture.vm.srqs[1] = make_srq(&fixture.vm, fixture.vm.cq);
	assert_int_equal(ibv_get_srq_num(fixture.vm.srqs[1], &fixture.vm.numbers[1]), 0);
	assert_int_equal(ibv_destroy_srq(had), 0);
	expect_it_works(&fixture.peer, &fixture.vm);
	harness_move(h);
	expect_it_works(&fixture.peer, &fixture.vm);
}

static void a_target_may_be_left_in_rtr(void **state)
{
	struct harness *h = &fixture.h;
	struct ibv_qp_attr attr = {.qp_state = IBV_QPS_RESET};

	assert_int_equal(ibv_modify_qp(fixture.vm.target, &attr, IBV_QP_STATE), 0);
	attr = (struct ibv_qp_attr){.qp_state = IBV_QPS_INIT, .port_num = 1};
	assert_int_equal(
	        ibv_modify_qp(fixture.vm.target, &attr,
	                IBV_QP_STATE | IBV_QP_PKEY_INDEX | IBV_QP_PORT | IBV_QP_ACCESS_FLAGS),
	        0);
	attr = (struct ibv_qp_attr){.qp_state = IBV_QPS_RTR,
	        .path_mtu = IBV_MTU_1024,
	        .dest_qp_num = h->peer.qp->qp_num,
	        .rq_psn = HARNESS_FIRST_PSN,
	        .ah_attr = {.dlid = FAKE_LID_PEER, .port_num = 1}};
	assert_int_equal(
	        ibv_modify_qp(fixture.vm.target, &attr,
	                IBV_QP_STATE | IBV_QP_AV | IBV_QP_PATH_MTU | IBV_QP_DEST_QPN |
	                        IBV_QP_RQ_PSN | IBV_QP_MAX_DEST_RD_ATOMIC | IBV_QP_MIN_RNR_TIMER),
	        0);
	expect_it_works(&fixture.peer, &fixture.vm);
	harness_move(h);
	expect_it_works(&fixture.peer, &fixture.vm);
}

static void what_a_destroyed_target_has_received_is_shown(void **state)
{
	struct harness *h = &fixture.h;
	uint32_t qpn = fixture.vm.target->qp_num;

	harness_move(h);
	assert_int_equal(receive(&fixture.vm, 1, 5, 0, BYTES), 0);
	assert_int_equal(send_to(&fixture.peer, fixture.vm.numbers[1], 6, BYTES), 0);
	assert_int_equal(execute(&fixture.peer, 9, true), 1);
	assert_int_equal(ibv_destroy_qp(fixture.vm.target), 0);
	fixture.vm.target = NULL;
	expect_one(fixture.vm.cq, 5, qpn);
	harness_expect(h, TETHER__STEP__STEP_PREPARE, DONE);
}

static void the_domain_is_opened_again_as_it_was_shared(void **state)
{
	struct harness *h = &fixture.h;
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
	assert_int_equal(ibv_close_xrcd(fixture.vm.domain), EBUSY);
	assert_int_equal(ibv_destroy_cq(fixture.vm.cq), EBUSY);
}

/* A target that this library has not made gets what the peer sends; it stands for one of another
 * process. */
static struct ibv_qp *stranger_receives(struct harness *h)
{
	struct ibv_qp_init_attr_ex init = {
	        .qp_type = IBV_QPT_XRC_RECV,
	        .comp_mask = IBV_QP_INIT_ATTR_XRCD,
	        .xrcd = xrc_domain_of(fixture.vm.domain)->real,
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
	assert_int_equal(receive(&fixture.vm, 1, 5, 0, BYTES), 0);
	assert_int_equal(send_to(&fixture.peer, fixture.vm.numbers[1], 6, BYTES), 0);
	assert_int_equal(execute(&fixture.peer, 9, true), 1);
	expect_one(fixture.vm.cq, 5, stranger->qp_num);
	return stranger;
}

/* Whose numbers and evidence this process does not have. */
static void a_domain_with_targets_of_others_is_refused(void **state)
{
	struct harness *h = &fixture.h;
	struct ibv_qp *stranger = stranger_receives(h);

	harness_expect(h, TETHER__STEP__STEP_PREPARE, REFUSED);
	assert_string_equal(harness_reason(h), "veto-xrc-shared");
	assert_int_equal(below.ibv_destroy_qp(stranger), 0);
}

static void a_stranger_is_not_taken_for_one_that_is_gone(void **state)
{
	struct harness *h = &fixture.h;
	struct ibv_qp_init_attr_ex init = {
	        .qp_type = IBV_QPT_XRC_RECV,
	        .comp_mask = IBV_QP_INIT_ATTR_XRCD,
	        .xrcd = fixture.vm.domain,
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
	struct harness *h = &fixture.h;

	harness_stop(h);
	harness_expect(h, TETHER__STEP__STEP_RELEASE, DONE);
	harness_expect(h, TETHER__STEP__STEP_ERROR, DONE);
	errno = 0;
	assert_null(make_srq(&fixture.vm, fixture.vm.cq));
	assert_int_equal(errno, ENODEV);
}

static void *close_and_open(void *unused)
{
	xrc_close_completions(xrc_domain_of(fixture.vm.domain));
	xrc_open_completions(xrc_domain_of(fixture.vm.domain));
	return NULL;
}

static void await_closed(struct gate *gate)
{
	while (!pthread_mutex_trylock(&gate->lock)) {
		pthread_mutex_unlock(&gate->lock);
		sched_yield();
	}
}

/* As a signal handler does that polls one queue while its thread is inside another. */
static void who_closes_all_queues_gives_way(void **state)
{
	struct gate *first = &completion_queue_of(fixture.h.vm.cq)->gate;
	struct gate *last = &completion_queue_of(fixture.vm.cq)->gate;
	enum gate_pass inside, meanwhile;
	pthread_t thread;

	if (first > last) {
		last = &completion_queue_of(fixture.h.vm.cq)->gate;
		first = &completion_queue_of(fixture.vm.cq)->gate;
	}
	alarm(DEADLOCK_S);
	inside = gate_enter(last);
	pthread_create(&thread, NULL, close_and_open, NULL);
	await_closed(first);
	meanwhile = gate_enter(first);
	gate_leave(first, meanwhile);
	gate_leave(last, inside);
	pthread_join(thread, NULL);
	alarm(0);
	expect_it_works(&fixture.peer, &fixture.vm);
}

static void other_kinds_are_refused(void **state)
{
	struct harness *h = &fixture.h;
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
	        .qp_num = fixture.vm.target->qp_num,
	        .xrcd = fixture.vm.domain,
	        .qp_type = IBV_QPT_XRC_RECV,
	};

	assert_null(ibv_create_srq_ex(h->vm.context, &matching));
	assert_int_equal(errno, EOPNOTSUPP);
	errno = 0;
	assert_null(ibv_open_qp(h->vm.context, &open));
	assert_int_equal(errno, EOPNOTSUPP);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
	        TEST(messages_reach_the_queue_that_they_name),
	        TEST(they_do_after_moves),
	        TEST(built_work_names_its_queue),
	        TEST(what_the_vm_sends_is_executed_once),
	        TEST(what_the_peer_sends_is_executed_once),
	        TEST(release_waits_for_receives_in_all_queues),
	        TEST(numbers_outlive_an_abort),
	        TEST(a_buffer_that_is_flushed_is_posted_again),
	        TEST(a_wrong_number_stays_wrong),
	        TEST(a_number_that_is_taken_is_not_given),
	        TEST(a_queue_made_later_is_served_by_earlier_targets),
	        TEST(a_target_may_be_left_in_rtr),
	        TEST(what_a_destroyed_target_has_received_is_shown),
	        TEST(the_domain_is_opened_again_as_it_was_shared),
	        TEST(what_is_used_is_busy),
	        TEST(a_domain_with_targets_of_others_is_refused),
	        TEST(a_stranger_is_not_taken_for_one_that_is_gone),
	        TEST(no_queue_is_made_without_a_device),
	        TEST(who_closes_all_queues_gives_way),
	        TEST(other_kinds_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
