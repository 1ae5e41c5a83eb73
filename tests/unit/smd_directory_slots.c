/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/* Whose a slot's place and GUID are: by first word, or since our moves had it show them. */
#include "tests/unit/smd_directory_hand.h"

static void a_place_is_one_hosts(void **state)
{
	says_slot("a", 1, 0x11);
	says_slot("b", 1, 0x22);
	assert_int_equal(slots_of("b"), 0);
	assert_string_equal(news(), "b:@vf0>a ");
	says_slot("b", 2, 0x22);
	assert_int_equal(slots_of("b"), 1);
	assert_string_equal(claims(), "");
	/* Slots that are behind no vSwitch are at no place. */
	says_slot("c", 0, 0);
	says_slot("d", 0, 0);
	assert_int_equal(slots_of("d"), 1);
}

static void a_guid_is_shown_by_one_host(void **state)
{
	says_slot("a", 1, 0x11);
	says_slot("b", 2, 0x11);
	assert_int_equal(slots_of("b"), 0);
	assert_string_equal(news(), "b:#vf0>a ");
	assert_int_equal(directory_refused(directory, DIRECTORY_GUID), 1);
	/* Who waits is believed when it is free. */
	says_slot("a", 1, 0x12);
	assert_int_equal(slots_of("b"), 1);
	assert_string_equal(directory_stale(directory), "b");
}

/* Two rows, both of slot "vf0": by the name they are one, by what they say they are not. */
static void says_twice(const char *host, const uint64_t places[2], const uint64_t guids[2])
{
	Tether__HostVm vms[2] = {TETHER__HOST_VM__INIT, TETHER__HOST_VM__INIT};
	Tether__HostVm *vm_at[] = {&vms[0], &vms[1]};
	Tether__Slot slots[2], *slot_at[] = {&slots[0], &slots[1]};

	for (size_t i = 0; i < 2; i++) {
		vms[i].name = (char *)"vm9";
		tether__slot__init(&slots[i]);
		slots[i].name = (char *)"vf0";
		slots[i].switch_guid = 0x100;
		slots[i].switch_port = (uint32_t)places[i];
		slots[i].port_guid = guids[i];
	}
	assert_int_equal(directory_host_here(directory, host, true), 0);
	assert_int_equal(directory_host_says(directory, host, vm_at, 2, slot_at, 2), 0);
}

/* The only one that is believed; 0: none is. */
static uint64_t guid_of(const char *host)
{
	struct directory_view view;
	uint64_t guid;

	assert_int_equal(directory_view(directory, host, &view), 0);
	assert_true(view.slot_count < 2);
	guid = view.slot_count ? view.slots[0]->port_guid : 0;
	directory_view_clear(&view);
	return guid;
}

static void a_name_that_comes_again_in_a_word_brings_nothing(void **state)
{
	const uint64_t places[] = {1, 2}, guids[] = {0x11, 0x22};
	const uint64_t back_places[] = {2, 1}, back_guids[] = {0x22, 0x11};

	says_slot("a", 1, 0x11);
	says_twice("b", places, guids);
	assert_int_equal(guid_of("b"), 0);
	assert_string_equal(news(), "b:@vf0>a ");
	assert_string_equal(vms_of("b"), "vm9");
	assert_int_equal(directory_refused(directory, DIRECTORY_VM), 1);
	says_twice("b", back_places, back_guids);
	assert_int_equal(guid_of("b"), 0x22);
	assert_int_equal(guid_of("a"), 0x11);
	assert_string_equal(claims(), "");
}

static void a_slot_shows_what_our_moves_had_it_show(void **state)
{
	const uint64_t guids[] = {0x11, 0x22};

	says_slot("a", 1, 0x11);
	says_slot("b", 2, 0x22);
	assert_int_equal(directory_slot_shows(directory, "a", "vf0", guids), 0);
	assert_int_equal(directory_slot_shows(directory, "b", "vf0", guids), 0);
	says_slot("b", 2, 0x11);
	assert_int_equal(slots_of("b"), 1);
	/* A road back that was not gone to its end leaves it there, and that is to be seen. */
	says_slot("b", 2, 0x11);
	assert_int_equal(slots_of("b"), 1);
	says_slot("c", 3, 0x11);
	assert_int_equal(slots_of("c"), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        DIRECTORY_TEST(a_place_is_one_hosts),
	        DIRECTORY_TEST(a_guid_is_shown_by_one_host),
	        DIRECTORY_TEST(a_name_that_comes_again_in_a_word_brings_nothing),
	        DIRECTORY_TEST(a_slot_shows_what_our_moves_had_it_show),
	};

	return cmocka_run_group_tests_name("smd_directory_slots", tests, NULL, NULL);
}
