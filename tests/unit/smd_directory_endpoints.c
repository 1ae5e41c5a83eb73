/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/* By what the SM is asked for each VM, and what its answers say of it. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "sm-side/directory/directory_endpoints.h"
#include "sm-side/json_read.h"

enum { NO_PLACE = UINT8_MAX }; /* of a port of its own all the same */

static struct directory *directory;
static struct inventory inventory;
static struct endpoints endpoints;
static const struct under_way nothing = {0};
static uint32_t shared_lid; /* of slots behind a shared port */

static size_t compared;

int __real_strcmp(const char *a, const char *b);
int __wrap_strcmp(const char *a, const char *b);

int __wrap_strcmp(const char *a, const char *b)
{
	compared++;
	return __real_strcmp(a, b);
}

static void refused(void *owner, const struct directory_claim *claim)
{
	fail();
}

static const struct directory_outputs outputs = {.refused = refused};

static int make(void **state)
{
	shared_lid = 9;
	directory = directory_create(&outputs, NULL);
	return directory ? 0 : -1;
}

static int unmake(void **state)
{
	endpoints_clear(&endpoints);
	inventory_clear(&inventory);
	directory_destroy(directory);
	return 0;
}

/* LID of a slot behind a shared port. */
static uint32_t shared_lid;

/* @host has @vm_name in its one slot, which shows @port_guid and is at port @port of switch 0x100;
 * 0: without, behind a shared port. */
static void says(const char *host, const char *vm_name, uint64_t port_guid, uint32_t port)
{
	Tether__HostVm vm = TETHER__HOST_VM__INIT, *vms[] = {&vm};
	Tether__Slot slot = TETHER__SLOT__INIT, *slots[] = {&slot};
	Tether__Address address = TETHER__ADDRESS__INIT;

	vm.name = (char *)vm_name;
	slot.name = slot.vm = (char *)"vf0";
	vm.slot = port_guid ? slot.name : (char *)"";
	slot.port_guid = port_guid;
	slot.switch_guid = port && port != NO_PLACE ? 0x100 : 0;
	slot.switch_port = port;
	slot.shared_port = port_guid && !port;
	address.lid = shared_lid;
	slot.address = &address;
	directory_host_here(directory, host, true);
	assert_int_equal(directory_host_says(directory, host, vms, 1, slots, 1), 0);
	assert_int_equal(inventory_take(&inventory, host, vms, 1, slots, 1), 0);
	inventory_host_connected(&inventory, host, true);
}

static const char *wanted(const struct under_way *under_way, bool open)
{
	static char text[256];
	struct json_object *list;

	endpoints_clear(&endpoints);
	assert_int_equal(endpoints_fill(&endpoints, directory, &inventory, under_way, open), 0);
	list = endpoints_wanted(&endpoints, 0, endpoints.count);
	snprintf(text, sizeof(text), "%s",
	        json_object_to_json_string_ext(list, JSON_C_TO_STRING_PLAIN));
	json_object_put(list);
	return text;
}

static int answered(const char *ports)
{
	char text[512];
	struct json_object *answer;
	int err;

	snprintf(text, sizeof(text), "{\"ports\":%s}", ports);
	answer = json_read_whole(text, strlen(text));
	assert_non_null(answer);
	err = endpoints_take(&endpoints, 0, endpoints.count, answer, directory);
	json_object_put(answer);
	return err;
}

/* "!7/0xffff": located, LID, first P_Key; 0 where there is none. */
static const char *located(const char *vm)
{
	static char text[64];
	struct directory_place place;

	assert_true(directory_place_of(directory, vm, &place));
	snprintf(text, sizeof(text), "%s%u/0x%x", place.located ? "!" : "?",
	        place.lid_count ? place.lids[0] : 0, place.pkey_count ? place.pkeys[0] : 0);
	return text;
}

#define ROW(lid, port, pkeys)                                                                      \
	"{\"lid\":" #lid ",\"switch_guid\":\"0x100\",\"switch_port\":" #port ",\"pkeys\":[" pkeys  \
	"]}"

static void each_vm_is_asked_for_by_its_port(void **state)
{
	says("a", "vm1", 0x11, 1);
	says("b", "vm2", 0x12, 0);
	says("c", "vm3", 0, 3);
	assert_string_equal(wanted(&nothing, false), "[\"0x0000000000000011\",9]");
	assert_int_equal(answered("[" ROW(7, 1, "65535,32769") "," ROW(9, 5, "32767") "]"), 0);
	assert_string_equal(located("vm1"), "!7/0xffff");
	assert_string_equal(located("vm2"), "!9/0x7fff");
	/* Without a port it is nowhere, and the SM need not be asked. */
	assert_string_equal(located("vm3"), "!0/0x0");
	assert_string_equal(wanted(&nothing, true), "[]");
}

static uint64_t of_two[2] = {0x11, 0x12};
static bool second_leads;

/* vm1 on a in two slots, at ports 1 and 2. */
static void says_two(const char *second_vm)
{
	Tether__HostVm vm = TETHER__HOST_VM__INIT, *vms[] = {&vm};
	Tether__Slot one = TETHER__SLOT__INIT, other = TETHER__SLOT__INIT,
	             *slots[] = {&one, &other};

	vm.name = one.vm = (char *)"vm1";
	one.name = (char *)"vf0";
	other.name = (char *)"vf1";
	vm.slot = second_leads ? other.name : one.name;
	other.vm = (char *)second_vm;
	one.port_guid = of_two[0];
	other.port_guid = of_two[1];
	one.switch_guid = other.switch_guid = 0x100;
	one.switch_port = 1;
	other.switch_port = 2;
	directory_host_here(directory, "a", true);
	assert_int_equal(directory_host_says(directory, "a", vms, 1, slots, 2), 0);
	assert_int_equal(inventory_take(&inventory, "a", vms, 1, slots, 2), 0);
	inventory_host_connected(&inventory, "a", true);
}

static void all_vfs_of_a_vm_say_where_it_is(void **state)
{
	const char *both = "[\"0x0000000000000011\",\"0x0000000000000012\"]";
	struct directory_place place;

	says_two("vm1");
	says("Z", "vm2", 0x13, 3);
	assert_int_equal((endpoints_clear(&endpoints), endpoints_fill(&endpoints, directory,
	                                                       &inventory, &nothing, false)),
	        0);
	assert_int_equal(endpoints_batch(&endpoints, 0, 3), 3);
	assert_int_equal(endpoints_batch(&endpoints, 0, 2), 1);
	assert_int_equal(endpoints_batch(&endpoints, 1, 2), 2);
	inventory_forget(&inventory, "Z");
	assert_string_equal(wanted(&nothing, false), both);
	assert_int_equal(
	        answered("[" ROW(7, 1, "65535,32769") "," ROW(9, 2, "65535,32770") "]"), 0);
	assert_true(directory_place_of(directory, "vm1", &place));
	assert_int_equal(place.lid_count, 2);
	assert_int_equal(place.lids[0] + place.lids[1], 7 + 9);
	assert_int_equal(place.pkey_count, 3);
	assert_string_equal(wanted(&nothing, true), "[]");
	/* Of one at another place, or that the SM does not know, nothing counts. */
	wanted(&nothing, false);
	assert_int_equal(answered("[" ROW(7, 1, "65535") "," ROW(9, 5, "32770") "]"), 0);
	assert_true(directory_place_of(directory, "vm1", &place));
	assert_int_equal(place.lid_count, 1);
	assert_int_equal(place.pkey_count, 1);
	/* Half of it is known: it is asked for again. */
	assert_string_equal(wanted(&nothing, true), both);
	wanted(&nothing, false);
	assert_int_equal(answered("[null," ROW(9, 2, "32770") "]"), 0);
	assert_string_equal(located("vm1"), "!9/0x8002");
	/* In another order they are the same; others with the same sum are not. */
	second_leads = true;
	says_two("vm1");
	wanted(&nothing, true);
	assert_string_equal(located("vm1"), "!9/0x8002");
	second_leads = false;
	of_two[0] = 0x0f;
	of_two[1] = 0x14;
	says_two("vm1");
	wanted(&nothing, true);
	assert_string_equal(located("vm1"), "?0/0x0");
	of_two[0] = 0x11;
	of_two[1] = 0x12;
	/* It has one less: another answer. */
	says_two("");
	assert_string_equal(wanted(&nothing, true), "[\"0x0000000000000011\"]");
	assert_string_equal(located("vm1"), "?0/0x0");
}

static void what_is_no_ports_lid_is_not_asked_for(void **state)
{
	static const uint32_t lids[] = {0, 0xc000, 0xc001, 0xffff, 0x1c001, 0x10009};

	says("a", "vm1", 0x11, 1);
	for (size_t i = 0; i < sizeof(lids) / sizeof(*lids); i++) {
		shared_lid = lids[i];
		says("b", "vm2", 0x12, 0);
		assert_string_equal(wanted(&nothing, false), "[\"0x0000000000000011\"]");
	}
	shared_lid = 0xbfff;
	says("b", "vm2", 0x12, 0);
	assert_string_equal(wanted(&nothing, false), "[\"0x0000000000000011\",49151]");
}

static void who_is_nowhere_is_asked_for_again(void **state)
{
	says("a", "vm1", 0x11, 1);
	says("b", "vm2", 0x12, 2);
	wanted(&nothing, true);
	assert_int_equal(answered("[null," ROW(8, 2, "65535") "]"), 0);
	assert_string_equal(located("vm1"), "!0/0x0");
	assert_string_equal(wanted(&nothing, true), "[\"0x0000000000000011\"]");
}

static void a_lid_at_another_place_is_not_its_own(void **state)
{
	says("a", "vm1", 0x11, 1);
	wanted(&nothing, true);
	assert_int_equal(answered("[" ROW(7, 2, "65535") "]"), 0);
	assert_string_equal(located("vm1"), "!0/0x0");
}

/* Whose port it is nobody could say: storage's, the SM's. */
static void who_says_no_place_is_nowhere(void **state)
{
	says("a", "vm1", 0x11, NO_PLACE);
	assert_string_equal(wanted(&nothing, true), "[\"0x0000000000000011\"]");
	assert_int_equal(answered("[" ROW(7, 2, "65535") "]"), 0);
	assert_string_equal(located("vm1"), "!0/0x0");
}

static void a_vms_own_lid_is_no_shared_port_of_another_hosts(void **state)
{
	says("a", "vm1", 0x11, 1);
	says("b", "vm2", 0x12, 0);
	/* Whichever is asked for first. */
	for (int order = 0; order < 2; order++) {
		assert_string_equal(wanted(&nothing, false),
		        order ? "[9,\"0x0000000000000011\"]" : "[\"0x0000000000000011\",9]");
		assert_int_equal(answered("[" ROW(9, 1, "65535") "," ROW(9, 1, "65535") "]"), 0);
		assert_string_equal(located("vm1"), "!9/0xffff");
		assert_string_equal(located("vm2"), "!0/0x0");
		unmake(NULL);
		assert_int_equal(make(NULL), 0);
		says("A", "vm2", 0x12, 0);
		says("b", "vm1", 0x11, 1);
	}
	/* It was there before that VM came. */
	wanted(&nothing, false);
	assert_int_equal(answered("[" ROW(9, 1, "65535") ",null]"), 0);
	assert_string_equal(located("vm2"), "!9/0xffff");
	assert_int_equal(answered("[" ROW(9, 1, "65535") "," ROW(9, 1, "65535") "]"), 0);
	assert_string_equal(located("vm2"), "!0/0x0");
}

static void a_shared_ports_lid_is_the_first_hosts(void **state)
{
	says("b", "vm1", 0x11, 0);
	wanted(&nothing, false);
	assert_int_equal(answered("[" ROW(9, 1, "65535") "]"), 0);
	says("a", "vm2", 0x12, 0);
	assert_string_equal(wanted(&nothing, false), "[9,9]");
	assert_int_equal(answered("[" ROW(9, 1, "65535") "," ROW(9, 1, "65535") "]"), 0);
	assert_string_equal(located("vm1"), "!9/0xffff");
	assert_string_equal(located("vm2"), "!0/0x0");
	/* It is another port's by now. */
	shared_lid = 8;
	says("b", "vm1", 0x11, 0);
	assert_string_equal(wanted(&nothing, false), "[9,8]");
	assert_int_equal(answered("[" ROW(9, 1, "65535") "," ROW(8, 1, "65535") "]"), 0);
	assert_string_equal(located("vm1"), "!8/0xffff");
	assert_string_equal(located("vm2"), "!9/0xffff");
}

static void what_was_said_of_another_port_counts_no_more(void **state)
{
	says("a", "vm1", 0x11, 1);
	wanted(&nothing, true);
	assert_int_equal(answered("[" ROW(7, 1, "65535") "]"), 0);
	says("a", "vm1", 0x13, 1);
	assert_string_equal(wanted(&nothing, true), "[\"0x0000000000000013\"]");
	assert_string_equal(located("vm1"), "?0/0x0");
	/* It has changed again before the answer comes. */
	says("a", "vm1", 0, 1);
	{
		struct endpoints asked = endpoints;

		endpoints = (struct endpoints){0};
		wanted(&nothing, true);
		endpoints_clear(&endpoints);
		endpoints = asked;
	}
	assert_int_equal(answered("[" ROW(7, 1, "65535") "]"), 0);
	assert_string_equal(located("vm1"), "!0/0x0");
}

static void a_vm_that_moves_keeps_its_lid_wherever_its_guid_is(void **state)
{
	const struct migration moving = {.intent = {.vm = "vm1", .identity = {0x10, 0x11}}};
	const struct migration *list[] = {&moving};
	const struct under_way under_way = {list, 1, 4, NULL};

	says("a", "vm1", 0x11, 1);
	wanted(&nothing, true);
	assert_int_equal(answered("[" ROW(7, 1, "65535") "]"), 0);
	says("a", "vm1", 0, 1);
	assert_string_equal(wanted(&under_way, false), "[\"0x0000000000000011\"]");
	assert_string_equal(located("vm1"), "!7/0xffff");
	assert_int_equal(answered("[" ROW(7, 4, "65535") "]"), 0);
	assert_string_equal(located("vm1"), "!7/0xffff");
}

static void an_answer_that_is_none_is_not_taken(void **state)
{
	static const char *const bad[] = {"[]", "[7]", "[{}]", "[" ROW(0, 1, "") "]",
	        "[" ROW(65536, 1, "") "]", "[" ROW(7, 1, "65536") "]", "[" ROW(7, 1, "-1") "]",
	        "[{\"lid\":7,\"switch_guid\":\"0x100\",\"switch_port\":1}]",
	        "[{\"lid\":7,\"pkeys\":[]}]"};

	says("a", "vm1", 0x11, 1);
	wanted(&nothing, true);
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
		assert_int_equal(answered(bad[i]), -EBADMSG);
	assert_string_equal(located("vm1"), "?0/0x0");
}

/* Names that are compared where so many hosts more have a VM each. */
static size_t compared_with(unsigned *hosts, unsigned more)
{
	char host[16], vm[16];

	for (unsigned end = *hosts + more; *hosts < end; ++*hosts) {
		snprintf(host, sizeof(host), "host%u", *hosts);
		snprintf(vm, sizeof(vm), "vm%u", *hosts);
		says(host, vm, 0x1000 + *hosts, 1 + *hosts);
	}
	endpoints_clear(&endpoints);
	compared = 0;
	assert_int_equal(endpoints_fill(&endpoints, directory, &inventory, &nothing, false), 0);
	assert_int_equal(endpoints.count, *hosts);
	print_message("# %u hosts: %zu names\n", *hosts, compared);
	return compared;
}

static void twice_as_many_hosts_are_twice_the_work(void **state)
{
	unsigned hosts = 0;
	size_t half = compared_with(&hosts, 500);

	assert_true(half);
	assert_true(compared_with(&hosts, 500) < 3 * half);
}

int main(void)
{
#define ENDPOINTS_TEST(f) cmocka_unit_test_setup_teardown(f, make, unmake)
	const struct CMUnitTest tests[] = {
	        ENDPOINTS_TEST(each_vm_is_asked_for_by_its_port),
	        ENDPOINTS_TEST(all_vfs_of_a_vm_say_where_it_is),
	        ENDPOINTS_TEST(what_is_no_ports_lid_is_not_asked_for),
	        ENDPOINTS_TEST(who_is_nowhere_is_asked_for_again),
	        ENDPOINTS_TEST(a_lid_at_another_place_is_not_its_own),
	        ENDPOINTS_TEST(who_says_no_place_is_nowhere),
	        ENDPOINTS_TEST(a_vms_own_lid_is_no_shared_port_of_another_hosts),
	        ENDPOINTS_TEST(a_shared_ports_lid_is_the_first_hosts),
	        ENDPOINTS_TEST(what_was_said_of_another_port_counts_no_more),
	        ENDPOINTS_TEST(a_vm_that_moves_keeps_its_lid_wherever_its_guid_is),
	        ENDPOINTS_TEST(an_answer_that_is_none_is_not_taken),
	        ENDPOINTS_TEST(twice_as_many_hosts_are_twice_the_work),
	};

	return cmocka_run_group_tests_name("smd_directory_endpoints", tests, NULL, NULL);
}
