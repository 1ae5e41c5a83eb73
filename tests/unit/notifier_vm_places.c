/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "notifier/base/cleanup.h"
#include "notifier/relay/vm_places.h"

enum { VMS = 500, HOSTS = 20, NAME_BYTES = 16 };

static void put(
        struct vm_places *places, const char *vm, const char *host, const char *next, uint32_t lid)
{
	Tether__VmPlace place = TETHER__VM_PLACE__INIT;

	place.vm = (char *)vm;
	place.host = (char *)host;
	place.host_next = (char *)next;
	place.lids = &lid;
	place.n_lids = lid != 0;
	place.located = true;
	assert_int_equal(vm_places_put(places, &place), 0);
}

static size_t count_of_host(const struct vm_places *places, const char *host)
{
	size_t count = 0;

	for (const struct vm_place_at *at = NULL; (at = vm_places_of_host(places, host, at));) {
		assert_true(vm_place_is_of(vm_place(at), host));
		count++;
	}
	return count;
}

static size_t count_at_lid(const struct vm_places *places, uint32_t lid)
{
	size_t count = 0;

	for (const struct vm_place_at *at = NULL; (at = vm_places_at_lid(places, lid, at));) {
		assert_true(vm_place_has_lid(vm_place(at), lid));
		count++;
	}
	return count;
}

static void place_is_found_by_vm_host_and_lid(void **state)
{
	struct vm_places *places = vm_places_create();
	char vm[NAME_BYTES], host[NAME_BYTES];

	for (unsigned i = 0; i < VMS; i++) {
		snprintf(vm, sizeof(vm), "vm%u", i);
		snprintf(host, sizeof(host), "hyp%u", i % HOSTS);
		put(places, vm, host, "", 1 + i);
	}
	for (unsigned i = 0; i < VMS; i++) {
		snprintf(vm, sizeof(vm), "vm%u", i);
		snprintf(host, sizeof(host), "hyp%u", i % HOSTS);
		assert_string_equal(vm_places_find(places, vm)->host, host);
		assert_int_equal(count_at_lid(places, 1 + i), 1);
	}
	assert_int_equal(count_of_host(places, "hyp7"), VMS / HOSTS);
	assert_null(vm_places_find(places, "vm500"));
	assert_int_equal(count_of_host(places, "hyp20"), 0);
	assert_int_equal(count_at_lid(places, VMS + 1), 0);
	vm_places_destroy(places);
}

static void move_leaves_nothing_behind(void **state)
{
	struct vm_places *places = vm_places_create();

	put(places, "vm1", "hyp1", "", 5);
	put(places, "vm1", "hyp1", "hyp2", 5);
	assert_int_equal(count_of_host(places, "hyp1"), 1);
	assert_int_equal(count_of_host(places, "hyp2"), 1);
	assert_int_equal(count_at_lid(places, 5), 1);
	put(places, "vm1", "hyp2", "", 6);
	assert_int_equal(count_of_host(places, "hyp1"), 0);
	assert_int_equal(count_of_host(places, "hyp2"), 1);
	assert_int_equal(count_at_lid(places, 5), 0);
	assert_int_equal(count_at_lid(places, 6), 1);
	put(places, "vm1", "", "", 0);
	assert_null(vm_places_find(places, "vm1"));
	assert_int_equal(count_of_host(places, "hyp2"), 0);
	assert_int_equal(count_at_lid(places, 6), 0);
	vm_places_destroy(places);
}

static void host_that_moves_a_vm_to_itself_has_it_once(void **state)
{
	struct vm_places *places = vm_places_create();

	put(places, "vm1", "hyp1", "hyp1", 0);
	assert_int_equal(count_of_host(places, "hyp1"), 1);
	put(places, "vm1", "hyp2", "", 0);
	assert_int_equal(count_of_host(places, "hyp1"), 0);
	vm_places_destroy(places);
}

static void shared_lid_is_of_several(void **state)
{
	struct vm_places *places = vm_places_create();

	put(places, "vm1", "hyp1", "", 5);
	put(places, "vm2", "hyp1", "", 5);
	assert_int_equal(count_at_lid(places, 5), 2);
	put(places, "vm1", "", "", 0);
	assert_int_equal(count_at_lid(places, 5), 1);
	vm_places_destroy(places);
}

static void vm_without_a_place_may_be_anybodys(void **state)
{
	struct vm_places *places = vm_places_create();

	assert_true(vm_place_may_claim(NULL, "vm1", "hyp9"));
	assert_true(vm_place_may_claim(places, "vm1", "hyp9"));
	put(places, "vm1", "hyp1", "hyp2", 0);
	assert_true(vm_place_may_claim(places, "vm1", "hyp1"));
	assert_true(vm_place_may_claim(places, "vm1", "hyp2"));
	assert_false(vm_place_may_claim(places, "vm1", "hyp9"));
	assert_true(vm_place_may_claim(places, "vm2", "hyp9"));
	put(places, "vm1", "hyp2", "", 0);
	assert_false(vm_place_may_claim(places, "vm1", "hyp1"));
	assert_false(vm_place_may_claim(places, "vm1", ""));
	vm_places_destroy(places);
}

static const struct pair {
	const char *what;
	uint32_t a[2], b[2]; /* 0: no more */
	bool may;
} pairs[] = {
        {"two full members", {0x8001}, {0x8001}, true},
        {"a full member and a limited one", {0x8001}, {0x0001}, true},
        {"two limited members", {0x0001}, {0x0001}, false},
        {"members of two partitions", {0x8001}, {0x8002}, false},
        {"one of two is shared", {0x8001, 0x8002}, {0x8003, 0x0002}, true},
        {"shared, but limited at both; the other not shared", {0x8001, 0x0002}, {0x8003, 0x0002},
                false},
        {"one is in none", {0x8001}, {0}, false},
        {"the invalid P_Key is no partition", {0x8000}, {0x8000}, false},
};

static size_t count_of(const uint32_t pkeys[2])
{
	return !pkeys[0] ? 0 : pkeys[1] ? 2 : 1;
}

static void one_of_two_that_talk_is_a_full_member(void **state)
{
	for (size_t i = 0; i < ARRAY_SIZE(pairs); i++) {
		const struct pair *pair = &pairs[i];
		size_t a = count_of(pair->a), b = count_of(pair->b);

		print_message("# %s\n", pair->what);
		assert_int_equal(pkeys_may_talk(pair->a, a, pair->b, b), pair->may);
		assert_int_equal(pkeys_may_talk(pair->b, b, pair->a, a), pair->may);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(place_is_found_by_vm_host_and_lid),
	        cmocka_unit_test(move_leaves_nothing_behind),
	        cmocka_unit_test(host_that_moves_a_vm_to_itself_has_it_once),
	        cmocka_unit_test(shared_lid_is_of_several),
	        cmocka_unit_test(vm_without_a_place_may_be_anybodys),
	        cmocka_unit_test(one_of_two_that_talk_is_a_full_member),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
