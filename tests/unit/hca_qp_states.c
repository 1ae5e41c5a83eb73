/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "simfabric/qp_states.h"

enum { STATES = IBV_QPS_ERR + 1 };

/* ibv_modify_qp(3), the table for IBV_QPT_RC. */
static const struct {
	enum ibv_qp_state from, to;
	int required;
} man_page_rc[] = {
        {IBV_QPS_RESET, IBV_QPS_INIT, IBV_QP_PKEY_INDEX | IBV_QP_PORT | IBV_QP_ACCESS_FLAGS},
        {IBV_QPS_INIT, IBV_QPS_RTR,
                IBV_QP_AV | IBV_QP_PATH_MTU | IBV_QP_DEST_QPN | IBV_QP_RQ_PSN |
                        IBV_QP_MAX_DEST_RD_ATOMIC | IBV_QP_MIN_RNR_TIMER},
        {IBV_QPS_RTR, IBV_QPS_RTS,
                IBV_QP_SQ_PSN | IBV_QP_MAX_QP_RD_ATOMIC | IBV_QP_RETRY_CNT | IBV_QP_RNR_RETRY |
                        IBV_QP_TIMEOUT},
};

static void required_attributes_are_those_of_the_man_page(void **state)
{
	for (size_t i = 0; i < sizeof(man_page_rc) / sizeof(man_page_rc[0]); i++) {
		int required = man_page_rc[i].required | IBV_QP_STATE;

		assert_true(qp_states_allow(
		        IBV_QPT_RC, man_page_rc[i].from, man_page_rc[i].to, required));
		for (int bit = 1; bit <= IBV_QP_DEST_QPN; bit <<= 1) {
			if (bit == IBV_QP_STATE || !(required & bit))
				continue;
			assert_false(qp_states_allow(IBV_QPT_RC, man_page_rc[i].from,
			        man_page_rc[i].to, required & ~bit));
		}
	}
}

static void attribute_that_does_not_belong_there_is_refused(void **state)
{
	int to_init = man_page_rc[0].required;

	assert_false(
	        qp_states_allow(IBV_QPT_RC, IBV_QPS_RESET, IBV_QPS_INIT, to_init | IBV_QP_SQ_PSN));
	assert_false(
	        qp_states_allow(IBV_QPT_RC, IBV_QPS_RESET, IBV_QPS_INIT, to_init | IBV_QP_QKEY));
	assert_false(qp_states_allow(IBV_QPT_RC, IBV_QPS_RTS, IBV_QPS_RTS, IBV_QP_TIMEOUT));
	assert_true(qp_states_allow(IBV_QPT_RC, IBV_QPS_SQD, IBV_QPS_SQD, IBV_QP_TIMEOUT));
	assert_false(qp_states_allow(IBV_QPT_RC, IBV_QPS_RTS, IBV_QPS_ERR, IBV_QP_TIMEOUT));
}

/* Which pairs may follow each other at all, with some mask. */
static bool may_follow(enum ibv_qp_state from, enum ibv_qp_state to)
{
	static const int masks[] = {0, IBV_QP_PKEY_INDEX | IBV_QP_PORT | IBV_QP_ACCESS_FLAGS,
	        IBV_QP_AV | IBV_QP_PATH_MTU | IBV_QP_DEST_QPN | IBV_QP_RQ_PSN |
	                IBV_QP_MAX_DEST_RD_ATOMIC | IBV_QP_MIN_RNR_TIMER,
	        IBV_QP_SQ_PSN | IBV_QP_MAX_QP_RD_ATOMIC | IBV_QP_RETRY_CNT | IBV_QP_RNR_RETRY |
	                IBV_QP_TIMEOUT};

	for (size_t i = 0; i < sizeof(masks) / sizeof(masks[0]); i++) {
		if (qp_states_allow(IBV_QPT_RC, from, to, masks[i]))
			return true;
	}
	return false;
}

static void every_pair_of_states_of_rc(void **state)
{
	/* IBA figure 124; columns RESET INIT RTR RTS SQD SQE ERR. */
	static const char *const rows[STATES] = {
	        [IBV_QPS_RESET] = "11.....",
	        [IBV_QPS_INIT] = "111...1",
	        [IBV_QPS_RTR] = "1..1..1",
	        [IBV_QPS_RTS] = "1..11.1",
	        [IBV_QPS_SQD] = "1..11.1",
	        [IBV_QPS_SQE] = "1.....1",
	        [IBV_QPS_ERR] = "1.....1",
	};

	for (int from = 0; from < STATES; from++) {
		for (int to = 0; to < STATES; to++)
			assert_int_equal(may_follow(from, to), rows[from][to] == '1');
	}
}

static void unknown_type_goes_nowhere(void **state)
{
	assert_false(qp_states_allow(IBV_QPT_RAW_PACKET, IBV_QPS_RESET, IBV_QPS_RESET, 0));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(required_attributes_are_those_of_the_man_page),
	        cmocka_unit_test(attribute_that_does_not_belong_there_is_refused),
	        cmocka_unit_test(every_pair_of_states_of_rc),
	        cmocka_unit_test(unknown_type_goes_nowhere),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
