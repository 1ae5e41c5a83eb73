/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include "model/shrink.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

static unsigned asked;

/* Fails as long as a fetch-add is posted behind a migration. */
static bool has_late_atomic(const struct program *program, void *argument)
{
	bool moved = false;

	asked++;
	assert_true(program_is_sound(program));
	for (unsigned i = 0; i < program->action_count; i++) {
		const struct action *action = &program->actions[i];

		moved |= action->kind == ACTION_MOVE;
		for (unsigned j = 0; action->kind == ACTION_POST && j < action->count; j++) {
			if (moved && program->work[action->first + j].opcode ==
			                     IBV_WR_ATOMIC_FETCH_AND_ADD)
				return true;
		}
	}
	return false;
}

static void what_does_not_matter_is_left_out(void **state)
{
	for (uint64_t seed = 1; seed < 20; seed++) {
		struct program *program = program_make(seed), *small;

		if (!has_late_atomic(program, NULL)) {
			program_free(program);
			continue;
		}
		small = shrink(program, has_late_atomic, NULL, 5000);
		assert_int_equal(small->link_count, 1);
		assert_int_equal(small->action_count, 2);
		assert_int_equal(small->work_count, 1);
		assert_int_equal(small->world.drop + small->world.rxe + small->world.hold, 0);
		assert_true(has_late_atomic(small, NULL));
		program_free(small);
		program_free(program);
	}
}

/* A link that is made late stays whole, and keeps its place among fewer. */
static bool has_replacement(const struct program *program, void *argument)
{
	for (unsigned i = 0; i < program->action_count; i++) {
		const struct action *action = &program->actions[i];

		if (action->kind == ACTION_POST && program->links[action->of / 2].is_late)
			return true;
	}
	return false;
}

static void links_are_left_out_with_what_is_theirs(void **state)
{
	unsigned found = 0;

	for (uint64_t seed = 1; seed < 200 && found < 5; seed++) {
		struct program *program = program_make(seed), *small;

		if (has_replacement(program, NULL)) {
			small = shrink(program, has_replacement, NULL, 5000);
			assert_int_equal(small->link_count, 1);
			assert_int_equal(small->action_count, 2);
			program_free(small);
			found++;
		}
		program_free(program);
	}
	assert_int_equal(found, 5);
}

static void it_gives_up_in_time(void **state)
{
	struct program *program = program_make(3), *small;

	asked = 0;
	small = shrink(program, has_late_atomic, NULL, 7);
	assert_in_range(asked, 1, 7);
	program_free(small);
	program_free(program);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(what_does_not_matter_is_left_out),
	        cmocka_unit_test(links_are_left_out_with_what_is_theirs),
	        cmocka_unit_test(it_gives_up_in_time),
	};

	return cmocka_run_group_tests_name("model_shrink", tests, NULL, NULL);
}
