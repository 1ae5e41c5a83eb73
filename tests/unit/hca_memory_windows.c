/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/* Memory windows by themselves: what each type opens, to whom, and until when. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "simfabric/memory_windows.h"
#include "unit/hca_pair.h"

enum {
	START = 0x1000, /* of the window in its region */
	SIZE = 0x200,
	WRITE = IBV_ACCESS_REMOTE_WRITE,
	READ = IBV_ACCESS_REMOTE_READ,
};

static struct memory_window window_1, window_2; /* a window of each type, at end 1 */

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
	wanted = bind_of(pair, &window_1);
	wanted.access = WRITE;
	assert_true(bind(pair, &wanted));
	assert_non_null(resolve(pair, pair_pd(), wanted.rkey, START, SIZE, WRITE));
	assert_null(resolve(pair, pair_pd(), wanted.rkey, START, SIZE, READ));
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

static void spoil_old_key(struct pair *pair, struct window_bind *bind)
{
	bind->window = ibv_inc_rkey(bind->window);
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
	        {"its key is another by now", spoil_old_key},
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
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
