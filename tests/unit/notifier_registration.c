/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/* Interest on its way up, its quotas, and what the parent knows after a broken link. */
#include "notifier/relay/registration.h"
#include "tests/unit/relay_harness.h"

static void only_new_interest_goes_up(void **state)
{
	struct test *t = *state;
	uint32_t a = child(t, "vm1", "vm1/1.1", 0), b = child(t, "vm2", "vm2/1.1", 0);

	interest(t, a, 11, 5, false);
	EXPECT(t, "> interest 5\nvm1/1.1 < registered 11 DONE\n");
	interest(t, b, 22, 5, false);
	EXPECT(t, "vm2/1.1 < registered 22 DONE\n");
	interest(t, a, 12, 5, false);
	EXPECT(t, "vm1/1.1 < registered 12 DONE\n");
	interest(t, a, 13, 5, true);
	EXPECT(t, "vm1/1.1 < registered 13 DONE\n");
	interest(t, b, 23, 5, true);
	EXPECT(t, "> drop 5\nvm2/1.1 < registered 23 DONE\n");
	interest(t, b, 24, 5, false);
	EXPECT(t, "> interest 5\nvm2/1.1 < registered 24 DONE\n");
}

static void registration_is_acknowledged_by_the_root_alone(void **state)
{
	struct test *t = *state;
	uint32_t a = child(t, "vm1", "vm1/1.1", 0), b = child(t, "vm2", "vm2/1.1", 0);

	t->acknowledge = false;
	interest(t, a, 11, 5, false);
	interest(t, b, 22, 5, false); /* the same question: goes up once, waits for its answer */
	EXPECT(t, "> interest 5\n");
	registered(t, t->last_request, TETHER__OUTCOME__OUTCOME_DONE);
	EXPECT(t, "vm1/1.1 < registered 11 DONE\nvm2/1.1 < registered 22 DONE\n");
}

/* What is known above is the address, not what the queue pairs there are called. */
static void who_asks_for_datagram_numbers_is_answered_by_the_root(void **state)
{
	struct test *t = *state;
	uint32_t a = child(t, "vm1", "vm1/1.1", 0), b = child(t, "vm2", "vm2/1.1", 0);

	interest(t, a, 11, 5, false);
	forget(t);
	t->acknowledge = false;
	ask_datagrams(t, b, 21, 5);
	interest(t, b, 22, 5, false);
	EXPECT(t, "> interest 5 datagrams\nvm2/1.1 < registered 22 DONE\n");
	ask_datagrams(t, a, 12, 5);
	EXPECT(t, "> interest 5 datagrams\n");
	registered(t, t->last_request, TETHER__OUTCOME__OUTCOME_DONE);
	EXPECT(t, "vm1/1.1 < registered 12 DONE\n");
	registered(t, t->last_request - 1, TETHER__OUTCOME__OUTCOME_DONE);
	EXPECT(t, "vm2/1.1 < registered 21 DONE\n");
}

static void refused_registration_is_not_held(void **state)
{
	struct test *t = *state;
	uint32_t a = child(t, "vm2", "vm2/1.1", 0);

	t->acknowledge = false;
	interest(t, a, 11, 5, false);
	registered(t, t->last_request, TETHER__OUTCOME__OUTCOME_REFUSED);
	EXPECT(t, "> interest 5\nvm2/1.1 < registered 11 REFUSED\n");
	EVENT(t, .to_peers = true);
	EXPECT(t, "> STOP.1 DONE\n");
}

/* A drop overtakes the acknowledgement of what it drops: the root's last word is the drop. */
static void acknowledgement_of_what_was_dropped_counts_for_nothing(void **state)
{
	struct test *t = *state;
	uint32_t a = child(t, "vm1", "vm1/1.1", 0), b = child(t, "vm2", "vm2/1.1", 0);
	uint32_t first;

	t->acknowledge = false;
	interest(t, a, 11, 5, false);
	first = t->last_request;
	interest(t, a, 12, 5, true);
	EXPECT(t, "> interest 5\n> drop 5\nvm1/1.1 < registered 12 DONE\n");
	interest(t, b, 21, 5, false);
	EXPECT(t, "> interest 5\n");
	registered(t, first, TETHER__OUTCOME__OUTCOME_DONE);
	EXPECT(t, "vm1/1.1 < registered 11 DONE\n");
	interest(t, a, 13, 5, false); /* not known above by that */
	EXPECT(t, "");
	registered(t, t->last_request, TETHER__OUTCOME__OUTCOME_DONE);
	EXPECT(t, "vm2/1.1 < registered 21 DONE\nvm1/1.1 < registered 13 DONE\n");
}

static void interest_of_an_ended_process_is_dropped(void **state)
{
	struct test *t = *state;
	uint32_t a = child(t, "vm2", "vm2/1.1", 5);

	EXPECT(t, "> interest 5\n");
	relay_child_gone(t->relay, a, true, t->now_ms);
	EXPECT(t, "> drop 5\n");
}

static void interest_outlives_a_short_break_of_the_link(void **state)
{
	struct test *t = *state;
	uint32_t a = child(t, "vm2", "vm2/1.1", 5);

	forget(t);
	relay_child_gone(t->relay, a, false, t->now_ms);
	pass(t, 499);
	a = child(t, "vm2", "vm2/1.1", 5);
	EXPECT(t, "");
	relay_child_gone(t->relay, a, false, t->now_ms);
	pass(t, 500);
	EXPECT(t, "> drop 5\n");
}

static void hello_says_what_is_still_wanted(void **state)
{
	struct test *t = *state;
	uint32_t a = child(t, "vm2", "vm2/1.1", 5);

	forget(t);
	relay_child_gone(t->relay, a, false, t->now_ms);
	child(t, "vm2", "vm2/1.1", 6);
	EXPECT(t, "> interest 6\n> drop 5\n");
}

static void quotas_hold(void **state)
{
	struct test *t = *state;
	uint32_t a = child(t, "vm2", "vm2/1.1", 0);

	for (uint32_t i = 1; i <= 8; i++)
		interest(t, a, i, 100 + i, false);
	forget(t);
	interest(t, a, 9, 109, false);
	EXPECT(t, "vm2/1.1 < registered 9 REFUSED (too-many-interests)\n");
	interest(t, a, 10, 101, false); /* what it holds, it may ask again */
	EXPECT(t, "vm2/1.1 < registered 10 DONE\n");
	interest(t, a, 11, 101, true);
	interest(t, a, 12, 109, false);
	EXPECT(t, "> drop 101\nvm2/1.1 < registered 11 DONE\n> interest 109\nvm2/1.1 < registered "
	          "12 DONE\n");
	assert_int_equal(relay_counts(t->relay).refused_interests, 1);
}

/* Of what a process says in its HELLO as much counts as it may hold: it is not refused for the
 * rest. */
static void hello_beyond_the_quota_is_taken_as_far_as_it_goes(void **state)
{
	struct test *t = *state;
	uint32_t lids[12], link = link_add(t, "vm2", "vm2/1.1");

	for (uint32_t i = 0; i < ARRAY_SIZE(lids); i++)
		lids[i] = 101 + i;
	assert_int_equal(say_hello(t, link, TETHER__ROLE__ROLE_SHIM, "vm2/1.1", NULL, lids,
	                         ARRAY_SIZE(lids)),
	        0);
	assert_non_null(strstr(t->said, "> interest 108\n"));
	assert_null(strstr(t->said, "> interest 109\n"));
}

static void announcements_have_a_quota_of_their_own(void **state)
{
	struct test *t = *state;
	uint32_t a = child(t, "vm2", "vm2/1.1", 0);

	for (uint32_t i = 1; i <= 32; i++)
		announce(t, a, i, &(struct address){.lid = 5, .qpn = i, .context = 1}, false);
	forget(t);
	announce(t, a, 33, &(struct address){.lid = 5, .qpn = 33, .context = 1}, false);
	EXPECT(t, "vm2/1.1 < registered 33 REFUSED (too-many-interests)\n");
	interest(t, a, 34, 6, false);
	EXPECT(t, "> interest 6\nvm2/1.1 < registered 34 DONE\n");
}

static void count_up(void *owner, const Tether__Interest *interest)
{
	++*(size_t *)owner;
}

static void say_nothing(void *owner, uint32_t member, const Tether__InterestAnswer *answer)
{
}

/* What a frame does not carry goes up when the HELLO has been answered. */
static void hello_upward_is_no_larger_than_a_frame(void **state)
{
	static const struct registration_outputs outputs = {.up = count_up, .down = say_nothing};
	enum { HELD = 20000, FITS = 1 << 14 };
	static Tether__Address said[HELD], *pointers[HELD];
	size_t up = 0, count;
	struct registration *r = registration_create(HELD, HELD, &outputs, &up);
	struct address *addresses;

	for (size_t i = 0; i < HELD; i++) {
		tether__address__init(&said[i]);
		said[i].lid = i + 1;
		pointers[i] = &said[i];
	}
	assert_int_equal(registration_hello_up(r, &addresses, &count), 0);
	free(addresses);
	assert_int_equal(registration_hello(r, 1, 1, NULL, pointers, HELD, 0), 0);
	assert_int_equal(registration_hello_up(r, &addresses, &count), 0);
	assert_int_equal(count, FITS);
	free(addresses);
	assert_int_equal(up, 0);
	registration_parent_up(r);
	assert_int_equal(up, HELD - FITS);
	registration_destroy(r);
}

/* A member that says HELLO with others each time: what is kept for it is one quota at most. */
static void what_is_kept_of_helloes_before_is_limited(void **unused)
{
	enum { MEMBER = 2, BEFORE, MOST = 8 };
	static const struct registration_outputs outputs = {.up = count_up, .down = say_nothing};
	size_t up = 0, kept = 0;
	struct registration *r = registration_create(MOST, MOST, &outputs, &up);
	Tether__Address said = TETHER__ADDRESS__INIT, *pointer = &said;

	for (uint32_t lid = 1; lid <= 4 * MOST; lid++) {
		said.lid = lid;
		assert_int_equal(registration_hello(r, MEMBER, 1, NULL, &pointer, 1, BEFORE), 0);
	}
	for (uint32_t lid = 1; lid <= 4 * MOST; lid++) {
		struct address address = {.lid = lid};

		kept += registration_holds(r, BEFORE, &address);
	}
	assert_int_equal(kept, MOST);
	registration_let_all_go(r, BEFORE);
	for (uint32_t lid = 1; lid <= 4 * MOST; lid++) {
		struct address address = {.lid = lid};

		assert_false(registration_holds(r, BEFORE, &address));
	}
	registration_destroy(r);
}

static void requests_under_way_are_limited(void **state)
{
	struct test *t = *state;
	uint32_t a = child(t, "vm2", "vm2/1.1", 0);

	t->acknowledge = false;
	for (uint32_t i = 1; i <= 8; i++)
		interest(t, a, i, 5, false);
	forget(t);
	interest(t, a, 9, 5, false);
	EXPECT(t, "vm2/1.1 < registered 9 REFUSED (too-many-requests)\n");
}

static void bad_address_is_refused(void **state)
{
	struct test *t = *state;
	uint32_t a = child(t, "vm2", "vm2/1.1", 0);

	interest(t, a, 1, 0, false);
	EXPECT(t, "vm2/1.1 < registered 1 REFUSED (bad-address)\n");
	interest(t, a, 2, 0x10005, false);
	EXPECT(t, "vm2/1.1 < registered 2 REFUSED (bad-address)\n");
}

/* The context may be another one: what the parent knows is said again. */
static void announced_queue_pair_is_known_until_it_is_withdrawn(void **state)
{
	struct address own = {.lid = 5, .qpn = 9, .context = 1}, unknown = {.lid = 5, .qpn = 8};
	struct test *t = *state;
	uint32_t a = child(t, "vm1", "vm1/1.1", 0), b = child(t, "vm1", "vm1/2.1", 0);

	announce(t, a, 1, &own, false);
	EXPECT(t, "> interest 5 own 9 of context 1\nvm1/1.1 < registered 1 DONE\n");
	assert_null(relay_announced(t->relay, &unknown));
	assert_int_equal(relay_announced(t->relay, &own)->context, 1);
	/* The first is gone and has not said so yet. */
	own.context = 2;
	announce(t, b, 2, &own, false);
	EXPECT(t, "> interest 5 own 9 of context 2\nvm1/2.1 < registered 2 DONE\n");
	announce(t, a, 3, &own, true);
	EXPECT(t, "vm1/1.1 < registered 3 DONE\n");
	assert_int_equal(relay_announced(t->relay, &own)->context, 2);
	relay_child_gone(t->relay, b, true, t->now_ms);
	EXPECT(t, "> drop 5 own 9 of context 2\n");
	assert_null(relay_announced(t->relay, &own));
}

static void who_announces_a_queue_pair_is_no_peer_of_its_vm(void **state)
{
	struct address own = {.lid = 5, .qpn = 9, .context = 1};
	struct test *t = *state;
	uint32_t a = child(t, "vm2", "vm2/1.1", 0);

	announce(t, a, 1, &own, false);
	forget(t);
	EVENT(t, .to_peers = true);
	EXPECT(t, "> STOP.1 DONE\n");
}

static size_t hello_up(struct test *t, Tether__Hello *hello)
{
	tether__hello__init(hello);
	assert_int_equal(relay_hello_fill(t->relay, hello), 0);
	return hello->n_addresses;
}

static void hello_upward_says_epoch_migration_and_interests(void **state)
{
	struct test *t = *state;
	Tether__Hello hello;

	child(t, "vm2", "vm2/1.1", 5);
	child(t, "vm1", "vm1/1.1", 0);
	EVENT(t, .to_vm = true, .epoch = 9, .migration = 4, .sequence = 3);
	assert_int_equal(hello_up(t, &hello), 1);
	assert_int_equal(hello.addresses[0]->lid, 5);
	assert_int_equal(hello.epoch, 9);
	assert_int_equal(hello.migration, 4);
	assert_int_equal(hello.step, TETHER__STEP__STEP_STOP);
	assert_int_equal(hello.sequence, 3);
	relay_hello_clear(&hello);
}

static void hello_upward_names_every_migration_that_is_open(void **state)
{
	struct test *t = *state;
	uint32_t a = child(t, "vm1", "vm1/1.1", 0), b = child(t, "vm2", "vm2/1.1", 0);
	Tether__Hello hello;

	EVENT(t, .to_vm = true, .migration = 4, .sequence = 1);
	EVENT(t, .vm = "vm2", .to_vm = true, .migration = 5, .sequence = 1);
	EVENT(t, .to_vm = true, .migration = 4, .sequence = 2);
	hello_up(t, &hello);
	assert_int_equal(hello.n_open, 2);
	assert_int_equal(hello.open[0], 4);
	assert_int_equal(hello.open[1], 5);
	relay_hello_clear(&hello);
	EVENT(t, .step = TETHER__STEP__STEP_ABORT, .to_vm = true, .migration = 4, .sequence = 3);
	pass(t, 6000);
	hello_up(t, &hello);
	assert_int_equal(hello.n_open, 1);
	assert_int_equal(hello.open[0], 5);
	assert_int_not_equal(a, b);
	relay_hello_clear(&hello);
}

static void what_the_parent_missed_is_said_again(void **state)
{
	struct test *t = *state;
	uint32_t a = child(t, "vm2", "vm2/1.1", 0);
	Tether__Hello hello;

	t->acknowledge = false;
	interest(t, a, 1, 5, false); /* lost with the link */
	assert_int_equal(hello_up(t, &hello), 1);
	relay_hello_clear(&hello);
	interest(t, a, 2, 6, false); /* between HELLO and its answer */
	EXPECT(t, "> interest 5\n");
	assert_int_equal(hello_answered(t, 1), 0);
	EXPECT(t, "vm2/1.1 < registered 1 DONE\n> interest 6\n");
}

static void what_was_dropped_while_the_parent_was_away_is_dropped_there(void **state)
{
	struct test *t = *state;
	uint32_t a = child(t, "vm2", "vm2/1.1", 5);
	Tether__Hello hello;

	assert_int_equal(hello_up(t, &hello), 1);
	relay_hello_clear(&hello);
	forget(t);
	interest(t, a, 1, 5, true);
	EXPECT(t, "vm2/1.1 < registered 1 DONE\n");
	assert_int_equal(hello_answered(t, 1), 0);
	EXPECT(t, "> drop 5\n");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        HOST_TEST(only_new_interest_goes_up),
	        HOST_TEST(registration_is_acknowledged_by_the_root_alone),
	        HOST_TEST(who_asks_for_datagram_numbers_is_answered_by_the_root),
	        HOST_TEST(refused_registration_is_not_held),
	        HOST_TEST(acknowledgement_of_what_was_dropped_counts_for_nothing),
	        HOST_TEST(interest_of_an_ended_process_is_dropped),
	        HOST_TEST(interest_outlives_a_short_break_of_the_link),
	        HOST_TEST(hello_says_what_is_still_wanted),
	        HOST_TEST(quotas_hold),
	        HOST_TEST(hello_beyond_the_quota_is_taken_as_far_as_it_goes),
	        HOST_TEST(announcements_have_a_quota_of_their_own),
	        cmocka_unit_test(hello_upward_is_no_larger_than_a_frame),
	        cmocka_unit_test(what_is_kept_of_helloes_before_is_limited),
	        HOST_TEST(requests_under_way_are_limited),
	        HOST_TEST(bad_address_is_refused),
	        HOST_TEST(announced_queue_pair_is_known_until_it_is_withdrawn),
	        HOST_TEST(who_announces_a_queue_pair_is_no_peer_of_its_vm),
	        HOST_TEST(hello_upward_names_every_migration_that_is_open),
	        HOST_TEST(hello_upward_says_epoch_migration_and_interests),
	        HOST_TEST(what_the_parent_missed_is_said_again),
	        HOST_TEST(what_was_dropped_while_the_parent_was_away_is_dropped_there),
	};

	return cmocka_run_group_tests_name("notifier_registration", tests, NULL, NULL);
}
