/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/* The notice and the subscription, byte by byte. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "notifier/wire/notice.h"

enum { DATA = 56, DETAILS = DATA + 10 };

static const struct notice said = {.lid = 0x1234,
        .signal = 0x1122334455667788,
        .sequence = 9,
        .migration = 7,
        .epoch = 0x1f2e};
static const uint8_t gid[16] = {0xfe, 0x80, [15] = 5};

static void report_make(uint8_t mad[NOTICE_MAD_BYTES])
{
	static const uint8_t head[] = {1, 3, 2, 6};

	memset(mad, 0, NOTICE_MAD_BYTES);
	memcpy(mad, head, sizeof(head));
	mad[17] = 2;
	notice_encode(&said, gid, mad + DATA);
}

static void every_field_stands_where_iba_has_it(void **state)
{
	uint8_t attribute[NOTICE_BYTES];

	notice_encode(&said, gid, attribute);
	assert_memory_equal(attribute, "\x04\x02\x54\x48\x74\x65\x12\x34\0\0", 10);
	assert_memory_equal(attribute + 10, "\0\x01\x11\x22\x33\x44\x55\x66\x77\x88", 10);
	assert_memory_equal(attribute + 20, "\0\0\0\0\0\0\0\x09", 8);
	assert_memory_equal(attribute + 28, "\0\0\0\0\0\0\0\x07\0\0\0\0\0\0\x1f\x2e", 16);
	for (unsigned i = 44; i < 64; i++)
		assert_int_equal(attribute[i], 0);
	assert_memory_equal(attribute + 64, gid, sizeof(gid));
}

static void what_is_reported_is_what_was_said(void **state)
{
	uint8_t mad[NOTICE_MAD_BYTES];
	struct notice heard;

	report_make(mad);
	assert_true(notice_is_report(mad, sizeof(mad)));
	assert_int_equal(notice_report_decode(mad, &heard), 0);
	assert_int_equal(heard.lid, said.lid);
	assert_int_equal(heard.signal, said.signal);
	assert_int_equal(heard.sequence, said.sequence);
	assert_int_equal(heard.migration, said.migration);
	assert_int_equal(heard.epoch, said.epoch);
}

static void other_mads_are_no_reports(void **state)
{
	static const struct {
		const char *what;
		unsigned at;
		uint8_t value;
	} rows[] = {{"base version", 0, 2}, {"class", 1, 4}, {"class version", 2, 1},
	        {"method", 3, 0x86}, {"attribute", 17, 3}};
	uint8_t mad[NOTICE_MAD_BYTES];

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		print_message("# %s\n", rows[i].what);
		report_make(mad);
		mad[rows[i].at] = rows[i].value;
		assert_false(notice_is_report(mad, sizeof(mad)));
	}
	report_make(mad);
	assert_false(notice_is_report(mad, sizeof(mad) - 1));
}

static void others_notices_and_bad_ones_are_told_apart(void **state)
{
	static const struct {
		const char *what;
		unsigned at;
		uint8_t value;
		int error;
	} rows[] = {{"generic", DATA, 0x84, -ENOMSG}, {"vendor", DATA + 3, 0x49, -ENOMSG},
	        {"device", DATA + 5, 0x64, -ENOMSG}, {"version", DETAILS + 1, 2, -EBADMSG},
	        {"first byte that is zero", DETAILS + 34, 1, -EBADMSG},
	        {"last byte that is zero", DETAILS + 53, 1, -EBADMSG}};
	uint8_t mad[NOTICE_MAD_BYTES];

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct notice heard = {.sequence = 77};

		print_message("# %s\n", rows[i].what);
		report_make(mad);
		mad[rows[i].at] = rows[i].value;
		assert_int_equal(notice_report_decode(mad, &heard), rows[i].error);
		assert_int_equal(heard.sequence, 77);
	}
}

static void an_acknowledgement_is_the_report_as_a_response(void **state)
{
	uint8_t report[NOTICE_MAD_BYTES], answer[NOTICE_MAD_BYTES];

	report_make(report);
	report[15] = 0x55; /* of the TID */
	memcpy(answer, report, sizeof(report));
	answer[4] = 0xff;
	notice_acknowledge(answer);
	assert_int_equal(answer[3], 0x86);
	answer[3] = report[3];
	assert_memory_equal(answer, report, sizeof(report));
}

static void a_subscription_is_to_our_notices_for_one_lid(void **state)
{
	uint8_t mad[NOTICE_MAD_BYTES], *inform = mad + DATA;

	notice_subscribe(0x0203, true, 0xa1b2c3d4, mad);
	assert_memory_equal(mad, "\x01\x03\x02\x02", 4);
	assert_memory_equal(mad + 8, "\0\0\0\0\xa1\xb2\xc3\xd4\0\x03", 10);
	for (unsigned i = 0; i < 16; i++)
		assert_int_equal(inform[i], 0);
	assert_memory_equal(inform + 16, "\x02\x03\x02\x03\0\0\0\x01\xff\xff\x74\x65", 12);
	assert_memory_equal(inform + 28, "\0\0\x01\0\0\x02\x54\x48", 8);
	notice_subscribe(0x0203, false, 1, mad);
	assert_int_equal(inform[23], 0);
}

static void an_answer_to_it_has_a_status(void **state)
{
	uint8_t mad[NOTICE_MAD_BYTES];

	notice_subscribe(3, true, 1, mad);
	assert_int_equal(notice_subscribed(mad, sizeof(mad)), -ENOMSG);
	mad[3] = 0x81;
	assert_int_equal(notice_subscribed(mad, sizeof(mad)), 0);
	assert_int_equal(notice_subscribed(mad, 255), -ENOMSG);
	mad[4] = 0x02;
	assert_int_equal(notice_subscribed(mad, sizeof(mad)), 0x200);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(every_field_stands_where_iba_has_it),
	        cmocka_unit_test(what_is_reported_is_what_was_said),
	        cmocka_unit_test(other_mads_are_no_reports),
	        cmocka_unit_test(others_notices_and_bad_ones_are_told_apart),
	        cmocka_unit_test(an_acknowledgement_is_the_report_as_a_response),
	        cmocka_unit_test(a_subscription_is_to_our_notices_for_one_lid),
	        cmocka_unit_test(an_answer_to_it_has_a_status),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
