/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * Everything that preload/wrapped_symbols.def hides and preload/inline_operations.def refuses:
 * answered as by a device that has it not, so that programs fall back, and not offered.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <string.h>

#include "preload/objects.h"
#include "tests/unit/shim_harness.h"

static struct harness harness;
static struct ibv_context *context;
static struct ibv_pd *pd;

static int setup(void **state)
{
	harness_begin(&harness, (struct harness){.with_srq = true, .with_ex = true});
	context = harness.vm.context;
	pd = harness.vm.pd;
	return 0;
}

static int teardown(void **state)
{
	harness_close(&harness);
	return 0;
}

/* ---- each of them ---- */

/* What a verb said that returns an object, and one that returns an error. */
static int made(const void *object)
{
	return object ? 0 : errno;
}

static int said(int err)
{
	return err == -1 ? errno : err;
}

#define REFUSES(name, answer)                                                                      \
	__attribute__((unused)) static void refuses_##name(void **state)                           \
	{                                                                                          \
		unsigned live = fake.live_objects;                                                 \
                                                                                                   \
		errno = 0;                                                                         \
		assert_int_equal(answer, EOPNOTSUPP);                                              \
		assert_int_equal(fake.live_objects, live);                                         \
	}

/* An object that somebody made up: nothing makes one. */
#define MADE_UP(type, name) static struct type name

MADE_UP(ibv_mr, mr);
MADE_UP(ibv_dm, dm);
MADE_UP(ibv_td, td);
MADE_UP(ibv_wq, wq);
MADE_UP(ibv_rwq_ind_table, table);
MADE_UP(ibv_flow, flow);
MADE_UP(ibv_flow_action, action);
MADE_UP(ibv_counters, counters);
static uint64_t counted;

/* None of the inline functions looks at more of it. */
static union {
	unsigned char zeros[512];
	struct ibv_qp_open_attr qp;
	struct ibv_qp_rate_limit_attr rate;
	struct ibv_alloc_dm_attr dm;
	struct ibv_parent_domain_init_attr parent;
	struct ibv_td_init_attr td;
	struct ibv_wq_init_attr wq;
	struct ibv_wq_attr wq_state;
	struct ibv_rwq_ind_table_init_attr table;
	struct ibv_flow_attr flow;
	struct ibv_flow_action_esp_attr esp;
	struct ibv_counters_init_attr counters;
	struct ibv_counter_attach_attr attach;
	struct ibv_ops_wr ops;
} attr;

#define OF(object) (object.context = context, &object)

REFUSES(ibv_import_pd, made(ibv_import_pd(context, 1)))
REFUSES(ibv_unimport_pd, (ibv_unimport_pd(pd), errno))
REFUSES(ibv_import_mr, made(ibv_import_mr(pd, 1)))
REFUSES(ibv_unimport_mr, (ibv_unimport_mr(OF(mr)), errno))
REFUSES(ibv_reg_dmabuf_mr, made(ibv_reg_dmabuf_mr(pd, 0, 1, 0, 0, 0)))
REFUSES(ibv_import_dm, made(ibv_import_dm(context, 1)))
REFUSES(ibv_unimport_dm, (ibv_unimport_dm(OF(dm)), errno))

static int post_tag(void)
{
	struct ibv_ops_wr *bad = NULL;
	int err = ibv_post_srq_ops(harness.vm.srq, &attr.ops, &bad);

	assert_ptr_equal(bad, &attr.ops);
	return err;
}

REFUSES(open_qp, made(ibv_open_qp(context, &attr.qp)))
REFUSES(post_srq_ops, post_tag())
REFUSES(modify_qp_rate_limit, said(ibv_modify_qp_rate_limit(harness.vm.qp, &attr.rate)))
REFUSES(alloc_null_mr, made(ibv_alloc_null_mr(pd)))
REFUSES(alloc_dm, made(ibv_alloc_dm(context, &attr.dm)))
REFUSES(free_dm, said(ibv_free_dm(OF(dm))))
REFUSES(reg_dm_mr, made(ibv_reg_dm_mr(pd, OF(dm), 0, 1, 0)))
REFUSES(alloc_parent_domain, made(ibv_alloc_parent_domain(context, &attr.parent)))
REFUSES(alloc_td, made(ibv_alloc_td(context, &attr.td)))
REFUSES(dealloc_td, said(ibv_dealloc_td(OF(td))))
REFUSES(create_wq, made(ibv_create_wq(context, &attr.wq)))
REFUSES(modify_wq, said(ibv_modify_wq(OF(wq), &attr.wq_state)))
REFUSES(destroy_wq, said(ibv_destroy_wq(OF(wq))))
REFUSES(create_rwq_ind_table, made(ibv_create_rwq_ind_table(context, &attr.table)))
REFUSES(destroy_rwq_ind_table, said(ibv_destroy_rwq_ind_table(OF(table))))
REFUSES(ibv_create_flow, made(ibv_create_flow(harness.vm.qp, &attr.flow)))
REFUSES(ibv_destroy_flow, said(ibv_destroy_flow(OF(flow))))
REFUSES(create_flow_action_esp, made(ibv_create_flow_action_esp(context, &attr.esp)))
REFUSES(modify_flow_action_esp, said(ibv_modify_flow_action_esp(OF(action), &attr.esp)))
REFUSES(destroy_flow_action, said(ibv_destroy_flow_action(OF(action))))
REFUSES(create_counters, made(ibv_create_counters(context, &attr.counters)))
REFUSES(destroy_counters, said(ibv_destroy_counters(OF(counters))))
REFUSES(read_counters, said(ibv_read_counters(OF(counters), &counted, 1, 0)))
REFUSES(attach_counters_point_flow,
        said(ibv_attach_counters_point_flow(OF(counters), &attr.attach, OF(flow))))

/* ---- readers: nobody is given a queue that has them ---- */

static int cq_with(uint64_t what)
{
	struct ibv_cq_init_attr_ex wanted = {.cqe = 1, .wc_flags = what};

	return made(ibv_create_cq_ex(context, &wanted));
}

REFUSES(read_cvlan, cq_with(IBV_WC_EX_WITH_CVLAN))
REFUSES(read_flow_tag, cq_with(IBV_WC_EX_WITH_FLOW_TAG))
REFUSES(read_tm_info, cq_with(IBV_WC_EX_WITH_TM_INFO))

/* ---- builders: who calls one without having been given it hears of it at the end ---- */

#define REFUSES_BUILDER(name, ...)                                                                 \
	__attribute__((unused)) static void refuses_##name(void **state)                           \
	{                                                                                          \
		struct ibv_qp_ex *qpx = ibv_qp_to_qp_ex(harness.vm.qp);                            \
                                                                                                   \
		ibv_wr_start(qpx);                                                                 \
		__VA_ARGS__;                                                                       \
		assert_int_equal(ibv_wr_complete(qpx), EOPNOTSUPP);                                \
		assert_int_equal(end_pending(&harness.vm), 0);                                     \
	}

REFUSES_BUILDER(wr_send_tso, ibv_wr_send_tso(qpx, NULL, 0, 0))
REFUSES_BUILDER(wr_atomic_write, ibv_wr_atomic_write(qpx, 1, 0, NULL))

/* ---- what is asked for in other ways ---- */

static int qp_of(enum ibv_qp_type type)
{
	struct ibv_qp_init_attr wanted = {.send_cq = harness.vm.cq,
	        .recv_cq = harness.vm.cq,
	        .cap = {.max_send_wr = 1, .max_recv_wr = 1, .max_send_sge = 1, .max_recv_sge = 1},
	        .qp_type = type};

	return made(ibv_create_qp(pd, &wanted));
}

static void queue_pairs_of_other_types(void **state)
{
	assert_int_equal(qp_of(IBV_QPT_RAW_PACKET), EOPNOTSUPP);
	assert_int_equal(qp_of(IBV_QPT_DRIVER), EOPNOTSUPP);
}

static int qp_ex_of(uint32_t comp_mask, uint64_t operations)
{
	struct ibv_qp_init_attr_ex wanted = {.send_cq = harness.vm.cq,
	        .recv_cq = harness.vm.cq,
	        .cap = {.max_send_wr = 1, .max_recv_wr = 1, .max_send_sge = 1, .max_recv_sge = 1},
	        .qp_type = IBV_QPT_RC,
	        .comp_mask = IBV_QP_INIT_ATTR_PD | comp_mask,
	        .pd = pd,
	        .create_flags = IBV_QP_CREATE_SCATTER_FCS,
	        .max_tso_header = 1,
	        .send_ops_flags = operations};

	return made(ibv_create_qp_ex(context, &wanted));
}

static void attributes_of_queue_pairs(void **state)
{
	const uint32_t others[] = {IBV_QP_INIT_ATTR_CREATE_FLAGS, IBV_QP_INIT_ATTR_MAX_TSO_HEADER,
	        IBV_QP_INIT_ATTR_IND_TABLE, IBV_QP_INIT_ATTR_RX_HASH};
	const uint64_t operations[] = {IBV_QP_EX_WITH_TSO, IBV_QP_EX_WITH_ATOMIC_WRITE};

	for (size_t i = 0; i < sizeof(others) / sizeof(*others); i++)
		assert_int_equal(qp_ex_of(others[i], 0), EOPNOTSUPP);
	for (size_t i = 0; i < sizeof(operations) / sizeof(*operations); i++)
		assert_int_equal(
		        qp_ex_of(IBV_QP_INIT_ATTR_SEND_OPS_FLAGS, operations[i]), EOPNOTSUPP);
}

static void work_that_is_not_replayed(void **state)
{
	const enum ibv_wr_opcode opcodes[] = {IBV_WR_TSO, IBV_WR_ATOMIC_WRITE};

	for (size_t i = 0; i < sizeof(opcodes) / sizeof(*opcodes); i++) {
		struct ibv_send_wr wr = {.opcode = opcodes[i]}, *bad = NULL;

		assert_int_equal(ibv_post_send(harness.vm.qp, &wr, &bad), EINVAL);
		assert_ptr_equal(bad, &wr);
	}
	assert_int_equal(end_pending(&harness.vm), 0);
}

static void another_size_of_a_shared_queue(void **state)
{
	struct ibv_srq_attr wanted = {.max_wr = 2 * HARNESS_DEPTH};

	assert_int_equal(ibv_modify_srq(harness.vm.srq, &wanted, IBV_SRQ_MAX_WR), EOPNOTSUPP);
}

/* ---- a device that has everything ---- */

static const unsigned hidden_caps[] = {
        IBV_DEVICE_MANAGED_FLOW_STEERING, IBV_DEVICE_AUTO_PATH_MIG, IBV_DEVICE_SRQ_RESIZE};

static bool is_zero(const void *what, size_t size)
{
	const unsigned char *bytes = what;

	while (size && !*bytes)
		bytes++, size--;
	return !size;
}

#define IS_NOT_OFFERED(field) assert_true(is_zero(&shown.field, sizeof(shown.field)))

static void what_is_hidden_is_not_offered(void **state)
{
	struct ibv_device_attr_ex everything, shown;
	struct ibv_device_attr plain;
	struct ibv_context *opened;

	memset(&everything, 0xff, sizeof(everything));
	fake.offers = &everything;
	opened = ibv_open_device(context->device);
	assert_non_null(opened);
	assert_int_equal(ibv_query_device_ex(opened, NULL, &shown), 0);
	assert_int_equal(ibv_query_device(opened, &plain), 0);
	assert_memory_equal(&plain, &shown.orig_attr, sizeof(plain));
	for (size_t i = 0; i < sizeof(hidden_caps) / sizeof(*hidden_caps); i++) {
		assert_int_equal(plain.device_cap_flags & hidden_caps[i], 0);
		assert_int_equal(shown.device_cap_flags_ex & hidden_caps[i], 0);
	}
	assert_true(plain.device_cap_flags & IBV_DEVICE_RC_RNR_NAK_GEN);
	IS_NOT_OFFERED(completion_timestamp_mask);
	IS_NOT_OFFERED(hca_core_clock);
	IS_NOT_OFFERED(tso_caps);
	IS_NOT_OFFERED(rss_caps);
	IS_NOT_OFFERED(packet_pacing_caps);
	IS_NOT_OFFERED(tm_caps);
	IS_NOT_OFFERED(max_wq_type_rq);
	IS_NOT_OFFERED(raw_packet_caps);
	IS_NOT_OFFERED(max_dm_size);
	assert_int_equal(ibv_close_device(opened), 0);
}

/* ---- the test ---- */

#define TEST(name)        cmocka_unit_test_setup_teardown(name, setup, teardown)
#define ROW_REFUSED(name) TEST(refuses_##name),
#define ROW_WRAPPED(name)
#define ROW_UNUSED(name)

int main(void)
{
	const struct CMUnitTest tests[] = {
#define HIDDEN(ret, name, version, params, args, owner, failure, why, test) ROW_REFUSED(name)
#include "preload/wrapped_symbols.def"
#define CONTEXT_OP(class, slot, function, remark, test) ROW_##class(slot)
#define VERBS_OP(class, slot, function, remark, test)   ROW_##class(slot)
#define BUILDER(class, slot, function, remark, test)    ROW_##class(slot)
#define READER(class, slot, function, remark, test)     ROW_##class(slot)
#include "preload/inline_operations.def"
	        TEST(queue_pairs_of_other_types),
	        TEST(attributes_of_queue_pairs),
	        TEST(work_that_is_not_replayed),
	        TEST(another_size_of_a_shared_queue),
	        TEST(what_is_hidden_is_not_offered),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
