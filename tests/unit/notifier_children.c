/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/* Who may be a child, and whom the relay waits for: away, back, ended, expected, new, moved away.
 */
#include "tests/unit/relay_harness.h"

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
	EXPECT(t, "> STOP.1 DONE answered vm1/2.1 ended vm1/1.1\n");
}

static void process_that_ended_is_not_expected_any_more(void **state)
{
	struct test *t = *state;
	uint32_t a = child(t, "vm1", "vm1/1.1", 0);

	relay_vm_here(t->relay, "vm1");
	relay_child_gone(t->relay, a, true, t->now_ms);
	EVENT(t, .to_vm = true, .expected = {"vm1/1.1"});
	EXPECT(t, "> STOP.1 DONE ended vm1/1.1\n");
}

static void come_and_end(struct test *t, const char *vm, unsigned count)
{
	char name[32];

	for (unsigned i = 1; i <= count; i++) {
		snprintf(name, sizeof(name), "%s/%u.1", vm, i);
		relay_child_gone(t->relay, child(t, vm, name, 0), true, t->now_ms);
		t->links_count--;
		forget(t);
	}
}

static void processes_of_others_that_end_push_nobody_out(void **state)
{
	struct test *t = *state;

	relay_vm_here(t->relay, "vm1");
	come_and_end(t, "vm1", 1);
	come_and_end(t, "vm2", 5000);
	EVENT(t, .to_vm = true, .expected = {"vm1/1.1"});
	EXPECT(t, "> STOP.1 DONE ended vm1/1.1\n");
}

/* As many as may be here at one time; a job that was here may end as a whole. */
static void all_processes_of_a_vm_may_end(void **state)
{
	struct test *t = *state;

	relay_vm_here(t->relay, "vm1");
	EVENT(t, .step = PREPARE, .sequence = 1);
	come_and_end(t, "vm1", 4096);
	EVENT(t, .sequence = 2, .to_vm = true, .expected = {"vm1/1.1", "vm1/2000.1", "vm1/4096.1"});
	EXPECT(t, "> STOP.2 DONE ended vm1/1.1 ended vm1/2000.1 ended vm1/4096.1\n");
}

/* A VM that is started again numbers its processes as before. */
static void process_of_a_name_that_has_ended_lives(void **state)
{
	struct test *t = *state;
	uint32_t a = child(t, "vm1", "vm1/1.1", 0), b = child(t, "vm1", "vm1/2.1", 0);

	relay_vm_here(t->relay, "vm1");
	relay_child_gone(t->relay, a, true, t->now_ms);
	relay_child_gone(t->relay, b, true, t->now_ms);
	a = child(t, "vm1", "vm1/1.1", 0);
	relay_child_gone(t->relay, a, false, t->now_ms);
	forget(t);
	EVENT(t, .to_vm = true, .expected = {"vm1/1.1", "vm1/2.1"});
	EXPECT(t, "");
	a = child(t, "vm1", "vm1/1.1", 0);
	EXPECT(t, "vm1/1.1 < STOP.1 vm expects vm1/1.1\n");
	STOPPED(t, a);
	EXPECT(t, "> STOP.1 DONE answered vm1/1.1 ended vm1/2.1\n");
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
	        {"a guest where processes belong", "vm1", TETHER__ROLE__ROLE_GUEST, "vm1", -EACCES,
	                "x < HELLO REFUSED (bad-role)\n"},
	        {"another VM's process", "vm1", TETHER__ROLE__ROLE_SHIM, "vm2/1.1", -EACCES,
	                "x < HELLO REFUSED (foreign-name)\n"},
	        {"a VM whose name begins alike", "vm1", TETHER__ROLE__ROLE_SHIM, "vm11/1.1",
	                -EACCES, "x < HELLO REFUSED (foreign-name)\n"},
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

/* Its owner is woken then: by nothing else that happens. */
static void who_is_away_is_forgotten_once_the_migration_has_ended(void **state)
{
	struct test *t = *state;
	uint32_t a = host(t, "hyp1", "vm1", 0), b = host(t, "hyp2", "vm2", 0);
	int64_t away_ms;

	EVENT(t, .step = PREPARE, .to_vm = true);
	done(t, a, PREPARE, 1);
	relay_child_gone(t->relay, b, false, t->now_ms);
	away_ms = relay_next_ms(t->relay, t->now_ms);
	EVENT(t, .step = TETHER__STEP__STEP_RESUME, .to_vm = true);
	done(t, a, TETHER__STEP__STEP_RESUME, 1);
	assert_in_range(relay_next_ms(t->relay, t->now_ms), 1, away_ms - 1);
	pass(t, relay_next_ms(t->relay, t->now_ms));
	assert_int_equal(relay_next_ms(t->relay, t->now_ms), -1);
	b = host(t, "hyp2", "vm2", 0);
	assert_int_equal(relay_next_ms(t->relay, t->now_ms), -1);
	relay_child_gone(t->relay, b, false, t->now_ms);
	assert_in_range(relay_next_ms(t->relay, t->now_ms), 1, away_ms - 1);
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

/* Before anything else is looked at: that a namesake is here is not for whoever is not that host.
 */
static void a_child_is_who_its_certificate_says(void **state)
{
	static const struct {
		const char *what;
		Tether__Role certified;
		const char *name;
		const char *said;
	} rows[] = {
	        {"itself", TETHER__ROLE__ROLE_HOST, "hyp2", ""},
	        {"another host", TETHER__ROLE__ROLE_HOST, "hyp3",
	                "x < HELLO REFUSED (foreign-name)\n"},
	        {"a host that is here", TETHER__ROLE__ROLE_HOST, "hyp1",
	                "x < HELLO REFUSED (foreign-name)\n"},
	        {"a name that begins alike", TETHER__ROLE__ROLE_HOST, "hyp22",
	                "x < HELLO REFUSED (foreign-name)\n"},
	        {"another role", TETHER__ROLE__ROLE_NONE, "hyp2", "x < HELLO REFUSED (bad-role)\n"},
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct test *t = test_create(TETHER__ROLE__ROLE_ROOT, "");
		uint32_t link;

		host(t, "hyp1", "vm1", 5);
		forget(t);
		link = link_add(t, NULL, "x");
		assert_int_equal(
		        relay_child_certified(t->relay, link, rows[i].certified, "hyp2"), 0);
		say_hello(t, link, TETHER__ROLE__ROLE_HOST, rows[i].name, "", NULL, 0);
		if (strcmp(t->said, rows[i].said) != 0)
			fail_msg("%s: %s", rows[i].what, t->said);
		teardown((void **)&t);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(a_child_is_who_its_certificate_says),
	        HOST_TEST(child_that_comes_back_is_given_the_open_event_again),
	        HOST_TEST(child_that_has_answered_is_not_asked_again),
	        HOST_TEST(child_that_stays_away_is_missing),
	        HOST_TEST(ended_process_is_not_waited_for),
	        HOST_TEST(process_that_ended_is_not_expected_any_more),
	        HOST_TEST(processes_of_others_that_end_push_nobody_out),
	        HOST_TEST(all_processes_of_a_vm_may_end),
	        HOST_TEST(process_of_a_name_that_has_ended_lives),
	        HOST_TEST(child_away_when_the_event_comes_is_waited_for),
	        HOST_TEST(child_forgotten_after_its_time_away_is_not_waited_for),
	        HOST_TEST(expected_process_gets_the_event_when_it_comes),
	        HOST_TEST(expected_process_that_never_comes_is_missing),
	        HOST_TEST(expected_peer_is_handed_the_event_without_known_interest),
	        HOST_TEST(process_that_starts_during_an_event_gets_it),
	        HOST_TEST(vm_that_left_is_not_waited_for),
	        HOST_TEST(process_of_a_vm_that_left_and_comes_back_is_waited_for),
	        cmocka_unit_test(hello_is_checked),
	        HOST_TEST(name_in_use_cannot_be_taken),
	        HOST_TEST(nothing_is_taken_before_hello),
	        HOST_TEST(silent_link_is_closed),
	        ROOT_TEST(who_is_away_is_forgotten_once_the_migration_has_ended),
	        ROOT_TEST(root_waits_for_a_host_that_is_restarted),
	};

	return cmocka_run_group_tests_name("notifier_children", tests, NULL, NULL);
}
