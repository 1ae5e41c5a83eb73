/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/* VMs without LIDs: how they are admitted, what their events say, and what is kept of answers and
 * in the journal. */
#include <errno.h>
#include <stdlib.h>

#include "notifier/base/cleanup.h"
#include "sm-side/journal/ledger.h"
#include "sm-side/migration/admission.h"
#include "sm-side/migration/needs.h"
#include "sm-side/migration/orders.h"
#include "tests/unit/gid_twins.h"
#include "tests/unit/migration_said.h"

enum { GIDS_BEYOND = 4097 };

static uint32_t name_at(uint32_t number)
{
	return numbered_address(number).lid;
}

/* ---- who is known so ---- */

static struct address admitted(bool fabric, bool shared_port, uint32_t lid)
{
	Tether__Address said = TETHER__ADDRESS__INIT;
	Tether__Slot from = TETHER__SLOT__INIT, to = TETHER__SLOT__INIT;
	Tether__Slot *here[] = {&from}, *there[] = {&to};
	Tether__HostVm vm = TETHER__HOST_VM__INIT, *vms[] = {&vm};
	struct migration_intent intent = {.fabric = fabric};
	struct inventory inventory = {0};
	struct admission admission;

	said.lid = lid;
	from.name = to.name = (char *)"vf1";
	from.vm = vm.name = (char *)"vm1";
	vm.slot = (char *)"vf1";
	from.address = &said;
	from.shared_port = to.shared_port = shared_port;
	from.port_guid = 0x10;
	to.port_guid = 0x20;
	if (!lid)
		from.address = NULL;
	assert_int_equal(inventory_take(&inventory, "a", vms, 1, here, 1), 0);
	assert_int_equal(inventory_take(&inventory, "b", NULL, 0, there, 1), 0);
	inventory_host_connected(&inventory, "a", true);
	inventory_host_connected(&inventory, "b", true);
	admission = admission_check(&inventory, NULL, "vm1", "b", &intent);
	assert_null(admission.reason);
	inventory_clear(&inventory);
	return intent.address;
}

static void who_has_a_lid_is_known_by_it(void **unused)
{
	struct address own = admitted(false, false, 0);
	uint8_t gid[GID_BYTES];

	assert_int_equal(own.lid, gid_of_vm("vm1", gid));
	assert_memory_equal(own.gid, gid, GID_BYTES);
	assert_int_equal(admitted(false, false, 7).lid, 7);
	assert_int_equal(admitted(false, true, 7).lid, 7);
	assert_int_equal(admitted(true, false, 0).lid, 0); /* the SM is asked */
}

/* ---- events ---- */

static struct migration by_gids(uint32_t count)
{
	struct migration_intent intent = intent_of(false);
	struct migration m;

	intent.address.lid = gid_of_vm(intent.vm, intent.address.gid);
	migration_init(&m, &intent, deadlines);
	for (uint32_t i = 1; i <= count; i++)
		assert_int_equal(migration_gid_add(&m, numbered_address(i).gid), 0);
	return m;
}

static void drive_on(struct migration *m, enum migration_state state)
{
	if (!m->step_count)
		migration_start(m, 1);
	for (int i = 0; m->state != state && i < STATE_COUNT; i++)
		migration_event(m, EVENT_DONE, 1);
	assert_int_equal(m->state, state);
}

static void each_event_names_all_gids(void **unused)
{
	static const enum migration_action actions[] = {ACTION_PREPARE, ACTION_STOP, ACTION_ABORT,
	        ACTION_SETTLE, ACTION_RELEASE, ACTION_ATTACH, ACTION_RECONNECT, ACTION_RESUME};
	struct migration m = by_gids(MIGRATION_GIDS_MAX);
	struct order order;

	for (size_t i = 0; i < ARRAY_SIZE(actions); i++) {
		const Tether__Event *event = &order.event;
		struct address address;

		assert_int_equal(order_fill_step(&order, &m, actions[i], 2), 0);
		assert_int_equal(event->n_known_lids, MIGRATION_GIDS_MAX);
		assert_int_equal(event->known_lids[0], name_at(1));
		assert_int_equal(event->known_lids[63], name_at(64));
		assert_false(event->shared_port);
		assert_int_equal(address_decode(event->address, &address), 0);
		assert_int_equal(address.lid, m.intent.address.lid);
	}
	order_fill_moved(&order, &m, 2);
	assert_int_equal(order.event.n_known_lids, MIGRATION_GIDS_MAX);
	assert_int_equal(order.event.new_address->lid, order.event.address->lid);
	migration_clear(&m);
}

static void it_is_known_by_each_once_and_by_so_many(void **unused)
{
	struct migration m = by_gids(MIGRATION_GIDS_MAX);

	assert_int_equal(migration_gid_add(&m, numbered_address(7).gid), 0);
	assert_int_equal(m.gid_count, MIGRATION_GIDS_MAX);
	assert_int_equal(migration_gid_add(&m, numbered_address(65).gid), -ENOSPC);
	assert_int_equal(migration_other_lids(&m), MIGRATION_GIDS_MAX);
	migration_clear(&m);
}

static void it_needs_the_version_that_has_names(void **unused)
{
	struct migration m = by_gids(1);
	struct migration_intent with_lid = intent_of(false);
	struct order order;

	assert_int_equal(needs_of(&m.intent), 7);
	assert_int_equal(needs_of(&with_lid), 0);
	assert_int_equal(order_fill_step(&order, &m, ACTION_PREPARE, 2), 0);
	assert_int_equal(order.event.needs, 7);
	migration_clear(&m);
}

/* ---- answers ---- */

struct with_gids {
	struct said said;
	Tether__GidRows gids;
};

static void say_init(struct with_gids *w, Tether__Step step)
{
	said_init(&w->said, step, TETHER__OUTCOME__OUTCOME_DONE);
	tether__gid_rows__init(&w->gids);
	w->said.answer.gids = &w->gids;
}

static void say_gid(struct with_gids *w, const uint8_t gid[GID_BYTES])
{
	assert_int_equal(gid_rows_add(&w->gids, gid), 0);
}

static void say(struct with_gids *w, struct migration *m)
{
	migration_tree_answered(m, &w->said.answer, 2);
	said_clear(&w->said);
	rows_clear(&w->gids.base);
}

/* A pair of the VM, known as 1, with a peer, known as 20. */
static void settled(struct migration *m, const uint8_t *more)
{
	struct with_gids w;

	drive_on(m, STATE_SETTLING);
	say_init(&w, TETHER__STEP__STEP_SETTLE);
	said_qp(&w.said, name_at(1), 0x100, name_at(20), 0x200);
	said_qp(&w.said, name_at(20), 0x200, name_at(1), 0x100);
	say_gid(&w, numbered_address(1).gid);
	say_gid(&w, numbered_address(20).gid);
	if (more)
		say_gid(&w, more);
	say(&w, m);
	assert_int_equal(m->state, STATE_RELEASING);
}

static void rebuilt_at(struct migration *m, const uint8_t gid[GID_BYTES])
{
	struct with_gids w;

	drive_on(m, STATE_REBUILDING);
	say_init(&w, TETHER__STEP__STEP_ATTACH);
	said_qp(&w.said, name_at(1), 0x100, name_at(20), 0x200);
	w.said.qps.real_lid[0] = gid_name(gid);
	say_gid(&w, gid);
	say(&w, m);
}

static void reconnect_has_both_sides_gids(void **unused)
{
	struct migration m = by_gids(2);
	uint8_t gid[GID_BYTES];
	struct order order;

	settled(&m, NULL);
	rebuilt_at(&m, numbered_address(30).gid);
	assert_int_equal(order_fill_step(&order, &m, ACTION_RECONNECT, 2), 0);
	assert_int_equal(order.event.qps->n_local_lid, 2); /* the VM's of before are gone */
	assert_true(gid_rows_find(order.event.gids, name_at(30), gid));
	assert_memory_equal(gid, numbered_address(30).gid, GID_BYTES);
	assert_true(gid_rows_find(order.event.gids, name_at(20), gid));
	assert_int_equal(order_fill_step(&order, &m, ACTION_RESUME, 2), 0);
	assert_null(order.event.gids);
	migration_clear(&m);
}

static void of_two_gids_with_one_name_the_vms_counts(void **unused)
{
	struct migration m = by_gids(1);
	uint8_t own[GID_BYTES], others[GID_BYTES], gid[GID_BYTES];

	assert_true(gid_twins(own, others));
	settled(&m, others);
	rebuilt_at(&m, own);
	assert_true(gid_rows_find(&m.testimony.gids, gid_name(own), gid));
	assert_memory_equal(gid, own, GID_BYTES);
	migration_clear(&m);
}

static void more_gids_than_there_can_be_are_not_taken(void **unused)
{
	struct migration m = by_gids(1);
	struct with_gids w;

	drive_on(&m, STATE_SETTLING);
	say_init(&w, TETHER__STEP__STEP_SETTLE);
	for (uint32_t i = 1; i <= GIDS_BEYOND; i++) {
		struct gid_row row = {.name = name_at(i), .gid_3 = i};

		assert_int_equal(gid_rows_append(&w.gids, &row), 0);
	}
	assert_int_equal(testimony_take(&m.testimony, "vm1", m.intent.address.lid, &w.said.answer),
	        -EBADMSG);
	rows_clear(&w.gids.base);
	said_clear(&w.said);
	migration_clear(&m);
}

static bool knows_20(void *owner, uint32_t name, uint8_t gid[GID_BYTES])
{
	numbered_gid(20, gid);
	return name == name_at(20);
}

static void ends_are_called_by_their_gids(void **unused)
{
	struct migration m = by_gids(2);
	struct with_gids w;

	m.testimony.gid_of = knows_20;
	say_init(&w, TETHER__STEP__STEP_PREPARE);
	said_qp(&w.said, name_at(2), 0x100, name_at(20), 0x200);
	said_qp(&w.said, name_at(20), 0x300, name_at(40), 0x100); /* of nobody here */
	migration_other_lids(&m);
	assert_int_equal(
	        testimony_take(&m.testimony, "vm1", m.intent.address.lid, &w.said.answer), 0);
	assert_int_equal(testimony_find_unpaired(&m.testimony, m.intent.address.lid), 1);
	assert_string_equal(m.testimony.findings[0].who, "gid fe80::1400:0 qp 0x200");
	assert_non_null(strstr(m.testimony.findings[0].text, "is connected to gid of name 0x"));
	rows_clear(&w.gids.base);
	said_clear(&w.said);
	migration_clear(&m);
}

/* ---- the journal ---- */

static struct record gid_record_of(uint32_t number)
{
	struct record record = {RECORD_gid, {.gid = {.migration = 7}}};

	numbered_gid(number, record.value.gid.gid);
	return record;
}

static void taken_up(struct ledger *ledger, const struct migration_intent *intent)
{
	struct record record = {RECORD_intent, {.intent = *intent}};

	ledger_init(ledger, deadlines);
	assert_int_equal(ledger_take(ledger, &record), 0);
}

static void a_successor_knows_by_which_gids(void **unused)
{
	struct migration m = by_gids(3), *again;
	struct record records[MIGRATION_GIDS_MAX], more;
	size_t count = ledger_gid_records(&m, records);
	struct ledger ledger;

	taken_up(&ledger, &m.intent);
	assert_int_equal(count, 3);
	for (size_t i = 0; i < count; i++)
		assert_int_equal(ledger_take(&ledger, &records[i]), 0);
	again = &ledger_find(&ledger, 7)->migration;
	assert_int_equal(again->gid_count, 3);
	assert_memory_equal(again->gids, m.gids, 3 * GID_BYTES);
	for (uint32_t i = 4; i <= MIGRATION_GIDS_MAX; i++) {
		more = gid_record_of(i);
		assert_int_equal(ledger_take(&ledger, &more), 0);
	}
	more = gid_record_of(65);
	assert_int_equal(ledger_take(&ledger, &more), -EBADMSG);
	ledger_clear(&ledger);
	migration_clear(&m);
}

static void what_cannot_be_is_damage(void **unused)
{
	struct migration_intent intent = intent_of(true);
	struct record record = gid_record_of(1);
	struct ledger ledger;

	taken_up(&ledger, &intent);
	assert_int_equal(ledger_take(&ledger, &record), -EBADMSG); /* it has a LID */
	record = (struct record){RECORD_state, {.state = {.migration = 7}}};
	record.value.state.address.lid = name_at(1);
	assert_int_equal(ledger_take(&ledger, &record), -EBADMSG); /* of no such GID */
	ledger_clear(&ledger);
	intent.address.lid = 0x10000;
	record = (struct record){RECORD_intent, {.intent = intent}};
	ledger_init(&ledger, deadlines);
	assert_int_equal(ledger_take(&ledger, &record), -EBADMSG);
	ledger_clear(&ledger);
}

static void what_was_said_of_gids_is_kept(void **unused)
{
	struct migration m = by_gids(1);
	struct testimony again;
	uint8_t *bytes, gid[GID_BYTES];
	size_t length;

	settled(&m, NULL);
	assert_int_equal(testimony_pack(&m.testimony, &bytes, &length), 0);
	testimony_init(&again);
	assert_int_equal(testimony_unpack(&again, "vm1", bytes, length), 0);
	assert_true(gid_rows_find(&again.gids, name_at(20), gid));
	testimony_clear(&again);
	migration_clear(&m);
	free(bytes);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
	        cmocka_unit_test(who_has_a_lid_is_known_by_it),
	        cmocka_unit_test(each_event_names_all_gids),
	        cmocka_unit_test(it_is_known_by_each_once_and_by_so_many),
	        cmocka_unit_test(it_needs_the_version_that_has_names),
	        cmocka_unit_test(reconnect_has_both_sides_gids),
	        cmocka_unit_test(of_two_gids_with_one_name_the_vms_counts),
	        cmocka_unit_test(more_gids_than_there_can_be_are_not_taken),
	        cmocka_unit_test(ends_are_called_by_their_gids),
	        cmocka_unit_test(a_successor_knows_by_which_gids),
	        cmocka_unit_test(what_cannot_be_is_damage),
	        cmocka_unit_test(what_was_said_of_gids_is_kept),
	};

	return cmocka_run_group_tests_name("gids", tests, NULL, NULL);
}
