/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/* Children that speak an older version, or a newer one. */
#include "tests/unit/relay_harness.h"

#include "notifier/wire/versions.h"

enum {
	OLDEST = TETHER__PROTOCOL__PROTOCOL_OLDEST,
	NEWEST = TETHER__PROTOCOL__PROTOCOL_VERSION,
};

/* As its build says it. */
static void speaks(struct test *t, uint32_t newest)
{
	t->version = newest > OLDEST ? newest - 1 : OLDEST;
	t->newest = newest;
}

static void a_neighbour_one_version_apart_is_welcome(void **state)
{
	static const struct {
		uint32_t newest, spoken;
	} rows[] = {{OLDEST, OLDEST}, {NEWEST, NEWEST}, {NEWEST + 1, NEWEST}};
	struct test *t = *state;
	char name[16];

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		speaks(t, rows[i].newest);
		snprintf(name, sizeof(name), "vm1/%zu.1", i);
		child(t, "vm1", name, 0);
		assert_int_equal(t->spoken, rows[i].spoken);
	}
	EVENT(t, .to_vm = true);
	EXPECT(t, "vm1/2.1 < STOP.1 vm\nvm1/1.1 < STOP.1 vm\nvm1/0.1 < STOP.1 vm\n");
}

static void two_apart_is_refused_with_what_to_do(void **state)
{
	static const struct {
		uint32_t version, newest;
		const char *says;
	} rows[] = {
	        {0, 0, "it speaks version 0 of"},
	        {OLDEST - 1, 0, "it speaks version 5 of"},
	        {NEWEST + 1, NEWEST + 2, "it speaks versions 8 to 9 of"},
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct test *t = test_create(TETHER__ROLE__ROLE_HOST, "hyp1");
		uint32_t link = link_add(t, "vm1", "x");
		char text[160];

		t->version = rows[i].version;
		t->newest = rows[i].newest;
		assert_int_equal(
		        say_hello(t, link, TETHER__ROLE__ROLE_SHIM, "vm1/1.1", NULL, NULL, 0),
		        -EACCES);
		EXPECT(t, "x < HELLO REFUSED (version)\n");
		snprintf(text, sizeof(text),
		        "%s the protocol, this relay versions %d to %d: they may be one version "
		        "apart, so the older has to be replaced",
		        rows[i].says, OLDEST, NEWEST);
		assert_string_equal(t->refused, text);
		EVENT(t, .to_vm = true); /* it is no child */
		EXPECT(t, "> STOP.1 DONE\n");
		teardown((void **)&t);
	}
}

static void who_speaks_less_than_a_migration_needs_is_refused_for(void **state)
{
	struct test *t = *state;

	speaks(t, NEWEST);
	child(t, "vm1", "vm1/1.1", 0);
	speaks(t, OLDEST);
	child(t, "vm1", "vm1/2.1", 0);
	EVENT(t, .step = PREPARE, .to_vm = true, .needs = NEWEST);
	EXPECT(t, "vm1/1.1 < PREPARE.1 vm\n");
	done(t, t->links[0].link, PREPARE, 1);
	EXPECT(t, "> PREPARE.1 REFUSED answered vm1/2.1 answered vm1/1.1 "
	          "hyp1/vm1/4711 ib_write_bw (older-protocol)\n");
	EVENT(t, .step = PREPARE, .sequence = 2, .to_vm = true, .needs = OLDEST);
	EXPECT(t, "vm1/2.1 < PREPARE.2 vm\nvm1/1.1 < PREPARE.2 vm\n");
}

/* An older agent would hand it on, and nobody behind it would be looked at. */
static void an_agent_that_speaks_less_is_refused_for_with_all_behind_it(void **state)
{
	struct test *t = *state;

	speaks(t, OLDEST);
	host(t, "hyp1", "vm1", 0);
	EVENT(t, .step = PREPARE, .to_vm = true, .needs = NEWEST);
	EXPECT(t, "> PREPARE.1 REFUSED hyp1 (older-protocol)\n");
}

static void who_comes_later_is_refused_for_as_well(void **state)
{
	struct test *t = *state;

	relay_vm_here(t->relay, "vm1");
	EVENT(t, .step = PREPARE, .to_vm = true, .needs = NEWEST, .expected = {"vm1/1.1"});
	EXPECT(t, "");
	speaks(t, OLDEST);
	child(t, "vm1", "vm1/1.1", 0);
	EXPECT(t, "> PREPARE.1 REFUSED answered vm1/1.1 hyp1/vm1/4711 ib_write_bw "
	          "(older-protocol)\n");
}

/* It was started again from a newer build, or an older one. */
static void a_child_that_comes_back_speaks_what_it_says_then(void **state)
{
	struct test *t = *state;
	static const uint32_t newest[] = {OLDEST, NEWEST, OLDEST};

	for (size_t i = 0; i < ARRAY_SIZE(newest); i++) {
		uint32_t link = link_add(t, NULL, "hyp1");

		speaks(t, newest[i]);
		say_hello(t, link, TETHER__ROLE__ROLE_HOST, "hyp1", "vm1", NULL, 0);
		forget(t);
		EVENT(t, .step = PREPARE, .sequence = (uint32_t)i + 1, .to_vm = true,
		        .needs = NEWEST);
		assert_int_equal(!strncmp(t->said, "hyp1 <", 6), newest[i] == NEWEST);
		relay_child_gone(t->relay, link, false, t->now_ms);
	}
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
	        cmocka_unit_test_setup_teardown(
	                a_neighbour_one_version_apart_is_welcome, host_relay, teardown),
	        cmocka_unit_test(two_apart_is_refused_with_what_to_do),
	        cmocka_unit_test_setup_teardown(
	                who_speaks_less_than_a_migration_needs_is_refused_for, host_relay,
	                teardown),
	        cmocka_unit_test_setup_teardown(
	                an_agent_that_speaks_less_is_refused_for_with_all_behind_it, root_relay,
	                teardown),
	        cmocka_unit_test_setup_teardown(
	                who_comes_later_is_refused_for_as_well, host_relay, teardown),
	        cmocka_unit_test_setup_teardown(
	                a_child_that_comes_back_speaks_what_it_says_then, root_relay, teardown),
	};

	return cmocka_run_group_tests_name("neighbours", tests, NULL, NULL);
}
