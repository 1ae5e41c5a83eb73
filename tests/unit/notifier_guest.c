/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/* A relay in a VM, and the one on the physical server that it is a child of. */
#include "tests/unit/relay_harness.h"

#define STOP    TETHER__STEP__STEP_STOP
#define RELEASE TETHER__STEP__STEP_RELEASE
#define ATTACH  TETHER__STEP__STEP_ATTACH
#define RESUME  TETHER__STEP__STEP_RESUME

static void guest_is_who_its_channel_says(void **state)
{
	static const struct {
		const char *what;
		Tether__Role role;
		const char *name;
		int ret;
		const char *said;
	} rows[] = {
	        {"itself", TETHER__ROLE__ROLE_GUEST, "vm1", 0, "x < HELLO DONE is vm1\n"},
	        {"who does not know", TETHER__ROLE__ROLE_GUEST, "", 0, "x < HELLO DONE is vm1\n"},
	        {"another VM", TETHER__ROLE__ROLE_GUEST, "vm2", -EACCES,
	                "x < HELLO REFUSED (foreign-name) is vm1\n"},
	        {"one of its processes", TETHER__ROLE__ROLE_GUEST, "vm1/1.1", -EACCES,
	                "x < HELLO REFUSED (foreign-name) is vm1\n"},
	        {"a process", TETHER__ROLE__ROLE_SHIM, "vm1/1.1", -EACCES,
	                "x < HELLO REFUSED (bad-role) is vm1\n"},
	        {"a host", TETHER__ROLE__ROLE_HOST, "hyp2", -EACCES,
	                "x < HELLO REFUSED (bad-role) is vm1\n"},
	        {"a process without a name", TETHER__ROLE__ROLE_SHIM, "", -EACCES,
	                "x < HELLO REFUSED (bad-role) is vm1\n"},
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct test *t = test_create(TETHER__ROLE__ROLE_HOST, "hyp1");
		uint32_t link = guest_link_add(t, "vm1", "x");

		print_message("# %s\n", rows[i].what);
		t->says_welcome = true;
		assert_int_equal(
		        say_hello(t, link, rows[i].role, rows[i].name, NULL, NULL, 0), rows[i].ret);
		EXPECT(t, rows[i].said);
		teardown((void **)&t);
	}
}

static Tether__Answer named_answer(char **names, size_t count)
{
	Tether__Answer answer = answer_to(STOP, 1, TETHER__OUTCOME__OUTCOME_DONE);

	answer.answered = names;
	answer.n_answered = count;
	return answer;
}

/* And answers for all its processes, those too that have ended there. */
static void guest_gets_an_event_once(void **state)
{
	struct test *t = *state;
	char *names[] = {"vm1/1.1", "vm1/2.1"};
	char *ended[] = {"vm1/3.1"};
	Tether__Answer answer = named_answer(names, 2);
	uint32_t link;

	relay_vm_here(t->relay, "vm1");
	link = guest_of(t, "vm1", "");
	EVENT(t, .to_vm = true, .expected = {"vm1/1.1", "vm1/2.1", "vm1/3.1"});
	EXPECT(t, "vm1 < STOP.1 vm expects vm1/1.1 expects vm1/2.1 expects vm1/3.1\n");
	answer.ended = ended;
	answer.n_ended = 1;
	assert_int_equal(answer_send(t, link, &answer), 0);
	EXPECT(t, "> STOP.1 DONE answered vm1/1.1 answered vm1/2.1 ended vm1/3.1\n");
}

static void guest_that_is_away_is_waited_for(void **state)
{
	struct test *t = *state;
	char *names[] = {"vm1/1.1"};
	Tether__Answer answer = named_answer(names, 1);
	uint32_t link;

	relay_vm_here(t->relay, "vm1");
	link = guest_of(t, "vm1", "");
	relay_child_gone(t->relay, link, false, t->now_ms);
	EVENT(t, .to_vm = true, .expected = {"vm1/1.1"});
	EXPECT(t, "");
	link = guest_of(t, "vm1", "");
	EXPECT(t, "vm1 < STOP.1 vm expects vm1/1.1\n");
	relay_child_gone(t->relay, link, false, t->now_ms);
	link = guest_of(t, "vm1", "");
	EXPECT(t, "vm1 < STOP.1 vm expects vm1/1.1\n");
	assert_int_equal(answer_send(t, link, &answer), 0);
	EXPECT(t, "> STOP.1 DONE answered vm1/1.1\n");
}

static void guest_that_does_not_answer_is_named_with_its_processes(void **state)
{
	struct test *t = *state;

	relay_vm_here(t->relay, "vm1");
	guest_of(t, "vm1", "");
	EVENT(t, .to_vm = true, .expected = {"vm1/1.1"});
	forget(t);
	pass(t, DEADLINE_MS);
	EXPECT(t, "> STOP.1 PARTIAL missing vm1/1.1 missing vm1\n");
}

static int parent_answers(struct test *t, uint64_t epoch, Tether__Event *released)
{
	Tether__Frame frame = TETHER__FRAME__INIT;
	Tether__HelloAnswer answer = TETHER__HELLO_ANSWER__INIT;

	answer.outcome = TETHER__OUTCOME__OUTCOME_DONE;
	answer.epoch = epoch;
	answer.vm = "vm1";
	answer.released = released;
	frame.body_case = TETHER__FRAME__BODY_HELLO_ANSWER;
	frame.hello_answer = &answer;
	return relay_parent_frame(t->relay, &frame, t->now_ms);
}

/* The other host's agent has seen less, and gives the event again, as to every child. */
static void guest_goes_on_under_another_host(void **state)
{
	struct test *t = *state;
	uint32_t a;

	relay_vm_here(t->relay, "vm1");
	assert_int_equal(parent_answers(t, 9, NULL), 0);
	a = child(t, "vm1", "vm1/1.1", 5);
	forget(t);
	EVENT(t, .step = RELEASE, .epoch = 9, .to_vm = true);
	EXPECT(t, "vm1/1.1 < RELEASE.1 vm\n");
	relay_parent_lost(t->relay);
	assert_int_equal(parent_answers(t, 3, NULL), 0);
	EVENT(t, .step = RELEASE, .epoch = 9, .to_vm = true);
	EXPECT(t, "");
	{
		Tether__Answer answer = answer_to(RELEASE, 1, TETHER__OUTCOME__OUTCOME_DONE);

		answer.epoch = 9;
		assert_int_equal(answer_send(t, a, &answer), 0);
	}
	EXPECT(t, "> RELEASE.1 DONE answered vm1/1.1\n");
	EVENT(t, .step = RELEASE, .epoch = 9, .to_vm = true);
	EXPECT(t, "> RELEASE.1 DONE answered vm1/1.1\n");
	EVENT(t, .step = STOP, .sequence = 2, .epoch = 8, .to_vm = true);
	EXPECT(t, "> STOP.2 REFUSED  (old-epoch)\n");
}

static void host_leaves_a_root_that_has_seen_less(void **state)
{
	struct test *t = *state;

	assert_int_equal(parent_answers(t, 9, NULL), 0);
	assert_int_equal(parent_answers(t, 3, NULL), -ESTALE);
}

/* Once on the way up, and the same as of a process without a guest's agent between. */
static void refusal_names_vm_and_process(void **state)
{
	struct test *t = *state, *host;
	Tether__Answer answer = answer_to(STOP, 1, TETHER__OUTCOME__OUTCOME_REFUSED);
	Tether__Refusal refusal = TETHER__REFUSAL__INIT;
	Tether__Refusal *refusals[] = {&refusal};
	uint32_t link = child(t, "vm1", "vm1/1.1", 0);

	refusal.reason = "veto";
	answer.refusals = refusals;
	answer.n_refusals = 1;
	EVENT(t, .to_vm = true);
	forget(t);
	assert_int_equal(answer_send(t, link, &answer), 0);
	EXPECT(t, "> STOP.1 REFUSED answered vm1/1.1 vm1/4711 ib_write_bw (veto)\n");

	refusal.who = "vm1/4711 ib_write_bw";
	host = test_create(TETHER__ROLE__ROLE_HOST, "hyp1");
	link = guest_of(host, "vm1", "");
	EVENT(host, .to_vm = true);
	forget(host);
	assert_int_equal(answer_send(host, link, &answer), 0);
	EXPECT(host, "> STOP.1 REFUSED hyp1/vm1/4711 ib_write_bw (veto)\n");
	teardown((void **)&host);
}

/* It was started again while its VM had no device, and has forgotten RELEASE. */
static void guest_is_told_that_its_vm_is_without_its_device(void **state)
{
	struct test *t = *state;
	uint64_t open[] = {1};
	uint32_t link;

	link = guest_of(t, "vm1", "");
	EVENT(t, .step = RELEASE, .to_vm = true, .overall_ms = 5000);
	done(t, link, RELEASE, 1);
	relay_child_gone(t->relay, link, false, t->now_ms);
	pass(t, 100);
	forget(t);
	t->says_welcome = true;
	link = guest_of(t, "vm1", "");
	EXPECT(t, "vm1 < HELLO DONE is vm1 released 4900\n");
	relay_child_gone(t->relay, link, false, t->now_ms);
	t->open = open;
	t->open_count = 1;
	guest_of(t, "vm1", "");
	EXPECT(t, "vm1 < HELLO DONE is vm1\n");
}

static void guest_tells_who_starts_that_the_device_is_away(void **state)
{
	struct test *t = *state;
	Tether__Event released = TETHER__EVENT__INIT;
	Tether__Address address = TETHER__ADDRESS__INIT;

	released.migration = released.epoch = released.sequence = 1;
	released.step = RELEASE;
	released.vm = "vm1";
	released.address = &address;
	released.to_vm = true;
	released.overall_ms = 5000;
	relay_vm_here(t->relay, "vm1");
	assert_int_equal(parent_answers(t, 1, &released), 0);
	t->says_welcome = true;
	t->takes_part_in = 1;
	child(t, "vm1", "vm1/1.1", 0);
	EXPECT(t, "vm1/1.1 < HELLO DONE\n");
	t->takes_part_in = 0;
	child(t, "vm1", "vm1/2.1", 0);
	EXPECT(t, "vm1/2.1 < RELEASE.1 vm\nvm1/2.1 < HELLO DONE\n");
	EVENT(t, .step = RESUME, .sequence = 2, .to_vm = true);
	forget(t);
	child(t, "vm1", "vm1/3.1", 0);
	EXPECT(t, "vm1/3.1 < HELLO DONE\nvm1/3.1 < RESUME.2 vm\n");
}

/* It would be the guest's own to say who is hidden in there. */
static void host_ignores_what_a_guest_is_told(void **state)
{
	struct test *t = *state;
	Tether__Event released = TETHER__EVENT__INIT;

	released.step = RELEASE;
	released.vm = "vm1";
	released.to_vm = true;
	released.overall_ms = 5000;
	assert_int_equal(parent_answers(t, 1, &released), 0);
	t->says_welcome = true;
	child(t, "vm1", "vm1/1.1", 0);
	EXPECT(t, "vm1/1.1 < HELLO DONE\n");
}

static void guest_may_know_more_addresses_than_a_process(void **state)
{
	struct test *t = *state;
	uint32_t process = child(t, "vm1", "vm1/1.1", 0), link = guest_of(t, "vm2", "");

	for (uint32_t lid = 1; lid <= 9; lid++)
		interest(t, process, lid, lid, false);
	assert_non_null(strstr(t->said, "(too-many-interests)"));
	forget(t);
	for (uint32_t lid = 1; lid <= 4 * 8; lid++)
		interest(t, link, lid, lid, false);
	assert_null(strstr(t->said, "(too-many-"));
	forget(t);
	interest(t, link, 999, 999, false);
	assert_non_null(strstr(t->said, "(too-many-interests)"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(guest_is_who_its_channel_says),
	        HOST_TEST(guest_gets_an_event_once),
	        HOST_TEST(guest_that_is_away_is_waited_for),
	        HOST_TEST(guest_that_does_not_answer_is_named_with_its_processes),
	        GUEST_TEST(guest_goes_on_under_another_host),
	        HOST_TEST(host_leaves_a_root_that_has_seen_less),
	        GUEST_TEST(refusal_names_vm_and_process),
	        HOST_TEST(guest_is_told_that_its_vm_is_without_its_device),
	        GUEST_TEST(guest_tells_who_starts_that_the_device_is_away),
	        HOST_TEST(host_ignores_what_a_guest_is_told),
	        HOST_TEST(guest_may_know_more_addresses_than_a_process),
	};

	return cmocka_run_group_tests_name("notifier_guest", tests, NULL, NULL);
}
