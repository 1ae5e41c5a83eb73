/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/* Tables of datagram numbers while another thread replaces them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

static void others_come(void);

/* The room under test, with the moment within reach in which one table takes another's place. */
#define __atomic_store_n(at, value, order) (others_come(), __atomic_store_n(at, value, order))
#include "preload/datagram_numbers.c" /* NOLINT(bugprone-suspicious-include) */
#undef __atomic_store_n

enum { LID = 7, QPN = 5, REAL_QPN = 50 };

struct context_list contexts = TAILQ_HEAD_INITIALIZER(contexts);

static struct datagram_numbers *forgotten_meanwhile;

/* As a thread that drops the last interest in the address would; it does not while it has to wait.
 */
static void others_come(void)
{
	struct datagram_numbers *numbers = forgotten_meanwhile;

	forgotten_meanwhile = NULL;
	if (!numbers || pthread_mutex_trylock(&replacing))
		return;
	pthread_mutex_unlock(&replacing);
	datagram_numbers_forget(numbers);
}

static void take(struct datagram_numbers *numbers, uint32_t real)
{
	struct qp_row row = {.local_lid = LID, .local_qpn = QPN, .real_qpn = real};
	Tether__QpRows rows = TETHER__QP_ROWS__INIT;

	assert_int_equal(qp_rows_append(&rows, &row), 0);
	assert_int_equal(datagram_numbers_take(numbers, &rows, NULL), 0);
	rows_clear(&rows.base);
}

static size_t replaced_count(void)
{
	const struct datagram_tables *tables = replaced;
	size_t count = 0;

	for (; tables && count < 10; tables = tables->next)
		count++;
	return count;
}

/* What was replaced twice would be freed twice. */
static void tables_are_replaced_once(void **state)
{
	struct datagram_numbers *numbers = datagram_numbers_of(LID, NULL);

	assert_non_null(numbers);
	take(numbers, REAL_QPN);
	forgotten_meanwhile = numbers;
	take(numbers, REAL_QPN + 1);
	assert_int_equal(replaced_count(), 1);
	forgotten_meanwhile = numbers;
	datagram_numbers_forget(numbers);
	assert_int_equal(replaced_count(), 2);
	datagram_numbers_reclaim();
	assert_int_equal(replaced_count(), 0);
	assert_int_equal(datagram_number_to_real(numbers, QPN), QPN);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(tables_are_replaced_once),
	};

	return cmocka_run_group_tests_name("shim_datagram_tables", tests, NULL, NULL);
}
