/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * Every symbol of preload/wrapped_symbols.def, over a libibverbs that only notes who was called: a
 * stranger's object passes on as it is, for one of ours the real object behind it is asked, or
 * nobody.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <string.h>

#include "preload/objects.h"
#include "tests/unit/shim_noted_verbs.h"

/* ---- our objects ---- */

static struct {
	struct ibv_context *context;
	struct ibv_pd *pd;
	struct ibv_mr *mr;
	struct ibv_comp_channel *channel;
	struct ibv_cq *cq;
	struct ibv_srq *srq;
	struct ibv_qp *qp;
	struct ibv_ah *ah;
} our;
static uint8_t memory[64];
static struct ibv_ah_attr ah_attr;
static struct ibv_async_event seen;

static struct ibv_context *opened(void)
{
	struct ibv_device **list = ibv_get_device_list(NULL);
	struct ibv_context *made;

	assert_ptr_not_equal(list[0], &real_device);
	made = ibv_open_device(list[0]);
	ibv_free_device_list(list);
	return made;
}

static struct ibv_cq *cq_made(void)
{
	return ibv_create_cq(our.context, 1, NULL, NULL, 0);
}

static struct ibv_srq *srq_made(void)
{
	struct ibv_srq_init_attr attr = {.attr = {.max_wr = 1, .max_sge = 1}};

	return ibv_create_srq(our.pd, &attr);
}

static struct ibv_qp *qp_made(struct ibv_cq *cq)
{
	struct ibv_qp_init_attr attr = {.send_cq = cq,
	        .recv_cq = cq,
	        .cap = {.max_send_wr = 1, .max_recv_wr = 1, .max_send_sge = 1, .max_recv_sge = 1},
	        .qp_type = IBV_QPT_UD};

	return ibv_create_qp(our.pd, &attr);
}

static int setup(void **state)
{
	noted_begin();
	seen = (struct ibv_async_event){.event_type = IBV_EVENT_PORT_ACTIVE};
	our.context = opened();
	our.pd = ibv_alloc_pd(our.context);
	our.mr = ibv_reg_mr(our.pd, memory, sizeof(memory), 0);
	our.channel = ibv_create_comp_channel(our.context);
	our.cq = cq_made();
	our.srq = srq_made();
	our.qp = qp_made(our.cq);
	our.ah = ibv_create_ah(our.pd, &ah_attr);
	assert_non_null(our.qp);
	assert_non_null(our.ah);
	noted_forget();
	return 0;
}

#define TEAR_DOWN(how, what)                                                                       \
	if (our.what)                                                                              \
		assert_int_equal(how(our.what), 0);                                                \
	our.what = NULL

static int teardown(void **state)
{
	TEAR_DOWN(ibv_destroy_ah, ah);
	TEAR_DOWN(ibv_destroy_qp, qp);
	TEAR_DOWN(ibv_destroy_srq, srq);
	TEAR_DOWN(ibv_destroy_cq, cq);
	TEAR_DOWN(ibv_destroy_comp_channel, channel);
	TEAR_DOWN(ibv_dereg_mr, mr);
	TEAR_DOWN(ibv_dealloc_pd, pd);
	TEAR_DOWN(ibv_close_device, context);
	noted_end();
	return 0;
}

#define REAL(of, object) ((uintptr_t)of(our.object)->real)
#define REAL_CONTEXT     ((uintptr_t)&real_context)
#define REAL_PD          REAL(protection_domain_of, pd)
#define REAL_MR          REAL(memory_region_of, mr)
#define REAL_CHANNEL     REAL(completion_channel_of, channel)
#define REAL_CQ          REAL(completion_queue_of, cq)
#define REAL_SRQ         REAL(shared_receive_queue_of, srq)
#define REAL_QP          REAL(queue_pair_of, qp)
#define REAL_AH          REAL(address_handle_of, ah)

/* The verb @below is asked of @real. */
#define ASKS_AS(symbol, below, real, ...)                                                          \
	static void ours_##symbol(void **state)                                                    \
	{                                                                                          \
		uintptr_t asked = real;                                                            \
                                                                                                   \
		__VA_ARGS__;                                                                       \
		assert_true(was_called(#below, asked));                                            \
	}
#define ASKS(symbol, real, ...) ASKS_AS(symbol, symbol, real, __VA_ARGS__)
/* Nobody is asked. */
#define ANSWERS(symbol, ...)                                                                       \
	static void ours_##symbol(void **state)                                                    \
	{                                                                                          \
		__VA_ARGS__;                                                                       \
		assert_false(was_named(#symbol));                                                  \
	}
#define GONE(symbol, what, real) ASKS(symbol, real, TEAR_DOWN(symbol, what))

static union {
	struct ibv_device_attr device;
	struct ibv_port_attr port;
	struct ibv_srq_attr srq;
	struct ibv_qp_attr qp;
	struct ibv_gid_entry gids[1];
	unsigned gid_type;
	union ibv_gid gid;
	struct ibv_ece ece;
	uint8_t mac[6];
	__be16 pkey;
} out;
static struct ibv_qp_init_attr init;
static struct ibv_wc wc;
static struct ibv_grh grh;
static uint16_t vlan;

static void shown_device(void (*look)(struct ibv_device *))
{
	struct ibv_device **list = ibv_get_device_list(NULL);

	look(list[0]);
	ibv_free_device_list(list);
}

static void look_at_name(struct ibv_device *shown)
{
	assert_string_equal(ibv_get_device_name(shown), real_device.name);
}

static void look_at_guid(struct ibv_device *shown)
{
	unsigned before = noted_calls();

	ibv_get_device_guid(shown);
	assert_int_equal(noted_calls(), before);
}

static void look_at_index(struct ibv_device *shown)
{
	ibv_get_device_index(shown);
}

static void look_at_nothing(struct ibv_device *shown)
{
}

ASKS(ibv_get_device_list, 0, shown_device(look_at_nothing))
ASKS(ibv_free_device_list, (uintptr_t)real_devices, shown_device(look_at_nothing))
ANSWERS(ibv_get_device_name, shown_device(look_at_name))
ASKS(ibv_get_device_guid, (uintptr_t)&real_device, shown_device(look_at_guid))
ASKS(ibv_get_device_index, (uintptr_t)&real_device, shown_device(look_at_index))
ASKS(ibv_open_device, (uintptr_t)&real_device, ibv_close_device(opened()))
ASKS(ibv_close_device, REAL_CONTEXT, ibv_close_device(opened()))
ASKS(ibv_import_device, 7, ibv_import_device(7))

/* As it was when it was opened. */
static void query_device_as_it_was(void)
{
	assert_int_equal(ibv_query_device(our.context, &out.device), 0);
	assert_int_equal(out.device.max_qp, NOTED_MAX_QP);
}

/* The real one was acknowledged when it was taken; who has no object is nobody's. */
static void acknowledge_async_event(void)
{
	seen.event_type = IBV_EVENT_CQ_ERR;
	seen.element.cq = our.cq;
	completion_queue_of(our.cq)->async_events_shown++;
	ibv_ack_async_event(&seen);
	assert_int_equal(our.cq->async_events_completed, 1);
}

/* No public header has it. */
int ibv_query_gid_type(struct ibv_context *, uint8_t, unsigned, unsigned *);

ANSWERS(ibv_query_device, query_device_as_it_was())
ASKS(ibv_query_port, REAL_CONTEXT, (ibv_query_port)(our.context, 1, (void *)&out.port))
ASKS(ibv_query_gid, REAL_CONTEXT, ibv_query_gid(our.context, 1, 1, &out.gid))
ASKS(ibv_query_pkey, REAL_CONTEXT, ibv_query_pkey(our.context, 1, 0, &out.pkey))
ASKS(ibv_get_pkey_index, REAL_CONTEXT, ibv_get_pkey_index(our.context, 1, 0xffff))
ASKS(_ibv_query_gid_ex, REAL_CONTEXT, ibv_query_gid_ex(our.context, 1, 1, out.gids, 0))
ASKS(ibv_query_gid_type, REAL_CONTEXT, ibv_query_gid_type(our.context, 1, 1, &out.gid_type))
ASKS(_ibv_query_gid_table, REAL_CONTEXT, ibv_query_gid_table(our.context, out.gids, 1, 0))
ASKS(ibv_init_ah_from_wc, REAL_CONTEXT, ibv_init_ah_from_wc(our.context, 1, &wc, &grh, &ah_attr))
ASKS(ibv_resolve_eth_l2_from_gid, REAL_CONTEXT,
        ibv_resolve_eth_l2_from_gid(our.context, &ah_attr, out.mac, &vlan))
ASKS(ibv_get_async_event, REAL_CONTEXT,
        assert_int_equal(ibv_get_async_event(our.context, &seen), 0))
ANSWERS(ibv_ack_async_event, acknowledge_async_event())

static void end_pd(void)
{
	TEAR_DOWN(ibv_dereg_mr, mr);
	TEAR_DOWN(ibv_destroy_ah, ah);
	TEAR_DOWN(ibv_destroy_qp, qp);
	TEAR_DOWN(ibv_destroy_srq, srq);
	TEAR_DOWN(ibv_dealloc_pd, pd);
}

ASKS(ibv_alloc_pd, REAL_CONTEXT, ibv_dealloc_pd(ibv_alloc_pd(our.context)))
ASKS(ibv_dealloc_pd, REAL_PD, end_pd())
ASKS(ibv_reg_mr, REAL_PD, ibv_dereg_mr((ibv_reg_mr)(our.pd, memory, 1, 0)))
ASKS_AS(ibv_reg_mr_iova, ibv_reg_mr_iova2, REAL_PD,
        ibv_dereg_mr((ibv_reg_mr_iova)(our.pd, memory, 1, 1, 0)))
ASKS(ibv_reg_mr_iova2, REAL_PD, ibv_dereg_mr(ibv_reg_mr_iova2(our.pd, memory, 1, 1, 0)))
ASKS(ibv_rereg_mr, REAL_MR, ibv_rereg_mr(our.mr, IBV_REREG_MR_CHANGE_ACCESS, NULL, NULL, 0, 0))
GONE(ibv_dereg_mr, mr, REAL_MR)

static void end_cq(void)
{
	TEAR_DOWN(ibv_destroy_qp, qp);
	TEAR_DOWN(ibv_destroy_cq, cq);
}

/* Of a queue with a channel, instead of the one without. */
static void get_cq_event_of_ours(void)
{
	struct ibv_cq *got;
	void *context;

	end_cq();
	our.cq = ibv_create_cq(our.context, 1, NULL, our.channel, 0);
	assert_int_equal(ibv_get_cq_event(our.channel, &got, &context), 0);
	assert_ptr_equal(got, our.cq);
	ibv_ack_cq_events(got, 1);
}

static void acknowledge_cq_event(void)
{
	completion_queue_of(our.cq)->events_shown++;
	ibv_ack_cq_events(our.cq, 1);
	assert_int_equal(our.cq->comp_events_completed, 1);
}

ASKS(ibv_create_comp_channel, REAL_CONTEXT,
        ibv_destroy_comp_channel(ibv_create_comp_channel(our.context)))
GONE(ibv_destroy_comp_channel, channel, REAL_CHANNEL)
ASKS(ibv_create_cq, REAL_CONTEXT, ibv_destroy_cq(cq_made()))
ASKS(ibv_resize_cq, REAL_CQ, assert_int_equal(ibv_resize_cq(our.cq, 4096), 0))
ASKS(ibv_destroy_cq, REAL_CQ, end_cq())
ASKS(ibv_get_cq_event, REAL_CHANNEL, get_cq_event_of_ours())
ANSWERS(ibv_ack_cq_events, acknowledge_cq_event())

ASKS(ibv_create_srq, REAL_PD, ibv_destroy_srq(srq_made()))
ASKS(ibv_modify_srq, REAL_SRQ, ibv_modify_srq(our.srq, &out.srq, IBV_SRQ_LIMIT))
ASKS(ibv_query_srq, REAL_SRQ, ibv_query_srq(our.srq, &out.srq))
GONE(ibv_destroy_srq, srq, REAL_SRQ)

static void modify_qp_to_init(void)
{
	out.qp.qp_state = IBV_QPS_INIT;
	ibv_modify_qp(our.qp, &out.qp, IBV_QP_STATE);
}

ASKS(ibv_create_qp, REAL_PD, ibv_destroy_qp(qp_made(our.cq)))
ASKS(ibv_query_qp, REAL_QP, ibv_query_qp(our.qp, &out.qp, IBV_QP_STATE, &init))
ASKS(ibv_modify_qp, REAL_QP, modify_qp_to_init())
GONE(ibv_destroy_qp, qp, REAL_QP)
ANSWERS(ibv_qp_to_qp_ex, assert_null(ibv_qp_to_qp_ex(our.qp)))
ASKS(ibv_query_ece, REAL_QP, ibv_query_ece(our.qp, &out.ece))
ASKS(ibv_set_ece, REAL_QP, ibv_set_ece(our.qp, &out.ece))
ASKS(ibv_attach_mcast, REAL_QP, ibv_attach_mcast(our.qp, &out.gid, 0xc001))
ASKS(ibv_detach_mcast, REAL_QP, ibv_detach_mcast(our.qp, &out.gid, 0xc001))
ANSWERS(ibv_query_qp_data_in_order,
        assert_int_equal(ibv_query_qp_data_in_order(our.qp, IBV_WR_SEND, 0), 0))

ASKS(ibv_create_ah, REAL_PD, ibv_destroy_ah(ibv_create_ah(our.pd, &ah_attr)))
ASKS_AS(ibv_create_ah_from_wc, ibv_create_ah, REAL_PD,
        ibv_destroy_ah(ibv_create_ah_from_wc(our.pd, &wc, &grh, 1)))
GONE(ibv_destroy_ah, ah, REAL_AH)

/* ---- the slots that are no symbols ---- */

static void an_arm_reaches_the_real_queue(void **state)
{
	assert_int_equal(ibv_req_notify_cq(our.cq, 1), 0);
	assert_true(was_called("req_notify_cq", REAL_CQ));
}

static void wr_set_ud_addr_names_the_real_handle(void **state)
{
	struct ibv_qp_init_attr_ex attr = {.send_cq = our.cq,
	        .recv_cq = our.cq,
	        .cap = {.max_send_wr = 1, .max_recv_wr = 1, .max_send_sge = 1, .max_recv_sge = 1},
	        .qp_type = IBV_QPT_UD,
	        .comp_mask = IBV_QP_INIT_ATTR_PD | IBV_QP_INIT_ATTR_SEND_OPS_FLAGS,
	        .pd = our.pd,
	        .send_ops_flags = IBV_QP_EX_WITH_SEND};
	struct ibv_qp *qp = ibv_create_qp_ex(our.context, &attr);
	struct ibv_qp_ex *qpx = ibv_qp_to_qp_ex(qp);

	ibv_wr_start(qpx);
	ibv_wr_send(qpx);
	ibv_wr_set_ud_addr(qpx, our.ah, 0x123, 0x456);
	assert_int_equal(ibv_wr_complete(qpx), 0);
	assert_ptr_equal(posted.wr.ud.ah, REAL_AH);
	assert_int_equal(posted.wr.ud.remote_qpn, 0x123);
	assert_int_equal(posted.wr.ud.remote_qkey, 0x456);
	assert_int_equal(ibv_destroy_qp(qp), 0);
}

static void readers_say_what_the_completion_says(void **state)
{
	struct ibv_cq_init_attr_ex attr = {.cqe = 1, .wc_flags = IBV_WC_STANDARD_FLAGS};
	struct ibv_cq_ex *cq = ibv_create_cq_ex(our.context, &attr);
	struct ibv_qp *qp = qp_made(ibv_cq_ex_to_cq(cq));
	struct ibv_recv_wr wr = {.wr_id = 99}, *bad;
	struct ibv_poll_cq_attr how = {0};

	assert_int_equal(ibv_post_recv(qp, &wr, &bad), 0);
	completed = (struct ibv_wc){.wr_id = received_as,
	        .opcode = IBV_WC_RECV,
	        .vendor_err = 2,
	        .byte_len = 3,
	        .imm_data = 4,
	        .qp_num = queue_pair_of(qp)->real->qp_num,
	        .src_qp = 5,
	        .wc_flags = IBV_WC_WITH_IMM,
	        .slid = 6,
	        .sl = 7,
	        .dlid_path_bits = 8};
	has_completed = true;
	assert_int_equal(ibv_start_poll(cq, &how), 0);
	assert_int_equal(cq->wr_id, 99);
	assert_int_equal(cq->status, IBV_WC_SUCCESS);
	assert_int_equal(ibv_wc_read_opcode(cq), IBV_WC_RECV);
	assert_int_equal(ibv_wc_read_vendor_err(cq), 2);
	assert_int_equal(ibv_wc_read_byte_len(cq), 3);
	assert_int_equal(ibv_wc_read_imm_data(cq), 4);
	assert_int_equal(ibv_wc_read_qp_num(cq), qp->qp_num);
	assert_int_equal(ibv_wc_read_src_qp(cq), 5);
	assert_int_equal(ibv_wc_read_wc_flags(cq), IBV_WC_WITH_IMM);
	assert_int_equal(ibv_wc_read_slid(cq), 6);
	assert_int_equal(ibv_wc_read_sl(cq), 7);
	assert_int_equal(ibv_wc_read_dlid_path_bits(cq), 8);
	assert_int_equal(ibv_next_poll(cq), ENOENT);
	ibv_end_poll(cq);
	assert_int_equal(ibv_destroy_qp(qp), 0);
	assert_int_equal(ibv_destroy_cq(ibv_cq_ex_to_cq(cq)), 0);
}

static void slots_of_1_0_are_the_symbols(void **state)
{
	assert_ptr_equal(our.context->ops._compat_query_device, ibv_query_device);
	assert_ptr_equal(our.context->ops._compat_query_port, (ibv_query_port));
}

/* ---- strangers ---- */

static uintptr_t stranger[512];

/* As many arguments as the longest takes; all in registers. */
typedef uintptr_t any_verb(void *, void *, void *, void *, void *, void *);

static void call_with_strangers(any_verb *verb)
{
	any_verb *volatile called = verb; /* even if verbs.h says that it has no effects */

	stranger[0] = (uintptr_t)stranger;
	called(stranger, stranger, stranger, stranger, stranger, stranger);
}

#define SYMBOL(ret, name, version, params, args, test)                                             \
	static void strangers_##name(void **state)                                                 \
	{                                                                                          \
		call_with_strangers((any_verb *)(void (*)(void))name);                             \
		assert_int_equal(noted_calls(), 1);                                                \
		assert_true(was_called(#name, (uintptr_t)stranger));                               \
	}
#define PASSED(ret, name, version, params, args, why, test)                                        \
	ret name params;                                                                           \
	static void passes_##name(void **state)                                                    \
	{                                                                                          \
		call_with_strangers((any_verb *)(void (*)(void))name);                             \
		assert_int_equal(noted_calls(), 1);                                                \
		assert_true(was_named(#name));                                                     \
	}
#include "preload/wrapped_symbols.def"

/* No object goes in, or only ours comes back. */
static bool has_no_strangers(const char *name)
{
	return !strcmp(name, "strangers_ibv_get_device_list") ||
	       !strcmp(name, "strangers_ibv_free_device_list") ||
	       !strcmp(name, "strangers_ibv_import_device");
}

/* ---- the test ---- */

#define ROW(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

static const struct CMUnitTest rows[] = {
        ROW(an_arm_reaches_the_real_queue),
        ROW(wr_set_ud_addr_names_the_real_handle),
        ROW(readers_say_what_the_completion_says),
        ROW(slots_of_1_0_are_the_symbols),
#define SYMBOL(ret, name, version, params, args, test)                      ROW(ours_##name), ROW(strangers_##name),
#define HIDDEN(ret, name, version, params, args, owner, failure, why, test) ROW(strangers_##name),
#define PASSED(ret, name, version, params, args, why, test)                 ROW(passes_##name),
#include "preload/wrapped_symbols.def"
};

int main(void)
{
	struct CMUnitTest tests[sizeof(rows) / sizeof(*rows)];
	size_t count = 0;

	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		if (!has_no_strangers(rows[i].name))
			tests[count++] = rows[i];
	}
	return _cmocka_run_group_tests("wrapped symbols", tests, count, NULL, NULL);
}
