/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/* VMs that are to get or give up a VF: what clients ask, whether it may be, what the SM is asked
 * and what its answers mean, and what comes back from the journal. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "notifier/base/cleanup.h"
#include "sm-side/json_read.h"
#include "sm-side/vm_change_json.h"
#include "sm-side/vm_talk.h"

static void a_wish_is_read(void **unused)
{
	static const char body[] =
	        "{\"name\":\"vm-7\",\"host\":\"a\",\"slot\":\"a1\",\"lid\":49151,"
	        "\"node_guid\":\"0x1\",\"port_guid\":\"0x2\"}";
	struct vm_wish wish;

	assert_null(vm_wish_read(body, strlen(body), &wish));
	assert_string_equal(wish.name, "vm-7");
	assert_string_equal(wish.host, "a");
	assert_string_equal(wish.slot, "a1");
	assert_int_equal(wish.lid, 49151);
	assert_int_equal(wish.identity.node_guid, 1);
	assert_int_equal(wish.identity.port_guid, 2);
}

static void a_malformed_wish_is_refused(void **unused)
{
	static const char *const bodies[] = {"", "{", "[]", "{}", "{\"name\":\"a\"}",
	        "{\"host\":\"a\"}", "{\"name\":\"a/b\",\"host\":\"a\"}",
	        "{\"name\":\"..\",\"host\":\"a\"}", "{\"name\":\"a\",\"host\":\"\"}",
	        "{\"name\":\"a\",\"host\":7}", "{\"name\":\"a\\u0000\",\"host\":\"a\"}",
	        "{\"name\":\"a\",\"host\":\"a\",\"lid\":0}",
	        "{\"name\":\"a\",\"host\":\"a\",\"lid\":49152}",
	        "{\"name\":\"a\",\"host\":\"a\",\"lid\":1.5}",
	        "{\"name\":\"a\",\"host\":\"a\",\"port_guid\":\"0x1\"}",
	        "{\"name\":\"a\",\"host\":\"a\",\"port_guid\":\"0x1\",\"node_guid\":\"0\"}",
	        "{\"name\":\"a\",\"host\":\"a\",\"port_guid\":\"0xffffffffffffffff\","
	        "\"node_guid\":\"0x1\"}",
	        "{\"name\":\"a\",\"host\":\"a\",\"slot\":\"\"}",
	        "{\"name\":\"a\",\"host\":\"a\",\"force\":true}"};
	struct vm_wish wish;

	for (size_t i = 0; i < ARRAY_SIZE(bodies); i++)
		if (!vm_wish_read(bodies[i], strlen(bodies[i]), &wish))
			fail_msg("taken: %s", bodies[i]);
}

/* ---- may it be ---- */

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

/* ---- the SM ---- */

static struct vm_change in(enum change_state state)
{
	struct vm_change_intent intent = {.id = 7,
	        .vm = "vm7",
	        .identity = {5, 6},
	        .own = {8, 9},
	        .place = {.host = "b", .slot = "b1", .switch_guid = 3, .switch_port = 4},
	        .dynamic = true,
	        .fabric = true};
	struct vm_change change;

	vm_change_init(&change, &intent, &deadlines_default);
	change.state = state;
	return change;
}

static void assert_asked(enum change_state state, const char *expected)
{
	struct vm_change change = in(state);
	struct json_object *request = vm_talk_request(&change);

	assert_string_equal(
	        json_object_to_json_string_ext(request, JSON_C_TO_STRING_PLAIN), expected);
	json_object_put(request);
}

static void the_sm_is_asked_for_a_creation_and_an_end(void **unused)
{
	assert_asked(CHANGE_PLANNING,
	        "{\"op\":\"plan\",\"moves\":[{\"kind\":\"create\",\"vm_port_guid\":"
	        "\"0x0000000000000006\",\"vm_node_guid\":\"0x0000000000000005\","
	        "\"to_switch_guid\":\"0x0000000000000003\",\"to_switch_port\":4}],\"changes\":"
	        "false}");
	assert_asked(CHANGE_END_PLANNING,
	        "{\"op\":\"plan\",\"moves\":[{\"kind\":\"destroy\",\"vm_port_"
	        "guid\":\"0x0000000000000006\"}],\"changes\":false}");
	assert_asked(
	        CHANGE_APPLYING, "{\"op\":\"apply\",\"migration\":\"vm-7\",\"hash\":\"none\"}");
	assert_asked(CHANGE_UNLEASING,
	        "{\"op\":\"release_lease\",\"migration\":\"vm-7\",\"sweep\":true}");
	assert_asked(CHANGE_WAKING, "{\"op\":\"locate\",\"port_guid\":\"0x0000000000000006\"}");
}

static enum change_event told(enum change_state state, struct vm_change *change, const char *text)
{
	struct json_object *answer = json_read_whole(text, strlen(text));
	enum change_event event;

	*change = in(state);
	change->lid = 40;
	event = vm_talk_take(change, answer);
	json_object_put(answer);
	return event;
}

#define NO(reason) "{\"ok\":false,\"reason\":\"" reason "\",\"text\":\"as asked\"}"

static void what_the_sm_answers_is_done_refused_or_where_things_stand(void **unused)
{
	static const struct {
		enum change_state state;
		const char *answer;
		enum change_event event;
	} rows[] = {
	        {CHANGE_LEASING, NO("busy"), CHANGE_EVENT_BUSY},
	        {CHANGE_LEASING, NO("not-master"), CHANGE_EVENT_BUSY},
	        {CHANGE_CHECKING, NO("same-place"), CHANGE_EVENT_FAILED},
	        {CHANGE_CHECKING, NO("no-free-lid"), CHANGE_EVENT_FAILED},
	        {CHANGE_PLANNING, NO("same-place"), CHANGE_EVENT_ALREADY},
	        {CHANGE_ASKING, NO("unknown-port"), CHANGE_EVENT_ALREADY},
	        {CHANGE_END_PLANNING, NO("unknown-port"), CHANGE_EVENT_ALREADY},
	        {CHANGE_APPLYING, NO("stale-plan"), CHANGE_EVENT_STALE},
	        {CHANGE_APPLYING, NO("unknown-plan"), CHANGE_EVENT_STALE},
	        {CHANGE_APPLYING, NO("no-lease"), CHANGE_EVENT_LEASE_LOST},
	        {CHANGE_APPLYING, NO("not-acknowledged"), CHANGE_EVENT_FAILED},
	        {CHANGE_APPLYING, "{\"ok\":true,\"verified\":true}", CHANGE_EVENT_DONE},
	        {CHANGE_APPLYING, "{\"ok\":true}", CHANGE_EVENT_FAILED},
	        {CHANGE_WAKING, NO("unknown-port"), CHANGE_EVENT_BUSY},
	        {CHANGE_WAKING, "{\"ok\":true,\"lid\":40,\"state\":2}", CHANGE_EVENT_BUSY},
	        {CHANGE_WAKING, "{\"ok\":true,\"lid\":40,\"state\":4}", CHANGE_EVENT_DONE},
	        {CHANGE_PLANNING, "{\"ok\":true,\"hash\":\"h\",\"moves\":[{\"vm\":{\"lid\":41}}]}",
	                CHANGE_EVENT_DONE},
	        {CHANGE_PLANNING, "{\"ok\":true,\"hash\":\"h\",\"moves\":[7]}",
	                CHANGE_EVENT_FAILED},
	        {CHANGE_PLANNING, "{\"ok\":true,\"moves\":[]}", CHANGE_EVENT_FAILED},
	        {CHANGE_PLANNING, "{}", CHANGE_EVENT_FAILED},
	        {CHANGE_UNLEASING, "{\"ok\":true,\"held\":false}", CHANGE_EVENT_DONE},
	        {CHANGE_FADING, NO("unknown-port"), CHANGE_EVENT_DONE},
	        {CHANGE_FADING, NO("not-master"), CHANGE_EVENT_BUSY},
	        {CHANGE_FADING, "{\"ok\":true,\"lid\":40,\"state\":4}", CHANGE_EVENT_BUSY},
	};
	struct vm_change change;

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		if (told(rows[i].state, &change, rows[i].answer) != rows[i].event)
			fail_msg("%s in %s", rows[i].answer, change_state_name(rows[i].state));
		assert_int_equal(!*change.reason, rows[i].event != CHANGE_EVENT_FAILED);
	}
	told(CHANGE_PLANNING, &change,
	        "{\"ok\":true,\"hash\":\"h\",\"moves\":[{\"vm\":{\"lid\":41}}]}");
	assert_int_equal(change.lid, 41);
	assert_int_equal(told(CHANGE_WAKING, &change, "{\"ok\":true,\"lid\":42,\"state\":4}"),
	        CHANGE_EVENT_DONE);
	assert_string_equal(change.reason, "lid-changed");
}

static void the_slot_gets_its_own_guids_when_its_link_goes_down(void **unused)
{
	struct vm_change change = in(CHANGE_LINKING);
	struct order order;

	vm_order_fill(&order, &change, 0);
	assert_int_equal(order.host.action, TETHER__HOST_ACTION__HOST_SET_GUIDS);
	assert_int_equal(order.host.link, TETHER__SLOT_LINK__LINK_UP);
	assert_int_equal(order.host.port_guid, 6);
	change.state = CHANGE_UNLINKING;
	vm_order_fill(&order, &change, 0);
	assert_int_equal(order.host.link, TETHER__SLOT_LINK__LINK_DOWN);
	assert_int_equal(order.host.port_guid, 9);
	assert_int_equal(order.event.sequence, 2);
	change.intent.own = (struct identity){0};
	vm_order_fill(&order, &change, 0);
	assert_int_equal(order.host.port_guid, 6);
}

/* ---- the journal ---- */

static void ended(
        struct vm_changes *changes, struct vm_change_intent intent, enum change_state state)
{
	intent.id = changes->last_id + 1;
	vm_changes_add(changes, &intent)->state = state;
}

static void what_a_vm_owes_is_known_however_long_it_is_there(void **unused)
{
	struct vm_change_intent owing = in(CHANGE_PRESENT).intent, other = owing;
	struct vm_changes changes;
	size_t most;

	vm_changes_init(&changes, &deadlines_default);
	ended(&changes, owing, CHANGE_PRESENT);
	strcpy(other.vm, "left");
	other.own = (struct identity){0};
	ended(&changes, other, CHANGE_LEFT);
	strcpy(other.vm, "others");
	for (int i = 0; i < 1000; i++)
		ended(&changes, other, CHANGE_ABSENT);
	assert_int_equal(vm_changes_own(&changes, owing.vm, owing.identity.port_guid).port_guid, 9);
	assert_int_equal(vm_changes_standing(&changes, "left")->state, CHANGE_LEFT);
	/* And no longer. */
	most = changes.count;
	ended(&changes, owing, CHANGE_ABSENT);
	for (int i = 0; i < 1000; i++)
		ended(&changes, other, CHANGE_ABSENT);
	assert_null(vm_changes_latest(&changes, owing.vm));
	assert_int_equal(changes.count, most);
	vm_changes_clear(&changes);
}

static void what_has_been_comes_back_from_the_journal(void **unused)
{
	struct vm_changes known;
	struct vm_change change = in(CHANGE_APPLYING);
	struct record intent = {RECORD_change, {.change = change.intent}}, state;

	vm_changes_init(&known, &deadlines_default);
	change.lid = 40;
	change.touched = true;
	vm_change_find(&change, "sm", "timeout", "in applying");
	state = vm_change_record(&change);
	assert_int_not_equal(vm_changes_take(&known, &state), 0);
	assert_int_equal(vm_changes_take(&known, &intent), 0);
	assert_int_not_equal(vm_changes_take(&known, &intent), 0);
	assert_int_equal(known.newest->state, CHANGE_CHECKING);
	assert_int_equal(vm_changes_take(&known, &state), 0);
	assert_int_equal(known.newest->state, CHANGE_APPLYING);
	assert_int_equal(known.newest->lid, 40);
	assert_true(known.newest->touched);
	assert_string_equal(known.newest->reason, "timeout");
	assert_int_equal(known.last_id, 7);
	strcpy(state.value.change_state.state, "nowhere");
	assert_int_not_equal(vm_changes_take(&known, &state), 0);
	vm_changes_clear(&known);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(a_wish_is_read),
	        cmocka_unit_test(a_malformed_wish_is_refused),
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
	        cmocka_unit_test(the_sm_is_asked_for_a_creation_and_an_end),
	        cmocka_unit_test(what_the_sm_answers_is_done_refused_or_where_things_stand),
	        cmocka_unit_test(the_slot_gets_its_own_guids_when_its_link_goes_down),
	        cmocka_unit_test(what_a_vm_owes_is_known_however_long_it_is_there),
	        cmocka_unit_test(what_has_been_comes_back_from_the_journal),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
