/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/* What a barrier held, when it falls: many thousands of one who floods beside others. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "notifier/relay/barrier.h"
#include "notifier/relay/registration.h"

enum { MEMBER = 2, MANY = 2000, LID_STAYS = 5, LID_FREED = 6, UNTIL = 1000 };

static size_t looks, went_up;

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
	assert_int_equal(interest->remote_qpn, ++went_up);
	assert_int_equal(interest->address->lid, LID_FREED);
}

static void say_nothing(void *owner, uint32_t member, const Tether__InterestAnswer *answer)
{
}

static const uint32_t *pkeys_unknown(void *owner, const struct address *address, size_t *count)
{
	return NULL;
}

static void ask(struct registration *r, uint32_t lid, uint32_t qpn)
{
	Tether__Interest interest = TETHER__INTEREST__INIT;
	Tether__Address address = TETHER__ADDRESS__INIT;

	address.lid = lid;
	interest.address = &address;
	interest.request = qpn;
	interest.remote_qpn = qpn;
	registration_take(r, MEMBER, 1, "vm2", &interest);
}

static void each_that_is_held_is_looked_at_once_when_a_barrier_falls(void **state)
{
	static const struct registration_outputs outputs = {
	        .up = count_up, .down = say_nothing, .pkeys = pkeys_unknown};
	const struct address stays = {.lid = LID_STAYS}, freed = {.lid = LID_FREED};
	struct registration *r = registration_create(MANY, 2 * MANY, &outputs, NULL);

	assert_int_equal(registration_barrier(r, LID_STAYS, "vm5", &stays, UNTIL), 0);
	assert_int_equal(registration_barrier(r, LID_FREED, "vm6", &freed, UNTIL), 0);
	for (uint32_t qpn = 1; qpn <= MANY; qpn++)
		ask(r, LID_STAYS, qpn);
	for (uint32_t qpn = 1; qpn <= MANY; qpn++)
		ask(r, LID_FREED, qpn);
	assert_int_equal(went_up, 0);
	looks = 0;
	registration_barrier_lift(r, LID_FREED);
	assert_int_equal(went_up, MANY);
	assert_int_equal(looks, 2 * MANY);
	registration_destroy(r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(each_that_is_held_is_looked_at_once_when_a_barrier_falls),
	};

	return cmocka_run_group_tests_name("notifier_freed", tests, NULL, NULL);
}
