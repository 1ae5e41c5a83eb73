/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/* The logs: what is posted can be posted again, what was not posted was never there. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <string.h>

#include "preload/completion_ring.h"
#include "preload/translation.h"
#include "preload/work_log.h"

enum { DEPTH = 4, MAX_SGE = 2, MAX_INLINE = 16 };

static int setup(void **state)
{
	static struct send_log log;
	struct ibv_qp_cap cap = {
	        .max_send_wr = DEPTH, .max_send_sge = MAX_SGE, .max_inline_data = MAX_INLINE};

	*state = &log;
	return send_log_init(&log, &cap);
}

static int teardown(void **state)
{
	send_log_fini(*state);
	return 0;
}

static void a_filled_slot_is_not_work_before_commit(void **state)
{
	struct send_log *log = *state;
	struct ibv_send_wr wr = {.opcode = IBV_WR_SEND};

	assert_int_equal(send_log_fill(log, 0, &wr), 0);
	assert_int_equal(send_log_open(log), 0);
	send_log_number(log, 1);
	send_log_commit(log, 1, true);
	assert_int_equal(send_log_open(log), 1);
}

static void a_full_log_answers_as_a_full_queue(void **state)
{
	struct send_log *log = *state;
	struct ibv_send_wr wr = {.opcode = IBV_WR_SEND};

	for (int i = 0; i < DEPTH; i++)
		assert_int_equal(send_log_fill(log, (uint32_t)i, &wr), 0);
	assert_int_equal(send_log_fill(log, DEPTH, &wr), -ENOMEM);
	send_log_number(log, DEPTH);
	send_log_commit(log, DEPTH, true);
	send_log_retire(log, 0);
	assert_int_equal(send_log_fill(log, 0, &wr), 0);
}

static void what_is_posted_again_is_what_was_posted(void **state)
{
	struct send_log *log = *state;
	struct ibv_sge sges[2] = {{1, 2, 3}, {4, 5, 6}};
	struct ibv_send_wr wr = {.wr_id = 77,
	        .sg_list = sges,
	        .num_sge = 2,
	        .opcode = IBV_WR_RDMA_WRITE_WITH_IMM,
	        .send_flags = IBV_SEND_FENCE | IBV_SEND_SOLICITED,
	        .imm_data = 99,
	        .wr.rdma = {.remote_addr = 8, .rkey = 9}};
	struct ibv_send_wr again;

	assert_int_equal(send_log_fill(log, 0, &wr), 0);
	send_log_number(log, 1);
	send_log_commit(log, 1, true);
	memset(sges, 0, sizeof(sges)); /* the application's list is its own again */
	send_log_wr(log, 0, &again);
	assert_int_equal(again.opcode, wr.opcode);
	assert_int_equal(again.send_flags, wr.send_flags);
	assert_int_equal(again.imm_data, 99);
	assert_int_equal(again.wr.rdma.remote_addr, 8);
	assert_int_equal(again.wr.rdma.rkey, 9);
	assert_int_equal(again.num_sge, 2);
	assert_int_equal(again.sg_list[1].addr, 4);
	assert_int_equal(again.sg_list[1].lkey, 6);
	assert_int_equal(send_log_at(log, 0)->wr_id, 77);
	assert_int_equal(send_log_at(log, 0)->length, 7);
}

static void inline_data_is_kept_for_another_post(void **state)
{
	struct send_log *log = *state;
	char text[] = "hello", more[] = "world";
	struct ibv_sge sges[2] = {{(uintptr_t)text, 5, 0}, {(uintptr_t)more, 5, 0}};
	struct ibv_send_wr again, wr = {.sg_list = sges,
	                                  .num_sge = 2,
	                                  .opcode = IBV_WR_SEND,
	                                  .send_flags = IBV_SEND_INLINE};

	assert_int_equal(send_log_fill(log, 0, &wr), 0);
	send_log_number(log, 1);
	send_log_commit(log, 1, true);
	memset(text, 0, sizeof(text));
	memset(more, 0, sizeof(more));
	send_log_wr(log, 0, &again);
	assert_int_equal(again.num_sge, 1);
	assert_int_equal(again.sg_list[0].length, 10);
	assert_memory_equal((void *)(uintptr_t)again.sg_list[0].addr, "helloworld", 10);
}

static void too_much_inline_data_is_refused(void **state)
{
	char text[MAX_INLINE + 1] = "";
	struct ibv_sge sge = {(uintptr_t)text, sizeof(text), 0};
	struct ibv_send_wr wr = {.sg_list = &sge,
	        .num_sge = 1,
	        .opcode = IBV_WR_SEND,
	        .send_flags = IBV_SEND_INLINE};

	assert_int_equal(send_log_fill(*state, 0, &wr), -EINVAL);
}

static void too_many_buffers_are_refused(void **state)
{
	struct ibv_sge sges[MAX_SGE + 1] = {0};
	struct ibv_send_wr wr = {.sg_list = sges, .num_sge = MAX_SGE + 1, .opcode = IBV_WR_SEND};

	assert_int_equal(send_log_fill(*state, 0, &wr), -EINVAL);
}

static void reads_and_atomics_are_signalled_for_the_log(void **state)
{
	struct send_log *log = *state;
	struct ibv_send_wr again, wr = {.opcode = IBV_WR_RDMA_READ};

	log->signal_reads = log->signal_atomics = true;
	send_log_fill(log, 0, &wr);
	send_log_number(log, 1);
	send_log_commit(log, 1, true);
	send_log_wr(log, 0, &again);
	assert_true(again.send_flags & IBV_SEND_SIGNALED);
	assert_false(send_log_at(log, 0)->flags & IBV_SEND_SIGNALED);
}

static void numbers_run_on_by_packets(void **state)
{
	struct send_log *log = *state;
	struct ibv_sge sge = {0, 513, 0};
	struct ibv_send_wr wr = {.sg_list = &sge, .num_sge = 1, .opcode = IBV_WR_RDMA_WRITE};

	log->mtu = 256;
	log->next_psn = 0xffffff;
	for (uint32_t i = 0; i < 2; i++)
		send_log_fill(log, i, &wr);
	send_log_number(log, 2);
	send_log_commit(log, 2, true);
	assert_int_equal(send_log_at(log, 0)->psn, 0xffffff);
	assert_int_equal(send_log_at(log, 1)->psn, 2);
	assert_int_equal(log->next_psn, 5);
}

static void post_sends(struct send_log *log, uint32_t count, bool posted)
{
	struct ibv_send_wr wr = {.opcode = IBV_WR_SEND};

	for (uint32_t i = 0; i < count; i++)
		assert_int_equal(send_log_fill(log, i, &wr), 0);
	send_log_number(log, count);
	send_log_commit(log, count, posted);
}

static void what_has_failed_is_known_until_the_next_incarnation(void **state)
{
	struct send_log *log = *state;

	post_sends(log, 2, true);
	send_log_retire(log, 0);
	post_sends(log, 1, false);
	send_log_forget_failed(log);
	assert_int_equal(send_log_open(log), 0);
	assert_int_equal(log->receives_done, 1);
	assert_int_equal(log->next_psn, 2);
	assert_int_equal(log->failed, 1);
	assert_int_equal(log->failed_end, 2);
	post_sends(log, 1, false);
	send_log_forget_failed(log);
	assert_int_equal(log->failed, 1);
	assert_int_equal(log->failed_end, 2);
	send_log_restart(log, 7);
	assert_int_equal(log->failed, log->failed_end);
}

static void distances_are_modulo_2_to_24(void **state)
{
	assert_int_equal(psn_distance(0xffffff, 1), 2);
	assert_int_equal(psn_distance(1, 0xffffff), -2);
	assert_int_equal(psn_distance(5, 5), 0);
}

static void tags_tell_queue_incarnation_and_slot(void **state)
{
	uint64_t tag = tag_of_receive(TAG_INCARNATIONS, 12);

	assert_true(tag_is_receive(tag));
	assert_int_equal(tag_incarnation(tag), TAG_INCARNATIONS);
	assert_int_equal(tag_sequence(tag), 12);
	assert_false(tag_is_receive(tag_of_send(3, UINT32_MAX)));
	assert_int_equal(incarnation_after(TAG_INCARNATIONS), 0);
}

static void returned_buffers_are_reposted_in_their_order(void **state)
{
	struct shared_log log;
	uint32_t index[3], again[3];
	struct ibv_recv_wr wr = {0};

	assert_int_equal(shared_log_init(&log, 3, 1), 0);
	for (int i = 0; i < 3; i++)
		assert_int_equal(shared_log_take(&log, &wr, &index[i]), 0);
	assert_int_equal(shared_log_take(&log, &wr, &again[0]), -ENOMEM);
	shared_log_give_back(&log, index[0]);
	assert_int_equal(shared_log_take(&log, &wr, &index[0]), 0); /* the youngest now */
	shared_log_returned(&log, index[0]);
	shared_log_returned(&log, index[1]);
	assert_int_equal(shared_log_repost(&log, false, again), 2);
	assert_int_equal(again[0], index[1]);
	assert_int_equal(again[1], index[0]);
	assert_int_equal(shared_log_repost(&log, false, again), 0);
	assert_int_equal(shared_log_repost(&log, true, again), 3);
	shared_log_fini(&log);
}

/* By two queue pairs in turn, and one is taken; then what queue pair 0 has left is purged. */
static void fill_and_purge(struct completion_ring *ring)
{
	struct ibv_wc wc = {0};

	for (uint32_t i = 0; i < 200; i++) {
		assert_int_equal(completion_ring_reserve(ring, 1), 0);
		wc.wr_id = i;
		wc.qp_num = i % 2;
		completion_ring_push(ring, &wc);
		if (ring->is_stamped)
			*completion_ring_newest_stamp(ring) =
			        (struct completion_stamp){i, 1000 + i};
		if (i == 50)
			assert_int_equal(completion_ring_take(ring, 1, &wc), 1);
	}
	completion_ring_purge(ring, 0);
	assert_int_equal(completion_ring_count(ring), 100);
}

static void a_ring_keeps_order_while_it_grows(void **state)
{
	struct completion_ring ring = {0};
	struct ibv_wc wc = {0};

	fill_and_purge(&ring);
	for (uint32_t i = 1; i < 200; i += 2) {
		assert_int_equal(completion_ring_take(&ring, 1, &wc), 1);
		assert_int_equal(wc.wr_id, i);
	}
	completion_ring_fini(&ring);
}

static void stamps_go_with_what_they_are_of(void **state)
{
	struct completion_ring ring = {.is_stamped = true};
	struct ibv_wc wc = {0};

	fill_and_purge(&ring);
	for (uint32_t i = 1; i < 200; i += 2) {
		assert_int_equal(completion_ring_oldest_stamp(&ring)->ticks, i);
		assert_int_equal(completion_ring_oldest_stamp(&ring)->wall_ns, 1000 + i);
		assert_int_equal(completion_ring_take(&ring, 1, &wc), 1);
		assert_int_equal(wc.wr_id, i);
	}
	completion_ring_fini(&ring);
}

static void numbers_not_in_a_table_are_their_own(void **state)
{
	struct number_table table = {0};

	assert_int_equal(number_table_translate(&table, 5), 5);
	for (uint32_t i = 0; i < 1000; i++)
		assert_int_equal(number_table_set(&table, i * 4096, i), 0);
	for (uint32_t i = 0; i < 1000; i += 2)
		number_table_remove(&table, i * 4096);
	for (uint32_t i = 0; i < 1000; i++)
		assert_int_equal(number_table_translate(&table, i * 4096), i % 2 ? i : i * 4096);
	assert_int_equal(table.count, 500);
	number_table_clear(&table);
}

/* A row stands for 256 keys, and says how far their tags differ. */
static void keys_of_a_window_go_by_their_upper_bits(void **state)
{
	struct remote_keys keys = {0};

	assert_int_equal(remote_keys_set(&keys, 0x1200, 0x3405, true), 0);
	assert_int_equal(remote_keys_set(&keys, 0x1301, 0x9999, false), 0);
	assert_int_equal(remote_keys_translate(&keys, 0x1200), 0x3405);
	assert_int_equal(remote_keys_translate(&keys, 0x1203), 0x3408);
	assert_int_equal(remote_keys_translate(&keys, 0x12ff), 0x3404);
	assert_int_equal(remote_keys_translate(&keys, 0x1301), 0x9999);
	assert_int_equal(remote_keys_translate(&keys, 0x1302), 0x1302);
	assert_int_equal(remote_keys_set(&keys, 0x1200, 0x5600, true), 0);
	assert_int_equal(remote_keys_translate(&keys, 0x1203), 0x5603);
	remote_keys_remove(&keys, 0x1200, true);
	remote_keys_remove(&keys, 0x1301, false);
	assert_int_equal(remote_keys_translate(&keys, 0x1203), 0x1203);
	assert_int_equal(remote_keys_translate(&keys, 0x1301), 0x1301);
	number_table_clear(&keys.keys);
	number_table_clear(&keys.windows);
}

#define WITH_LOG(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
	        WITH_LOG(a_filled_slot_is_not_work_before_commit),
	        WITH_LOG(a_full_log_answers_as_a_full_queue),
	        WITH_LOG(what_is_posted_again_is_what_was_posted),
	        WITH_LOG(inline_data_is_kept_for_another_post),
	        WITH_LOG(too_much_inline_data_is_refused),
	        WITH_LOG(too_many_buffers_are_refused),
	        WITH_LOG(reads_and_atomics_are_signalled_for_the_log),
	        WITH_LOG(numbers_run_on_by_packets),
	        WITH_LOG(what_has_failed_is_known_until_the_next_incarnation),
	        cmocka_unit_test(distances_are_modulo_2_to_24),
	        cmocka_unit_test(tags_tell_queue_incarnation_and_slot),
	        cmocka_unit_test(returned_buffers_are_reposted_in_their_order),
	        cmocka_unit_test(a_ring_keeps_order_while_it_grows),
	        cmocka_unit_test(stamps_go_with_what_they_are_of),
	        cmocka_unit_test(numbers_not_in_a_table_are_their_own),
	        cmocka_unit_test(keys_of_a_window_go_by_their_upper_bits),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
