/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/* Address handles: which of them ask the agent, and what it is told of their end. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <pthread.h>

#include "notifier/wire/frame.h"
#include "notifier/wire/rows.h"
#include "preload/agent_link.h"
#include "preload/datagram_numbers.h"
#include "preload/heard_senders.h"
#include "preload/interests.h"
#include "tests/unit/shim_played_agent.h"

enum { HANDLES = 300 };

static void only_the_first_handle_to_an_address_asks(void **state)
{
	first_handle(DATAGRAM_LID, REAL_QPN);
	for (int i = 0; i < 1000; i++) {
		handle_is_made(DATAGRAM_LID);
		handle_is_gone(DATAGRAM_LID);
	}
	handle_is_gone(DATAGRAM_LID);
	handle_is_made(DATAGRAM_LID);
	handle_is_gone(DATAGRAM_LID);
	/* The next that the agent hears is of another address. */
	first_handle(DATAGRAM_LID + 1, REAL_QPN);
	handle_is_gone(DATAGRAM_LID + 1);
}

/* A connection asks for one queue pair, and its answer says nothing of the others. */
static void a_connection_to_an_address_does_not_answer_for_handles(void **state)
{
	struct asker a = {.remote = {.lid = DATAGRAM_LID + 2, .qpn = QPN, .real_qpn = QPN}};

	asker_begin(&a);
	agent_answers(agent_is_asked(NULL), TETHER__OUTCOME__OUTCOME_DONE);
	pthread_join(a.thread, NULL);
	first_handle(DATAGRAM_LID + 2, REAL_QPN);
	handle_is_gone(DATAGRAM_LID + 2);
	agent_link_forget(&a.remote);
}

/* What may have changed meanwhile is asked anew; a handle that is made meanwhile waits for it. */
static void after_another_link_numbers_are_asked_for_by_nobody(void **state)
{
	first_handle(DATAGRAM_LID + 3, REAL_QPN);
	agent_hangs_up();
	agent_welcomes();
	for (int i = 0; i < 4; i++) {
		Tether__Frame *frame = agent_hears_interest();

		assert_true(frame->interest->datagrams);
		agent_answers_datagrams(
		        frame->interest->request, frame->interest->address->lid, REAL_QPN + 1);
		frame_free(frame);
	}
	agent_is_heard();
	for (uint32_t lid = DATAGRAM_LID; lid < DATAGRAM_LID + 4; lid++)
		assert_int_equal(
		        datagram_number_to_real(datagram_numbers_at(lid), QPN), REAL_QPN + 1);
	handle_is_made(DATAGRAM_LID + 3);
	handle_is_gone(DATAGRAM_LID + 3);
	handle_is_gone(DATAGRAM_LID + 3);
}

/* Of addresses without handles those that were used last are kept, and what is not kept up to date
 * is not kept at all. */
static void what_nobody_has_used_for_long_is_dropped(void **state)
{
	uint16_t lid = DATAGRAM_LID + 4;

	for (int i = 0; i < HANDLES; i++, lid++) {
		first_handle(lid, REAL_QPN);
		handle_is_gone(lid);
		if (i < IDLE_MAX - 4)
			continue;
		agent_hears_drop((uint16_t)(lid - IDLE_MAX));
	}
	agent_is_heard();
	assert_int_equal(datagram_number_to_real(datagram_numbers_at(DATAGRAM_LID), QPN), QPN);
	assert_int_equal(datagram_number_to_real(datagram_numbers_at(lid - 1), QPN), REAL_QPN);
	first_handle(DATAGRAM_LID, REAL_QPN);
	handle_is_gone(DATAGRAM_LID);
	agent_hears_drop((uint16_t)(lid - IDLE_MAX));
}

/* This one was asked for anew over another link, and dropped with its handles since. */
static void who_was_asked_for_anew_is_not_a_sender_yet(void **state)
{
	uint32_t lid = DATAGRAM_LID + 1;

	assert_false(sender_is_known(lid));
	agent_answers_datagrams(agent_is_asked_for_datagrams(lid), lid, REAL_QPN);
	agent_is_heard();
	assert_true(sender_is_known(lid));
	assert_int_equal(datagram_number_to_virtual(datagram_numbers_at(lid), REAL_QPN), QPN);
}

static void a_move_gives(uint32_t lid)
{
	struct datagram_numbers *numbers = datagram_numbers_of(lid, NULL);
	struct qp_row row = {.local_lid = lid, .local_qpn = QPN, .real_qpn = REAL_QPN};
	Tether__QpRows rows = TETHER__QP_ROWS__INIT;

	assert_int_equal(qp_rows_append(&rows, &row), 0);
	assert_int_equal(datagram_numbers_take(numbers, &rows, NULL), 0);
	rows_clear(&rows.base);
	agent_link_took_numbers(lid, &numbers->gid);
}

/* Dropped while RECONNECT was on its way: of the next move nobody would say so. */
static void what_a_move_says_of_others_is_not_kept(void **state)
{
	uint16_t none = DATAGRAM_LID + 400, some = none + 1;

	first_handle(some, QPN);
	a_move_gives(some);
	a_move_gives(none);
	assert_int_equal(datagram_number_to_real(datagram_numbers_at(some), QPN), REAL_QPN);
	assert_int_equal(datagram_number_to_real(datagram_numbers_at(none), QPN), QPN);
	handle_is_gone(some);
	a_move_gives(some);
	assert_int_equal(datagram_number_to_real(datagram_numbers_at(some), QPN), REAL_QPN);
}

#define TEST(name) cmocka_unit_test(name)

int main(void)
{
	const struct CMUnitTest tests[] = {
	        TEST(only_the_first_handle_to_an_address_asks),
	        TEST(a_connection_to_an_address_does_not_answer_for_handles),
	        TEST(after_another_link_numbers_are_asked_for_by_nobody),
	        TEST(what_nobody_has_used_for_long_is_dropped),
	        TEST(who_was_asked_for_anew_is_not_a_sender_yet),
	        TEST(what_a_move_says_of_others_is_not_kept),
	};

	return cmocka_run_group_tests_name("agent handles", tests, agent_setup, agent_teardown);
}
