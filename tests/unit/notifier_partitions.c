/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/* Who may not talk to a VM hears nothing of its moves, whatever interest he says he has. */
#include "tests/unit/relay_harness.h"

enum { LID = 5 };

static const struct row {
	const char *what;
	uint32_t event, peer; /* P_Keys; 0: none */
	bool unlocated, expected, concerned;
} rows[] = {
        {"of the same partition", 0x8001, 0x8001, false, false, true},
        {"a limited member of it", 0x8001, 0x0001, false, false, true},
        {"of another partition", 0x8001, 0x8002, false, false, false},
        {"both limited", 0x0001, 0x0001, false, false, false},
        {"of none", 0x8001, 0, false, false, false},
        {"not located yet", 0x8001, 0x8001, true, false, false},
        {"of another, but expected", 0x8001, 0x8002, false, true, true},
        {"no P_Keys are known of the VM", 0, 0x8002, false, false, true},
};

static void peer_is_concerned(const struct row *row, Tether__Role role)
{
	struct test *t = test_create(role, role == TETHER__ROLE__ROLE_HOST ? "hyp1" : "");

	print_message("# %s\n", row->what);
	PLACE(t, .vm = "vm1", .host = "hyp0", .lids = {LID}, .pkeys = {row->event});
	PLACE(t, .vm = "vm2", .host = "hyp1", .pkeys = {row->peer}, .unlocated = row->unlocated);
	if (role == TETHER__ROLE__ROLE_HOST)
		child(t, "vm2", "vm2/1.1", LID);
	else
		host(t, "hyp1", "vm2", LID);
	assert_int_equal(relay_vm_here(t->relay, "vm2"), 0);
	forget(t);
	EVENT(t, .vm = "vm1", .lid = LID, .to_peers = true, .pkeys = {row->event},
	        .expected = {row->expected ? "vm2/1.1" : NULL});
	assert_int_equal(strstr(t->said, " < STOP.1") != NULL, row->concerned);
	teardown((void **)&t);
}

/* At the host, and at the root. */
static void interest_concerns_who_may_talk(void **state)
{
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		peer_is_concerned(&rows[i], TETHER__ROLE__ROLE_HOST);
		peer_is_concerned(&rows[i], TETHER__ROLE__ROLE_ROOT);
	}
}

static void one_vm_of_a_host_is_enough(void **state)
{
	struct test *t = *state;

	PLACE(t, .vm = "vm2", .host = "hyp1", .pkeys = {0x8002});
	PLACE(t, .vm = "vm3", .host = "hyp1", .pkeys = {0x8001});
	PLACE(t, .vm = "vm4", .host = "hyp2", .pkeys = {0x8002});
	host(t, "hyp1", "vm2 vm3", LID);
	host(t, "hyp2", "vm4", LID);
	forget(t);
	EVENT(t, .vm = "vm1", .lid = LID, .to_peers = true, .pkeys = {0x8001});
	EXPECT(t, "hyp1 < STOP.1 peers\n");
}

/* A VM that is another's does not help. */
static void foreign_vm_lends_no_partition(void **state)
{
	struct test *t = *state;

	PLACE(t, .vm = "vm3", .host = "hyp1", .pkeys = {0x8001});
	host(t, "hyp2", "vm3", LID);
	forget(t);
	EVENT(t, .vm = "vm1", .lid = LID, .to_peers = true, .pkeys = {0x8001});
	EXPECT(t, "> STOP.1 DONE\n");
}

/* It has had the interest all the time. */
static void who_is_located_while_it_is_open_is_handed_it(void **state)
{
	struct test *t = *state;

	child(t, "vm2", "vm2/1.1", LID);
	EVENT(t, .vm = "vm1", .lid = LID, .to_peers = true, .to_vm = true, .pkeys = {0x8001},
	        .expected = {"vm1/1.1"});
	assert_null(strstr(t->said, "vm2/1.1 < STOP.1"));
	forget(t);
	PLACE(t, .vm = "vm2", .host = "hyp1", .pkeys = {0x8001});
	EXPECT(t, "vm2/1.1 < STOP.1 peers\n");
}

static void news_are_for_agents_of_any_partition(void **state)
{
	struct test *t = *state;

	PLACE(t, .vm = "vm2", .host = "hyp1", .pkeys = {0x8002});
	host(t, "hyp1", "vm2", LID);
	forget(t);
	EVENT(t, .vm = "vm1", .lid = LID, .to_peers = true, .pkeys = {0x8001},
	        .step = TETHER__STEP__STEP_MOVED);
	EXPECT(t, "hyp1 < MOVED.1 peers\n");
}

static int host_with_two_vms(void **state)
{
	int err = host_relay(state);
	struct test *t = *state;

	relay_vm_here(t->relay, "vm1");
	return err;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(interest_concerns_who_may_talk),
	        ROOT_TEST(one_vm_of_a_host_is_enough),
	        ROOT_TEST(foreign_vm_lends_no_partition),
	        cmocka_unit_test_setup_teardown(
	                who_is_located_while_it_is_open_is_handed_it, host_with_two_vms, teardown),
	        ROOT_TEST(news_are_for_agents_of_any_partition),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
