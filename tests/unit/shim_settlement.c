/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/* What becomes of unfinished work, row by row: what was posted, what the responder says. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <infiniband/verbs.h>
#include <string.h>

#include "preload/settlement.h"

enum { MTU = 1024, FIRST_PSN = 0xfffffe, DEPTH = 8 }; /* the numbers wrap after two packets */

static uint8_t buffer[8 * MTU];

static void log_setup(struct send_log *log)
{
	struct ibv_qp_cap cap = {.max_send_wr = DEPTH, .max_send_sge = 1, .max_inline_data = 64};

	assert_int_equal(send_log_init(log, &cap), 0);
	log->mtu = MTU;
	send_log_number_from(log, FIRST_PSN);
	log->signal_reads = log->signal_atomics = true;
}

static void post(struct send_log *log, enum ibv_wr_opcode opcode, uint32_t length)
{
	struct ibv_sge sge = {.addr = (uintptr_t)buffer, .length = length};
	struct ibv_send_wr wr = {
	        .wr_id = log->head, .sg_list = &sge, .num_sge = 1, .opcode = opcode};

	assert_int_equal(send_log_fill(log, 0, &wr), 0);
	send_log_number(log, 1);
	send_log_commit(log, 1, true);
}

static void post_local(struct send_log *log, enum ibv_wr_opcode opcode)
{
	send_log_set_local(send_log_begin(log, 0), opcode);
	send_log_number(log, 1);
	send_log_commit(log, 1, true);
}

/*
 * Work by one letter each: s SEND, i SEND_WITH_IMM, v SEND_WITH_INV, w WRITE, m WRITE_WITH_IMM,
 * r READ, a FETCH_ADD, c CMP_SWAP, b BIND_MW, l LOCAL_INV, capitals: of three packets. What became
 * of it: x executed, r to be replayed.
 */
struct row {
	const char *what;
	const char *posted;
	unsigned completed;
	unsigned packets; /* that the responder has accepted */
	const char *fates;
	bool lost;
};

static const struct row rows[] = {
        {"nothing_unfinished_is_nothing_to_do", "ssw", 3, 3, "", false},
        {"what_the_responder_has_not_seen_is_replayed", "swm", 0, 0, "rrr", false},
        {"executed_and_unacknowledged_is_made_up", "swmi", 0, 4, "xxxx", false},
        {"the_frontier_splits_executed_from_replayed", "swsw", 1, 3, "xxr", false},
        {"a_message_of_which_a_part_arrived_is_replayed_whole", "SW", 0, 5, "xr", false},
        {"a_part_of_the_first_message_is_no_execution", "S", 0, 2, "r", false},
        {"the_last_packet_makes_it_executed", "S", 0, 3, "x", false},
        {"an_unanswered_read_is_replayed", "r", 0, 1, "r", false},
        {"a_read_takes_the_numbers_of_its_responses", "Rw", 0, 4, "rx", false},
        {"a_read_in_front_does_not_replay_what_follows", "rsw", 0, 3, "rxx", false},
        {"an_atomic_not_executed_is_replayed", "sa", 0, 1, "xr", false},
        {"an_atomic_not_executed_is_replayed_too_with_swap", "c", 0, 0, "r", false},
        {"an_atomic_executed_and_unanswered_is_lost", "a", 0, 1, "r", true},
        {"a_swap_executed_and_unanswered_is_lost", "wcs", 0, 3, "xrr", true},
        {"a_bind_that_nothing_followed_is_replayed", "sb", 0, 1, "xr", false},
        {"a_bind_is_executed_before_what_follows_it", "sbs", 0, 2, "xxx", false},
        {"so_it_was_if_a_part_of_that_arrived", "bS", 0, 1, "xr", false},
        {"local_work_takes_no_number", "lblbs", 0, 0, "rrrrr", false},
        {"local_work_behind_what_is_replayed_is_replayed", "sblv", 0, 0, "rrrr", false},
        {"a_send_that_invalidates_is_a_send", "vbv", 0, 1, "xrr", false},
        {"local_work_behind_a_read_is_executed_all_the_same", "rbls", 0, 2, "rxxx", false},
        {"numbers_wrap_at_24_bits", "sssss", 0, 3, "xxxrr", false},
};

static void posted_as(struct send_log *log, const char *letters)
{
	for (; *letters; letters++) {
		uint32_t length = *letters >= 'a' ? 8 : 2 * MTU + 1;

		switch (*letters | 0x20) {
		case 's':
			post(log, IBV_WR_SEND, length);
			break;
		case 'i':
			post(log, IBV_WR_SEND_WITH_IMM, length);
			break;
		case 'v':
			post(log, IBV_WR_SEND_WITH_INV, length);
			break;
		case 'b':
			post_local(log, IBV_WR_BIND_MW);
			break;
		case 'l':
			post_local(log, IBV_WR_LOCAL_INV);
			break;
		case 'w':
			post(log, IBV_WR_RDMA_WRITE, length);
			break;
		case 'm':
			post(log, IBV_WR_RDMA_WRITE_WITH_IMM, length);
			break;
		case 'r':
			post(log, IBV_WR_RDMA_READ, length);
			break;
		case 'a':
			post(log, IBV_WR_ATOMIC_FETCH_AND_ADD, 8);
			break;
		default:
			post(log, IBV_WR_ATOMIC_CMP_AND_SWP, 8);
			break;
		}
	}
}

static void fates_of(const struct send_log *log, char *fates)
{
	for (uint32_t i = log->tail; i != log->posted; i++)
		*fates++ = send_log_at(log, i)->fate == FATE_EXECUTED ? 'x' : 'r';
	*fates = '\0';
}

static void each_row_is_settled_as_it_says(void **state)
{
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const struct row *row = &rows[i];
		struct settlement result;
		struct send_log log;
		char fates[DEPTH + 1];

		log_setup(&log);
		posted_as(&log, row->posted);
		if (row->completed)
			send_log_retire(&log, row->completed - 1);
		result = settle_sends(&log, (FIRST_PSN + row->packets) & PSN_MASK);
		fates_of(&log, fates);
		if (strcmp(fates, row->fates) || result.lost != row->lost || result.contradicts)
			fail_msg("%s: %s lost %d, not %s lost %d", row->what, fates, result.lost,
			        row->fates, row->lost);
		send_log_fini(&log);
	}
}

/* Of a transport without acknowledgements, by the PSN that the sender's own device has come to. */
struct sent_row {
	const char *what;
	const char *posted;
	unsigned completed;
	bool flushed;
	bool datagrams;
	int packets; /* that were sent; -1: nobody knows */
	const char *fates;
	bool is_kept;
};

static const struct sent_row sent_rows[] = {
        {"what_was_not_given_back_was_sent", "sss", 1, false, false, 1, "xx", false},
        {"what_was_given_back_and_not_sent_goes_out", "sss", 1, true, false, 1, "rr", false},
        {"what_was_sent_and_given_back_is_done", "sss", 1, true, false, 2, "xr", false},
        {"a_message_that_was_sent_in_part_goes_out_whole", "SW", 0, true, false, 5, "xr", false},
        {"a_bind_that_nothing_followed_is_done_again", "sb", 0, true, false, 1, "xr", false},
        {"a_bind_was_done_before_what_followed_it", "bsb", 0, true, false, 1, "xxr", false},
        {"a_datagram_is_one_packet", "SSs", 0, true, true, 2, "xxr", false},
        {"without_a_number_nothing_is_sent_again", "ss", 0, true, false, -1, "xx", false},
        {"a_number_from_before_what_is_done_is_none", "sss", 2, true, false, 1, "x", false},
        {"a_number_of_what_was_never_posted_is_none", "ss", 0, true, false, 3, "xx", false},
        {"the_first_number_may_be_what_was_given", "ss", 0, true, false, 0, "xx", false},
        {"of_a_device_that_counts_on_it_is_known", "ss", 0, true, false, 0, "rr", true},
        {"also_there_what_was_not_given_back_was_sent", "ss", 0, false, false, 0, "xx", true},
        {"behind_what_is_done_the_first_number_is_none", "ss", 1, true, false, 0, "x", true},
};

static void what_was_sent_is_settled_as_each_row_says(void **state)
{
	for (size_t i = 0; i < sizeof(sent_rows) / sizeof(sent_rows[0]); i++) {
		const struct sent_row *row = &sent_rows[i];
		struct send_log log;
		char fates[DEPTH + 1];

		log_setup(&log);
		log.datagrams = row->datagrams;
		posted_as(&log, row->posted);
		if (row->completed)
			send_log_retire(&log, row->completed - 1);
		settle_sent(&log, row->flushed,
		        row->packets < 0 ? PSN_UNKNOWN
		                         : (FIRST_PSN + (uint32_t)row->packets) & PSN_MASK,
		        row->is_kept);
		fates_of(&log, fates);
		if (strcmp(fates, row->fates))
			fail_msg("%s: %s, not %s", row->what, fates, row->fates);
		send_log_fini(&log);
	}
}

static const struct by_receives {
	const char *what, *posted;
	unsigned completed, receives; /* sends here, RECVs there */
	const char *fates;
	bool lost;
} rows_by_receives[] = {
        {"nothing is open", "ss", 2, 1, "", false},
        {"the last was received", "sws", 0, 2, "xxx", false},
        {"a WRITE before a message that was received", "wws", 0, 1, "xxx", false},
        {"a WRITE behind it may have been executed", "sw", 0, 1, "xr", true},
        {"nothing was received", "s", 0, 0, "r", true},
        {"a message behind it may have been executed", "ss", 0, 1, "xr", true},
        {"WRITE_WITH_IMM takes one, too", "wm", 0, 1, "xx", false},
        {"a READ is replayed, before and behind it", "rsr", 0, 1, "rxr", false},
        {"READs alone are replayed", "rr", 0, 0, "rr", false},
        {"a READ before what may have been executed", "srw", 0, 1, "xrr", true},
        {"an atomic before it has lost its answer", "as", 0, 1, "rr", true},
        {"an atomic behind it may have been executed", "sa", 0, 1, "xr", true},
        {"what was counted before", "sss", 2, 3, "x", false},
        {"and fewer than have completed", "sss", 2, 2, "r", true},
};

static void by_receives_only_what_they_prove_is_done(void **state)
{
	for (size_t i = 0; i < sizeof(rows_by_receives) / sizeof(rows_by_receives[0]); i++) {
		const struct by_receives *row = &rows_by_receives[i];
		struct settlement result;
		struct send_log log;
		char fates[DEPTH + 1];

		log_setup(&log);
		posted_as(&log, row->posted);
		if (row->completed)
			send_log_retire(&log, row->completed - 1);
		result = settle_sends_by_receives(&log, row->receives);
		fates_of(&log, fates);
		if (strcmp(fates, row->fates) || result.lost != row->lost)
			fail_msg("%s: %s, not %s, lost %d", row->what, fates, row->fates,
			        result.lost);
		send_log_fini(&log);
	}
}

static void settle_and_fini(struct send_log *log, uint32_t rq_psn, struct settlement *result)
{
	*result = settle_sends(log, rq_psn);
	send_log_fini(log);
}

static void an_unknown_frontier_loses_unfinished_work(void **state)
{
	struct settlement result;
	struct send_log log;

	log_setup(&log);
	posted_as(&log, "w");
	settle_and_fini(&log, PSN_UNKNOWN, &result);
	assert_true(result.lost);
	assert_int_equal(result.executed, 0);
}

static void an_unknown_frontier_is_nothing_to_finished_work(void **state)
{
	struct settlement result;
	struct send_log log;

	log_setup(&log);
	posted_as(&log, "w");
	send_log_retire(&log, 0);
	settle_and_fini(&log, PSN_UNKNOWN, &result);
	assert_false(result.lost);
}

static void a_frontier_never_sent_contradicts(void **state)
{
	struct settlement result;
	struct send_log log;

	log_setup(&log);
	posted_as(&log, "ss");
	settle_and_fini(&log, (FIRST_PSN + 3) & PSN_MASK, &result);
	assert_true(result.contradicts && result.lost);
}

static void a_frontier_before_finished_work_contradicts(void **state)
{
	struct settlement result;
	struct send_log log;

	log_setup(&log);
	posted_as(&log, "ss");
	send_log_retire(&log, 0);
	settle_and_fini(&log, FIRST_PSN, &result);
	assert_true(result.contradicts && result.lost);
}

static void held_work_was_never_posted_and_is_not_judged(void **state)
{
	struct ibv_sge sge = {.addr = (uintptr_t)buffer, .length = 8};
	struct ibv_send_wr wr = {.sg_list = &sge, .num_sge = 1, .opcode = IBV_WR_SEND};
	struct settlement result;
	struct send_log log;

	log_setup(&log);
	posted_as(&log, "s");
	send_log_fill(&log, 0, &wr);
	send_log_number(&log, 1);
	send_log_commit(&log, 1, false);
	result = settle_sends(&log, (FIRST_PSN + 1) & PSN_MASK);
	assert_int_equal(result.executed, 1);
	assert_int_equal(result.replayed, 0);
	assert_int_equal(send_log_at(&log, 1)->fate, FATE_OPEN);
	send_log_fini(&log);
}

static void completion_is_made_up_for_those_who_asked(void **state)
{
	struct settlement result;
	struct send_log log;

	log_setup(&log);
	posted_as(&log, "sws");
	send_log_at(&log, 0)->flags = send_log_at(&log, 1)->flags = 0;
	send_log_at(&log, 2)->flags = IBV_SEND_SIGNALED;
	result = settle_sends(&log, (FIRST_PSN + 3) & PSN_MASK);
	assert_int_equal(result.executed, 3);
	assert_int_equal(result.made_up, 1);
	send_log_fini(&log);
}

/* A second move before what the first one left has completed. */
static void a_fate_decided_before_stays(void **state)
{
	struct settlement result;
	struct send_log log;

	log_setup(&log);
	posted_as(&log, "rs");
	settle_sends(&log, (FIRST_PSN + 2) & PSN_MASK);
	send_log_restart(&log, 100);
	send_log_reposted(&log, log.head);
	assert_int_equal(log.next_psn, 101); /* the READ alone goes out again */
	result = settle_sends(&log, 100);
	assert_int_equal(result.executed, 0);
	assert_int_equal(send_log_at(&log, 1)->fate, FATE_EXECUTED);
	send_log_fini(&log);
}

static void executed_sends_do_not_count_for_the_next_incarnation(void **state)
{
	struct send_log log;

	log_setup(&log);
	posted_as(&log, "rss");
	settle_sends(&log, (FIRST_PSN + 2) & PSN_MASK);
	send_log_restart(&log, 100);
	send_log_reposted(&log, log.head);
	send_log_retire(&log, 0);
	send_log_retire(&log, 1); /* made up */
	assert_int_equal(log.receives_done, 0);
	send_log_retire(&log, 2);
	assert_int_equal(log.receives_done, 1);
	send_log_fini(&log);
}

static void an_unanswered_atomic_is_exposed_whatever_is_before_it(void **state)
{
	static const struct {
		const char *posted;
		bool exposed;
	} cases[] = {{"a", true}, {"wa", true}, {"ra", true}, {"sa", true}, {"ma", true},
	        {"w", false}, {"s", false}, {"", false}};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct send_log log;

		log_setup(&log);
		posted_as(&log, cases[i].posted);
		assert_int_equal(settlement_atomic_exposed(&log), cases[i].exposed);
		send_log_fini(&log);
	}
}

static void receives_are_implied_by_what_we_accepted(void **state)
{
	struct implied_receives implied = {.count = 7, .rq_psn = 1};

	implied_receives_add(&implied, 0xffffff);
	implied_receives_add(&implied, 1);
	implied_receives_add(&implied, 2);
	assert_int_equal(implied.count, 9);
}

static void blind_settlement_replays_what_was_executed(void **state)
{
	struct settlement result;
	struct send_log log;

	log_setup(&log);
	posted_as(&log, "sw");
	result = settle_sends_blindly(&log);
	assert_int_equal(result.replayed, 2);
	assert_int_equal(send_log_at(&log, 0)->fate, FATE_OPEN);
	send_log_fini(&log);
}

/* A window of 64 Ki packets each, and thirty moves whose packets may all be under way yet. */
static void an_incarnation_begins_far_from_all_before_it(void **state)
{
	enum { MOVES = 30, WINDOW = 1 << 16 };
	uint32_t begins[MOVES] = {FIRST_PSN};

	for (int i = 1; i < MOVES; i++) {
		begins[i] = psn_far_from((begins[i - 1] + 37) & PSN_MASK);
		assert_int_equal(begins[i] & ~(uint32_t)PSN_MASK, 0);
		for (int before = 0; before < i; before++) {
			int32_t apart = psn_distance(begins[before], begins[i]);

			assert_true(apart > WINDOW || apart < -WINDOW);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(each_row_is_settled_as_it_says),
	        cmocka_unit_test(what_was_sent_is_settled_as_each_row_says),
	        cmocka_unit_test(by_receives_only_what_they_prove_is_done),
	        cmocka_unit_test(an_unknown_frontier_loses_unfinished_work),
	        cmocka_unit_test(an_unknown_frontier_is_nothing_to_finished_work),
	        cmocka_unit_test(a_frontier_never_sent_contradicts),
	        cmocka_unit_test(a_frontier_before_finished_work_contradicts),
	        cmocka_unit_test(held_work_was_never_posted_and_is_not_judged),
	        cmocka_unit_test(a_fate_decided_before_stays),
	        cmocka_unit_test(completion_is_made_up_for_those_who_asked),
	        cmocka_unit_test(executed_sends_do_not_count_for_the_next_incarnation),
	        cmocka_unit_test(an_unanswered_atomic_is_exposed_whatever_is_before_it),
	        cmocka_unit_test(receives_are_implied_by_what_we_accepted),
	        cmocka_unit_test(blind_settlement_replays_what_was_executed),
	        cmocka_unit_test(an_incarnation_begins_far_from_all_before_it),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
