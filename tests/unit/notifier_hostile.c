/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/* Children that lie about others: nobody else's answer is lost or changed, and it is counted. */
#include "tests/unit/relay_harness.h"

#define STOP TETHER__STEP__STEP_STOP

struct lie {
	const char *answered, *missing, *who;
	const char *inventory_of; /* NULL: none */
};

static void lie_send(struct test *t, uint32_t link, const struct lie *lie)
{
	Tether__Answer answer = answer_to(STOP, 1, TETHER__OUTCOME__OUTCOME_DONE);
	Tether__Refusal refusal = TETHER__REFUSAL__INIT;
	Tether__Refusal *refusals[] = {&refusal};
	Tether__HostResult result = TETHER__HOST_RESULT__INIT;

	answer.answered = (char **)&lie->answered;
	answer.n_answered = lie->answered ? 1 : 0;
	answer.missing = (char **)&lie->missing;
	answer.n_missing = lie->missing ? 1 : 0;
	refusal.who = (char *)lie->who;
	refusal.reason = (char *)"veto";
	answer.refusals = refusals;
	answer.n_refusals = lie->who ? 1 : 0;
	result.host = (char *)lie->inventory_of;
	answer.result = lie->inventory_of ? &result : NULL;
	assert_int_equal(answer_send(t, link, &answer), 0);
}

/* vm1 has a guest, vm2 a process that is honest; both are concerned. */
static void guest_answers_for_nobody_else(void **state)
{
	static const struct {
		const char *what;
		struct lie lie;
		unsigned foreign;
		const char *said;
	} rows[] = {
	        {"itself", {.answered = "vm1/1.1"}, 0,
	                "> STOP.1 DONE answered vm1/1.1 answered vm2/1.1\n"},
	        {"another VM's process", {.answered = "vm2/1.1"}, 1,
	                "> STOP.1 DONE answered vm2/1.1\n"},
	        {"another VM's process is missing", {.missing = "vm2/1.1"}, 1,
	                "> STOP.1 DONE answered vm2/1.1\n"},
	        {"another VM's guest is missing", {.missing = "vm2"}, 1,
	                "> STOP.1 DONE answered vm2/1.1\n"},
	        {"its host is missing", {.missing = "hyp1"}, 1, "> STOP.1 DONE answered vm2/1.1\n"},
	        {"a VM is no process", {.answered = "vm1"}, 1, "> STOP.1 DONE answered vm2/1.1\n"},
	        {"a name that begins alike", {.answered = "vm11/1.1"}, 1,
	                "> STOP.1 DONE answered vm2/1.1\n"},
	        {"nobody", {.answered = "vm1/"}, 1, "> STOP.1 DONE answered vm2/1.1\n"},
	        {"empty", {.answered = "", .missing = ""}, 2, "> STOP.1 DONE answered vm2/1.1\n"},
	        {"blames another VM", {.who = "vm2/11 ib_write_bw"}, 1,
	                "> STOP.1 DONE answered vm2/1.1 hyp1/vm1 (veto)\n"},
	        {"blames its own", {.who = "vm1/11 ib_write_bw"}, 0,
	                "> STOP.1 DONE answered vm2/1.1 hyp1/vm1/11 ib_write_bw (veto)\n"},
	        {"its host's inventory", {.inventory_of = "hyp1"}, 1,
	                "> STOP.1 DONE answered vm2/1.1\n"},
	        {"nobody's inventory", {.inventory_of = ""}, 1, "> STOP.1 DONE answered vm2/1.1\n"},
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct test *t = test_create(TETHER__ROLE__ROLE_HOST, "hyp1");
		uint32_t liar = guest_of(t, "vm1", ""), honest = child(t, "vm2", "vm2/1.1", 7);

		print_message("# %s\n", rows[i].what);
		t->acknowledge = true;
		EVENT(t, .vm = "vm1", .lid = 7, .to_vm = true, .to_peers = true);
		forget(t);
		lie_send(t, liar, &rows[i].lie);
		EXPECT(t, "");
		STOPPED(t, honest);
		EXPECT(t, rows[i].said);
		assert_int_equal(relay_counts(t->relay).foreign_claims, rows[i].foreign);
		assert_int_equal(relay_counts(t->relay).unasked_answers, 0);
		teardown((void **)&t);
	}
}

/* hyp1 has vm1, hyp2 vm2: both are concerned, hyp2 lies first. */
static void host_answers_for_nobody_else(void **state)
{
	static const struct {
		const char *what;
		struct lie lie;
		unsigned foreign;
		const char *said;
	} rows[] = {
	        {"its own", {.answered = "vm2/1.1"}, 0,
	                "> STOP.1 DONE answered vm2/1.1 answered vm1/1.1\n"},
	        {"another host's process", {.answered = "vm1/1.1"}, 1,
	                "> STOP.1 DONE answered vm1/1.1\n"},
	        {"another host's process is missing", {.missing = "vm1/1.1"}, 1,
	                "> STOP.1 DONE answered vm1/1.1\n"},
	        {"another host is missing", {.missing = "hyp1"}, 1,
	                "> STOP.1 DONE answered vm1/1.1\n"},
	        {"blames another host", {.who = "hyp1/vm1/11"}, 1,
	                "> STOP.1 DONE answered vm1/1.1 hyp2 (veto)\n"},
	        {"another host's inventory", {.inventory_of = "hyp1"}, 1,
	                "> STOP.1 DONE answered vm1/1.1\n"},
	        {"its own inventory", {.inventory_of = "hyp2"}, 0,
	                "> STOP.1 DONE answered vm1/1.1 exit 0\n"},
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct test *t = test_create(TETHER__ROLE__ROLE_ROOT, "");
		uint32_t honest = host(t, "hyp1", "vm1", 0), liar = host(t, "hyp2", "vm2", 7);
		Tether__Answer answer = answer_to(STOP, 1, TETHER__OUTCOME__OUTCOME_DONE);
		char *name = (char *)"vm1/1.1";

		print_message("# %s\n", rows[i].what);
		EVENT(t, .vm = "vm1", .lid = 7, .to_vm = true, .to_peers = true,
		        .expected = {"vm1/1.1"});
		forget(t);
		lie_send(t, liar, &rows[i].lie);
		EXPECT(t, "");
		answer.answered = &name;
		answer.n_answered = 1;
		assert_int_equal(answer_send(t, honest, &answer), 0);
		EXPECT(t, rows[i].said);
		assert_int_equal(relay_counts(t->relay).foreign_claims, rows[i].foreign);
		teardown((void **)&t);
	}
}

/* It names things of its own as it likes, but nobody. */
static void process_blames_nobody_else(void **state)
{
	struct test *t = *state;
	uint32_t link = child(t, "vm1", "vm1/1.1", 0);
	struct lie lie = {.who = "vm2/11 ib_write_bw", .inventory_of = "hyp1"};

	EVENT(t, .to_vm = true);
	forget(t);
	lie_send(t, link, &lie);
	EXPECT(t, "> STOP.1 DONE answered vm1/1.1 hyp1/vm1/4711 ib_write_bw (veto)\n");
	assert_int_equal(relay_counts(t->relay).foreign_claims, 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(guest_answers_for_nobody_else),
	        cmocka_unit_test(host_answers_for_nobody_else),
	        HOST_TEST(process_blames_nobody_else),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
