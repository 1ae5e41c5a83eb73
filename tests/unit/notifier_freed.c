/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/* What a barrier held, when it falls: many thousands of one who floods beside others. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "notifier/relay/barrier.h"
#include "notifier/relay/registration.h"

enum {
	MEMBER = 2,
	OTHER,
	MANY = 3000,
	LID_STAYS = 5,
	LID_FREED = 6,
	LID_ELSE = 7,
	LID_ITS_OWN = 8,
	UNTIL = 1000,
};

/* Of the flood so many went up, in its order; and how often anybody else's did, or a drop. */
static size_t looks, went_up, others_went_up, drops_went_up;

bool __real_barriers_hold(
        const struct barrier *barriers, const char *vm, const struct address *address);
bool __wrap_barriers_hold(
        const struct barrier *barriers, const char *vm, const struct address *address);

bool __wrap_barriers_hold(
        const struct barrier *barriers, const char *vm, const struct address *address)
{
	looks++;
	return __real_barriers_hold(barriers, vm, address);
}

static void count_up(void *owner, const Tether__Interest *interest)
{
	if (interest->drop)
		drops_went_up++;
	else if (interest->address->lid == LID_ELSE)
		others_went_up++;
	else
		assert_int_equal(interest->remote_qpn, ++went_up);
}

static void say_nothing(void *owner, uint32_t member, const Tether__InterestAnswer *answer)
{
}

static const uint32_t *pkeys_unknown(void *owner, const struct address *address, size_t *count)
{
	return NULL;
}

static void ask(struct registration *r, uint32_t member, uint32_t lid, uint32_t qpn, bool drop)
{
	Tether__Interest interest = TETHER__INTEREST__INIT;
	Tether__Address address = TETHER__ADDRESS__INIT;

	address.lid = lid;
	interest.address = &address;
	interest.request = qpn;
	interest.remote_qpn = qpn;
	interest.drop = drop;
	registration_take(r, member, 1, "vm2", &interest);
}

static void hold(struct registration *r, uint16_t lid)
{
	const struct address address = {.lid = lid};

	assert_int_equal(registration_barrier(r, lid, "vm5", &address, UNTIL), 0);
}

static void flood(struct registration *r, uint32_t lid)
{
	for (uint32_t qpn = 1; qpn <= MANY; qpn++)
		ask(r, MEMBER, lid, qpn, false);
	assert_int_equal(went_up, 0);
}

static void tick_to_the_end(struct registration *r)
{
	while (!registration_next(r))
		registration_tick(r, 0);
}

static int begin(void **state)
{
	static const struct registration_outputs outputs = {
	        .up = count_up, .down = say_nothing, .pkeys = pkeys_unknown};

	looks = went_up = others_went_up = drops_went_up = 0;
	*state = registration_create(MANY, 2 * MANY + 2, &outputs, NULL);
	return *state ? 0 : -1;
}

static int end(void **state)
{
	registration_destroy(*state);
	return 0;
}

/* However many there are that it goes past. */
static void each_that_is_held_is_looked_at_once_when_a_barrier_falls(void **state)
{
	struct registration *r = *state;

	hold(r, LID_STAYS);
	hold(r, LID_FREED);
	flood(r, LID_STAYS);
	flood(r, LID_FREED);
	looks = 0;
	registration_barrier_lift(r, LID_FREED);
	tick_to_the_end(r);
	assert_int_equal(went_up, MANY);
	/* Once in the list, and those that are free once more when it is their turn. */
	assert_in_range(looks, MANY, 3 * MANY);
}

static void others_are_heard_between_those_that_were_held(void **state)
{
	struct registration *r = *state;

	hold(r, LID_FREED);
	flood(r, LID_FREED);
	registration_barrier_lift(r, LID_FREED);
	assert_in_range(went_up, 1, MANY - 1);
	assert_int_equal(registration_next(r), 0);
	ask(r, OTHER, LID_ELSE, 1, false);
	assert_int_equal(others_went_up, 1);
	registration_tick(r, 0);
	assert_in_range(went_up, 1, MANY - 1);
	tick_to_the_end(r);
	assert_int_equal(went_up, MANY);
	assert_int_equal(registration_next(r), UINT64_MAX);
}

/* Else it would hold what it has let go. */
static void what_a_member_asks_keeps_its_order(void **state)
{
	const struct address let_go = {.lid = LID_ITS_OWN};
	struct registration *r = *state;

	hold(r, LID_FREED);
	hold(r, LID_ITS_OWN);
	flood(r, LID_FREED);
	ask(r, MEMBER, LID_ITS_OWN, MANY + 1, false);
	registration_barrier_lift(r, LID_FREED);
	registration_barrier_lift(r, LID_ITS_OWN);
	ask(r, MEMBER, LID_ITS_OWN, MANY + 2, true);
	assert_int_equal(drops_went_up, 0);
	tick_to_the_end(r);
	assert_int_equal(went_up, MANY + 1);
	assert_int_equal(drops_went_up, 1);
	assert_false(registration_holds(r, MEMBER, &let_go));
}

static void what_is_not_carried_out_yet_is_held_by_the_next_barrier(void **state)
{
	struct registration *r = *state;
	size_t before;

	hold(r, LID_FREED);
	flood(r, LID_FREED);
	registration_barrier_lift(r, LID_FREED);
	before = went_up;
	hold(r, LID_FREED);
	tick_to_the_end(r);
	assert_int_equal(went_up, before);
	registration_barrier_lift(r, LID_FREED);
	tick_to_the_end(r);
	assert_int_equal(went_up, MANY);
}

static void who_has_gone_asks_for_nothing_more(void **state)
{
	struct registration *r = *state;
	size_t before;

	hold(r, LID_FREED);
	flood(r, LID_FREED);
	registration_barrier_lift(r, LID_FREED);
	before = went_up;
	registration_member_gone(r, MEMBER);
	assert_int_equal(registration_next(r), UINT64_MAX);
	assert_int_equal(went_up, before);
	/* Its number is another's, who has nothing to wait for. */
	ask(r, MEMBER, LID_ELSE, 1, false);
	assert_int_equal(others_went_up, 1);
}

int main(void)
{
#define FREED_TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)
	const struct CMUnitTest tests[] = {
	        FREED_TEST(each_that_is_held_is_looked_at_once_when_a_barrier_falls),
	        FREED_TEST(others_are_heard_between_those_that_were_held),
	        FREED_TEST(what_a_member_asks_keeps_its_order),
	        FREED_TEST(what_is_not_carried_out_yet_is_held_by_the_next_barrier),
	        FREED_TEST(who_has_gone_asks_for_nothing_more),
	};

	return cmocka_run_group_tests_name("notifier_freed", tests, NULL, NULL);
}
