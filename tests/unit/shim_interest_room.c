/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/* Interests that are refused for a quota are asked for again, and said once for each reason. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "notifier/base/log.h"
#include "preload/agent_link.h"
#include "preload/interest_room.h"
#include "preload/interests.h"

enum { NOW_MS = 1000, LATER_MS = 1000 * ROOM_PAUSE_MOST_MS, CONNECTIONS = 3 };

struct context_list contexts = TAILQ_HEAD_INITIALIZER(contexts);

bool agent_link_is_there(void)
{
	return false;
}

void agent_link_wake(void)
{
}

static int warnings;
static const char *last_info;

void __wrap_log_line(enum log_level level, const char *subsystem, const char *format, ...);
void __wrap_log_line(enum log_level level, const char *subsystem, const char *format, ...)
{
	warnings += level == LOG_LEVEL_WARN;
	if (level == LOG_LEVEL_INFO)
		last_info = format;
}

static struct remote at(uint32_t lid)
{
	return (struct remote){.lid = lid, .real_lid = lid, .qpn = 0x100 + lid};
}

/* The number of what goes up at that time, which is about @lid; 0: nothing does. */
static uint32_t next(uint64_t now_ms, uint32_t *lid)
{
	Tether__Interest interest;
	Tether__Address address;

	*lid = 0;
	if (!interests_next(&interest, &address, now_ms))
		return 0;
	*lid = interest.address->lid;
	return interest.request;
}

static int setup(void **state)
{
	warnings = 0;
	last_info = "";
	return 0;
}

/* Nothing is of interest any more, and the agent has heard so. */
static int teardown(void **state)
{
	uint32_t about;

	for (uint32_t lid = 1; lid <= CONNECTIONS + 1; lid++) {
		struct remote remote = at(lid);

		for (int i = 0; i < CONNECTIONS; i++)
			interests_drop(&remote);
	}
	while (next(NOW_MS, &about))
		;
	return 0;
}

static void answered(uint32_t request, const char *reason, uint64_t now_ms)
{
	Tether__InterestAnswer answer = TETHER__INTEREST_ANSWER__INIT;
	Tether__Refusal refusal = TETHER__REFUSAL__INIT, *refusals[] = {&refusal};

	refusal.reason = (char *)reason;
	answer.request = request;
	answer.outcome = reason ? TETHER__OUTCOME__OUTCOME_REFUSED : TETHER__OUTCOME__OUTCOME_DONE;
	answer.refusals = refusals;
	answer.n_refusals = reason ? 1 : 0;
	interests_answered(&answer, now_ms);
}

static void connects(uint32_t lid, const char *reason)
{
	struct interest_request request;
	struct remote remote = at(lid);
	uint32_t about;

	interests_ask(&request, &remote);
	answered(next(NOW_MS, &about), reason, NOW_MS);
	assert_true(request.answered);
	assert_int_equal(about, lid);
	interests_done(&request, &remote);
}

static void all_are_refused(void)
{
	for (uint32_t lid = 1; lid <= CONNECTIONS; lid++)
		connects(lid, "too-many-interests");
}

static size_t in_hello(void)
{
	struct interest_list list;
	size_t count;

	interests_list(&list);
	count = list.count;
	interest_list_free(&list);
	return count;
}

static void it_is_said_once(void **state)
{
	all_are_refused();
	assert_int_equal(warnings, 1);
}

static void one_is_asked_for_again_after_a_pause_that_doubles(void **state)
{
	uint64_t now = NOW_MS, pause = ROOM_PAUSE_FIRST_MS;
	uint32_t lid = 0, request;

	all_are_refused();
	for (int i = 0; i < 10; i++) {
		assert_int_equal(next(now + pause - 1, &lid), 0);
		assert_int_equal(interests_wait(now + pause - 1), 1);
		now += pause;
		request = next(now, &lid);
		assert_int_not_equal(request, 0);
		assert_int_equal(next(LATER_MS, &lid), 0);
		assert_int_equal(interests_wait(LATER_MS), -1);
		answered(request, "too-many-interests", now);
		pause = 2 * pause < ROOM_PAUSE_MOST_MS ? 2 * pause : ROOM_PAUSE_MOST_MS;
	}
	assert_int_equal(warnings, 1);
}

static void as_soon_as_one_is_accepted_the_others_follow(void **state)
{
	uint32_t lid, last = 0;

	all_are_refused();
	assert_int_equal(in_hello(), 0);
	for (size_t i = 1; i <= CONNECTIONS; i++) {
		uint32_t request = next(NOW_MS + ROOM_PAUSE_FIRST_MS, &lid);

		assert_int_not_equal(request, 0);
		assert_int_not_equal(lid, last);
		last = lid;
		answered(request, NULL, NOW_MS + ROOM_PAUSE_FIRST_MS);
		assert_int_equal(in_hello(), i);
	}
	assert_int_equal(next(LATER_MS, &lid), 0);
	assert_int_equal(interests_wait(LATER_MS), -1);
	connects(CONNECTIONS + 1, "too-many-interests");
	assert_int_equal(warnings, 2);
}

/* Its VM may have been nowhere when it asked. */
static void one_that_is_refused_for_good_keeps_no_other_from_being_asked_for(void **state)
{
	uint64_t now = LATER_MS;
	uint32_t lid, request;

	connects(1, "foreign-partition");
	connects(2, "too-many-interests");
	request = next(now, &lid);
	assert_int_equal(lid, 1);
	answered(request, "foreign-partition", now);
	now += LATER_MS;
	request = next(now, &lid);
	assert_int_equal(lid, 2);
	answered(request, NULL, now);
	assert_int_equal(in_hello(), 1);
	assert_int_not_equal(next(now, &lid), 0);
	assert_int_equal(lid, 1);
}

static void what_is_of_interest_no_more_is_not_asked_for(void **state)
{
	struct remote remote = at(1);
	uint32_t lid;

	connects(1, "too-many-interests");
	assert_true(interests_drop(&remote));
	assert_int_not_equal(next(NOW_MS, &lid), 0); /* the drop */
	assert_int_equal(next(LATER_MS, &lid), 0);
	assert_int_equal(interests_wait(LATER_MS), -1);
}

static void over_the_next_link_it_is_asked_for_again(void **state)
{
	uint32_t lid;

	connects(1, "too-many-requests");
	assert_int_not_equal(next(LATER_MS, &lid), 0);
	interests_link_lost();
	assert_int_not_equal(next(LATER_MS, &lid), 0);
}

static void over_the_next_link_the_first_is_asked_for_at_once(void **state)
{
	uint64_t now = NOW_MS;
	uint32_t lid;

	connects(1, "too-many-interests");
	for (int i = 0; i < 10; i++) {
		now += ROOM_PAUSE_MOST_MS;
		answered(next(now, &lid), "too-many-interests", now);
	}
	assert_int_equal(next(now, &lid), 0);
	interests_link_lost();
	assert_int_equal(interests_wait(now), 0);
	assert_int_not_equal(next(now, &lid), 0);
}

/* The agent keeps it, so a HELLO without it would let it go. */
static void what_is_registered_stays_so_where_another_question_is_refused(void **state)
{
	static const char *const reasons[] = {
	        "too-many-requests", "no-memory", "foreign-partition"};

	for (uint32_t lid = 1; lid <= CONNECTIONS; lid++) {
		connects(lid, NULL);
		connects(lid, reasons[lid - 1]);
		assert_int_equal(in_hello(), lid);
	}
	interests_link_lost();
	assert_int_equal(in_hello(), CONNECTIONS);
}

static void what_is_registered_is_asked_for_again_all_the_same(void **state)
{
	uint32_t lid;

	connects(1, NULL);
	connects(1, "foreign-partition");
	assert_int_not_equal(next(LATER_MS, &lid), 0);
	assert_int_equal(lid, 1);
}

/* As after a HELLO to an agent that has less room than the one before. */
static void what_is_one_too_many_is_not_registered_any_more(void **state)
{
	connects(1, NULL);
	connects(1, "too-many-interests");
	assert_int_equal(in_hello(), 0);
	connects(1, "too-many-requests");
	assert_int_equal(in_hello(), 0);
	connects(1, NULL);
	assert_int_equal(in_hello(), 1);
}

static void each_reason_is_said_once(void **state)
{
	connects(1, "foreign-partition");
	assert_int_equal(warnings, 1);
	connects(2, "too-many-interests");
	assert_int_equal(warnings, 2);
	connects(3, "foreign-partition");
	connects(4, "too-many-interests");
	assert_int_equal(warnings, 2);
}

static void another_reason_for_the_same_address_is_said(void **state)
{
	uint32_t lid;

	connects(1, "foreign-partition");
	connects(1, "too-many-requests");
	assert_int_equal(warnings, 2);
	answered(next(LATER_MS, &lid), "too-many-interests", LATER_MS);
	assert_int_equal(warnings, 3);
}

static void a_reason_is_said_again_where_another_lasts(void **state)
{
	connects(1, "foreign-partition");
	connects(2, "too-many-interests");
	connects(2, NULL);
	assert_string_equal(last_info, "");
	connects(2, "too-many-interests");
	assert_int_equal(warnings, 3);
}

static void the_end_is_said_for_what_it_is(void **state)
{
	struct remote remote = at(1);

	connects(1, "too-many-interests");
	assert_true(interests_drop(&remote));
	assert_non_null(strstr(last_info, "none is waited for any more"));
	assert_null(strstr(last_info, "registered"));
}

/* There never will be room for these. */
static void what_is_refused_for_another_reason_is_not_asked_for(void **state)
{
	uint32_t lid;

	connects(1, "bad-address");
	assert_int_equal(next(LATER_MS, &lid), 0);
	assert_int_equal(interests_wait(LATER_MS), -1);
}

int main(void)
{
#define ROOM_TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
	        ROOM_TEST(it_is_said_once),
	        ROOM_TEST(one_is_asked_for_again_after_a_pause_that_doubles),
	        ROOM_TEST(as_soon_as_one_is_accepted_the_others_follow),
	        ROOM_TEST(one_that_is_refused_for_good_keeps_no_other_from_being_asked_for),
	        ROOM_TEST(what_is_of_interest_no_more_is_not_asked_for),
	        ROOM_TEST(over_the_next_link_it_is_asked_for_again),
	        ROOM_TEST(over_the_next_link_the_first_is_asked_for_at_once),
	        ROOM_TEST(what_is_registered_stays_so_where_another_question_is_refused),
	        ROOM_TEST(what_is_registered_is_asked_for_again_all_the_same),
	        ROOM_TEST(what_is_one_too_many_is_not_registered_any_more),
	        ROOM_TEST(each_reason_is_said_once),
	        ROOM_TEST(another_reason_for_the_same_address_is_said),
	        ROOM_TEST(a_reason_is_said_again_where_another_lasts),
	        ROOM_TEST(the_end_is_said_for_what_it_is),
	        ROOM_TEST(what_is_refused_for_another_reason_is_not_asked_for),
	};

	log_level_now = LOG_LEVEL_INFO;
	return cmocka_run_group_tests_name("shim_interest_room", tests, NULL, NULL);
}
