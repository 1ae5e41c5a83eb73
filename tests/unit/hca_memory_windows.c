/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/* Memory windows by themselves, and the requests that bind and invalidate them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "simfabric/local_work.h"
#include "unit/hca_pair.h"

enum {
	START = 0x1000, /* of the window in its region */
	SIZE = 0x200,
	WRITE = IBV_ACCESS_REMOTE_WRITE,
	READ = IBV_ACCESS_REMOTE_READ,
};

static struct memory_window window_1, window_2; /* a window of each type, at end 1 */
static int lost;

static struct memory_keys *keys(struct pair *pair)
{
	return pair->end[1].host.keys;
}

static int open_pair(void **state)
{
	struct pair *pair = pair_open(&pair_default);

	pair->end[1].region.access |= IBV_ACCESS_MW_BIND;
	if (memory_window_add(keys(pair), &window_1, pair_pd(), false) ||
	        memory_window_add(keys(pair), &window_2, pair_pd(), true))
		return -1;
	lost = 0;
	*state = pair;
	return 0;
}

static int close_pair(void **state)
{
	struct pair *pair = *state;

	memory_window_remove(keys(pair), &window_1);
	memory_window_remove(keys(pair), &window_2);
	pair_close(pair);
	return 0;
}

/* A bind of @window to its place, for reading and writing, with the next tag. */
static struct window_bind bind_of(struct pair *pair, const struct memory_window *window)
{
	return (struct window_bind){.window = window->region.key,
	        .rkey = ibv_inc_rkey(window->region.key),
	        .lkey = pair->end[1].region.key,
	        .is_type_2 = window->is_type_2,
	        .access = READ | WRITE,
	        .address = pair->end[1].region.address + START,
	        .length = SIZE};
}

static bool bind(struct pair *pair, const struct window_bind *bind)
{
	return memory_window_bind(keys(pair), pair_pd(), &pair->end[1].qp.windows, bind);
}

static uint8_t *resolve(struct pair *pair, const void *who, uint32_t rkey, uint64_t offset,
        uint64_t length, unsigned access)
{
	return memory_keys_resolve(
	        keys(pair), who, rkey, pair->end[1].region.address + offset, length, access);
}

/* ---- by themselves ---- */

static void window_is_closed_until_it_is_bound(void **state)
{
	struct pair *pair = *state;

	assert_null(resolve(pair, pair_pd(), window_1.region.key, START, 1, READ));
	assert_null(resolve(pair, NULL, window_1.region.key, START, 1, READ));
	assert_null(memory_keys_resolve(keys(pair), NULL, window_1.region.key, 0, 0, READ));
}

static void bound_window_opens_its_part_to_the_pd(void **state)
{
	struct pair *pair = *state;
	struct window_bind wanted = bind_of(pair, &window_1);
	uint32_t key = wanted.rkey;

	wanted.access = READ;
	assert_true(bind(pair, &wanted));
	assert_ptr_equal(
	        resolve(pair, pair_pd(), key, START, SIZE, READ), pair->end[1].memory + START);
	assert_null(resolve(pair, pair_pd(), key, START - 1, 2, READ));
	assert_null(resolve(pair, pair_pd(), key, START, SIZE + 1, READ));
	assert_null(resolve(pair, pair_pd(), key, START, SIZE, WRITE));
	assert_null(resolve(pair, &key, key, START, SIZE, READ));
}

static void window_has_no_lkey(void **state)
{
	struct pair *pair = *state;
	struct window_bind wanted = bind_of(pair, &window_1);

	assert_true(bind(pair, &wanted));
	assert_null(resolve(pair, pair_pd(), wanted.rkey, START, 1, 0));
	assert_null(resolve(pair, pair_pd(), wanted.rkey, START, 1, IBV_ACCESS_LOCAL_WRITE));
}

static void zero_based_window_begins_at_nothing(void **state)
{
	struct pair *pair = *state;
	struct window_bind wanted = bind_of(pair, &window_2);
	const void *owner = &pair->end[1].qp.windows;

	wanted.access |= IBV_ACCESS_ZERO_BASED;
	assert_true(bind(pair, &wanted));
	assert_ptr_equal(memory_keys_resolve(keys(pair), owner, wanted.rkey, 8, SIZE - 8, READ),
	        pair->end[1].memory + START + 8);
	assert_null(memory_keys_resolve(keys(pair), owner, wanted.rkey, 8, SIZE, READ));
}

static void first_type_is_bound_again_at_any_time(void **state)
{
	struct pair *pair = *state;
	struct window_bind first = bind_of(pair, &window_1), second;

	assert_true(bind(pair, &first));
	second = bind_of(pair, &window_1);
	second.address += SIZE;
	assert_true(bind(pair, &second));
	assert_null(resolve(pair, pair_pd(), first.rkey, START, 1, READ));
	assert_null(resolve(pair, pair_pd(), second.rkey, START, 1, READ));
	assert_non_null(resolve(pair, pair_pd(), second.rkey, START + SIZE, SIZE, READ));
	second = bind_of(pair, &window_1);
	second.length = 0;
	assert_true(bind(pair, &second));
	assert_null(resolve(pair, pair_pd(), second.rkey, START + SIZE, 1, READ));
	assert_null(pair->end[1].region.windows);
}

static void second_type_is_bound_once_and_for_its_queue_pair(void **state)
{
	struct pair *pair = *state;
	struct window_owner *owner = &pair->end[1].qp.windows, other = {0};
	struct window_bind wanted = bind_of(pair, &window_2), again;

	assert_true(bind(pair, &wanted));
	assert_non_null(resolve(pair, owner, wanted.rkey, START, SIZE, READ));
	assert_null(resolve(pair, &other, wanted.rkey, START, SIZE, READ));
	assert_null(resolve(pair, pair_pd(), wanted.rkey, START, SIZE, READ));
	again = bind_of(pair, &window_2);
	assert_false(bind(pair, &again));
	assert_false(memory_window_invalidate(keys(pair), &other, wanted.rkey));
	assert_false(memory_window_invalidate(keys(pair), owner, again.rkey));
	assert_true(memory_window_invalidate(keys(pair), owner, wanted.rkey));
	assert_null(resolve(pair, owner, wanted.rkey, START, SIZE, READ));
	assert_false(memory_window_invalidate(keys(pair), owner, wanted.rkey));
	assert_true(bind(pair, &again));
}

static void only_the_second_type_is_invalidated(void **state)
{
	struct pair *pair = *state;
	struct window_owner *owner = &pair->end[1].qp.windows;
	struct window_bind wanted = bind_of(pair, &window_1);

	assert_true(bind(pair, &wanted));
	assert_false(memory_window_invalidate(keys(pair), owner, wanted.rkey));
	assert_false(memory_window_invalidate(keys(pair), owner, pair->end[1].region.key));
	assert_false(memory_window_invalidate(keys(pair), owner, 0xffffffff));
}

static void spoil_region_access(struct pair *pair, struct window_bind *bind)
{
	pair->end[1].region.access &= ~(unsigned)IBV_ACCESS_MW_BIND;
}

static void spoil_local_write(struct pair *pair, struct window_bind *bind)
{
	pair->end[1].region.access &= ~(unsigned)IBV_ACCESS_LOCAL_WRITE;
}

static void spoil_pd(struct pair *pair, struct window_bind *bind)
{
	pair->end[1].region.pd = pair;
}

static void spoil_address(struct pair *pair, struct window_bind *bind)
{
	bind->address = pair->end[1].region.address - 1;
}

static void spoil_length(struct pair *pair, struct window_bind *bind)
{
	bind->length = PAIR_MEMORY - START + 1;
}

static void spoil_lkey(struct pair *pair, struct window_bind *bind)
{
	bind->lkey++;
}

static void spoil_region(struct pair *pair, struct window_bind *bind)
{
	bind->lkey = window_2.region.key;
}

static void spoil_access(struct pair *pair, struct window_bind *bind)
{
	bind->access |= IBV_ACCESS_LOCAL_WRITE;
}

static void spoil_place(struct pair *pair, struct window_bind *bind)
{
	bind->rkey += 0x100;
}

static void spoil_window(struct pair *pair, struct window_bind *bind)
{
	bind->window = bind->rkey = pair->end[1].region.key;
}

static void spoil_type(struct pair *pair, struct window_bind *bind)
{
	bind->is_type_2 = !bind->is_type_2;
}

static void bind_that_is_not_allowed_changes_nothing(void **state)
{
	static const struct {
		const char *what;
		void (*spoil)(struct pair *pair, struct window_bind *bind);
	} rows[] = {
	        {"the region is not for windows", spoil_region_access},
	        {"writing needs local writing", spoil_local_write},
	        {"the region has another PD", spoil_pd},
	        {"before the region", spoil_address},
	        {"beyond the region", spoil_length},
	        {"no such lkey", spoil_lkey},
	        {"a window on a window", spoil_region},
	        {"a right that windows do not have", spoil_access},
	        {"another window's place", spoil_place},
	        {"not a window", spoil_window},
	        {"the other type", spoil_type},
	};
	struct pair *pair = *state;

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct memory_region before = pair->end[1].region;
		struct window_bind wanted = bind_of(pair, &window_1);
		uint32_t key = window_1.region.key;

		rows[i].spoil(pair, &wanted);
		if (bind(pair, &wanted))
			fail_msg("%s", rows[i].what);
		pair->end[1].region = before;
		assert_int_equal(window_1.region.key, key);
		assert_null(window_1.of);
	}
}

static void second_type_is_bound_to_something(void **state)
{
	struct pair *pair = *state;
	struct window_bind wanted = bind_of(pair, &window_2);

	wanted.length = 0;
	assert_false(bind(pair, &wanted));
}

static void windows_end_with_their_region_or_queue_pair(void **state)
{
	struct pair *pair = *state;
	struct window_bind one = bind_of(pair, &window_1), two = bind_of(pair, &window_2);

	assert_true(bind(pair, &one) && bind(pair, &two));
	memory_windows_forget_owner(&pair->end[1].qp.windows);
	assert_null(window_2.of);
	assert_ptr_equal(window_1.of, &pair->end[1].region);
	two = bind_of(pair, &window_2);
	assert_true(bind(pair, &two));
	memory_windows_forget_region(&pair->end[1].region);
	assert_null(window_1.of);
	assert_null(window_2.of);
	assert_null(pair->end[1].qp.windows.windows);
}

static void reset_ends_windows_of_the_queue_pair(void **state)
{
	struct pair *pair = *state;
	struct window_bind wanted = bind_of(pair, &window_2);
	struct ibv_qp_attr attr = {.qp_state = IBV_QPS_RESET};

	assert_true(bind(pair, &wanted));
	assert_int_equal(queue_pair_modify(&pair->end[1].qp, &attr, IBV_QP_STATE), 0);
	assert_null(window_2.of);
}

/* However often a window was bound: who gets its place next has another key. */
static void old_keys_of_a_window_are_wrong_for_its_successor(void **state)
{
	struct memory_keys *few = memory_keys_create(1, 0);
	struct memory_region region = {.access = IBV_ACCESS_MW_BIND, .length = SIZE}, next = {0};
	struct memory_window window;
	struct window_owner owner = {0};
	struct window_bind wanted = {.length = SIZE};

	memory_keys_add(few, &region);
	memory_window_add(few, &window, NULL, false);
	for (int i = 0; i < 7; i++) {
		wanted.window = window.region.key;
		wanted.rkey = ibv_inc_rkey(window.region.key);
		wanted.lkey = region.key;
		assert_true(memory_window_bind(few, NULL, &owner, &wanted));
	}
	memory_window_remove(few, &window);
	/* Until the place comes round again. */
	do {
		memory_keys_add(few, &next);
		memory_keys_remove(few, &next);
	} while (next.key >> 8 != wanted.rkey >> 8);
	assert_int_equal(next.key & 0xff, (wanted.rkey + 1) & 0xff);
	memory_keys_destroy(few);
}

/* ---- requests: end 1 binds, end 0 uses ---- */

static struct ibv_mw public_window;

static int post_bind(struct pair *pair, uint64_t wr_id, uint64_t offset, unsigned flags)
{
	struct ibv_mr mr = {.lkey = pair->end[1].region.key};
	struct ibv_send_wr wr = {.wr_id = wr_id, .opcode = IBV_WR_BIND_MW, .send_flags = flags};

	public_window.type = IBV_MW_TYPE_2;
	public_window.rkey = window_2.region.key;
	wr.bind_mw.mw = &public_window;
	wr.bind_mw.rkey = ibv_inc_rkey(window_2.region.key);
	wr.bind_mw.bind_info = (struct ibv_mw_bind_info){.mr = &mr,
	        .addr = pair->end[1].region.address + offset,
	        .length = SIZE,
	        .mw_access_flags = READ | WRITE};
	return pair_post(pair, 1, &wr);
}

static void post_invalidate(struct pair *pair, int end, enum ibv_wr_opcode opcode, uint64_t wr_id,
        uint32_t rkey, unsigned flags)
{
	struct ibv_sge sge = pair_sge(pair, end, 0, 64);
	struct ibv_send_wr wr = {.wr_id = wr_id,
	        .opcode = opcode,
	        .sg_list = &sge,
	        .num_sge = opcode == IBV_WR_SEND_WITH_INV,
	        .send_flags = IBV_SEND_SIGNALED | flags,
	        .invalidate_rkey = rkey};

	assert_int_equal(pair_post(pair, end, &wr), 0);
}

static void post_transfer(
        struct pair *pair, int end, enum ibv_wr_opcode opcode, uint64_t wr_id, uint32_t rkey)
{
	struct ibv_sge sge = pair_sge(pair, end, 0, 64);
	struct ibv_send_wr wr = pair_request(pair, end, opcode, &sge, START, wr_id);

	if (rkey)
		wr.wr.rdma.rkey = rkey;
	assert_int_equal(pair_post(pair, end, &wr), 0);
}

static void assert_completes(
        struct pair *pair, int end, uint64_t wr_id, enum ibv_wc_opcode opcode, int status)
{
	struct ibv_wc wc = {0};

	assert_true(pair_settle(pair));
	assert_true(pair_poll_send(pair, end, &wc));
	assert_int_equal(wc.wr_id, wr_id);
	assert_int_equal(wc.status, status);
	if (status == IBV_WC_SUCCESS)
		assert_int_equal(wc.opcode, opcode);
}

static void bind_opens_a_window_to_the_peer(void **state)
{
	struct pair *pair = *state;

	assert_int_equal(post_bind(pair, 1, START, IBV_SEND_SIGNALED), 0);
	assert_completes(pair, 1, 1, IBV_WC_BIND_MW, IBV_WC_SUCCESS);
	assert_int_equal(pair->sent[1], 0);
	post_transfer(pair, 0, IBV_WR_RDMA_WRITE, 2, window_2.region.key);
	assert_completes(pair, 0, 2, IBV_WC_RDMA_WRITE, IBV_WC_SUCCESS);
	post_transfer(pair, 0, IBV_WR_RDMA_READ, 3, window_2.region.key);
	assert_completes(pair, 0, 3, IBV_WC_RDMA_READ, IBV_WC_SUCCESS);
	post_invalidate(pair, 1, IBV_WR_LOCAL_INV, 4, window_2.region.key, 0);
	assert_completes(pair, 1, 4, IBV_WC_LOCAL_INV, IBV_WC_SUCCESS);
	post_transfer(pair, 0, IBV_WR_RDMA_WRITE, 5, window_2.region.key);
	assert_completes(pair, 0, 5, IBV_WC_RDMA_WRITE, IBV_WC_REM_ACCESS_ERR);
}

/* Done when its turn comes to be sent, completed when all before it is. */
static void bind_completes_in_its_turn(void **state)
{
	struct pair *pair = *state;
	struct ibv_wc wc = {0};

	post_transfer(pair, 1, IBV_WR_RDMA_WRITE, 1, 0);
	assert_int_equal(post_bind(pair, 2, START, IBV_SEND_SIGNALED), 0);
	post_transfer(pair, 1, IBV_WR_RDMA_WRITE, 3, 0);
	pair_transmit(pair);
	assert_non_null(window_2.of);
	assert_false(pair_poll_send(pair, 1, &wc));
	assert_completes(pair, 1, 1, IBV_WC_RDMA_WRITE, IBV_WC_SUCCESS);
	assert_completes(pair, 1, 2, IBV_WC_BIND_MW, IBV_WC_SUCCESS);
	assert_completes(pair, 1, 3, IBV_WC_RDMA_WRITE, IBV_WC_SUCCESS);
}

static void unsignalled_bind_says_nothing(void **state)
{
	struct pair *pair = *state;
	struct ibv_wc wc = {0};

	assert_int_equal(post_bind(pair, 1, START, 0), 0);
	assert_true(pair_settle(pair));
	assert_non_null(window_2.of);
	assert_false(pair_poll_send(pair, 1, &wc));
	assert_int_equal(pair->end[1].qp.requester.queue.oldest, 1);
}

static int lose_the_first_three(
        void *test, int from, const struct packet *packet, uint64_t *delay_ns)
{
	return lost++ >= 3;
}

/* The WRITE before it goes out again; a second bind of a window of type 2 would fail. */
static void repeated_packets_do_not_repeat_a_bind(void **state)
{
	struct pair *pair = *state;

	pair->fate = lose_the_first_three;
	post_transfer(pair, 1, IBV_WR_RDMA_WRITE, 1, 0);
	assert_int_equal(post_bind(pair, 2, START, IBV_SEND_SIGNALED), 0);
	post_transfer(pair, 1, IBV_WR_RDMA_WRITE, 3, 0);
	assert_completes(pair, 1, 1, IBV_WC_RDMA_WRITE, IBV_WC_SUCCESS);
	assert_completes(pair, 1, 2, IBV_WC_BIND_MW, IBV_WC_SUCCESS);
	assert_completes(pair, 1, 3, IBV_WC_RDMA_WRITE, IBV_WC_SUCCESS);
	assert_true(lost > 3);
}

static void failed_bind_is_told_in_its_turn_and_ends_the_queue_pair(void **state)
{
	struct pair *pair = *state;

	post_transfer(pair, 1, IBV_WR_RDMA_WRITE, 1, 0);
	assert_int_equal(post_bind(pair, 2, PAIR_MEMORY, IBV_SEND_SIGNALED), 0);
	post_transfer(pair, 1, IBV_WR_RDMA_WRITE, 3, 0);
	assert_completes(pair, 1, 1, IBV_WC_RDMA_WRITE, IBV_WC_SUCCESS);
	assert_completes(pair, 1, 2, IBV_WC_BIND_MW, IBV_WC_MW_BIND_ERR);
	assert_completes(pair, 1, 3, IBV_WC_RDMA_WRITE, IBV_WC_WR_FLUSH_ERR);
	assert_int_equal(pair->end[1].qp.state, IBV_QPS_ERR);
}

static void invalidation_of_what_is_no_window_fails(void **state)
{
	struct pair *pair = *state;

	post_invalidate(pair, 1, IBV_WR_LOCAL_INV, 1, pair->end[1].region.key, 0);
	assert_completes(pair, 1, 1, IBV_WC_LOCAL_INV, IBV_WC_MW_BIND_ERR);
}

static void fenced_invalidation_waits_for_reads(void **state)
{
	struct pair *pair = *state;

	assert_int_equal(post_bind(pair, 1, START, IBV_SEND_SIGNALED), 0);
	assert_completes(pair, 1, 1, IBV_WC_BIND_MW, IBV_WC_SUCCESS);
	post_transfer(pair, 1, IBV_WR_RDMA_READ, 2, 0);
	post_invalidate(pair, 1, IBV_WR_LOCAL_INV, 3, window_2.region.key, IBV_SEND_FENCE);
	pair_transmit(pair);
	pair_transmit(pair);
	assert_non_null(window_2.of);
	assert_completes(pair, 1, 2, IBV_WC_RDMA_READ, IBV_WC_SUCCESS);
	assert_completes(pair, 1, 3, IBV_WC_LOCAL_INV, IBV_WC_SUCCESS);
	assert_null(window_2.of);
}

static void drained_queue_starts_no_local_work(void **state)
{
	struct pair *pair = *state;
	struct ibv_qp_attr attr = {.qp_state = IBV_QPS_SQD};

	assert_int_equal(queue_pair_modify(&pair->end[1].qp, &attr, IBV_QP_STATE), 0);
	assert_int_equal(post_bind(pair, 1, START, IBV_SEND_SIGNALED), 0);
	assert_true(pair_settle(pair));
	assert_null(window_2.of);
	attr.qp_state = IBV_QPS_RTS;
	assert_int_equal(queue_pair_modify(&pair->end[1].qp, &attr, IBV_QP_STATE), 0);
	assert_completes(pair, 1, 1, IBV_WC_BIND_MW, IBV_WC_SUCCESS);
}

static void flushed_bind_is_not_done(void **state)
{
	struct pair *pair = *state;

	queue_pair_fail(&pair->end[1].qp);
	assert_int_equal(post_bind(pair, 1, START, 0), 0);
	assert_completes(pair, 1, 1, IBV_WC_BIND_MW, IBV_WC_WR_FLUSH_ERR);
	assert_null(window_2.of);
}

static void peers_send_closes_the_window(void **state)
{
	struct pair *pair = *state;
	uint32_t key = ibv_inc_rkey(window_2.region.key);
	struct ibv_wc wc = {0};

	assert_int_equal(post_bind(pair, 1, START, 0), 0);
	assert_int_equal(pair_post_receive(pair, 1, 0x8000, 64, 9), 0);
	post_invalidate(pair, 0, IBV_WR_SEND_WITH_INV, 2, key, 0);
	assert_completes(pair, 0, 2, IBV_WC_SEND, IBV_WC_SUCCESS);
	assert_true(pair_poll_receive(pair, 1, &wc));
	assert_int_equal(wc.status, IBV_WC_SUCCESS);
	assert_int_equal(wc.wc_flags, IBV_WC_WITH_INV);
	assert_int_equal(wc.invalidated_rkey, key);
	assert_null(window_2.of);
	post_transfer(pair, 0, IBV_WR_RDMA_WRITE, 3, key);
	assert_completes(pair, 0, 3, IBV_WC_RDMA_WRITE, IBV_WC_REM_ACCESS_ERR);
}

static int lose_the_first_answer(
        void *test, int from, const struct packet *packet, uint64_t *delay_ns)
{
	return !((packet_is(packet) & IS_RESPONSE) && lost++ == 0);
}

static void repeated_send_does_not_invalidate_twice(void **state)
{
	struct pair *pair = *state;
	uint32_t key = ibv_inc_rkey(window_2.region.key);
	struct ibv_wc wc = {0};

	assert_int_equal(post_bind(pair, 1, START, 0), 0);
	assert_int_equal(pair_post_receive(pair, 1, 0x8000, 64, 9), 0);
	pair->fate = lose_the_first_answer;
	post_invalidate(pair, 0, IBV_WR_SEND_WITH_INV, 2, key, 0);
	assert_completes(pair, 0, 2, IBV_WC_SEND, IBV_WC_SUCCESS);
	assert_int_equal(lost, 2);
	assert_true(pair_poll_receive(pair, 1, &wc));
	assert_int_equal(wc.status, IBV_WC_SUCCESS);
	assert_int_equal(pair->end[1].qp.state, IBV_QPS_RTS);
}

/* IBA class J: what was sent has been received, but the key cannot be ended. */
static void key_that_cannot_be_invalidated_fails_the_receiver(void **state)
{
	struct pair *pair = *state;
	struct ibv_wc wc = {0};

	assert_int_equal(pair_post_receive(pair, 1, 0x8000, 64, 9), 0);
	post_invalidate(pair, 0, IBV_WR_SEND_WITH_INV, 2, pair->end[1].region.key, 0);
	assert_completes(pair, 0, 2, IBV_WC_SEND, IBV_WC_SUCCESS);
	assert_true(pair_poll_receive(pair, 1, &wc));
	assert_int_equal(wc.wr_id, 9);
	assert_int_equal(wc.status, IBV_WC_REM_INV_REQ_ERR);
	assert_int_equal(pair->end[1].qp.state, IBV_QPS_ERR);
	assert_int_equal(
	        pair->end[1].events[pair->end[1].event_count - 1], IBV_EVENT_QP_ACCESS_ERR);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, open_pair, close_pair)
	const struct CMUnitTest tests[] = {
	        TEST(window_is_closed_until_it_is_bound),
	        TEST(bound_window_opens_its_part_to_the_pd),
	        TEST(window_has_no_lkey),
	        TEST(zero_based_window_begins_at_nothing),
	        TEST(first_type_is_bound_again_at_any_time),
	        TEST(second_type_is_bound_once_and_for_its_queue_pair),
	        TEST(only_the_second_type_is_invalidated),
	        TEST(bind_that_is_not_allowed_changes_nothing),
	        TEST(second_type_is_bound_to_something),
	        TEST(windows_end_with_their_region_or_queue_pair),
	        TEST(reset_ends_windows_of_the_queue_pair),
	        TEST(old_keys_of_a_window_are_wrong_for_its_successor),
	        TEST(bind_opens_a_window_to_the_peer),
	        TEST(bind_completes_in_its_turn),
	        TEST(unsignalled_bind_says_nothing),
	        TEST(repeated_packets_do_not_repeat_a_bind),
	        TEST(failed_bind_is_told_in_its_turn_and_ends_the_queue_pair),
	        TEST(invalidation_of_what_is_no_window_fails),
	        TEST(fenced_invalidation_waits_for_reads),
	        TEST(drained_queue_starts_no_local_work),
	        TEST(flushed_bind_is_not_done),
	        TEST(peers_send_closes_the_window),
	        TEST(repeated_send_does_not_invalidate_twice),
	        TEST(key_that_cannot_be_invalidated_fails_the_receiver),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
