/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/* May a VM get a VF, or give it up, by what the agents have said and what others have or owe? */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "notifier/base/cleanup.h"
#include "sm-side/vm_change/vm_admission.h"

/* One VM at most, and one slot. */
static void host_says_of_slot(struct inventory *inventory, const char *host, const char *vm,
        const char *slot_vm, bool dynamic, struct identity shown)
{
	Tether__HostVm one_vm = TETHER__HOST_VM__INIT;
	Tether__Slot one_slot = TETHER__SLOT__INIT;
	Tether__HostVm *vms[] = {&one_vm};
	Tether__Slot *slots[] = {&one_slot};
	char slot[8];

	snprintf(slot, sizeof(slot), "%s1", host);
	one_vm.name = (char *)vm;
	one_vm.slot = *slot_vm ? slot : (char *)"";
	one_slot.name = slot;
	one_slot.vm = (char *)slot_vm;
	one_slot.dynamic = dynamic;
	one_slot.node_guid = shown.node_guid;
	one_slot.port_guid = shown.port_guid;
	assert_int_equal(inventory_take(inventory, host, vms, vm ? 1 : 0, slots, 1), 0);
	inventory_host_connected(inventory, host, true);
}

static void host_says(struct inventory *inventory, const char *host, const char *vm,
        const char *slot_vm, bool dynamic)
{
	struct identity own = {0x1000 + (uint8_t)*host, 0x2000 + (uint8_t)*host};

	host_says_of_slot(inventory, host, vm, slot_vm, dynamic, own);
}

struct world {
	struct inventory inventory;
	struct vm_changes changes;
	struct ledger ledger;
	struct vm_change_intent intent; /* of what was admitted last */
};

/* vm1 holds a1; vm2 is on b without a VF; c is empty and prepopulated, d away. */
static void world_make(struct world *world)
{
	*world = (struct world){0};
	vm_changes_init(&world->changes, &deadlines_default);
	ledger_init(&world->ledger, &deadlines_default);
	host_says(&world->inventory, "a", "vm1", "vm1", true);
	host_says(&world->inventory, "b", "vm2", "", true);
	host_says(&world->inventory, "c", NULL, "", false);
	host_says(&world->inventory, "d", NULL, "", true);
	inventory_host_connected(&world->inventory, "d", false);
}

static void world_clear(struct world *world)
{
	inventory_clear(&world->inventory);
	vm_changes_clear(&world->changes);
	ledger_clear(&world->ledger);
}

/* Nobody holds it. */
static void slot_shows(
        struct world *world, const char *host, const char *vm, struct identity identity)
{
	host_says_of_slot(&world->inventory, host, vm, "", true, identity);
}

static const char *create(struct world *world, struct vm_wish wish)
{
	struct under_way under_way = {NULL, 0, 4, &world->changes};
	struct admission admission;

	world->intent = (struct vm_change_intent){
	        .id = world->changes.last_id + 1, .fabric = true, .asked_wall_us = 1000};
	admission = vm_admission_create(
	        &world->inventory, &under_way, &world->ledger, &wish, &world->intent);
	return admission.reason ? admission.reason : "";
}

static const char *destroy(struct world *world, const char *vm)
{
	struct under_way under_way = {NULL, 0, 4, &world->changes};
	struct admission admission;

	world->intent = (struct vm_change_intent){
	        .id = world->changes.last_id + 1, .fabric = true, .asked_wall_us = 1000};
	admission = vm_admission_destroy(
	        &world->inventory, &under_way, &world->ledger, vm, &world->intent);
	return admission.reason ? admission.reason : "";
}

static struct vm_change *begun(struct world *world, enum change_state state)
{
	struct vm_change *change = vm_changes_add(&world->changes, &world->intent);

	assert_non_null(change);
	change->state = state;
	return change;
}

static const struct vm_change *changes_of_port_guid(const struct world *world, uint64_t guid)
{
	return vm_changes_of_identity(&world->changes, (struct identity){.port_guid = guid});
}

static void whether_a_vm_may_come_is_decided_by_name(void **unused)
{
	struct world world;
	struct identity taken = {0x1000 + 'a', 0x2000 + 'a'}, fresh = {5, 6};

	world_make(&world);
	assert_string_equal(
	        create(&world, (struct vm_wish){.name = "vm7", .host = "e"}), "unknown-host");
	assert_string_equal(
	        create(&world, (struct vm_wish){.name = "vm7", .host = "d"}), "host-not-connected");
	assert_string_equal(
	        create(&world, (struct vm_wish){.name = "vm7", .host = "a"}), "no-free-vf");
	assert_string_equal(
	        create(&world, (struct vm_wish){.name = "vm1", .host = "b"}), "vm-exists");
	assert_string_equal(
	        create(&world, (struct vm_wish){.name = "vm2", .host = "c"}), "vm-exists");
	assert_string_equal(
	        create(&world, (struct vm_wish){.name = "vm7", .host = "b", .slot = "x"}),
	        "unknown-slot");
	assert_string_equal(
	        create(&world, (struct vm_wish){.name = "vm7", .host = "a", .slot = "a1"}),
	        "slot-in-use");
	assert_string_equal(create(&world, (struct vm_wish){.name = "vm7", .host = "c", .lid = 7}),
	        "not-dynamic");
	assert_string_equal(
	        create(&world, (struct vm_wish){.name = "vm7", .host = "b", .identity = taken}),
	        "guid-in-use");
	assert_string_equal(create(&world, (struct vm_wish){.name = "vm7", .host = "c"}), "");
	assert_false(world.intent.dynamic);
	assert_int_equal(world.intent.identity.port_guid, 0x2000 + 'c');
	assert_string_equal(
	        create(&world, (struct vm_wish){.name = "vm2", .host = "b", .identity = fresh}),
	        "");
	assert_true(world.intent.dynamic);
	assert_int_equal(world.intent.identity.port_guid, 6);
	assert_int_equal(world.intent.own.port_guid, 0x2000 + 'b');
	world_clear(&world);
}

static void what_is_under_way_has_its_name_its_slot_and_its_guids(void **unused)
{
	struct world world;
	struct identity fresh = {5, 6}, displaced = {0x1000 + 'b', 0x2000 + 'b'};
	struct vm_change *change;
	struct under_way under_way;

	world_make(&world);
	create(&world, (struct vm_wish){.name = "vm2", .host = "b", .identity = fresh});
	change = begun(&world, CHANGE_LEASING);
	under_way = (struct under_way){NULL, 0, 4, &world.changes};
	assert_string_equal(
	        create(&world, (struct vm_wish){.name = "vm2", .host = "b"}), "vm-changing");
	assert_string_equal(
	        create(&world, (struct vm_wish){.name = "vm7", .host = "b"}), "no-free-vf");
	assert_string_equal(destroy(&world, "vm2"), "vm-changing");
	assert_true(admission_slot_is_held(&under_way, "b", "b1"));
	assert_ptr_equal(changes_of_port_guid(&world, 6), change);
	/* No slot shows what the VM has displaced, for as long as it is there. */
	assert_ptr_equal(changes_of_port_guid(&world, displaced.port_guid), change);
	change->state = CHANGE_PRESENT;
	assert_null(changes_of_port_guid(&world, 6));
	assert_ptr_equal(changes_of_port_guid(&world, displaced.port_guid), change);
	assert_int_equal(vm_changes_own(&world.changes, "vm2", 6).port_guid, displaced.port_guid);
	change->state = CHANGE_ABSENT;
	assert_null(changes_of_port_guid(&world, displaced.port_guid));
	world_clear(&world);
}

static void a_node_guid_is_one_vms_as_well(void **unused)
{
	struct world world;
	struct vm_wish wish = {.name = "vm2", .host = "b", .identity = {0x1000 + 'a', 6}};

	world_make(&world);
	assert_string_equal(create(&world, wish), "guid-in-use");
	/* Nobody shows it, but d1 will get it back, or has been promised to vm9. */
	create(&world, (struct vm_wish){.name = "vm9", .host = "b"});
	world.intent.place = (struct place){.host = "d", .slot = "d1"};
	world.intent.identity = (struct identity){7, 8};
	world.intent.own = (struct identity){9, 10};
	begun(&world, CHANGE_LEASING);
	wish.identity = (struct identity){7, 6};
	assert_string_equal(create(&world, wish), "guid-in-use");
	wish.identity.node_guid = 9;
	assert_string_equal(create(&world, wish), "guid-in-use");
	wish.identity.node_guid = 11;
	assert_string_equal(create(&world, wish), "");
	world_clear(&world);
}

/* Those of b1, which vm2 had displaced, are b1's again. */
static void guids_that_were_given_back_are_not_owed_any_more(void **unused)
{
	struct world world;
	struct identity its = {5, 6};
	uint64_t own = 0x2000 + 'b';
	struct vm_change *again;

	world_make(&world);
	create(&world, (struct vm_wish){.name = "vm2", .host = "b", .identity = its});
	begun(&world, CHANGE_PRESENT);
	world.intent.destroys = true;
	begun(&world, CHANGE_ABSENT);
	create(&world, (struct vm_wish){.name = "vm2", .host = "b", .identity = its});
	world.intent.place = (struct place){.host = "a", .slot = "a1"};
	world.intent.own = (struct identity){0x1000 + 'a', 0x2000 + 'a'};
	again = begun(&world, CHANGE_PRESENT);
	assert_null(changes_of_port_guid(&world, own));
	assert_ptr_equal(changes_of_port_guid(&world, 0x2000 + 'a'), again);
	assert_string_equal(create(&world, (struct vm_wish){.name = "vm7", .host = "b"}), "");
	assert_int_equal(world.intent.identity.port_guid, own);
	world_clear(&world);
}

static void an_end_that_was_refused_leaves_the_slots_guids_owed(void **unused)
{
	struct world world;
	struct identity its = {5, 6};
	uint64_t own = 0x2000 + 'b';
	struct vm_change *present;

	world_make(&world);
	create(&world, (struct vm_wish){.name = "vm2", .host = "b", .identity = its});
	present = begun(&world, CHANGE_PRESENT);
	world.intent.destroys = true;
	begun(&world, CHANGE_REFUSED);
	assert_ptr_equal(changes_of_port_guid(&world, own), present);
	assert_int_equal(vm_changes_own(&world.changes, "vm2", 6).port_guid, own);
	world_clear(&world);
}

static void whether_a_vm_may_go_is_decided_by_name(void **unused)
{
	struct world world;

	world_make(&world);
	assert_string_equal(destroy(&world, "vm9"), "unknown-vm");
	assert_string_equal(destroy(&world, "vm2"), "vm-without-vf");
	assert_string_equal(destroy(&world, "vm1"), "");
	assert_true(world.intent.destroys && world.intent.dynamic);
	assert_int_equal(world.intent.identity.port_guid, 0x2000 + 'a');
	inventory_host_connected(&world.inventory, "a", false);
	assert_string_equal(destroy(&world, "vm1"), "host-not-connected");
	/* What it had of the fabric is not given back yet: its slot shows its GUIDs. */
	create(&world, (struct vm_wish){.name = "vm2", .host = "b"});
	begun(&world, CHANGE_LEFT);
	assert_string_equal(destroy(&world, "vm2"), "");
	assert_string_equal(world.intent.place.slot, "b1");
	begun(&world, CHANGE_ABSENT);
	assert_string_equal(destroy(&world, "vm2"), "vm-without-vf");
	assert_true(vm_changes_has_gone(&world.changes, "vm2", 1000));
	assert_false(vm_changes_has_gone(&world.changes, "vm2", 1001));
	world_clear(&world);
}

/* vm2 has come to b1 with GUIDs of its own, and its end came as far as @shown. */
static void left_in_b1(struct world *world, struct identity shown)
{
	create(world, (struct vm_wish){.name = "vm2", .host = "b", .identity = {5, 6}});
	begun(world, CHANGE_PRESENT);
	world->intent.id++;
	world->intent.destroys = true;
	begun(world, CHANGE_LEFT);
	slot_shows(world, "b", "vm2", shown);
}

static void what_is_left_of_a_vm_is_ended_by_its_name(void **unused)
{
	static const struct identity own = {0x1000 + 'b', 0x2000 + 'b'}, its = {5, 6};
	const struct identity *shown[] = {&own, &its};
	struct world world;

	for (size_t i = 0; i < ARRAY_SIZE(shown); i++) {
		world_make(&world);
		left_in_b1(&world, *shown[i]);
		/* That the SM cannot forget it yet does not make it anybody's. */
		begun(&world, CHANGE_REFUSED);
		assert_string_equal(destroy(&world, "vm2"), "");
		assert_string_equal(world.intent.place.slot, "b1");
		assert_int_equal(world.intent.identity.port_guid, its.port_guid);
		assert_int_equal(world.intent.identity.node_guid, its.node_guid);
		assert_int_equal(world.intent.own.port_guid, own.port_guid);
		world_clear(&world);
	}
}

static void a_slot_in_which_something_is_left_is_not_free(void **unused)
{
	struct world world;
	struct under_way under_way;
	struct identity own = {0x1000 + 'b', 0x2000 + 'b'};

	world_make(&world);
	left_in_b1(&world, own);
	under_way = (struct under_way){NULL, 0, 4, &world.changes};
	assert_null(admission_free_slot(&world.inventory, &under_way, "b", NULL));
	assert_string_equal(
	        create(&world, (struct vm_wish){.name = "vm7", .host = "b"}), "no-free-vf");
	assert_string_equal(
	        create(&world, (struct vm_wish){.name = "vm7", .host = "b", .slot = "b1"}),
	        "slot-in-use");
	assert_string_equal(
	        create(&world, (struct vm_wish){.name = "vm2", .host = "b"}), "vm-exists");
	destroy(&world, "vm2");
	begun(&world, CHANGE_ABSENT);
	assert_string_equal(create(&world, (struct vm_wish){.name = "vm7", .host = "b"}), "");
	world_clear(&world);
}

static void a_vm_is_not_given_again_a_slot_where_another_comes(void **unused)
{
	static const struct place places[] = {
	        {.host = "b", .slot = "b1"}, {.host = "c", .slot = "c1"}};
	struct migration last = {.intent = {.vm = "vm2", .address = {.lid = 5}, .dynamic = true}};

	for (size_t i = 0; i < ARRAY_SIZE(places); i++) {
		struct migration_intent intent = {.fabric = true};
		struct world world;
		struct under_way under_way = {NULL, 0, 4, NULL};

		world_make(&world);
		last.intent.identity.port_guid = 0x2000 + (uint8_t)*places[i].host;
		assert_null(
		        admission_reattach(&world.inventory, &under_way, &last, "vm2", "b", &intent)
		                .reason);
		world.intent = (struct vm_change_intent){.id = 1, .vm = "vm7", .place = places[i]};
		begun(&world, CHANGE_ATTACHING);
		under_way.changes = &world.changes;
		assert_string_equal(
		        admission_reattach(&world.inventory, &under_way, &last, "vm2", "b", &intent)
		                .reason,
		        "busy");
		world_clear(&world);
	}
}

static void the_guids_of_a_vm_that_lost_its_vf_are_not_given_to_another(void **unused)
{
	struct world world;
	struct migration_intent moved = {.id = 1,
	        .vm = "vm2",
	        .address = {.lid = 5},
	        .identity = {0x1000 + 'b', 0x2000 + 'b'},
	        .asked_wall_us = 10};
	struct ledger_entry *entry;

	world_make(&world);
	entry = ledger_add(&world.ledger, &moved);
	assert_non_null(entry);
	entry->migration.state = STATE_LOST;
	assert_string_equal(
	        create(&world, (struct vm_wish){.name = "vm7", .host = "b"}), "no-free-vf");
	assert_string_equal(create(&world, (struct vm_wish){.name = "vm2", .host = "b"}), "");
	/* Nor displaced, since a slot has to show them. */
	assert_string_equal(
	        create(&world,
	                (struct vm_wish){
	                        .name = "vm7", .host = "b", .slot = "b1", .identity = {5, 6}}),
	        "slot-in-use");
	entry->migration.intent.identity = (struct identity){5, 6};
	assert_string_equal(
	        create(&world, (struct vm_wish){.name = "vm7", .host = "b", .identity = {5, 6}}),
	        "guid-in-use");
	destroy(&world, "vm2");
	begun(&world, CHANGE_ABSENT);
	assert_string_equal(create(&world, (struct vm_wish){.name = "vm7", .host = "b"}), "");
	world_clear(&world);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(whether_a_vm_may_come_is_decided_by_name),
	        cmocka_unit_test(what_is_under_way_has_its_name_its_slot_and_its_guids),
	        cmocka_unit_test(a_node_guid_is_one_vms_as_well),
	        cmocka_unit_test(guids_that_were_given_back_are_not_owed_any_more),
	        cmocka_unit_test(an_end_that_was_refused_leaves_the_slots_guids_owed),
	        cmocka_unit_test(whether_a_vm_may_go_is_decided_by_name),
	        cmocka_unit_test(what_is_left_of_a_vm_is_ended_by_its_name),
	        cmocka_unit_test(a_slot_in_which_something_is_left_is_not_free),
	        cmocka_unit_test(the_guids_of_a_vm_that_lost_its_vf_are_not_given_to_another),
	        cmocka_unit_test(a_vm_is_not_given_again_a_slot_where_another_comes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
