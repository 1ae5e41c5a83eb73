/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/* Extended completion queues, moderation, and the attributes that go with them. */
#include <stddef.h>
#include <pthread.h>
#include <string.h>
#include <time.h>

#include "simfabric/verbs_objects_loop.h"

static void post_receive(struct objects *o, struct loop *loop, uint64_t wr_id, uint32_t length)
{
	struct ibv_sge sge = objects_sge(o, 0x10000, length);
	struct ibv_recv_wr wr = {.wr_id = wr_id, .sg_list = &sge, .num_sge = 1}, *bad;

	CHECK(!ibv_post_recv(loop->qp, &wr, &bad));
}

static void post_send(struct objects *o, struct loop *loop, uint64_t wr_id, unsigned flags)
{
	struct ibv_sge sge = objects_sge(o, 0, LOOP_BYTES);
	struct ibv_send_wr wr = {.wr_id = wr_id,
	                           .sg_list = &sge,
	                           .num_sge = 1,
	                           .opcode = IBV_WR_SEND_WITH_IMM,
	                           .imm_data = 0x12345678,
	                           .send_flags = flags},
	                   *bad;

	CHECK(!ibv_post_send(loop->qp, &wr, &bad));
}

static void all_readers_tell_what_poll_cq_tells(struct objects *o)
{
	struct ibv_wc_tm_info tag = {.tag = 1, .priv = 1};
	struct loop loop;
	struct ibv_cq_ex *cq;

	loop_open(o, &loop, loop_wants(IBV_CREATE_CQ_SUP_WC_FLAGS));
	cq = loop.cq;
	post_receive(o, &loop, 7, 1000);
	post_send(o, &loop, 1, 0);
	loop_start(cq);
	CHECK(cq->wr_id == 7 && cq->status == IBV_WC_SUCCESS);
	CHECK(ibv_wc_read_opcode(cq) == IBV_WC_RECV);
	CHECK(ibv_wc_read_vendor_err(cq) == 0);
	CHECK(ibv_wc_read_byte_len(cq) == LOOP_BYTES);
	CHECK(ibv_wc_read_imm_data(cq) == 0x12345678);
	CHECK(ibv_wc_read_qp_num(cq) == loop.qp->qp_num);
	CHECK(ibv_wc_read_src_qp(cq) == loop.qp->qp_num);
	CHECK(ibv_wc_read_wc_flags(cq) == IBV_WC_WITH_IMM);
	CHECK(ibv_wc_read_slid(cq) == o->lid);
	CHECK(ibv_wc_read_sl(cq) == 0 && ibv_wc_read_dlid_path_bits(cq) == 0);
	CHECK(ibv_wc_read_cvlan(cq) == 0 && ibv_wc_read_flow_tag(cq) == 0);
	ibv_wc_read_tm_info(cq, &tag);
	CHECK(tag.tag == 0 && tag.priv == 0);
	CHECK(ibv_next_poll(cq) == ENOENT);
	ibv_end_poll(cq);
	loop_close(&loop);
}

static void only_what_was_asked_for_can_be_read(struct objects *o)
{
	static const struct {
		uint64_t flag;
		size_t reader;
	} readers[] = {
#define READER(flag, name) {flag, offsetof(struct ibv_cq_ex, name)}
	        READER(IBV_WC_EX_WITH_BYTE_LEN, read_byte_len),
	        READER(IBV_WC_EX_WITH_IMM, read_imm_data),
	        READER(IBV_WC_EX_WITH_QP_NUM, read_qp_num),
	        READER(IBV_WC_EX_WITH_SRC_QP, read_src_qp),
	        READER(IBV_WC_EX_WITH_SLID, read_slid),
	        READER(IBV_WC_EX_WITH_SL, read_sl),
	        READER(IBV_WC_EX_WITH_DLID_PATH_BITS, read_dlid_path_bits),
	        READER(IBV_WC_EX_WITH_COMPLETION_TIMESTAMP, read_completion_ts),
	        READER(IBV_WC_EX_WITH_CVLAN, read_cvlan),
	        READER(IBV_WC_EX_WITH_FLOW_TAG, read_flow_tag),
	        READER(IBV_WC_EX_WITH_TM_INFO, read_tm_info),
	        READER(IBV_WC_EX_WITH_COMPLETION_TIMESTAMP_WALLCLOCK, read_completion_wallclock_ns),
#undef READER
	};

	for (size_t i = 0; i < sizeof(readers) / sizeof(readers[0]); i++) {
		struct ibv_cq_init_attr_ex attr = loop_wants(readers[i].flag);
		struct ibv_cq_ex *cq = ibv_create_cq_ex(o->context, &attr);

		CHECK(cq && cq->read_opcode && cq->read_vendor_err && cq->read_wc_flags);
		for (size_t k = 0; k < sizeof(readers) / sizeof(readers[0]); k++) {
			void *reader;

			memcpy(&reader, (char *)cq + readers[k].reader, sizeof(reader));
			CHECK(!reader == (i != k));
		}
		CHECK(!ibv_destroy_cq(ibv_cq_ex_to_cq(cq)));
	}
}

static void batch_goes_on_until_nothing_is_left(struct objects *o)
{
	struct ibv_poll_cq_attr attr = {0};
	struct loop loop;

	loop_open(o, &loop, loop_wants(IBV_WC_STANDARD_FLAGS));
	CHECK(ibv_start_poll(loop.cq, &attr) == ENOENT);
	attr.comp_mask = 1;
	CHECK(ibv_start_poll(loop.cq, &attr) == EINVAL);
	for (uint64_t i = 0; i < 5; i++)
		post_receive(o, &loop, i, 1000);
	for (uint64_t i = 0; i < 5; i++)
		post_send(o, &loop, 100 + i, 0);
	loop_start(loop.cq);
	for (uint64_t i = 0; i < 5; i++) {
		CHECK(loop.cq->wr_id == i);
		while (i < 4 && ibv_next_poll(loop.cq) == ENOENT)
			;
	}
	CHECK(ibv_next_poll(loop.cq) == ENOENT);
	ibv_end_poll(loop.cq);
	loop_close(&loop);
}

/* What a batch has taken is taken: slots of the queues come free, poll_cq does not see it again. */
static void both_ways_of_polling_take_from_one_queue(struct objects *o)
{
	struct loop loop;

	loop_open(o, &loop, loop_wants(IBV_WC_STANDARD_FLAGS));
	for (uint64_t i = 0; i < 200; i += 2) {
		loop_post_write(o, &loop, i);
		loop_post_write(o, &loop, i + 1);
		loop_start(loop.cq);
		CHECK(loop.cq->wr_id == i && loop.cq->status == IBV_WC_SUCCESS);
		ibv_end_poll(loop.cq);
		objects_poll_for(ibv_cq_ex_to_cq(loop.cq), i + 1, IBV_WC_SUCCESS);
	}
	objects_poll_nothing(ibv_cq_ex_to_cq(loop.cq));
	loop_close(&loop);
}

static void errors_are_told_in_a_batch(struct objects *o)
{
	struct ibv_qp_attr attr = {.qp_state = IBV_QPS_ERR};
	struct loop loop;

	loop_open(o, &loop, loop_wants(IBV_WC_STANDARD_FLAGS));
	post_receive(o, &loop, 7, 10);
	CHECK(!ibv_modify_qp(loop.qp, &attr, IBV_QP_STATE));
	loop_start(loop.cq);
	CHECK(loop.cq->wr_id == 7 && loop.cq->status == IBV_WC_WR_FLUSH_ERR);
	CHECK(ibv_wc_read_qp_num(loop.cq) == loop.qp->qp_num);
	ibv_end_poll(loop.cq);
	loop_close(&loop);
}

static void *poll_beside(void *cq)
{
	struct ibv_wc wc;

	/* Waits until the batch is over, then finds what it left. */
	return (void *)(intptr_t)ibv_poll_cq(ibv_cq_ex_to_cq(cq), 1, &wc);
}

static void batch_keeps_other_threads_away(struct objects *o)
{
	struct loop loop;
	pthread_t thread;
	void *polled;

	loop_open(o, &loop, loop_wants(IBV_WC_STANDARD_FLAGS));
	loop_post_write(o, &loop, 1);
	loop_post_write(o, &loop, 2);
	loop_start(loop.cq);
	CHECK(loop.cq->wr_id == 1);
	CHECK(!pthread_create(&thread, NULL, poll_beside, loop.cq));
	/* Verbs on other objects do not wait for the batch. */
	post_receive(o, &loop, 3, 10);
	while (ibv_next_poll(loop.cq) == ENOENT)
		;
	CHECK(loop.cq->wr_id == 2);
	ibv_end_poll(loop.cq);
	CHECK(!pthread_join(thread, &polled) && !polled);
	loop_close(&loop);
}

static void single_threaded_queue_is_not_locked(struct objects *o)
{
	struct ibv_cq_init_attr_ex attr = loop_wants(IBV_WC_STANDARD_FLAGS);
	struct loop loop;

	attr.comp_mask = IBV_CQ_INIT_ATTR_MASK_FLAGS;
	attr.flags = IBV_CREATE_CQ_ATTR_SINGLE_THREADED;
	loop_open(o, &loop, attr);
	loop_post_write(o, &loop, 1);
	loop_post_write(o, &loop, 2);
	loop_start(loop.cq);
	/* With a lock this would wait for ever. */
	objects_poll_for(ibv_cq_ex_to_cq(loop.cq), 2, IBV_WC_SUCCESS);
	CHECK(loop.cq->wr_id == 1);
	ibv_end_poll(loop.cq);
	loop_close(&loop);
}

static void overrun_is_an_error_of_the_queue(struct objects *o)
{
	struct ibv_async_event event;
	struct loop loop;
	struct ibv_cq_init_attr_ex attr = loop_wants(0);

	attr.cqe = 2;
	loop_open(o, &loop, attr);
	for (uint64_t i = 0; i < 3; i++)
		loop_post_write(o, &loop, i);
	event = objects_event(o->context);
	CHECK(event.event_type == IBV_EVENT_CQ_ERR);
	CHECK(event.element.cq == ibv_cq_ex_to_cq(loop.cq));
	loop_close(&loop);
}

static void overrun_is_ignored_where_asked(struct objects *o)
{
	struct ibv_cq_init_attr_ex attr = loop_wants(0);
	struct ibv_qp_init_attr init_attr;
	struct ibv_qp_attr qp_attr;
	struct ibv_cq *probe_cq = ibv_create_cq(o->context, 16, NULL, NULL, 0);
	struct ibv_qp *probe = objects_rc(o, probe_cq, probe_cq);
	struct loop loop, side = {.qp = probe};

	objects_connect(o, probe, probe);
	attr.cqe = 2;
	attr.comp_mask = IBV_CQ_INIT_ATTR_MASK_FLAGS;
	attr.flags = IBV_CREATE_CQ_ATTR_IGNORE_OVERRUN;
	loop_open(o, &loop, attr);
	for (uint64_t i = 0; i < 5; i++)
		loop_post_write(o, &loop, i);
	/* While another queue is polled the HCA works; this one is full and is written on. */
	do {
		loop_post_write(o, &side, 1);
		objects_poll_for(probe_cq, 1, IBV_WC_SUCCESS);
		CHECK(!ibv_query_qp(loop.qp, &qp_attr, IBV_QP_STATE, &init_attr));
		CHECK(qp_attr.qp_state == IBV_QPS_RTS);
		loop_start(loop.cq);
		ibv_end_poll(loop.cq);
	} while (loop.cq->wr_id != 4);
	CHECK(!objects_has_event(o->context->async_fd));
	loop_close(&loop);
	CHECK(!ibv_destroy_qp(probe) && !ibv_destroy_cq(probe_cq));
}

static void unknown_attributes_are_refused(struct objects *o)
{
	struct ibv_cq_init_attr_ex attr = loop_wants(0);

	attr.comp_mask = 1 << 5;
	CHECK_NULL(EOPNOTSUPP, ibv_create_cq_ex(o->context, &attr));
	attr.comp_mask = IBV_CQ_INIT_ATTR_MASK_FLAGS;
	attr.flags = 1 << 5;
	CHECK_NULL(EOPNOTSUPP, ibv_create_cq_ex(o->context, &attr));
	attr = loop_wants(1ull << 40);
	CHECK_NULL(EOPNOTSUPP, ibv_create_cq_ex(o->context, &attr));
	attr = loop_wants(0);
	attr.cqe = 0;
	CHECK_NULL(EINVAL, ibv_create_cq_ex(o->context, &attr));
	attr.cqe = 1;
	attr.comp_vector = (uint32_t)o->context->num_comp_vectors;
	CHECK_NULL(EINVAL, ibv_create_cq_ex(o->context, &attr));
	CHECK_NULL(EINVAL, ibv_create_cq(o->context, 1, NULL, NULL, -1));
	CHECK_NULL(EINVAL, ibv_create_cq(o->context, -1, NULL, NULL, 0));
}

static void parent_domain_is_busy_while_a_queue_uses_it(struct objects *o)
{
	struct ibv_td_init_attr td_attr = {0};
	struct ibv_td *td = ibv_alloc_td(o->context, &td_attr);
	struct ibv_parent_domain_init_attr parent_attr = {.pd = o->pd, .td = td};
	struct ibv_pd *parent = ibv_alloc_parent_domain(o->context, &parent_attr);
	struct ibv_cq_init_attr_ex attr = loop_wants(0);
	struct ibv_cq_ex *cq;

	CHECK(td && parent);
	attr.comp_mask = IBV_CQ_INIT_ATTR_MASK_PD;
	attr.parent_domain = o->pd;
	CHECK_NULL(EINVAL, ibv_create_cq_ex(o->context, &attr));
	attr.parent_domain = parent;
	CHECK((cq = ibv_create_cq_ex(o->context, &attr)));
	CHECK(ibv_dealloc_pd(parent) == EBUSY);
	CHECK(!ibv_destroy_cq(ibv_cq_ex_to_cq(cq)));
	CHECK(!ibv_dealloc_pd(parent) && !ibv_dealloc_td(td));
}

static void extended_queue_raises_events(struct objects *o)
{
	struct ibv_cq_init_attr_ex attr = loop_wants(0);
	struct ibv_cq *cq;
	void *cq_context;
	struct loop loop;

	attr.channel = o->channel;
	attr.cq_context = &attr;
	loop_open(o, &loop, attr);
	CHECK(!ibv_req_notify_cq(ibv_cq_ex_to_cq(loop.cq), 0));
	loop_post_write(o, &loop, 1);
	CHECK(!ibv_get_cq_event(o->channel, &cq, &cq_context));
	CHECK(cq == ibv_cq_ex_to_cq(loop.cq) && cq_context == &attr);
	ibv_ack_cq_events(cq, 1);
	loop_close(&loop);
}

static uint64_t monotonic_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

static void moderated_queue_waits_with_its_event(struct objects *o)
{
	const uint64_t period_ns = UINT16_MAX * 1000ull;
	struct ibv_modify_cq_attr attr = {.attr_mask = IBV_CQ_ATTR_MODERATE,
	        .moderate = {.cq_count = 3, .cq_period = UINT16_MAX}};
	struct ibv_cq_init_attr_ex init_attr = loop_wants(0);
	struct ibv_device_attr_ex device;
	uint64_t posted_ns = 0;
	struct ibv_cq *cq;
	void *cq_context;
	struct loop loop;

	CHECK(!ibv_query_device_ex(o->context, NULL, &device));
	CHECK(device.cq_mod_caps.max_cq_count && device.cq_mod_caps.max_cq_period);
	init_attr.channel = o->channel;
	loop_open(o, &loop, init_attr);
	CHECK(!ibv_modify_cq(ibv_cq_ex_to_cq(loop.cq), &attr));
	/* By the count at once, by the period after 65 ms: both come. */
	for (int writes = 3; writes > 0; writes -= 2) {
		CHECK(!ibv_req_notify_cq(ibv_cq_ex_to_cq(loop.cq), 0));
		posted_ns = monotonic_ns();
		for (int i = 0; i < writes; i++)
			loop_post_write(o, &loop, (uint64_t)i);
		CHECK(!ibv_get_cq_event(o->channel, &cq, &cq_context));
		ibv_ack_cq_events(cq, 1);
		for (int i = 0; i < writes; i++)
			objects_poll_for(ibv_cq_ex_to_cq(loop.cq), (uint64_t)i, IBV_WC_SUCCESS);
	}
	/* The one that was alone has waited. */
	CHECK(monotonic_ns() - posted_ns >= period_ns);
	attr.attr_mask = IBV_CQ_ATTR_RESERVED;
	CHECK(ibv_modify_cq(ibv_cq_ex_to_cq(loop.cq), &attr) == EINVAL);
	loop_close(&loop);
}

static void attributes_beyond_the_ordinary_are_honest(struct objects *o)
{
	struct ibv_device_attr_ex attr;
	struct ibv_query_device_ex_input input = {.comp_mask = 1};

	memset(&attr, 0xff, sizeof(attr));
	CHECK(!ibv_query_device_ex(o->context, NULL, &attr));
	CHECK(attr.device_cap_flags_ex == attr.orig_attr.device_cap_flags);
	CHECK(!attr.comp_mask && attr.phys_port_cnt_ex == attr.orig_attr.phys_port_cnt);
	CHECK(!attr.odp_caps.general_caps && !attr.xrc_odp_caps && !attr.max_dm_size);
	CHECK(!attr.tso_caps.max_tso && !attr.rss_caps.supported_qpts && !attr.max_wq_type_rq);
	CHECK(!attr.packet_pacing_caps.supported_qpts && !attr.raw_packet_caps);
	CHECK(!attr.tm_caps.max_num_tags && !attr.pci_atomic_caps.fetch_add);
	CHECK(ibv_query_device_ex(o->context, &input, &attr) == EINVAL);
}

const struct objects_test objects_cq_ex_tests[] = {
        OBJECTS_TEST(all_readers_tell_what_poll_cq_tells),
        OBJECTS_TEST(only_what_was_asked_for_can_be_read),
        OBJECTS_TEST(batch_goes_on_until_nothing_is_left),
        OBJECTS_TEST(both_ways_of_polling_take_from_one_queue),
        OBJECTS_TEST(errors_are_told_in_a_batch),
        OBJECTS_TEST(batch_keeps_other_threads_away),
        OBJECTS_TEST(single_threaded_queue_is_not_locked),
        OBJECTS_TEST(overrun_is_an_error_of_the_queue),
        OBJECTS_TEST(overrun_is_ignored_where_asked),
        OBJECTS_TEST(unknown_attributes_are_refused),
        OBJECTS_TEST(parent_domain_is_busy_while_a_queue_uses_it),
        OBJECTS_TEST(extended_queue_raises_events),
        OBJECTS_TEST(moderated_queue_waits_with_its_event),
        OBJECTS_TEST(attributes_beyond_the_ordinary_are_honest),
        {0},
};
