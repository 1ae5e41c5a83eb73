/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "simfabric/mad_fields.h"
#include "simfabric/umad_requests.h"

static struct umad_requests requests;

static int init(void **state)
{
	umad_requests_init(&requests);
	return 0;
}

static int clear(void **state)
{
	umad_requests_clear(&requests);
	return 0;
}

static const uint8_t *mad_of(uint64_t tid)
{
	static uint8_t mad[256];

	mad[MAD_CLASS] = CLASS_SUBN_ADM;
	mad_set64(mad, MAD_TID, tid);
	return mad;
}

static void add(uint64_t tid, uint64_t timeout_ns, uint32_t retries, uint64_t now)
{
	struct umad_request like = {.timeout_ns = timeout_ns, .tries_left = retries, .bytes = 256};

	assert_int_equal(umad_requests_add(&requests, &like, mad_of(tid), now), 0);
}

static void earliest_is_due_first(void **state)
{
	struct umad_request *due;

	add(1, 300, 1, 0);
	add(2, 100, 1, 0);
	assert_int_equal(umad_requests_next_ns(&requests), 100);
	assert_null(umad_requests_take_due(&requests, 99));
	due = umad_requests_take_due(&requests, 100);
	assert_int_equal(mad_get64(due->mad, MAD_TID), 2);
	free(due);
	assert_int_equal(umad_requests_next_ns(&requests), 300);
}

static void request_is_tried_as_often_as_asked_and_then_expires(void **state)
{
	struct umad_request *request;

	add(1, 100, 2, 0);
	for (uint64_t now = 100; now <= 200; now += 100) {
		request = umad_requests_take_due(&requests, now);
		assert_non_null(request);
		umad_requests_again(&requests, request, now);
	}
	assert_null(umad_requests_take_expired(&requests));
	assert_null(umad_requests_take_due(&requests, 300));
	assert_int_equal(umad_requests_next_ns(&requests), 0);
	request = umad_requests_take_expired(&requests);
	assert_int_equal(mad_get64(request->mad, MAD_TID), 1);
	free(request);
	assert_null(umad_requests_take_expired(&requests));
	assert_int_equal(umad_requests_next_ns(&requests), UINT64_MAX);
}

static void answer_ends_the_waiting_once(void **state)
{
	uint8_t other[256];

	add(1, 100, 0, 0);
	memcpy(other, mad_of(1), sizeof(other));
	other[MAD_CLASS] = CLASS_PERF;
	assert_false(umad_requests_answer(&requests, other));
	assert_true(umad_requests_has(&requests, mad_of(1)));
	assert_true(umad_requests_answer(&requests, mad_of(1)));
	assert_false(umad_requests_answer(&requests, mad_of(1)));
	assert_null(umad_requests_take_due(&requests, 1000));
	assert_null(umad_requests_take_expired(&requests));
}

static void expired_come_in_their_order(void **state)
{
	add(1, 200, 0, 0);
	add(2, 100, 0, 0);
	add(3, 300, 0, 0);
	assert_null(umad_requests_take_due(&requests, 250));
	for (uint64_t tid = 2; tid >= 1; tid--) {
		struct umad_request *request = umad_requests_take_expired(&requests);

		assert_int_equal(mad_get64(request->mad, MAD_TID), tid);
		free(request);
	}
	assert_null(umad_requests_take_expired(&requests));
	assert_null(umad_requests_take_due(&requests, 300));
	free(umad_requests_take_expired(&requests));
}

#define on_list(test) cmocka_unit_test_setup_teardown(test, init, clear)

int main(void)
{
	const struct CMUnitTest tests[] = {
	        on_list(earliest_is_due_first),
	        on_list(request_is_tried_as_often_as_asked_and_then_expires),
	        on_list(answer_ends_the_waiting_once),
	        on_list(expired_come_in_their_order),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
