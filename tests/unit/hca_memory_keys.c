/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>
#include <infiniband/verbs.h>

#include "simfabric/memory_keys.h"
#include "simfabric/scatter_gather.h"

static char pd, other_pd;
static uint8_t memory[4096];

static struct memory_region region(void)
{
	return (struct memory_region){.access = IBV_ACCESS_LOCAL_WRITE | IBV_ACCESS_REMOTE_READ,
	        .pd = &pd,
	        .address = 0x10000,
	        .length = 100,
	        .memory = memory};
}

static void key_opens_just_its_region(void **state)
{
	struct memory_keys *keys = memory_keys_create(7, 0);
	struct memory_region mr = region();
	uint32_t key;

	assert_int_equal(memory_keys_add(keys, &mr), 0);
	key = mr.key;
	assert_ptr_equal(memory_keys_resolve(keys, &pd, key, 0x10000, 100, 0), memory);
	assert_ptr_equal(memory_keys_resolve(keys, &pd, key, 0x10063, 1, 0), memory + 99);
	assert_null(memory_keys_resolve(keys, &pd, key, 0x10000, 101, 0));
	assert_null(memory_keys_resolve(keys, &pd, key, 0x0ffff, 1, 0));
	assert_null(memory_keys_resolve(keys, &pd, key, 0x10064, 1, 0));
	/* The end of the address space does not wrap round into the region. */
	assert_null(memory_keys_resolve(keys, &pd, key, 0x10001, UINT64_MAX, 0));
	assert_null(memory_keys_resolve(keys, &pd, key, UINT64_MAX, 0x10002, 0));
	memory_keys_destroy(keys);
}

static void key_allows_just_its_access_and_pd(void **state)
{
	struct memory_keys *keys = memory_keys_create(7, 0);
	struct memory_region mr = region();

	assert_int_equal(memory_keys_add(keys, &mr), 0);
	assert_non_null(memory_keys_resolve(keys, &pd, mr.key, 0x10000, 1, IBV_ACCESS_REMOTE_READ));
	assert_null(memory_keys_resolve(keys, &pd, mr.key, 0x10000, 1, IBV_ACCESS_REMOTE_WRITE));
	assert_null(memory_keys_resolve(keys, &other_pd, mr.key, 0x10000, 1, 0));
	memory_keys_destroy(keys);
}

static void no_other_number_is_a_key(void **state)
{
	struct memory_keys *keys = memory_keys_create(7, 0);
	struct memory_region mr = region();

	assert_int_equal(memory_keys_add(keys, &mr), 0);
	for (int bit = 0; bit < 32; bit++)
		assert_null(memory_keys_resolve(keys, &pd, mr.key ^ 1u << bit, 0x10000, 1, 0));
	assert_null(memory_keys_resolve(keys, &pd, 0, 0x10000, 1, 0));
	memory_keys_destroy(keys);
}

static void removed_key_stays_wrong_when_its_place_is_used_again(void **state)
{
	struct memory_keys *keys = memory_keys_create(7, 0);
	struct memory_region mr = region(), others[200];
	uint32_t first;

	assert_int_equal(memory_keys_add(keys, &mr), 0);
	first = mr.key;
	memory_keys_remove(keys, &mr);
	for (int i = 0; i < 200; i++) {
		others[i] = region();
		assert_int_equal(memory_keys_add(keys, &others[i]), 0);
		assert_int_not_equal(others[i].key, first);
		assert_null(memory_keys_resolve(keys, &pd, first, 0x10000, 1, 0));
	}
	memory_keys_destroy(keys);
}

static void another_seed_gives_another_key(void **state)
{
	struct memory_keys *here = memory_keys_create(7, 0), *there = memory_keys_create(8, 0);
	struct memory_region a = region(), b = region();

	assert_int_equal(memory_keys_add(here, &a), 0);
	assert_int_equal(memory_keys_add(there, &b), 0);
	assert_int_not_equal(a.key, b.key);
	memory_keys_destroy(here);
	memory_keys_destroy(there);
}

static void twist_exchanges_the_keys_of_neighbours(void **state)
{
	for (uint32_t twist = 1; twist < 4; twist++) {
		struct memory_keys *here = memory_keys_create(7, 0),
		                   *there = memory_keys_create(7, twist);
		struct memory_region a[4], b[4];

		for (int i = 0; i < 4; i++) {
			a[i] = region();
			b[i] = region();
			assert_int_equal(memory_keys_add(here, &a[i]), 0);
			assert_int_equal(memory_keys_add(there, &b[i]), 0);
		}
		for (uint32_t i = 0; i < 4; i++) {
			assert_int_equal(b[i].key, a[i ^ twist].key);
			assert_ptr_equal(memory_keys_at(there, b[i].key), &b[i]);
		}
		memory_keys_remove(there, &b[2]);
		assert_null(memory_keys_at(there, b[2].key));
		assert_ptr_equal(memory_keys_at(there, b[3].key), &b[3]);
		memory_keys_destroy(here);
		memory_keys_destroy(there);
	}
}

static void thousands_of_regions_have_keys_of_their_own(void **state)
{
	enum { COUNT = 5000 };
	static struct memory_region regions[COUNT];
	struct memory_keys *keys = memory_keys_create(0xfffffe, 0);

	for (int i = 0; i < COUNT; i++) {
		regions[i] = region();
		regions[i].memory = memory + i % 4096;
		assert_int_equal(memory_keys_add(keys, &regions[i]), 0);
	}
	for (int i = 0; i < COUNT; i++)
		assert_ptr_equal(memory_keys_resolve(keys, &pd, regions[i].key, 0x10000, 1, 0),
		        regions[i].memory);
	memory_keys_destroy(keys);
}

static void list_of_buffers_is_filled_across_its_borders(void **state)
{
	struct memory_keys *keys = memory_keys_create(7, 0);
	struct memory_region mr = region();
	struct ibv_sge sge[3];
	struct buffer_list list = {keys, &pd, sge, 3};
	uint8_t data[30], back[30];

	assert_int_equal(memory_keys_add(keys, &mr), 0);
	sge[0] = (struct ibv_sge){0x10000, 7, mr.key};
	sge[1] = (struct ibv_sge){0x10020, 0, mr.key};
	sge[2] = (struct ibv_sge){0x10030, 23, mr.key};
	for (int i = 0; i < 30; i++)
		data[i] = (uint8_t)(i + 1);
	for (uint32_t split = 0; split <= 30; split++) {
		memset(memory, 0, 100);
		assert_true(scatter(&list, 0, data, split));
		assert_true(scatter(&list, split, data + split, 30 - split));
		assert_memory_equal(memory, data, 7);
		assert_int_equal(memory[7], 0);
		assert_memory_equal(memory + 0x30, data + 7, 23);
		assert_true(gather(&list, 0, back, split));
		assert_true(gather(&list, split, back + split, 30 - split));
		assert_memory_equal(back, data, 30);
	}
	assert_false(scatter(&list, 1, data, 30));
	sge[2].lkey ^= 1;
	assert_false(gather(&list, 0, back, 30));
	assert_true(gather(&list, 0, back, 7));
	memory_keys_destroy(keys);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(key_opens_just_its_region),
	        cmocka_unit_test(key_allows_just_its_access_and_pd),
	        cmocka_unit_test(no_other_number_is_a_key),
	        cmocka_unit_test(removed_key_stays_wrong_when_its_place_is_used_again),
	        cmocka_unit_test(another_seed_gives_another_key),
	        cmocka_unit_test(twist_exchanges_the_keys_of_neighbours),
	        cmocka_unit_test(thousands_of_regions_have_keys_of_their_own),
	        cmocka_unit_test(list_of_buffers_is_filled_across_its_borders),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
