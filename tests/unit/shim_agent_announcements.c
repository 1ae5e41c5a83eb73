/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/* Contexts with Ethernet ports, which the agent knows by the names of their GIDs or not at all. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <string.h>

#include "notifier/wire/gid_name.h"
#include "preload/agent_link.h"
#include "tests/unit/shim_played_agent.h"

enum { CONTEXT = 0x1234, GIDS = 2 };

static struct announcement by_gid(uint32_t context, uint8_t which)
{
	struct announcement own = {
	        .gid.raw = {0xfe, 0x80, [8] = (uint8_t)context, [15] = which}, .context = context};

	own.lid = gid_name(own.gid.raw);
	return own;
}

static void announce_context(uint32_t context)
{
	for (uint8_t i = 0; i < GIDS; i++) {
		struct announcement own = by_gid(context, i + 1);

		assert_int_equal(agent_link_announce_unasked(&own), 0);
	}
	agent_link_wake();
}

static void withdraw_context(uint32_t context)
{
	for (uint8_t i = 0; i < GIDS; i++) {
		struct announcement own = by_gid(context, i + 1);

		agent_link_withdraw(&own);
		frame_free(agent_hears_interest());
	}
}

/* Who says it, and by which GID: the request. */
static uint32_t agent_hears_of(uint32_t context, uint8_t which)
{
	struct announcement own = by_gid(context, which);
	Tether__Frame *frame = agent_hears_interest();
	const Tether__Address *address = frame->interest->address;
	uint32_t request = frame->interest->request;

	assert_int_equal(address->lid, own.lid);
	assert_int_equal(address->gid.len, sizeof(own.gid));
	assert_memory_equal(address->gid.data, own.gid.raw, sizeof(own.gid));
	assert_int_equal(address->context, context);
	assert_int_equal(address->qpn, 0);
	assert_false(frame->interest->drop);
	frame_free(frame);
	return request;
}

struct waiting {
	pthread_t thread;
	uint32_t context;
	int outcome;
	atomic_bool done;
};

static void *await(void *at)
{
	struct waiting *w = at;

	w->outcome = agent_link_await_announced(w->context);
	w->done = true;
	return NULL;
}

static void begin(struct waiting *w, uint32_t context)
{
	w->context = context;
	w->done = false;
	assert_int_equal(pthread_create(&w->thread, NULL, await, w), 0);
}

static bool is_waiting(const struct waiting *w)
{
	unsigned before = looks_at_clock();

	while (!w->done && looks_at_clock() - before < 2)
		;
	return !w->done;
}

static int end(struct waiting *w)
{
	pthread_join(w->thread, NULL);
	return w->outcome;
}

static void all_that_is_said_of_a_context_is_awaited(void **state)
{
	struct waiting w;
	uint32_t first, second;

	announce_context(CONTEXT);
	first = agent_hears_of(CONTEXT, 1);
	second = agent_hears_of(CONTEXT, 2);
	begin(&w, CONTEXT);
	agent_answers(second, TETHER__OUTCOME__OUTCOME_DONE);
	agent_is_heard();
	assert_true(is_waiting(&w));
	agent_answers(first, TETHER__OUTCOME__OUTCOME_DONE);
	assert_int_equal(end(&w), 0);
	withdraw_context(CONTEXT);
}

static void another_contexts_word_is_not(void **state)
{
	announce_context(CONTEXT + 1);
	agent_answers(agent_hears_of(CONTEXT + 1, 1), TETHER__OUTCOME__OUTCOME_NONE);
	agent_hears_of(CONTEXT + 1, 2);
	assert_int_equal(agent_link_await_announced(CONTEXT), 0);
	withdraw_context(CONTEXT + 1);
}

static void a_migration_that_holds_it_is_waited_for_to_its_end(void **state)
{
	struct waiting w;
	uint32_t first;

	announce_context(CONTEXT);
	first = agent_hears_of(CONTEXT, 1);
	agent_answers(first, TETHER__OUTCOME__OUTCOME_NONE);
	agent_answers(agent_hears_of(CONTEXT, 2), TETHER__OUTCOME__OUTCOME_DONE);
	agent_is_heard();
	begin(&w, CONTEXT);
	time_passes(LONG_S);
	assert_true(is_waiting(&w));
	agent_answers(first, TETHER__OUTCOME__OUTCOME_DONE);
	assert_int_equal(end(&w), 0);
	withdraw_context(CONTEXT);
}

static void a_gid_whose_name_is_anothers_is_told_of(void **state)
{
	announce_context(CONTEXT);
	agent_answers(agent_hears_of(CONTEXT, 1), TETHER__OUTCOME__OUTCOME_DONE);
	agent_refuses(agent_hears_of(CONTEXT, 2), "gid-collision");
	agent_is_heard();
	assert_int_equal(agent_link_await_announced(CONTEXT), EADDRINUSE);
	withdraw_context(CONTEXT);
}

static void expect_in_hello(const Tether__Hello *hello, uint8_t which)
{
	struct announcement own = by_gid(CONTEXT, which);
	unsigned found = 0;

	for (size_t i = 0; i < hello->n_addresses; i++) {
		const Tether__Address *address = hello->addresses[i];

		/* By its GID alone: it is not known yet whether the agent knows names. */
		assert_int_equal(address->lid, 0);
		assert_int_equal(address->gid.len, sizeof(own.gid));
		if (memcmp(address->gid.data, own.gid.raw, sizeof(own.gid)) != 0)
			continue;
		assert_int_equal(address->context, CONTEXT);
		found++;
	}
	assert_int_equal(found, 1);
}

/* HELLO says all of it; what was not acknowledged is asked for again. */
static void over_another_link_it_is_said_again(void **state)
{
	Tether__Frame *hello;
	struct waiting w;

	announce_context(CONTEXT);
	agent_answers(agent_hears_of(CONTEXT, 1), TETHER__OUTCOME__OUTCOME_DONE);
	agent_hears_of(CONTEXT, 2);
	agent_is_heard();
	agent_hangs_up();
	hello = agent_reads_hello();
	expect_in_hello(hello->hello, 1);
	expect_in_hello(hello->hello, 2);
	frame_free(hello);
	agent_answers_hello(TETHER__OUTCOME__OUTCOME_DONE);
	begin(&w, CONTEXT);
	agent_answers(agent_hears_of(CONTEXT, 2), TETHER__OUTCOME__OUTCOME_DONE);
	assert_int_equal(end(&w), 0);
	withdraw_context(CONTEXT);
}

static void a_question_says_the_gid_and_its_name(void **state)
{
	struct announcement to = by_gid(CONTEXT, 9);
	struct asker a = {.remote = {.lid = to.lid, .gid = to.gid, .qpn = QPN}};
	uint8_t gid[GID_BYTES];

	asker_begin(&a);
	agent_refuses(agent_is_asked(gid), "gid-collision");
	asker_end(&a);
	assert_memory_equal(gid, to.gid.raw, sizeof(gid));
	assert_int_equal(a.remote.unreachable, EADDRINUSE);
}

#define TEST(name) cmocka_unit_test(name)

int main(void)
{
	const struct CMUnitTest tests[] = {
	        TEST(all_that_is_said_of_a_context_is_awaited),
	        TEST(another_contexts_word_is_not),
	        TEST(a_migration_that_holds_it_is_waited_for_to_its_end),
	        TEST(a_gid_whose_name_is_anothers_is_told_of),
	        TEST(over_another_link_it_is_said_again),
	        TEST(a_question_says_the_gid_and_its_name),
	};

	return cmocka_run_group_tests_name(
	        "agent announcements", tests, agent_setup, agent_teardown);
}
