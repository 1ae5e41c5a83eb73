/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * Memory runs out at each allocation of the planner in turn: it says so, and has kept nothing. The
 * program is linked so that every allocation comes through here.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "sm-side/plan/undo.h"
#include "unit/plan_wishes.h"

enum { SEEDS = 60 };

static struct topology topology;
static struct wishes wishes;

/* ---- allocations ---- */

static struct {
	int left; /* until one fails; below 0: none does */
	int held;
} memory = {.left = -1};

void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_reallocarray(void *old, size_t count, size_t size);
void __real_free(void *held);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_reallocarray(void *old, size_t count, size_t size);
void __wrap_free(void *held);

static bool is_out(void)
{
	return memory.left >= 0 && memory.left-- == 0;
}

static void *held(void *got)
{
	memory.held += got != NULL;
	return got;
}

void *__wrap_malloc(size_t size)
{
	return is_out() ? NULL : held(__real_malloc(size));
}

void *__wrap_calloc(size_t count, size_t size)
{
	return is_out() ? NULL : held(__real_calloc(count, size));
}

void *__wrap_reallocarray(void *old, size_t count, size_t size)
{
	void *got;

	if (is_out())
		return NULL;
	got = __real_reallocarray(old, count, size);
	return old ? got : held(got);
}

void __wrap_free(void *held)
{
	memory.held -= held != NULL;
	__real_free(held);
}

/* ---- what the planner is asked ---- */

struct question {
	const struct fabric_view *view;
	const struct plan *plan; /* of wishes; NULL: this is what is asked for */
	enum plan_order order;
	enum plan_reach reach;
};

typedef enum refusal (*asked)(const struct question *question);

static enum refusal ask_make(const struct question *question)
{
	struct view_fault fault;
	struct plan_request request = {
	        .order = question->order,
	        .reach = question->reach,
	        .move_count = wishes.count,
	        .moves = wishes.moves,
	        .fault = &fault,
	};
	struct plan *plan = NULL;
	enum refusal refused = plan_make(question->view, wish_model(&topology), &request, &plan);

	plan_destroy(plan);
	return refused;
}

static enum refusal ask_left(const struct question *question)
{
	struct plan_left left;
	enum refusal refused = plan_left(question->view, question->plan, &left);

	plan_left_clear(&left);
	return refused;
}

static enum refusal ask_undo(const struct question *question)
{
	struct plan *back = NULL;
	enum refusal refused =
	        plan_undo(question->view, wish_model(&topology), question->plan, &back);

	plan_destroy(back);
	return refused;
}

/* How many allocations there are, one of which has failed each time. */
static int ask_until_it_is_enough(asked ask, const struct question *question)
{
	enum refusal enough = ask(question);
	int before = memory.held;

	for (int failing = 0;; failing++) {
		enum refusal refused;

		memory.left = failing;
		refused = ask(question);
		assert_int_equal(memory.held, before);
		if (memory.left >= 0) { /* none has failed */
			memory.left = -1;
			assert_int_equal(refused, enough);
			return failing;
		}
		assert_int_equal(refused, REFUSAL_NO_MEMORY);
	}
}

static int ask_everything(struct question question)
{
	struct plan *plan = NULL;
	int failed = ask_until_it_is_enough(ask_make, &question);

	if (wish_plan(&wishes, &topology, question.order, question.reach, &plan))
		return failed;
	question.plan = plan;
	failed += ask_until_it_is_enough(ask_left, &question);
	failed += ask_until_it_is_enough(ask_undo, &question);
	plan_destroy(plan);
	return failed;
}

static void whoever_has_no_memory_says_so_and_keeps_nothing(void **state)
{
	int failed = 0;

	for (uint64_t seed = 1; seed <= SEEDS; seed++) {
		struct question question = {
		        .order = (enum plan_order)(seed % 3),
		        .reach = seed % 2 ? PLAN_MINIMUM : PLAN_DETERMINISTIC,
		};
		struct fabric_view *view;

		topology_make(&topology, TOPOLOGY_ANY, seed);
		wish_moves(&wishes, &topology);
		if (!wishes.count)
			continue;
		view = topology_view(&topology);
		question.view = view;
		failed += ask_everything(question);
		fabric_view_destroy(view);
	}
	print_message("%d allocations have failed\n", failed);
	assert_true(failed > 10 * SEEDS);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(whoever_has_no_memory_says_so_and_keeps_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
