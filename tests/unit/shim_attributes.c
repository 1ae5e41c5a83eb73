/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/* What objects may be made with; the rest is refused so that programs fall back. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>

#include "tests/unit/shim_harness.h"

static struct ibv_qp *make_qp(struct end *end, const struct ibv_qp_init_attr_ex *wanted)
{
	struct ibv_qp_init_attr_ex attr = *wanted;

	attr.send_cq = attr.recv_cq = end->cq;
	attr.cap = (struct ibv_qp_cap){1, 1, 1, 1, 0};
	attr.qp_type = IBV_QPT_RC;
	attr.comp_mask |= IBV_QP_INIT_ATTR_PD;
	attr.pd = end->pd;
	return ibv_create_qp_ex(end->context, &attr);
}

static void queue_pairs_that_ask_for_more_are_refused(void **state)
{
	const struct ibv_qp_init_attr_ex refused[] = {
	        {.comp_mask = IBV_QP_INIT_ATTR_CREATE_FLAGS,
	                .create_flags = IBV_QP_CREATE_BLOCK_SELF_MCAST_LB},
	        {.comp_mask = IBV_QP_INIT_ATTR_MAX_TSO_HEADER, .max_tso_header = 64},
	        {.comp_mask = IBV_QP_INIT_ATTR_IND_TABLE},
	        {.comp_mask = IBV_QP_INIT_ATTR_RX_HASH},
	        {.comp_mask = IBV_QP_INIT_ATTR_SEND_OPS_FLAGS,
	                .send_ops_flags = IBV_QP_EX_WITH_SEND | IBV_QP_EX_WITH_TSO},
	        {.comp_mask = IBV_QP_INIT_ATTR_SEND_OPS_FLAGS,
	                .send_ops_flags = IBV_QP_EX_WITH_ATOMIC_WRITE},
	        {.comp_mask = IBV_QP_INIT_ATTR_SEND_OPS_FLAGS, .send_ops_flags = 1ull << 40},
	};
	struct harness *h = *state;

	for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++) {
		errno = 0;
		assert_null(make_qp(&h->vm, &refused[i]));
		assert_int_equal(errno, EOPNOTSUPP);
	}
}

static void queue_pairs_that_ask_for_nothing_more_are_made(void **state)
{
	const struct ibv_qp_init_attr_ex plain[] = {
	        {.comp_mask = 0},
	        {.comp_mask = IBV_QP_INIT_ATTR_CREATE_FLAGS | IBV_QP_INIT_ATTR_MAX_TSO_HEADER |
	                      IBV_QP_INIT_ATTR_SEND_OPS_FLAGS,
	                .send_ops_flags = IBV_QP_EX_WITH_SEND},
	};
	struct harness *h = *state;

	for (size_t i = 0; i < sizeof(plain) / sizeof(plain[0]); i++) {
		struct ibv_qp *qp = make_qp(&h->vm, &plain[i]);

		assert_non_null(qp);
		assert_int_equal(ibv_destroy_qp(qp), 0);
	}
}

/* Refused, as on a device without them; a parent domain alone would promise nothing. */
static void what_a_provider_does_not_make_is_not_made(void **state)
{
	struct ibv_srq_init_attr srq = {.attr = {.max_wr = 1, .max_sge = 1}};
	struct harness *h = *state;
	struct ibv_qp_init_attr qp = {.qp_type = IBV_QPT_RC,
	        .send_cq = h->vm.cq,
	        .recv_cq = h->vm.cq,
	        .cap = {.max_send_wr = 1, .max_recv_wr = 1}};

	fake.makes_no_qps = fake.makes_no_srqs = fake.says_not_why = true;
	assert_null(ibv_create_qp(h->vm.pd, &qp));
	assert_int_equal(errno, ENOMEM);
	errno = 0;
	assert_null(ibv_create_srq(h->vm.pd, &srq));
	assert_int_equal(errno, ENOMEM);
}

static void thread_domains_are_refused(void **state)
{
	struct ibv_td_init_attr td = {0};
	struct harness *h = *state;
	struct ibv_parent_domain_init_attr parent = {.pd = h->vm.pd};

	errno = 0;
	assert_null(ibv_alloc_td(h->vm.context, &td));
	assert_int_equal(errno, EOPNOTSUPP);
	errno = 0;
	assert_null(ibv_alloc_parent_domain(h->vm.context, &parent));
	assert_int_equal(errno, EOPNOTSUPP);
}

#define TEST(name)                                                                                 \
	cmocka_unit_test_setup_teardown(name, harness_setup_unconnected, harness_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
	        TEST(queue_pairs_that_ask_for_more_are_refused),
	        TEST(queue_pairs_that_ask_for_nothing_more_are_made),
	        TEST(what_a_provider_does_not_make_is_not_made),
	        TEST(thread_domains_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
