/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/* What the journal remembers of a migration is what a successor needs. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "notifier/base/cleanup.h"
#include "notifier/wire/rows.h"
#include "sm-side/journal/ledger.h"

enum { RECORDS_MAX = 64 };

static struct migration_intent the_intent(void)
{
	return (struct migration_intent){.id = 41,
	        .epoch = 9,
	        .vm = "vm \"one\"",
	        .source = {"hyp1", "vf1", 0xfedcba9876543210, 3, 0},
	        .destination = {"hyp2", "vf2", 2, 4, 0},
	        .identity = {0x10, 0x11},
	        .other = {0x20, 0x21},
	        .address = {.lid = 11, .gid = {0xfe, 0x80}},
	        .fabric = true,
	        .asked_wall_us = 1700000000000000};
}

static void take_settlement(struct migration *m)
{
	struct qp_row row = {.local_lid = 11, .local_qpn = 0x100, .remote_lid = 12};
	char *answered[] = {(char *)"vm \"one\"/1.1"};
	Tether__Answer answer = TETHER__ANSWER__INIT;
	Tether__QpRows qps = TETHER__QP_ROWS__INIT;

	qp_rows_append(&qps, &row);
	answer.step = TETHER__STEP__STEP_SETTLE;
	answer.outcome = TETHER__OUTCOME__OUTCOME_DONE;
	answer.qps = &qps;
	answer.answered = answered;
	answer.n_answered = 1;
	migration_tree_answered(m, &answer, 500);
	rows_clear(&qps.base);
}

/* The records of a migration in which all goes well, and the state after each. */
struct road {
	struct migration migration;
	struct ledger_records records[RECORDS_MAX];
	enum migration_state states[RECORDS_MAX];
	int count;
};

static void road_add(struct road *road)
{
	static char servers[] = "hyp2 hyp3";
	struct ledger_entry entry = {
	        .migration = road->migration, .overall_wall_us = 1700000030000000};

	if (migration_ended(&entry.migration))
		entry.servers = servers;
	assert_int_equal(ledger_state_records(&entry, &road->records[road->count]), 0);
	road->states[road->count++] = road->migration.state;
}

static void good_road(struct road *road)
{
	struct migration_intent intent = the_intent();
	struct migration *m = &road->migration;
	uint64_t now = 100;

	road->count = 0;
	migration_init(m, &intent, &deadlines_default);
	migration_start(m, now);
	for (;;) {
		m->sequence = (uint32_t)road->count + 1;
		road_add(road);
		if (migration_ended(m))
			break;
		if (m->state == STATE_SETTLING)
			take_settlement(m);
		else
			migration_event(m, EVENT_DONE, now += 100);
		if (m->state == STATE_APPLYING)
			strcpy(m->plan_hash[0], "abc");
		if (migration_ended(m)) {
			testimony_find(&m->testimony, "hyp3", "no-answer", "said nothing");
			m->counts.lft_sets = 5;
			m->testimony.counts.replayed = 7;
		}
	}
}

static void road_clear(struct road *road)
{
	for (int i = 0; i < road->count; i++)
		ledger_records_clear(&road->records[i]);
	migration_clear(&road->migration);
}

static int take_intent(struct ledger *ledger)
{
	struct record record = {RECORD_intent, {.intent = the_intent()}};

	return ledger_take(ledger, &record);
}

static void take_road(struct ledger *ledger, const struct road *road, int count)
{
	ledger_init(ledger, &deadlines_default);
	assert_int_equal(take_intent(ledger), 0);
	for (int i = 0; i < count; i++)
		for (size_t k = 0; k < road->records[i].count; k++)
			assert_int_equal(ledger_take(ledger, &road->records[i].at[k]), 0);
}

static void each_prefix_of_the_journal_says_how_far_it_was(void **unused)
{
	static struct road road;

	good_road(&road);
	for (int cut = 0; cut <= road.count; cut++) {
		struct ledger ledger;
		struct ledger_entry *entry;

		take_road(&ledger, &road, cut);
		entry = ledger_find(&ledger, 41);
		assert_non_null(entry);
		assert_int_equal(
		        entry->migration.state, cut ? road.states[cut - 1] : STATE_LOCATING);
		assert_int_equal(ledger.epoch, 9);
		assert_int_equal(ledger.last_id, 41);
		assert_ptr_equal(ledger_oldest_open(&ledger), cut == road.count ? NULL : entry);
		assert_int_equal(entry->migration.sequence, cut);
		ledger_clear(&ledger);
	}
	road_clear(&road);
}

static void assert_same_place(const struct place *a, const struct place *b)
{
	assert_string_equal(a->host, b->host);
	assert_string_equal(a->slot, b->slot);
	assert_int_equal(a->switch_guid, b->switch_guid);
	assert_int_equal(a->switch_port, b->switch_port);
}

static void assert_same_intent(const struct migration_intent *a, const struct migration_intent *b)
{
	assert_int_equal(a->id, b->id);
	assert_int_equal(a->epoch, b->epoch);
	assert_string_equal(a->vm, b->vm);
	assert_same_place(&a->source, &b->source);
	assert_same_place(&a->destination, &b->destination);
	assert_memory_equal(&a->identity, &b->identity, sizeof(a->identity));
	assert_memory_equal(&a->other, &b->other, sizeof(a->other));
	assert_int_equal(a->address.lid, b->address.lid);
	assert_memory_equal(a->address.gid, b->address.gid, sizeof(a->address.gid));
	assert_int_equal(a->fabric, b->fabric);
	assert_int_equal(a->force, b->force);
	assert_int_equal(a->asked_wall_us, b->asked_wall_us);
}

static void a_successor_finds_all_it_needs(void **unused)
{
	struct migration_intent intent = the_intent();
	static struct road road;
	struct ledger ledger;
	struct migration *m;

	good_road(&road);
	take_road(&ledger, &road, road.count);
	m = &ledger_find(&ledger, 41)->migration;
	assert_same_intent(&m->intent, &intent);
	assert_int_equal(ledger.newest->overall_wall_us, 1700000030000000);
	assert_string_equal(m->plan_hash[0], "abc");
	assert_int_equal(m->testimony.qps.n_local_qpn, 1);
	assert_int_equal(m->testimony.vm_process_count, 1);
	assert_int_equal(m->testimony.finding_count, 1);
	assert_string_equal(m->testimony.findings[0].reason, "no-answer");
	assert_int_equal(m->counts.lft_sets, 5);
	assert_int_equal(m->testimony.counts.replayed, 7);
	assert_string_equal(ledger.newest->servers, "hyp2 hyp3");
	assert_false(ledger.newest->news_are_said);
	assert_int_equal(m->step_count, road.count);
	assert_int_equal(m->steps[1].started_us, intent.asked_wall_us + 100);
	ledger_clear(&ledger);
	road_clear(&road);
}

static struct record state_record_of(uint64_t migration, uint64_t epoch, enum migration_state state)
{
	return (struct record){
	        RECORD_state, {.state = {.migration = migration, .epoch = epoch, .state = state}}};
}

static void news_that_are_said_are_not_said_again(void **unused)
{
	static struct road road;
	struct ledger ledger;
	struct record record;

	good_road(&road);
	take_road(&ledger, &road, road.count);
	ledger.newest->news_are_said = true;
	record = ledger_news_record(ledger.newest);
	ledger.newest->news_are_said = false;
	assert_int_equal(ledger_take(&ledger, &record), 0);
	assert_true(ledger.newest->news_are_said);
	ledger_clear(&ledger);
	road_clear(&road);
}

static void looking_around_is_not_progress(void **unused)
{
	struct record records[] = {
	        state_record_of(41, 9, STATE_APPLYING), state_record_of(41, 10, STATE_RECOVERING)};
	struct ledger ledger;
	struct ledger_entry *entry;

	ledger_init(&ledger, &deadlines_default);
	assert_int_equal(take_intent(&ledger), 0);
	for (size_t i = 0; i < ARRAY_SIZE(records); i++)
		assert_int_equal(ledger_take(&ledger, &records[i]), 0);
	entry = ledger_find(&ledger, 41);
	assert_int_equal(entry->migration.state, STATE_APPLYING);
	assert_int_equal(entry->migration.intent.epoch, 10);
	ledger_clear(&ledger);
}

static void several_under_way_are_each_as_far_as_they_were(void **unused)
{
	struct record first = {RECORD_intent, {.intent = the_intent()}}, second = first;
	struct record records[] = {state_record_of(41, 9, STATE_LOCATING),
	        state_record_of(42, 10, STATE_LOCATING), state_record_of(41, 9, STATE_APPLYING),
	        state_record_of(42, 10, STATE_STOPPING), state_record_of(41, 9, STATE_ATTACHING)};
	struct ledger ledger;

	second.value.intent.id = 42;
	second.value.intent.epoch = 10;
	ledger_init(&ledger, &deadlines_default);
	assert_int_equal(ledger_take(&ledger, &first), 0);
	assert_int_equal(ledger_take(&ledger, &second), 0);
	for (size_t i = 0; i < ARRAY_SIZE(records); i++)
		assert_int_equal(ledger_take(&ledger, &records[i]), 0);
	assert_int_equal(ledger_find(&ledger, 41)->migration.state, STATE_ATTACHING);
	assert_int_equal(ledger_find(&ledger, 42)->migration.state, STATE_STOPPING);
	assert_int_equal(ledger_find(&ledger, 41)->migration.step_count, 3);
	assert_int_equal(ledger_find(&ledger, 42)->migration.step_count, 2);
	assert_int_equal(ledger.epoch, 10);
	assert_int_equal(ledger.last_id, 42);
	assert_ptr_equal(ledger_oldest_open(&ledger), ledger_find(&ledger, 41));
	ledger_clear(&ledger);
}

/* 41 from hyp1 to hyp2 in @state without an end, then another of the same VM from @host. */
static enum migration_state end_of_overtaken(
        enum migration_state state, const char *host, bool reattach)
{
	struct record later = {RECORD_intent, {.intent = the_intent()}};
	struct record entered = state_record_of(41, 9, state);
	struct ledger ledger;
	enum migration_state end;

	ledger_init(&ledger, &deadlines_default);
	assert_int_equal(take_intent(&ledger), 0);
	later.value.intent.id = 42;
	later.value.intent.reattach = reattach;
	snprintf(
	        later.value.intent.source.host, sizeof(later.value.intent.source.host), "%s", host);
	assert_int_equal(ledger_take(&ledger, &later), 0);
	assert_int_equal(ledger_take(&ledger, &entered), 0);
	ledger_close_overtaken(&ledger);
	assert_false(ledger.newest->end_is_owed);
	assert_int_equal(ledger.newest->migration.state, STATE_LOCATING);
	assert_true(ledger_find(&ledger, 41)->end_is_owed);
	end = ledger_find(&ledger, 41)->migration.state;
	ledger_clear(&ledger);
	return end;
}

static void who_was_overtaken_has_ended(void **unused)
{
	assert_int_equal(end_of_overtaken(STATE_RESUMING, "hyp2", false), STATE_DONE);
	assert_int_equal(
	        end_of_overtaken(STATE_BACK_RESUMING, "hyp1", false), STATE_FAILED_AT_SOURCE);
	assert_int_equal(end_of_overtaken(STATE_ABORTING, "hyp1", false), STATE_ABORTED);
	assert_int_equal(end_of_overtaken(STATE_ERRORING, "hyp1", true), STATE_LOST);
}

static void others_are_as_they_were(void **unused)
{
	struct record first = {RECORD_intent, {.intent = the_intent()}}, second = first;
	struct ledger ledger;

	second.value.intent.id = 42;
	snprintf(second.value.intent.vm, sizeof(second.value.intent.vm), "vm2");
	ledger_init(&ledger, &deadlines_default);
	assert_int_equal(ledger_take(&ledger, &first), 0);
	assert_int_equal(ledger_take(&ledger, &second), 0);
	ledger_close_overtaken(&ledger);
	assert_int_equal(ledger_find(&ledger, 41)->migration.state, STATE_LOCATING);
	assert_int_equal(ledger_find(&ledger, 42)->migration.state, STATE_LOCATING);
	ledger_clear(&ledger);
}

static void what_does_not_follow_from_what_was_before_is_refused(void **unused)
{
	struct record strange[] = {state_record_of(1, 1, STATE_DONE),
	        {RECORD_said, {.said = {41, {"\xff\xff", 2}}}},
	        {RECORD_said, {.said = {.migration = 1}}},
	        {RECORD_ending, {.ending = {.migration = 41, .outcome = STATE_DONE}}},
	        {RECORD_ending, {.ending = {.migration = 1, .outcome = STATE_DONE}}},
	        {RECORD_finding, {.finding = {1, "who", "why", "what"}}},
	        {RECORD_news, {.news = {41, "hyp2", false}}},
	        {RECORD_news, {.news = {1, "hyp2", false}}},
	        {RECORD_intent, {.intent = the_intent()}}};
	struct ledger ledger;

	ledger_init(&ledger, &deadlines_default);
	assert_int_equal(take_intent(&ledger), 0);
	for (size_t i = 0; i < ARRAY_SIZE(strange); i++)
		assert_int_equal(ledger_take(&ledger, &strange[i]), -EBADMSG);
	assert_int_equal(ledger.count, 1);
	assert_int_equal(ledger.newest->migration.state, STATE_LOCATING);
	ledger_clear(&ledger);
}

static void the_vfs_of_a_vm_are_as_they_were_in_the_last_record(void **unused)
{
	struct migration_intent intent = the_intent();
	struct record records[MIGRATION_VFS_MAX];
	struct ledger_records later;
	struct ledger ledger;
	struct migration *found;
	size_t count;

	intent.others = 2;
	for (unsigned i = 1; i < 3; i++) {
		struct moving_vf *vf = &intent.vfs[i];

		*vf = intent.vfs[0];
		snprintf(vf->source.slot, sizeof(vf->source.slot), "here%u", i);
		snprintf(vf->destination.slot, sizeof(vf->destination.slot), "there%u", i);
		vf->identity.port_guid = 0x100 + i;
		vf->other.node_guid = 0x200 + i;
		vf->address.lid = 0;
	}
	ledger_init(&ledger, &deadlines_default);
	count = ledger_intent_records(&intent, records);
	assert_int_equal(count, 3);
	/* How many there are is in no column. */
	records[0].value.intent.others = 0;
	for (size_t i = 0; i < count; i++)
		assert_int_equal(ledger_take(&ledger, &records[i]), 0);
	found = &ledger_find(&ledger, intent.id)->migration;
	assert_int_equal(found->intent.others, 2);
	/* LOCATING has said more of one of them. */
	found->intent.vfs[2].address.lid = 77;
	strcpy(found->plan_hash[2], "def");
	found->state = STATE_PREPARING;
	assert_int_equal(ledger_state_records(ledger.newest, &later), 0);
	ledger_clear(&ledger);
	ledger_init(&ledger, &deadlines_default);
	for (size_t i = 0; i < count; i++)
		assert_int_equal(ledger_take(&ledger, &records[i]), 0);
	for (size_t i = 0; i < later.count; i++)
		assert_int_equal(ledger_take(&ledger, &later.at[i]), 0);
	found = &ledger_find(&ledger, intent.id)->migration;
	assert_int_equal(found->intent.others, 2);
	assert_string_equal(found->intent.vfs[1].source.host, intent.source.host);
	assert_string_equal(found->intent.vfs[2].destination.host, intent.destination.host);
	assert_string_equal(found->intent.vfs[2].destination.slot, "there2");
	assert_int_equal(found->intent.vfs[1].identity.port_guid, 0x101);
	assert_int_equal(found->intent.vfs[2].other.node_guid, 0x202);
	assert_int_equal(found->intent.vfs[2].address.lid, 77);
	assert_string_equal(found->plan_hash[2], "def");
	assert_string_equal(found->intent.source.slot, intent.source.slot);
	records[1].value.vf.place = 0;
	assert_int_equal(ledger_take(&ledger, &records[1]), -EBADMSG);
	records[1].value.vf.place = MIGRATION_VFS_MAX;
	assert_int_equal(ledger_take(&ledger, &records[1]), -EBADMSG);
	ledger_records_clear(&later);
	ledger_clear(&ledger);
}

static void old_ends_are_forgotten_open_ones_never(void **unused)
{
	struct migration_intent intent = the_intent();
	struct ledger ledger;

	ledger_init(&ledger, &deadlines_default);
	intent.id = 1;
	assert_non_null(ledger_add(&ledger, &intent));
	for (intent.id = 2; intent.id < 1500; intent.id++)
		ledger_add(&ledger, &intent)->migration.state = STATE_DONE;
	assert_int_equal(ledger.count, 1000);
	assert_non_null(ledger_find(&ledger, 1));
	assert_null(ledger_find(&ledger, 2));
	assert_non_null(ledger_find(&ledger, 1499));
	ledger_clear(&ledger);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(each_prefix_of_the_journal_says_how_far_it_was),
	        cmocka_unit_test(a_successor_finds_all_it_needs),
	        cmocka_unit_test(news_that_are_said_are_not_said_again),
	        cmocka_unit_test(looking_around_is_not_progress),
	        cmocka_unit_test(several_under_way_are_each_as_far_as_they_were),
	        cmocka_unit_test(who_was_overtaken_has_ended),
	        cmocka_unit_test(others_are_as_they_were),
	        cmocka_unit_test(what_does_not_follow_from_what_was_before_is_refused),
	        cmocka_unit_test(the_vfs_of_a_vm_are_as_they_were_in_the_last_record),
	        cmocka_unit_test(old_ends_are_forgotten_open_ones_never),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
