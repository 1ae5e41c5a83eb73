/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/* Interest while its VM moves: held from PREPARE to the end, and PREPARE waits for what was
 * earlier. */
#include "tests/unit/relay_harness.h"

/* A handle that is made while its destination moves is made when it has moved. */
static void who_asks_for_datagram_numbers_waits_behind_the_barrier(void **state)
{
	struct test *t = *state;
	uint32_t a = child(t, "vm2", "vm2/1.1", 0);

	EVENT(t, .step = PREPARE, .to_vm = true, .to_peers = true);
	forget(t);
	ask_datagrams(t, a, 11, 5);
	EXPECT(t, "vm2/1.1 < registered 11 NONE\n");
	EVENT(t, .step = TETHER__STEP__STEP_RESUME, .sequence = 2, .to_vm = true, .to_peers = true);
	EXPECT(t, "> RESUME.2 DONE\n> interest 5 datagrams\nvm2/1.1 < registered 11 DONE\n");
}

/* Until the end it would call the sender by a number that is not the sender's own. */
static void who_has_heard_a_datagram_is_held_by_nothing(void **state)
{
	struct test *t = *state;
	uint32_t a = child(t, "vm1", "vm1/1.1", 0), b = child(t, "vm2", "vm2/1.1", 0);

	EVENT(t, .step = PREPARE, .to_vm = true, .to_peers = true);
	done(t, a, PREPARE, 1);
	forget(t);
	ask_whose_datagram(t, a, 11, 6);
	EXPECT(t, "> interest 6 datagrams heard\nvm1/1.1 < registered 11 DONE\n");
	ask_whose_datagram(t, b, 12, 5);
	EXPECT(t, "> interest 5 datagrams heard\nvm2/1.1 < registered 12 DONE moving\n");
	/* What changes the numbers it is told, and who has a handle made still waits. */
	ask_datagrams(t, b, 13, 5);
	EXPECT(t, "vm2/1.1 < registered 13 NONE\n");
	EVENT(t, .step = TETHER__STEP__STEP_RECONNECT, .sequence = 2, .to_peers = true);
	EXPECT(t, "vm2/1.1 < RECONNECT.2 peers\n");
	done(t, b, TETHER__STEP__STEP_RECONNECT, 2);
	EXPECT(t, "> RECONNECT.2 DONE answered vm2/1.1\n");
	EVENT(t, .step = TETHER__STEP__STEP_RESUME, .sequence = 3, .to_vm = true);
	done(t, a, TETHER__STEP__STEP_RESUME, 3);
	forget(t);
	ask_whose_datagram(t, b, 14, 5);
	EXPECT(t, "> interest 5 datagrams heard\nvm2/1.1 < registered 14 DONE\n");
}

/* Under Shared Port peers know it by LIDs that it had; who hears it from the one that it has next
 * is told of that. */
static void vm_is_held_and_known_under_each_of_its_lids(void **state)
{
	struct test *t = *state;
	uint32_t a = child(t, "vm2", "vm2/1.1", 0), b = child(t, "vm3", "vm3/1.1", 0);

	interest(t, a, 11, 7, false);
	registered(t, 1, TETHER__OUTCOME__OUTCOME_DONE);
	interest(t, b, 12, 8, false);
	registered(t, 2, TETHER__OUTCOME__OUTCOME_DONE);
	forget(t);
	EVENT(t, .step = PREPARE, .to_peers = true, .known_lid = 7);
	EXPECT(t, "vm2/1.1 < PREPARE.1 peers\n");
	interest(t, b, 13, 7, false);
	EXPECT(t, "vm3/1.1 < registered 13 NONE\n");
	interest(t, b, 14, 5, false); /* where it is */
	EXPECT(t, "vm3/1.1 < registered 14 NONE\n");
	done(t, a, PREPARE, 1);
	forget(t);
	EVENT(t, .step = TETHER__STEP__STEP_RECONNECT, .sequence = 2, .to_peers = true,
	        .known_lid = 7, .new_lid = 8);
	EXPECT(t, "vm3/1.1 < RECONNECT.2 peers\nvm2/1.1 < RECONNECT.2 peers\n");
	EVENT(t, .step = TETHER__STEP__STEP_RESUME, .sequence = 3, .to_vm = true);
	assert_non_null(strstr(t->said, "vm3/1.1 < registered 13 DONE"));
}

static void registrations_are_held_from_prepare_to_resume(void **state)
{
	static const struct {
		Tether__Step step;
		bool lifts;
	} rows[] = {
	        {TETHER__STEP__STEP_STOP, false},
	        {TETHER__STEP__STEP_RECONNECT, false},
	        {TETHER__STEP__STEP_RESUME, true},
	        {TETHER__STEP__STEP_ABORT, true},
	        {TETHER__STEP__STEP_ERROR, true},
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct test *t = test_create(TETHER__ROLE__ROLE_HOST, "hyp1");
		uint32_t a = child(t, "vm2", "vm2/1.1", 0);

		EVENT(t, .to_vm = true, .step = PREPARE);
		EXPECT(t, "> PREPARE.1 DONE\n");
		interest(t, a, 1, 5, false);
		EXPECT(t, "vm2/1.1 < registered 1 NONE\n");
		interest(t, a, 2, 6, false); /* another VM's address is nobody's concern */
		EXPECT(t, "> interest 6\nvm2/1.1 < registered 2 DONE\n");
		EVENT(t, .to_vm = true, .step = rows[i].step, .sequence = 2);
		assert_int_equal(!!strstr(t->said, "> interest 5\nvm2/1.1 < registered 1 DONE\n"),
		        rows[i].lifts);
		teardown((void **)&t);
	}
}

/* Its peer's registration is held, so it would be connected alone when it stops. */
static void moving_vm_makes_no_connections_either(void **state)
{
	struct test *t = *state;
	uint32_t a = child(t, "vm1", "vm1/1.1", 0), b = child(t, "vm2", "vm2/1.1", 0);

	EVENT(t, .to_vm = true, .step = PREPARE);
	done(t, a, PREPARE, 1);
	forget(t);
	interest(t, a, 1, 6, false);
	EXPECT(t, "vm1/1.1 < registered 1 NONE\n");
	interest(t, b, 2, 6, false); /* others may */
	EXPECT(t, "> interest 6\nvm2/1.1 < registered 2 DONE\n");
	interest(t, a, 3, 6, true); /* and it may let go */
	EXPECT(t, "vm1/1.1 < registered 3 DONE\n");
	EVENT(t, .to_vm = true, .step = TETHER__STEP__STEP_ABORT, .sequence = 2);
	forget(t);
	done(t, a, TETHER__STEP__STEP_ABORT, 2);
	EXPECT(t, "> ABORT.2 DONE answered vm1/1.1\nvm1/1.1 < registered 1 DONE\n");
}

/* It has started after PREPARE was answered, and nobody has asked it anything yet. */
static void new_process_of_a_moving_vm_makes_no_connections(void **state)
{
	struct test *t = *state;
	uint32_t a;

	EVENT(t, .to_vm = true, .step = PREPARE);
	a = child(t, "vm1", "vm1/2.1", 0);
	forget(t);
	interest(t, a, 1, 6, false);
	EXPECT(t, "vm1/2.1 < registered 1 NONE\n");
	relay_child_gone(t->relay, a, true, t->now_ms);
	EVENT(t, .to_vm = true, .step = TETHER__STEP__STEP_ABORT, .sequence = 2);
	EXPECT(t, "> ABORT.2 DONE\n"); /* who is gone asks no more */
}

/* It was started again after PREPARE, or the daemon above it was. */
static void relay_that_missed_prepare_holds_from_the_next_step_on(void **state)
{
	struct test *t = *state;
	uint32_t a = child(t, "vm2", "vm2/1.1", 0);

	EVENT(t, .to_vm = true, .step = TETHER__STEP__STEP_RELEASE);
	forget(t);
	interest(t, a, 1, 5, false);
	EXPECT(t, "vm2/1.1 < registered 1 NONE\n");
	EVENT(t, .to_vm = true, .step = TETHER__STEP__STEP_RESUME, .sequence = 2);
	EXPECT(t, "> RESUME.2 DONE\n> interest 5\nvm2/1.1 < registered 1 DONE\n");
}

/* A destination that is asked whether it can, a source that the VM has left: who gets nothing else
 * may not be told the end. */
static void order_alone_holds_nothing(void **state)
{
	static const Tether__Step steps[] = {PREPARE, TETHER__STEP__STEP_MOVE};
	struct test *t = *state;
	uint32_t a = child(t, "vm2", "vm2/1.1", 0);

	for (uint32_t i = 0; i < ARRAY_SIZE(steps); i++) {
		EVENT(t, .order_host = "hyp1", .step = steps[i]);
		forget(t);
		interest(t, a, 1, 5 + i, false);
		assert_non_null(strstr(t->said, "vm2/1.1 < registered 1 DONE\n"));
	}
}

static void drop_during_a_move_waits_for_its_end(void **state)
{
	struct test *t = *state;
	uint32_t a = child(t, "vm2", "vm2/1.1", 5);

	EVENT(t, .to_peers = true, .step = PREPARE);
	done(t, a, PREPARE, 1);
	forget(t);
	interest(t, a, 1, 5, true);
	EXPECT(t, "vm2/1.1 < registered 1 NONE\n");
	EVENT(t, .to_peers = true, .step = TETHER__STEP__STEP_RESUME);
	EXPECT(t, "vm2/1.1 < RESUME.1 peers\n");
	done(t, a, TETHER__STEP__STEP_RESUME, 1);
	EXPECT(t, "> RESUME.1 DONE answered vm2/1.1\n> drop 5\nvm2/1.1 < registered 1 DONE\n");
}

static void barrier_ends_with_the_overall_deadline(void **state)
{
	struct test *t = *state;
	uint32_t a = child(t, "vm2", "vm2/1.1", 0);

	EVENT(t, .to_vm = true, .step = PREPARE, .overall_ms = 3000);
	interest(t, a, 1, 5, false);
	forget(t);
	pass(t, 2999);
	EXPECT(t, "");
	pass(t, 1);
	EXPECT(t, "> interest 5\nvm2/1.1 < registered 1 DONE\n");
}

/* The end of the migration is not told here: the root has a barrier of its own. */
static void barrier_falls_where_the_vm_has_left(void **state)
{
	struct test *t = *state;
	uint32_t a = child(t, "vm2", "vm2/1.1", 0);

	relay_vm_here(t->relay, "vm1");
	EVENT(t, .to_vm = true, .step = PREPARE);
	interest(t, a, 1, 5, false);
	forget(t);
	relay_vm_left(t->relay, "vm1", t->now_ms);
	EXPECT(t, "> interest 5\nvm2/1.1 < registered 1 DONE\n");
}

static size_t count_open(struct test *t)
{
	Tether__Hello hello = TETHER__HELLO__INIT;
	size_t count;

	assert_int_equal(relay_hello_fill(t->relay, &hello), 0);
	count = hello.n_open;
	relay_hello_clear(&hello);
	return count;
}

/* PREPARE to its last order at the host that vm1 leaves. */
static void move_away(struct test *t)
{
	relay_vm_here(t->relay, "vm1");
	t->order_at_once = true;
	EVENT(t, .to_vm = true, .to_peers = true, .step = PREPARE, .lid = 5);
	assert_int_equal(count_open(t), 1);
	EVENT(t, .order_host = "hyp1", .sequence = 2, .lid = 5);
	assert_int_equal(count_open(t), 1); /* it may come back */
	relay_vm_left(t->relay, "vm1", t->now_ms);
	EVENT(t, .order_host = "hyp1", .sequence = 3, .lid = 5);
}

/* The end is told where the VM is then. */
static void no_migration_stays_open_where_its_vm_has_left(void **state)
{
	struct test *t = *state;

	move_away(t);
	assert_int_equal(count_open(t), 0);
}

static void one_stays_open_where_a_peer_is_told_its_end(void **state)
{
	struct test *t = *state;
	uint32_t a = child(t, "vm2", "vm2/1.1", 5);

	move_away(t);
	assert_int_equal(count_open(t), 1);
	EVENT(t, .to_peers = true, .step = TETHER__STEP__STEP_RESUME, .sequence = 9, .lid = 5);
	done(t, a, TETHER__STEP__STEP_RESUME, 9);
	assert_int_equal(count_open(t), 0);
}

/* Nobody says an end of these: of a migration that was given up, or of none. */
static void what_no_step_follows_is_not_under_way(void **state)
{
	struct test *t = *state;

	relay_vm_here(t->relay, "vm1");
	t->order_at_once = true;
	EVENT(t, .order_host = "hyp1", .alone = true, .attaches = true);
	assert_int_equal(count_open(t), 0);
	EVENT(t, .order_host = "hyp1", .of_none = true, .sequence = 2);
	assert_int_equal(count_open(t), 0);
	EVENT(t, .order_host = "hyp1", .sequence = 3);
	assert_int_equal(count_open(t), 1);
	EVENT(t, .order_host = "hyp1", .alone = true, .migration = 2, .epoch = 2);
	assert_int_equal(count_open(t), 1);
	EVENT(t, .to_vm = true, .step = TETHER__STEP__STEP_ERROR, .sequence = 4, .epoch = 2);
	EVENT(t, .order_host = "hyp1", .alone = true, .sequence = 5, .epoch = 2);
	assert_int_equal(count_open(t), 0);
}

static void prepare_is_answered_after_earlier_registrations_are_acknowledged(void **state)
{
	struct test *t = *state;
	uint32_t a = child(t, "vm2", "vm2/1.1", 0);

	t->acknowledge = false;
	interest(t, a, 1, 5, false);
	EXPECT(t, "> interest 5\n");
	EVENT(t, .to_peers = true, .step = PREPARE);
	EXPECT(t, "vm2/1.1 < PREPARE.1 peers\n");
	done(t, a, PREPARE, 1);
	EXPECT(t, "");
	registered(t, t->last_request, TETHER__OUTCOME__OUTCOME_DONE);
	EXPECT(t, "vm2/1.1 < registered 1 DONE\n> PREPARE.1 DONE answered vm2/1.1\n");
}

static void prepare_does_not_wait_for_what_is_held_above(void **state)
{
	struct test *t = *state;
	uint32_t a = child(t, "vm2", "vm2/1.1", 0);

	t->acknowledge = false;
	interest(t, a, 1, 5, false);
	EVENT(t, .to_vm = true, .step = PREPARE);
	EXPECT(t, "> interest 5\n");
	registered(t, t->last_request, TETHER__OUTCOME__OUTCOME_NONE);
	EXPECT(t, "vm2/1.1 < registered 1 NONE\n> PREPARE.1 DONE\n");
	registered(t, t->last_request, TETHER__OUTCOME__OUTCOME_DONE);
	EXPECT(t, "vm2/1.1 < registered 1 DONE\n");
}

static void prepare_that_cannot_be_flushed_is_partial(void **state)
{
	struct test *t = *state;
	uint32_t a = child(t, "vm2", "vm2/1.1", 0);

	t->acknowledge = false;
	interest(t, a, 1, 5, false);
	EVENT(t, .to_vm = true, .step = PREPARE);
	forget(t);
	pass(t, DEADLINE_MS);
	EXPECT(t, "> PREPARE.1 PARTIAL hyp1 (interest-not-flushed)\n");
}

static void peer_is_concerned_though_its_link_breaks_during_the_move(void **state)
{
	struct test *t = *state;
	uint32_t a = child(t, "vm2", "vm2/1.1", 5);

	EVENT(t, .to_peers = true, .step = PREPARE);
	done(t, a, PREPARE, 1);
	relay_child_gone(t->relay, a, false, t->now_ms);
	forget(t);
	pass(t, 5000);
	EVENT(t, .to_peers = true);
	EXPECT(t, "");
	a = child(t, "vm2", "vm2/1.1", 5);
	EXPECT(t, "vm2/1.1 < STOP.1 peers\n");
}

/* Its creator waits for the answer, and a move waits for nobody's creating. */
static void queue_pair_is_announced_in_the_middle_of_a_move(void **state)
{
	struct address own = {.lid = 5, .qpn = 9, .context = 1};
	struct test *t = *state;
	uint32_t a = child(t, "vm1", "vm1/1.1", 0);

	EVENT(t, .to_vm = true, .step = PREPARE);
	done(t, a, PREPARE, 1);
	forget(t);
	announce(t, a, 1, &own, false);
	EXPECT(t, "> interest 5 own 9 of context 1\nvm1/1.1 < registered 1 DONE\n");
}

static void relay_is_told_that_its_registration_is_held(void **state)
{
	struct test *t = *state;
	uint32_t a = host(t, "hyp2", "vm2", 0);

	EVENT(t, .step = PREPARE, .to_peers = true);
	forget(t);
	interest(t, a, 7, 5, false);
	EXPECT(t, "hyp2 < registered 7 NONE\n");
	EVENT(t, .step = TETHER__STEP__STEP_ABORT);
	EXPECT(t, "> ABORT.1 DONE\n> interest 5\nhyp2 < registered 7 DONE\n");
}

/* Nobody says when it ends, so nobody is to wait for that. */
static void who_is_held_is_told_that_the_root_is_away(void **state)
{
	struct test *t = *state;
	uint32_t a = child(t, "vm2", "vm2/1.1", 0);

	t->acknowledge = false;
	interest(t, a, 1, 5, false);
	registered(t, t->last_request, TETHER__OUTCOME__OUTCOME_NONE);
	EXPECT(t, "> interest 5\nvm2/1.1 < registered 1 NONE\n");
	relay_parent_lost(t->relay);
	EXPECT(t, "vm2/1.1 < registered 1 PARTIAL\n");
	interest(t, a, 2, 6, false);
	EXPECT(t, "");
}

static void who_was_held_is_told_that_nobody_can_be_asked(void **state)
{
	struct test *t = *state;
	uint32_t a = child(t, "vm2", "vm2/1.1", 0);

	EVENT(t, .step = PREPARE, .to_peers = true, .overall_ms = 500);
	forget(t);
	interest(t, a, 1, 5, false);
	EXPECT(t, "vm2/1.1 < registered 1 NONE\n");
	relay_parent_lost(t->relay);
	EXPECT(t, "");
	pass(t, 500);
	EXPECT(t, "vm2/1.1 < registered 1 PARTIAL\n");
}

static void restarted_host_keeps_its_interests_during_the_move(void **state)
{
	struct test *t = *state;
	uint32_t a = host(t, "hyp2", "vm2", 5);

	EVENT(t, .to_peers = true, .step = PREPARE);
	done(t, a, PREPARE, 1);
	relay_child_gone(t->relay, a, false, t->now_ms);
	a = host(t, "hyp2", "vm2", 0); /* its processes are not back yet */
	forget(t);
	EVENT(t, .to_peers = true);
	EXPECT(t, "hyp2 < STOP.1 peers\n");
	STOPPED(t, a);
	forget(t);
	EVENT(t, .to_peers = true, .step = TETHER__STEP__STEP_ABORT);
	done(t, a, TETHER__STEP__STEP_ABORT, 1);
	EXPECT(t, "hyp2 < ABORT.1 peers\n> ABORT.1 DONE\n> drop 5\n");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        HOST_TEST(who_asks_for_datagram_numbers_waits_behind_the_barrier),
	        cmocka_unit_test(registrations_are_held_from_prepare_to_resume),
	        HOST_TEST(who_has_heard_a_datagram_is_held_by_nothing),
	        HOST_TEST(vm_is_held_and_known_under_each_of_its_lids),
	        HOST_TEST(moving_vm_makes_no_connections_either),
	        HOST_TEST(new_process_of_a_moving_vm_makes_no_connections),
	        HOST_TEST(relay_that_missed_prepare_holds_from_the_next_step_on),
	        HOST_TEST(order_alone_holds_nothing),
	        HOST_TEST(drop_during_a_move_waits_for_its_end),
	        HOST_TEST(barrier_ends_with_the_overall_deadline),
	        HOST_TEST(barrier_falls_where_the_vm_has_left),
	        HOST_TEST(no_migration_stays_open_where_its_vm_has_left),
	        HOST_TEST(one_stays_open_where_a_peer_is_told_its_end),
	        HOST_TEST(what_no_step_follows_is_not_under_way),
	        HOST_TEST(prepare_is_answered_after_earlier_registrations_are_acknowledged),
	        HOST_TEST(prepare_does_not_wait_for_what_is_held_above),
	        HOST_TEST(prepare_that_cannot_be_flushed_is_partial),
	        HOST_TEST(peer_is_concerned_though_its_link_breaks_during_the_move),
	        HOST_TEST(queue_pair_is_announced_in_the_middle_of_a_move),
	        ROOT_TEST(relay_is_told_that_its_registration_is_held),
	        HOST_TEST(who_is_held_is_told_that_the_root_is_away),
	        HOST_TEST(who_was_held_is_told_that_nobody_can_be_asked),
	        ROOT_TEST(restarted_host_keeps_its_interests_during_the_move),
	};

	return cmocka_run_group_tests_name("notifier_barrier", tests, NULL, NULL);
}
