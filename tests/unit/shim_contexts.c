/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/* Several contexts and devices in one process: all that are the VM's move, or none. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "preload/objects.h"
#include "tests/unit/shim_harness.h"

/* The harness has a context on the VM's device and one on the peer's; these are one more on each,
 * connected to each other. */
static struct harness harness;
static struct end second, its_peer;

static int setup(void **state)
{
	memset(&harness, 0, sizeof(harness));
	memset(&second, 0, sizeof(second));
	memset(&its_peer, 0, sizeof(its_peer));
	harness_open(&harness);
	harness_connect(&harness);
	end_open(&second, FAKE_LID_VM, false);
	end_open(&its_peer, FAKE_LID_PEER, false);
	end_create_qp(&second, &harness);
	end_create_qp(&its_peer, &harness);
	end_connect(&second, &its_peer, FAKE_LID_PEER);
	end_connect(&its_peer, &second, FAKE_LID_VM);
	return 0;
}

static int teardown(void **state)
{
	end_close(&second);
	end_close(&its_peer);
	harness_close(&harness);
	return 0;
}

static struct ibv_context *real_context_of(const struct end *end)
{
	return context_of(end->context)->real;
}

static void write_8(struct end *from, const struct end *to, const char *text)
{
	strcpy((char *)from->memory, text);
	assert_int_equal(end_rdma(from, to, IBV_WR_RDMA_WRITE, 7, 0, 8, IBV_SEND_SIGNALED), 0);
}

static void has_arrived(struct end *from, const struct end *to, const char *text)
{
	assert_int_equal(fake_execute(real_of(from->qp), 9, true), 1);
	assert_int_equal(harness_poll(&harness, from), 1);
	assert_int_equal(harness.wc[0].status, IBV_WC_SUCCESS);
	assert_string_equal((const char *)to->memory, text);
}

static void contexts_of_one_device_move_together(void **state)
{
	const struct ibv_context *was = real_context_of(&harness.vm);

	assert_string_equal(was->device->name, "fake0");
	write_8(&harness.vm, &harness.peer, "first");
	write_8(&second, &its_peer, "second");
	harness_move(&harness);
	assert_string_equal(real_context_of(&harness.vm)->device->name, "fake1");
	assert_string_equal(real_context_of(&second)->device->name, "fake1");
	has_arrived(&harness.vm, &harness.peer, "first");
	has_arrived(&second, &its_peer, "second");
}

static void contexts_of_another_device_stay_as_they_are(void **state)
{
	const struct ibv_context *was = real_context_of(&harness.peer);
	unsigned closes = fake.closes;

	harness_move(&harness);
	assert_ptr_equal(real_context_of(&harness.peer), was);
	/* The VM's two, and those that were opened to find out whether they could be. */
	assert_int_equal(fake.closes - closes, 2 + 3 * 2);
	write_8(&its_peer, &second, "back");
	has_arrived(&its_peer, &second, "back");
}

static struct ibv_qp *armed;

static void arm_an_alternate_path(struct end *end)
{
	struct ibv_qp_attr attr = {.alt_port_num = 1};

	armed = end->qp;
	assert_int_equal(ibv_modify_qp(armed, &attr, IBV_QP_ALT_PATH), 0);
}

static void expect_all_as_before(const struct ibv_context *first, const struct ibv_context *other)
{
	assert_ptr_equal(real_context_of(&harness.vm), first);
	assert_ptr_equal(real_context_of(&second), other);
	write_8(&harness.vm, &harness.peer, "first");
	has_arrived(&harness.vm, &harness.peer, "first");
	write_8(&second, &its_peer, "second");
	has_arrived(&second, &its_peer, "second");
}

static void what_one_context_cannot_do_keeps_all_of_them(void **state)
{
	const struct ibv_context *first = real_context_of(&harness.vm),
	                         *other = real_context_of(&second);

	arm_an_alternate_path(&second);
	harness_expect(&harness, TETHER__STEP__STEP_PREPARE, REFUSED);
	assert_string_equal(harness_reason(&harness), "veto-alternate-path");
	expect_all_as_before(first, other);
}

static void what_comes_after_prepare_keeps_all_of_them_at_stop(void **state)
{
	const struct ibv_context *first = real_context_of(&harness.vm),
	                         *other = real_context_of(&second);

	harness_expect(&harness, TETHER__STEP__STEP_PREPARE, DONE);
	arm_an_alternate_path(&second);
	harness_expect(&harness, TETHER__STEP__STEP_STOP, REFUSED);
	harness_expect(&harness, TETHER__STEP__STEP_ABORT, DONE);
	expect_all_as_before(first, other);
}

static void what_another_device_cannot_do_keeps_none(void **state)
{
	struct ibv_qp_init_attr attr = {.send_cq = harness.peer.cq,
	        .recv_cq = harness.peer.cq,
	        .cap = {.max_send_wr = 1, .max_send_sge = 1},
	        .qp_type = IBV_QPT_RC};
	struct ibv_ece options = {.vendor_id = 1, .options = 1};
	struct ibv_qp *unconnected = ibv_create_qp(harness.peer.pd, &attr);

	assert_non_null(unconnected);
	assert_int_equal(ibv_set_ece(unconnected, &options), 0);
	harness_move(&harness);
	assert_int_equal(ibv_destroy_qp(unconnected), 0);
}

/* It would stay where the VM was. */
static void another_device_of_the_vm_is_refused_by_name(void **state)
{
	const struct ibv_context *first = real_context_of(&harness.vm),
	                         *other = real_context_of(&second);

	harness.vm_alone = true;
	harness_expect(&harness, TETHER__STEP__STEP_PREPARE, REFUSED);
	assert_string_equal(harness_reason(&harness), "veto-other-device");
	expect_all_as_before(first, other);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
	        TEST(contexts_of_one_device_move_together),
	        TEST(contexts_of_another_device_stay_as_they_are),
	        TEST(what_one_context_cannot_do_keeps_all_of_them),
	        TEST(what_comes_after_prepare_keeps_all_of_them_at_stop),
	        TEST(what_another_device_cannot_do_keeps_none),
	        TEST(another_device_of_the_vm_is_refused_by_name),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
