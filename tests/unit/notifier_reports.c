/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/* How the agents are: who is asked, and who may answer for whom. */
#include "tests/unit/relay_harness.h"

static void ask(struct test *t, uint32_t request)
{
	relay_reports_ask(t->relay, request);
	forget(t);
}

static int report_send(struct test *t, uint32_t link, Tether__Report *report)
{
	Tether__Frame frame = TETHER__FRAME__INIT;

	frame.body_case = TETHER__FRAME__BODY_REPORT;
	frame.report = report;
	return relay_child_frame(t->relay, link, &frame, t->now_ms);
}

static int says_report(
        struct test *t, uint32_t link, uint32_t request, Tether__Role role, const char *name)
{
	Tether__Report report = TETHER__REPORT__INIT;

	report.request = request;
	report.role = role;
	report.name = (char *)name;
	report.behind = (char *)"somebody";
	report.version = (char *)"0.1";
	return report_send(t, link, &report);
}

/* That is all of @name's: its own answer (@version), or a word of its own after it (""). */
static void last_says(
        struct test *t, uint32_t link, Tether__Role role, const char *name, const char *version)
{
	Tether__Report report = TETHER__REPORT__INIT;

	report.request = 7;
	report.role = role;
	report.name = (char *)name;
	report.version = (char *)version;
	report.last = true;
	assert_int_equal(report_send(t, link, &report), 0);
}

static void host_says(struct test *t, uint32_t link, uint32_t request, const char *name)
{
	assert_int_equal(says_report(t, link, request, TETHER__ROLE__ROLE_HOST, name), 0);
}

static void guest_says(struct test *t, uint32_t link, uint32_t request, const char *name)
{
	assert_int_equal(says_report(t, link, request, TETHER__ROLE__ROLE_GUEST, name), 0);
}

/* Who reports over a link. */
struct speaker {
	const char *what;
	Tether__Role role;
	const char *name;
};

/* What they answer to question 7 goes nowhere, and is counted. */
static void none_is_listened_to(
        struct test *t, uint32_t link, const struct speaker *speakers, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		const struct speaker *speaker = &speakers[i];

		print_message("# %s\n", speaker->what);
		assert_int_equal(says_report(t, link, 7, speaker->role, speaker->name), 0);
		EXPECT(t, "");
		assert_int_equal(relay_counts(t->relay).unasked_reports, i + 1);
	}
}

static void each_agent_is_asked_once_and_no_process(void **state)
{
	struct test *t = *state;
	uint32_t away = guest_of(t, "vm3", "");

	child(t, "vm1", "vm1/1.1", 0);
	guest_of(t, "vm2", "");
	link_add(t, "vm4", "without a HELLO");
	relay_child_gone(t->relay, away, false, t->now_ms);
	forget(t);
	relay_reports_ask(t->relay, 7);
	EXPECT(t, "vm2 < report 7\n");
}

static void question_from_above_goes_to_the_owner_and_on(void **state)
{
	struct test *t = *state;
	Tether__Frame frame = TETHER__FRAME__INIT;
	Tether__Report question = TETHER__REPORT__INIT;
	uint32_t vm2 = guest_of(t, "vm2", "");

	forget(t);
	question.request = 9;
	frame.body_case = TETHER__FRAME__BODY_REPORT;
	frame.report = &question;
	assert_int_equal(relay_parent_frame(t->relay, &frame, t->now_ms), 0);
	EXPECT(t, "asked to report 9\nvm2 < report 9\n");
	guest_says(t, vm2, 9, "vm2");
	EXPECT(t, "> report 9 of vm2\n");
}

static void guest_is_called_what_its_channel_says(void **state)
{
	struct test *t = *state;
	uint32_t vm2 = guest_of(t, "vm2", "");

	ask(t, 7);
	guest_says(t, vm2, 7, "vm3");
	EXPECT(t, "");
	guest_says(t, vm2, 7, "");
	EXPECT(t, "> report 7 of vm2\n");
}

static void answer_goes_up_once(void **state)
{
	struct test *t = *state;
	uint32_t a = host(t, "hyp1", "", 0);

	ask(t, 7);
	host_says(t, a, 7, "hyp1");
	host_says(t, a, 7, "hyp1");
	EXPECT(t, "> report 7 of hyp1\n");
	assert_int_equal(relay_counts(t->relay).unasked_reports, 1);
}

static void what_nobody_asked_goes_nowhere(void **state)
{
	struct test *t = *state;
	uint32_t a = host(t, "hyp1", "", 0);

	forget(t);
	host_says(t, a, 0, "hyp1");
	ask(t, 7);
	ask(t, 8);
	host_says(t, a, 7, "hyp1");
	host_says(t, a, 9, "hyp1");
	EXPECT(t, "");
	assert_int_equal(relay_counts(t->relay).unasked_reports, 3);
	host_says(t, a, 8, "hyp1");
	EXPECT(t, "> report 8 of hyp1\n");
}

static void nobody_reports_for_somebody_else(void **state)
{
	static const struct speaker others[] = {
	        {"another host", TETHER__ROLE__ROLE_HOST, "hyp2"},
	        {"another host's guest", TETHER__ROLE__ROLE_GUEST, "vm3"},
	        {"itself as a guest", TETHER__ROLE__ROLE_GUEST, "hyp1"},
	        {"its guest as a host", TETHER__ROLE__ROLE_HOST, "vm1"},
	};
	struct test *t = *state;
	uint32_t a = host(t, "hyp1", "vm1 vm2", 0);

	host(t, "hyp2", "vm3", 0);
	ask(t, 7);
	none_is_listened_to(t, a, others, ARRAY_SIZE(others));
	/* Whom it is behind, a child is not asked. */
	guest_says(t, a, 7, "vm1");
	host_says(t, a, 7, "hyp1");
	EXPECT(t, "> report 7 of vm1 behind hyp1\n> report 7 of hyp1\n");
}

/* An agent between, with the host hyp3 and its VM vm3 behind it. */
static uint32_t between(struct test *t, const char *name)
{
	uint32_t link = link_add(t, NULL, name);
	Tether__Frame frame = TETHER__FRAME__INIT;
	Tether__HostBehind behind = TETHER__HOST_BEHIND__INIT;
	Tether__HostVm vm = TETHER__HOST_VM__INIT, *vms[] = {&vm};

	assert_int_equal(say_hello(t, link, TETHER__ROLE__ROLE_RELAY, name, NULL, NULL, 0), 0);
	vm.name = (char *)"vm3";
	behind.name = (char *)"hyp3";
	behind.vms = vms;
	behind.n_vms = 1;
	frame.body_case = TETHER__FRAME__BODY_BEHIND;
	frame.behind = &behind;
	assert_int_equal(relay_child_frame(t->relay, link, &frame, t->now_ms), 0);
	return link;
}

static void agent_between_passes_up_those_behind_it_alone(void **state)
{
	static const struct speaker others[] = {
	        {"a host beside it", TETHER__ROLE__ROLE_HOST, "hyp1"},
	        {"a host that is nowhere", TETHER__ROLE__ROLE_HOST, "hyp4"},
	        {"itself as a host", TETHER__ROLE__ROLE_HOST, "rack1"},
	        {"the guest of a host beside it", TETHER__ROLE__ROLE_GUEST, "vm1"},
	        {"a host beside it as an agent between", TETHER__ROLE__ROLE_RELAY, "hyp1"},
	};
	struct test *t = *state;
	uint32_t rack = between(t, "rack1");

	host(t, "hyp1", "vm1", 0);
	ask(t, 7);
	none_is_listened_to(t, rack, others, ARRAY_SIZE(others));
	assert_int_equal(says_report(t, rack, 7, TETHER__ROLE__ROLE_RELAY, "rack1"), 0);
	assert_int_equal(says_report(t, rack, 7, TETHER__ROLE__ROLE_RELAY, "rack2"), 0);
	host_says(t, rack, 7, "hyp3");
	guest_says(t, rack, 7, "vm3");
	EXPECT(t, "> report 7 of rack1\n> report 7 of rack2 behind rack1\n"
	          "> report 7 of hyp3 behind rack1\n> report 7 of vm3 behind rack1\n");
}

static void no_more_answers_than_there_can_be_agents(void **state)
{
	struct test *t = *state;
	uint32_t a = host(t, "hyp1", "vm1 vm2", 0);

	relay_reports_ask(t->relay, 7);
	for (size_t i = 0; i < 3; i++)
		guest_says(t, a, 7, "vm1");
	assert_int_equal(relay_counts(t->relay).unasked_reports, 0);
	guest_says(t, a, 7, "vm1");
	assert_int_equal(relay_counts(t->relay).unasked_reports, 1);
}

static void last_is_said_when_all_have_said_it(void **state)
{
	struct test *t = *state;
	uint32_t a = host(t, "hyp1", "vm1", 0), b = host(t, "hyp2", "", 0);

	ask(t, 7);
	last_says(t, b, TETHER__ROLE__ROLE_HOST, "hyp2", "0.1");
	host_says(t, a, 7, "hyp1");
	guest_says(t, a, 7, "vm1");
	EXPECT(t, "> report 7 of hyp2\n> report 7 of hyp1\n> report 7 of vm1 behind hyp1\n");
	/* Of somebody behind it, or of somebody else, it says nothing. */
	last_says(t, a, TETHER__ROLE__ROLE_GUEST, "vm1", "");
	last_says(t, a, TETHER__ROLE__ROLE_HOST, "hyp2", "");
	EXPECT(t, "");
	last_says(t, a, TETHER__ROLE__ROLE_HOST, "hyp1", "");
	EXPECT(t, "> report 7, the last\n");
	/* After its last word nobody is heard. */
	host_says(t, a, 7, "hyp1");
	EXPECT(t, "");
	assert_int_equal(relay_counts(t->relay).unasked_reports, 3);
}

static void who_goes_is_not_due_any_more(void **state)
{
	struct test *t = *state;
	uint32_t a = guest_of(t, "vm1", ""), b = guest_of(t, "vm2", "");

	ask(t, 7);
	last_says(t, a, TETHER__ROLE__ROLE_GUEST, "vm1", "0.1");
	EXPECT(t, "> report 7 of vm1\n");
	relay_child_gone(t->relay, b, false, t->now_ms);
	EXPECT(t, "> report 7 of hyp1, the last\n");
	/* Nor is one that comes back. */
	b = guest_of(t, "vm2", "");
	forget(t);
	last_says(t, b, TETHER__ROLE__ROLE_GUEST, "vm2", "0.1");
	EXPECT(t, "");
}

static void who_is_sent_away_is_not_due_any_more(void **state)
{
	struct test *t = *state;

	assert_int_equal(relay_vm_here(t->relay, "vm1"), 0);
	guest_of(t, "vm1", "");
	ask(t, 7);
	relay_vm_left(t->relay, "vm1", t->now_ms);
	EXPECT(t, "vm1 closed: the VM has left\n> report 7 of hyp1, the last\n");
}

static void of_nobody_the_last_is_said_at_once(void **state)
{
	struct test *t = *state;

	forget(t);
	relay_reports_ask(t->relay, 7);
	EXPECT(t, "> report 7, the last\n");
}

/* What stands in a report, beside who says it. */
struct content {
	const char *version, *vm, *counter;
	size_t vms, counters;
	const char *said;
};

static void says_content(struct test *t, uint32_t link, const struct content *content)
{
	Tether__Report report = TETHER__REPORT__INIT;
	Tether__VmReport vm = TETHER__VM_REPORT__INIT, *vms[5000];
	Tether__Counter counter = TETHER__COUNTER__INIT, *counters[500];

	vm.name = (char *)content->vm;
	counter.name = (char *)content->counter;
	for (size_t i = 0; i < content->vms; i++)
		vms[i] = &vm;
	for (size_t i = 0; i < content->counters; i++)
		counters[i] = &counter;
	report.request = 7;
	report.name = (char *)"hyp1";
	report.role = TETHER__ROLE__ROLE_HOST;
	report.version = (char *)content->version;
	report.vms = vms;
	report.n_vms = content->vms;
	report.counters = counters;
	report.n_counters = content->counters;
	assert_int_equal(report_send(t, link, &report), 0);
}

static void what_no_agent_says_goes_nowhere(void **state)
{
	static const char good[] = "> report 7 of hyp1\n";
	static const char long_version[] =
	        "0.1.2.3.4.5.6.7.8.9.0.1.2.3.4.5.6.7.8.9.0.1.2.3.4.5.6.7.8.9.0.1.2.3";
	static const struct content rows[] = {
	        {"0.1", "vm1", "events", 1, 1, good},
	        {"0.1", "vm1", "events", 4096, 256, good},
	        {"", "vm1", "events", 1, 1, ""},
	        {"\033[2J", "vm1", "events", 1, 1, ""},
	        {"0.1\n", "vm1", "events", 1, 1, ""},
	        {long_version, "vm1", "events", 1, 1, ""},
	        {"0.1", "vm\0331", "events", 1, 1, ""},
	        {"0.1", "", "events", 1, 1, ""},
	        {"0.1", "vm1", "ev\nents", 1, 1, ""},
	        {"0.1", "vm1", "events", 4097, 1, ""},
	        {"0.1", "vm1", "events", 1, 257, ""},
	};
	struct test *t = *state;
	uint32_t a = host(t, "hyp1", "vm1", 0);

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		ask(t, 7);
		says_content(t, a, &rows[i]);
		EXPECT(t, rows[i].said);
	}
	assert_int_equal(relay_counts(t->relay).bad_reports, ARRAY_SIZE(rows) - 2);
}

static void process_that_reports_is_not_listened_to(void **state)
{
	struct test *t = *state;
	uint32_t a = child(t, "vm1", "vm1/1.1", 0);

	ask(t, 7);
	assert_int_equal(says_report(t, a, 7, TETHER__ROLE__ROLE_SHIM, "vm1/1.1"), -EPROTO);
	EXPECT(t, "");
}

static uint64_t counted(const Tether__Report *report, const char *name)
{
	for (size_t i = 0; i < report->n_counters; i++)
		if (!strcmp(report->counters[i]->name, name))
			return report->counters[i]->value;
	fail_msg("%s is not counted", name);
	return 0;
}

static uint32_t processes(const Tether__Report *report, const char *vm)
{
	for (size_t i = 0; i < report->n_vms; i++)
		if (!strcmp(report->vms[i]->name, vm))
			return report->vms[i]->processes;
	fail_msg("%s is not there", vm);
	return 0;
}

static void report_says_what_is_connected(void **state)
{
	struct test *t = *state;
	uint32_t a = child(t, "vm1", "vm1/1.1", 0);
	Tether__Report report;

	for (size_t i = 1; i <= 4; i++) {
		char name[8];

		snprintf(name, sizeof(name), "vm%zu", i);
		assert_int_equal(relay_vm_here(t->relay, name), 0);
	}
	relay_vm_left(t->relay, "vm4", t->now_ms);
	child(t, "vm1", "vm1/2.1", 0);
	child(t, "vm2", "vm2/1.1", 0);
	guest_of(t, "vm2", "");
	link_add(t, "vm1", "without a HELLO");
	assert_int_equal(relay_report_fill(t->relay, &report), 0);
	assert_string_equal(report.name, "hyp1");
	assert_int_equal(report.role, TETHER__ROLE__ROLE_HOST);
	assert_true(*report.version);
	assert_int_equal(report.n_vms, 3);
	assert_int_equal(processes(&report, "vm1"), 2);
	assert_int_equal(processes(&report, "vm2"), 1);
	assert_int_equal(processes(&report, "vm3"), 0);
	assert_int_equal(report.agents, 1);
	assert_false(report.last);
	relay_report_clear(&report);
	relay_child_gone(t->relay, a, false, t->now_ms);
	assert_int_equal(relay_report_fill(t->relay, &report), 0);
	assert_int_equal(processes(&report, "vm1"), 1);
	relay_report_clear(&report);
}

static void report_says_what_is_under_way_and_was_counted(void **state)
{
	struct test *t = *state;
	Tether__Report report;

	EVENT(t, .to_vm = true, .migration = 3, .epoch = 5);
	EVENT(t, .to_vm = true, .migration = 3, .epoch = 5);
	assert_int_equal(relay_report_fill(t->relay, &report), 0);
	assert_int_equal(report.open, 1);
	assert_int_equal(report.epoch, 5);
	assert_true(report.last);
	assert_int_equal(counted(&report, "events"), 2);
	assert_int_equal(counted(&report, "repeated_events"), 1);
	assert_int_equal(counted(&report, "late_answers"), 0);
	relay_report_clear(&report);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        HOST_TEST(each_agent_is_asked_once_and_no_process),
	        HOST_TEST(question_from_above_goes_to_the_owner_and_on),
	        HOST_TEST(guest_is_called_what_its_channel_says),
	        ROOT_TEST(answer_goes_up_once),
	        ROOT_TEST(what_nobody_asked_goes_nowhere),
	        ROOT_TEST(nobody_reports_for_somebody_else),
	        ROOT_TEST(agent_between_passes_up_those_behind_it_alone),
	        ROOT_TEST(no_more_answers_than_there_can_be_agents),
	        ROOT_TEST(last_is_said_when_all_have_said_it),
	        HOST_TEST(who_goes_is_not_due_any_more),
	        HOST_TEST(who_is_sent_away_is_not_due_any_more),
	        ROOT_TEST(of_nobody_the_last_is_said_at_once),
	        ROOT_TEST(what_no_agent_says_goes_nowhere),
	        HOST_TEST(process_that_reports_is_not_listened_to),
	        HOST_TEST(report_says_what_is_connected),
	        HOST_TEST(report_says_what_is_under_way_and_was_counted),
	};

	return cmocka_run_group_tests_name("notifier_reports", tests, NULL, NULL);
}
