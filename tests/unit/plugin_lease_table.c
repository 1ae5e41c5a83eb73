/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/* Who may hold the lease on sweeps at the same time, and for how long. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "notifier/base/cleanup.h"
#include "sm-side/plugin/lease_table.h"

/* What moves in each: by number, from slot to slot of switch 9. */
static struct plan_transfer transfer(unsigned vm, unsigned lid, unsigned from, unsigned to)
{
	return (struct plan_transfer){.identity = {0x100 + vm, 0x200 + vm, (uint16_t)lid},
	        .from = {from ? 9 : 0, (uint8_t)from},
	        .to = {to ? 9 : 0, (uint8_t)to}};
}

static struct plan plan_of(struct plan_transfer *transfers, uint32_t count)
{
	return (struct plan){.transfer_count = count, .transfers = transfers};
}

static void who_moves_something_else_may_hold_it_too(void **state)
{
	struct plan_transfer swap[] = {transfer(1, 10, 1, 2), transfer(2, 11, 2, 1)};
	const struct {
		const char *what;
		struct plan_transfer other;
		uint64_t meets; /* of whom in it */
	} rows[] = {
	        {"apart", transfer(3, 12, 3, 4), 0},
	        {"the same VM", transfer(1, 12, 3, 4), 0x101},
	        {"the same LID", transfer(3, 11, 3, 4), 0x103},
	        {"to where one goes", transfer(3, 12, 3, 2), 0x103},
	        {"to where one comes from", transfer(3, 12, 3, 1), 0x103},
	        {"from where one comes to", transfer(3, 12, 2, 4), 0x103},
	        {"one that comes to where one goes", transfer(3, 12, 0, 2), 0x103},
	        {"one that ends elsewhere", transfer(3, 12, 5, 0), 0},
	        {"one that comes elsewhere", transfer(3, 12, 0, 5), 0},
	};
	struct plan plan = plan_of(swap, 2);
	struct lease_claim claim, other;

	assert_int_equal(lease_claim_of(&plan, &claim), 0);
	for (unsigned i = 0; i < ARRAY_SIZE(rows); i++) {
		struct plan_transfer only = rows[i].other;
		struct plan one = plan_of(&only, 1);

		assert_int_equal(lease_claim_of(&one, &other), 0);
		if (lease_claims_exclude(&claim, &other) != (rows[i].meets != 0) ||
		        lease_claims_exclude(&other, &claim) != (rows[i].meets != 0) ||
		        lease_claims_meet_in(&other, &claim) != rows[i].meets)
			fail_msg("%s", rows[i].what);
		lease_claim_clear(&other);
	}
	lease_claim_clear(&claim);
}

static void who_does_not_say_what_moves_is_alone(void **state)
{
	struct plan_transfer swap[] = {transfer(1, 10, 1, 2), transfer(2, 11, 2, 1)};
	struct plan plan = plan_of(swap, 2), empty = plan_of(NULL, 0);
	struct lease_claim claim, nothing, alone;

	assert_int_equal(lease_claim_of(&plan, &claim), 0);
	assert_int_equal(lease_claim_of(&empty, &nothing), 0);
	assert_int_equal(lease_claim_of(NULL, &alone), 0);
	assert_true(lease_claims_exclude(&alone, &claim));
	assert_true(lease_claims_exclude(&claim, &alone));
	assert_true(lease_claims_exclude(&alone, &nothing));
	assert_true(lease_claims_exclude(&alone, &alone));
	assert_int_equal(lease_claims_meet_in(&claim, &alone), 0);
	/* Who only looks is in nobody's way. */
	assert_false(lease_claims_exclude(&nothing, &claim));
	assert_false(lease_claims_exclude(&nothing, &nothing));
	lease_claim_clear(&claim);
	lease_claim_clear(&nothing);
	lease_claim_clear(&alone);
}

static struct lease_holder *hold(
        struct lease_table *table, unsigned owner, const char *migration, uint64_t until_ns)
{
	struct lease_claim claim = {0};
	struct lease_holder *holder = lease_table_add(table, owner, migration, &claim, until_ns);

	if (holder)
		holder->is_granted = true;
	lease_claim_clear(&claim);
	return holder;
}

static void it_is_held_until_its_time_and_while_at_work(void **state)
{
	struct lease_table table = {0};

	assert_true(lease_table_is_empty(&table));
	assert_int_equal(lease_table_last_end_ns(&table), 0);
	hold(&table, 1, "a", 100);
	hold(&table, 2, "b", 300);
	hold(&table, 3, "c", 200)->is_working = true;
	assert_int_equal(lease_table_first_end_ns(&table), 100);
	assert_int_equal(lease_table_last_end_ns(&table), 300);
	assert_non_null(lease_table_holding(&table, 1, "a", 99));
	assert_null(lease_table_holding(&table, 1, "a", 100));
	assert_null(lease_table_holding(&table, 1, "b", 99));
	assert_null(lease_table_holding(&table, 4, "a", 99));
	lease_table_end_due(&table, 250);
	assert_null(lease_table_of(&table, 1));
	assert_non_null(lease_table_of(&table, 3));
	assert_true(lease_table_is_working(&table));
	lease_table_end_due(&table, 300);
	assert_null(lease_table_of(&table, 2));
	lease_table_of(&table, 3)->is_working = false;
	lease_table_end_due(&table, 300);
	assert_true(lease_table_is_empty(&table));
}

/* Its time is that of waiting; nothing may end it but whoever waits. */
static void one_that_is_not_granted_yet_holds_nothing(void **state)
{
	struct lease_table table = {0};
	struct lease_holder *holder = hold(&table, 1, "a", 100);

	holder->is_granted = false;
	assert_ptr_equal(lease_table_settling(&table), holder);
	assert_null(lease_table_holding(&table, 1, "a", 50));
	lease_table_end_due(&table, 200);
	assert_ptr_equal(lease_table_of(&table, 1), holder);
	lease_holder_end(holder);
	assert_null(lease_table_settling(&table));
	assert_true(lease_table_is_empty(&table));
}

static void it_is_for_what_was_planned_last_unless_alone(void **state)
{
	struct plan_transfer before = transfer(1, 10, 1, 2), after = transfer(1, 11, 1, 2);
	struct plan plan = plan_of(&before, 1), anew = plan_of(&after, 1);
	struct plan_transfer had = transfer(2, 10, 3, 4), has = transfer(3, 11, 5, 6);
	const struct lease_claim of_before = {.count = 1, .movers = &had};
	const struct lease_claim of_after = {.count = 1, .movers = &has};
	struct lease_table table = {0};
	struct lease_claim claim;

	assert_int_equal(lease_claim_of(&plan, &claim), 0);
	assert_non_null(lease_table_add(&table, 1, "a", &claim, 100));
	assert_int_equal(lease_table_meets(&table, 2, &of_before), 0x102);
	assert_int_equal(lease_table_meets(&table, 2, &of_after), 0);
	assert_int_equal(lease_claim_of(&anew, &claim), 0);
	lease_holder_reclaim(lease_table_of(&table, 1), &claim);
	assert_null(claim.movers);
	assert_null(lease_table_excluding(&table, 2, &of_before));
	assert_int_equal(lease_table_meets(&table, 2, &of_after), 0x103);
	lease_table_clear(&table);
	assert_int_equal(lease_claim_of(NULL, &claim), 0);
	assert_non_null(lease_table_add(&table, 1, "a", &claim, 100));
	assert_int_equal(lease_claim_of(&anew, &claim), 0);
	lease_holder_reclaim(lease_table_of(&table, 1), &claim);
	assert_null(claim.movers);
	assert_non_null(lease_table_excluding(&table, 2, &of_before));
	lease_table_clear(&table);
}

static void it_has_room_for_each_connection_once(void **state)
{
	struct plan_transfer one = transfer(1, 10, 1, 2);
	struct plan plan = plan_of(&one, 1);
	struct lease_table table = {0};
	struct lease_claim claim;

	for (unsigned i = 1; i <= LEASE_HOLDERS_MAX; i++)
		assert_non_null(hold(&table, i, "a", 100));
	assert_int_equal(lease_claim_of(&plan, &claim), 0);
	assert_null(lease_table_add(&table, 99, "z", &claim, 100));
	assert_int_equal(claim.count, 1); /* still the caller's */
	lease_holder_end(lease_table_of(&table, 3));
	assert_non_null(lease_table_add(&table, 99, "z", &claim, 100));
	assert_int_equal(claim.count, 0);
	assert_int_equal(lease_claim_of(&plan, &claim), 0);
	assert_int_equal(lease_table_excluding(&table, 1, &claim)->owner, 99);
	assert_null(lease_table_excluding(&table, 99, &claim)); /* one's own is in nobody's way */
	lease_claim_clear(&claim);
	lease_table_clear(&table);
	assert_true(lease_table_is_empty(&table));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(who_moves_something_else_may_hold_it_too),
	        cmocka_unit_test(who_does_not_say_what_moves_is_alone),
	        cmocka_unit_test(it_is_held_until_its_time_and_while_at_work),
	        cmocka_unit_test(one_that_is_not_granted_yet_holds_nothing),
	        cmocka_unit_test(it_is_for_what_was_planned_last_unless_alone),
	        cmocka_unit_test(it_has_room_for_each_connection_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
