/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/* Hosts that say they have a VM which is another's by the root's word. */
#include "tests/unit/relay_harness.h"

static size_t foreign_vms(const struct test *t)
{
	return relay_counts(t->relay).foreign_vms;
}

static void foreign_vm_in_hello_is_not_its(void **state)
{
	struct test *t = *state;

	PLACE(t, .vm = "vm1", .host = "hyp1");
	host(t, "hyp1", "vm1", 0);
	forget(t);
	host(t, "hyp2", "vm1 vm2", 0);
	assert_int_equal(foreign_vms(t), 1);
	EVENT(t, .vm = "vm1", .to_vm = true, .expected = {"vm1/1.1"});
	EXPECT(t, "hyp1 < STOP.1 vm expects vm1/1.1\n");
	EVENT(t, .vm = "vm2", .to_vm = true, .migration = 2);
	EXPECT(t, "hyp2 < STOP.1 vm\n");
}

static Tether__Answer answer_of(Tether__Step step, const char *name)
{
	static char *names[1];
	Tether__Answer answer = answer_to(step, 1, TETHER__OUTCOME__OUTCOME_DONE);

	names[0] = (char *)name;
	answer.answered = names;
	answer.n_answered = 1;
	return answer;
}

/* Nor does it answer for who runs there. */
static void who_runs_in_a_foreign_vm_is_still_waited_for(void **state)
{
	struct test *t = *state;
	uint32_t owner, liar;
	Tether__Answer answer = answer_of(TETHER__STEP__STEP_STOP, "vm1/1.1");

	PLACE(t, .vm = "vm1", .host = "hyp1");
	owner = host(t, "hyp1", "vm1", 0);
	liar = host(t, "hyp2", "vm1", 5);
	EVENT(t, .vm = "vm1", .to_vm = true, .to_peers = true, .expected = {"vm1/1.1"});
	forget(t);
	assert_int_equal(answer_send(t, liar, &answer), 0);
	EXPECT(t, "");
	assert_int_equal(relay_counts(t->relay).foreign_claims, 1);
	assert_int_equal(answer_send(t, owner, &answer), 0);
	EXPECT(t, "> STOP.1 DONE answered vm1/1.1\n");
}

static void result_send(struct test *t, uint32_t link, Tether__Step step, const char *vm)
{
	Tether__Answer answer = answer_to(step, 1, TETHER__OUTCOME__OUTCOME_DONE);
	Tether__HostResult result = TETHER__HOST_RESULT__INIT;
	Tether__HostVm said = TETHER__HOST_VM__INIT, *vms[] = {&said};
	Tether__Slot slot = TETHER__SLOT__INIT, *slots[] = {&slot};

	said.name = (char *)vm;
	result.vms = vms;
	result.n_vms = vm != NULL;
	result.slots = slots;
	result.n_slots = 1;
	answer.result = &result;
	assert_int_equal(answer_send(t, link, &answer), 0);
}

static void order_brings_no_foreign_vm(void **state)
{
	struct test *t = *state;
	uint32_t liar;

	PLACE(t, .vm = "vm1", .host = "hyp1");
	liar = host(t, "hyp2", "vm2", 0);
	EVENT(t, .vm = "vm2", .order_host = "hyp2", .step = TETHER__STEP__STEP_ATTACH);
	result_send(t, liar, TETHER__STEP__STEP_ATTACH, "vm1");
	assert_int_equal(foreign_vms(t), 1);
	forget(t);
	EVENT(t, .vm = "vm1", .to_vm = true, .migration = 3, .sequence = 3);
	EXPECT(t, "> STOP.3 DONE\n");
}

static void unasked_result_brings_no_vm(void **state)
{
	struct test *t = *state;
	uint32_t liar = host(t, "hyp2", "vm2", 0);

	result_send(t, liar, TETHER__STEP__STEP_ATTACH, "vm9");
	assert_int_equal(foreign_vms(t), 1);
	EVENT(t, .vm = "vm9", .to_vm = true);
	EXPECT(t, "> STOP.1 DONE\n");
	/* What it says of its own counts. */
	EVENT(t, .vm = "vm2", .to_vm = true, .migration = 2, .sequence = 2);
	EXPECT(t, "> STOP.2 DONE\n");
}

static void unasked_result_of_its_own_counts(void **state)
{
	struct test *t = *state;
	uint32_t link = host(t, "hyp2", "", 0);

	PLACE(t, .vm = "vm2", .host = "hyp1", .next = "hyp2");
	forget(t);
	result_send(t, link, TETHER__STEP__STEP_ATTACH, "vm2");
	assert_int_equal(foreign_vms(t), 0);
	EVENT(t, .vm = "vm2", .to_vm = true);
	EXPECT(t, "hyp2 < STOP.1 vm\n");
}

/* What it has said before counts from when the root gives it the VM. */
static void open_event_is_handed_to_whom_the_vm_is_given(void **state)
{
	struct test *t = *state;

	PLACE(t, .vm = "vm1", .host = "hyp1");
	host(t, "hyp2", "vm1", 0);
	EVENT(t, .vm = "vm1", .to_vm = true, .expected = {"vm1/1.1"});
	EXPECT(t, "");
	PLACE(t, .vm = "vm1", .host = "hyp2");
	EXPECT(t, "hyp2 < places vm1 at hyp2\n"
	          "hyp2 < STOP.1 vm expects vm1/1.1\n");
}

static int between_relay(void **state)
{
	*state = test_create(TETHER__ROLE__ROLE_RELAY, "row1");
	return 0;
}

/* At an agent between, too; its word is passed on whole, since the root decides. */
static void foreign_vm_is_not_its_at_an_agent_between(void **state)
{
	struct test *t = *state;

	host(t, "hyp1", "vm1", 0);
	host(t, "hyp2", "vm1 vm2", 0);
	PLACE(t, .vm = "vm1", .host = "hyp1");
	forget(t);
	EVENT(t, .vm = "vm1", .to_vm = true, .expected = {"vm1/1.1"});
	EXPECT(t, "hyp1 < STOP.1 vm expects vm1/1.1\n");
	assert_int_equal(hello_answered(t, 1), 0);
	assert_non_null(strstr(t->said, "> hyp2 has vm1 vm2\n"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        ROOT_TEST(foreign_vm_in_hello_is_not_its),
	        ROOT_TEST(who_runs_in_a_foreign_vm_is_still_waited_for),
	        ROOT_TEST(order_brings_no_foreign_vm),
	        ROOT_TEST(unasked_result_brings_no_vm),
	        ROOT_TEST(unasked_result_of_its_own_counts),
	        ROOT_TEST(open_event_is_handed_to_whom_the_vm_is_given),
	        cmocka_unit_test_setup_teardown(
	                foreign_vm_is_not_its_at_an_agent_between, between_relay, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
