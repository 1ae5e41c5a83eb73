/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/* Numbers of processes of one VM: none means what another has. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <sys/wait.h>
#include <unistd.h>

#include "notifier/wire/rows.h"
#include "preload/objects.h"
#include "preload/reserved_numbers.h"
#include "tests/unit/shim_harness.h"

/* Processes of two containers of a VM, whose ids are counted anew in each. */
pid_t getpid(void)
{
	return 1;
}

static uint32_t number_of_another_process(const struct harness *h)
{
	uint32_t number = 0;
	int told[2];
	pid_t child;

	assert_int_equal(pipe(told), 0);
	child = fork();
	if (!child) {
		number = context_of(ibv_open_device(h->vm.context->device))->number;
		_exit(write(told[1], &number, sizeof(number)) < 0);
	}
	assert_int_equal(read(told[0], &number, sizeof(number)), sizeof(number));
	assert_int_equal(waitpid(child, NULL, 0), child);
	close(told[0]);
	close(told[1]);
	return number;
}

static void contexts_of_processes_of_the_same_id_have_numbers_of_their_own(void **state)
{
	uint32_t first = number_of_another_process(*state);

	assert_int_not_equal(first, number_of_another_process(*state));
}

static uint32_t number_made(struct harness *h)
{
	struct ibv_qp_init_attr attr = {.send_cq = h->vm.cq,
	        .recv_cq = h->vm.cq,
	        .cap = {.max_send_wr = 1, .max_send_sge = 1},
	        .qp_type = IBV_QPT_RC};
	struct ibv_qp *qp = ibv_create_qp(h->vm.pd, &attr);
	uint32_t number;

	assert_non_null(qp);
	number = qp->qp_num;
	assert_int_equal(ibv_destroy_qp(qp), 0);
	return number;
}

/* The other process had it before the VM moved, and is known by it. */
static void a_number_that_means_another_process_is_held_aside(void **state)
{
	struct harness *h = *state;
	struct qp_row others = {.local_lid = FAKE_LID_VM,
	        .local_qpn = 0x3400,
	        .real_qpn = 0x2222,
	        .remote_lid = FAKE_LID_PEER,
	        .remote_qpn = 1};

	harness_stop(h);
	harness_expect(h, TETHER__STEP__STEP_RELEASE, DONE);
	fake.slot = 1;
	harness_expect(h, TETHER__STEP__STEP_ATTACH, DONE);
	assert_int_equal(qp_rows_append(h->attached->qps, &others), 0);
	harness_expect(h, TETHER__STEP__STEP_RECONNECT, DONE);
	harness_expect(h, TETHER__STEP__STEP_RESUME, DONE);
	fake_next_number(0x3400);
	assert_int_equal(number_made(h), 0x3401);
	/* Nor is the one that it has had since: to those who know it by the other, it means that.
	 */
	fake_next_number(0x2222);
	assert_int_equal(number_made(h), 0x2223);
}

static void many_numbers_in_a_row_may_mean_others(void **state)
{
	struct harness *h = *state;
	uint32_t taken[200];

	for (uint32_t i = 0; i < 200; i++)
		taken[i] = 0x4000 + i;
	assert_int_equal(reserved_numbers_add(taken, 200), 0);
	fake_next_number(0x4000);
	assert_int_equal(number_made(h), 0x4000 + 200);
}

/* Two had the same number and were refused: if it is asked again they need not. */
static void a_number_that_nobody_knows_is_drawn_again_at_prepare(void **state)
{
	struct harness *h = *state;
	const struct context *vm = context_of(h->vm.context);
	uint32_t before = vm->number;

	harness_expect(h, TETHER__STEP__STEP_PREPARE, DONE);
	assert_int_not_equal(vm->number, before);
	harness_stop(h);
	harness_go_on(h);
	before = vm->number;
	harness_expect(h, TETHER__STEP__STEP_PREPARE, DONE);
	assert_int_equal(vm->number, before);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, harness_setup, harness_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
	        TEST(contexts_of_processes_of_the_same_id_have_numbers_of_their_own),
	        TEST(a_number_that_means_another_process_is_held_aside),
	        TEST(many_numbers_in_a_row_may_mean_others),
	        TEST(a_number_that_nobody_knows_is_drawn_again_at_prepare),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
