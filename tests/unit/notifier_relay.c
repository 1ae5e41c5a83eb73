/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/* The relay hands out once, waits for everybody who was asked, answers once; orders beside that. */
#include "tests/unit/relay_harness.h"

static void event_goes_once_to_each_concerned_child(void **state)
{
	struct test *t = *state;
	uint32_t a = child(t, "vm1", "vm1/1.1", 0);
	uint32_t b = child(t, "vm1", "vm1/2.1", 0);
	uint32_t c = child(t, "vm2", "vm2/1.1", 5);

	child(t, "vm2", "vm2/2.1", 6);
	forget(t);
	EVENT(t, .to_vm = true, .to_peers = true);
	EXPECT(t, "vm2/1.1 < STOP.1 peers\nvm1/2.1 < STOP.1 vm\nvm1/1.1 < STOP.1 vm\n");
	STOPPED(t, a);
	STOPPED(t, c);
	EXPECT(t, "");
	STOPPED(t, b);
	EXPECT(t, "> STOP.1 DONE answered vm1/1.1 answered vm2/1.1 answered vm1/2.1\n");
}

static void peers_are_not_of_the_vm_itself(void **state)
{
	struct test *t = *state;

	child(t, "vm1", "vm1/1.1", 5); /* talks to another process of its own VM */
	forget(t);
	EVENT(t, .to_peers = true);
	EXPECT(t, "> STOP.1 DONE\n");
}

static void nobody_concerned_is_done_at_once(void **state)
{
	struct test *t = *state;

	child(t, "vm2", "vm2/1.1", 6);
	forget(t);
	EVENT(t, .to_vm = true, .to_peers = true);
	EXPECT(t, "> STOP.1 DONE\n");
}

static void open_event_is_not_handed_out_twice(void **state)
{
	struct test *t = *state;
	uint32_t a = child(t, "vm1", "vm1/1.1", 0);

	EVENT(t, .to_vm = true);
	EXPECT(t, "vm1/1.1 < STOP.1 vm\n");
	EVENT(t, .to_vm = true);
	EXPECT(t, "");
	STOPPED(t, a);
	EXPECT(t, "> STOP.1 DONE answered vm1/1.1\n");
}

static void repeat_of_an_answered_event_gets_the_same_answer(void **state)
{
	struct test *t = *state;
	uint32_t a = child(t, "vm1", "vm1/1.1", 0);

	EVENT(t, .to_vm = true);
	STOPPED(t, a);
	forget(t);
	EVENT(t, .to_vm = true);
	EXPECT(t, "> STOP.1 DONE answered vm1/1.1\n");
	EVENT(t, .to_vm = true, .sequence = 2); /* another event, no repeat */
	EXPECT(t, "vm1/1.1 < STOP.2 vm\n");
	assert_int_equal(relay_counts(t->relay).repeated_events, 1);
}

static void older_epoch_is_refused(void **state)
{
	struct test *t = *state;

	child(t, "vm1", "vm1/1.1", 0);
	EVENT(t, .to_vm = true, .epoch = 7);
	forget(t);
	EVENT(t, .to_vm = true, .epoch = 6, .sequence = 2);
	EXPECT(t, "> STOP.2 REFUSED hyp1 (old-epoch)\n");
	assert_int_equal(relay_counts(t->relay).old_epochs, 1);
	assert_int_equal(t->epoch_saved, 7);
}

static void other_vm_may_be_in_an_older_epoch(void **state)
{
	struct test *t = *state;

	child(t, "vm2", "vm2/1.1", 0);
	EVENT(t, .to_vm = true, .epoch = 7);
	forget(t);
	EVENT(t, .to_vm = true, .epoch = 6, .vm = "vm2", .migration = 2);
	EXPECT(t, "vm2/1.1 < STOP.1 vm\n");
}

static void epoch_that_cannot_be_stored_is_not_obeyed(void **state)
{
	struct test *t = *state;

	child(t, "vm1", "vm1/1.1", 0);
	t->epoch_save_error = -EIO;
	EVENT(t, .to_vm = true, .epoch = 7);
	EXPECT(t, "> STOP.1 REFUSED hyp1 (epoch-not-saved)\n");
}

static void stale_root_is_not_obeyed(void **state)
{
	struct test *t = *state;

	assert_int_equal(hello_answered(t, 7), 0);
	assert_int_equal(t->epoch_saved, 7);
	assert_int_equal(hello_answered(t, 6), -ESTALE);
	assert_int_equal(hello_answered(t, 7), 0);
}

static void slow_child_is_named_before_the_parents_deadline(void **state)
{
	struct test *t = *state;
	uint32_t a = child(t, "vm1", "vm1/1.1", 0);
	int64_t next;

	child(t, "vm1", "vm1/2.1", 0);
	EVENT(t, .to_vm = true);
	assert_true(t->last_deadline_ms < DEADLINE_MS);
	STOPPED(t, a);
	forget(t);
	next = relay_next_ms(t->relay, t->now_ms);
	assert_in_range(next, t->last_deadline_ms + 1, DEADLINE_MS - 1);
	pass(t, next - 1);
	EXPECT(t, "");
	pass(t, 1);
	EXPECT(t, "> STOP.1 PARTIAL answered vm1/1.1 missing vm1/2.1\n");
}

static void late_answer_is_counted_and_ignored(void **state)
{
	struct test *t = *state;
	uint32_t a = child(t, "vm1", "vm1/1.1", 0);

	EVENT(t, .to_vm = true);
	pass(t, DEADLINE_MS);
	forget(t);
	STOPPED(t, a);
	EXPECT(t, "");
	assert_int_equal(relay_counts(t->relay).late_answers, 1);
	/* And the answer that was given stands. */
	EVENT(t, .to_vm = true);
	EXPECT(t, "> STOP.1 PARTIAL missing vm1/1.1\n");
}

static void first_answer_of_a_child_counts(void **state)
{
	struct test *t = *state;
	uint32_t a = child(t, "vm1", "vm1/1.1", 0), b = child(t, "vm1", "vm1/2.1", 0);
	Tether__Answer second =
	        answer_to(TETHER__STEP__STEP_STOP, 1, TETHER__OUTCOME__OUTCOME_FAILED);

	EVENT(t, .to_vm = true);
	forget(t);
	STOPPED(t, a);
	answer_send(t, a, &second);
	STOPPED(t, b);
	EXPECT(t, "> STOP.1 DONE answered vm1/1.1 answered vm1/2.1\n");
}

static void child_that_was_not_asked_cannot_answer(void **state)
{
	struct test *t = *state;
	uint32_t foreign = child(t, "vm2", "vm2/1.1", 0);

	child(t, "vm1", "vm1/1.1", 0);
	EVENT(t, .to_vm = true);
	forget(t);
	STOPPED(t, foreign);
	done(t, foreign, TETHER__STEP__STEP_SETTLE, 9);
	EXPECT(t, "");
	assert_int_equal(relay_counts(t->relay).unasked_answers, 2);
}

static void process_speaks_for_itself_alone(void **state)
{
	struct test *t = *state;
	uint32_t a = child(t, "vm1", "vm1/1.1", 0);
	Tether__Answer lie = answer_to(TETHER__STEP__STEP_STOP, 1, TETHER__OUTCOME__OUTCOME_DONE);
	char *others[] = {(char *)"vm1/2.1", (char *)"vm2/1.1"};

	child(t, "vm1", "vm1/2.1", 0);
	EVENT(t, .to_vm = true);
	forget(t);
	lie.answered = others;
	lie.n_answered = 2;
	answer_send(t, a, &lie);
	pass(t, DEADLINE_MS);
	EXPECT(t, "> STOP.1 PARTIAL answered vm1/1.1 missing vm1/2.1\n");
}

static void order_is_tallied_with_the_children(void **state)
{
	struct test *t = *state;
	uint32_t a = child(t, "vm1", "vm1/1.1", 0);

	EVENT(t, .to_vm = true, .order_host = "hyp1");
	EXPECT(t, "vm1/1.1 < STOP.1 vm\norder 2 vm1\n");
	assert_true(t->last_deadline_ms < DEADLINE_MS);
	EVENT(t, .to_vm = true, .order_host = "hyp1");
	EXPECT(t, ""); /* not carried out twice */
	STOPPED(t, a);
	EXPECT(t, "");
	order_done(t, TETHER__STEP__STEP_STOP, 1, 0);
	EXPECT(t, "> STOP.1 DONE answered vm1/1.1 exit 0\n");
	EVENT(t, .to_vm = true, .order_host = "hyp1");
	EXPECT(t, "> STOP.1 DONE answered vm1/1.1 exit 0\n");
}

static void order_may_be_done_at_once(void **state)
{
	struct test *t = *state;

	t->order_at_once = true;
	EVENT(t, .order_host = "hyp1");
	EXPECT(t, "order 2 vm1\n> STOP.1 DONE exit 0\n");
}

static void order_before_a_later_one_is_refused(void **state)
{
	struct test *t = *state;

	t->order_at_once = true;
	EVENT(t, .order_host = "hyp1", .sequence = 5);
	forget(t);
	EVENT(t, .order_host = "hyp1", .sequence = 4);
	EXPECT(t, "> STOP.4 REFUSED hyp1 (old-order)\n");
	EVENT(t, .to_vm = true, .sequence = 3); /* no order */
	EXPECT(t, "> STOP.3 DONE\n");
	EVENT(t, .order_host = "hyp1", .sequence = 1, .epoch = 9);
	EXPECT(t, "order 2 vm1\n");
}

static void order_that_takes_too_long_is_missing(void **state)
{
	struct test *t = *state;

	EVENT(t, .order_host = "hyp1");
	forget(t);
	pass(t, DEADLINE_MS);
	EXPECT(t, "> STOP.1 PARTIAL missing hyp1\n");
	order_done(t, TETHER__STEP__STEP_STOP, 1, 0);
	EXPECT(t, "");
}

static void order_for_another_host_is_refused(void **state)
{
	struct test *t = *state;

	EVENT(t, .order_host = "hyp2");
	EXPECT(t, "> STOP.1 REFUSED hyp1 (no-such-host)\n");
}

static void root_hands_a_host_only_what_is_meant_for_it(void **state)
{
	struct test *t = *state;

	host(t, "hyp1", "vm1 vm3", 0);
	host(t, "hyp2", "vm2", 5);
	host(t, "hyp3", "vm4", 6);
	forget(t);
	EVENT(t, .to_vm = true, .to_peers = true, .expected = {"vm1/1.1", "vm2/1.1"});
	EXPECT(t, "hyp2 < STOP.1 peers expects vm2/1.1\nhyp1 < STOP.1 vm expects vm1/1.1\n");
}

static void root_finds_the_vm_where_its_host_says(void **state)
{
	struct test *t = *state;
	uint32_t a = host(t, "hyp1", "vm1", 0), b = host(t, "hyp2", "", 0);
	Tether__Answer answer =
	        answer_to(TETHER__STEP__STEP_ATTACH, 1, TETHER__OUTCOME__OUTCOME_DONE);
	Tether__HostResult result = TETHER__HOST_RESULT__INIT;
	Tether__HostVm vm = TETHER__HOST_VM__INIT;
	Tether__HostVm *vms[] = {&vm};
	Tether__Slot slot = TETHER__SLOT__INIT;
	Tether__Slot *slots[] = {&slot};

	vm.name = (char *)"vm1";
	result.vms = vms;
	result.n_vms = 1;
	answer.result = &result;
	EVENT(t, .order_host = "hyp2", .step = TETHER__STEP__STEP_ATTACH);
	EXPECT(t, "hyp2 < ATTACH.1 order\n");
	answer_send(t, b, &answer);
	result.n_vms = 0;
	result.slots = slots;
	result.n_slots = 1;
	answer.step = TETHER__STEP__STEP_MOVE;
	EVENT(t, .order_host = "hyp1", .step = TETHER__STEP__STEP_MOVE);
	answer_send(t, a, &answer);
	forget(t);
	EVENT(t, .to_vm = true, .step = TETHER__STEP__STEP_ATTACH, .sequence = 2);
	EXPECT(t, "hyp2 < ATTACH.2 vm\n");
}

static void order_for_an_unknown_host_is_refused(void **state)
{
	struct test *t = *state;

	host(t, "hyp1", "vm1", 0);
	EVENT(t, .order_host = "hyp9");
	EXPECT(t, "> STOP.1 REFUSED  (no-such-host)\n");
}

static Tether__Event abort_of_epoch(uint64_t epoch, const char *host)
{
	Tether__Event event = TETHER__EVENT__INIT;

	event.step = TETHER__STEP__STEP_ABORT;
	event.epoch = epoch;
	event.migration = 1;
	event.host = (char *)host;
	return event;
}

/* Else it would leave who told it, at its next HELLO, for one that is older than itself. */
static void who_tells_a_host_an_epoch_has_it_too(void **state)
{
	static const Tether__Role roles[] = {TETHER__ROLE__ROLE_ROOT, TETHER__ROLE__ROLE_RELAY};

	for (size_t i = 0; i < ARRAY_SIZE(roles); i++) {
		struct test *t = test_create(roles[i], "above");
		Tether__Event event = abort_of_epoch(6, "hyp1");
		uint32_t link = host(t, "hyp1", "vm1", 0);

		assert_int_equal(t->epoch_welcomed, 0);
		assert_int_equal(relay_event(t->relay, &event, t->now_ms), 0);
		EXPECT(t, "hyp1 < ABORT.0\n");
		assert_int_equal(t->epoch_saved, 6);
		relay_child_gone(t->relay, link, false, t->now_ms);
		host(t, "hyp1", "vm1", 0);
		assert_int_equal(t->epoch_welcomed, 6);
		teardown((void **)&t);
	}
}

static void host_is_not_told_an_epoch_that_cannot_be_stored(void **state)
{
	struct test *t = *state;
	Tether__Event event = abort_of_epoch(6, "");

	host(t, "hyp1", "vm1", 0);
	t->epoch_save_error = -EIO;
	assert_int_equal(relay_tell_host(t->relay, "hyp1", &event), -EIO);
	EXPECT(t, "");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        HOST_TEST(event_goes_once_to_each_concerned_child),
	        HOST_TEST(peers_are_not_of_the_vm_itself),
	        HOST_TEST(nobody_concerned_is_done_at_once),
	        HOST_TEST(open_event_is_not_handed_out_twice),
	        HOST_TEST(repeat_of_an_answered_event_gets_the_same_answer),
	        HOST_TEST(older_epoch_is_refused),
	        HOST_TEST(other_vm_may_be_in_an_older_epoch),
	        HOST_TEST(epoch_that_cannot_be_stored_is_not_obeyed),
	        HOST_TEST(stale_root_is_not_obeyed),
	        HOST_TEST(slow_child_is_named_before_the_parents_deadline),
	        HOST_TEST(late_answer_is_counted_and_ignored),
	        HOST_TEST(first_answer_of_a_child_counts),
	        HOST_TEST(child_that_was_not_asked_cannot_answer),
	        HOST_TEST(process_speaks_for_itself_alone),
	        HOST_TEST(order_is_tallied_with_the_children),
	        HOST_TEST(order_may_be_done_at_once),
	        HOST_TEST(order_before_a_later_one_is_refused),
	        HOST_TEST(order_that_takes_too_long_is_missing),
	        HOST_TEST(order_for_another_host_is_refused),
	        ROOT_TEST(root_hands_a_host_only_what_is_meant_for_it),
	        ROOT_TEST(root_finds_the_vm_where_its_host_says),
	        ROOT_TEST(order_for_an_unknown_host_is_refused),
	        cmocka_unit_test(who_tells_a_host_an_epoch_has_it_too),
	        ROOT_TEST(host_is_not_told_an_epoch_that_cannot_be_stored),
	};

	return cmocka_run_group_tests_name("notifier_relay", tests, NULL, NULL);
}
