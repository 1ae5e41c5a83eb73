/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/* Who was not there at the end of a migration, or at its beginning, and comes later. */
#include "tests/unit/relay_harness.h"

#define STOP    TETHER__STEP__STEP_STOP
#define SETTLE  TETHER__STEP__STEP_SETTLE
#define RELEASE TETHER__STEP__STEP_RELEASE
#define ATTACH  TETHER__STEP__STEP_ATTACH
#define RESUME  TETHER__STEP__STEP_RESUME
#define ABORT   TETHER__STEP__STEP_ABORT

/* What the next HELLO names as open: @count of @open. */
static void names_open(struct test *t, uint64_t *open, size_t count)
{
	t->open = open;
	t->open_count = count;
}

static void vm_is_back(struct test *t)
{
	relay_vm_here(t->relay, "vm1");
	EVENT(t, .step = RELEASE, .to_vm = true);
	EVENT(t, .step = RESUME, .sequence = 2, .to_vm = true);
	forget(t);
}

/* ---- ends, at a host ---- */

static void guest_that_comes_after_the_end_is_told(void **state)
{
	struct test *t = *state;
	uint64_t open[] = {7, 1};

	vm_is_back(t);
	names_open(t, open, 2);
	guest_of(t, "vm1", "");
	EXPECT(t, "vm1 < RESUME.2 vm\n");
}

/* It was started again: its processes may wait for what it does not know. */
static void guest_that_has_forgotten_is_told(void **state)
{
	struct test *t = *state;

	vm_is_back(t);
	guest_of(t, "vm1", "");
	EXPECT(t, "vm1 < RESUME.2 vm\n");
	guest_of(t, "vm2", "");
	EXPECT(t, "");
}

/* Its answer is to what had been answered without it. */
static void what_a_guest_answers_late_is_no_offence(void **state)
{
	struct test *t = *state;
	uint32_t link;

	vm_is_back(t);
	link = guest_of(t, "vm1", "");
	done(t, link, RESUME, 2);
	assert_int_equal(relay_counts(t->relay).late_answers, 1);
	assert_int_equal(relay_counts(t->relay).unasked_answers, 0);
}

/* What is open is given as ever, once. */
static void end_that_is_open_is_given_once(void **state)
{
	struct test *t = *state;
	uint32_t other;

	relay_vm_here(t->relay, "vm1");
	other = child(t, "vm1", "vm1/1.1", 0);
	EVENT(t, .step = RESUME, .to_vm = true);
	forget(t);
	guest_of(t, "vm1", "");
	EXPECT(t, "vm1 < RESUME.1 vm\n");
	done(t, other, RESUME, 1);
}

/* Of the other process nobody knows that it waits. */
static void process_that_names_the_migration_is_told(void **state)
{
	struct test *t = *state;
	uint64_t open[] = {1};

	vm_is_back(t);
	child(t, "vm1", "vm1/1.1", 0);
	EXPECT(t, "");
	names_open(t, open, 1);
	child(t, "vm1", "vm1/2.1", 0);
	EXPECT(t, "vm1/2.1 < RESUME.2 vm\n");
}

/* Who names a hundred thousand costs no more than who names what a process may have. */
static void what_is_named_behind_many_is_not_looked_at(void **state)
{
	struct test *t = *state;
	uint64_t open[65] = {[63] = 1};

	vm_is_back(t);
	names_open(t, open, 65);
	child(t, "vm1", "vm1/1.1", 0);
	EXPECT(t, "vm1/1.1 < RESUME.2 vm\n");
	open[64] = open[63];
	open[63] = 0;
	child(t, "vm1", "vm1/2.1", 0);
	EXPECT(t, "");
}

/* It holds back who connects there. */
static void guest_of_a_peer_is_told(void **state)
{
	struct test *t = *state;
	uint64_t open[] = {1};

	EVENT(t, .step = STOP, .to_peers = true);
	EVENT(t, .step = ABORT, .sequence = 2, .to_peers = true);
	forget(t);
	relay_vm_here(t->relay, "vm2");
	names_open(t, open, 1);
	guest_of(t, "vm2", "");
	EXPECT(t, "vm2 < ABORT.2 peers\n");
}

/* The VM is under way once more, and its guest knows that end. */
static void end_of_one_before_is_told_to_whom_it_concerns(void **state)
{
	struct test *t = *state;
	uint64_t open[] = {1};

	vm_is_back(t);
	EVENT(t, .migration = 2, .epoch = 2, .to_vm = true);
	forget(t);
	guest_of(t, "vm1", "");
	EXPECT(t, "");
	names_open(t, open, 1);
	child(t, "vm1", "vm1/1.1", 0);
	EXPECT(t, "vm1/1.1 < RESUME.2 vm\n");
}

/* Told late under the epoch of the one that is under way: that is not over, and leaves with the VM.
 */
static void late_end_is_not_the_last_word_on_the_next_one(void **state)
{
	struct test *t = *state;
	uint32_t link;

	relay_vm_here(t->relay, "vm1");
	EVENT(t, .migration = 2, .epoch = 2, .to_vm = true);
	EVENT(t, .migration = 1, .epoch = 2, .step = ABORT, .sequence = 9, .to_vm = true);
	forget(t);
	guest_of(t, "vm1", "");
	EXPECT(t, "");
	relay_vm_left(t->relay, "vm1", t->now_ms);
	link = child(t, "vm2", "vm2/1.1", 0);
	forget(t);
	interest(t, link, 3, 5, false);
	EXPECT(t, "> interest 5\nvm2/1.1 < registered 3 DONE\n");
}

static void end_leaves_with_the_vm(void **state)
{
	struct test *t = *state;
	uint64_t open[] = {1};

	vm_is_back(t);
	relay_vm_left(t->relay, "vm1", t->now_ms);
	relay_vm_here(t->relay, "vm1");
	names_open(t, open, 1);
	guest_of(t, "vm1", "");
	EXPECT(t, "");
}

/* By the root, to who had missed it; under the epoch of the one that is under way. */
static void late_end_is_not_that_of_the_next_one(void **state)
{
	struct test *t = *state;

	relay_vm_here(t->relay, "vm1");
	EVENT(t, .migration = 2, .epoch = 2, .step = RELEASE, .to_vm = true);
	EVENT(t, .migration = 1, .epoch = 2, .step = RESUME, .sequence = 9, .to_vm = true);
	forget(t);
	child(t, "vm1", "vm1/1.1", 0);
	EXPECT(t, "vm1/1.1 < RELEASE.1 vm\n");
	EVENT(t, .migration = 2, .epoch = 2, .step = RESUME, .sequence = 3, .to_vm = true);
	forget(t);
	child(t, "vm1", "vm1/2.1", 0);
	EXPECT(t, "vm1/2.1 < RESUME.3 vm\n"); /* which is open */
}

/* ---- the root's word, in a guest ---- */

static void rest_ends_what_a_guest_has_missed(void **state)
{
	struct test *t = *state;
	Tether__Hello hello = TETHER__HELLO__INIT;
	uint32_t waits;

	relay_vm_here(t->relay, "vm1");
	EVENT(t, .step = RELEASE, .to_vm = true);
	waits = child(t, "vm1", "vm1/1.1", 0);
	done(t, waits, RELEASE, 1);
	interest(t, waits, 3, 8, false);
	forget(t);
	PLACE(t, .vm = "vm1", .host = "hyp1", .next = "hyp2");
	EXPECT(t, "");
	PLACE(t, .vm = "vm1", .host = "hyp2", .at_rest = true);
	EXPECT(t, "vm1/1.1 < RESUME.2 vm\n"
	          "> interest 8\n"
	          "vm1/1.1 < registered 3 DONE\n");
	done(t, waits, RESUME, 2);
	assert_int_equal(relay_counts(t->relay).unasked_answers, 0);
	child(t, "vm1", "vm1/2.1", 0);
	EXPECT(t, "");
	assert_int_equal(relay_hello_fill(t->relay, &hello), 0);
	assert_int_equal(hello.n_open, 0);
	relay_hello_clear(&hello);
	PLACE(t, .vm = "vm1", .host = "hyp2", .at_rest = true, .lids = {5});
	EXPECT(t, "");
}

/* Its link was away just then. */
static void process_that_comes_back_after_the_rest_is_told(void **state)
{
	struct test *t = *state;
	uint64_t open[] = {1};

	relay_vm_here(t->relay, "vm1");
	EVENT(t, .step = ATTACH, .sequence = 6, .to_vm = true);
	PLACE(t, .vm = "vm1", .host = "hyp2", .at_rest = true);
	names_open(t, open, 1);
	child(t, "vm1", "vm1/1.1", 0);
	EXPECT(t, "> ATTACH.6 DONE\nvm1/1.1 < RESUME.7 vm\n");
}

/* Nothing was released: who has stopped is waited for, or goes on by itself. */
static void rest_ends_what_was_not_committed(void **state)
{
	struct test *t = *state;
	uint32_t link;

	relay_vm_here(t->relay, "vm1");
	link = child(t, "vm1", "vm1/1.1", 0);
	EVENT(t, .step = STOP, .to_vm = true);
	STOPPED(t, link);
	interest(t, link, 3, 8, false);
	forget(t);
	PLACE(t, .vm = "vm1", .host = "hyp1", .at_rest = true);
	EXPECT(t, "> interest 8\nvm1/1.1 < registered 3 DONE\n");
}

/* Another VM's migration goes on. */
static void rest_is_of_one_vm(void **state)
{
	struct test *t = *state;
	uint32_t link;

	relay_vm_here(t->relay, "vm1");
	link = child(t, "vm1", "vm1/1.1", 9);
	EVENT(t, .vm = "vm2", .lid = 9, .migration = 2, .to_peers = true);
	interest(t, link, 3, 9, false);
	forget(t);
	PLACE(t, .vm = "vm1", .host = "hyp1", .at_rest = true);
	EXPECT(t, "");
}

/* It hears each step itself, or is told when it says HELLO. */
static void rest_ends_nothing_at_a_host(void **state)
{
	struct test *t = *state;

	relay_vm_here(t->relay, "vm1");
	EVENT(t, .step = RELEASE, .to_vm = true);
	PLACE(t, .vm = "vm1", .host = "hyp1", .at_rest = true);
	forget(t);
	child(t, "vm1", "vm1/1.1", 0);
	EXPECT(t, "vm1/1.1 < RELEASE.1 vm\n");
}

/* ---- beginnings ---- */

static void prepare_waits_for_a_guest_that_is_due(void **state)
{
	struct test *t = *state;
	uint32_t link;

	relay_vm_here(t->relay, "vm1");
	relay_guest_due(t->relay, "vm1", t->now_ms);
	EVENT(t, .step = PREPARE, .to_vm = true);
	EXPECT(t, "");
	link = guest_of(t, "vm1", "");
	EXPECT(t, "vm1 < PREPARE.1 vm\n");
	done(t, link, PREPARE, 1);
	EXPECT(t, "> PREPARE.1 DONE\n");
}

static void prepare_waits_no_longer_than_a_child_is_waited_for(void **state)
{
	struct test *t = *state;

	relay_vm_here(t->relay, "vm1");
	relay_guest_due(t->relay, "vm1", t->now_ms);
	pass(t, 100);
	EVENT(t, .step = PREPARE, .to_vm = true);
	assert_int_equal(relay_next_ms(t->relay, t->now_ms), 400);
	pass(t, 399);
	EXPECT(t, "");
	pass(t, 1);
	EXPECT(t, "> PREPARE.1 DONE\n");
	/* It stays so: the channel stands for long. */
	relay_guest_due(t->relay, "vm1", t->now_ms);
	EVENT(t, .step = PREPARE, .migration = 2, .epoch = 2, .to_vm = true);
	EXPECT(t, "> PREPARE.1 DONE\n");
}

/* Nobody is woken for it again, whoever else is still to answer. */
static void a_guest_that_did_not_come_is_waited_for_once(void **state)
{
	struct test *t = *state;
	uint32_t a;

	relay_vm_here(t->relay, "vm1");
	relay_guest_due(t->relay, "vm1", t->now_ms);
	a = child(t, "vm1", "vm1/4711.1", 0);
	EVENT(t, .step = PREPARE, .to_vm = true);
	pass(t, 500);
	assert_int_not_equal(relay_next_ms(t->relay, t->now_ms), 0);
	forget(t);
	done(t, a, PREPARE, 1);
	EXPECT(t, "> PREPARE.1 DONE answered vm1/4711.1\n");
}

/* And not behind the event's own deadline. */
static void prepare_is_answered_in_time(void **state)
{
	struct test *t = *state;

	relay_times_set(t->relay, 0, 60000);
	relay_vm_here(t->relay, "vm1");
	relay_guest_due(t->relay, "vm1", t->now_ms);
	EVENT(t, .step = PREPARE, .to_vm = true);
	pass(t, DEADLINE_MS - 2 * relay_margin_ms(DEADLINE_MS));
	EXPECT(t, "> PREPARE.1 DONE\n");
}

static void nobody_else_waits_for_it(void **state)
{
	struct test *t = *state;

	relay_vm_here(t->relay, "vm1");
	relay_vm_here(t->relay, "vm2");
	relay_guest_due(t->relay, "vm1", t->now_ms);
	EVENT(t, .step = PREPARE, .vm = "vm2", .to_vm = true);
	EXPECT(t, "> PREPARE.1 DONE\n");
	EVENT(t, .step = PREPARE, .migration = 2, .to_peers = true);
	EXPECT(t, "> PREPARE.1 DONE\n");
	EVENT(t, .step = SETTLE, .migration = 3, .sequence = 2, .to_vm = true);
	EXPECT(t, "> SETTLE.2 DONE\n");
}

static void guest_is_due_anew_where_its_vm_comes_again(void **state)
{
	struct test *t = *state;

	relay_vm_here(t->relay, "vm1");
	relay_guest_due(t->relay, "vm1", t->now_ms);
	relay_vm_left(t->relay, "vm1", t->now_ms);
	pass(t, 600);
	relay_vm_here(t->relay, "vm1");
	relay_guest_due(t->relay, "vm1", t->now_ms);
	EVENT(t, .step = PREPARE, .to_vm = true);
	EXPECT(t, "");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        HOST_TEST(guest_that_comes_after_the_end_is_told),
	        HOST_TEST(guest_that_has_forgotten_is_told),
	        HOST_TEST(what_a_guest_answers_late_is_no_offence),
	        HOST_TEST(end_that_is_open_is_given_once),
	        HOST_TEST(process_that_names_the_migration_is_told),
	        HOST_TEST(what_is_named_behind_many_is_not_looked_at),
	        HOST_TEST(guest_of_a_peer_is_told),
	        HOST_TEST(end_of_one_before_is_told_to_whom_it_concerns),
	        HOST_TEST(late_end_is_not_the_last_word_on_the_next_one),
	        HOST_TEST(end_leaves_with_the_vm),
	        HOST_TEST(late_end_is_not_that_of_the_next_one),
	        GUEST_TEST(rest_ends_what_a_guest_has_missed),
	        GUEST_TEST(process_that_comes_back_after_the_rest_is_told),
	        GUEST_TEST(rest_ends_what_was_not_committed),
	        GUEST_TEST(rest_is_of_one_vm),
	        HOST_TEST(rest_ends_nothing_at_a_host),
	        HOST_TEST(prepare_waits_for_a_guest_that_is_due),
	        HOST_TEST(prepare_waits_no_longer_than_a_child_is_waited_for),
	        HOST_TEST(a_guest_that_did_not_come_is_waited_for_once),
	        HOST_TEST(prepare_is_answered_in_time),
	        HOST_TEST(nobody_else_waits_for_it),
	        HOST_TEST(guest_is_due_anew_where_its_vm_comes_again),
	};

	return cmocka_run_group_tests_name("notifier_missed", tests, NULL, NULL);
}
