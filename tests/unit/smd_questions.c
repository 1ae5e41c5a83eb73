/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/* What peers are told of VMs that have moved, and when. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "notifier/wire/rows.h"
#include "sm-side/root/numbers.h"
#include "sm-side/root/questions.h"
#include "tests/unit/counted_rows.h"

/*
 * The VM at LID 11 has moved: QP 0x100 of context 1 is 0x900 now, and 0x200 of context 2 itself;
 * key 5 is 6 in the one and 7 in the other.
 */
struct test {
	struct questions *questions;
	struct interest *announced;
	char said[512];
};

static const struct address *announced(void *owner, const struct address *address)
{
	const struct test *t = owner;

	return interest_find(t->announced, address);
}

static void answered(void *owner, const Tether__InterestAnswer *answer)
{
	struct test *t = owner;
	size_t used = strlen(t->said), rows;

	used += (size_t)snprintf(t->said + used, sizeof(t->said) - used, "%u:", answer->request);
	if (!qp_rows_count(answer->qps, &rows) && rows)
		used += (size_t)snprintf(t->said + used, sizeof(t->said) - used, " qp 0x%x",
		        qp_rows_get(answer->qps, 0).real_qpn);
	for (size_t i = 1; !qp_rows_count(answer->qps, &rows) && i < rows; i++)
		used += (size_t)snprintf(t->said + used, sizeof(t->said) - used, ", 0x%x",
		        qp_rows_get(answer->qps, i).real_qpn);
	for (size_t i = 0; !key_rows_count(answer->keys, &rows) && i < rows; i++)
		used += (size_t)snprintf(t->said + used, sizeof(t->said) - used, " key %u",
		        key_rows_get(answer->keys, i).real_rkey);
	snprintf(t->said + used, sizeof(t->said) - used, "\n");
}

static const struct questions_outputs outputs = {.announced = announced, .answer = answered};

static void say(struct test *t, uint32_t request, const struct address *address, bool drop,
        uint32_t remote_qpn, uint64_t now_ms)
{
	Tether__Interest interest = TETHER__INTEREST__INIT;
	Tether__Address wire;

	address_encode(address, &wire);
	interest.request = request;
	interest.address = &wire;
	interest.drop = drop;
	interest.remote_qpn = remote_qpn;
	questions_interest(t->questions, &interest, true, now_ms);
}

static void ask(struct test *t, uint32_t request, uint32_t qpn, uint64_t now_ms)
{
	struct address vm = {.lid = 11};

	say(t, request, &vm, false, qpn, now_ms);
}

static void ask_datagrams(struct test *t, uint32_t request, uint16_t lid, uint64_t now_ms)
{
	Tether__Interest interest = TETHER__INTEREST__INIT;
	Tether__Address wire = TETHER__ADDRESS__INIT;

	wire.lid = lid;
	interest.request = request;
	interest.address = &wire;
	interest.datagrams = true;
	questions_interest(t->questions, &interest, true, now_ms);
}

/* What the relay below has taken comes up afterwards. */
static void announce(struct test *t, uint32_t qpn, uint32_t context)
{
	struct address own = {.lid = 11, .qpn = qpn, .context = context};

	interest_add(t->announced, 1, &own);
	say(t, 99, &own, false, 0, 0);
}

static void withdraw(struct test *t, uint32_t qpn, uint32_t context)
{
	struct address own = {.lid = 11, .qpn = qpn, .context = context};

	interest_drop(t->announced, 1, &own);
	say(t, 99, &own, true, 0, 0);
}

static void forget(struct test *t)
{
	t->said[0] = '\0';
}

#define EXPECT(t, text)                                                                            \
	do {                                                                                       \
		assert_string_equal((t)->said, text);                                              \
		forget(t);                                                                         \
	} while (0)

static int setup(void **state)
{
	static struct test test;
	struct test *t = &test;
	struct qp_row qps[] = {
	        {.local_lid = 11, .local_qpn = 0x100, .real_qpn = 0x900, .context = 1},
	        {.local_lid = 11, .local_qpn = 0x200, .real_qpn = 0x200, .context = 2},
	        {.local_lid = 12, .local_qpn = 0x100, .real_qpn = 0x300, .context = 3},
	};
	struct key_row keys[] = {{1, 5, 6, 0}, {2, 5, 7, 0}};
	Tether__QpRows qp_rows = TETHER__QP_ROWS__INIT;
	Tether__KeyRows key_rows = TETHER__KEY_ROWS__INIT;
	struct address vm = {.lid = 11};

	*t = (struct test){.announced = interest_create()};
	t->questions = questions_create(&outputs, t);
	for (size_t i = 0; i < 3; i++)
		qp_rows_append(&qp_rows, &qps[i]);
	for (size_t i = 0; i < 2; i++)
		key_rows_append(&key_rows, &keys[i]);
	/* The second time supersedes. */
	for (int i = 0; i < 2; i++)
		assert_int_equal(numbers_set(questions_numbers(t->questions), &vm, false, &qp_rows,
		                         &key_rows, NULL),
		        0);
	rows_clear(&qp_rows.base);
	rows_clear(&key_rows.base);
	announce(t, 0, 1);
	announce(t, 0, 2);
	forget(t);
	*state = t;
	return 0;
}

static int teardown(void **state)
{
	struct test *t = *state;

	questions_destroy(t->questions);
	interest_destroy(t->announced);
	return 0;
}

static void numbers_are_found_by_address_and_qpn(void **state)
{
	struct address peer = {.lid = 12};
	struct test *t = *state;

	ask(t, 1, 0x100, 0);
	ask(t, 2, 0x200, 0);
	ask(t, 3, 0x300, 0);
	ask(t, 4, 0, 0);
	say(t, 5, &peer, false, 0x100, 0);
	EXPECT(t, "1: qp 0x900 key 6\n2: qp 0x200 key 7\n3:\n4:\n5:\n");
}

static void queue_pair_made_since_has_a_number_of_its_own_and_its_contexts_keys(void **state)
{
	struct test *t = *state;

	announce(t, 0x300, 2);
	forget(t);
	ask(t, 1, 0x300, 0);
	EXPECT(t, "1: qp 0x300 key 7\n");
	withdraw(t, 0x300, 2);
	forget(t);
	ask(t, 2, 0x300, 0);
	EXPECT(t, "2:\n");
}

/* The first has gone, and its number was given to a queue pair of another context. */
static void who_announces_a_number_counts_more_than_who_had_it(void **state)
{
	struct test *t = *state;

	announce(t, 0x100, 2);
	forget(t);
	ask(t, 1, 0x100, 0);
	EXPECT(t, "1: qp 0x100 key 7\n");
}

/* It was announced before the VM moved again: what it is now stands in the rows. */
static void announced_queue_pair_that_has_moved_is_what_its_row_says(void **state)
{
	struct test *t = *state;

	announce(t, 0x100, 1);
	forget(t);
	ask(t, 1, 0x100, 0);
	EXPECT(t, "1: qp 0x900 key 6\n");
}

/* The agent, or this daemon, has just been started again. */
static void question_waits_until_the_contexts_are_announced(void **state)
{
	struct test *t = *state;

	interest_destroy(t->announced);
	t->announced = interest_create();
	ask(t, 1, 0x100, 1000);
	ask(t, 2, 0x300, 1000);
	EXPECT(t, "");
	assert_int_equal(questions_next(t->questions), 1000 + QUESTION_WAITS_MS);
	announce(t, 0x300, 1);
	announce(t, 0, 1);
	EXPECT(t, "99:\n99:\n");
	announce(t, 0, 2);
	EXPECT(t, "99:\n1: qp 0x900 key 6\n2: qp 0x300 key 6\n");
	assert_int_equal(questions_next(t->questions), UINT64_MAX);
}

/* That VM was shut down, and its LID is another's. */
static void numbers_of_those_who_do_not_come_back_are_forgotten(void **state)
{
	struct address first = {.lid = 11, .context = 1};
	struct test *t = *state;

	interest_drop(t->announced, 1, &first);
	ask(t, 1, 0x100, 1000);
	questions_tick(t->questions, 1000 + QUESTION_WAITS_MS - 1);
	EXPECT(t, "");
	questions_tick(t->questions, 1000 + QUESTION_WAITS_MS);
	EXPECT(t, "1:\n");
	ask(t, 2, 0x100, 9000);
	ask(t, 3, 0x200, 9000); /* the other context is there */
	EXPECT(t, "2:\n3: qp 0x200 key 7\n");
}

static void withdrawn_context_takes_its_numbers_along(void **state)
{
	struct test *t = *state;

	withdraw(t, 0, 1);
	forget(t);
	ask(t, 1, 0x100, 0);
	ask(t, 2, 0x200, 0);
	EXPECT(t, "1:\n2: qp 0x200 key 7\n");
}

/* Keys whose contexts come by turns, from a process that means no good. */
static unsigned looks_for_a_vm_with(uint32_t count, bool shared_port)
{
	const struct address vm = {.lid = 41, .gid = {[15] = 41}};
	Tether__QpRows qps = TETHER__QP_ROWS__INIT;
	Tether__KeyRows keys = TETHER__KEY_ROWS__INIT;
	struct numbers numbers = {0};

	for (uint32_t i = 0; i < count; i++) {
		qp_rows_append(
		        &qps, &(struct qp_row){.local_lid = 41, .context = count - i, .of_vm = 1});
		key_rows_append(&keys, &(struct key_row){.context = 1 + i % 2, .virtual_rkey = i});
	}
	rows_looked_at = 0;
	assert_int_equal(numbers_set(&numbers, &vm, shared_port, &qps, &keys, NULL), 0);
	numbers_clear(&numbers);
	rows_clear(&qps.base);
	rows_clear(&keys.base);
	return rows_looked_at;
}

static void twice_as_many_rows_are_twice_the_work(void **state)
{
	assert_true(looks_for_a_vm_with(400, false) > 0);
	assert_true(looks_for_a_vm_with(800, false) <= 2 * looks_for_a_vm_with(400, false));
	assert_true(looks_for_a_vm_with(800, true) <= 2 * looks_for_a_vm_with(400, true));
}

static void who_asks_nothing_does_not_wait(void **state)
{
	struct address vm = {.lid = 11};
	struct test *t = *state;

	interest_destroy(t->announced);
	t->announced = interest_create();
	ask(t, 1, 0, 0);
	say(t, 2, &vm, true, 0x100, 0);
	EXPECT(t, "1:\n2:\n");
}

/* At LID 21: two that are reached by datagrams, of context 1; one of context 2; one that kept its
 * number; one that is connected. */
static void datagram_queue_pairs(struct test *t)
{
	const struct qp_row rows[] = {
	        {.local_lid = 21, .local_qpn = 0x1, .real_qpn = 0x11, .context = 1},
	        {.local_lid = 21, .local_qpn = 0x2, .real_qpn = 0x12, .context = 1},
	        {.local_lid = 21, .local_qpn = 0x3, .real_qpn = 0x13, .context = 2},
	        {.local_lid = 21, .local_qpn = 0x4, .real_qpn = 0x4, .context = 1},
	        {.local_lid = 21,
	                .local_qpn = 0x5,
	                .real_qpn = 0x15,
	                .remote_lid = 7,
	                .remote_qpn = 0x6,
	                .context = 1},
	};
	struct address vm = {.lid = 21}, first = {.lid = 21, .context = 1};
	struct address second = {.lid = 21, .context = 2};
	Tether__QpRows qps = TETHER__QP_ROWS__INIT;
	Tether__KeyRows keys = TETHER__KEY_ROWS__INIT;

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		qp_rows_append(&qps, &rows[i]);
	assert_int_equal(
	        numbers_set(questions_numbers(t->questions), &vm, false, &qps, &keys, NULL), 0);
	rows_clear(&qps.base);
	interest_add(t->announced, 1, &first);
	interest_add(t->announced, 1, &second);
}

/* Contexts at each: what is announced at the one is not missed at the other, and has no keys there.
 */
static void a_vm_with_two_lids_has_the_keys_of_each_at_it(void **state)
{
	const struct qp_row rows[] = {
	        {.local_lid = 31, .local_qpn = 0x1, .real_qpn = 0x11, .context = 1, .of_vm = 1},
	        {.local_lid = 32, .context = 2, .of_vm = 1},
	        {.local_lid = 32, .local_qpn = 0x1, .real_qpn = 0x21, .context = 2, .of_vm = 1},
	};
	const struct address vfs[] = {{.lid = 31}, {.lid = 32}};
	const struct address first = {.lid = 31, .context = 1};
	const struct address second = {.lid = 32, .context = 2};
	Tether__QpRows qps = TETHER__QP_ROWS__INIT;
	Tether__KeyRows keys = TETHER__KEY_ROWS__INIT;
	struct test *t = *state;

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		qp_rows_append(&qps, &rows[i]);
	key_rows_append(&keys, &(struct key_row){.context = 1, .virtual_rkey = 5, .real_rkey = 61});
	key_rows_append(&keys, &(struct key_row){.context = 2, .virtual_rkey = 5, .real_rkey = 62});
	for (size_t i = 0; i < 2; i++)
		assert_int_equal(numbers_set(questions_numbers(t->questions), &vfs[i], false, &qps,
		                         &keys, NULL),
		        0);
	interest_add(t->announced, 1, &first);
	interest_add(t->announced, 1, &second);
	for (size_t i = 0; i < 2; i++)
		assert_false(numbers_are_doubtful(
		        questions_numbers(t->questions), &vfs[i], announced, t));
	say(t, 1, &vfs[0], false, 0x1, 0);
	say(t, 2, &vfs[1], false, 0x1, 0);
	EXPECT(t, "1: qp 0x11 key 61\n2: qp 0x21 key 62\n");
	rows_clear(&qps.base);
	rows_clear(&keys.base);
}

static void all_datagram_queue_pairs_of_an_address_are_told_at_once(void **state)
{
	struct test *t = *state;

	datagram_queue_pairs(t);
	ask_datagrams(t, 1, 21, 0);
	ask_datagrams(t, 2, 22, 0);
	EXPECT(t, "1: qp 0x11, 0x12, 0x13\n2:\n");
}

static void datagram_queue_pairs_of_those_who_ended_are_not_told(void **state)
{
	struct address second = {.lid = 21, .context = 2};
	struct test *t = *state;

	datagram_queue_pairs(t);
	interest_drop(t->announced, 1, &second);
	ask_datagrams(t, 1, 21, 1000);
	EXPECT(t, "");
	questions_tick(t->questions, 1000 + QUESTION_WAITS_MS);
	EXPECT(t, "1: qp 0x11, 0x12\n");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
	        TEST(numbers_are_found_by_address_and_qpn),
	        TEST(queue_pair_made_since_has_a_number_of_its_own_and_its_contexts_keys),
	        TEST(who_announces_a_number_counts_more_than_who_had_it),
	        TEST(announced_queue_pair_that_has_moved_is_what_its_row_says),
	        TEST(question_waits_until_the_contexts_are_announced),
	        TEST(numbers_of_those_who_do_not_come_back_are_forgotten),
	        TEST(withdrawn_context_takes_its_numbers_along),
	        TEST(a_vm_with_two_lids_has_the_keys_of_each_at_it),
	        TEST(twice_as_many_rows_are_twice_the_work),
	        TEST(who_asks_nothing_does_not_wait),
	        TEST(all_datagram_queue_pairs_of_an_address_are_told_at_once),
	        TEST(datagram_queue_pairs_of_those_who_ended_are_not_told),
	};

	return cmocka_run_group_tests_name("smd_questions", tests, NULL, NULL);
}
