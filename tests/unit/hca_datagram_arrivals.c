/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/* Two UD queue pairs on a wire: what arrives, and what is said with it. */
#include <endian.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "unit/hca_datagram_ends.h"
#include "unit/hca_pair_checks.h"

static void payload_arrives_behind_the_room_for_a_grh(void **state)
{
	struct pair *pair = *state;
	struct ibv_wc wc;

	pair_fill(pair, 0, 0, 100, 1);
	memset(pair->end[1].memory + FAR, 0xee, 200);
	pair_post_receive(pair, 1, FAR, GRH + 100, 3);
	send_bytes(pair, 100);
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

static void datagram_of_one_mtu_passes(void **state)
{
	struct pair *pair = *state;
	struct ibv_wc wc;

	pair_fill(pair, 0, 0, MTU, 1);
	pair_post_receive(pair, 1, FAR, GRH + MTU, 3);
	send_bytes(pair, MTU);
	assert_true(pair_poll_receive(pair, 1, &wc));
	assert_memory_equal(pair->end[1].memory + FAR + GRH, pair->end[0].memory, MTU);
	assert_int_equal(pair->sent[0], 1);
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

#define TEST(name)     cmocka_unit_test_setup_teardown(name, ud_open, ud_close)
#define SRQ_TEST(name) cmocka_unit_test_setup_teardown(name, ud_open_with_srq, ud_close)

int main(void)
{
	const struct CMUnitTest tests[] = {
	        TEST(payload_arrives_behind_the_room_for_a_grh),
	        SRQ_TEST(payload_arrives_behind_the_room_for_a_grh),
	        TEST(grh_arrives_and_says_who_sent),
	        TEST(completion_makes_an_address_back),
	        TEST(path_bits_are_those_of_a_port),
	        TEST(immediate_data_and_solicitation_arrive),
	        TEST(datagram_of_one_mtu_passes),
	        TEST(request_keeps_its_own_copy_of_the_address),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
