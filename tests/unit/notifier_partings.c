/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/* Connections of rdma_cm that are let go of: who says so, and who hears it. */
#include "tests/unit/relay_harness.h"

#include "notifier/wire/gid_name.h"
#include "tests/unit/gid_twins.h"

enum { NEW = 7, OLD = 6 };

static int parts(struct test *t, uint32_t link, uint32_t lid, const char *vm)
{
	Tether__Parting parting = TETHER__PARTING__INIT;
	Tether__Frame frame = TETHER__FRAME__INIT;

	parting.local_lid = lid;
	parting.local_qpn = 17;
	parting.remote_lid = 6;
	parting.remote_qpn = 18;
	parting.vm = (char *)vm;
	frame.body_case = TETHER__FRAME__BODY_PARTING;
	frame.parting = &parting;
	return link ? relay_child_frame(t->relay, link, &frame, t->now_ms)
	            : relay_parent_frame(t->relay, &frame, t->now_ms);
}

static void parent_speaks(struct test *t, uint32_t version)
{
	Tether__HelloAnswer answer = TETHER__HELLO_ANSWER__INIT;
	Tether__Frame frame = TETHER__FRAME__INIT;

	answer.outcome = TETHER__OUTCOME__OUTCOME_DONE;
	answer.version = version;
	frame.body_case = TETHER__FRAME__BODY_HELLO_ANSWER;
	frame.hello_answer = &answer;
	assert_int_equal(relay_parent_frame(t->relay, &frame, t->now_ms), 0);
	forget(t);
}

static void it_goes_up_as_the_channel_says(void **state)
{
	struct test *t = *state;
	uint32_t link;

	parent_speaks(t, NEW);
	link = child(t, "vm1", "vm1/1.1", 0);
	forget(t);
	assert_int_equal(parts(t, link, 5, ""), 0);
	assert_int_equal(parts(t, link, 5, "vm2"), 0);
	EXPECT(t, "> parting 5:17 from 6:18 of vm1\n"
	          "> parting 5:17 from 6:18 of vm1\n");
	assert_int_equal(relay_counts(t->relay).partings, 2);
}

static void it_goes_down_to_those_with_interest_in_that_end(void **state)
{
	struct test *t = *state;

	parent_speaks(t, NEW);
	child(t, "vm1", "vm1/1.1", 5); /* of the same VM: it talks to itself */
	child(t, "vm2", "vm2/1.1", 5);
	child(t, "vm2", "vm2/2.1", 6);
	child(t, "vm2", "vm2/3.1", 0);
	forget(t);
	assert_int_equal(parts(t, 0, 5, "vm1"), 0);
	EXPECT(t, "vm2/1.1 < parting 5:17 from 6:18 of vm1\n"
	          "vm1/1.1 < parting 5:17 from 6:18 of vm1\n");
}

static void the_root_passes_it_to_its_owner(void **state)
{
	struct test *t = *state;
	uint32_t link;

	link = host(t, "hyp1", "vm1", 5);
	forget(t);
	assert_int_equal(parts(t, link, 5, "vm1"), 0);
	EXPECT(t, "> parting 5:17 from 6:18 of vm1\n");
	assert_int_equal(parts(t, 0, 5, "vm1"), 0);
	EXPECT(t, "hyp1 < parting 5:17 from 6:18 of vm1\n");
}

static void nobody_speaks_for_another_vm(void **state)
{
	struct test *t = *state;
	uint32_t link, first, second;

	parent_speaks(t, NEW);
	PLACE(t, .vm = "vm1", .host = "hyp1", .lids = {4});
	PLACE(t, .vm = "vm2", .host = "hyp1", .lids = {5});
	first = child(t, "vm1", "vm1/1.1", 0);
	second = child(t, "vm2", "vm2/1.1", 0);
	forget(t);
	assert_int_equal(parts(t, first, 5, "vm2"), 0);
	assert_int_equal(parts(t, first, 9, "vm1"), 0);
	EXPECT(t, "");
	assert_int_equal(relay_counts(t->relay).foreign_partings, 2);
	assert_int_equal(parts(t, first, 4, "vm1"), 0);
	assert_int_equal(parts(t, second, 5, "vm2"), 0);
	EXPECT(t, "> parting 4:17 from 6:18 of vm1\n"
	          "> parting 5:17 from 6:18 of vm2\n");
	link = guest_of(t, "vm2", "vm2");
	forget(t);
	assert_int_equal(parts(t, link, 4, "vm1"), 0);
	EXPECT(t, "");
}

static void nor_a_host_for_what_it_has_not(void **state)
{
	struct test *t = *state;
	uint32_t link;

	link = host(t, "hyp1", "vm1", 0);
	forget(t);
	assert_int_equal(parts(t, link, 5, "vm2"), 0);
	assert_int_equal(parts(t, link, 5, ""), 0);
	EXPECT(t, "");
	assert_int_equal(relay_counts(t->relay).foreign_partings, 2);
}

/* Without LIDs. */
static void nor_under_a_name_that_another_announces(void **state)
{
	struct test *t = *state;
	struct address own = {.context = 3};
	uint32_t first, second;

	numbered_gid(1, own.gid);
	own.lid = gid_name(own.gid);
	parent_speaks(t, NEW);
	t->acknowledge = true;
	first = child(t, "vm1", "vm1/1.1", 0);
	second = child(t, "vm2", "vm2/1.1", 0);
	announce(t, first, 1, &own, false);
	forget(t);
	assert_int_equal(parts(t, second, own.lid, "vm2"), 0);
	EXPECT(t, "");
	assert_int_equal(relay_counts(t->relay).foreign_partings, 1);
	assert_int_equal(parts(t, first, own.lid, "vm1"), 0);
	assert_non_null(strstr(t->said, "> parting"));
}

static void who_speaks_an_older_version_is_not_told(void **state)
{
	struct test *t = *state;
	uint32_t link;

	parent_speaks(t, OLD);
	link = child(t, "vm1", "vm1/1.1", 5);
	t->version = OLD;
	child(t, "vm2", "vm2/1.1", 5);
	forget(t);
	assert_int_equal(parts(t, link, 5, ""), 0);
	EXPECT(t, "");
	assert_int_equal(parts(t, 0, 5, "vm1"), 0);
	EXPECT(t, "vm1/1.1 < parting 5:17 from 6:18 of vm1\n");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        HOST_TEST(it_goes_up_as_the_channel_says),
	        HOST_TEST(it_goes_down_to_those_with_interest_in_that_end),
	        ROOT_TEST(the_root_passes_it_to_its_owner),
	        HOST_TEST(nobody_speaks_for_another_vm),
	        ROOT_TEST(nor_a_host_for_what_it_has_not),
	        HOST_TEST(nor_under_a_name_that_another_announces),
	        HOST_TEST(who_speaks_an_older_version_is_not_told),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
