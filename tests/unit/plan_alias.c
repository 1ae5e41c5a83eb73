/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/* Moves between shared ports: which entries of GUIDInfo tables change. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "sm-side/plan/alias.h"

enum { ENTRIES = 32, VM = 0x101, OTHER = 0x202 };

struct port {
	uint64_t guids[ENTRIES];
	struct alias_table table;
};

static struct port a, b;

static uint64_t guid_at(const void *owner, uint16_t entry)
{
	return ((const struct port *)owner)->guids[entry];
}

static void port_make(struct port *port, uint64_t guid, uint16_t lid)
{
	*port = (struct port){.guids = {guid}};
	port->table = (struct alias_table){
	        .port_guid = guid, .lid = lid, .entries = ENTRIES, .guid = guid_at, .owner = port};
}

static int setup(void **state)
{
	port_make(&a, 10, 5);
	port_make(&b, 20, 7);
	a.guids[1] = VM;
	b.guids[9] = OTHER;
	return 0;
}

static enum refusal planned(struct port *from, struct port *to, struct alias_plan *plan)
{
	return alias_plan_make(&from->table, &to->table, VM, OTHER, plan);
}

static void carry_out(const struct alias_plan *plan)
{
	for (unsigned i = 0; i < plan->change_count; i++) {
		const struct alias_change *change = &plan->changes[i];
		struct port *port = change->port_guid == a.guids[0] ? &a : &b;

		assert_int_equal(port->guids[change->entry], change->before);
		port->guids[change->entry] = change->after;
	}
}

static void two_entries_are_exchanged_and_the_lid_changes(void **state)
{
	struct alias_plan plan;

	assert_int_equal(planned(&a, &b, &plan), REFUSAL_NONE);
	assert_int_equal(plan.guidinfo_sets, 2);
	assert_int_equal(plan.lid_before, 5);
	assert_int_equal(plan.lid_after, 7);
	carry_out(&plan);
	assert_int_equal(a.guids[1], OTHER);
	assert_int_equal(b.guids[9], VM);
}

static void what_is_done_is_not_done_again_and_can_be_undone(void **state)
{
	struct alias_plan plan;

	assert_int_equal(planned(&a, &b, &plan), REFUSAL_NONE);
	carry_out(&plan);
	assert_int_equal(planned(&a, &b, &plan), REFUSAL_NONE);
	assert_int_equal(plan.change_count, 0);
	assert_int_equal(plan.lid_after, 7);
	assert_int_equal(planned(&b, &a, &plan), REFUSAL_NONE);
	carry_out(&plan);
	assert_int_equal(a.guids[1], VM);
	assert_int_equal(b.guids[9], OTHER);
}

/* Nothing would change but who has which VF. */
static void within_a_port_there_is_no_move(void **state)
{
	struct alias_plan plan;

	a.guids[2] = OTHER;
	assert_int_equal(planned(&a, &a, &plan), REFUSAL_STALE_PLAN);
}

static void what_nobody_has_set_is_refused(void **state)
{
	struct alias_plan plan;

	a.guids[1] = 0;
	assert_int_equal(planned(&a, &b, &plan), REFUSAL_UNKNOWN_PORT);
	a.guids[1] = VM;
	b.table.entries = 0;
	assert_int_equal(planned(&a, &b, &plan), REFUSAL_UNKNOWN_PORT);
	b.table.entries = ENTRIES;
	b.table.lid = 0;
	assert_int_equal(planned(&a, &b, &plan), REFUSAL_NO_LID);
}

static void half_a_move_is_somebody_elses(void **state)
{
	struct alias_plan plan;

	b.guids[3] = VM;
	assert_int_equal(planned(&a, &b, &plan), REFUSAL_STALE_PLAN);
	b.guids[3] = 0;
	a.guids[3] = OTHER;
	assert_int_equal(planned(&a, &b, &plan), REFUSAL_STALE_PLAN);
}

static void a_ports_own_guid_is_no_alias(void **state)
{
	struct alias_plan plan;

	assert_int_equal(
	        alias_plan_make(&a.table, &b.table, 10, OTHER, &plan), REFUSAL_UNKNOWN_PORT);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, NULL)

int main(void)
{
	const struct CMUnitTest tests[] = {
	        TEST(two_entries_are_exchanged_and_the_lid_changes),
	        TEST(what_is_done_is_not_done_again_and_can_be_undone),
	        TEST(within_a_port_there_is_no_move),
	        TEST(what_nobody_has_set_is_refused),
	        TEST(half_a_move_is_somebody_elses),
	        TEST(a_ports_own_guid_is_no_alias),
	};

	return cmocka_run_group_tests_name("plan_alias", tests, NULL, NULL);
}
