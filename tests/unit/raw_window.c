/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * A window of SMPs over a libibumad that each test plays. Time is the machine's; where a try is to
 * be late it is so after a millisecond.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "notifier/base/monotonic.h"
#include "sm-side/raw/umad_window.h"
#include "unit/raw_wire.h"

enum { TID_AT = 12, A_MINUTE_MS = 60000 };

/* What the callbacks have heard. */
static struct {
	unsigned answered, again, timed_out, cancelled;
	uint16_t status;
	bool cancels;
	struct umad_window *window;
} heard;

static enum ask_verdict note(const struct ask *ask, const struct smp_answer *answer, int error)
{
	heard.timed_out += error == -ETIMEDOUT;
	heard.cancelled += error == -ECANCELED;
	if (!answer)
		return ASK_DONE;
	if (memcmp(answer->data, ask->request.data, SMP_DATA_BYTES)) {
		heard.again++;
		return ASK_AGAIN;
	}
	heard.answered++;
	heard.status = answer->status;
	if (heard.cancels)
		umad_window_cancel(heard.window);
	return ASK_DONE;
}

static struct umad_window *open_window(unsigned size, unsigned tries, unsigned timeout_ms)
{
	struct umad_window_settings settings = {
	        .window = size, .timeout_ms = timeout_ms, .tries = tries};

	memset(&wire, 0, sizeof(wire));
	memset(&heard, 0, sizeof(heard));
	assert_int_equal(umad_window_open(&settings, &heard.window), 0);
	return heard.window;
}

static void post(struct umad_window *window, unsigned count)
{
	for (unsigned i = 0; i < count; i++) {
		struct ask ask = {
		        .request = {.method = SMP_SET, .attribute = SMP_LFT, .modifier = i},
		        .done = note,
		};

		ask.request.data[0] = (uint8_t)i;
		assert_int_equal(umad_window_post(window, &ask), 0);
	}
}

static int run(struct umad_window *window)
{
	return umad_window_run(window, monotonic_ns() + A_MINUTE_MS * NS_PER_MS);
}

static void no_more_than_the_window_are_under_way(void **state)
{
	struct umad_window *window = open_window(4, 1, A_MINUTE_MS);

	post(window, 20);
	assert_int_equal(run(window), 0);
	assert_int_equal(heard.answered, 20);
	assert_int_equal(wire.most_at_a_time, 4);
	assert_int_equal(umad_window_counts(window).asked, 20);
	assert_int_equal(umad_window_counts(window).resent, 0);
	for (unsigned i = 0; i < 20; i++)
		assert_int_equal(wire_data(i)[0], i);
	umad_window_close(window);
}

static void what_is_lost_is_sent_again_under_another_transaction(void **state)
{
	struct umad_window *window = open_window(1, 3, 1);

	wire.lose = 2;
	post(window, 1);
	assert_int_equal(run(window), 0);
	assert_int_equal(heard.answered, 1);
	assert_int_equal(wire.count, 3);
	assert_int_equal(umad_window_counts(window).resent, 2);
	for (unsigned i = 1; i < 3; i++)
		assert_memory_not_equal(wire.sent[0] + TID_AT, wire.sent[i] + TID_AT, 4);
	assert_memory_not_equal(wire.sent[1] + TID_AT, wire.sent[2] + TID_AT, 4);
	umad_window_close(window);
}

/* The program was not run for longer than a try may take; all answers are there. */
static void what_has_come_meanwhile_is_not_late(void **state)
{
	struct umad_window *window = open_window(8, 2, 1);

	wire.sleep_ms = 5;
	post(window, 8);
	assert_int_equal(run(window), 0);
	assert_int_equal(heard.answered, 8);
	assert_int_equal(umad_window_counts(window).resent, 0);
	umad_window_close(window);
}

static void what_stays_lost_is_said_once(void **state)
{
	struct umad_window *window = open_window(2, 3, 1);

	wire.lose = WIRE_SENT_MAX;
	post(window, 2);
	assert_int_equal(run(window), 0);
	assert_int_equal(heard.timed_out, 2);
	assert_int_equal(wire.count, 6);
	umad_window_close(window);
}

/* The first try's answer, when the second is under way: it may stand for what was then. */
static void a_late_answer_is_nobodys(void **state)
{
	struct umad_window *window = open_window(1, 2, A_MINUTE_MS);

	wire.spoil = 1;
	post(window, 1);
	assert_int_equal(run(window), 0);
	assert_int_equal(heard.again, 1);
	assert_int_equal(heard.answered, 1);
	post(window, 1);
	wire.repeat_first = 3;
	assert_int_equal(run(window), 0);
	assert_int_equal(wire.repeat_first, 0);
	assert_int_equal(heard.answered, 2);
	assert_int_equal(heard.again, 1);
	umad_window_close(window);
}

static void an_answer_that_says_something_else_counts_as_a_try(void **state)
{
	struct umad_window *window = open_window(1, 3, A_MINUTE_MS);

	wire.spoil = 3;
	post(window, 1);
	assert_int_equal(run(window), 0);
	assert_int_equal(heard.again, 3);
	assert_int_equal(heard.timed_out, 1);
	assert_int_equal(heard.answered, 0);
	umad_window_close(window);
}

static void an_answers_status_is_the_askers_business(void **state)
{
	struct umad_window *window = open_window(1, 3, A_MINUTE_MS);

	wire.status = 0x801c;
	post(window, 1);
	assert_int_equal(run(window), 0);
	assert_int_equal(heard.answered, 1);
	assert_int_equal(heard.status, 0x1c);
	assert_int_equal(wire.count, 1);
	umad_window_close(window);
}

static void at_the_deadline_everybody_hears(void **state)
{
	struct umad_window *window = open_window(2, 1000000, A_MINUTE_MS);

	wire.lose = WIRE_SENT_MAX;
	post(window, 5);
	assert_int_equal(umad_window_run(window, monotonic_ns() + NS_PER_MS), -ETIMEDOUT);
	assert_int_equal(heard.timed_out, 5);
	assert_int_equal(wire.count, 2);
	umad_window_close(window);
}

static void a_callback_may_cancel_the_rest(void **state)
{
	struct umad_window *window = open_window(2, 1, A_MINUTE_MS);

	heard.cancels = true;
	post(window, 5);
	assert_int_equal(run(window), 0);
	assert_int_equal(heard.answered, 1);
	assert_int_equal(heard.cancelled, 4);
	heard.cancels = false;
	post(window, 1);
	assert_int_equal(run(window), 0);
	assert_int_equal(heard.answered, 2);
	umad_window_close(window);
}

static void a_port_that_sends_no_more_is_an_error(void **state)
{
	struct umad_window *window = open_window(2, 3, A_MINUTE_MS);

	wire.send_error = -EIO;
	post(window, 3);
	assert_int_equal(run(window), -EIO);
	assert_int_equal(heard.cancelled, 3);
	umad_window_close(window);
}

static void what_was_never_sent_is_cancelled_by_closing(void **state)
{
	struct umad_window *window = open_window(2, 3, A_MINUTE_MS);

	post(window, 3);
	umad_window_close(window);
	assert_int_equal(heard.cancelled, 3);
	assert_int_equal(wire.count, 0);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
	        cmocka_unit_test(no_more_than_the_window_are_under_way),
	        cmocka_unit_test(what_is_lost_is_sent_again_under_another_transaction),
	        cmocka_unit_test(what_has_come_meanwhile_is_not_late),
	        cmocka_unit_test(what_stays_lost_is_said_once),
	        cmocka_unit_test(a_late_answer_is_nobodys),
	        cmocka_unit_test(an_answer_that_says_something_else_counts_as_a_try),
	        cmocka_unit_test(an_answers_status_is_the_askers_business),
	        cmocka_unit_test(at_the_deadline_everybody_hears),
	        cmocka_unit_test(a_callback_may_cancel_the_rest),
	        cmocka_unit_test(a_port_that_sends_no_more_is_an_error),
	        cmocka_unit_test(what_was_never_sent_is_cancelled_by_closing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
