/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/* What late peers are told of a VM without LIDs that has moved: numbers, and the GIDs that lead
 * there. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "notifier/base/cleanup.h"
#include "tests/unit/gid_twins.h"
#include "tests/unit/late_peers.h"

enum { CONTEXT = 3 };

static uint32_t name_at(uint32_t number)
{
	return numbered_address(number).lid;
}

/* A context of its, or a queue pair that was made in it since. */
static void announce(struct late_peers *late, uint32_t number, uint32_t qpn)
{
	struct address own = numbered_address(number);

	own.qpn = qpn;
	own.context = CONTEXT;
	interest_add(late->announced, 1, &own);
}

/* The VM is known as 1 and as 2, which are led to 31 and 32 now. */
static void moved(struct late_peers *late)
{
	struct qp_row rows[] = {
	        {name_at(1), 0x100, 0x1100, name_at(20), 0x200, 0, CONTEXT, name_at(31), 1},
	        {name_at(2), 0x300, 0x1300, 0, 0, 0, CONTEXT, name_at(32), 1},
	        {name_at(20), 0x200, 0x200, name_at(1), 0x100, 0, 9, name_at(20), 0}};
	struct key_row key = {CONTEXT, 5, 6, 0};

	late_peers_init(late);
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		assert_int_equal(qp_rows_append(&late->qps, &rows[i]), 0);
	assert_int_equal(key_rows_append(&late->keys, &key), 0);
	for (uint32_t i = 31; i <= 33; i++)
		assert_int_equal(gid_rows_add(&late->gids, numbered_address(i).gid), 0);
	for (uint32_t i = 1; i <= 2; i++) {
		struct address address = numbered_address(i);

		assert_int_equal(numbers_set(&late->numbers, &address, false, &late->qps,
		                         &late->keys, &late->gids),
		        0);
		announce(late, i, 0);
	}
	announce(late, 2, 0x700);
	late_peers_forget(late);
}

/* One row, and the GID that it leads to among @gids. */
static void leads_to(struct late_peers *late, uint32_t real_qpn, uint32_t number, size_t gids)
{
	uint8_t gid[GID_BYTES];
	size_t count;

	assert_int_equal(qp_rows_count(&late->qps, &count), 0);
	assert_int_equal(count, 1);
	assert_int_equal(late->qps.real_qpn[0], real_qpn);
	assert_int_equal(late->qps.real_lid[0], name_at(number));
	assert_int_equal(gid_rows_count(&late->gids, &count), 0);
	assert_int_equal(count, gids);
	assert_true(gid_rows_find(&late->gids, name_at(number), gid));
}

static void who_connects_later_is_told_where(void **unused)
{
	struct address known = numbered_address(1);
	struct late_peers late;

	moved(&late);
	assert_int_equal(numbers_find(&late.numbers, &known, 0x100, false, late_peers_announced,
	                         &late, &late.qps, &late.keys, &late.gids),
	        0);
	leads_to(&late, 0x1100, 31, 1);
	assert_int_equal(late.keys.n_context, 1);
	late_peers_clear(&late);
}

/* With the GID by which the VM is known, for whoever hears from there. */
static void who_sends_datagrams_later_as_well(void **unused)
{
	struct address known = numbered_address(2);
	struct late_peers late;

	moved(&late);
	assert_int_equal(numbers_find_datagrams(&late.numbers, &known, late_peers_announced, &late,
	                         &late.qps, &late.gids),
	        0);
	leads_to(&late, 0x1300, 32, 2);
	late_peers_clear(&late);
}

/* It was made since: its number is its own, and it is where the others at that name are. */
static void a_queue_pair_made_since_is_where_its_name_leads(void **unused)
{
	struct address known = numbered_address(2);
	struct late_peers late;

	moved(&late);
	assert_int_equal(numbers_find(&late.numbers, &known, 0x700, false, late_peers_announced,
	                         &late, &late.qps, &late.keys, &late.gids),
	        0);
	leads_to(&late, 0x700, 32, 1);
	late_peers_clear(&late);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
	        cmocka_unit_test(who_connects_later_is_told_where),
	        cmocka_unit_test(who_sends_datagrams_later_as_well),
	        cmocka_unit_test(a_queue_pair_made_since_is_where_its_name_leads),
	};

	return cmocka_run_group_tests_name("smd_late_gids", tests, NULL, NULL);
}
