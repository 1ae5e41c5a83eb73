/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/* Many answers become one: outcomes, names, refusals, tables; numbers that two may not both have.
 */
#include "tests/unit/relay_harness.h"

static void worst_outcome_goes_up(void **state)
{
	static const struct {
		const char *what;
		Tether__Outcome a, b;
		const char *said;
	} rows[] = {
	        {"done and done", 1, 1, "> STOP.1 DONE answered vm1/1.1 answered vm1/2.1\n"},
	        {"done and refused", 1, 2, "> STOP.1 REFUSED answered vm1/1.1 answered vm1/2.1\n"},
	        {"refused and failed", 2, 3, "> STOP.1 FAILED answered vm1/1.1 answered vm1/2.1\n"},
	        {"failed and refused", 3, 2, "> STOP.1 FAILED answered vm1/1.1 answered vm1/2.1\n"},
	        {"partial and refused", 4, 2,
	                "> STOP.1 REFUSED answered vm1/1.1 answered vm1/2.1\n"},
	        {"partial and done", 4, 1, "> STOP.1 PARTIAL answered vm1/1.1 answered vm1/2.1\n"},
	        {"none", 1, 0,
	                "> STOP.1 FAILED answered vm1/1.1 answered vm1/2.1 hyp1/vm1/4711 "
	                "ib_write_bw (bad-answer)\n"},
	        {"unknown", 1, 77,
	                "> STOP.1 FAILED answered vm1/1.1 answered vm1/2.1 hyp1/vm1/4711 "
	                "ib_write_bw (bad-answer)\n"},
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct test *t = test_create(TETHER__ROLE__ROLE_HOST, "hyp1");
		uint32_t a = child(t, "vm1", "vm1/1.1", 0), b = child(t, "vm1", "vm1/2.1", 0);
		Tether__Answer of_a = answer_to(TETHER__STEP__STEP_STOP, 1, rows[i].a);
		Tether__Answer of_b = answer_to(TETHER__STEP__STEP_STOP, 1, rows[i].b);

		print_message("# %s\n", rows[i].what);
		EVENT(t, .to_vm = true);
		forget(t);
		answer_send(t, a, &of_a);
		answer_send(t, b, &of_b);
		EXPECT(t, rows[i].said);
		teardown((void **)&t);
	}
}

static void refusal_says_who(void **state)
{
	struct test *t = *state;
	uint32_t a = child(t, "vm1", "vm1/1.1", 0);
	Tether__Answer answer =
	        answer_to(TETHER__STEP__STEP_PREPARE, 1, TETHER__OUTCOME__OUTCOME_REFUSED);
	Tether__Refusal of_process = TETHER__REFUSAL__INIT, of_qp = TETHER__REFUSAL__INIT;
	Tether__Refusal *refusals[] = {&of_process, &of_qp};

	of_process.reason = (char *)"veto-device-memory";
	of_qp.who = (char *)"qp 0x12";
	of_qp.reason = (char *)"veto-flow";
	answer.refusals = refusals;
	answer.n_refusals = 2;
	EVENT(t, .to_vm = true, .step = TETHER__STEP__STEP_PREPARE);
	forget(t);
	answer_send(t, a, &answer);
	EXPECT(t, "> PREPARE.1 REFUSED answered vm1/1.1 hyp1/vm1/4711 ib_write_bw "
	          "(veto-device-memory) hyp1/qp 0x12 (veto-flow)\n");
}

/* Two processes of vm1 that were asked. */
static void two_asked(struct test *t, Tether__Step step, uint32_t links[2])
{
	links[0] = child(t, "vm1", "vm1/1.1", 0);
	links[1] = child(t, "vm1", "vm1/2.1", 0);
	EVENT(t, .step = step, .to_vm = true);
	forget(t);
}

static void tables_are_concatenated_and_counts_added(void **state)
{
	struct test *t = *state;
	uint32_t links[2];

	two_asked(t, TETHER__STEP__STEP_STOP, links);
	for (size_t i = 0; i < 2; i++) {
		Tether__Answer answer =
		        answer_to(TETHER__STEP__STEP_STOP, 1, TETHER__OUTCOME__OUTCOME_DONE);
		Tether__QpRows qps = TETHER__QP_ROWS__INIT;
		Tether__EvidenceRows evidence = TETHER__EVIDENCE_ROWS__INIT;
		Tether__Counts counts = TETHER__COUNTS__INIT;

		for (size_t row = 0; row <= i; row++) {
			qp_rows_append(&qps, &(struct qp_row){0});
			evidence_rows_append(&evidence, &(struct evidence_row){0});
			evidence_rows_append(&evidence, &(struct evidence_row){0});
		}
		counts.replayed = 20 + i;
		answer.qps = &qps;
		answer.evidence = &evidence;
		answer.counts = &counts;
		answer_send(t, links[i], &answer);
		rows_clear(&qps.base);
		rows_clear(&evidence.base);
	}
	EXPECT(t, "> STOP.1 DONE answered vm1/1.1 answered vm1/2.1 qps 3 evidence 6 replayed 41\n");
}

/* Of vm1 (LID 5), a peer's, and one whose number is its own, but perhaps not for long. */
static void reconnect(struct test *t, uint32_t sequence, uint32_t qpn)
{
	Tether__QpRows qps = TETHER__QP_ROWS__INIT;

	qp_rows_append(&qps, &(struct qp_row){.local_lid = 5, .local_qpn = qpn, .real_qpn = 0x30});
	qp_rows_append(&qps, &(struct qp_row){.local_lid = 6, .local_qpn = 0x11, .real_qpn = 0x31});
	qp_rows_append(&qps, &(struct qp_row){.local_lid = 5, .local_qpn = 0x32, .real_qpn = 0x33});
	EVENT(t, .step = TETHER__STEP__STEP_RECONNECT, .sequence = sequence, .to_vm = true,
	        .qps = &qps);
	rows_clear(&qps.base);
	forget(t);
}

static void process_is_told_which_numbers_mean_others(void **state)
{
	struct test *t = *state;

	reconnect(t, 1, 0x20);
	reconnect(t, 2, 0x10);
	t->says_welcome = true;
	child(t, "vm1", "vm1/1.1", 0);
	EXPECT(t, "vm1/1.1 < HELLO DONE not 0x10 not 0x20 not 0x30 not 0x32 not 0x33\n");
	child(t, "vm2", "vm2/1.1", 0);
	EXPECT(t, "vm2/1.1 < HELLO DONE\n");
}

/* As after a restart. */
static void relay_learns_from_processes_which_numbers_mean_others(void **state)
{
	struct test *t = *state;

	t->reserved = 0x10;
	child(t, "vm1", "vm1/1.1", 0);
	t->reserved = 0;
	t->says_welcome = true;
	child(t, "vm1", "vm1/2.1", 0);
	EXPECT(t, "vm1/2.1 < HELLO DONE not 0x10\n");
	relay_vm_left(t->relay, "vm1", t->now_ms);
	forget(t);
	child(t, "vm1", "vm1/3.1", 0);
	EXPECT(t, "vm1/3.1 < HELLO DONE\n");
}

/* Both of vm1 (LID 5), unless said otherwise. */
static void two_answer(struct test *t, Tether__Step step, struct qp_row a, struct qp_row b)
{
	struct qp_row rows[] = {a, b};
	uint32_t links[2];

	two_asked(t, step, links);
	for (size_t i = 0; i < 2; i++) {
		Tether__Answer answer = answer_to(step, 1, TETHER__OUTCOME__OUTCOME_DONE);
		Tether__QpRows qps = TETHER__QP_ROWS__INIT;

		qp_rows_append(&qps, &rows[i]);
		answer.qps = &qps;
		answer_send(t, links[i], &answer);
		rows_clear(&qps.base);
	}
}

#define QP(lid, qpn, number)                                                                       \
	((struct qp_row){.local_lid = lid, .local_qpn = qpn, .context = number})

static void two_processes_with_one_number_are_refused(void **state)
{
	struct test *t = *state;

	two_answer(t, TETHER__STEP__STEP_PREPARE, QP(5, 0x10, 1), QP(5, 0x10, 2));
	EXPECT(t, "> PREPARE.1 REFUSED answered vm1/1.1 answered vm1/2.1 "
	          "hyp1/vm1/4711 ib_write_bw (number-collision) qps 2\n");
}

static void two_processes_with_one_context_number_are_refused(void **state)
{
	struct test *t = *state;

	two_answer(t, TETHER__STEP__STEP_SETTLE, QP(5, 0x10, 7), QP(5, 0x11, 7));
	EXPECT(t, "> SETTLE.1 REFUSED answered vm1/1.1 answered vm1/2.1 "
	          "hyp1/vm1/4711 ib_write_bw (context-collision) qps 2\n");
}

static void numbers_of_different_vms_do_not_collide(void **state)
{
	struct test *t = *state;

	two_answer(t, TETHER__STEP__STEP_PREPARE, QP(5, 0x10, 7), QP(6, 0x10, 7));
	EXPECT(t, "> PREPARE.1 DONE answered vm1/1.1 answered vm1/2.1 qps 2\n");
}

static void unequal_columns_are_a_failure_of_that_child(void **state)
{
	struct test *t = *state;
	uint32_t a = child(t, "vm1", "vm1/1.1", 0);
	Tether__Answer answer =
	        answer_to(TETHER__STEP__STEP_STOP, 1, TETHER__OUTCOME__OUTCOME_DONE);
	Tether__QpRows qps = TETHER__QP_ROWS__INIT;

	qp_rows_append(&qps, &(struct qp_row){0});
	qps.n_sq_psn = 0;
	answer.qps = &qps;
	EVENT(t, .to_vm = true);
	forget(t);
	answer_send(t, a, &answer);
	EXPECT(t, "> STOP.1 FAILED answered vm1/1.1 hyp1/vm1/4711 ib_write_bw (bad-table)\n");
	rows_clear(&qps.base);
}

/* Two processes answer STOP with the same tables, which are cleared. */
static void both_stop(struct test *t, Tether__QpRows *qps, Tether__EvidenceRows *evidence)
{
	uint32_t links[2];

	two_asked(t, TETHER__STEP__STEP_STOP, links);
	for (size_t i = 0; i < 2; i++) {
		Tether__Answer answer =
		        answer_to(TETHER__STEP__STEP_STOP, 1, TETHER__OUTCOME__OUTCOME_DONE);

		answer.qps = qps;
		answer.evidence = evidence;
		answer_send(t, links[i], &answer);
	}
	rows_clear(&qps->base);
	rows_clear(&evidence->base);
}

static void answers_too_large_for_a_frame_are_a_failure_not_a_dead_link(void **state)
{
	struct test *t = *state;
	Tether__EvidenceRows none = TETHER__EVIDENCE_ROWS__INIT;
	Tether__QpRows qps = TETHER__QP_ROWS__INIT;

	for (uint32_t i = 0; i < 30000; i++)
		qp_rows_append(&qps, &(struct qp_row){48000, 1 << 23, 1 << 23, 48000, 1 << 23,
		                             1 << 23, 1U << 31, 0, 0});
	both_stop(t, &qps, &none);
	EXPECT(t, "> STOP.1 FAILED answered vm1/1.1 answered vm1/2.1 hyp1 (answer-too-large)\n");
}

/* It would only have shortened a wait. */
static void what_stop_says_of_datagrams_makes_room_for_the_rest(void **state)
{
	struct test *t = *state;
	Tether__EvidenceRows sent = TETHER__EVIDENCE_ROWS__INIT;
	Tether__QpRows qps = TETHER__QP_ROWS__INIT;

	for (uint32_t i = 0; i < 30000; i++)
		evidence_rows_append(&sent,
		        &(struct evidence_row){48000, 1 << 23, 48000, 1 << 23, 0, 0, 8, 1U << 31});
	qp_rows_append(&qps, &(struct qp_row){.local_lid = 5, .local_qpn = 1});
	both_stop(t, &qps, &sent);
	EXPECT(t, "> STOP.1 DONE answered vm1/1.1 answered vm1/2.1 qps 2\n");
}

/* They have voted, and the root must know: it is no SETTLE that it asks for. */
static void what_stop_says_of_broken_queue_pairs_stays(void **state)
{
	struct test *t = *state;
	Tether__EvidenceRows said = TETHER__EVIDENCE_ROWS__INIT;
	Tether__QpRows none = TETHER__QP_ROWS__INIT;

	for (uint32_t i = 0; i < 30000; i++)
		evidence_rows_append(
		        &said, &(struct evidence_row){48000, 1 << 23, 48000, 1 << 23, 0, 0,
		                       TETHER__EVIDENCE_FLAG__EVIDENCE_SENT, 1U << 31});
	evidence_rows_append(
	        &said, &(struct evidence_row){.flags = TETHER__EVIDENCE_FLAG__EVIDENCE_BROKEN});
	both_stop(t, &none, &said);
	EXPECT(t, "> STOP.1 DONE answered vm1/1.1 answered vm1/2.1 evidence 2\n");
}

static void names_behind_relays_go_up(void **state)
{
	struct test *t = *state;
	uint32_t a = host(t, "hyp1", "vm1", 0);
	Tether__Answer answer =
	        answer_to(TETHER__STEP__STEP_STOP, 1, TETHER__OUTCOME__OUTCOME_PARTIAL);
	char *answered[] = {(char *)"vm1/1.1"}, *missing[] = {(char *)"vm1/2.1"};
	Tether__Refusal refusal = TETHER__REFUSAL__INIT;
	Tether__Refusal *refusals[] = {&refusal};

	EVENT(t, .to_vm = true, .expected = {"vm1/1.1", "vm1/2.1"});
	forget(t);
	refusal.who = (char *)"hyp1/vm1/4711 x";
	refusal.reason = (char *)"veto-flow";
	answer.refusals = refusals;
	answer.n_refusals = 1;
	answer.answered = answered;
	answer.n_answered = 1;
	answer.missing = missing;
	answer.n_missing = 1;
	answer_send(t, a, &answer);
	EXPECT(t,
	        "> STOP.1 PARTIAL answered vm1/1.1 missing vm1/2.1 hyp1/vm1/4711 x (veto-flow)\n");
}

/* Of two that are expected of it the host names one, and the other is told of by nobody. */
static void host_tells_of_the_first(struct test *t, Tether__Outcome outcome)
{
	uint32_t a = host(t, "hyp1", "vm1", 0);
	Tether__Answer answer = answer_to(TETHER__STEP__STEP_STOP, 1, outcome);
	char *answered[] = {(char *)"vm1/1.1"};

	EVENT(t, .to_vm = true, .expected = {"vm1/1.1", "vm1/2.1"});
	forget(t);
	answer.answered = answered;
	answer.n_answered = 1;
	answer_send(t, a, &answer);
}

/* That it has done all does not say that the other has ended. */
static void who_is_told_of_by_nobody_is_waited_for_and_missing(void **state)
{
	struct test *t = *state;

	host_tells_of_the_first(t, TETHER__OUTCOME__OUTCOME_DONE);
	EXPECT(t, "");
	pass(t, DEADLINE_MS);
	EXPECT(t, "> STOP.1 PARTIAL answered vm1/1.1 missing vm1/2.1\n");
}

static void who_is_not_told_of_where_it_was_not_done_is_missing_at_once(void **state)
{
	struct test *t = *state;

	host_tells_of_the_first(t, TETHER__OUTCOME__OUTCOME_FAILED);
	EXPECT(t, "> STOP.1 FAILED answered vm1/1.1 missing vm1/2.1\n");
}

static void end_of_a_process_goes_up(void **state)
{
	struct test *t = *state;
	uint32_t a = host(t, "hyp1", "vm1", 0);
	Tether__Answer answer =
	        answer_to(TETHER__STEP__STEP_STOP, 1, TETHER__OUTCOME__OUTCOME_DONE);
	char *ended[] = {(char *)"vm1/1.1"};

	EVENT(t, .to_vm = true, .expected = {"vm1/1.1"});
	forget(t);
	answer.ended = ended;
	answer.n_ended = 1;
	answer_send(t, a, &answer);
	EXPECT(t, "> STOP.1 DONE ended vm1/1.1\n");
}

static void name_that_two_relays_say_goes_up_once(void **state)
{
	struct test *t = *state;
	uint32_t links[] = {host(t, "hyp1", "vm1", 0), host(t, "hyp2", "vm1", 0)};
	char *answered[] = {(char *)"vm1/1.1"};

	EVENT(t, .to_vm = true);
	forget(t);
	for (size_t i = 0; i < 2; i++) {
		Tether__Answer answer =
		        answer_to(TETHER__STEP__STEP_STOP, 1, TETHER__OUTCOME__OUTCOME_DONE);

		answer.answered = answered;
		answer.n_answered = 1;
		answer_send(t, links[i], &answer);
	}
	EXPECT(t, "> STOP.1 DONE answered vm1/1.1\n");
}

/* It comes when its event is due, before any timer has fired, and says that the VM has left: that
 * alone closes the event. */
static void order_is_answered_when_its_event_is_due(void **state)
{
	struct test *t = test_create(TETHER__ROLE__ROLE_RELAY, "rack1");
	Tether__Answer answer =
	        answer_to(TETHER__STEP__STEP_MOVE, 1, TETHER__OUTCOME__OUTCOME_DONE);
	Tether__HostResult result = TETHER__HOST_RESULT__INIT;
	Tether__Slot slot = TETHER__SLOT__INIT, *slots[] = {&slot};
	uint32_t link = host(t, "hyp1", "vm1", 0);

	EVENT(t, .step = TETHER__STEP__STEP_MOVE, .order_host = "hyp1");
	forget(t);
	slot.name = (char *)"0000:3b:00.2";
	result.slots = slots;
	result.n_slots = 1;
	answer.result = &result;
	t->now_ms += DEADLINE_MS;
	answer_send(t, link, &answer);
	EXPECT(t, "> MOVE.1 PARTIAL missing hyp1\n");
	assert_int_equal(relay_counts(t->relay).late_answers, 1);
	teardown((void **)&t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(worst_outcome_goes_up),
	        HOST_TEST(refusal_says_who),
	        HOST_TEST(tables_are_concatenated_and_counts_added),
	        HOST_TEST(process_is_told_which_numbers_mean_others),
	        HOST_TEST(relay_learns_from_processes_which_numbers_mean_others),
	        HOST_TEST(two_processes_with_one_number_are_refused),
	        HOST_TEST(two_processes_with_one_context_number_are_refused),
	        HOST_TEST(numbers_of_different_vms_do_not_collide),
	        HOST_TEST(unequal_columns_are_a_failure_of_that_child),
	        HOST_TEST(answers_too_large_for_a_frame_are_a_failure_not_a_dead_link),
	        HOST_TEST(what_stop_says_of_datagrams_makes_room_for_the_rest),
	        HOST_TEST(what_stop_says_of_broken_queue_pairs_stays),
	        ROOT_TEST(names_behind_relays_go_up),
	        ROOT_TEST(who_is_told_of_by_nobody_is_waited_for_and_missing),
	        ROOT_TEST(who_is_not_told_of_where_it_was_not_done_is_missing_at_once),
	        ROOT_TEST(end_of_a_process_goes_up),
	        ROOT_TEST(name_that_two_relays_say_goes_up_once),
	        cmocka_unit_test(order_is_answered_when_its_event_is_due),
	};

	return cmocka_run_group_tests_name("notifier_answers", tests, NULL, NULL);
}
