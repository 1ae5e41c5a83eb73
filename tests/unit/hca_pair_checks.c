/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include <endian.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "unit/hca_pair_checks.h"

static uint8_t byte_of(uint8_t seed, uint32_t i)
{
	return (uint8_t)(seed + i * 7 + (i >> 8));
}

void pair_fill(struct pair *pair, int index, uint64_t offset, uint32_t length, uint8_t seed)
{
	for (uint32_t i = 0; i < length; i++)
		pair->end[index].memory[offset + i] = byte_of(seed, i);
}

void pair_assert_filled(
        struct pair *pair, int index, uint64_t offset, uint32_t length, uint8_t seed)
{
	for (uint32_t i = 0; i < length; i++)
		assert_int_equal(pair->end[index].memory[offset + i], byte_of(seed, i));
}

void pair_assert_same(struct pair *pair, uint64_t at0, uint64_t at1, uint32_t length)
{
	assert_memory_equal(pair->end[0].memory + at0, pair->end[1].memory + at1, length);
}

void pair_assert_sent(struct pair *pair, int index, uint64_t wr_id, enum ibv_wc_status status)
{
	struct ibv_wc wc = {0};

	assert_true(pair_poll_send(pair, index, &wc));
	assert_int_equal(wc.status, status);
	assert_int_equal(wc.wr_id, wr_id);
}

void pair_assert_received(struct pair *pair, int index, uint64_t wr_id, uint32_t bytes)
{
	struct ibv_wc wc = {0};

	assert_true(pair_poll_receive(pair, index, &wc));
	assert_int_equal(wc.status, IBV_WC_SUCCESS);
	assert_int_equal(wc.wr_id, wr_id);
	assert_int_equal(wc.byte_len, bytes);
}

void pair_assert_nothing_more(struct pair *pair)
{
	struct ibv_wc wc = {0};

	for (int i = 0; i < 2; i++) {
		assert_false(pair_poll_send(pair, i, &wc));
		assert_false(pair_poll_receive(pair, i, &wc));
	}
}

void pair_post_work(struct pair *pair, enum ibv_wr_opcode opcode, uint32_t length, uint64_t wr_id)
{
	struct ibv_sge sge = pair_sge(pair, 0, LOCAL, length);
	struct ibv_send_wr wr = pair_request(pair, 0, opcode, &sge, REMOTE, wr_id);

	wr.imm_data = htobe32(0x1234);
	wr.num_sge = length ? 1 : 0;
	assert_int_equal(pair_post(pair, 0, &wr), 0);
}

uint64_t pair_word(struct pair *pair, int index, uint64_t offset)
{
	uint64_t value;

	memcpy(&value, pair->end[index].memory + offset, sizeof(value));
	return value;
}

void pair_set_word(struct pair *pair, int index, uint64_t offset, uint64_t value)
{
	memcpy(pair->end[index].memory + offset, &value, sizeof(value));
}

void pair_post_atomic(
        struct pair *pair, enum ibv_wr_opcode opcode, uint64_t compare_add, uint64_t swap)
{
	struct ibv_sge sge = pair_sge(pair, 0, LOCAL, 8);
	struct ibv_send_wr wr = pair_request(pair, 0, opcode, &sge, REMOTE, 1);

	wr.wr.atomic.compare_add = compare_add;
	wr.wr.atomic.swap = swap;
	assert_int_equal(pair_post(pair, 0, &wr), 0);
}

int pair_lose_all(void *test, int from, const struct packet *packet, uint64_t *delay_ns)
{
	return 0;
}
