/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/* A device that a process holds which is not here: refused by the process's name. */
#include "tests/unit/relay_harness.h"

static void held_by(struct test *t, size_t at, uint32_t pid, uint32_t parent, const char *program)
{
	t->holders[at].pid = pid;
	t->holders[at].parent = parent;
	t->holders[at].program = program;
}

static int with_nobody(void **state)
{
	host_relay(state);
	return relay_vm_here(((struct test *)*state)->relay, "vm1");
}

static void who_is_not_connected_is_named(void **state)
{
	struct test *t = *state;

	held_by(t, 0, 99, 1, "ib_write_bw");
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

	held_by(t, 0, KERNEL_PID, 1, "a");
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
	held_by(t, 0, KERNEL_PID, 1, "x");
	EVENT(t, .step = PREPARE, .to_vm = true);
	EXPECT(t, "> PREPARE.1 REFUSED hyp1/vm1/94711 x (veto-device-held)\n");
}

/* What a process calls itself is somebody else's number outside its PID namespace. */
static void who_is_connected_by_another_number_covers_nobody(void **state)
{
	struct test *t = *state;
	uint32_t a = child(t, "vm1", "vm1/4711.1", 0);

	held_by(t, 0, SAID_PID, 1, "x");
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
	held_by(t, 0, KERNEL_PID, 1, "a");
	EVENT(t, .step = PREPARE, .to_vm = true);
	done(t, a, PREPARE, 1);
	EXPECT(t, "vm1/4711.1 < PREPARE.1 vm\n> PREPARE.1 DONE answered vm1/4711.1\n");
}

/* Neither the first of a PID namespace, whose parent is none, nor a link without a number. */
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

	held_by(t, 0, 99, 1, "x");
	EVENT(t, .step = PREPARE, .to_vm = true, .vm = "vm7");
	EXPECT(t, "> PREPARE.1 DONE\n");
	EVENT(t, .step = PREPARE, .sequence = 2, .to_peers = true);
	EXPECT(t, "> PREPARE.2 DONE\n");
	EVENT(t, .sequence = 3, .to_vm = true);
	EXPECT(t, "> STOP.3 DONE\n");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, with_nobody, teardown)

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
	};

	return cmocka_run_group_tests_name("holders", tests, NULL, NULL);
}
