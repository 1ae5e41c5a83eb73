/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/* What may be is taken, and what is left to come is counted. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "tests/unit/model_traces.h"

static const struct row rows[] = {
        {"messages", {&send, &quiet, &send}, 3, messages, NULL},
        {"writes", {&write_cell, &write_hot}, 2, writes, NULL},
        {"refused", {&wrong_key, &send}, 2, refused, NULL},
        {"counted", {&add_5, &swap_99}, 2, counted, NULL},
        {"flushed atomic", {&add_5}, 1, flushed_atomic_was_executed, NULL},
        {"both versions", {&read_version}, 1, read_of_both_versions, NULL},
        {"later write", {&write_hot, &read_hot, &write_hot}, 3, later_write_is_read, NULL},
        {"starved", {&send, &send}, 2, starved, NULL},
        {"destroyed peer", {&send, &send}, 2, destroyed_peer, NULL},
        {"short RECV", {&send, &send}, 2, short_receive, NULL},
        {"excused", {&send}, 1, excused, NULL},
        {"failed", {&send}, 1, failed_gives_all_back, NULL},
        {"refused, seen late", {&wrong_key, &send}, 2, refused_is_seen_late, NULL},
        {"RNR retries", {&send}, 1, rnr_retries_run_out, NULL},
};

static void what_may_be_is_taken(void **state)
{
	traces_are_judged(rows, sizeof(rows) / sizeof(*rows));
}

/* @work of end 0 ends with @status, then a SEND of end 1 with @of_peer. The violations. */
static unsigned both_fail(const struct work *work, bool hides_receives, enum ibv_wc_status status,
        enum ibv_wc_status of_peer)
{
	struct run run = run_of(work, 1);
	unsigned violations;

	reference_free(run.reference);
	run.program->world.hold = hides_receives;
	program_add(run.program, (struct action){.kind = ACTION_POST,
	                                 .of = 1,
	                                 .count = 1,
	                                 .first = program_add_work(run.program, &send)});
	run.reference = reference_new(run.program);
	tell(&run, (struct event){.kind = EVENT_CONNECTED});
	sends(&run, 1);
	tell(&run, (struct event){.kind = EVENT_SENT, .of = 1});
	completes(&run, 0, IBV_WC_RDMA_WRITE, status);
	tell(&run, (struct event){.kind = EVENT_COMPLETED,
	                   .of = 1,
	                   .wc = {.wr_id = wr_id_of_send(1, 0), .status = of_peer}});
	violations = reference_judge(run.reference);
	run_over(&run);
	return violations;
}

/* A refused request, of which nothing was heard again, and work at the end that had refused it. */
static void a_refusal_may_be_lost(void **state)
{
	const enum ibv_wc_status gave_up = IBV_WC_RETRY_EXC_ERR;

	assert_int_equal(both_fail(&wrong_key, false, gave_up, gave_up), 0);
	assert_int_equal(both_fail(&write_cell, false, gave_up, gave_up), 2);
}

/* Who has refused is in ERR before that is told, unless a hidden RECV kept it from being seen. */
static void who_has_refused_gives_all_back(void **state)
{
	const enum ibv_wc_status gave_up = IBV_WC_RETRY_EXC_ERR;

	assert_int_equal(both_fail(&wrong_key, false, IBV_WC_REM_ACCESS_ERR, FLUSH), 0);
	assert_int_equal(both_fail(&wrong_key, false, IBV_WC_REM_ACCESS_ERR, gave_up), 1);
	assert_int_equal(both_fail(&wrong_key, true, IBV_WC_REM_ACCESS_ERR, gave_up), 0);
}

/* The RECV that has failed was still to be polled when its queue pair was destroyed. */
static void what_was_destroyed_may_have_failed(void **state)
{
	for (unsigned wrong = 0; wrong < 2; wrong++) {
		struct run run = run_of(&send, 1);

		tell(&run, (struct event){.kind = EVENT_RECEIVE,
		                   .queue = 0,
		                   .how = wrong ? WRONG_LKEY : RIGHT});
		sends(&run, 1);
		completes(&run, 0, IBV_WC_SEND, FLUSH);
		tell(&run, (struct event){.kind = EVENT_DESTROYED, .of = 0});
		assert_int_equal(reference_judge(run.reference), !wrong);
		run_over(&run);
	}
}

static void excuses_are_counted(void **state)
{
	struct run run = run_of(&send, 1);

	excused(&run);
	assert_int_equal(reference_judge(run.reference), 0);
	assert_int_equal(reference_excuses(run.reference), 1);
	run_over(&run);

	run = run_of(&send, 1);
	tell(&run, (struct event){.kind = EVENT_EXCUSED, .of = 0});
	destroyed_peer(&run);
	assert_int_equal(reference_excuses(run.reference), 0);
	run_over(&run);
}

static void missing_receives_are_counted(void **state)
{
	struct work work[] = {send, quiet, send};
	struct run run = run_of(work, 3);

	sends(&run, 3);
	assert_int_equal(reference_missing_receives(run.reference, 1), 3);
	receives(&run, 2, RIGHT);
	assert_int_equal(reference_missing_receives(run.reference, 1), 1);
	arrives(&run, 0, 0, 300);
	assert_int_equal(reference_missing_receives(run.reference, 1), 1);
	receives(&run, 1, RIGHT);
	assert_int_equal(reference_missing_receives(run.reference, 1), 0);
	run_over(&run);
}

static void it_is_known_when_all_is_done(void **state)
{
	struct work work[] = {send, quiet, send};
	struct run run = run_of(work, 3);

	assert_false(reference_is_done(run.reference, 0));
	messages(&run);
	assert_true(reference_is_done(run.reference, 0));
	assert_int_equal(reference_executed(run.reference, 0), 3);
	run_over(&run);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(what_may_be_is_taken),
	        cmocka_unit_test(a_refusal_may_be_lost),
	        cmocka_unit_test(who_has_refused_gives_all_back),
	        cmocka_unit_test(what_was_destroyed_may_have_failed),
	        cmocka_unit_test(excuses_are_counted),
	        cmocka_unit_test(missing_receives_are_counted),
	        cmocka_unit_test(it_is_known_when_all_is_done),
	};

	return cmocka_run_group_tests_name("model_reference", tests, NULL, NULL);
}
