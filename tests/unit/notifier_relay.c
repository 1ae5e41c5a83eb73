/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/* The relay hands out, tallies, answers once: slow, dead, late, repeated, restarted children. */
#include "tests/unit/relay_harness.h"

static void event_goes_once_to_each_concerned_child(void **state)
{
	struct test *t = *state;
	uint32_t a = child(t, "vm1", "vm1/1.1", 0);
	uint32_t b = child(t, "vm1", "vm1/2.1", 0);
	uint32_t c = child(t, "vm2", "vm2/1.1", 5);

	child(t, "vm2", "vm2/2.1", 6);
	forget(t);
	EVENT(t, .to_vm = true, .to_peers = true);
	EXPECT(t, "vm2/1.1 < STOP.1 peers\nvm1/2.1 < STOP.1 vm\nvm1/1.1 < STOP.1 vm\n");
	STOPPED(t, a);
	STOPPED(t, c);
	EXPECT(t, "");
	STOPPED(t, b);
	EXPECT(t, "> STOP.1 DONE answered vm1/1.1 answered vm2/1.1 answered vm1/2.1\n");
}

static void peers_are_not_of_the_vm_itself(void **state)
{
	struct test *t = *state;

	child(t, "vm1", "vm1/1.1", 5); /* talks to another process of its own VM */
	forget(t);
	EVENT(t, .to_peers = true);
	EXPECT(t, "> STOP.1 DONE\n");
}

static void nobody_concerned_is_done_at_once(void **state)
{
	struct test *t = *state;

	child(t, "vm2", "vm2/1.1", 6);
	forget(t);
	EVENT(t, .to_vm = true, .to_peers = true);
	EXPECT(t, "> STOP.1 DONE\n");
}

static void open_event_is_not_handed_out_twice(void **state)
{
	struct test *t = *state;
	uint32_t a = child(t, "vm1", "vm1/1.1", 0);

	EVENT(t, .to_vm = true);
	EXPECT(t, "vm1/1.1 < STOP.1 vm\n");
	EVENT(t, .to_vm = true);
	EXPECT(t, "");
	STOPPED(t, a);
	EXPECT(t, "> STOP.1 DONE answered vm1/1.1\n");
}

static void repeat_of_an_answered_event_gets_the_same_answer(void **state)
{
	struct test *t = *state;
	uint32_t a = child(t, "vm1", "vm1/1.1", 0);

	EVENT(t, .to_vm = true);
	STOPPED(t, a);
	forget(t);
	EVENT(t, .to_vm = true);
	EXPECT(t, "> STOP.1 DONE answered vm1/1.1\n");
	EVENT(t, .to_vm = true, .sequence = 2); /* another event, no repeat */
	EXPECT(t, "vm1/1.1 < STOP.2 vm\n");
	assert_int_equal(relay_counts(t->relay).repeated_events, 1);
}

static void older_epoch_is_refused(void **state)
{
	struct test *t = *state;

	child(t, "vm1", "vm1/1.1", 0);
	EVENT(t, .to_vm = true, .epoch = 7);
	forget(t);
	EVENT(t, .to_vm = true, .epoch = 6, .sequence = 2);
	EXPECT(t, "> STOP.2 REFUSED hyp1 (old-epoch)\n");
	assert_int_equal(relay_counts(t->relay).old_epochs, 1);
	assert_int_equal(t->epoch_saved, 7);
}

static void other_vm_may_be_in_an_older_epoch(void **state)
{
	struct test *t = *state;

	child(t, "vm2", "vm2/1.1", 0);
	EVENT(t, .to_vm = true, .epoch = 7);
	forget(t);
	EVENT(t, .to_vm = true, .epoch = 6, .vm = "vm2", .migration = 2);
	EXPECT(t, "vm2/1.1 < STOP.1 vm\n");
}

static void epoch_that_cannot_be_stored_is_not_obeyed(void **state)
{
	struct test *t = *state;

	child(t, "vm1", "vm1/1.1", 0);
	t->epoch_save_error = -EIO;
	EVENT(t, .to_vm = true, .epoch = 7);
	EXPECT(t, "> STOP.1 REFUSED hyp1 (epoch-not-saved)\n");
}

static void stale_root_is_not_obeyed(void **state)
{
	struct test *t = *state;

	assert_int_equal(hello_answered(t, 7), 0);
	assert_int_equal(t->epoch_saved, 7);
	assert_int_equal(hello_answered(t, 6), -ESTALE);
	assert_int_equal(hello_answered(t, 7), 0);
}

static void slow_child_is_named_before_the_parents_deadline(void **state)
{
	struct test *t = *state;
	uint32_t a = child(t, "vm1", "vm1/1.1", 0);
	int64_t next;

	child(t, "vm1", "vm1/2.1", 0);
	EVENT(t, .to_vm = true);
	assert_true(t->last_deadline_ms < DEADLINE_MS);
	STOPPED(t, a);
	forget(t);
	next = relay_next_ms(t->relay, t->now_ms);
	assert_in_range(next, t->last_deadline_ms + 1, DEADLINE_MS - 1);
	pass(t, next - 1);
	EXPECT(t, "");
	pass(t, 1);
	EXPECT(t, "> STOP.1 PARTIAL answered vm1/1.1 missing vm1/2.1\n");
}

static void late_answer_is_counted_and_ignored(void **state)
{
	struct test *t = *state;
	uint32_t a = child(t, "vm1", "vm1/1.1", 0);

	EVENT(t, .to_vm = true);
	pass(t, DEADLINE_MS);
	forget(t);
	STOPPED(t, a);
	EXPECT(t, "");
	assert_int_equal(relay_counts(t->relay).late_answers, 1);
	/* And the answer that was given stands. */
	EVENT(t, .to_vm = true);
	EXPECT(t, "> STOP.1 PARTIAL missing vm1/1.1\n");
}

static void first_answer_of_a_child_counts(void **state)
{
	struct test *t = *state;
	uint32_t a = child(t, "vm1", "vm1/1.1", 0), b = child(t, "vm1", "vm1/2.1", 0);
	Tether__Answer second =
	        answer_to(TETHER__STEP__STEP_STOP, 1, TETHER__OUTCOME__OUTCOME_FAILED);

	EVENT(t, .to_vm = true);
	forget(t);
	STOPPED(t, a);
	answer_send(t, a, &second);
	STOPPED(t, b);
	EXPECT(t, "> STOP.1 DONE answered vm1/1.1 answered vm1/2.1\n");
}

static void child_that_was_not_asked_cannot_answer(void **state)
{
	struct test *t = *state;
	uint32_t foreign = child(t, "vm2", "vm2/1.1", 0);

	child(t, "vm1", "vm1/1.1", 0);
	EVENT(t, .to_vm = true);
	forget(t);
	STOPPED(t, foreign);
	done(t, foreign, TETHER__STEP__STEP_SETTLE, 9);
	EXPECT(t, "");
	assert_int_equal(relay_counts(t->relay).unasked_answers, 2);
}

static void process_speaks_for_itself_alone(void **state)
{
	struct test *t = *state;
	uint32_t a = child(t, "vm1", "vm1/1.1", 0);
	Tether__Answer lie = answer_to(TETHER__STEP__STEP_STOP, 1, TETHER__OUTCOME__OUTCOME_DONE);
	char *others[] = {(char *)"vm1/2.1", (char *)"vm2/1.1"};

	child(t, "vm1", "vm1/2.1", 0);
	EVENT(t, .to_vm = true);
	forget(t);
	lie.answered = others;
	lie.n_answered = 2;
	answer_send(t, a, &lie);
	pass(t, DEADLINE_MS);
	EXPECT(t, "> STOP.1 PARTIAL answered vm1/1.1 missing vm1/2.1\n");
}

static void child_that_comes_back_is_given_the_open_event_again(void **state)
{
	struct test *t = *state;
	uint32_t a = child(t, "vm1", "vm1/1.1", 0), b;

	EVENT(t, .to_vm = true);
	relay_child_gone(t->relay, a, false, t->now_ms);
	forget(t);
	pass(t, 300);
	b = child(t, "vm1", "vm1/1.1", 0);
	EXPECT(t, "vm1/1.1 < STOP.1 vm\n");
	assert_true(t->last_deadline_ms <= DEADLINE_MS - 300);
	assert_int_equal(
	        relay_child_frame(t->relay, a, &(Tether__Frame)TETHER__FRAME__INIT, 0), -ENOENT);
	STOPPED(t, b);
	EXPECT(t, "> STOP.1 DONE answered vm1/1.1\n");
}

static void child_that_has_answered_is_not_asked_again(void **state)
{
	struct test *t = *state;
	uint32_t a = child(t, "vm1", "vm1/1.1", 0);

	child(t, "vm1", "vm1/2.1", 0);
	EVENT(t, .to_vm = true);
	STOPPED(t, a);
	relay_child_gone(t->relay, a, false, t->now_ms);
	forget(t);
	child(t, "vm1", "vm1/1.1", 0);
	EXPECT(t, "");
}

static void child_that_stays_away_is_missing(void **state)
{
	struct test *t = *state;
	uint32_t a = child(t, "vm1", "vm1/1.1", 0);

	EVENT(t, .to_vm = true);
	relay_child_gone(t->relay, a, false, t->now_ms);
	forget(t);
	pass(t, DEADLINE_MS);
	EXPECT(t, "> STOP.1 PARTIAL missing vm1/1.1\n");
}

static void ended_process_is_not_waited_for(void **state)
{
	struct test *t = *state;
	uint32_t a = child(t, "vm1", "vm1/1.1", 0), b = child(t, "vm1", "vm1/2.1", 0);

	EVENT(t, .to_vm = true);
	STOPPED(t, b);
	forget(t);
	/* The link ends first; that the process has, is known a little later. */
	relay_child_gone(t->relay, a, false, t->now_ms);
	EXPECT(t, "");
	relay_child_gone(t->relay, a, true, t->now_ms);
	EXPECT(t, "> STOP.1 DONE answered vm1/2.1\n");
}

static void process_that_ended_is_not_expected_any_more(void **state)
{
	struct test *t = *state;
	uint32_t a = child(t, "vm1", "vm1/1.1", 0);

	relay_vm_here(t->relay, "vm1");
	relay_child_gone(t->relay, a, true, t->now_ms);
	EVENT(t, .to_vm = true, .expected = {"vm1/1.1"});
	EXPECT(t, "> STOP.1 DONE\n");
}

static void child_away_when_the_event_comes_is_waited_for(void **state)
{
	struct test *t = *state;
	uint32_t a = child(t, "vm1", "vm1/1.1", 0);

	relay_child_gone(t->relay, a, false, t->now_ms);
	EVENT(t, .to_vm = true);
	EXPECT(t, "");
	a = child(t, "vm1", "vm1/1.1", 0);
	EXPECT(t, "vm1/1.1 < STOP.1 vm\n");
	STOPPED(t, a);
	EXPECT(t, "> STOP.1 DONE answered vm1/1.1\n");
}

static void child_forgotten_after_its_time_away_is_not_waited_for(void **state)
{
	struct test *t = *state;
	uint32_t a = child(t, "vm1", "vm1/1.1", 0);

	relay_child_gone(t->relay, a, false, t->now_ms);
	pass(t, 500);
	EVENT(t, .to_vm = true);
	EXPECT(t, "> STOP.1 DONE\n");
}

static void expected_process_gets_the_event_when_it_comes(void **state)
{
	struct test *t = *state;
	uint32_t a;

	relay_vm_here(t->relay, "vm1");
	EVENT(t, .to_vm = true, .expected = {"vm1/1.1", "vm9/1.1"});
	EXPECT(t, "");
	a = child(t, "vm1", "vm1/1.1", 0);
	EXPECT(t, "vm1/1.1 < STOP.1 vm expects vm1/1.1\n");
	STOPPED(t, a);
	/* vm9 is not here: its processes are another relay's. */
	EXPECT(t, "> STOP.1 DONE answered vm1/1.1\n");
}

static void expected_process_that_never_comes_is_missing(void **state)
{
	struct test *t = *state;

	relay_vm_here(t->relay, "vm1");
	EVENT(t, .to_vm = true, .expected = {"vm1/1.1"});
	pass(t, DEADLINE_MS);
	EXPECT(t, "> STOP.1 PARTIAL missing vm1/1.1\n");
}

/* After a restart of this relay nothing is known of a peer's interest before it is back. */
static void expected_peer_is_handed_the_event_without_known_interest(void **state)
{
	struct test *t = *state;

	relay_vm_here(t->relay, "vm2");
	EVENT(t, .to_peers = true, .expected = {"vm2/1.1"});
	EXPECT(t, "");
	child(t, "vm2", "vm2/1.1", 5);
	EXPECT(t, "> interest 5\nvm2/1.1 < STOP.1 peers expects vm2/1.1\n");
}

static void process_that_starts_during_an_event_gets_it(void **state)
{
	struct test *t = *state;
	uint32_t a = child(t, "vm1", "vm1/1.1", 0), b;

	EVENT(t, .to_vm = true);
	forget(t);
	b = child(t, "vm1", "vm1/2.1", 0);
	EXPECT(t, "vm1/2.1 < STOP.1 vm\n");
	STOPPED(t, a);
	EXPECT(t, "");
	STOPPED(t, b);
	EXPECT(t, "> STOP.1 DONE answered vm1/1.1 answered vm1/2.1\n");
}

/* It would open what is about to be unplugged. */
static void process_that_starts_after_release_is_told_before_it_is_welcome(void **state)
{
	struct test *t = *state;
	uint32_t a = child(t, "vm1", "vm1/1.1", 0), b;

	EVENT(t, .step = TETHER__STEP__STEP_RELEASE, .to_vm = true, .to_peers = true);
	done(t, a, TETHER__STEP__STEP_RELEASE, 1);
	forget(t);
	t->says_welcome = true;
	b = child(t, "vm1", "vm1/2.1", 0);
	EXPECT(t, "vm1/2.1 < RELEASE.1 vm\nvm1/2.1 < HELLO DONE\n");
	done(t, b, TETHER__STEP__STEP_RELEASE, 1);
	EXPECT(t, "");
	EVENT(t, .step = TETHER__STEP__STEP_ATTACH, .sequence = 2, .to_vm = true);
	EXPECT(t, "vm1/2.1 < ATTACH.2 vm\nvm1/1.1 < ATTACH.2 vm\n");
}

/* This relay was restarted. RELEASE is here before the process, which needs the tables. */
static void process_that_takes_part_gets_release_as_it_is(void **state)
{
	struct test *t = *state;

	relay_vm_here(t->relay, "vm1");
	EVENT(t, .step = TETHER__STEP__STEP_RELEASE, .to_vm = true, .expected = {"vm1/1.1"});
	forget(t);
	t->says_welcome = true;
	t->takes_part_in = 1;
	child(t, "vm1", "vm1/1.1", 0);
	EXPECT(t, "vm1/1.1 < HELLO DONE\nvm1/1.1 < RELEASE.1 vm expects vm1/1.1\n");
}

static void nobody_is_told_of_an_absence_that_is_over(void **state)
{
	struct test *t = *state;
	uint32_t a = child(t, "vm1", "vm1/1.1", 0);

	EVENT(t, .step = TETHER__STEP__STEP_RELEASE, .to_vm = true);
	done(t, a, TETHER__STEP__STEP_RELEASE, 1);
	EVENT(t, .step = TETHER__STEP__STEP_RESUME, .sequence = 2, .to_vm = true);
	done(t, a, TETHER__STEP__STEP_RESUME, 2);
	forget(t);
	child(t, "vm1", "vm1/2.1", 0);
	EXPECT(t, "");
	EVENT(t, .step = TETHER__STEP__STEP_RELEASE, .sequence = 3, .to_vm = true,
	        .overall_ms = 5000);
	pass(t, 5001);
	forget(t);
	child(t, "vm1", "vm1/3.1", 0);
	EXPECT(t, "");
}

/* The VF is there before RECONNECT says which numbers are taken. */
static void process_that_starts_where_the_vm_arrives_opens_nothing_before_resume(void **state)
{
	struct test *t = *state;
	uint32_t a;

	EVENT(t, .step = TETHER__STEP__STEP_MOVE, .sequence = 1, .order_host = "hyp1",
	        .attaches = true, .resume_follows = true);
	relay_vm_here(t->relay, "vm1");
	order_done(t, TETHER__STEP__STEP_MOVE, 1, 0);
	forget(t);
	t->says_welcome = true;
	a = child(t, "vm1", "vm1/1.1", 0);
	EXPECT(t, "vm1/1.1 < RELEASE.1 vm\nvm1/1.1 < HELLO DONE\n");
	EVENT(t, .step = TETHER__STEP__STEP_ATTACH, .sequence = 2, .to_vm = true);
	done(t, a, TETHER__STEP__STEP_ATTACH, 2);
	forget(t);
	child(t, "vm1", "vm1/2.1", 0);
	EXPECT(t, "vm1/2.1 < RELEASE.2 vm\nvm1/2.1 < HELLO DONE\n");
	EVENT(t, .step = TETHER__STEP__STEP_RECONNECT, .sequence = 3, .to_vm = true);
	forget(t);
	child(t, "vm1", "vm1/3.1", 0);
	EXPECT(t, "vm1/3.1 < RELEASE.2 vm\nvm1/3.1 < HELLO DONE\nvm1/3.1 < RECONNECT.3 vm\n");
	EVENT(t, .step = TETHER__STEP__STEP_RESUME, .sequence = 4, .to_vm = true);
	forget(t);
	child(t, "vm1", "vm1/4.1", 0);
	EXPECT(t, "vm1/4.1 < HELLO DONE\nvm1/4.1 < RECONNECT.3 vm\nvm1/4.1 < RESUME.4 vm\n");
}

/* A VF for a VM that has lost its own, and whatever it was connected to. */
static void nobody_waits_for_a_resume_that_does_not_follow(void **state)
{
	struct test *t = *state;

	relay_vm_here(t->relay, "vm1");
	EVENT(t, .step = TETHER__STEP__STEP_RELEASE, .to_vm = true);
	EVENT(t, .step = TETHER__STEP__STEP_MOVE, .sequence = 2, .order_host = "hyp1",
	        .attaches = true);
	order_done(t, TETHER__STEP__STEP_MOVE, 2, 0);
	forget(t);
	child(t, "vm1", "vm1/1.1", 0);
	EXPECT(t, "");
}

/* After an abort everybody is where it was. */
static void reconnect_alone_is_no_absence(void **state)
{
	struct test *t = *state;

	relay_vm_here(t->relay, "vm1");
	EVENT(t, .step = TETHER__STEP__STEP_SETTLE, .to_vm = true);
	EVENT(t, .step = TETHER__STEP__STEP_RECONNECT, .sequence = 2, .to_vm = true);
	forget(t);
	child(t, "vm1", "vm1/1.1", 0);
	EXPECT(t, "");
}

static void nobody_is_told_of_another_vms_absence(void **state)
{
	struct test *t = *state;
	uint32_t peer = child(t, "vm2", "vm2/1.1", 5);

	EVENT(t, .step = TETHER__STEP__STEP_RELEASE, .to_vm = true, .to_peers = true);
	done(t, peer, TETHER__STEP__STEP_RELEASE, 1);
	forget(t);
	child(t, "vm2", "vm2/2.1", 0);
	EXPECT(t, "");
}

static void vm_that_left_is_not_waited_for(void **state)
{
	struct test *t = *state;

	relay_vm_here(t->relay, "vm1");
	child(t, "vm1", "vm1/1.1", 0);
	EVENT(t, .to_vm = true, .expected = {"vm1/1.1", "vm1/2.1"});
	forget(t);
	relay_vm_left(t->relay, "vm1", t->now_ms);
	EXPECT(t, "vm1/1.1 closed: the VM has left\n> STOP.1 DONE\n");
}

static void process_of_a_vm_that_left_and_comes_back_is_waited_for(void **state)
{
	struct test *t = *state;
	uint32_t a;

	relay_vm_here(t->relay, "vm1");
	child(t, "vm1", "vm1/1.1", 0);
	relay_vm_left(t->relay, "vm1", t->now_ms);
	relay_vm_here(t->relay, "vm1");
	forget(t);
	EVENT(t, .to_vm = true, .expected = {"vm1/1.1"});
	EXPECT(t, "");
	a = child(t, "vm1", "vm1/1.1", 0);
	EXPECT(t, "vm1/1.1 < STOP.1 vm expects vm1/1.1\n");
	STOPPED(t, a);
	EXPECT(t, "> STOP.1 DONE answered vm1/1.1\n");
}

static void worst_outcome_goes_up(void **state)
{
	static const struct {
		const char *what;
		Tether__Outcome a, b;
		const char *said;
	} rows[] = {
	        {"done and done", 1, 1, "> STOP.1 DONE answered vm1/1.1 answered vm1/2.1\n"},
	        {"done and refused", 1, 2, "> STOP.1 REFUSED answered vm1/1.1 answered vm1/2.1\n"},
	        {"refused and failed", 2, 3, "> STOP.1 FAILED answered vm1/1.1 answered vm1/2.1\n"},
	        {"failed and refused", 3, 2, "> STOP.1 FAILED answered vm1/1.1 answered vm1/2.1\n"},
	        {"partial and refused", 4, 2,
	                "> STOP.1 REFUSED answered vm1/1.1 answered vm1/2.1\n"},
	        {"partial and done", 4, 1, "> STOP.1 PARTIAL answered vm1/1.1 answered vm1/2.1\n"},
	        {"none", 1, 0,
	                "> STOP.1 FAILED answered vm1/1.1 answered vm1/2.1 hyp1/vm1/4711 "
	                "ib_write_bw (bad-answer)\n"},
	        {"unknown", 1, 77,
	                "> STOP.1 FAILED answered vm1/1.1 answered vm1/2.1 hyp1/vm1/4711 "
	                "ib_write_bw (bad-answer)\n"},
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct test *t = test_create(TETHER__ROLE__ROLE_HOST, "hyp1");
		uint32_t a = child(t, "vm1", "vm1/1.1", 0), b = child(t, "vm1", "vm1/2.1", 0);
		Tether__Answer of_a = answer_to(TETHER__STEP__STEP_STOP, 1, rows[i].a);
		Tether__Answer of_b = answer_to(TETHER__STEP__STEP_STOP, 1, rows[i].b);

		print_message("# %s\n", rows[i].what);
		EVENT(t, .to_vm = true);
		forget(t);
		answer_send(t, a, &of_a);
		answer_send(t, b, &of_b);
		EXPECT(t, rows[i].said);
		teardown((void **)&t);
	}
}

static void refusal_says_who(void **state)
{
	struct test *t = *state;
	uint32_t a = child(t, "vm1", "vm1/1.1", 0);
	Tether__Answer answer =
	        answer_to(TETHER__STEP__STEP_PREPARE, 1, TETHER__OUTCOME__OUTCOME_REFUSED);
	Tether__Refusal of_process = TETHER__REFUSAL__INIT, of_qp = TETHER__REFUSAL__INIT;
	Tether__Refusal *refusals[] = {&of_process, &of_qp};

	of_process.reason = (char *)"veto-device-memory";
	of_qp.who = (char *)"qp 0x12";
	of_qp.reason = (char *)"veto-flow";
	answer.refusals = refusals;
	answer.n_refusals = 2;
	EVENT(t, .to_vm = true, .step = TETHER__STEP__STEP_PREPARE);
	forget(t);
	answer_send(t, a, &answer);
	EXPECT(t, "> PREPARE.1 REFUSED answered vm1/1.1 hyp1/vm1/4711 ib_write_bw "
	          "(veto-device-memory) hyp1/qp 0x12 (veto-flow)\n");
}

static void tables_are_concatenated_and_counts_added(void **state)
{
	struct test *t = *state;
	uint32_t links[] = {child(t, "vm1", "vm1/1.1", 0), child(t, "vm1", "vm1/2.1", 0)};

	EVENT(t, .to_vm = true);
	forget(t);
	for (size_t i = 0; i < 2; i++) {
		Tether__Answer answer =
		        answer_to(TETHER__STEP__STEP_STOP, 1, TETHER__OUTCOME__OUTCOME_DONE);
		Tether__QpRows qps = TETHER__QP_ROWS__INIT;
		Tether__EvidenceRows evidence = TETHER__EVIDENCE_ROWS__INIT;
		Tether__Counts counts = TETHER__COUNTS__INIT;

		for (size_t row = 0; row <= i; row++) {
			qp_rows_append(&qps, &(struct qp_row){0});
			evidence_rows_append(&evidence, &(struct evidence_row){0});
			evidence_rows_append(&evidence, &(struct evidence_row){0});
		}
		counts.replayed = 20 + i;
		answer.qps = &qps;
		answer.evidence = &evidence;
		answer.counts = &counts;
		answer_send(t, links[i], &answer);
		rows_clear(&qps.base);
		rows_clear(&evidence.base);
	}
	EXPECT(t, "> STOP.1 DONE answered vm1/1.1 answered vm1/2.1 qps 3 evidence 6 replayed 41\n");
}

/* Of vm1 (LID 5), a peer's, and one whose number is its own, but perhaps not for long. */
static void reconnect(struct test *t, uint32_t sequence, uint32_t qpn)
{
	Tether__QpRows qps = TETHER__QP_ROWS__INIT;

	qp_rows_append(&qps, &(struct qp_row){.local_lid = 5, .local_qpn = qpn, .real_qpn = 0x30});
	qp_rows_append(&qps, &(struct qp_row){.local_lid = 6, .local_qpn = 0x11, .real_qpn = 0x31});
	qp_rows_append(&qps, &(struct qp_row){.local_lid = 5, .local_qpn = 0x32, .real_qpn = 0x33});
	EVENT(t, .step = TETHER__STEP__STEP_RECONNECT, .sequence = sequence, .to_vm = true,
	        .qps = &qps);
	rows_clear(&qps.base);
	forget(t);
}

static void process_is_told_which_numbers_mean_others(void **state)
{
	struct test *t = *state;

	reconnect(t, 1, 0x20);
	reconnect(t, 2, 0x10);
	t->says_welcome = true;
	child(t, "vm1", "vm1/1.1", 0);
	EXPECT(t, "vm1/1.1 < HELLO DONE not 0x10 not 0x20 not 0x30 not 0x32 not 0x33\n");
	child(t, "vm2", "vm2/1.1", 0);
	EXPECT(t, "vm2/1.1 < HELLO DONE\n");
}

/* As after a restart. */
static void relay_learns_from_processes_which_numbers_mean_others(void **state)
{
	struct test *t = *state;

	t->reserved = 0x10;
	child(t, "vm1", "vm1/1.1", 0);
	t->reserved = 0;
	t->says_welcome = true;
	child(t, "vm1", "vm1/2.1", 0);
	EXPECT(t, "vm1/2.1 < HELLO DONE not 0x10\n");
	relay_vm_left(t->relay, "vm1", t->now_ms);
	forget(t);
	child(t, "vm1", "vm1/3.1", 0);
	EXPECT(t, "vm1/3.1 < HELLO DONE\n");
}

/* Both of vm1 (LID 5), unless said otherwise. */
static void two_answer(struct test *t, Tether__Step step, struct qp_row a, struct qp_row b)
{
	uint32_t links[] = {child(t, "vm1", "vm1/1.1", 0), child(t, "vm1", "vm1/2.1", 0)};
	struct qp_row rows[] = {a, b};

	EVENT(t, .step = step, .to_vm = true);
	forget(t);
	for (size_t i = 0; i < 2; i++) {
		Tether__Answer answer = answer_to(step, 1, TETHER__OUTCOME__OUTCOME_DONE);
		Tether__QpRows qps = TETHER__QP_ROWS__INIT;

		qp_rows_append(&qps, &rows[i]);
		answer.qps = &qps;
		answer_send(t, links[i], &answer);
		rows_clear(&qps.base);
	}
}

#define QP(lid, qpn, number)                                                                       \
	((struct qp_row){.local_lid = lid, .local_qpn = qpn, .context = number})

static void two_processes_with_one_number_are_refused(void **state)
{
	struct test *t = *state;

	two_answer(t, TETHER__STEP__STEP_PREPARE, QP(5, 0x10, 1), QP(5, 0x10, 2));
	EXPECT(t, "> PREPARE.1 REFUSED answered vm1/1.1 answered vm1/2.1 "
	          "hyp1/vm1/4711 ib_write_bw (number-collision) qps 2\n");
}

static void two_processes_with_one_context_number_are_refused(void **state)
{
	struct test *t = *state;

	two_answer(t, TETHER__STEP__STEP_SETTLE, QP(5, 0x10, 7), QP(5, 0x11, 7));
	EXPECT(t, "> SETTLE.1 REFUSED answered vm1/1.1 answered vm1/2.1 "
	          "hyp1/vm1/4711 ib_write_bw (context-collision) qps 2\n");
}

static void numbers_of_different_vms_do_not_collide(void **state)
{
	struct test *t = *state;

	two_answer(t, TETHER__STEP__STEP_PREPARE, QP(5, 0x10, 7), QP(6, 0x10, 7));
	EXPECT(t, "> PREPARE.1 DONE answered vm1/1.1 answered vm1/2.1 qps 2\n");
}

static void unequal_columns_are_a_failure_of_that_child(void **state)
{
	struct test *t = *state;
	uint32_t a = child(t, "vm1", "vm1/1.1", 0);
	Tether__Answer answer =
	        answer_to(TETHER__STEP__STEP_STOP, 1, TETHER__OUTCOME__OUTCOME_DONE);
	Tether__QpRows qps = TETHER__QP_ROWS__INIT;

	qp_rows_append(&qps, &(struct qp_row){0});
	qps.n_sq_psn = 0;
	answer.qps = &qps;
	EVENT(t, .to_vm = true);
	forget(t);
	answer_send(t, a, &answer);
	EXPECT(t, "> STOP.1 FAILED answered vm1/1.1 hyp1/vm1/4711 ib_write_bw (bad-table)\n");
	rows_clear(&qps.base);
}

static void answers_too_large_for_a_frame_are_a_failure_not_a_dead_link(void **state)
{
	struct test *t = *state;
	uint32_t links[] = {child(t, "vm1", "vm1/1.1", 0), child(t, "vm1", "vm1/2.1", 0)};
	Tether__QpRows qps = TETHER__QP_ROWS__INIT;

	for (uint32_t i = 0; i < 30000; i++)
		qp_rows_append(&qps, &(struct qp_row){48000, 1 << 23, 1 << 23, 48000, 1 << 23,
		                             1 << 23, 1U << 31});
	EVENT(t, .to_vm = true);
	forget(t);
	for (size_t i = 0; i < 2; i++) {
		Tether__Answer answer =
		        answer_to(TETHER__STEP__STEP_STOP, 1, TETHER__OUTCOME__OUTCOME_DONE);

		answer.qps = &qps;
		answer_send(t, links[i], &answer);
	}
	EXPECT(t, "> STOP.1 FAILED answered vm1/1.1 answered vm1/2.1 hyp1 (answer-too-large)\n");
	rows_clear(&qps.base);
}

/* It would only have shortened a wait. */
static void what_stop_says_of_datagrams_makes_room_for_the_rest(void **state)
{
	struct test *t = *state;
	uint32_t links[] = {child(t, "vm1", "vm1/1.1", 0), child(t, "vm1", "vm1/2.1", 0)};
	Tether__EvidenceRows sent = TETHER__EVIDENCE_ROWS__INIT;
	Tether__QpRows qps = TETHER__QP_ROWS__INIT;

	for (uint32_t i = 0; i < 30000; i++)
		evidence_rows_append(&sent,
		        &(struct evidence_row){48000, 1 << 23, 48000, 1 << 23, 0, 0, 8, 1U << 31});
	qp_rows_append(&qps, &(struct qp_row){.local_lid = 5, .local_qpn = 1});
	EVENT(t, .to_vm = true);
	forget(t);
	for (size_t i = 0; i < 2; i++) {
		Tether__Answer answer =
		        answer_to(TETHER__STEP__STEP_STOP, 1, TETHER__OUTCOME__OUTCOME_DONE);

		answer.qps = &qps;
		answer.evidence = &sent;
		answer_send(t, links[i], &answer);
	}
	EXPECT(t, "> STOP.1 DONE answered vm1/1.1 answered vm1/2.1 qps 2\n");
	rows_clear(&qps.base);
	rows_clear(&sent.base);
}

static void order_is_tallied_with_the_children(void **state)
{
	struct test *t = *state;
	uint32_t a = child(t, "vm1", "vm1/1.1", 0);

	EVENT(t, .to_vm = true, .order_host = "hyp1");
	EXPECT(t, "vm1/1.1 < STOP.1 vm\norder 2 vm1\n");
	assert_true(t->last_deadline_ms < DEADLINE_MS);
	EVENT(t, .to_vm = true, .order_host = "hyp1");
	EXPECT(t, ""); /* not carried out twice */
	STOPPED(t, a);
	EXPECT(t, "");
	order_done(t, TETHER__STEP__STEP_STOP, 1, 0);
	EXPECT(t, "> STOP.1 DONE answered vm1/1.1 exit 0\n");
	EVENT(t, .to_vm = true, .order_host = "hyp1");
	EXPECT(t, "> STOP.1 DONE answered vm1/1.1 exit 0\n");
}

static void order_may_be_done_at_once(void **state)
{
	struct test *t = *state;

	t->order_at_once = true;
	EVENT(t, .order_host = "hyp1");
	EXPECT(t, "order 2 vm1\n> STOP.1 DONE exit 0\n");
}

static void order_before_a_later_one_is_refused(void **state)
{
	struct test *t = *state;

	t->order_at_once = true;
	EVENT(t, .order_host = "hyp1", .sequence = 5);
	forget(t);
	EVENT(t, .order_host = "hyp1", .sequence = 4);
	EXPECT(t, "> STOP.4 REFUSED hyp1 (old-order)\n");
	EVENT(t, .to_vm = true, .sequence = 3); /* no order */
	EXPECT(t, "> STOP.3 DONE\n");
	EVENT(t, .order_host = "hyp1", .sequence = 1, .epoch = 9);
	EXPECT(t, "order 2 vm1\n");
}

static void order_that_takes_too_long_is_missing(void **state)
{
	struct test *t = *state;

	EVENT(t, .order_host = "hyp1");
	forget(t);
	pass(t, DEADLINE_MS);
	EXPECT(t, "> STOP.1 PARTIAL missing hyp1\n");
	order_done(t, TETHER__STEP__STEP_STOP, 1, 0);
	EXPECT(t, "");
}

static void order_for_another_host_is_refused(void **state)
{
	struct test *t = *state;

	EVENT(t, .order_host = "hyp2");
	EXPECT(t, "> STOP.1 REFUSED hyp1 (no-such-host)\n");
}

static void hello_is_checked(void **state)
{
	static const struct {
		const char *what;
		const char *vm;
		Tether__Role role;
		const char *name;
		int ret;
		const char *said;
	} rows[] = {
	        {"a process", "vm1", TETHER__ROLE__ROLE_SHIM, "vm1/1.1", 0, ""},
	        {"a guest", "vm1", TETHER__ROLE__ROLE_GUEST, "vm1", 0, ""},
	        {"another VM's process", "vm1", TETHER__ROLE__ROLE_SHIM, "vm2/1.1", -EACCES,
	                "x < HELLO REFUSED (foreign-name)\n"},
	        {"a VM whose name begins alike", "vm1", TETHER__ROLE__ROLE_SHIM, "vm11/1.1",
	                -EACCES, "x < HELLO REFUSED (foreign-name)\n"},
	        {"another guest", "vm1", TETHER__ROLE__ROLE_GUEST, "vm2", -EACCES,
	                "x < HELLO REFUSED (foreign-name)\n"},
	        {"a host out of a VM", "vm1", TETHER__ROLE__ROLE_HOST, "hyp2", -EACCES,
	                "x < HELLO REFUSED (bad-role)\n"},
	        {"a root out of a VM", "vm1", TETHER__ROLE__ROLE_ROOT, "smd", -EACCES,
	                "x < HELLO REFUSED (bad-role)\n"},
	        {"no name", "vm1", TETHER__ROLE__ROLE_SHIM, "", -EACCES,
	                "x < HELLO REFUSED (bad-name)\n"},
	        {"a name with a line end", "vm1", TETHER__ROLE__ROLE_SHIM, "vm1/1\n", -EACCES,
	                "x < HELLO REFUSED (bad-name)\n"},
	        {"only the VM", "vm1", TETHER__ROLE__ROLE_SHIM, "vm1/", -EACCES,
	                "x < HELLO REFUSED (foreign-name)\n"},
	        {"a process where hosts belong", NULL, TETHER__ROLE__ROLE_SHIM, "vm1/1.1", -EACCES,
	                "x < HELLO REFUSED (bad-role)\n"},
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct test *t = test_create(TETHER__ROLE__ROLE_HOST, "hyp1");
		uint32_t link = link_add(t, rows[i].vm, "x");

		print_message("# %s\n", rows[i].what);
		assert_int_equal(
		        say_hello(t, link, rows[i].role, rows[i].name, NULL, NULL, 0), rows[i].ret);
		EXPECT(t, rows[i].said);
		teardown((void **)&t);
	}
}

static void name_in_use_cannot_be_taken(void **state)
{
	struct test *t = *state;
	uint32_t a = child(t, "vm1", "vm1/1.1", 0), b = link_add(t, "vm1", "x");

	assert_int_equal(
	        say_hello(t, b, TETHER__ROLE__ROLE_SHIM, "vm1/1.1", NULL, NULL, 0), -EACCES);
	EXPECT(t, "x < HELLO REFUSED (name-taken)\n");
	relay_child_gone(t->relay, b, false, t->now_ms);
	EVENT(t, .to_vm = true);
	STOPPED(t, a);
	EXPECT(t, "vm1/1.1 < STOP.1 vm\n> STOP.1 DONE answered vm1/1.1\n");
}

static void nothing_is_taken_before_hello(void **state)
{
	struct test *t = *state;
	uint32_t a = link_add(t, "vm1", "x");
	Tether__Answer answer =
	        answer_to(TETHER__STEP__STEP_STOP, 1, TETHER__OUTCOME__OUTCOME_DONE);

	assert_int_equal(answer_send(t, a, &answer), -EPROTO);
	EVENT(t, .to_vm = true);
	EXPECT(t, "> STOP.1 DONE\n");
	assert_int_equal(say_hello(t, a, TETHER__ROLE__ROLE_SHIM, "vm1/1.1", NULL, NULL, 0), 0);
	assert_int_equal(
	        say_hello(t, a, TETHER__ROLE__ROLE_SHIM, "vm1/1.1", NULL, NULL, 0), -EPROTO);
}

static void silent_link_is_closed(void **state)
{
	struct test *t = *state;

	link_add(t, "vm1", "x");
	pass(t, relay_next_ms(t->relay, t->now_ms) - 1);
	EXPECT(t, "");
	pass(t, 1);
	EXPECT(t, "x closed: no HELLO in time\n");
	assert_int_equal(relay_next_ms(t->relay, t->now_ms), -1);
}

static void root_hands_a_host_only_what_is_meant_for_it(void **state)
{
	struct test *t = *state;
	uint32_t a = host(t, "hyp1", "vm1 vm3", 0), b = host(t, "hyp2", "vm2", 5);

	host(t, "hyp3", "vm4", 6);
	forget(t);
	EVENT(t, .to_vm = true, .to_peers = true, .expected = {"vm1/1.1", "vm2/1.1"});
	EXPECT(t, "hyp2 < STOP.1 peers expects vm2/1.1\nhyp1 < STOP.1 vm expects vm1/1.1\n");
	STOPPED(t, a);
	EXPECT(t, "");
	STOPPED(t, b);
	/* The hosts have answered without naming them: they have ended. */
	EXPECT(t, "> STOP.1 DONE\n");
}

static void names_behind_relays_go_up(void **state)
{
	struct test *t = *state;
	uint32_t a = host(t, "hyp1", "vm1", 0);
	Tether__Answer answer =
	        answer_to(TETHER__STEP__STEP_STOP, 1, TETHER__OUTCOME__OUTCOME_PARTIAL);
	char *answered[] = {(char *)"vm1/1.1"}, *missing[] = {(char *)"vm1/2.1"};
	Tether__Refusal refusal = TETHER__REFUSAL__INIT;
	Tether__Refusal *refusals[] = {&refusal};

	EVENT(t, .to_vm = true, .expected = {"vm1/1.1", "vm1/2.1"});
	forget(t);
	refusal.who = (char *)"hyp1/vm1/4711 x";
	refusal.reason = (char *)"veto-flow";
	answer.refusals = refusals;
	answer.n_refusals = 1;
	answer.answered = answered;
	answer.n_answered = 1;
	answer.missing = missing;
	answer.n_missing = 1;
	answer_send(t, a, &answer);
	EXPECT(t,
	        "> STOP.1 PARTIAL answered vm1/1.1 missing vm1/2.1 hyp1/vm1/4711 x (veto-flow)\n");
}

static void name_that_two_relays_say_goes_up_once(void **state)
{
	struct test *t = *state;
	uint32_t links[] = {host(t, "hyp1", "vm1", 0), host(t, "hyp2", "vm1", 0)};
	char *answered[] = {(char *)"vm1/1.1"};

	EVENT(t, .to_vm = true);
	forget(t);
	for (size_t i = 0; i < 2; i++) {
		Tether__Answer answer =
		        answer_to(TETHER__STEP__STEP_STOP, 1, TETHER__OUTCOME__OUTCOME_DONE);

		answer.answered = answered;
		answer.n_answered = 1;
		answer_send(t, links[i], &answer);
	}
	EXPECT(t, "> STOP.1 DONE answered vm1/1.1\n");
}

static void root_waits_for_a_host_that_is_restarted(void **state)
{
	struct test *t = *state;
	uint32_t a = host(t, "hyp1", "vm1", 0);

	EVENT(t, .to_vm = true);
	EXPECT(t, "hyp1 < STOP.1 vm\n");
	relay_child_gone(t->relay, a, false, t->now_ms);
	a = host(t, "hyp1", "vm1", 0);
	EXPECT(t, "hyp1 < STOP.1 vm\n");
	STOPPED(t, a);
	EXPECT(t, "> STOP.1 DONE\n");
}

static void root_finds_the_vm_where_its_host_says(void **state)
{
	struct test *t = *state;
	uint32_t a = host(t, "hyp1", "vm1", 0), b = host(t, "hyp2", "", 0);
	Tether__Answer answer =
	        answer_to(TETHER__STEP__STEP_ATTACH, 1, TETHER__OUTCOME__OUTCOME_DONE);
	Tether__HostResult result = TETHER__HOST_RESULT__INIT;
	Tether__HostVm vm = TETHER__HOST_VM__INIT;
	Tether__HostVm *vms[] = {&vm};

	vm.name = (char *)"vm1";
	result.vms = vms;
	result.n_vms = 1;
	answer.result = &result;
	EVENT(t, .order_host = "hyp2", .step = TETHER__STEP__STEP_ATTACH);
	EXPECT(t, "hyp2 < ATTACH.1 order\n");
	answer_send(t, b, &answer);
	relay_child_vms(t->relay, a, NULL, 0, t->now_ms);
	forget(t);
	EVENT(t, .to_vm = true, .step = TETHER__STEP__STEP_ATTACH, .sequence = 2);
	EXPECT(t, "hyp2 < ATTACH.2 vm\n");
}

static void order_for_an_unknown_host_is_refused(void **state)
{
	struct test *t = *state;

	host(t, "hyp1", "vm1", 0);
	EVENT(t, .order_host = "hyp9");
	EXPECT(t, "> STOP.1 REFUSED  (no-such-host)\n");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        HOST_TEST(event_goes_once_to_each_concerned_child),
	        HOST_TEST(peers_are_not_of_the_vm_itself),
	        HOST_TEST(nobody_concerned_is_done_at_once),
	        HOST_TEST(open_event_is_not_handed_out_twice),
	        HOST_TEST(repeat_of_an_answered_event_gets_the_same_answer),
	        HOST_TEST(older_epoch_is_refused),
	        HOST_TEST(other_vm_may_be_in_an_older_epoch),
	        HOST_TEST(epoch_that_cannot_be_stored_is_not_obeyed),
	        HOST_TEST(stale_root_is_not_obeyed),
	        HOST_TEST(slow_child_is_named_before_the_parents_deadline),
	        HOST_TEST(late_answer_is_counted_and_ignored),
	        HOST_TEST(first_answer_of_a_child_counts),
	        HOST_TEST(child_that_was_not_asked_cannot_answer),
	        HOST_TEST(process_speaks_for_itself_alone),
	        HOST_TEST(child_that_comes_back_is_given_the_open_event_again),
	        HOST_TEST(child_that_has_answered_is_not_asked_again),
	        HOST_TEST(child_that_stays_away_is_missing),
	        HOST_TEST(ended_process_is_not_waited_for),
	        HOST_TEST(process_that_ended_is_not_expected_any_more),
	        HOST_TEST(child_away_when_the_event_comes_is_waited_for),
	        HOST_TEST(child_forgotten_after_its_time_away_is_not_waited_for),
	        HOST_TEST(expected_process_gets_the_event_when_it_comes),
	        HOST_TEST(expected_process_that_never_comes_is_missing),
	        HOST_TEST(expected_peer_is_handed_the_event_without_known_interest),
	        HOST_TEST(process_that_starts_during_an_event_gets_it),
	        HOST_TEST(process_that_starts_after_release_is_told_before_it_is_welcome),
	        HOST_TEST(process_that_takes_part_gets_release_as_it_is),
	        HOST_TEST(nobody_is_told_of_an_absence_that_is_over),
	        HOST_TEST(process_that_starts_where_the_vm_arrives_opens_nothing_before_resume),
	        HOST_TEST(nobody_waits_for_a_resume_that_does_not_follow),
	        HOST_TEST(reconnect_alone_is_no_absence),
	        HOST_TEST(nobody_is_told_of_another_vms_absence),
	        HOST_TEST(vm_that_left_is_not_waited_for),
	        HOST_TEST(process_of_a_vm_that_left_and_comes_back_is_waited_for),
	        cmocka_unit_test(worst_outcome_goes_up),
	        HOST_TEST(refusal_says_who),
	        HOST_TEST(tables_are_concatenated_and_counts_added),
	        HOST_TEST(process_is_told_which_numbers_mean_others),
	        HOST_TEST(relay_learns_from_processes_which_numbers_mean_others),
	        HOST_TEST(two_processes_with_one_number_are_refused),
	        HOST_TEST(two_processes_with_one_context_number_are_refused),
	        HOST_TEST(numbers_of_different_vms_do_not_collide),
	        HOST_TEST(unequal_columns_are_a_failure_of_that_child),
	        HOST_TEST(answers_too_large_for_a_frame_are_a_failure_not_a_dead_link),
	        HOST_TEST(what_stop_says_of_datagrams_makes_room_for_the_rest),
	        HOST_TEST(order_is_tallied_with_the_children),
	        HOST_TEST(order_may_be_done_at_once),
	        HOST_TEST(order_before_a_later_one_is_refused),
	        HOST_TEST(order_that_takes_too_long_is_missing),
	        HOST_TEST(order_for_another_host_is_refused),
	        cmocka_unit_test(hello_is_checked),
	        HOST_TEST(name_in_use_cannot_be_taken),
	        HOST_TEST(nothing_is_taken_before_hello),
	        HOST_TEST(silent_link_is_closed),
	        ROOT_TEST(root_hands_a_host_only_what_is_meant_for_it),
	        ROOT_TEST(names_behind_relays_go_up),
	        ROOT_TEST(name_that_two_relays_say_goes_up_once),
	        ROOT_TEST(root_waits_for_a_host_that_is_restarted),
	        ROOT_TEST(root_finds_the_vm_where_its_host_says),
	        ROOT_TEST(order_for_an_unknown_host_is_refused),
	};

	return cmocka_run_group_tests_name("notifier_relay", tests, NULL, NULL);
}
