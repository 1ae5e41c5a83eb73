/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/* Questions about connections, and how long their answers are waited for. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "preload/agent_link.h"
#include "tests/unit/shim_played_agent.h"

static void a_question_is_packed_before_its_asker_can_be_gone(void **state)
{
	struct asker a = {.remote = {.gid.raw = {0xfe, 0x80, 3}, .by_gid = true, .qpn = QPN}};
	uint8_t gid[16];

	asker_begin(&a);
	agent_answers(agent_is_asked(gid), TETHER__OUTCOME__OUTCOME_DONE);
	assert_memory_equal(gid, a.remote.gid.raw, 16);
	asker_end(&a);
	assert_false(was_packed_without_lock());
}

static void an_agent_that_says_nothing_is_not_waited_for_longer_than_a_migration(void **state)
{
	struct asker a = {0};

	asker_begin(&a);
	agent_is_asked(NULL);
	assert_true(asker_is_waiting(&a));
	time_passes(LONG_S);
	asker_end(&a);
	assert_int_equal(a.remote.real_qpn, QPN);
}

static void a_migration_that_holds_a_question_is_waited_for_to_its_end(void **state)
{
	struct asker a = {0};
	uint32_t request;

	asker_begin(&a);
	request = agent_is_asked(NULL);
	agent_answers(request, TETHER__OUTCOME__OUTCOME_NONE);
	agent_is_heard();
	time_passes(LONG_S);
	assert_true(asker_is_waiting(&a));
	agent_answers(request, TETHER__OUTCOME__OUTCOME_DONE);
	asker_end(&a);
	assert_int_equal(a.remote.real_qpn, REAL_QPN);
}

static void what_is_held_no_longer_is_waited_for_as_if_it_never_was(void **state)
{
	struct asker a = {0};
	uint32_t request;

	asker_begin(&a);
	request = agent_is_asked(NULL);
	agent_answers(request, TETHER__OUTCOME__OUTCOME_NONE);
	agent_answers(request, TETHER__OUTCOME__OUTCOME_PARTIAL);
	agent_is_heard();
	assert_true(asker_is_waiting(&a));
	time_passes(LONG_S);
	asker_end(&a);
	assert_int_equal(a.remote.real_qpn, QPN);
}

/* It asks anew again and again, and its application waits no longer for that. */
static void who_is_refused_has_had_no_agent_since_it_lost_one(void **state)
{
	uint64_t since;

	agent_hangs_up();
	agent_hears_hello();
	since = agent_is_away_since();
	assert_int_not_equal(since, 0);
	for (int i = 0; i < 2; i++) {
		agent_answers_hello(TETHER__OUTCOME__OUTCOME_REFUSED);
		agent_hangs_up();
		agent_hears_hello();
		assert_int_equal(agent_is_away_since(), since);
	}
	agent_answers_hello(TETHER__OUTCOME__OUTCOME_DONE);
	agent_is_heard();
	assert_int_equal(agent_is_away_since(), 0);
}

/* Asked again over the next link, it may be held again. */
static void what_was_held_is_not_without_a_link(void **state)
{
	struct asker a = {0};
	uint32_t request;

	asker_begin(&a);
	agent_answers(agent_is_asked(NULL), TETHER__OUTCOME__OUTCOME_NONE);
	agent_is_heard();
	agent_hangs_up();
	agent_welcomes();
	request = agent_is_asked(NULL);
	agent_answers(request, TETHER__OUTCOME__OUTCOME_NONE);
	agent_is_heard();
	time_passes(LONG_S);
	assert_true(asker_is_waiting(&a));
	agent_goes_for_good();
	assert_true(asker_is_waiting(&a));
	time_passes(LONG_S);
	asker_end(&a);
	assert_int_equal(a.remote.real_qpn, QPN);
}

/* Its application has gone on meanwhile. */
static void what_there_was_no_room_for_is_asked_for_again(void **state)
{
	struct asker a = {0};

	asker_begin(&a);
	agent_has_no_room(agent_is_asked(NULL));
	while (asker_is_waiting(&a))
		;
	time_passes(LONG_S);
	agent_is_heard();
	agent_answers(agent_is_asked(NULL), TETHER__OUTCOME__OUTCOME_DONE);
	agent_is_heard();
	asker_end(&a);
}

#define TEST(name) cmocka_unit_test(name)

int main(void)
{
	const struct CMUnitTest tests[] = {
	        TEST(a_question_is_packed_before_its_asker_can_be_gone),
	        TEST(an_agent_that_says_nothing_is_not_waited_for_longer_than_a_migration),
	        TEST(a_migration_that_holds_a_question_is_waited_for_to_its_end),
	        TEST(what_is_held_no_longer_is_waited_for_as_if_it_never_was),
	        TEST(who_is_refused_has_had_no_agent_since_it_lost_one),
	        TEST(what_there_was_no_room_for_is_asked_for_again),
	        TEST(what_was_held_is_not_without_a_link),
	};

	return cmocka_run_group_tests_name("shim_agent_link", tests, agent_setup, agent_teardown);
}
