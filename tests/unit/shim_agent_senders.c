/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/* Senders of datagrams: each is asked for once, and who hears a stranger waits, within bounds. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "notifier/base/log.h"
#include "notifier/wire/frame.h"
#include "notifier/wire/gid_name.h"
#include "notifier/wire/rows.h"
#include "preload/agent_link.h"
#include "preload/datagram_numbers.h"
#include "preload/heard_senders.h"
#include "preload/interests.h"
#include "tests/unit/shim_played_agent.h"

enum { SENDER_LID = 0x1000, SENDERS = 1000 };

static void a_sender_is_of_interest_from_its_first_datagram_on(void **state)
{
	for (int i = 0; i < 3; i++)
		sender_is_known(SENDER_LID);
	agent_answers_datagrams(agent_is_asked_for_datagrams(SENDER_LID), SENDER_LID, REAL_QPN);
	agent_is_heard();
	sender_is_known(SENDER_LID);
	assert_int_equal(
	        datagram_number_to_virtual(datagram_numbers_at(SENDER_LID), REAL_QPN), QPN);
	/* Answered before it is sent to, it need not be asked for. */
	handle_is_made(SENDER_LID);
	handle_is_gone(SENDER_LID);
	/* Neither groups nor what has no LID. */
	sender_is_known(0);
	sender_is_known(0xffff);
	sender_is_known(SENDER_LID + 1);
	agent_answers_datagrams(
	        agent_is_asked_for_datagrams(SENDER_LID + 1), SENDER_LID + 1, REAL_QPN);
}

static void await_sender(uint32_t lid, uint64_t since_ms)
{
	const struct remote sender = {.lid = lid, .real_lid = lid};

	agent_link_await_sender(&sender, since_ms);
}

static void *hear_one(void *at)
{
	struct asker *a = at;

	if (!sender_is_known(a->remote.lid))
		await_sender(a->remote.lid, library_ms());
	a->done = true;
	return NULL;
}

static void *make_handle(void *at)
{
	struct asker *a = at;

	agent_link_register_datagrams(&a->remote);
	a->done = true;
	return NULL;
}

static uint32_t begin_hearing(struct asker *a, uint32_t lid)
{
	a->remote.lid = lid;
	assert_int_equal(pthread_create(&a->thread, NULL, hear_one, a), 0);
	return agent_is_asked_for_datagrams(lid);
}

static void who_hears_a_stranger_waits_for_the_answer(void **state)
{
	struct asker a = {0};
	uint32_t lid = SENDER_LID + 2, request = begin_hearing(&a, lid);

	agent_is_heard();
	assert_false(a.done);
	agent_answers_datagrams(request, lid, REAL_QPN);
	pthread_join(a.thread, NULL);
	assert_int_equal(datagram_number_to_virtual(datagram_numbers_at(lid), REAL_QPN), QPN);
}

static void whose_numbers_are_here_is_not_waited_for(void **state)
{
	uint32_t lid = SENDER_LID + 8;
	unsigned before;

	first_handle((uint16_t)lid, REAL_QPN);
	service_is_kept_busy();
	before = looks_at_clock();
	assert_false(sender_is_known(lid));
	await_sender(lid, library_ms());
	assert_int_equal(looks_at_clock(), before);
	assert_int_equal(datagram_number_to_virtual(datagram_numbers_at(lid), REAL_QPN), QPN);
	service_goes_on();
	agent_is_heard();
	agent_hears_nothing_more();
	/* As a sender it stays of interest. */
	handle_is_gone((uint16_t)lid);
	agent_is_heard();
	agent_hears_nothing_more();
}

/* By the poll and by the service thread, whichever is first. */
static void a_stranger_is_asked_for_once(void **state)
{
	struct asker a = {0};
	uint32_t lid = SENDER_LID + 9, request;
	unsigned before = looks_at_clock();

	service_is_kept_busy();
	a.remote.lid = lid;
	assert_int_equal(pthread_create(&a.thread, NULL, hear_one, &a), 0);
	while (looks_at_clock() == before)
		sched_yield();
	service_goes_on();
	request = agent_is_asked_for_datagrams(lid);
	agent_answers_datagrams(request, lid, REAL_QPN);
	pthread_join(a.thread, NULL);
	agent_is_heard();
	agent_hears_nothing_more();
	assert_int_equal(datagram_number_to_virtual(datagram_numbers_at(lid), REAL_QPN), QPN);
}

static bool log_says(const char *path, const char *what)
{
	FILE *log = fopen(path, "re");
	char line[256];
	bool says = false;

	assert_non_null(log);
	while (fgets(line, sizeof(line), log))
		says |= strstr(line, what) != NULL;
	fclose(log);
	return says;
}

/* Datagrams may have been lost meanwhile, and nobody else knows why. */
static void a_long_wait_for_a_stranger_is_said(void **state)
{
	char path[] = "/tmp/tether-senders-XXXXXX", what[128];
	uint32_t lid = SENDER_LID + 10, request;
	unsigned before = looks_at_clock();
	struct asker a = {0};

	close(mkstemp(path));
	assert_int_equal(log_open("tested", path, LOG_LEVEL_WARN), 0);
	request = begin_hearing(&a, lid);
	while (looks_at_clock() == before)
		sched_yield();
	time_passes(LONG_S);
	agent_answers_datagrams(request, lid, REAL_QPN);
	pthread_join(a.thread, NULL);
	first_handle((uint16_t)(lid + 1), REAL_QPN);
	sender_is_known(lid + 1);
	await_sender(lid + 1, library_ms() - LIBRARY_ABSENT_MS);
	assert_int_equal(log_open("tested", "none", LOG_LEVEL_WARN), 0);
	snprintf(what, sizeof(what),
	        "warn link: the first datagram from lid %u was held back for %d", lid, LONG_S);
	assert_true(log_says(path, what));
	snprintf(what, sizeof(what), "lid %u", lid + 1);
	assert_false(log_says(path, what));
	unlink(path);
}

/* Its lock is the library's, and its completions are in hand. */
static void who_waits_is_not_cancelled_there(void **state)
{
	struct asker waits[2] = {{.remote = {.lid = LID, .qpn = QPN, .real_qpn = QPN}}};
	uint32_t lid = SENDER_LID + 7, requests[2];
	void *ended;

	asker_begin(&waits[0]);
	requests[0] = agent_is_asked(NULL);
	requests[1] = begin_hearing(&waits[1], lid);
	for (int i = 0; i < 2; i++)
		pthread_cancel(waits[i].thread);
	agent_answers(requests[0], TETHER__OUTCOME__OUTCOME_DONE);
	agent_answers_datagrams(requests[1], lid, REAL_QPN);
	for (int i = 0; i < 2; i++) {
		pthread_join(waits[i].thread, &ended);
		assert_null(ended);
		assert_true(waits[i].done);
	}
	agent_link_forget(&waits[0].remote);
	frame_free(agent_reads()); /* the drop */
}

/* Nobody makes it wait; but a handle is made when the move is over, for the numbers of then. */
static void what_is_known_in_a_move_does_for_hearing_alone(void **state)
{
	struct asker hears = {0};
	uint16_t lid = SENDER_LID + 12;
	struct asker sends = {.remote = {.lid = lid}, .is_handle = true};
	uint32_t request = begin_hearing(&hears, lid);

	assert_true(who_asked_has_heard());
	agent_answers_in_a_move(request, lid, REAL_QPN);
	pthread_join(hears.thread, NULL);
	assert_int_equal(datagram_number_to_virtual(datagram_numbers_at(lid), REAL_QPN), QPN);
	assert_int_equal(pthread_create(&sends.thread, NULL, make_handle, &sends), 0);
	request = agent_is_asked_for_datagrams(lid);
	assert_false(who_asked_has_heard());
	agent_answers(request, TETHER__OUTCOME__OUTCOME_NONE);
	assert_true(asker_is_waiting(&sends));
	agent_answers_datagrams(request, lid, REAL_QPN + 1);
	pthread_join(sends.thread, NULL);
	assert_int_equal(datagram_number_to_real(datagram_numbers_at(lid), QPN), REAL_QPN + 1);
	handle_is_made(lid);
	handle_is_gone(lid);
	handle_is_gone(lid);
}

/* It would be for as long as the migration takes; what is said at its asker_end is taken. */
static void who_hears_a_stranger_does_not_wait_for_a_migration(void **state)
{
	struct asker a = {0};
	uint32_t lid = SENDER_LID + 3, request = begin_hearing(&a, lid);

	agent_answers(request, TETHER__OUTCOME__OUTCOME_NONE);
	pthread_join(a.thread, NULL);
	agent_answers_datagrams(request, lid, REAL_QPN);
	agent_is_heard();
	assert_int_equal(datagram_number_to_virtual(datagram_numbers_at(lid), REAL_QPN), QPN);
}

/* ---- by name ---- */

static struct remote named(uint8_t host)
{
	union ibv_gid gid = {.raw = {0xfe, 0x80, [15] = host}};
	uint32_t name = gid_name(gid.raw);

	return (struct remote){.lid = name, .gid = gid, .real_lid = name, .real_gid = gid};
}

/* What QPN at @known is now is REAL_QPN at @real. */
static void agent_tells_place(
        uint32_t request, const struct remote *known, const struct remote *real)
{
	struct qp_row row = {.local_lid = known->lid,
	        .local_qpn = QPN,
	        .real_qpn = REAL_QPN,
	        .real_lid = real->lid};
	Tether__QpRows rows = TETHER__QP_ROWS__INIT;
	Tether__GidRows gids = TETHER__GID_ROWS__INIT;

	assert_int_equal(qp_rows_append(&rows, &row), 0);
	assert_int_equal(gid_rows_add(&gids, known->gid.raw), 0);
	assert_int_equal(gid_rows_add(&gids, real->gid.raw), 0);
	agent_answers_rows(request, &rows, &gids);
	rows_clear(&rows.base);
	rows_clear(&gids.base);
}

static void *hear_by_name(void *at)
{
	struct asker *a = at;

	if (!sender_is_known(a->remote.lid))
		agent_link_await_sender(&a->remote, library_ms());
	a->done = true;
	return NULL;
}

/* And so is whoever is known by another name there, since by that one it will move. */
static void a_name_is_asked_for_with_its_gid(void **state)
{
	struct remote known = named(1), real = named(2);
	struct asker a = {.remote = real};
	struct datagram_numbers *numbers = datagram_numbers_of(real.lid, &real.gid);
	uint32_t request;

	assert_int_equal(pthread_create(&a.thread, NULL, hear_by_name, &a), 0);
	request = agent_is_asked_for_gid(&real.gid);
	assert_true(who_asked_has_heard());
	agent_tells_place(request, &known, &real);
	pthread_join(a.thread, NULL);
	assert_int_equal(datagram_entry_lid(datagram_sender(numbers, REAL_QPN)), known.lid);
	assert_memory_equal(&datagram_numbers_named(known.lid)->gid, &known.gid, sizeof(known.gid));
	request = agent_is_asked_for_gid(&known.gid);
	agent_tells_place(request, &known, &real);
	agent_is_heard();
	assert_int_equal(
	        datagram_entry_lid(datagram_destination(datagram_numbers_named(known.lid), QPN)),
	        real.lid);
	assert_int_equal(datagram_numbers_place(datagram_numbers_named(known.lid)), real.lid);
	assert_true(sender_is_known(real.lid));
	agent_hears_nothing_more();
}

/* Somebody else may come there. */
static void who_comes_to_a_gid_that_was_left_is_a_stranger(void **state)
{
	struct remote real = named(2), other = named(3);
	struct asker a = {.remote = real};

	agent_link_sender_has_left(real.lid, &real.gid);
	sender_set_unknown(datagram_numbers_named(real.lid));
	agent_is_heard();
	assert_int_equal(pthread_create(&a.thread, NULL, hear_by_name, &a), 0);
	agent_tells_place(agent_is_asked_for_gid(&real.gid), &other, &real);
	pthread_join(a.thread, NULL);
	assert_int_equal(
	        datagram_entry_lid(datagram_sender(datagram_numbers_named(real.lid), REAL_QPN)),
	        other.lid);
	agent_tells_place(agent_is_asked_for_gid(&other.gid), &other, &real);
	agent_is_heard();
	agent_hears_nothing_more();
}

/* It is not waited for by one sender after the other. */
static void an_agent_that_says_nothing_is_waited_for_once(void **state)
{
	uint32_t lids[] = {SENDER_LID + 4, SENDER_LID + 5}, requests[2];
	struct asker a = {0};
	unsigned before;

	for (int i = 0; i < 2; i++) {
		assert_false(sender_is_known(lids[i]));
		requests[i] = agent_is_asked_for_datagrams(lids[i]);
	}
	time_passes(LONG_S);
	await_sender(lids[0], library_ms() - LIBRARY_ABSENT_MS);
	before = looks_at_clock();
	await_sender(lids[1], library_ms());
	assert_int_equal(looks_at_clock(), before);
	for (int i = 0; i < 2; i++) {
		agent_answers_datagrams(requests[i], lids[i], REAL_QPN);
		agent_is_heard();
		assert_int_equal(
		        datagram_number_to_virtual(datagram_numbers_at(lids[i]), REAL_QPN), QPN);
	}
	/* Since it has said something it is waited for again. */
	requests[0] = begin_hearing(&a, SENDER_LID + 6);
	while (looks_at_clock() == before)
		sched_yield();
	agent_answers_datagrams(requests[0], SENDER_LID + 6, REAL_QPN);
	pthread_join(a.thread, NULL);
}

static void *hear_half(void *first)
{
	for (uint32_t i = *(uint32_t *)first; i < SENDERS; i += 2)
		sender_is_known(2u * SENDER_LID + i);
	return NULL;
}

/* An agent refuses who asks too much at a time. */
static void agent_lets_wait(uint8_t *asked)
{
	uint32_t requests[UNDER_WAY_MAX], lids[UNDER_WAY_MAX];

	for (int i = 0; i < UNDER_WAY_MAX; i++) {
		Tether__Frame *frame = agent_hears_interest();

		requests[i] = frame->interest->request;
		lids[i] = frame->interest->address->lid;
		asked[lids[i] - 2 * SENDER_LID]++;
		frame_free(frame);
	}
	agent_is_heard();
	agent_hears_nothing_more();
	for (int i = 0; i < UNDER_WAY_MAX; i++)
		agent_answers_datagrams(requests[i], lids[i], REAL_QPN);
}

/* However many there are: none of them is dropped, since nobody would asker_run again. */
static void no_sender_is_forgotten(void **state)
{
	static uint8_t asked[SENDERS];
	uint32_t first[] = {0, 1};
	pthread_t threads[2];

	for (int i = 0; i < 2; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, hear_half, &first[i]), 0);
	agent_lets_wait(asked);
	for (int i = UNDER_WAY_MAX; i < SENDERS; i++) {
		Tether__Frame *frame = agent_hears_interest();
		uint32_t lid = frame->interest->address->lid;

		assert_true(frame->interest->datagrams);
		assert_in_range(lid, 2 * SENDER_LID, 2 * SENDER_LID + SENDERS - 1);
		assert_int_equal(asked[lid - 2 * SENDER_LID]++, 0);
		agent_answers_datagrams(frame->interest->request, lid, REAL_QPN);
		frame_free(frame);
	}
	for (int i = 0; i < 2; i++)
		pthread_join(threads[i], NULL);
	agent_is_heard();
	for (int i = 0; i < SENDERS; i++)
		assert_int_equal(
		        datagram_number_to_virtual(
		                datagram_numbers_at(2u * SENDER_LID + (uint32_t)i), REAL_QPN),
		        QPN);
}

#define TEST(name) cmocka_unit_test(name)

int main(void)
{
	const struct CMUnitTest tests[] = {
	        TEST(a_sender_is_of_interest_from_its_first_datagram_on),
	        TEST(who_hears_a_stranger_waits_for_the_answer),
	        TEST(whose_numbers_are_here_is_not_waited_for),
	        TEST(a_stranger_is_asked_for_once),
	        TEST(a_long_wait_for_a_stranger_is_said),
	        TEST(who_waits_is_not_cancelled_there),
	        TEST(what_is_known_in_a_move_does_for_hearing_alone),
	        TEST(who_hears_a_stranger_does_not_wait_for_a_migration),
	        TEST(a_name_is_asked_for_with_its_gid),
	        TEST(who_comes_to_a_gid_that_was_left_is_a_stranger),
	        TEST(an_agent_that_says_nothing_is_waited_for_once),
	        TEST(no_sender_is_forgotten),
	};

	return cmocka_run_group_tests_name("agent senders", tests, agent_setup, agent_teardown);
}
