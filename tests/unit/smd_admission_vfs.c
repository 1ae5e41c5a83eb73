/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/* VMs with several VFs: to which slots they go, who cannot go with all, where one is that is half
 * way. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "sm-side/migration/admission.h"
#include "sm-side/migration/whereabouts.h"

/* A host with slots @name1 and on, of @vm or free. */
struct many_slots {
	char names[MIGRATION_VFS_MAX + 1][8];
	Tether__Slot slots[MIGRATION_VFS_MAX + 1], *list[MIGRATION_VFS_MAX + 1];
	Tether__HostVm vm, *vms[1];
};

static void many_slots_make(struct many_slots *many, const char *name, const char *vm)
{
	tether__host_vm__init(&many->vm);
	many->vms[0] = &many->vm;
	for (unsigned i = 0; i < MIGRATION_VFS_MAX + 1; i++) {
		tether__slot__init(&many->slots[i]);
		snprintf(many->names[i], sizeof(many->names[i]), "%s%u", name, i + 1);
		many->list[i] = &many->slots[i];
		many->slots[i].name = many->names[i];
		many->slots[i].vm = (char *)vm;
		many->slots[i].port_guid = 0x100 * (uint8_t)*name + i;
		many->slots[i].switch_guid = 0x3000 + (uint8_t)*name;
		many->slots[i].switch_port = i + 1;
	}
	many->vm.name = (char *)vm;
	many->vm.slot = many->names[0];
}

static void host_has(
        struct inventory *inventory, const char *host, struct many_slots *many, size_t count)
{
	assert_int_equal(inventory_take(inventory, host, many->vms, many->vm.name[0] != '\0',
	                         many->list, count),
	        0);
	inventory_host_connected(inventory, host, true);
}

static void each_vf_has_a_slot_of_its_own(void **unused)
{
	struct inventory inventory = {0};
	struct migration_intent intent = {.fabric = true};
	struct many_slots here, there;
	struct migration other = {.intent = {.id = 6,
	                                  .vm = "vm3",
	                                  .others = 1,
	                                  .vfs[1].destination = {.host = "b", .slot = "b2"}}};
	const struct migration *under_way[] = {&other};
	const struct under_way one = {under_way, 1, 4, NULL};

	many_slots_make(&here, "a", "vm1");
	many_slots_make(&there, "b", "");
	here.vm.slot = here.names[1];
	host_has(&inventory, "a", &here, 2);
	host_has(&inventory, "b", &there, 3);
	assert_null(admission_check(&inventory, NULL, "vm1", "b", &intent).reason);
	assert_int_equal(migration_vf_count(&intent), 2);
	assert_string_equal(intent.source.slot, "a2");
	assert_string_equal(intent.vfs[1].source.slot, "a1");
	assert_string_equal(intent.vfs[1].source.host, "a");
	assert_string_equal(intent.destination.slot, "b1");
	assert_string_equal(intent.vfs[1].destination.slot, "b2");
	assert_int_equal(intent.vfs[1].identity.port_guid, here.slots[0].port_guid);
	assert_int_equal(intent.vfs[1].other.port_guid, there.slots[1].port_guid);
	assert_int_equal(intent.vfs[1].destination.switch_port, 2);
	/* The second of another migration is taken as well. */
	intent = (struct migration_intent){.fabric = true};
	assert_null(admission_check(&inventory, &one, "vm1", "b", &intent).reason);
	assert_string_equal(intent.vfs[1].destination.slot, "b3");
	host_has(&inventory, "b", &there, 2);
	intent = (struct migration_intent){.fabric = true};
	assert_string_equal(
	        admission_check(&inventory, &one, "vm1", "b", &intent).reason, "no-free-vf");
	inventory_clear(&inventory);
}

static struct admission of_several(struct inventory *inventory, bool fabric)
{
	struct migration_intent intent = {.fabric = fabric};

	return admission_check(inventory, NULL, "vm1", "b", &intent);
}

static void who_cannot_go_with_all_vfs_is_told_which(void **unused)
{
	struct inventory inventory = {0};
	struct many_slots here, there;
	struct admission admission;

	many_slots_make(&here, "a", "vm1");
	many_slots_make(&there, "b", "");
	host_has(&inventory, "a", &here, 2);
	host_has(&inventory, "b", &there, MIGRATION_VFS_MAX + 1);
	assert_null(of_several(&inventory, true).reason);
	admission = of_several(&inventory, false);
	assert_string_equal(admission.reason, "several-vfs");
	assert_non_null(strstr(admission.text, "a1"));
	assert_non_null(strstr(admission.text, "a2"));
	here.slots[1].dynamic = true;
	host_has(&inventory, "a", &here, 2);
	assert_string_equal(of_several(&inventory, true).reason, "several-vfs");
	here.slots[1].dynamic = false;
	here.slots[1].shared_port = true;
	host_has(&inventory, "a", &here, 2);
	assert_string_equal(of_several(&inventory, true).reason, "several-vfs");
	here.slots[1].shared_port = false;
	host_has(&inventory, "a", &here, MIGRATION_VFS_MAX);
	assert_null(of_several(&inventory, true).reason);
	host_has(&inventory, "a", &here, MIGRATION_VFS_MAX + 1);
	assert_string_equal(of_several(&inventory, true).reason, "several-vfs");
	here.slots[1].vm = (char *)"vm2";
	host_has(&inventory, "a", &here, 2);
	assert_null(of_several(&inventory, false).reason);
	inventory_clear(&inventory);
}

static void lost_vfs_are_given_back_all_from_where_they_are(void **unused)
{
	struct inventory inventory = {0};
	struct many_slots here, there;
	struct migration last = {.intent = {.vm = "vm1", .others = 1}};
	struct migration_intent intent = {.fabric = true};
	struct admission admission;

	many_slots_make(&here, "a", "");
	many_slots_make(&there, "b", "vm1");
	there.vm.slot = (char *)"";
	for (unsigned i = 0; i < MIGRATION_VFS_MAX; i++)
		there.slots[i].vm = (char *)"";
	last.intent.vfs[0].identity.port_guid = here.slots[0].port_guid;
	last.intent.vfs[1].identity.port_guid = here.slots[1].port_guid;
	host_has(&inventory, "a", &here, 2);
	host_has(&inventory, "b", &there, 2);
	assert_null(admission_reattach(&inventory, NULL, &last, "vm1", "b", &intent).reason);
	assert_string_equal(intent.vfs[0].source.slot, "a1");
	assert_string_equal(intent.vfs[1].source.slot, "a2");
	assert_string_equal(intent.vfs[1].destination.slot, "b2");
	assert_int_equal(intent.vfs[1].other.port_guid, there.slots[1].port_guid);
	last.intent.vfs[1].identity.port_guid = there.slots[1].port_guid;
	intent = (struct migration_intent){.fabric = true};
	admission = admission_reattach(&inventory, NULL, &last, "vm1", "b", &intent);
	assert_string_equal(admission.reason, "several-vfs");
	last.intent.vfs[0].identity.port_guid = there.slots[0].port_guid;
	intent = (struct migration_intent){.fabric = true};
	assert_null(admission_reattach(&inventory, NULL, &last, "vm1", "b", &intent).reason);
	assert_string_equal(intent.vfs[1].source.slot, "b2");
	inventory_clear(&inventory);
}

/* @held: so many of its two VFs are there. */
static enum migration_fact fact_of_two(
        unsigned here_held, unsigned there_held, bool is_here, enum migration_state journalled)
{
	struct inventory inventory = {0};
	struct migration m = {
	        .intent = {.vm = "vm1", .fabric = true, .others = 1}, .journalled = journalled};
	struct many_slots here, there;
	enum migration_fact found;

	many_slots_make(&here, "a", "vm1");
	many_slots_make(&there, "b", "vm1");
	for (unsigned i = 0; i < 2; i++) {
		m.intent.vfs[i].source = (struct place){.host = "a"};
		m.intent.vfs[i].destination = (struct place){.host = "b"};
		strcpy(m.intent.vfs[i].source.slot, here.names[i]);
		strcpy(m.intent.vfs[i].destination.slot, there.names[i]);
		here.slots[i].vm = (char *)(i < here_held ? "vm1" : "");
		there.slots[i].vm = (char *)(i < there_held ? "vm1" : "");
	}
	here.vm.slot = (char *)(here_held ? "a1" : "");
	there.vm.slot = (char *)(there_held ? "b1" : "");
	host_has(&inventory, "a", &here, 2);
	host_has(&inventory, "b", &there, 2);
	assert_int_equal(inventory_take(&inventory, is_here ? "b" : "a", NULL, 0,
	                         is_here ? there.list : here.list, 2),
	        0);
	found = whereabouts_fact(&inventory, &m, true);
	inventory_clear(&inventory);
	return found;
}

static void a_vm_of_which_some_vfs_have_come_or_gone_is_between(void **unused)
{
	assert_int_equal(fact_of_two(2, 0, true, STATE_DETACHING), FACT_AT_SOURCE);
	assert_int_equal(fact_of_two(1, 0, true, STATE_DETACHING), FACT_AT_SOURCE);
	assert_int_equal(fact_of_two(0, 0, true, STATE_DETACHING), FACT_AT_SOURCE_WITHOUT_VF);
	assert_int_equal(fact_of_two(0, 1, false, STATE_ATTACHING), FACT_AT_DESTINATION_WITHOUT_VF);
	assert_int_equal(fact_of_two(0, 2, false, STATE_ATTACHING), FACT_AT_DESTINATION);
	assert_int_equal(fact_of_two(2, 0, true, STATE_SETTLING), FACT_AT_SOURCE);
	assert_int_equal(fact_of_two(1, 0, true, STATE_SETTLING), FACT_AT_SOURCE_WITHOUT_VF);
	assert_int_equal(fact_of_two(1, 0, true, STATE_ABORTING), FACT_AT_SOURCE_WITHOUT_VF);
	assert_int_equal(fact_of_two(1, 0, true, STATE_BACK_GIVING), FACT_AT_SOURCE_WITHOUT_VF);
	assert_int_equal(fact_of_two(2, 0, true, STATE_BACK_GIVING), FACT_AT_SOURCE);
}

static void who_may_have_come_is_what_the_destination_says(void **unused)
{
	struct inventory inventory = {0};
	struct migration m = {
	        .intent = {.vm = "vm1", .others = 1}, .journalled = STATE_BACK_LEASING};
	struct many_slots there;

	many_slots_make(&there, "b", "vm1");
	for (unsigned i = 0; i < 2; i++) {
		strcpy(m.intent.vfs[i].destination.host, "b");
		strcpy(m.intent.vfs[i].destination.slot, there.names[i]);
	}
	assert_int_equal(whereabouts_may_be_there(&inventory, &m), MIGRATION_ALL_VFS);
	there.slots[0].vm = (char *)"";
	host_has(&inventory, "b", &there, 2);
	assert_int_equal(whereabouts_may_be_there(&inventory, &m), 1 << 1);
	/* What an orchestrator attached no agent was asked for, so none has looked. */
	m.intent.called = true;
	assert_int_equal(whereabouts_may_be_there(&inventory, &m), MIGRATION_ALL_VFS);
	m.intent.called = false;
	m.journalled = STATE_ATTACHING;
	assert_int_equal(whereabouts_may_be_there(&inventory, &m), MIGRATION_ALL_VFS);
	inventory_clear(&inventory);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(each_vf_has_a_slot_of_its_own),
	        cmocka_unit_test(who_cannot_go_with_all_vfs_is_told_which),
	        cmocka_unit_test(lost_vfs_are_given_back_all_from_where_they_are),
	        cmocka_unit_test(who_may_have_come_is_what_the_destination_says),
	        cmocka_unit_test(a_vm_of_which_some_vfs_have_come_or_gone_is_between),
	};

	return cmocka_run_group_tests_name("smd_admission_vfs", tests, NULL, NULL);
}
