/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/* Who may not talk to a VM registers for nothing at its address, and is told no numbers. */
#include "tests/unit/relay_harness.h"

enum { LID = 5 };

/* As the host @link would for a process of @vm. */
static void asks_for(struct test *t, uint32_t link, uint32_t request, const char *vm)
{
	t->asker = vm;
	interest(t, link, request, LID, false);
}

static void three_vms(struct test *t)
{
	PLACE(t, .vm = "vm1", .host = "hyp0", .lids = {LID}, .pkeys = {0x8001, 0x0009});
	PLACE(t, .vm = "vm2", .host = "hyp1", .lids = {6}, .pkeys = {0x8002, 0x0009});
	PLACE(t, .vm = "vm3", .host = "hyp1", .lids = {7}, .pkeys = {0x0001});
}

static void root_refuses_by_the_askers_vm(void **state)
{
	struct test *t = *state;
	uint32_t link;

	three_vms(t);
	link = host(t, "hyp1", "vm2 vm3", 0);
	forget(t);
	asks_for(t, link, 1, "vm2");
	EXPECT(t, "hyp1 < registered 1 REFUSED (foreign-partition)\n");
	asks_for(t, link, 2, "vm3");
	EXPECT(t, "> interest 5\n"
	          "hyp1 < registered 2 DONE\n");
	assert_int_equal(t->told_pkeys, 2);
	asks_for(t, link, 3, "vm2");
	EXPECT(t, "hyp1 < registered 3 REFUSED (foreign-partition)\n");
	assert_int_equal(relay_counts(t->relay).foreign_partitions, 2);
}

static void root_tells_no_numbers(void **state)
{
	struct test *t = *state;
	uint32_t link;

	three_vms(t);
	link = host(t, "hyp1", "vm2", 0);
	forget(t);
	t->asker = "vm2";
	ask_datagrams(t, link, 1, LID);
	EXPECT(t, "hyp1 < registered 1 REFUSED (foreign-partition)\n");
	t->asker = "";
	ask_datagrams(t, link, 2, LID);
	EXPECT(t, "hyp1 < registered 2 REFUSED (foreign-partition)\n");
	/* An agent's own interest, which asks nothing. */
	asks_for(t, link, 3, "");
	EXPECT(t, "> interest 5\n"
	          "hyp1 < registered 3 DONE\n");
}

/* It borrows nobody's partition. */
static void name_of_a_foreign_vm_does_not_help(void **state)
{
	struct test *t = *state;
	uint32_t link;

	three_vms(t);
	PLACE(t, .vm = "vm4", .host = "hyp2", .pkeys = {0x8001});
	link = host(t, "hyp1", "vm2 vm4", 0);
	forget(t);
	asks_for(t, link, 1, "vm4");
	EXPECT(t, "hyp1 < registered 1 REFUSED (foreign-partition)\n");
}

/* There is nobody whom it could be for. */
static void who_has_no_vm_is_told_nothing(void **state)
{
	struct test *t = *state;
	uint32_t link;

	three_vms(t);
	link = host(t, "hyp2", "", 0);
	forget(t);
	t->asker = "";
	ask_datagrams(t, link, 1, LID);
	EXPECT(t, "hyp2 < registered 1 REFUSED (foreign-partition)\n");
	asks_for(t, link, 2, "vm3");
	EXPECT(t, "hyp2 < registered 2 REFUSED (foreign-partition)\n");
	asks_for(t, link, 3, "vm9");
	EXPECT(t, "hyp2 < registered 3 REFUSED (foreign-partition)\n");
}

/* It has no VF, or a GUID that the SM does not know there: it can talk to nobody. */
static void vm_that_is_nowhere_is_told_nothing(void **state)
{
	struct test *t = *state;
	uint32_t link;

	three_vms(t);
	PLACE(t, .vm = "vm4", .host = "hyp1");
	link = host(t, "hyp1", "vm4", 0);
	forget(t);
	asks_for(t, link, 1, "vm4");
	EXPECT(t, "hyp1 < registered 1 REFUSED (foreign-partition)\n");
	t->asker = "";
	ask_datagrams(t, link, 2, LID);
	EXPECT(t, "hyp1 < registered 2 REFUSED (foreign-partition)\n");
}

/* It comes there, and its processes with it, before its host has said so. */
static void vm_that_comes_asks_before_its_host_says_that_it_has_it(void **state)
{
	struct test *t = *state;
	uint32_t link;

	three_vms(t);
	PLACE(t, .vm = "vm3", .host = "hyp1", .next = "hyp2", .lids = {7}, .pkeys = {0x0001});
	link = host(t, "hyp2", "", 0);
	forget(t);
	asks_for(t, link, 1, "vm3");
	EXPECT(t, "> interest 5\n"
	          "hyp2 < registered 1 DONE\n");
}

static void nobody_is_refused_before_the_sm_was_asked(void **state)
{
	struct test *t = *state;
	uint32_t link;

	three_vms(t);
	PLACE(t, .vm = "vm5", .host = "hyp1", .unlocated = true);
	link = host(t, "hyp1", "vm5", 0);
	forget(t);
	asks_for(t, link, 1, "vm5");
	EXPECT(t, "> interest 5\n"
	          "hyp1 < registered 1 DONE\n");
	/* Whose address it is was not known when it was asked above. */
	PLACE(t, .vm = "vm5", .host = "hyp1", .pkeys = {0x8002});
	PLACE(t, .vm = "vm1");
	t->acknowledge = false;
	forget(t);
	t->asker = "vm5";
	ask_datagrams(t, link, 2, LID);
	PLACE(t, .vm = "vm1", .host = "hyp0", .lids = {LID}, .pkeys = {0x8001});
	forget(t);
	registered(t, t->last_request, TETHER__OUTCOME__OUTCOME_DONE);
	EXPECT(t, "hyp1 < registered 2 REFUSED (foreign-partition)\n");
}

/* Whatever a process says of itself. */
static void host_says_whose_process_asks(void **state)
{
	struct test *t = *state;
	uint32_t process = child(t, "vm2", "vm2/1.1", 0), guest = guest_of(t, "vm3", "");

	asks_for(t, process, 1, "vm9");
	assert_string_equal(t->last_asker, "vm2");
	interest(t, guest, 1, 6, false);
	assert_string_equal(t->last_asker, "vm3");
}

static void what_was_said_of_an_address_answers_who_may(void **state)
{
	struct test *t = *state;
	uint32_t first, foreign, second;

	three_vms(t);
	PLACE(t, .vm = "vm1", .host = "hyp9"); /* its LID is not known here */
	first = child(t, "vm3", "vm3/1.1", 0);
	foreign = child(t, "vm2", "vm2/1.1", 0);
	second = child(t, "vm3", "vm3/2.1", 0);
	t->says_pkeys[0] = 0x8001;
	interest(t, first, 1, LID, false);
	EXPECT(t, "> interest 5\n"
	          "vm3/1.1 < registered 1 DONE\n");
	assert_int_equal(t->told_pkeys, 0);
	interest(t, second, 1, LID, false);
	EXPECT(t, "vm3/2.1 < registered 1 DONE\n");
	/* It may be another partition's by now, so who is in another asks above. */
	t->acknowledge = false;
	interest(t, foreign, 1, LID, false);
	EXPECT(t, "> interest 5\n");
	assert_string_equal(t->last_asker, "vm2");
	refused_above(t, t->last_request, "foreign-partition");
	EXPECT(t, "vm2/1.1 < registered 1 REFUSED (foreign-partition)\n");
	/* Nobody else loses the address by that, and it holds nothing. */
	EVENT(t, .vm = "vm1", .lid = LID, .to_peers = true);
	assert_non_null(strstr(t->said, "vm3/1.1 < STOP.1 peers\n"));
	assert_non_null(strstr(t->said, "vm3/2.1 < STOP.1 peers\n"));
	assert_null(strstr(t->said, "vm2/1.1 < STOP.1"));
}

/* One Interest goes up for all who ask at the same time. */
static void who_waited_with_one_that_is_refused_asks_by_itself(void **state)
{
	struct test *t = *state;
	uint32_t foreign, may, also;

	foreign = child(t, "vm2", "vm2/1.1", 0);
	may = child(t, "vm3", "vm3/1.1", 0);
	also = child(t, "vm2", "vm2/2.1", 0);
	t->acknowledge = false;
	interest(t, foreign, 1, LID, false);
	interest(t, may, 1, LID, false);
	interest(t, also, 1, LID, false);
	EXPECT(t, "> interest 5\n");
	refused_above(t, t->last_request, "foreign-partition");
	EXPECT(t, "vm2/1.1 < registered 1 REFUSED (foreign-partition)\n"
	          "vm2/2.1 < registered 1 REFUSED (foreign-partition)\n"
	          "> interest 5\n");
	assert_string_equal(t->last_asker, "vm3");
	registered(t, t->last_request, TETHER__OUTCOME__OUTCOME_DONE);
	EXPECT(t, "vm3/1.1 < registered 1 DONE\n");
}

static void it_asks_by_itself_where_the_one_that_is_refused_has_gone(void **state)
{
	struct test *t = *state;
	uint32_t foreign = child(t, "vm2", "vm2/1.1", 0), may = child(t, "vm3", "vm3/1.1", 0), id;

	t->acknowledge = false;
	interest(t, foreign, 1, LID, false);
	id = t->last_request;
	interest(t, may, 1, LID, false);
	relay_child_gone(t->relay, foreign, true, t->now_ms);
	forget(t);
	refused_above(t, id, "foreign-partition");
	EXPECT(t, "> interest 5\n");
	registered(t, t->last_request, TETHER__OUTCOME__OUTCOME_DONE);
	EXPECT(t, "vm3/1.1 < registered 1 DONE\n");
}

static void who_is_refused_is_not_held(void **state)
{
	struct test *t = *state;
	uint32_t link;

	three_vms(t);
	link = host(t, "hyp1", "vm2 vm3", 0);
	EVENT(t, .vm = "vm1", .lid = LID, .to_vm = true, .step = PREPARE, .expected = {"vm1/1.1"});
	forget(t);
	asks_for(t, link, 1, "vm2");
	EXPECT(t, "hyp1 < registered 1 REFUSED (foreign-partition)\n");
	asks_for(t, link, 2, "vm3");
	EXPECT(t, "hyp1 < registered 2 NONE\n");
}

static int between_relay(void **state)
{
	*state = test_create(TETHER__ROLE__ROLE_RELAY, "row1");
	return 0;
}

/* One host of which one VM may and another may not: it goes on holding the address. */
static void refusal_of_one_vm_takes_nothing_from_another(void **state)
{
	struct test *t = *state;
	uint32_t link, foreign, may;

	link = host(t, "hyp1", "vm2 vm3", 0);
	t->acknowledge = false;
	t->asker = "vm2";
	ask_datagrams(t, link, 1, LID);
	foreign = t->last_request;
	t->asker = "vm3";
	ask_datagrams(t, link, 2, LID);
	may = t->last_request;
	assert_string_equal(t->last_asker, "vm3");
	refused_above(t, foreign, "foreign-partition");
	registered(t, may, TETHER__OUTCOME__OUTCOME_DONE);
	forget(t);
	EVENT(t, .vm = "vm1", .lid = LID, .to_peers = true);
	EXPECT(t, "hyp1 < STOP.1 peers\n");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        ROOT_TEST(root_refuses_by_the_askers_vm),
	        ROOT_TEST(root_tells_no_numbers),
	        ROOT_TEST(name_of_a_foreign_vm_does_not_help),
	        ROOT_TEST(who_has_no_vm_is_told_nothing),
	        ROOT_TEST(vm_that_is_nowhere_is_told_nothing),
	        ROOT_TEST(vm_that_comes_asks_before_its_host_says_that_it_has_it),
	        ROOT_TEST(nobody_is_refused_before_the_sm_was_asked),
	        ROOT_TEST(who_is_refused_is_not_held),
	        HOST_TEST(host_says_whose_process_asks),
	        HOST_TEST(what_was_said_of_an_address_answers_who_may),
	        HOST_TEST(who_waited_with_one_that_is_refused_asks_by_itself),
	        HOST_TEST(it_asks_by_itself_where_the_one_that_is_refused_has_gone),
	        cmocka_unit_test_setup_teardown(
	                refusal_of_one_vm_takes_nothing_from_another, between_relay, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
