/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/* Two UD queue pairs on a wire: what arrives, what is dropped, and what stops whom. */
#include <endian.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "simfabric/address_handle.h"
#include "simfabric/datagram.h"
#include "unit/hca_pair_checks.h"

enum {
	GRH = DATAGRAM_GRH_ROOM,
	FAR = 0x40000, /* where end 1 receives */
	MTU = 1024,
};

static struct pair *open_with(struct pair_options options)
{
	options.types[0] = options.types[1] = IBV_QPT_UD;
	return pair_open(&options);
}

static int open_pair(void **state)
{
	*state = open_with(pair_default);
	return 0;
}

static int open_srq_pair(void **state)
{
	struct pair_options options = pair_default;

	options.with_srq = true;
	*state = open_with(options);
	return 0;
}

static int close_pair(void **state)
{
	pair_close(*state);
	return 0;
}

static struct address_handle to(int end)
{
	return (struct address_handle){.attr = {.dlid = pair_lid(end), .port_num = 1}};
}

static struct address_handle global_to(int end)
{
	struct address_handle handle = to(end);

	handle.attr.is_global = 1;
	handle.attr.grh = (struct ibv_global_route){.dgid = pair_gid(end),
	        .flow_label = 0x12345,
	        .traffic_class = 0x67,
	        .hop_limit = 9};
	return handle;
}

/* A datagram that end 0 posts, with what it points to. */
struct datagram {
	struct address_handle handle;
	struct ibv_sge sge;
	struct ibv_send_wr wr;
};

static void datagram_make(struct pair *pair, struct datagram *datagram, uint32_t bytes)
{
	datagram->handle = to(1);
	datagram->sge = pair_sge(pair, 0, 0, bytes);
	datagram->wr = (struct ibv_send_wr){.wr_id = 7,
	        .sg_list = &datagram->sge,
	        .num_sge = 1,
	        .opcode = IBV_WR_SEND,
	        .send_flags = IBV_SEND_SIGNALED,
	        .wr.ud = {.ah = &datagram->handle.ah,
	                .remote_qpn = 0x101,
	                .remote_qkey = pair_default.qkey}};
}

/* Posted, and all has happened that comes of it. */
static void post(struct pair *pair, const struct ibv_send_wr *wr)
{
	assert_int_equal(pair_post(pair, 0, wr), 0);
	assert_true(pair_settle(pair));
}

static void send_by(struct pair *pair, struct address_handle handle, uint32_t bytes)
{
	struct datagram datagram;

	datagram_make(pair, &datagram, bytes);
	datagram.handle = handle;
	post(pair, &datagram.wr);
}

static void send(struct pair *pair, uint32_t bytes)
{
	send_by(pair, to(1), bytes);
}

static enum ibv_wc_status sent_with(struct pair *pair)
{
	struct ibv_wc wc = {.status = IBV_WC_GENERAL_ERR};

	assert_true(pair_poll_send(pair, 0, &wc));
	return wc.status;
}

static void nothing_received(struct pair *pair)
{
	struct ibv_wc wc;

	assert_false(pair_poll_receive(pair, 1, &wc));
}

static void payload_arrives_behind_the_room_for_a_grh(void **state)
{
	struct pair *pair = *state;
	struct ibv_wc wc;

	pair_fill(pair, 0, 0, 100, 1);
	memset(pair->end[1].memory + FAR, 0xee, 200);
	pair_post_receive(pair, 1, FAR, GRH + 100, 3);
	send(pair, 100);
	assert_int_equal(sent_with(pair), IBV_WC_SUCCESS);
	assert_true(pair_poll_receive(pair, 1, &wc));
	assert_int_equal(wc.wr_id, 3);
	assert_int_equal(wc.status, IBV_WC_SUCCESS);
	assert_int_equal(wc.opcode, IBV_WC_RECV);
	assert_int_equal(wc.byte_len, GRH + 100);
	assert_int_equal(wc.wc_flags, 0);
	assert_int_equal(wc.src_qp, 0x100);
	assert_int_equal(wc.slid, pair_lid(0));
	assert_memory_equal(pair->end[1].memory + FAR + GRH, pair->end[0].memory, 100);
	for (int i = 0; i < GRH; i++)
		assert_int_equal(pair->end[1].memory[FAR + i], 0xee);
	assert_int_equal(pair->end[1].memory[FAR + GRH + 100], 0xee);
}

static void grh_arrives_and_says_who_sent(void **state)
{
	struct pair *pair = *state;
	struct address_handle handle = global_to(1);
	const struct ibv_grh *grh = (const void *)(pair->end[1].memory + FAR);
	union ibv_gid from = pair_gid(0), dest = pair_gid(1);
	struct ibv_wc wc;

	pair_post_receive(pair, 1, FAR, GRH + 10, 3);
	send_by(pair, handle, 10);
	assert_true(pair_poll_receive(pair, 1, &wc));
	assert_int_equal(wc.wc_flags, IBV_WC_GRH);
	assert_int_equal(wc.byte_len, GRH + 10);
	assert_memory_equal(&grh->sgid, &from, sizeof(from));
	assert_memory_equal(&grh->dgid, &dest, sizeof(dest));
	assert_int_equal(be32toh(grh->version_tclass_flow), 0x66712345);
	assert_int_equal(grh->next_hdr, 0x1b);
	assert_int_equal(grh->hop_limit, 9);
	/* BTH, DETH, payload padded to words, ICRC. */
	assert_int_equal(be16toh(grh->paylen), 12 + 8 + 12 + 4);
}

static void completion_makes_an_address_back(void **state)
{
	struct pair *pair = *state;
	struct address_handle handle = global_to(1);
	union ibv_gid from = pair_gid(0);
	struct ibv_ah_attr back;
	struct ibv_wc wc;

	handle.attr.sl = 3;
	handle.attr.src_path_bits = 1;
	handle.attr.dlid |= 1;
	pair_post_receive(pair, 1, FAR, GRH + 10, 3);
	send_by(pair, handle, 10);
	assert_true(pair_poll_receive(pair, 1, &wc));
	assert_int_equal(wc.sl, 3);
	assert_int_equal(wc.slid, pair_lid(0) | 1);
	assert_int_equal(wc.dlid_path_bits, 1);
	address_of_sender(&back, 1, &wc, (const void *)(pair->end[1].memory + FAR));
	assert_int_equal(back.dlid, pair_lid(0) | 1);
	assert_int_equal(back.src_path_bits, 1);
	assert_int_equal(back.sl, 3);
	assert_int_equal(back.port_num, 1);
	assert_int_equal(back.is_global, 1);
	assert_memory_equal(&back.grh.dgid, &from, sizeof(from));
	assert_int_equal(back.grh.flow_label, 0x12345);
	assert_int_equal(back.grh.traffic_class, 0x67);
	wc.wc_flags = 0;
	address_of_sender(&back, 1, &wc, NULL);
	assert_int_equal(back.is_global, 0);
}

static void immediate_data_and_solicitation_arrive(void **state)
{
	struct pair *pair = *state;
	struct datagram datagram;
	struct completion *completion;

	datagram_make(pair, &datagram, 4);
	datagram.wr.opcode = IBV_WR_SEND_WITH_IMM;
	datagram.wr.imm_data = 0x12345678;
	datagram.wr.send_flags |= IBV_SEND_SOLICITED;
	pair_post_receive(pair, 1, FAR, GRH + 4, 3);
	post(pair, &datagram.wr);
	completion = completion_queue_peek(&pair->end[1].receive_completions, pair->now_ns);
	assert_non_null(completion);
	assert_true(completion->solicited);
	assert_int_equal(completion->wc.wc_flags, IBV_WC_WITH_IMM);
	assert_int_equal(completion->wc.imm_data, 0x12345678);
}

static void request_keeps_its_own_copy_of_the_address(void **state)
{
	struct pair *pair = *state;
	struct datagram *datagram = malloc(sizeof(*datagram));
	struct ibv_wc wc;

	datagram_make(pair, datagram, 4);
	pair_post_receive(pair, 1, FAR, GRH + 4, 3);
	assert_int_equal(pair_post(pair, 0, &datagram->wr), 0);
	memset(datagram, 0xff, sizeof(*datagram));
	free(datagram);
	assert_true(pair_settle(pair));
	assert_true(pair_poll_receive(pair, 1, &wc));
}

static void flushed(struct pair *pair, uint64_t wr_id)
{
	struct ibv_wc wc;

	assert_true(pair_poll_send(pair, 0, &wc));
	assert_int_equal(wc.wr_id, wr_id);
	assert_int_equal(wc.status, IBV_WC_WR_FLUSH_ERR);
}

/* A device that knows only of what it has completed; its PSN says what it has sent. */
static void err_gives_back_what_was_sent_if_told_to(void **state)
{
	struct pair *pair = *state;
	struct ibv_qp_attr attr = {.qp_state = IBV_QPS_ERR};
	struct datagram datagram;
	struct ibv_wc wc;

	pair->end[0].host.err_gives_back_sent = true;
	for (uint64_t n = 0; n < 4; n++) {
		pair_post_receive(pair, 1, FAR, GRH + 4, n);
		datagram_make(pair, &datagram, 4);
		datagram.wr.wr_id = n;
		datagram.wr.send_flags = n == 1 ? IBV_SEND_SIGNALED : 0;
		post(pair, &datagram.wr);
		assert_true(pair_poll_receive(pair, 1, &wc));
	}
	assert_true(pair_poll_send(pair, 0, &wc));
	assert_int_equal(wc.wr_id, 1);
	assert_false(pair_poll_send(pair, 0, &wc));
	assert_int_equal(queue_pair_modify(&pair->end[0].qp, &attr, IBV_QP_STATE), 0);
	flushed(pair, 2);
	flushed(pair, 3);
	queue_pair_query(&pair->end[0].qp, &attr);
	assert_int_equal(attr.sq_psn, (pair_default.first_psn + 4) & PACKET_PSN_MASK);
}

/* The sender learns nothing of any of these. */
static void dropped(struct pair *pair, const struct ibv_send_wr *wr)
{
	post(pair, wr);
	assert_int_equal(sent_with(pair), IBV_WC_SUCCESS);
	nothing_received(pair);
	assert_int_equal(pair->end[1].qp.state, IBV_QPS_RTS);
}

static void datagram_without_a_buffer_is_dropped(void **state)
{
	struct pair *pair = *state;
	struct datagram datagram;

	datagram_make(pair, &datagram, 4);
	dropped(pair, &datagram.wr);
}

static void another_qkey_is_dropped_and_takes_no_buffer(void **state)
{
	struct pair *pair = *state;
	struct datagram datagram;
	struct ibv_wc wc;

	datagram_make(pair, &datagram, 4);
	pair_post_receive(pair, 1, FAR, GRH + 4, 3);
	datagram.wr.wr.ud.remote_qkey++;
	dropped(pair, &datagram.wr);
	send(pair, 4);
	assert_true(pair_poll_receive(pair, 1, &wc));
	assert_int_equal(wc.wr_id, 3);
}

static void controlled_qkey_stands_for_the_senders_own(void **state)
{
	struct pair *pair = *state;
	struct datagram datagram;
	struct ibv_wc wc;

	datagram_make(pair, &datagram, 4);
	pair_post_receive(pair, 1, FAR, GRH + 4, 3);
	datagram.wr.wr.ud.remote_qkey = CONTROLLED_QKEY | 5;
	post(pair, &datagram.wr);
	assert_true(pair_poll_receive(pair, 1, &wc));
	/* One that is not the receiver's by then is dropped as any other. */
	pair_post_receive(pair, 1, FAR, GRH + 4, 4);
	pair->end[0].qp.attr.qkey++;
	dropped(pair, &(struct ibv_send_wr){.num_sge = 0,
	                      .opcode = IBV_WR_SEND,
	                      .send_flags = IBV_SEND_SIGNALED,
	                      .wr.ud = datagram.wr.wr.ud});
}

static void datagram_longer_than_the_buffer_leaves_it_for_another(void **state)
{
	struct pair *pair = *state;
	struct datagram datagram;
	struct ibv_wc wc;

	datagram_make(pair, &datagram, 11);
	pair_post_receive(pair, 1, FAR, GRH + 10, 3);
	dropped(pair, &datagram.wr);
	send(pair, 10);
	assert_true(pair_poll_receive(pair, 1, &wc));
	assert_int_equal(wc.status, IBV_WC_SUCCESS);
}

static void shared_buffer_that_is_too_short_completes_with_the_error(void **state)
{
	struct pair *pair = *state;
	struct ibv_wc wc;

	pair_post_receive(pair, 1, FAR, GRH + 10, 3);
	send(pair, 11);
	assert_true(pair_poll_receive(pair, 1, &wc));
	assert_int_equal(wc.status, IBV_WC_LOC_LEN_ERR);
	assert_int_equal(pair->end[1].qp.state, IBV_QPS_RTS);
	pair_post_receive(pair, 1, FAR, GRH + 10, 4);
	send(pair, 10);
	assert_true(pair_poll_receive(pair, 1, &wc));
	assert_int_equal(wc.wr_id, 4);
	assert_int_equal(wc.status, IBV_WC_SUCCESS);
}

static void datagram_of_one_mtu_passes(void **state)
{
	struct pair *pair = *state;
	struct ibv_wc wc;

	pair_fill(pair, 0, 0, MTU, 1);
	pair_post_receive(pair, 1, FAR, GRH + MTU, 3);
	send(pair, MTU);
	assert_true(pair_poll_receive(pair, 1, &wc));
	assert_memory_equal(pair->end[1].memory + FAR + GRH, pair->end[0].memory, MTU);
	assert_int_equal(pair->sent[0], 1);
}

static int post_two(struct pair *pair, const struct ibv_send_wr *first)
{
	struct datagram datagram;

	datagram_make(pair, &datagram, 4);
	datagram.wr.wr_id = 8;
	return pair_post(pair, 0, first) || pair_post(pair, 0, &datagram.wr);
}

static void send_queue_stops_at_a_local_error(
        struct pair *pair, const struct ibv_send_wr *wr, enum ibv_wc_status status)
{
	struct ibv_qp_attr attr = {.qp_state = IBV_QPS_RTS};
	struct ibv_wc wc;

	assert_int_equal(post_two(pair, wr), 0);
	assert_true(pair_settle(pair));
	assert_int_equal(pair->end[0].qp.state, IBV_QPS_SQE);
	assert_int_equal(sent_with(pair), status);
	assert_int_equal(sent_with(pair), IBV_WC_WR_FLUSH_ERR);
	assert_int_equal(pair->sent[0], 0);
	/* What is posted in SQE is flushed; back in RTS it is sent. */
	send(pair, 4);
	assert_int_equal(sent_with(pair), IBV_WC_WR_FLUSH_ERR);
	assert_int_equal(queue_pair_modify(&pair->end[0].qp, &attr, IBV_QP_STATE), 0);
	pair_post_receive(pair, 1, FAR, GRH + 4, 3);
	send(pair, 4);
	assert_int_equal(sent_with(pair), IBV_WC_SUCCESS);
	assert_true(pair_poll_receive(pair, 1, &wc));
}

static void more_than_one_mtu_stops_the_send_queue(void **state)
{
	struct pair *pair = *state;
	struct datagram datagram;

	datagram_make(pair, &datagram, MTU + 1);
	send_queue_stops_at_a_local_error(pair, &datagram.wr, IBV_WC_LOC_LEN_ERR);
}

static void key_that_is_none_stops_the_send_queue(void **state)
{
	struct pair *pair = *state;
	struct datagram datagram;

	datagram_make(pair, &datagram, 4);
	datagram.sge.lkey ^= 0xff;
	send_queue_stops_at_a_local_error(pair, &datagram.wr, IBV_WC_LOC_PROT_ERR);
}

static void gid_index_that_is_none_stops_the_send_queue(void **state)
{
	struct pair *pair = *state;
	struct datagram datagram;

	datagram_make(pair, &datagram, 4);
	datagram.handle = global_to(1);
	datagram.handle.attr.grh.sgid_index = 1;
	send_queue_stops_at_a_local_error(pair, &datagram.wr, IBV_WC_LOC_QP_OP_ERR);
}

static void receives_go_on_while_the_send_queue_stands(void **state)
{
	struct pair *pair = *state;
	struct ibv_wc wc;

	send(pair, MTU + 1);
	assert_int_equal(pair->end[0].qp.state, IBV_QPS_SQE);
	pair_post_receive(pair, 0, FAR, GRH + 4, 5);
	queue_pair_receive(&pair->end[0].qp, &(struct packet){.opcode = TRANSPORT_UD | OP_SEND_ONLY,
	                                             .slid = pair_lid(1),
	                                             .dlid = pair_lid(0),
	                                             .src_qpn = 0x999,
	                                             .deth.qkey = pair_default.qkey});
	assert_true(pair_poll_receive(pair, 0, &wc));
	assert_int_equal(wc.src_qp, 0x999);
}

static void buffer_that_is_not_writable_brings_the_queue_pair_down(void **state)
{
	struct pair *pair = *state;
	struct ibv_wc wc;

	pair_post_receive(pair, 1, FAR, GRH + 4, 3);
	pair->end[1].region.access = 0;
	send(pair, 4);
	assert_true(pair_poll_receive(pair, 1, &wc));
	assert_int_equal(wc.status, IBV_WC_LOC_PROT_ERR);
	assert_int_equal(pair->end[1].qp.state, IBV_QPS_ERR);
	assert_int_equal(pair->end[1].events[0], IBV_EVENT_QP_FATAL);
	assert_int_equal(sent_with(pair), IBV_WC_SUCCESS);
}

static void only_sends_can_be_posted(void **state)
{
	struct pair *pair = *state;
	struct datagram datagram;

	datagram_make(pair, &datagram, 8);
	for (int opcode = IBV_WR_RDMA_WRITE; opcode <= IBV_WR_ATOMIC_FETCH_AND_ADD; opcode++) {
		datagram.wr.opcode = (enum ibv_wr_opcode)opcode;
		if (datagram.wr.opcode != IBV_WR_SEND && datagram.wr.opcode != IBV_WR_SEND_WITH_IMM)
			assert_int_equal(pair_post(pair, 0, &datagram.wr), -EINVAL);
	}
}

static void packets_of_another_transport_are_dropped(void **state)
{
	struct pair *pair = *state;
	struct packet packet = {.opcode = TRANSPORT_RC | OP_SEND_ONLY,
	        .slid = pair_lid(0),
	        .deth.qkey = pair_default.qkey};

	pair_post_receive(pair, 1, FAR, GRH + 4, 3);
	queue_pair_receive(&pair->end[1].qp, &packet);
	packet.opcode = TRANSPORT_UD | OP_SEND_FIRST;
	queue_pair_receive(&pair->end[1].qp, &packet);
	nothing_received(pair);
	packet.opcode = TRANSPORT_UD | OP_SEND_ONLY;
	queue_pair_receive(&pair->end[1].qp, &packet);
	assert_true(pair_poll_receive(pair, 1, &(struct ibv_wc){0}));
}

/* A LID of a group has no bits that select a path. */
static void path_bits_are_those_of_a_port(void **state)
{
	struct pair *pair = *state;
	struct packet packet = {.opcode = TRANSPORT_UD | OP_SEND_ONLY,
	        .slid = pair_lid(0),
	        .deth.qkey = pair_default.qkey};
	static const struct {
		uint16_t dlid;
		uint8_t bits;
	} rows[] = {{0x0003, 1}, {0xbfff, 1}, {0xc001, 0}};
	struct ibv_wc wc;

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		pair_post_receive(pair, 1, FAR, GRH + 4, 3);
		packet.dlid = rows[i].dlid;
		queue_pair_receive(&pair->end[1].qp, &packet);
		assert_true(pair_poll_receive(pair, 1, &wc));
		assert_int_equal(wc.dlid_path_bits, rows[i].bits);
	}
}

static void sends_wait_while_drained(void **state)
{
	struct pair *pair = *state;
	struct ibv_qp_attr attr = {.qp_state = IBV_QPS_SQD};
	struct ibv_wc wc;

	pair_post_receive(pair, 1, FAR, GRH + 4, 3);
	assert_int_equal(queue_pair_modify(&pair->end[0].qp, &attr, IBV_QP_STATE), 0);
	send(pair, 4);
	assert_false(pair_poll_send(pair, 0, &wc));
	attr.qp_state = IBV_QPS_RTS;
	assert_int_equal(queue_pair_modify(&pair->end[0].qp, &attr, IBV_QP_STATE), 0);
	assert_true(pair_settle(pair));
	assert_int_equal(sent_with(pair), IBV_WC_SUCCESS);
	assert_true(pair_poll_receive(pair, 1, &wc));
}

static void datagrams_wait_for_room_on_the_wire(void **state)
{
	struct pair *pair = *state;
	struct datagram datagram;
	struct ibv_wc wc;

	datagram_make(pair, &datagram, 4);
	pair->room = 4;
	for (int i = 0; i < 100; i++) {
		pair_post_receive(pair, 1, FAR, GRH + 4, (uint64_t)i);
		datagram.wr.wr_id = (uint64_t)i;
		assert_int_equal(pair_post(pair, 0, &datagram.wr), 0);
	}
	assert_true(pair_settle(pair));
	for (uint64_t i = 0; i < 100; i++) {
		assert_true(pair_poll_receive(pair, 1, &wc));
		assert_int_equal(wc.wr_id, i);
		assert_true(pair_poll_send(pair, 0, &wc));
		assert_int_equal(wc.wr_id, i);
	}
}

#define TEST(name)     cmocka_unit_test_setup_teardown(name, open_pair, close_pair)
#define SRQ_TEST(name) cmocka_unit_test_setup_teardown(name, open_srq_pair, close_pair)

int main(void)
{
	const struct CMUnitTest tests[] = {
	        TEST(payload_arrives_behind_the_room_for_a_grh),
	        TEST(grh_arrives_and_says_who_sent),
	        TEST(completion_makes_an_address_back),
	        TEST(immediate_data_and_solicitation_arrive),
	        TEST(err_gives_back_what_was_sent_if_told_to),
	        TEST(request_keeps_its_own_copy_of_the_address),
	        TEST(datagram_without_a_buffer_is_dropped),
	        TEST(another_qkey_is_dropped_and_takes_no_buffer),
	        TEST(controlled_qkey_stands_for_the_senders_own),
	        TEST(datagram_longer_than_the_buffer_leaves_it_for_another),
	        SRQ_TEST(shared_buffer_that_is_too_short_completes_with_the_error),
	        SRQ_TEST(datagram_without_a_buffer_is_dropped),
	        SRQ_TEST(payload_arrives_behind_the_room_for_a_grh),
	        TEST(datagram_of_one_mtu_passes),
	        TEST(more_than_one_mtu_stops_the_send_queue),
	        TEST(key_that_is_none_stops_the_send_queue),
	        TEST(gid_index_that_is_none_stops_the_send_queue),
	        TEST(receives_go_on_while_the_send_queue_stands),
	        TEST(buffer_that_is_not_writable_brings_the_queue_pair_down),
	        TEST(only_sends_can_be_posted),
	        TEST(packets_of_another_transport_are_dropped),
	        TEST(path_bits_are_those_of_a_port),
	        TEST(sends_wait_while_drained),
	        TEST(datagrams_wait_for_room_on_the_wire),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
