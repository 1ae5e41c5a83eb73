/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/* ud-verify's checker: each fault that a datagram can have is found, and called what it is. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "demo-apps/verify/message.h"
#include "demo-apps/ud_verify/stream.h"

enum { LENGTH = 100, QPS = 4 };

static const struct datagram_ends ends = {.from_server = true, .from = 1, .to = 2, .qps = QPS};

static enum datagram_verdict verdict_of(bool from_server, uint32_t from, uint32_t to)
{
	unsigned char at[LENGTH];
	uint64_t number = 0;
	enum datagram_verdict verdict;

	message_fill(at, LENGTH, stream_name(from_server, from, to), 7);
	verdict = datagram_check(at, LENGTH, &ends, &number);
	if (verdict == DATAGRAM_GOOD)
		assert_int_equal(number, 7);
	return verdict;
}

static void a_datagram_is_of_its_stream(void **state)
{
	assert_int_equal(verdict_of(true, 1, 2), DATAGRAM_GOOD);
	assert_int_equal(verdict_of(true, 3, 2), DATAGRAM_MISATTRIBUTED);
	assert_int_equal(verdict_of(true, 1, 3), DATAGRAM_MISDELIVERED);
	assert_int_equal(verdict_of(true, 0, 0), DATAGRAM_MISDELIVERED);
	assert_int_equal(verdict_of(false, 1, 2), DATAGRAM_MISDELIVERED);
	assert_int_equal(verdict_of(true, QPS, 2), DATAGRAM_CORRUPT);
}

static void a_changed_bit_is_corruption(void **state)
{
	unsigned char at[LENGTH];
	uint64_t number;

	message_fill(at, LENGTH, stream_name(true, 1, 2), 7);
	for (int bit = 0; bit < 8 * LENGTH; bit++) {
		at[bit / 8] ^= (unsigned char)(1 << bit % 8);
		assert_int_equal(datagram_check(at, LENGTH, &ends, &number), DATAGRAM_CORRUPT);
		at[bit / 8] ^= (unsigned char)(1 << bit % 8);
	}
	assert_int_equal(datagram_check(at, LENGTH - 1, &ends, &number), DATAGRAM_CORRUPT);
	assert_int_equal(datagram_check(at, 0, &ends, &number), DATAGRAM_CORRUPT);
}

static void what_was_lost_was_lost_between_its_neighbours(void **state)
{
	struct findings findings = {0};
	struct losses losses = {0};
	struct stream stream = {0};

	stream_arrived(&stream, 0, 100, &findings, &losses);
	stream_arrived(&stream, 3, 200, &findings, &losses);
	assert_int_equal(losses.count, 1);
	assert_int_equal(losses.kept[0].first_us, 100);
	assert_int_equal(losses.kept[0].last_us, 200);
	assert_int_equal(losses.kept[0].datagrams, 2);
	stream_finish(&stream, 6, 900, &findings, &losses);
	assert_int_equal(losses.kept[1].first_us, 200);
	assert_int_equal(losses.kept[1].last_us, 900);
	assert_int_equal(findings.lost, 4);
}

static void what_comes_again_is_a_repeat(void **state)
{
	struct findings findings = {0};
	struct losses losses = {0};
	struct stream stream = {0};

	stream_arrived(&stream, 0, 100, &findings, &losses);
	stream_arrived(&stream, 0, 200, &findings, &losses);
	assert_int_equal(findings.duplicated, 1);
	assert_int_equal(losses.count, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(a_datagram_is_of_its_stream),
	        cmocka_unit_test(a_changed_bit_is_corruption),
	        cmocka_unit_test(what_was_lost_was_lost_between_its_neighbours),
	        cmocka_unit_test(what_comes_again_is_a_repeat),
	};

	return cmocka_run_group_tests_name("ud_stream", tests, NULL, NULL);
}
