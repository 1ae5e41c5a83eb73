/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/* Service level and rate of a queue pair after a move, by what RECONNECT says of its path. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "notifier/wire/rows.h"
#include "preload/objects.h"
#include "tests/unit/shim_harness.h"

enum { SL_BEFORE = 2, RATE_BEFORE = IBV_RATE_40_GBPS, SL_AS_BEFORE = 255 };

static void application_chose(struct harness *h, uint8_t sl, uint8_t rate)
{
	struct ibv_qp *const both[] = {h->vm.qp, h->peer.qp};

	for (int i = 0; i < 2; i++) {
		queue_pair_of(both[i])->attr.ah_attr.sl = sl;
		queue_pair_of(both[i])->attr.ah_attr.static_rate = rate;
	}
}

static void move_along(struct harness *h, struct path_row row)
{
	Tether__PathRows paths = TETHER__PATH_ROWS__INIT;
	struct path_row back = row;

	back.local_lid = row.remote_lid;
	back.remote_lid = row.local_lid;
	path_rows_append(&paths, &row);
	path_rows_append(&paths, &back);
	h->paths = &paths;
	harness_move(h);
	h->paths = NULL;
	rows_clear(&paths.base);
}

static void assert_both_have(const struct harness *h, uint8_t sl, uint8_t rate)
{
	struct ibv_qp *const both[] = {h->vm.qp, h->peer.qp};

	for (int i = 0; i < 2; i++) {
		const struct ibv_ah_attr *attr = fake_qp_ah_attr(real_of(both[i]));

		assert_int_equal(attr->sl, sl);
		assert_int_equal(attr->static_rate, rate);
	}
}

static void a_path_says_service_level_and_rate_of_both_ends(void **state)
{
	struct harness *h = *state;

	application_chose(h, SL_BEFORE, RATE_BEFORE);
	move_along(h,
	        (struct path_row){FAKE_LID_VM, FAKE_LID_PEER, 5, IBV_MTU_4096, IBV_RATE_10_GBPS});
	assert_both_have(h, 5, IBV_RATE_10_GBPS);
}

static void what_a_path_does_not_say_stays(void **state)
{
	struct harness *h = *state;

	application_chose(h, SL_BEFORE, RATE_BEFORE);
	move_along(h, (struct path_row){FAKE_LID_VM, FAKE_LID_PEER, SL_AS_BEFORE, 0, 0});
	assert_both_have(h, SL_BEFORE, RATE_BEFORE);
	harness_move(h);
	assert_both_have(h, SL_BEFORE, RATE_BEFORE);
}

static void who_sends_as_fast_as_the_port_can_goes_on_so(void **state)
{
	struct harness *h = *state;

	application_chose(h, SL_BEFORE, IBV_RATE_MAX);
	move_along(h, (struct path_row){FAKE_LID_VM, FAKE_LID_PEER, SL_AS_BEFORE, IBV_MTU_4096,
	                      IBV_RATE_10_GBPS});
	assert_both_have(h, SL_BEFORE, IBV_RATE_MAX);
}

static void assert_both_send_packets_of(const struct harness *h, enum ibv_mtu mtu)
{
	struct ibv_qp *const both[] = {h->vm.qp, h->peer.qp};

	for (int i = 0; i < 2; i++) {
		struct ibv_qp_init_attr init;
		struct ibv_qp_attr attr;

		assert_int_equal(ibv_query_qp(real_of(both[i]), &attr, IBV_QP_PATH_MTU, &init), 0);
		assert_int_equal(attr.path_mtu, mtu);
		assert_int_equal(queue_pair_of(both[i])->sends.mtu, 128u << mtu);
	}
}

/* Larger packets would be dropped on the way; smaller ones go everywhere. */
static void packets_become_smaller_where_the_path_asks_for_it(void **state)
{
	struct path_row row = {FAKE_LID_VM, FAKE_LID_PEER, SL_AS_BEFORE, IBV_MTU_4096, 0};
	struct harness *h = *state;

	move_along(h, row);
	assert_both_send_packets_of(h, IBV_MTU_1024);
	row.mtu = IBV_MTU_512;
	move_along(h, row);
	assert_both_send_packets_of(h, IBV_MTU_512);
	end_receive(&h->peer, 50, 256, 8);
	end_send(&h->vm, 1, 0, 8, IBV_SEND_SIGNALED);
	harness_move(h);
	end_run(&h->vm, 1);
	harness_expect_one(h, &h->peer, 50);
	harness_expect_one(h, &h->vm, 1);
	assert_both_send_packets_of(h, IBV_MTU_512);
}

static void anothers_path_is_not_taken(void **state)
{
	struct harness *h = *state;

	application_chose(h, SL_BEFORE, RATE_BEFORE);
	move_along(h, (struct path_row){
	                      FAKE_LID_VM, FAKE_LID_PEER + 1, 5, IBV_MTU_4096, IBV_RATE_10_GBPS});
	assert_both_have(h, SL_BEFORE, RATE_BEFORE);
}

#define EITHER(test) cmocka_unit_test_setup_teardown(test, harness_setup, harness_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
	        EITHER(a_path_says_service_level_and_rate_of_both_ends),
	        EITHER(what_a_path_does_not_say_stays),
	        EITHER(who_sends_as_fast_as_the_port_can_goes_on_so),
	        EITHER(packets_become_smaller_where_the_path_asks_for_it),
	        EITHER(anothers_path_is_not_taken),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
