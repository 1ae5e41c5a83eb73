/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/* The protocol: what is answered and refused, repeated or late. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <sys/mman.h>

#include "notifier/base/cleanup.h"
#include "notifier/wire/rows.h"
#include "preload/objects.h"
#include "tests/unit/shim_harness.h"

static void a_repeated_event_gets_the_same_answer(void **state)
{
	struct harness *h = *state;
	Tether__Event event;
	uint32_t psn;

	harness_expect(h, TETHER__STEP__STEP_PREPARE, DONE);
	harness_expect(h, TETHER__STEP__STEP_STOP, DONE);
	harness_event_fill(h, &event, TETHER__STEP__STEP_SETTLE);
	assert_int_equal(harness_event(h, &event), DONE);
	psn = h->answer->qps->sq_psn[0];
	assert_int_equal(harness_event(h, &event), DONE);
	assert_int_equal(h->answer->qps->sq_psn[0], psn);
	harness_expect(h, TETHER__STEP__STEP_SETTLE, DONE);
	assert_int_equal(h->settled->qps->sq_psn[0], psn);
	harness_go_on(h);
}

static void an_older_epoch_is_refused(void **state)
{
	struct harness *h = *state;
	Tether__Event event;

	harness_event_fill(h, &event, TETHER__STEP__STEP_PREPARE);
	event.epoch = 9;
	assert_int_equal(harness_event(h, &event), DONE);
	harness_event_fill(h, &event, TETHER__STEP__STEP_STOP);
	event.epoch = 8;
	assert_int_equal(harness_event(h, &event), REFUSED);
	assert_string_equal(harness_reason(h), "older-epoch");
	assert_int_equal(harness_write(h, 1), 0);
	assert_int_equal(end_pending(&h->vm), 1);
}

static void epochs_of_different_vms_are_not_compared(void **state)
{
	struct harness *h = *state;
	Tether__Address other = TETHER__ADDRESS__INIT;
	Tether__Event event;

	harness_event_fill(h, &event, TETHER__STEP__STEP_PREPARE);
	other.lid = 99;
	event.address = &other;
	event.epoch = 9;
	event.migration = 1000;
	assert_int_equal(harness_event(h, &event), DONE);
	harness_move(h); /* of epoch 1 */
}

/* Over before this one began; the root tells it late, under this one's epoch. */
static void the_end_of_one_before_lets_go_of_nothing(void **state)
{
	static const Tether__Step ends[] = {
	        TETHER__STEP__STEP_ABORT, TETHER__STEP__STEP_ERROR, TETHER__STEP__STEP_RESUME};
	struct harness *h = *state;
	Tether__Event event;

	harness_stop(h);
	for (size_t i = 0; i < ARRAY_SIZE(ends); i++) {
		harness_event_fill(h, &event, ends[i]);
		event.migration = 1000;
		assert_int_equal(harness_event(h, &event), DONE);
		assert_int_equal(context_of(h->vm.context)->phase, PHASE_STOPPED);
	}
	harness_go_on(h);
	assert_int_equal(context_of(h->vm.context)->phase, PHASE_RUNNING);
}

static void an_event_that_was_overtaken_begins_nothing(void **state)
{
	struct harness *h = *state;
	Tether__Event late, abort;

	harness_expect(h, TETHER__STEP__STEP_PREPARE, DONE);
	harness_event_fill(h, &late, TETHER__STEP__STEP_SETTLE);
	h->sequence += 5;
	harness_event_fill(h, &abort, TETHER__STEP__STEP_ABORT);
	assert_int_equal(harness_event(h, &abort), DONE);
	assert_int_equal(harness_event(h, &late), REFUSED);
	assert_string_equal(harness_reason(h), "over");
	harness_write(h, 1);
	assert_int_equal(end_pending(&h->vm), 1);
}

static void a_step_that_is_no_process_business_is_refused(void **state)
{
	struct harness *h = *state;

	harness_expect(h, TETHER__STEP__STEP_MOVE, REFUSED);
	assert_string_equal(harness_reason(h), "unknown-step");
}

static void a_process_that_is_not_concerned_agrees_to_everything(void **state)
{
	struct harness *h = *state;

	assert_int_equal(ibv_destroy_qp(h->vm.qp), 0);
	assert_int_equal(ibv_destroy_qp(h->peer.qp), 0);
	h->vm.qp = h->peer.qp = NULL;
	harness_move(h);
}

/* ---- vetoes ---- */

static void refused_for(struct harness *h, const char *reason)
{
	harness_expect(h, TETHER__STEP__STEP_PREPARE, REFUSED);
	assert_string_equal(harness_reason(h), reason);
	assert_int_equal(harness_write(h, 1), 0);
	assert_int_equal(end_pending(&h->vm), 1);
}

static uint8_t *pages_map(size_t count)
{
	return mmap(NULL, count * 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
}

static void memory_with_a_hole_is_refused_by_name(void **state)
{
	struct harness *h = *state;
	uint8_t *pages = pages_map(3);
	struct ibv_mr *mr = ibv_reg_mr(h->vm.pd, pages, 3 * 4096, IBV_ACCESS_LOCAL_WRITE);

	munmap(pages + 4096, 4096);
	refused_for(h, "veto-memory-unmapped");
	assert_int_equal(ibv_dereg_mr(mr), 0);
}

static void what_came_after_prepare_is_refused_at_stop(void **state)
{
	struct harness *h = *state;
	uint8_t *pages = pages_map(3);
	struct ibv_mr *mr = ibv_reg_mr(h->vm.pd, pages, 3 * 4096, IBV_ACCESS_LOCAL_WRITE);

	harness_expect(h, TETHER__STEP__STEP_PREPARE, DONE);
	munmap(pages + 4096, 4096);
	harness_expect(h, TETHER__STEP__STEP_STOP, REFUSED);
	assert_int_equal(harness_write(h, 1), 0);
	assert_int_equal(end_pending(&h->vm), 1);
	assert_int_equal(ibv_dereg_mr(mr), 0);
}

/* What was said once stands: nothing is looked at, or done, a second time. */
static void a_repeated_event_works_nothing(void **state)
{
	struct harness *h = *state;
	uint8_t *pages = pages_map(3);
	struct ibv_mr *mr = ibv_reg_mr(h->vm.pd, pages, 3 * 4096, IBV_ACCESS_LOCAL_WRITE);
	Tether__Event event;

	harness_event_fill(h, &event, TETHER__STEP__STEP_PREPARE);
	assert_int_equal(harness_event(h, &event), DONE);
	munmap(pages + 4096, 4096); /* whoever looks now refuses */
	assert_int_equal(harness_event(h, &event), DONE);
	harness_expect(h, TETHER__STEP__STEP_ABORT, DONE);
	assert_int_equal(ibv_dereg_mr(mr), 0);
}

static void one_migration_at_a_time_for_a_queue_pair(void **state)
{
	struct harness *h = *state;

	harness_expect(h, TETHER__STEP__STEP_PREPARE, DONE);
	harness_expect(h, TETHER__STEP__STEP_STOP, DONE);
	harness_expect(h, TETHER__STEP__STEP_PREPARE, REFUSED); /* another one */
	assert_string_equal(harness_reason(h), "already-moving");
	h->migration--;
	harness_expect(h, TETHER__STEP__STEP_ABORT, DONE);
	harness_write(h, 1);
	assert_int_equal(end_pending(&h->vm), 1);
}

/* ---- queue pairs that are not connected ---- */

static void a_queue_pair_made_before_connects_after_the_move(void **state)
{
	struct harness *h = *state;
	struct ibv_qp_init_attr attr = {.send_cq = h->vm.cq,
	        .recv_cq = h->vm.cq,
	        .cap = {.max_recv_wr = 4, .max_recv_sge = 1},
	        .qp_type = IBV_QPT_RC};
	struct ibv_qp_attr init = {.qp_state = IBV_QPS_INIT, .port_num = 1};
	struct qp_row row;

	h->vm.qp = ibv_create_qp(h->vm.pd, &attr);
	assert_int_equal(
	        ibv_modify_qp(h->vm.qp, &init,
	                IBV_QP_STATE | IBV_QP_PKEY_INDEX | IBV_QP_PORT | IBV_QP_ACCESS_FLAGS),
	        0);
	assert_int_equal(end_receive(&h->vm, 50, 0, 8), 0);
	harness_move(h);
	assert_int_equal(real_of(h->vm.qp)->state, IBV_QPS_INIT);
	assert_int_equal(fake_receives(real_of(h->vm.qp)), 1);
	row = qp_rows_get(h->attached->qps, 0);
	assert_int_equal(row.local_qpn, h->vm.qp->qp_num);
	assert_int_equal(row.real_qpn, real_of(h->vm.qp)->qp_num);
}

#define CONNECTED(test) cmocka_unit_test_setup_teardown(test, harness_setup, harness_teardown)
#define UNCONNECTED(test)                                                                          \
	cmocka_unit_test_setup_teardown(test, harness_setup_unconnected, harness_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
	        CONNECTED(a_repeated_event_gets_the_same_answer),
	        CONNECTED(a_repeated_event_works_nothing),
	        CONNECTED(an_older_epoch_is_refused),
	        CONNECTED(epochs_of_different_vms_are_not_compared),
	        CONNECTED(the_end_of_one_before_lets_go_of_nothing),
	        CONNECTED(an_event_that_was_overtaken_begins_nothing),
	        CONNECTED(a_step_that_is_no_process_business_is_refused),
	        CONNECTED(a_process_that_is_not_concerned_agrees_to_everything),
	        CONNECTED(memory_with_a_hole_is_refused_by_name),
	        CONNECTED(what_came_after_prepare_is_refused_at_stop),
	        CONNECTED(one_migration_at_a_time_for_a_queue_pair),
	        UNCONNECTED(a_queue_pair_made_before_connects_after_the_move),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
