/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/* The way back of a VM with several VFs: who is taken back, and whose GUIDs leave the source again
 * when the VM stays. */
#include "notifier/base/cleanup.h"
#include "tests/unit/smd_several.h"

/* Some drivers fail where there is no such device. */
static void who_was_never_attached_is_not_detached(void **unused)
{
	static const struct {
		unsigned attached; /* done; the next one has failed */
		bool called;
		const char *orders;
	} rows[] = {
	        {0, false, "DGGG"}, {1, false, "DGDGG"}, {2, false, "DGDGDG"}, {0, true, "DGDGDG"}};
	char orders[16];

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct migration m;

		begin(&m, 2);
		m.intent.called = rows[i].called;
		done_until(&m, STATE_ATTACHING);
		for (unsigned k = 0; k < rows[i].attached; k++)
			migration_answered(&m, PARTY_HOST, true, 1);
		migration_answered(&m, PARTY_HOST, false, 1);
		done_until(&m, STATE_BACK_VACATING);
		asked_of("hyp2", 0x2002, &m, orders);
		assert_string_equal(orders, rows[i].orders);
		migration_clear(&m);
	}
}

static void before_any_was_attached_none_is_detached(void **unused)
{
	struct migration m;
	char orders[16];

	begin(&m, 2);
	done_until(&m, STATE_APPLYING);
	migration_event(&m, EVENT_FAILED, 1);
	done_until(&m, STATE_BACK_VACATING);
	asked_of("hyp2", 0x2002, &m, orders);
	assert_string_equal(orders, "GGG");
	migration_clear(&m);
}

static void of_a_predecessor_it_is_not_known(void **unused)
{
	struct migration m;
	char orders[16];

	begin(&m, 1);
	migration_recover(&m, STATE_BACK_LEASING, false, deadlines.overall_ms, 1);
	done_until(&m, STATE_BACK_VACATING);
	asked_of("hyp2", 0x2002, &m, orders);
	assert_string_equal(orders, "DGDG");
	migration_clear(&m);
}

/* The source takes the GUIDs of so many of three, and then no more. */
static void what_the_source_took_leaves_it_again_when_the_vm_stays(void **unused)
{
	for (unsigned taken = 0; taken < 3; taken++) {
		struct migration m;
		char orders[16];

		begin(&m, 2);
		answered_until(&m, STATE_ATTACHING);
		migration_event(&m, EVENT_FAILED, 1);
		done_until(&m, STATE_BACK_NAMING);
		for (unsigned i = 0; i < taken; i++)
			migration_answered(&m, PARTY_HOST, true, 1);
		migration_answered(&m, PARTY_HOST, false, 1);
		migration_event(&m, EVENT_TIMEOUT, 1);
		assert_true(m.given_up);
		if (taken) {
			assert_int_equal(m.state, STATE_STAY_NAMING);
			assert_int_equal(time_of(&m, deadlines.detach_ms), taken);
			asked_of("hyp2", 0x2001, &m, orders);
			assert_int_equal(strlen(orders), taken);
			assert_int_equal(m.state, STATE_STAY_VACATING);
			asked_of("hyp1", 0x2002, &m, orders);
			assert_int_equal(strlen(orders), taken);
		}
		assert_int_equal(m.state, STATE_STAY_APPLYING);
		migration_clear(&m);
	}
}

/* Of which VFs the host is asked in @m's state, a digit each. */
static void vfs_asked(struct migration *m, char *vfs)
{
	enum migration_state state = m->state;

	for (; m->state == state; migration_answered(m, PARTY_HOST, true, 1))
		*vfs++ = (char)('0' + m->host_vf);
	*vfs = '\0';
}

static void stays_with(struct migration *m, const char *vfs)
{
	char asked[16];

	migration_event(m, EVENT_TIMEOUT, 1);
	assert_int_equal(m->state, STATE_STAY_NAMING);
	assert_int_equal(time_of(m, deadlines.detach_ms), strlen(vfs));
	vfs_asked(m, asked);
	assert_string_equal(asked, vfs);
	assert_int_equal(m->state, STATE_STAY_VACATING);
	assert_int_equal(time_of(m, deadlines.detach_ms), strlen(vfs));
	vfs_asked(m, asked);
	assert_string_equal(asked, vfs);
	assert_int_equal(m->state, STATE_STAY_APPLYING);
}

/* The source had begun to give away its GUIDs, and then neither gives nor takes any. */
static void what_has_never_left_the_source_leaves_it_when_the_vm_stays(void **unused)
{
	static const char *const left[] = {"012", "12", "2"};

	for (unsigned given = 0; given < 3; given++) {
		struct migration m;

		begin(&m, 2);
		answered_until(&m, STATE_VACATING);
		for (unsigned i = 0; i < given; i++)
			migration_answered(&m, PARTY_HOST, true, 1);
		migration_answered(&m, PARTY_HOST, false, 1);
		done_until(&m, STATE_BACK_NAMING);
		migration_answered(&m, PARTY_HOST, false, 1);
		stays_with(&m, left[given]);
		migration_clear(&m);
	}
}

/* What the predecessor's orders did is not known, however far this one's came. */
static void what_a_predecessor_had_the_source_take_leaves_it_when_the_vm_stays(void **unused)
{
	for (unsigned taken = 0; taken < 2; taken++) {
		struct migration m;

		begin(&m, 1);
		migration_recover(&m, STATE_BACK_NAMING, false, deadlines.overall_ms, 1);
		m.vacated = true;
		done_until(&m, STATE_BACK_RENAMING);
		for (unsigned i = 0; i < taken; i++)
			migration_answered(&m, PARTY_HOST, true, 1);
		stays_with(&m, "01");
		migration_clear(&m);
	}
}

/* It is not known how many; nothing leaves the source that the destination may not have. */
static void a_successor_names_all_and_a_destination_that_cannot_keeps_them(void **unused)
{
	struct migration m;
	char orders[16];

	begin(&m, 1);
	migration_recover(&m, STATE_STAY_VACATING, true, deadlines.overall_ms, 1);
	done_until(&m, STATE_STAY_NAMING);
	asked_of("hyp2", 0x2001, &m, orders);
	assert_string_equal(orders, "GG");
	asked_of("hyp1", 0x2002, &m, orders);
	assert_string_equal(orders, "GG");
	migration_recover(&m, STATE_STAY_NAMING, true, deadlines.overall_ms, 1);
	done_until(&m, STATE_STAY_NAMING);
	migration_event(&m, EVENT_TIMEOUT, 1);
	assert_int_equal(m.state, STATE_STAY_APPLYING);
	migration_clear(&m);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(who_was_never_attached_is_not_detached),
	        cmocka_unit_test(before_any_was_attached_none_is_detached),
	        cmocka_unit_test(of_a_predecessor_it_is_not_known),
	        cmocka_unit_test(what_the_source_took_leaves_it_again_when_the_vm_stays),
	        cmocka_unit_test(what_has_never_left_the_source_leaves_it_when_the_vm_stays),
	        cmocka_unit_test(
	                what_a_predecessor_had_the_source_take_leaves_it_when_the_vm_stays),
	        cmocka_unit_test(a_successor_names_all_and_a_destination_that_cannot_keeps_them),
	};

	return cmocka_run_group_tests_name("smd_vfs_back", tests, NULL, NULL);
}
