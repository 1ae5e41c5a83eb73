/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/* Inventory, admission, whereabouts and numbers: what is decided from what the agents have said. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "notifier/base/cleanup.h"
#include "notifier/wire/rows.h"
#include "sm-side/migration/admission.h"
#include "sm-side/root/numbers.h"
#include "sm-side/migration/whereabouts.h"

static void host_says(struct inventory *inventory, const char *host, const char *vm,
        const char *vm_slot, const char *slot, const char *slot_vm)
{
	Tether__HostVm one_vm = TETHER__HOST_VM__INIT;
	Tether__Slot one_slot = TETHER__SLOT__INIT;
	Tether__HostVm *vms[] = {&one_vm};
	Tether__Slot *slots[] = {&one_slot};

	one_vm.name = (char *)vm;
	one_vm.slot = (char *)vm_slot;
	one_slot.name = (char *)slot;
	one_slot.vm = (char *)slot_vm;
	one_slot.node_guid = 0x1000 + strlen(host) + (uint8_t)host[0];
	one_slot.port_guid = 0x2000 + (uint8_t)host[0];
	one_slot.switch_guid = 0x3000 + (uint8_t)host[0];
	one_slot.switch_port = 2;
	assert_int_equal(inventory_take(inventory, host, vms, vm ? 1 : 0, slots, slot ? 1 : 0), 0);
	inventory_host_connected(inventory, host, true);
}

/* vm1 on a; b has a free slot, c none, d is away. */
static void four_hosts(struct inventory *inventory)
{
	host_says(inventory, "a", "vm1", "a1", "a1", "vm1");
	host_says(inventory, "b", NULL, NULL, "b1", "");
	host_says(inventory, "c", "vm3", "c1", "c1", "vm3");
	host_says(inventory, "d", NULL, NULL, "d1", "");
	inventory_host_connected(inventory, "d", false);
}

static const char *reason_of(struct inventory *inventory, const struct migration *other,
        const char *vm, const char *to, uint64_t evacuation)
{
	struct migration_intent intent = {.evacuation = evacuation};
	struct under_way under_way = {&other, other != NULL, 4, NULL};
	struct admission admission = admission_check(inventory, &under_way, vm, to, &intent);

	if (admission.reason)
		assert_true(strlen(admission.text) > 10);
	return admission.reason ? admission.reason : "";
}

static const char *reason(
        struct inventory *inventory, const struct migration *other, const char *vm, const char *to)
{
	return reason_of(inventory, other, vm, to, 0);
}

static const char *reason_of_evacuee(
        struct inventory *inventory, const struct migration *other, const char *vm, const char *to)
{
	return reason_of(inventory, other, vm, to, 1);
}

static void each_wrong_request_has_its_name(void **unused)
{
	struct inventory inventory = {0};
	char *taking_part[] = {"vm3/1.1", "vm1/7.7"};
	struct migration sharing = {.intent = {.id = 4, .vm = "vm3"},
	        .state = STATE_STOPPING,
	        .testimony = {.processes = taking_part, .process_count = 2}};
	struct migration apart = {.intent = {.id = 4, .vm = "vm3"},
	        .state = STATE_STOPPING,
	        .testimony = {.processes = taking_part, .process_count = 1}};
	struct migration same = {.intent = {.id = 5, .vm = "vm1"}};
	struct migration slot_taken = {
	        .intent = {.id = 6, .vm = "vm3", .destination = {.host = "b", .slot = "b1"}}};

	four_hosts(&inventory);
	assert_string_equal(reason(&inventory, NULL, "vm9", "b"), "unknown-vm");
	assert_string_equal(reason(&inventory, NULL, "vm1", "z"), "unknown-host");
	assert_string_equal(reason(&inventory, NULL, "vm1", "a"), "same-host");
	assert_string_equal(reason(&inventory, NULL, "vm1", "c"), "no-free-vf");
	assert_string_equal(reason(&inventory, NULL, "vm1", "d"), "host-not-connected");
	assert_string_equal(reason(&inventory, &same, "vm1", "b"), "vm-already-moving");
	assert_string_equal(reason(&inventory, &sharing, "vm1", "b"), "");
	assert_string_equal(reason_of_evacuee(&inventory, &sharing, "vm1", "b"), "busy");
	assert_string_equal(reason_of_evacuee(&inventory, &apart, "vm1", "b"), "");
	assert_string_equal(reason(&inventory, &apart, "vm1", "b"), "");
	assert_string_equal(reason(&inventory, &slot_taken, "vm1", "b"), "no-free-vf");
	assert_string_equal(reason(&inventory, NULL, "vm1", "b"), "");
	inventory_host_connected(&inventory, "a", false);
	assert_string_equal(reason(&inventory, NULL, "vm1", "b"), "host-not-connected");
	host_says(&inventory, "a", "vm1", "", "a1", "");
	assert_string_equal(reason(&inventory, NULL, "vm1", "b"), "vm-without-vf");
	inventory_clear(&inventory);
}

static void no_more_move_than_may(void **unused)
{
	struct inventory inventory = {0};
	struct migration one = {.intent = {.id = 4, .vm = "vm3"}},
	                 two = {.intent = {.id = 5, .vm = "vm4"}};
	const struct migration *both[] = {&one, &two};
	struct migration_intent intent = {0};
	struct admission admission;

	four_hosts(&inventory);
	admission = admission_check(
	        &inventory, &(struct under_way){both, 2, 2, NULL}, "vm1", "b", &intent);
	assert_string_equal(admission.reason, "busy");
	assert_non_null(strstr(admission.text, "4 of vm3"));
	admission = admission_check(
	        &inventory, &(struct under_way){both, 2, 3, NULL}, "vm1", "b", &intent);
	assert_null(admission.reason);
	inventory_clear(&inventory);
}

static void who_takes_part_in_both_is_found_either_way(void **unused)
{
	char *of_vm1[] = {"vm1/7.7"}, *of_vm3[] = {"vm33/1.1", "vm3/1.1"};
	struct migration other = {.intent = {.id = 4, .vm = "vm3"},
	        .state = STATE_STOPPING,
	        .testimony = {.processes = of_vm1, .process_count = 1}};
	struct migration without = {.intent = {.id = 4, .vm = "vm3"}, .state = STATE_PREPARING};
	const struct migration *list[] = {&other}, *bare[] = {&without};
	struct migration_intent intent = {.id = 5, .vm = "vm1"}, itself = {.id = 4, .vm = "vm1"};

	assert_ptr_equal(
	        admission_sharing(&(struct under_way){list, 1, 4, NULL}, &intent, NULL, 0), &other);
	assert_null(admission_sharing(&(struct under_way){list, 1, 4, NULL}, &itself, NULL, 0));
	assert_null(admission_sharing(&(struct under_way){bare, 1, 4, NULL}, &intent, of_vm3, 1));
	assert_ptr_equal(
	        admission_sharing(&(struct under_way){bare, 1, 4, NULL}, &intent, of_vm3, 2),
	        &without);
	without.waits_turn = true;
	assert_null(admission_sharing(&(struct under_way){bare, 1, 4, NULL}, &intent, of_vm3, 2));
}

static void the_intent_says_who_goes_where_with_which_guids(void **unused)
{
	struct inventory inventory = {0};
	struct migration_intent intent = {0};

	four_hosts(&inventory);
	assert_null(admission_check(&inventory, NULL, "vm1", "b", &intent).reason);
	assert_string_equal(intent.vm, "vm1");
	assert_string_equal(intent.source.host, "a");
	assert_string_equal(intent.source.slot, "a1");
	assert_string_equal(intent.destination.host, "b");
	assert_string_equal(intent.destination.slot, "b1");
	assert_int_equal(intent.identity.port_guid, 0x2000 + 'a');
	assert_int_equal(intent.other.port_guid, 0x2000 + 'b');
	assert_int_equal(intent.destination.switch_guid, 0x3000 + 'b');
	inventory_clear(&inventory);
}

/* What vm1, which is on b without a VF, would get. */
static const char *reattach(
        struct inventory *inventory, bool fabric, struct migration_intent *intent)
{
	struct migration last = {.intent = {.vm = "vm1",
	                                 .address = {.lid = 5},
	                                 .identity = {.node_guid = 7, .port_guid = 0x2000 + 'a'},
	                                 .other = {.port_guid = 0x2000 + 'b'}}};
	struct admission admission;

	*intent = (struct migration_intent){.fabric = fabric};
	admission = admission_reattach(inventory, NULL, &last, "vm1", "b", intent);
	return admission.reason ? admission.reason : "";
}

static void a_vm_without_a_vf_gets_a_slot_with_its_guids(void **unused)
{
	struct inventory inventory = {0};
	struct migration_intent intent;
	struct admission unknown;

	host_says(&inventory, "a", NULL, NULL, "a1", "");
	host_says(&inventory, "b", "vm1", "", "b1", "");
	assert_true(admission_is_reattach(&inventory, "vm1", "b"));
	assert_false(admission_is_reattach(&inventory, "vm1", "a"));
	assert_string_equal(reattach(&inventory, true, &intent), "");
	assert_true(intent.reattach);
	assert_string_equal(intent.source.slot, "a1");
	assert_string_equal(intent.destination.slot, "b1");
	assert_int_equal(intent.identity.port_guid, 0x2000 + 'a');
	assert_int_equal(intent.other.port_guid, 0x2000 + 'b');
	assert_int_equal(intent.address.lid, 5);
	inventory_host_connected(&inventory, "a", false);
	assert_string_equal(reattach(&inventory, true, &intent), "host-not-connected");
	assert_string_equal(reattach(&inventory, false, &intent), "");
	assert_string_equal(intent.source.slot, "b1");
	host_says(&inventory, "a", "vm3", "a1", "a1", "vm3");
	assert_string_equal(reattach(&inventory, true, &intent), "guids-in-use");
	host_says(&inventory, "a", NULL, NULL, NULL, NULL);
	assert_string_equal(reattach(&inventory, true, &intent), "guids-not-found");
	unknown = admission_reattach(&inventory, NULL, NULL, "vm1", "b", &intent);
	assert_string_equal(unknown.reason, "vm-without-vf");
	host_says(&inventory, "b", "vm1", "b1", "b1", "vm1");
	assert_false(admission_is_reattach(&inventory, "vm1", "b"));
	inventory_clear(&inventory);
}

static void a_slot_that_shows_anothers_guid_is_not_free(void **unused)
{
	struct inventory inventory = {0};

	host_says(&inventory, "a", "vm1", "a1", "a1", "vm1");
	host_says(&inventory, "b", NULL, NULL, "b1", "");
	assert_non_null(inventory_free_slot(&inventory, "b", NULL));
	inventory.hosts->next->said->slots[0]->port_guid = 0x2000 + 'a';
	assert_null(inventory_free_slot(&inventory, "b", NULL));
	inventory_clear(&inventory);
}

static void a_name_that_is_too_long_is_refused_not_cut(void **unused)
{
	struct inventory inventory = {0};
	char name[MIGRATION_NAME_BYTES + 1];

	memset(name, 'x', sizeof(name) - 1);
	name[sizeof(name) - 1] = '\0';
	four_hosts(&inventory);
	host_says(&inventory, "a", name, "a1", "a1", name);
	assert_string_equal(reason(&inventory, NULL, name, "b"), "name-too-long");
	inventory_clear(&inventory);
}

static void of_two_hosts_that_have_a_vm_the_one_with_the_vf_counts(void **unused)
{
	struct inventory inventory = {0};
	const struct inventory_host *at = NULL;

	host_says(&inventory, "a", "vm1", "", "a1", "");
	host_says(&inventory, "b", "vm1", "b1", "b1", "vm1");
	assert_non_null(inventory_vm(&inventory, "vm1", &at));
	assert_string_equal(at->name, "b");
	inventory_clear(&inventory);
}

static void hosts_are_listed_by_name(void **unused)
{
	static const char *const names[] = {"c", "a", "d", "b"};
	struct inventory inventory = {0};
	char listed[8] = "";

	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		host_says(&inventory, names[i], NULL, NULL, NULL, NULL);
	for (const struct inventory_host *h = inventory.hosts; h; h = h->next)
		strcat(listed, h->name);
	assert_string_equal(listed, "abcd");
	inventory_clear(&inventory);
}

static enum migration_fact fact(const char *here_slot, const char *there_slot, bool carried,
        enum migration_state journalled)
{
	struct inventory inventory = {0};
	struct migration m = {.intent = {.vm = "vm1",
	                              .fabric = true,
	                              .source.host = "a",
	                              .destination.host = "b"},
	        .journalled = journalled};
	enum migration_fact found;

	host_says(&inventory, "a", here_slot ? "vm1" : NULL, here_slot, NULL, NULL);
	host_says(&inventory, "b", there_slot ? "vm1" : NULL, there_slot, NULL, NULL);
	found = whereabouts_fact(&inventory, &m, carried);
	inventory_clear(&inventory);
	return found;
}

static void inventories_say_where_the_vm_is(void **unused)
{
	assert_int_equal(fact("a1", NULL, true, STATE_MOVING), FACT_AT_SOURCE);
	assert_int_equal(fact("", NULL, true, STATE_MOVING), FACT_AT_SOURCE_WITHOUT_VF);
	assert_int_equal(fact(NULL, "b1", true, STATE_MOVING), FACT_AT_DESTINATION);
	assert_int_equal(fact("", "b1", true, STATE_MOVING), FACT_AT_DESTINATION);
	assert_int_equal(fact(NULL, "", true, STATE_MOVING), FACT_AT_DESTINATION_WITHOUT_VF);
	assert_int_equal(fact("", "", true, STATE_MOVING), FACT_ANYWHERE);
	assert_int_equal(fact(NULL, NULL, true, STATE_MOVING), FACT_ANYWHERE);
}

static void the_fabric_outweighs_the_journal_where_it_is_asked(void **unused)
{
	assert_int_equal(fact(NULL, "b1", false, STATE_RESUMING), FACT_NOT_CARRIED);
	/* Before APPLY it cannot be there yet. */
	assert_int_equal(fact("", NULL, false, STATE_DETACHING), FACT_AT_SOURCE_WITHOUT_VF);
}

/* Naming has been carried out, vacating not. */
static enum migration_fact fact_of_guids(uint64_t there, enum migration_state journalled)
{
	struct inventory inventory = {0};
	struct migration m = {.intent = {.vm = "vm1",
	                              .fabric = true,
	                              .source = {.host = "a", .slot = "a1"},
	                              .destination = {.host = "b", .slot = "b1"},
	                              .identity.port_guid = 0x2000 + 'a'},
	        .journalled = journalled};
	enum migration_fact found;

	host_says(&inventory, "a", NULL, NULL, "a1", "");
	host_says(&inventory, "b", "vm1", "", "b1", "");
	inventory_find(&inventory, "b")->said->slots[0]->port_guid = there;
	found = whereabouts_fact(&inventory, &m, true);
	inventory_clear(&inventory);
	return found;
}

static void inventories_say_whether_both_slots_show_the_guid(void **unused)
{
	const uint64_t same = 0x2000 + 'a';

	assert_int_equal(fact_of_guids(same, STATE_LEASING), FACT_SHOWN_TWICE);
	assert_int_equal(fact_of_guids(same, STATE_BACK_UNDOING), FACT_SHOWN_TWICE);
	assert_int_equal(fact_of_guids(same + 1, STATE_LEASING), FACT_AT_DESTINATION_WITHOUT_VF);
	/* Nobody sets GUIDs there. */
	assert_int_equal(fact_of_guids(same, STATE_ATTACHING), FACT_AT_DESTINATION_WITHOUT_VF);
}

static void before_the_commit_the_source_alone_is_waited_for(void **unused)
{
	struct inventory inventory = {0};
	struct migration m = {.intent = {.source.host = "a", .destination.host = "b"}};

	assert_false(whereabouts_are_known(&inventory, &m));
	host_says(&inventory, "a", NULL, NULL, NULL, NULL);
	assert_true(whereabouts_are_known(&inventory, &m));
	m.committed = true;
	assert_false(whereabouts_are_known(&inventory, &m));
	host_says(&inventory, "b", NULL, NULL, NULL, NULL);
	assert_true(whereabouts_are_known(&inventory, &m));
	inventory_clear(&inventory);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(each_wrong_request_has_its_name),
	        cmocka_unit_test(no_more_move_than_may),
	        cmocka_unit_test(who_takes_part_in_both_is_found_either_way),
	        cmocka_unit_test(the_intent_says_who_goes_where_with_which_guids),
	        cmocka_unit_test(a_vm_without_a_vf_gets_a_slot_with_its_guids),
	        cmocka_unit_test(a_slot_that_shows_anothers_guid_is_not_free),
	        cmocka_unit_test(a_name_that_is_too_long_is_refused_not_cut),
	        cmocka_unit_test(of_two_hosts_that_have_a_vm_the_one_with_the_vf_counts),
	        cmocka_unit_test(hosts_are_listed_by_name),
	        cmocka_unit_test(inventories_say_where_the_vm_is),
	        cmocka_unit_test(inventories_say_whether_both_slots_show_the_guid),
	        cmocka_unit_test(the_fabric_outweighs_the_journal_where_it_is_asked),
	        cmocka_unit_test(before_the_commit_the_source_alone_is_waited_for),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
