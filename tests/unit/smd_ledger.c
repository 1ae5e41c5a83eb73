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
#include "sm-side/ledger.h"

enum { RECORDS_MAX = 64 };

static struct migration_intent the_intent(void)
{
	return (struct migration_intent){.id = 41,
	        .epoch = 9,
	        .vm = "vm \"one\"",
	        .source = {"hyp1", "vf1", 0xfedcba9876543210, 3},
	        .destination = {"hyp2", "vf2", 2, 4},
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
static int good_road(char **records, enum migration_state *states)
{
	struct migration_intent intent = the_intent();
	struct migration m;
	uint64_t now = 100;
	int count = 0;

	assert_int_equal(ledger_intent_record(&intent, &records[count]), 0);
	states[count++] = STATE_LOCATING;
	migration_init(&m, &intent, &deadlines_default);
	migration_start(&m, now);
	for (;;) {
		m.sequence = (uint32_t)count;
		assert_int_equal(ledger_state_record(&m, 1700000030000000, &records[count]), 0);
		states[count++] = m.state;
		if (migration_ended(&m))
			break;
		if (m.state == STATE_SETTLING)
			take_settlement(&m);
		else
			migration_event(&m, EVENT_DONE, now += 100);
		if (m.state == STATE_APPLYING)
			snprintf(m.plan_hash, sizeof(m.plan_hash), "abc");
		if (migration_ended(&m)) {
			testimony_find(&m.testimony, "hyp3", "no-answer", "said nothing");
			m.counts.lft_sets = 5;
			m.testimony.counts.replayed = 7;
		}
	}
	migration_clear(&m);
	return count;
}

static void each_prefix_of_the_journal_says_how_far_it_was(void **unused)
{
	enum migration_state states[RECORDS_MAX];
	char *records[RECORDS_MAX];
	int count = good_road(records, states);

	for (int cut = 1; cut <= count; cut++) {
		struct ledger ledger;
		struct ledger_entry *entry;

		ledger_init(&ledger, &deadlines_default);
		for (int i = 0; i < cut; i++)
			assert_int_equal(ledger_replay(&ledger, records[i]), 0);
		entry = ledger_find(&ledger, 41);
		assert_non_null(entry);
		assert_int_equal(entry->migration.state, states[cut - 1]);
		assert_int_equal(ledger.epoch, 9);
		assert_int_equal(ledger.last_id, 41);
		assert_ptr_equal(ledger_oldest_open(&ledger), cut == count ? NULL : entry);
		if (cut > 1)
			assert_int_equal(entry->migration.sequence, cut - 1);
		ledger_clear(&ledger);
	}
	for (int i = 0; i < count; i++)
		free(records[i]);
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
	enum migration_state states[RECORDS_MAX];
	char *records[RECORDS_MAX];
	int count = good_road(records, states);
	struct ledger ledger;
	struct migration *m;

	ledger_init(&ledger, &deadlines_default);
	for (int i = 0; i < count; i++)
		assert_int_equal(ledger_replay(&ledger, records[i]), 0);
	m = &ledger_find(&ledger, 41)->migration;
	assert_same_intent(&m->intent, &intent);
	assert_int_equal(ledger.newest->overall_wall_us, 1700000030000000);
	assert_string_equal(m->plan_hash, "abc");
	assert_int_equal(m->testimony.qps.n_local_qpn, 1);
	assert_int_equal(m->testimony.vm_process_count, 1);
	assert_int_equal(m->testimony.finding_count, 1);
	assert_string_equal(m->testimony.findings[0].reason, "no-answer");
	assert_int_equal(m->counts.lft_sets, 5);
	assert_int_equal(m->testimony.counts.replayed, 7);
	assert_int_equal(m->step_count, count - 1);
	assert_int_equal(m->steps[1].started_us, intent.asked_wall_us + 100);
	ledger_clear(&ledger);
	for (int i = 0; i < count; i++)
		free(records[i]);
}

static void looking_around_is_not_progress(void **unused)
{
	struct migration_intent intent = the_intent();
	struct ledger ledger;
	struct ledger_entry *entry;
	char *text;

	ledger_init(&ledger, &deadlines_default);
	ledger_intent_record(&intent, &text);
	assert_int_equal(ledger_replay(&ledger, text), 0);
	free(text);
	assert_int_equal(ledger_replay(&ledger, "{\"kind\":\"state\",\"migration\":41,\"epoch\":9,"
	                                        "\"state\":\"applying\",\"at_us\":5}"),
	        0);
	assert_int_equal(ledger_replay(&ledger, "{\"kind\":\"state\",\"migration\":41,\"epoch\":10,"
	                                        "\"state\":\"recovering\",\"at_us\":9}"),
	        0);
	entry = ledger_find(&ledger, 41);
	assert_int_equal(entry->migration.state, STATE_APPLYING);
	assert_int_equal(entry->migration.intent.epoch, 10);
	ledger_clear(&ledger);
}

static void what_is_not_a_record_is_refused(void **unused)
{
	static const char *const bad[] = {"", "{", "[]", "{}", "{\"kind\":\"future\"}",
	        "{\"kind\":\"epoch\"}", "{\"kind\":\"epoch\",\"epoch\":-1}",
	        "{\"kind\":\"epoch\",\"epoch\":\"1\"}", "{\"kind\":\"epoch\",\"epoch\":1} x",
	        "{\"kind\":\"intent\",\"migration\":1}",
	        "{\"kind\":\"state\",\"migration\":1,\"epoch\":1,\"at_us\":0,\"state\":\"done\"}"};
	struct ledger ledger;

	ledger_init(&ledger, &deadlines_default);
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		assert_int_equal(ledger_replay(&ledger, bad[i]), -EBADMSG);
	assert_int_equal(ledger.count, 0);
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
	        cmocka_unit_test(looking_around_is_not_progress),
	        cmocka_unit_test(what_is_not_a_record_is_refused),
	        cmocka_unit_test(old_ends_are_forgotten_open_ones_never),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
