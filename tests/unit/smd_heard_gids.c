/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/* Who has heard a datagram from a GID, and asks whose it is: a VM that has moved is known by
 * another. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "notifier/wire/gid_name.h"
#include "tests/unit/late_peers.h"

enum { CONTEXT = 1, QPN = 0x40, REAL_QPN = 0x90 };

/* The VM is known by A and B, and its device has C in the place of A, and D of B. */
enum { A, B, C, D, GIDS };

struct test {
	uint8_t gids[GIDS][GID_BYTES];
	struct late_peers late;
};

static uint32_t name(const struct test *t, int which)
{
	return gid_name(t->gids[which]);
}

static struct address address_of(const struct test *t, int which)
{
	struct address address = {.lid = name(t, which)};

	memcpy(address.gid, t->gids[which], sizeof(address.gid));
	return address;
}

static void moved(struct test *t)
{
	Tether__QpRows qps = TETHER__QP_ROWS__INIT;
	Tether__KeyRows keys = TETHER__KEY_ROWS__INIT;
	Tether__GidRows gids = TETHER__GID_ROWS__INIT;

	for (int known = A; known <= B; known++) {
		struct qp_row rows[] = {
		        {name(t, known), QPN, REAL_QPN, 0, 0, 0, CONTEXT, name(t, known + C), 1},
		        /* Of a connection. */
		        {name(t, known), QPN + 1, 5, 30, 0x41, 0, CONTEXT, name(t, known + C), 1},
		};

		for (size_t i = 0; i < 2; i++)
			assert_int_equal(qp_rows_append(&qps, &rows[i]), 0);
	}
	for (int i = A; i < GIDS; i++)
		assert_int_equal(gid_rows_add(&gids, t->gids[i]), 0);
	for (int known = A; known <= B; known++) {
		struct address vm = address_of(t, known), context = vm;

		assert_int_equal(numbers_set(&t->late.numbers, &vm, false, &qps, &keys, &gids), 0);
		context.context = CONTEXT;
		interest_add(t->late.announced, 1, &context);
	}
	rows_clear(&qps.base);
	rows_clear(&gids.base);
}

static int setup(void **state)
{
	static struct test test;

	late_peers_init(&test.late);
	for (int i = 0; i < GIDS; i++)
		memcpy(test.gids[i], (uint8_t[GID_BYTES]){0xfe, 0x80, [15] = (uint8_t)(i + 1)},
		        GID_BYTES);
	moved(&test);
	*state = &test;
	return 0;
}

static int teardown(void **state)
{
	struct test *t = *state;

	late_peers_clear(&t->late);
	return 0;
}

static size_t asked(struct test *t, const struct address *address)
{
	struct late_peers *late = &t->late;

	late_peers_forget(late);
	assert_int_equal(numbers_find_datagrams(&late->numbers, address, late_peers_announced, late,
	                         &late->qps, &late->gids),
	        0);
	return late->qps.n_local_qpn;
}

static void expect_known_as(struct test *t, int known)
{
	struct qp_row row = qp_rows_get(&t->late.qps, 0);
	uint8_t gid[GID_BYTES];

	assert_int_equal(row.local_lid, name(t, known));
	assert_int_equal(row.real_lid, name(t, known + C));
	assert_int_equal(row.local_qpn, QPN);
	assert_int_equal(row.real_qpn, REAL_QPN);
	for (int which = known; which < GIDS; which += C) {
		assert_true(gid_rows_find(&t->late.gids, name(t, which), gid));
		assert_memory_equal(gid, t->gids[which], sizeof(gid));
	}
}

static void who_is_heard_by_another_gid_is_told_with_both(void **state)
{
	struct test *t = *state;

	for (int known = A; known <= B; known++) {
		struct address heard = address_of(t, known + C);

		assert_int_equal(asked(t, &heard), 1);
		expect_known_as(t, known);
	}
}

static void who_is_sent_to_is_told_with_both(void **state)
{
	struct test *t = *state;

	for (int known = A; known <= B; known++) {
		struct address vm = address_of(t, known);

		assert_int_equal(asked(t, &vm), 1);
		expect_known_as(t, known);
	}
}

static void another_gid_of_that_name_is_nobody_s(void **state)
{
	struct test *t = *state;
	struct address heard = address_of(t, C);

	heard.gid[0]++;
	assert_int_equal(asked(t, &heard), 0);
}

/* By the name that it shows. */
static void who_has_ended_is_not_told(void **state)
{
	struct test *t = *state;
	struct address heard = address_of(t, C), context = address_of(t, A);

	context.context = CONTEXT;
	interest_drop(t->late.announced, 1, &context);
	assert_int_equal(asked(t, &heard), 0);
	heard = address_of(t, D);
	assert_int_equal(asked(t, &heard), 1);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
	        TEST(who_is_heard_by_another_gid_is_told_with_both),
	        TEST(who_is_sent_to_is_told_with_both),
	        TEST(another_gid_of_that_name_is_nobody_s),
	        TEST(who_has_ended_is_not_told),
	};

	return cmocka_run_group_tests_name("smd_heard_gids", tests, NULL, NULL);
}
