/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/* A child that is late again and again costs nobody else anything more than that. */
#include "tests/unit/relay_harness.h"

#define STOP   TETHER__STEP__STEP_STOP
#define SETTLE TETHER__STEP__STEP_SETTLE

struct pair {
	uint32_t slow, quick;
};

static struct pair pair_make(struct test *t)
{
	return (struct pair){child(t, "vm1", "vm1/1.1", 0), child(t, "vm1", "vm1/2.1", 0)};
}

static void event_without_the_slow(struct test *t, const struct pair *pair, uint32_t sequence)
{
	EVENT(t, .to_vm = true, .step = STOP, .sequence = sequence);
	done(t, pair->quick, STOP, sequence);
	forget(t);
	pass(t, DEADLINE_MS);
	assert_non_null(strstr(t->said, "PARTIAL answered vm1/2.1 missing vm1/1.1"));
	assert_null(strstr(t->said, "quarantined"));
	forget(t);
}

static struct pair quarantined(struct test *t)
{
	struct pair pair = pair_make(t);

	for (uint32_t i = 1; i <= 3; i++)
		event_without_the_slow(t, &pair, i);
	return pair;
}

static void who_is_late_three_times_is_not_waited_for(void **state)
{
	struct test *t = *state;
	struct pair pair = quarantined(t);

	EVENT(t, .to_vm = true, .step = STOP, .sequence = 4);
	assert_non_null(strstr(t->said, "vm1/1.1 < STOP.4 vm"));
	forget(t);
	done(t, pair.quick, STOP, 4);
	assert_non_null(strstr(t->said, "> STOP.4 PARTIAL answered vm1/2.1 missing vm1/1.1"));
	assert_non_null(strstr(t->said, "hyp1/vm1/"));
	assert_non_null(strstr(t->said, "(quarantined)"));
	assert_int_equal(relay_counts(t->relay).late_children, 4);
}

static void its_answer_counts_while_others_are_waited_for(void **state)
{
	struct test *t = *state;
	struct pair pair = quarantined(t);

	EVENT(t, .to_vm = true, .step = STOP, .sequence = 4);
	done(t, pair.slow, STOP, 4);
	forget(t);
	done(t, pair.quick, STOP, 4);
	EXPECT(t, "> STOP.4 DONE answered vm1/1.1 answered vm1/2.1\n");
}

static void late_answer_ends_it(void **state)
{
	struct test *t = *state;
	struct pair pair = quarantined(t);

	done(t, pair.slow, STOP, 3);
	EVENT(t, .to_vm = true, .step = STOP, .sequence = 4);
	forget(t);
	done(t, pair.quick, STOP, 4);
	EXPECT(t, "");
	done(t, pair.slow, STOP, 4);
	EXPECT(t, "> STOP.4 DONE answered vm1/2.1 answered vm1/1.1\n");
}

static void everybody_is_waited_for_after_the_commit(void **state)
{
	struct test *t = *state;
	struct pair pair = quarantined(t);
	static const Tether__Step steps[] = {TETHER__STEP__STEP_RELEASE, TETHER__STEP__STEP_ATTACH,
	        TETHER__STEP__STEP_RECONNECT, TETHER__STEP__STEP_RESUME, TETHER__STEP__STEP_ABORT};

	for (size_t i = 0; i < ARRAY_SIZE(steps); i++) {
		EVENT(t, .to_vm = true, .step = steps[i], .sequence = (uint32_t)(10 + i));
		forget(t);
		done(t, pair.quick, steps[i], (uint32_t)(10 + i));
		EXPECT(t, "");
		pass(t, DEADLINE_MS);
		assert_non_null(strstr(t->said, "PARTIAL answered vm1/2.1 missing vm1/1.1"));
		forget(t);
	}
}

static void who_has_ended_is_not_missing(void **state)
{
	struct test *t = *state;
	struct pair pair = quarantined(t);

	EVENT(t, .to_vm = true, .step = SETTLE, .sequence = 4);
	forget(t);
	relay_child_gone(t->relay, pair.slow, true, t->now_ms);
	done(t, pair.quick, SETTLE, 4);
	EXPECT(t, "> SETTLE.4 DONE answered vm1/2.1 ended vm1/1.1\n");
}

static void who_lost_its_link_is_not_late(void **state)
{
	struct test *t = *state;
	struct pair pair = pair_make(t);

	for (uint32_t i = 1; i <= 4; i++) {
		EVENT(t, .to_vm = true, .step = STOP, .sequence = i);
		if (i == 1)
			relay_child_gone(t->relay, pair.slow, false, t->now_ms);
		done(t, pair.quick, STOP, i);
		pass(t, DEADLINE_MS);
	}
	assert_int_equal(relay_counts(t->relay).late_children, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        HOST_TEST(who_is_late_three_times_is_not_waited_for),
	        HOST_TEST(its_answer_counts_while_others_are_waited_for),
	        HOST_TEST(late_answer_ends_it),
	        HOST_TEST(everybody_is_waited_for_after_the_commit),
	        HOST_TEST(who_has_ended_is_not_missing),
	        HOST_TEST(who_lost_its_link_is_not_late),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
