/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/* Programs with memory windows: what is drawn, what is taken of them, and how they are made small.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "model/coverage.h"
#include "model/shrink.h"
#include "tests/unit/model_traces.h"

enum { SEEDS = 100, KEY = 0x1203 };

static const struct work binds = {.opcode = IBV_WR_BIND_MW, .flags = SIGNALED, .sges = 1};
static const struct work ends = {.opcode = IBV_WR_LOCAL_INV, .flags = SIGNALED, .sges = 1};
static const struct work sends_end = {
        .opcode = IBV_WR_SEND_WITH_INV, .flags = SIGNALED, .sges = 1, .length = 20};

static void is_sent(struct run *run, uint32_t key)
{
	tell(run, (struct event){.kind = EVENT_SENT, .value = key});
}

static void comes(struct run *run, unsigned flags, uint32_t key)
{
	arrives_as(run, 0, 0,
	        (struct ibv_wc){.opcode = IBV_WC_RECV,
	                .byte_len = sends_end.length,
	                .wc_flags = flags,
	                .invalidated_rkey = key});
}

static void window_lives(struct run *run)
{
	is_sent(run, KEY);
	is_sent(run, KEY);
	completes(run, 0, IBV_WC_BIND_MW, SUCCESS);
	completes(run, 1, IBV_WC_LOCAL_INV, SUCCESS);
}

/* A write of nothing goes in its place. */
static void nothing_is_there_to_end(struct run *run)
{
	is_sent(run, 0);
	completes(run, 0, IBV_WC_RDMA_WRITE, SUCCESS);
}

static void end_of_nothing_completes(struct run *run)
{
	is_sent(run, 0);
	completes(run, 0, IBV_WC_LOCAL_INV, SUCCESS);
}

static void bind_is_refused(struct run *run)
{
	is_sent(run, KEY);
	completes(run, 0, IBV_WC_BIND_MW, IBV_WC_MW_BIND_ERR);
}

static void bind_is_done_again(struct run *run)
{
	is_sent(run, KEY);
	tell(run, (struct event){.kind = EVENT_REBOUND});
	completes(run, 0, IBV_WC_BIND_MW, IBV_WC_MW_BIND_ERR);
}

static void bind_behind_is_refused(struct run *run)
{
	tell(run, (struct event){.kind = EVENT_REBOUND});
	bind_is_refused(run);
}

static void bind_ends_no_excuse(struct run *run)
{
	tell(run, (struct event){.kind = EVENT_EXCUSED, .of = 0});
	is_sent(run, KEY);
	is_sent(run, 0);
	completes(run, 0, IBV_WC_BIND_MW, SUCCESS);
	completes(run, 1, IBV_WC_SEND, IBV_WC_RETRY_EXC_ERR);
}

static void window_is_ended_by_a_message(struct run *run)
{
	is_sent(run, KEY);
	receives(run, 1, RIGHT);
	comes(run, IBV_WC_WITH_INV, KEY);
	completes(run, 0, IBV_WC_SEND, SUCCESS);
}

static void message_ends_nothing(struct run *run)
{
	is_sent(run, 0);
	receives(run, 1, RIGHT);
	comes(run, 0, 0);
	completes(run, 0, IBV_WC_SEND, SUCCESS);
}

static void another_window_is_ended(struct run *run)
{
	is_sent(run, KEY);
	receives(run, 1, RIGHT);
	comes(run, IBV_WC_WITH_INV, KEY + 1);
}

static void end_is_not_told(struct run *run)
{
	is_sent(run, KEY);
	receives(run, 1, RIGHT);
	comes(run, 0, 0);
}

static void end_is_told_of_nothing(struct run *run)
{
	is_sent(run, 0);
	receives(run, 1, RIGHT);
	comes(run, IBV_WC_WITH_INV, KEY);
}

static const struct row rows[] = {
        {"bound and ended", {&binds, &ends}, 2, window_lives, NULL},
        {"nothing to end", {&ends}, 1, nothing_is_there_to_end, NULL},
        {"end of nothing", {&ends}, 1, end_of_nothing_completes, "local-inv, completes as"},
        {"bind is refused", {&binds}, 1, bind_is_refused, "without a cause"},
        {"bind is done again", {&binds}, 1, bind_is_done_again, NULL},
        {"bind behind is refused", {&binds}, 1, bind_behind_is_refused, "without a cause"},
        {"excused beyond a bind", {&binds, &sends_end}, 2, bind_ends_no_excuse, NULL},
        {"ended by a message", {&sends_end}, 1, window_is_ended_by_a_message, NULL},
        {"message ends nothing", {&sends_end}, 1, message_ends_nothing, NULL},
        {"another window", {&sends_end}, 1, another_window_is_ended, "ends window 0x1204"},
        {"end is not told", {&sends_end}, 1, end_is_not_told, "ends window"},
        {"end of nothing is told", {&sends_end}, 1, end_is_told_of_nothing, "ends window 0x1203"},
};

static void what_windows_do_is_judged(void **state)
{
	traces_are_judged(rows, sizeof(rows) / sizeof(*rows));
}

/* ---- what is drawn ---- */

static bool names_windows(const struct program *program, void *argument)
{
	for (unsigned i = 0; i < program->action_count; i++) {
		const struct action *action = &program->actions[i];

		for (unsigned j = 0; action->kind == ACTION_POST && j < action->count; j++) {
			if (work_names_window(&program->work[action->first + j]))
				return true;
		}
	}
	return false;
}

static void some_programs_have_windows(void **state)
{
	unsigned with = 0, by = 0;

	for (uint64_t seed = 0; seed < SEEDS; seed++) {
		struct program *program = program_make(seed);

		with += names_windows(program, NULL);
		for (unsigned i = 0; i < program->work_count; i++)
			by += program->work[i].window;
		program_free(program);
	}
	assert_in_range(with, SEEDS / 5, SEEDS - SEEDS / 3);
	assert_true(by > 10 * SEEDS);
}

/* ---- the shrinker, coverage ---- */

static bool posts(const struct program *program, void *argument)
{
	return program_count(program, ACTION_POST);
}

static void windows_stay_where_they_matter(void **state)
{
	unsigned found = 0;

	for (uint64_t seed = 0; seed < SEEDS && found < 5; seed++) {
		struct program *program = program_make(seed), *small, *plain;

		if (names_windows(program, NULL)) {
			small = shrink(program, names_windows, NULL, 5000);
			assert_int_equal(small->work_count, 1);
			plain = shrink(program, posts, NULL, 5000);
			assert_false(names_windows(plain, NULL));
			assert_int_equal(plain->work_count, 1);
			program_free(small);
			program_free(plain);
			found++;
		}
		program_free(program);
	}
	assert_int_equal(found, 5);
}

static void windows_are_covered_where_they_can_be(void **state)
{
	enum { SEND = 0, SEND_INV = 7, BIND = 8 };

	assert_true(coverage_is_reachable(SEND, FLAG_SIGNALED, STOP_RNR, true, FROM_XRC));
	assert_false(coverage_is_reachable(SEND_INV, FLAG_SIGNALED, STOP_RNR, true, FROM_XRC));
	assert_true(coverage_is_reachable(SEND_INV, FLAG_SIGNALED, STOP_RNR, true, FROM_SRQ));
	assert_true(coverage_is_reachable(BIND, FLAG_FENCED, STOP_NOT_SENT, false, FROM_RQ));
	assert_false(coverage_is_reachable(BIND, FLAG_FENCED, STOP_NOT_SENT, true, FROM_RQ));
	assert_false(coverage_is_reachable(BIND, FLAG_FENCED, STOP_RNR, false, FROM_RQ));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(what_windows_do_is_judged),
	        cmocka_unit_test(some_programs_have_windows),
	        cmocka_unit_test(windows_stay_where_they_matter),
	        cmocka_unit_test(windows_are_covered_where_they_can_be),
	};

	return cmocka_run_group_tests_name("model_windows", tests, NULL, NULL);
}
