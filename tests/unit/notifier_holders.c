/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/* A device that a process holds which is not here: refused by the process's name. */
#include "tests/unit/relay_harness.h"

static void held_by(
        struct test *t, size_t at, uint32_t pid, uint32_t forked_by, const char *program)
{
	t->holders[at].pid = pid;
	t->holders[at].forked_by = forked_by;
	t->holders[at].program = program;
}

#define SETTLE TETHER__STEP__STEP_SETTLE

static int with_nobody(void **state)
{
	host_relay(state);
	return relay_vm_here(((struct test *)*state)->relay, "vm1");
}

static void who_is_not_connected_is_named(void **state)
{
	struct test *t = *state;

	held_by(t, 0, 99, 0, "ib_write_bw");
	EVENT(t, .step = PREPARE, .to_vm = true);
	EXPECT(t, "> PREPARE.1 REFUSED hyp1/vm1/99 ib_write_bw (veto-device-held)\n");
	t->holders[0].pid = 0;
	EVENT(t, .step = PREPARE, .sequence = 2, .to_vm = true);
	EXPECT(t, "> PREPARE.2 DONE\n");
}

static void who_is_connected_answers_for_himself_and_his_children(void **state)
{
	struct test *t = *state;
	uint32_t a = child(t, "vm1", "vm1/4711.1", 0);

	held_by(t, 0, KERNEL_PID, 0, "a");
	held_by(t, 1, 4712, KERNEL_PID, "between fork and exec");
	EVENT(t, .step = PREPARE, .to_vm = true);
	EXPECT(t, "vm1/4711.1 < PREPARE.1 vm\n");
	done(t, a, PREPARE, 1);
	EXPECT(t, "> PREPARE.1 DONE answered vm1/4711.1\n");
	relay_child_gone(t->relay, a, false, t->now_ms);
	EVENT(t, .step = PREPARE, .sequence = 2, .to_vm = true);
	pass(t, DEADLINE_MS);
	assert_non_null(strstr(t->said, "hyp1/vm1/94711 a (veto-device-held)"));
}

static void a_number_is_of_one_vm(void **state)
{
	struct test *t = *state;

	relay_vm_here(t->relay, "vm2");
	child(t, "vm2", "vm2/4711.1", 0);
	held_by(t, 0, KERNEL_PID, 0, "x");
	EVENT(t, .step = PREPARE, .to_vm = true);
	EXPECT(t, "> PREPARE.1 REFUSED hyp1/vm1/94711 x (veto-device-held)\n");
}

/* What a process calls itself is somebody else's number outside its PID namespace. */
static void who_is_connected_by_another_number_covers_nobody(void **state)
{
	struct test *t = *state;
	uint32_t a = child(t, "vm1", "vm1/4711.1", 0);

	held_by(t, 0, SAID_PID, 0, "x");
	held_by(t, 1, 99, SAID_PID, "y");
	EVENT(t, .step = PREPARE, .to_vm = true);
	done(t, a, PREPARE, 1);
	EXPECT(t, "vm1/4711.1 < PREPARE.1 vm\n> PREPARE.1 REFUSED answered vm1/4711.1 "
	          "hyp1/vm1/4711 x (veto-device-held) hyp1/vm1/99 y (veto-device-held)\n");
}

/* The same process, which the other end of its new link numbers anew. */
static void who_comes_back_is_known_by_the_number_of_his_new_link(void **state)
{
	struct test *t = *state;
	uint32_t a = child(t, "vm1", "vm1/4711.1", 0);

	relay_child_numbered(t->relay, a, 5);
	relay_child_gone(t->relay, a, false, t->now_ms);
	a = child(t, "vm1", "vm1/4711.1", 0);
	held_by(t, 0, KERNEL_PID, 0, "a");
	EVENT(t, .step = PREPARE, .to_vm = true);
	done(t, a, PREPARE, 1);
	EXPECT(t, "vm1/4711.1 < PREPARE.1 vm\n> PREPARE.1 DONE answered vm1/4711.1\n");
}

/* Neither of who has called exec nor of a link without a number. */
static void number_0_is_nobodys(void **state)
{
	struct test *t = *state;
	uint32_t a = child(t, "vm1", "vm1/4711.1", 0);

	relay_child_numbered(t->relay, a, 0);
	held_by(t, 0, 99, 0, "x");
	EVENT(t, .step = PREPARE, .to_vm = true);
	done(t, a, PREPARE, 1);
	EXPECT(t, "vm1/4711.1 < PREPARE.1 vm\n> PREPARE.1 REFUSED answered vm1/4711.1 "
	          "hyp1/vm1/99 x (veto-device-held)\n");
}

static void others_are_not_looked_at(void **state)
{
	struct test *t = *state;

	held_by(t, 0, 99, 0, "x");
	EVENT(t, .step = PREPARE, .to_vm = true, .vm = "vm7");
	EXPECT(t, "> PREPARE.1 DONE\n");
	EVENT(t, .step = PREPARE, .sequence = 2, .to_peers = true);
	EXPECT(t, "> PREPARE.2 DONE\n");
	EVENT(t, .sequence = 3, .to_vm = true);
	EXPECT(t, "> STOP.3 DONE\n");
}

/* It goes into answers and logs. */
static void what_cannot_be_printed_is_not_told(void **state)
{
	struct test *t = *state;

	held_by(t, 0, 99, 0, "a\nb\033");
	EVENT(t, .step = PREPARE, .to_vm = true);
	EXPECT(t, "> PREPARE.1 REFUSED hyp1/vm1/99 a?b? (veto-device-held)\n");
}

/* Nothing has been broken yet that is not mended. */
static void who_comes_after_prepare_is_named_before_the_vote_goes_up(void **state)
{
	struct test *t = *state;
	uint32_t a = child(t, "vm1", "vm1/4711.1", 0);

	EVENT(t, .step = PREPARE, .to_vm = true);
	done(t, a, PREPARE, 1);
	forget(t);
	EVENT(t, .step = SETTLE, .sequence = 2, .to_vm = true);
	held_by(t, 0, 99, 0, "x");
	done(t, a, SETTLE, 2);
	EXPECT(t, "vm1/4711.1 < SETTLE.2 vm\n"
	          "> SETTLE.2 REFUSED answered vm1/4711.1 hyp1/vm1/99 x (veto-device-held)\n");
	EVENT(t, .step = TETHER__STEP__STEP_ABORT, .sequence = 3, .to_vm = true);
	done(t, a, TETHER__STEP__STEP_ABORT, 3);
	forget(t);
	EVENT(t, .step = SETTLE, .sequence = 4, .to_vm = true);
	done(t, a, SETTLE, 4);
	EXPECT(t, "vm1/4711.1 < SETTLE.4 vm\n> SETTLE.4 DONE answered vm1/4711.1\n");
}

/* His link breaks for a moment when he has said his part: he is no stranger. */
static void who_has_answered_and_is_away_is_not_named(void **state)
{
	struct test *t = *state;
	uint32_t a = child(t, "vm1", "vm1/4711.1", 0), b = child(t, "vm1", "vm1/12.1", 0);

	relay_child_numbered(t->relay, b, 12);
	held_by(t, 0, KERNEL_PID, 0, "a");
	held_by(t, 1, 4712, KERNEL_PID, "between fork and exec");
	EVENT(t, .step = SETTLE, .to_vm = true);
	done(t, a, SETTLE, 1);
	relay_child_gone(t->relay, a, false, t->now_ms);
	forget(t);
	done(t, b, SETTLE, 1);
	EXPECT(t, "> SETTLE.1 DONE answered vm1/4711.1 answered vm1/12.1\n");
}

static void who_has_answered_and_ended_holds_nothing(void **state)
{
	struct test *t = *state;
	uint32_t a = child(t, "vm1", "vm1/4711.1", 0), b = child(t, "vm1", "vm1/12.1", 0);

	relay_child_numbered(t->relay, b, 12);
	held_by(t, 0, KERNEL_PID, 0, "of the same number");
	EVENT(t, .step = SETTLE, .to_vm = true);
	done(t, a, SETTLE, 1);
	relay_child_gone(t->relay, a, true, t->now_ms);
	forget(t);
	done(t, b, SETTLE, 1);
	assert_non_null(strstr(t->said, "hyp1/vm1/94711 of the same number (veto-device-held)"));
}

/* The harness's `away_ms` is half a second. */
static int with_somebody_to_come_back(void **state)
{
	struct test *t;

	with_nobody(state);
	t = *state;
	assert_int_equal(hello_answered(t, 1), 0);
	held_by(t, 0, KERNEL_PID, 0, "a");
	EVENT(t, .step = PREPARE, .to_vm = true);
	EXPECT(t, "");
	return 0;
}

static void who_is_not_back_yet_is_waited_for_and_asked(void **state)
{
	struct test *t = *state;
	uint32_t a = child(t, "vm1", "vm1/4711.1", 0);

	EXPECT(t, "vm1/4711.1 < PREPARE.1 vm\n");
	done(t, a, PREPARE, 1);
	EXPECT(t, "> PREPARE.1 DONE answered vm1/4711.1\n");
}

static void who_does_not_come_back_is_named_in_time(void **state)
{
	struct test *t = *state;

	assert_int_equal(relay_next_ms(t->relay, t->now_ms), 500);
	pass(t, 499);
	EXPECT(t, "");
	pass(t, 1);
	EXPECT(t, "> PREPARE.1 REFUSED hyp1/vm1/94711 a (veto-device-held)\n");
	EVENT(t, .step = PREPARE, .sequence = 2, .to_vm = true);
	EXPECT(t, "> PREPARE.2 REFUSED hyp1/vm1/94711 a (veto-device-held)\n");
}

/* When that time is over there is nothing to look for until the other one answers. */
static void who_did_not_come_back_wakes_nobody_again(void **state)
{
	struct test *t = *state;
	uint32_t b = link_add(t, "vm1", "vm1/12.1");

	relay_child_numbered(t->relay, b, 12);
	say_hello(t, b, TETHER__ROLE__ROLE_SHIM, "vm1/12.1", NULL, NULL, 0);
	assert_int_equal(relay_next_ms(t->relay, t->now_ms), 500);
	pass(t, 500);
	assert_int_not_equal(relay_next_ms(t->relay, t->now_ms), 0);
	forget(t);
	done(t, b, PREPARE, 1);
	EXPECT(t, "> PREPARE.1 REFUSED answered vm1/12.1 hyp1/vm1/94711 a (veto-device-held)\n");
}

/* The parent is away for a moment: nobody below has lost his link by that. */
static void new_link_upward_gives_no_more_time(void **state)
{
	struct test *t = *state;

	pass(t, 500);
	forget(t);
	assert_int_equal(hello_answered(t, 2), 0);
	EVENT(t, .step = PREPARE, .sequence = 2, .to_vm = true);
	EXPECT(t, "> PREPARE.2 REFUSED hyp1/vm1/94711 a (veto-device-held)\n");
}

static void another_vms_process_is_not_the_one(void **state)
{
	struct test *t = *state;

	relay_vm_here(t->relay, "vm2");
	child(t, "vm2", "vm2/4711.1", 0);
	EXPECT(t, "");
	pass(t, 500);
	EXPECT(t, "> PREPARE.1 REFUSED hyp1/vm1/94711 a (veto-device-held)\n");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, with_nobody, teardown)

#define BACK_TEST(name) cmocka_unit_test_setup_teardown(name, with_somebody_to_come_back, teardown)

int main(void)
{
	static const struct CMUnitTest tests[] = {
	        TEST(who_is_not_connected_is_named),
	        TEST(who_is_connected_answers_for_himself_and_his_children),
	        TEST(a_number_is_of_one_vm),
	        TEST(who_is_connected_by_another_number_covers_nobody),
	        TEST(who_comes_back_is_known_by_the_number_of_his_new_link),
	        TEST(number_0_is_nobodys),
	        TEST(others_are_not_looked_at),
	        TEST(what_cannot_be_printed_is_not_told),
	        TEST(who_has_answered_and_is_away_is_not_named),
	        TEST(who_has_answered_and_ended_holds_nothing),
	        TEST(who_comes_after_prepare_is_named_before_the_vote_goes_up),
	        BACK_TEST(who_is_not_back_yet_is_waited_for_and_asked),
	        BACK_TEST(who_does_not_come_back_is_named_in_time),
	        BACK_TEST(who_did_not_come_back_wakes_nobody_again),
	        BACK_TEST(new_link_upward_gives_no_more_time),
	        BACK_TEST(another_vms_process_is_not_the_one),
	};

	return cmocka_run_group_tests_name("holders", tests, NULL, NULL);
}
