/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/* What a process is told that starts while its VM has no device. */
#include "tests/unit/relay_harness.h"

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

/* It takes part in another one, too, as a peer; that one came later. */
static void process_that_takes_part_in_two_gets_release_as_it_is(void **state)
{
	struct test *t = *state;
	uint64_t open[] = {1, 7};

	relay_vm_here(t->relay, "vm1");
	EVENT(t, .step = TETHER__STEP__STEP_RELEASE, .to_vm = true, .expected = {"vm1/1.1"});
	forget(t);
	t->says_welcome = true;
	t->takes_part_in = 7;
	t->open = open;
	t->open_count = 2;
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

int main(void)
{
	const struct CMUnitTest tests[] = {
	        HOST_TEST(process_that_starts_after_release_is_told_before_it_is_welcome),
	        HOST_TEST(process_that_takes_part_gets_release_as_it_is),
	        HOST_TEST(process_that_takes_part_in_two_gets_release_as_it_is),
	        HOST_TEST(nobody_is_told_of_an_absence_that_is_over),
	        HOST_TEST(process_that_starts_where_the_vm_arrives_opens_nothing_before_resume),
	        HOST_TEST(nobody_waits_for_a_resume_that_does_not_follow),
	        HOST_TEST(reconnect_alone_is_no_absence),
	        HOST_TEST(nobody_is_told_of_another_vms_absence),
	};

	return cmocka_run_group_tests_name("notifier_absence", tests, NULL, NULL);
}
