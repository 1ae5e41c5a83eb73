/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/* What numbers of datagram queue pairs mean at an address, and who has to be asked. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <unistd.h>

#include "notifier/wire/rows.h"
#include "preload/datagram_numbers.h"
#include "preload/objects.h"
#include "tests/unit/shim_harness.h"

enum { LID = 7, OTHER_LID = 8, DEADLOCK_S = 20 };

static struct harness harness;

static const union ibv_gid gid = {.raw = {0xfe, 0x80, 1}}, other_gid = {.raw = {0xfe, 0x80, 2}};

static int setup(void **state)
{
	memset(&harness, 0, sizeof(harness));
	harness_handles = 0;
	alarm(DEADLOCK_S);
	return 0;
}

static int teardown(void **state)
{
	alarm(0);
	if (datagram_numbers_find(LID, NULL))
		datagram_numbers_forget(datagram_numbers_find(LID, NULL));
	datagram_numbers_reclaim();
	return 0;
}

static void row(Tether__QpRows *rows, uint32_t lid, uint32_t number, uint32_t real, uint32_t remote)
{
	struct qp_row added = {.local_lid = lid,
	        .local_qpn = number,
	        .real_qpn = real,
	        .remote_lid = remote ? OTHER_LID : 0,
	        .remote_qpn = remote};

	assert_int_equal(qp_rows_append(rows, &added), 0);
}

static struct datagram_numbers *taken(Tether__QpRows *rows)
{
	struct datagram_numbers *numbers = datagram_numbers_of(LID, &gid);

	assert_non_null(numbers);
	assert_int_equal(datagram_numbers_take(numbers, rows, NULL), 0);
	rows_clear(&rows->base);
	return numbers;
}

/* Queue pair @number is @real there, both ways. */
static void expect_called(const struct datagram_numbers *numbers, uint32_t number, uint32_t real)
{
	assert_int_equal(datagram_number_to_real(numbers, number), real);
	assert_int_equal(datagram_number_to_virtual(numbers, real), number);
}

static void an_address_has_one_record(void **state)
{
	struct datagram_numbers *numbers = datagram_numbers_of(LID, &gid);

	assert_ptr_equal(datagram_numbers_of(LID, &other_gid), numbers);
	assert_ptr_equal(datagram_numbers_find(LID, NULL), numbers);
	assert_ptr_equal(datagram_numbers_at(LID), numbers);
	assert_ptr_not_equal(datagram_numbers_of(OTHER_LID, &gid), numbers);
}

static void without_lids_an_address_is_its_gid(void **state)
{
	const uint32_t name = gid_name(gid.raw), other = gid_name(other_gid.raw);
	struct datagram_numbers *numbers = datagram_numbers_of(name, &gid);

	assert_non_null(numbers);
	assert_ptr_equal(datagram_numbers_of(name, &gid), numbers);
	assert_ptr_not_equal(datagram_numbers_of(other, &other_gid), numbers);
	assert_ptr_equal(datagram_numbers_find(name, &gid), numbers);
	assert_ptr_equal(datagram_numbers_at(name), numbers);
	assert_null(datagram_numbers_of(0, &gid));
}

/* No mix-up, though it is most unlikely. */
static void another_gid_of_the_same_name_has_no_record(void **state)
{
	const uint32_t name = gid_name(gid.raw);
	struct datagram_numbers *numbers = datagram_numbers_of(name, &gid);

	assert_null(datagram_numbers_of(name, &other_gid));
	assert_null(datagram_numbers_find(name, &other_gid));
	assert_ptr_equal(datagram_numbers_named(name), numbers);
}

static void a_group_has_no_numbers(void **state)
{
	const union ibv_gid group = {.raw = {0xff, 0x12}};

	assert_null(datagram_numbers_of(FIRST_MULTICAST_LID, &gid));
	assert_null(datagram_numbers_of(0xffff, &gid));
	assert_null(datagram_numbers_of(gid_name(group.raw), &group));
	assert_null(datagram_numbers_at(0xffff));
	assert_int_equal(datagram_number_to_real(NULL, 0xffffff), 0xffffff);
}

static void what_nobody_spoke_of_is_its_own_number(void **state)
{
	struct datagram_numbers *numbers = datagram_numbers_of(LID, &gid);

	expect_called(numbers, 5, 5);
}

/* The other two are a connected queue pair, and one at another address. */
static void only_datagram_queue_pairs_of_that_address_are_taken(void **state)
{
	Tether__QpRows rows = TETHER__QP_ROWS__INIT;
	struct datagram_numbers *numbers;

	row(&rows, LID, 5, 50, 0);
	row(&rows, LID, 6, 60, 1);
	row(&rows, OTHER_LID, 7, 70, 0);
	numbers = taken(&rows);
	expect_called(numbers, 5, 50);
	expect_called(numbers, 6, 6);
	expect_called(numbers, 7, 7);
	expect_called(numbers, 60, 60);
}

static void numbers_that_change_places_are_each_translated_once(void **state)
{
	Tether__QpRows rows = TETHER__QP_ROWS__INIT;
	struct datagram_numbers *numbers;

	row(&rows, LID, 5, 6, 0);
	row(&rows, LID, 6, 5, 0);
	numbers = taken(&rows);
	expect_called(numbers, 5, 6);
	expect_called(numbers, 6, 5);
}

/* The number of before may be another's by now. */
static void what_is_said_next_leaves_nothing_of_before(void **state)
{
	Tether__QpRows first = TETHER__QP_ROWS__INIT, second = TETHER__QP_ROWS__INIT;
	struct datagram_numbers *numbers;

	row(&first, LID, 5, 50, 0);
	row(&first, LID, 6, 60, 0);
	taken(&first);
	row(&second, LID, 5, 51, 0);
	numbers = taken(&second);
	expect_called(numbers, 5, 51);
	expect_called(numbers, 50, 50);
	expect_called(numbers, 6, 6);
	expect_called(numbers, 60, 60);
}

static void who_is_back_at_its_own_number_is_not_translated(void **state)
{
	Tether__QpRows first = TETHER__QP_ROWS__INIT, second = TETHER__QP_ROWS__INIT;
	struct datagram_numbers *numbers;

	row(&first, LID, 5, 50, 0);
	taken(&first);
	row(&second, LID, 5, 5, 0);
	numbers = taken(&second);
	assert_null(numbers->tables);
	expect_called(numbers, 5, 5);
	expect_called(numbers, 50, 50);
}

static void the_same_said_again_changes_nothing(void **state)
{
	Tether__QpRows first = TETHER__QP_ROWS__INIT, second = TETHER__QP_ROWS__INIT;
	const struct datagram_tables *before;

	row(&first, LID, 5, 50, 0);
	row(&first, LID, 6, 60, 0);
	before = taken(&first)->tables;
	row(&second, LID, 6, 60, 0);
	row(&second, LID, 5, 50, 0);
	assert_ptr_equal(taken(&second)->tables, before);
}

static void columns_of_unequal_length_change_nothing(void **state)
{
	Tether__QpRows first = TETHER__QP_ROWS__INIT, second = TETHER__QP_ROWS__INIT;
	struct datagram_numbers *numbers;

	row(&first, LID, 5, 50, 0);
	numbers = taken(&first);
	row(&second, LID, 5, 51, 0);
	second.n_real_qpn = 0;
	assert_int_equal(datagram_numbers_take(numbers, &second, NULL), -EBADMSG);
	second.n_real_qpn = 1;
	rows_clear(&second.base);
	expect_called(numbers, 5, 50);
}

/* ---- while somebody reads ---- */

static atomic_bool reading, ending;
static atomic_uint wrong;

/* Inside the gate, as the data path does it. */
static void *read_inside(void *unused)
{
	struct completion_queue *cq = completion_queue_of(harness.vm.cq);

	while (!ending) {
		enum gate_pass pass = gate_enter(&cq->gate);
		uint32_t number = datagram_number_to_virtual(datagram_numbers_at(LID), 50);

		wrong += number != 5 && number != 6 && number != 50;
		gate_leave(&cq->gate, pass);
		reading = true;
	}
	return NULL;
}

static void tables_are_replaced_under_a_reader(void **state)
{
	pthread_t reader;

	harness_open(&harness);
	assert_int_equal(pthread_create(&reader, NULL, read_inside, NULL), 0);
	while (!reading)
		;
	for (uint32_t i = 0; i < 200; i++) {
		Tether__QpRows rows = TETHER__QP_ROWS__INIT;

		row(&rows, LID, 5 + i % 2, 50, 0);
		taken(&rows);
		datagram_numbers_reclaim();
	}
	ending = true;
	pthread_join(reader, NULL);
	assert_int_equal(wrong, 0);
	harness_close(&harness);
}

/* ---- address handles ---- */

/* Under Shared Port: of (LID, 5) the VM has gone to (OTHER_LID, 50), and (OTHER_LID, 6) has come to
 * (LID, 60). */
static void a_number_may_mean_another_lid(void **state)
{
	struct qp_row left = {.local_lid = LID, .local_qpn = 5, .real_qpn = 50};
	struct qp_row came = {.local_lid = OTHER_LID, .local_qpn = 6, .real_qpn = 60};
	struct qp_row same_number = {.local_lid = LID, .local_qpn = 7, .real_qpn = 7};
	Tether__QpRows rows = TETHER__QP_ROWS__INIT;
	const struct number_entry *entry;
	struct datagram_numbers *numbers;

	left.real_lid = same_number.real_lid = OTHER_LID;
	came.real_lid = LID;
	assert_int_equal(qp_rows_append(&rows, &left), 0);
	assert_int_equal(qp_rows_append(&rows, &came), 0);
	assert_int_equal(qp_rows_append(&rows, &same_number), 0);
	numbers = taken(&rows);
	entry = datagram_destination(numbers, 5);
	assert_int_equal(datagram_entry_qpn(entry), 50);
	assert_int_equal(datagram_entry_lid(entry), OTHER_LID);
	assert_int_equal(datagram_entry_lid(datagram_destination(numbers, 7)), OTHER_LID);
	entry = datagram_sender(numbers, 60);
	assert_int_equal(datagram_entry_qpn(entry), 6);
	assert_int_equal(datagram_entry_lid(entry), OTHER_LID);
	/* Neither is here: the one has left, the other is known elsewhere. */
	assert_null(datagram_sender(numbers, 50));
	assert_null(datagram_destination(numbers, 6));
}

/* A GID of the place before is still shown, and leads where the first leads that is its own again.
 */
static void of_several_names_the_first_calls_it(void **state)
{
	const uint32_t name = gid_name(gid.raw), other = gid_name(other_gid.raw);
	struct datagram_numbers *numbers = datagram_numbers_of(name, &gid);
	struct qp_row first = {.local_lid = name, .local_qpn = 5, .real_qpn = 5, .real_lid = name};
	struct qp_row second = {
	        .local_lid = other, .local_qpn = 5, .real_qpn = 5, .real_lid = name};
	Tether__QpRows rows = TETHER__QP_ROWS__INIT;
	Tether__GidRows gids = TETHER__GID_ROWS__INIT;

	assert_int_equal(qp_rows_append(&rows, &first), 0);
	assert_int_equal(qp_rows_append(&rows, &second), 0);
	assert_int_equal(gid_rows_add(&gids, gid.raw), 0);
	assert_int_equal(gid_rows_add(&gids, other_gid.raw), 0);
	assert_int_equal(datagram_numbers_take(numbers, &rows, &gids), 0);
	assert_int_equal(datagram_entry_lid(datagram_sender(numbers, 5)), name);
	/* And who names the second is led to the first. */
	numbers = datagram_numbers_of(other, &other_gid);
	assert_int_equal(datagram_numbers_take(numbers, &rows, &gids), 0);
	assert_int_equal(datagram_entry_lid(datagram_destination(numbers, 5)), name);
	assert_int_equal(datagram_numbers_place(numbers), name);
	rows_clear(&rows.base);
	rows_clear(&gids.base);
	datagram_numbers_forget(numbers);
	datagram_numbers_forget(datagram_numbers_of(name, &gid));
}

/* A row whose GID is not said calls nobody. */
static void a_name_without_its_gid_calls_nobody(void **state)
{
	const uint32_t name = gid_name(gid.raw), other = gid_name(other_gid.raw) ^ 1;
	struct datagram_numbers *numbers = datagram_numbers_of(name, &gid);
	struct qp_row row = {.local_lid = other, .local_qpn = 5, .real_qpn = 6, .real_lid = name};
	Tether__QpRows rows = TETHER__QP_ROWS__INIT;

	assert_int_equal(qp_rows_append(&rows, &row), 0);
	assert_int_equal(datagram_numbers_take(numbers, &rows, NULL), 0);
	assert_null(datagram_sender(numbers, 6));
	assert_null(datagram_numbers_named(other));
	rows_clear(&rows.base);
}

/* Somebody may have made it where the VM is now. */
static void at_a_lid_that_was_left_a_number_is_unknown_until_it_is_learned(void **state)
{
	struct qp_row left = {.local_lid = LID, .local_qpn = 5, .real_qpn = 50};
	Tether__QpRows rows = TETHER__QP_ROWS__INIT;
	struct datagram_numbers *numbers = datagram_numbers_of(LID, &gid);

	assert_false(datagram_number_is_unknown(numbers, 6));
	left.real_lid = OTHER_LID;
	assert_int_equal(qp_rows_append(&rows, &left), 0);
	numbers = taken(&rows);
	assert_int_equal(datagram_numbers_leading_away, 1);
	assert_false(datagram_number_is_unknown(numbers, 5));
	assert_true(datagram_number_is_unknown(numbers, 6));
	assert_int_equal(datagram_numbers_learn(numbers, 6, OTHER_LID, 60), 0);
	assert_int_equal(datagram_numbers_learn(numbers, 7, LID, 7), 0);
	assert_false(
	        datagram_number_is_unknown(numbers, 6) || datagram_number_is_unknown(numbers, 7));
	assert_int_equal(datagram_entry_lid(datagram_destination(numbers, 6)), OTHER_LID);
	assert_int_equal(datagram_entry_lid(datagram_destination(numbers, 7)), 0);
	assert_int_equal(datagram_entry_qpn(datagram_destination(numbers, 5)), 50);
	datagram_numbers_forget(numbers);
	assert_int_equal(datagram_numbers_leading_away, 0);
}

static struct ibv_ah *handle_to(struct ibv_pd *pd, uint16_t lid)
{
	struct ibv_ah_attr attr = {.dlid = lid, .port_num = 1};

	return ibv_create_ah(pd, &attr);
}

static void a_handle_is_registered_for_as_long_as_it_lives(void **state)
{
	struct ibv_ah *first, *second;

	harness_open(&harness);
	first = handle_to(harness.peer.pd, FAKE_LID_VM);
	second = handle_to(harness.peer.pd, FAKE_LID_VM);
	assert_int_equal(harness_handles, 2);
	assert_ptr_equal(address_handle_of(first)->numbers, datagram_numbers_at(FAKE_LID_VM));
	assert_int_equal(ibv_destroy_ah(first), 0);
	assert_int_equal(harness_handles, 1);
	assert_int_equal(ibv_destroy_ah(second), 0);
	assert_int_equal(harness_handles, 0);
	harness_close(&harness);
}

static void a_handle_to_a_group_is_nobodys(void **state)
{
	struct ibv_ah *ah;

	harness_open(&harness);
	ah = handle_to(harness.peer.pd, FIRST_MULTICAST_LID + 1);
	assert_non_null(ah);
	assert_int_equal(harness_handles, 0);
	assert_null(address_handle_of(ah)->numbers);
	assert_int_equal(ibv_destroy_ah(ah), 0);
	assert_int_equal(harness_handles, 0);
	harness_close(&harness);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
	        TEST(an_address_has_one_record),
	        TEST(without_lids_an_address_is_its_gid),
	        TEST(another_gid_of_the_same_name_has_no_record),
	        TEST(a_group_has_no_numbers),
	        TEST(what_nobody_spoke_of_is_its_own_number),
	        TEST(only_datagram_queue_pairs_of_that_address_are_taken),
	        TEST(numbers_that_change_places_are_each_translated_once),
	        TEST(what_is_said_next_leaves_nothing_of_before),
	        TEST(who_is_back_at_its_own_number_is_not_translated),
	        TEST(the_same_said_again_changes_nothing),
	        TEST(columns_of_unequal_length_change_nothing),
	        TEST(a_number_may_mean_another_lid),
	        TEST(of_several_names_the_first_calls_it),
	        TEST(a_name_without_its_gid_calls_nobody),
	        TEST(at_a_lid_that_was_left_a_number_is_unknown_until_it_is_learned),
	        TEST(tables_are_replaced_under_a_reader),
	        TEST(a_handle_is_registered_for_as_long_as_it_lives),
	        TEST(a_handle_to_a_group_is_nobodys),
	};

	return cmocka_run_group_tests_name("shim_datagram_numbers", tests, NULL, NULL);
}
