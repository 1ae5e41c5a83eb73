/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include "model/program.h"

#include <stdlib.h>
#include <string.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "model/program_text.h"

enum { SEEDS = 300 };

static char *text_of(const struct program *program)
{
	char *text = NULL;
	size_t size;
	FILE *file = open_memstream(&text, &size);

	program_write(program, file);
	fclose(file);
	return text;
}

static void a_seed_makes_one_program(void **state)
{
	for (uint64_t seed = 0; seed < 20; seed++) {
		struct program *once = program_make(seed), *again = program_make(seed);
		char *a = text_of(once), *b = text_of(again);

		assert_string_equal(a, b);
		free(a);
		free(b);
		program_free(once);
		program_free(again);
	}
}

static void programs_are_sound(void **state)
{
	for (uint64_t seed = 0; seed < SEEDS; seed++) {
		struct program *program = program_make(seed);

		assert_true(program_is_sound(program));
		program_free(program);
	}
}

/* Of each queue pair that stays to the end. */
static void queue_pairs_are_two_to_eight_with_enough_work(void **state)
{
	for (uint64_t seed = 0; seed < SEEDS; seed++) {
		struct program *program = program_make(seed);
		unsigned posted[ENDS_MOST] = {0}, alive = 0;
		bool gone[LINKS_MOST] = {false};

		for (unsigned i = 0; i < program->action_count; i++) {
			const struct action *action = &program->actions[i];

			if (action->kind == ACTION_POST)
				posted[action->of] += action->count;
			if (action->kind == ACTION_DESTROY)
				gone[action->of] = true;
		}
		for (unsigned end = 0; end < 2 * program->link_count; end++) {
			if (gone[end / 2])
				continue;
			alive++;
			if (end_posts(program, end))
				assert_true(posted[end] >= WORK_LEAST);
			else
				assert_int_equal(posted[end], 0);
		}
		assert_in_range(alive, 2, 8);
		assert_true(program_count(program, ACTION_MOVE) >= 2);
		program_free(program);
	}
}

static void all_opcodes_flags_and_faults_are_drawn(void **state)
{
	unsigned opcodes[16] = {0}, flags = 0, wrongs[WRONG_COUNT] = {0}, sges[8] = {0};
	unsigned kinds[ACTION_KINDS] = {0}, late_receives = 0, large = 0, empty = 0;

	for (uint64_t seed = 0; seed < SEEDS; seed++) {
		struct program *program = program_make(seed);

		for (unsigned i = 0; i < program->work_count; i++) {
			const struct work *work = &program->work[i];

			opcodes[work->opcode]++;
			wrongs[work->wrong]++;
			flags |= work->flags;
			sges[work->sges]++;
			large += work->length > 1024;
			empty += work->length == 0;
		}
		for (unsigned i = 0; i < program->action_count; i++) {
			kinds[program->actions[i].kind]++;
			late_receives += program->actions[i].kind == ACTION_RECEIVE &&
			                 receive_wrong(program->actions[i].how) != RIGHT;
		}
		program_free(program);
	}
	for (unsigned i = 0; i < OPCODES; i++)
		assert_true(opcodes[work_opcodes[i]] > 100);
	for (unsigned i = 0; i < WRONG_SHORT; i++)
		assert_true(wrongs[i]);
	for (unsigned i = 0; i < ACTION_KINDS; i++)
		assert_true(kinds[i]);
	for (unsigned i = 1; i <= SGES_MOST; i++)
		assert_true(sges[i]);
	assert_int_equal(
	        flags, IBV_SEND_SIGNALED | IBV_SEND_FENCE | IBV_SEND_SOLICITED | IBV_SEND_INLINE);
	assert_true(late_receives && large && empty);
}

static void what_is_written_can_be_read(void **state)
{
	for (uint64_t seed = 0; seed < SEEDS; seed++) {
		struct program *program = program_make(seed), *read;
		char *text = text_of(program), *again, error[128] = "";
		FILE *file = fmemopen(text, strlen(text), "r");

		read = program_read(file, error, sizeof(error));
		fclose(file);
		assert_string_equal(error, "");
		assert_non_null(read);
		again = text_of(read);
		assert_string_equal(text, again);
		free(text);
		free(again);
		program_free(program);
		program_free(read);
	}
}

static void a_copy_is_the_same(void **state)
{
	struct program *program = program_make(7), *copy = program_copy(program);
	char *text = text_of(program), *again = text_of(copy);

	assert_string_equal(text, again);
	free(text);
	free(again);
	program_free(copy);
	program_free(program);
}

/* Else a full queue of unsignalled work would never have room again. */
static void each_half_of_a_queue_asks_for_a_completion(void **state)
{
	for (uint64_t seed = 0; seed < SEEDS; seed++) {
		struct program *program = program_make(seed);
		unsigned quiet[ENDS_MOST] = {0};

		program_signal_enough(program);
		for (unsigned i = 0; i < program->action_count; i++) {
			const struct action *action = &program->actions[i];
			unsigned end = action->of;

			for (unsigned j = 0; action->kind == ACTION_POST && j < action->count;
			        j++) {
				quiet[end]++;
				if (work_is_signaled(
				            program, end, &program->work[action->first + j]))
					quiet[end] = 0;
				assert_true(quiet[end] < end_link(program, end)->depth / 2u);
			}
		}
		for (unsigned end = 0; end < ENDS_MOST; end++)
			assert_int_equal(quiet[end], 0);
		program_free(program);
	}
}

static const char head[] =
        "program 0x1\n"
        "world seed=0x2 rxe=0 dead_rq_psn=0 drop=0 duplicate=0 delay=0 hold=0 stop_ms=5\n";
static const char one_link[] = "link A P mtu=1 depth=8 reads=1 rnr_retry=7 starved=0 late=0\n"
                               "  end shares=0 cq=0,0 builders=0 signal_all=0\n"
                               "  end shares=0 cq=0,0 builders=0 signal_all=0\n";

/* With that link and these actions; @wanted: the error, "" none. */
static void is_read(const char *link, const char *what, const char *actions, const char *wanted)
{
	char text[2048], error[128] = "";
	struct program *program;
	FILE *file;

	snprintf(text, sizeof(text), "%s%s%s", head, link, actions);
	file = fmemopen(text, strlen(text), "r");
	program = program_read(file, error, sizeof(error));
	fclose(file);
	if (strcmp(error, wanted) || !program != !!*wanted)
		fail_msg("%s: \"%s\", not \"%s\"", what, error, wanted);
	program_free(program);
}

static const char one_xrc[] = "link A P mtu=1 depth=8 reads=1 rnr_retry=7 starved=0 late=0 xrc=1\n"
                              "  end shares=0 cq=0,0 builders=0 signal_all=0\n"
                              "  end shares=0 cq=0,0 builders=0 signal_all=0\n";

static void of_xrc_one_end_posts_and_the_other_receives(void **state)
{
	static const struct {
		const char *what, *actions, *error;
	} rows[] = {
	        {"sound", "receive 1 16 2\npost 0 0 1\n  send s 8/1 - 0 right 0x0\n", ""},
	        {"a target posts", "post 1 0 1\n  send s 8/1 - 0 right 0x0\n",
	                "line 7: it does not hold together"},
	        {"a sender receives", "receive 0 0 2\n", "line 6: it does not hold together"},
	        {"a queue too many", "receive 1 32 2\n", "line 6: it does not hold together"},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++)
		is_read(one_xrc, rows[i].what, rows[i].actions, rows[i].error);
}

static void what_cannot_be_is_refused(void **state)
{
	static const struct {
		const char *what, *actions, *error;
	} rows[] = {
	        {"sound", "post 0 0 1\n  send s 8/1 - 0 right 0x0\n", ""},
	        {"a name", "dance 0 0 0\n", "line 6: no action of that name"},
	        {"an opcode", "post 0 0 1\n  sing s 8/1 - 0 right 0x0\n",
	                "line 7: a work request with an unknown name"},
	        {"work is missing", "post 0 0 1\n", "line 6: no work request"},
	        {"no such link", "destroy 1 0 0\n", "line 6: it does not hold together"},
	        {"destroyed twice", "destroy 0 0 0\ndestroy 0 0 0\n",
	                "line 7: it does not hold together"},
	        {"used after its end", "destroy 0 0 0\nfail 0 0 0\n",
	                "line 7: it does not hold together"},
	        {"too long", "post 0 0 1\n  send s 9999/1 - 0 right 0x0\n",
	                "line 7: it does not hold together"},
	        {"too many processes", "poll 4 0 1\n", "line 6: it does not hold together"},
	};

	for (unsigned i = 0; i < sizeof(rows) / sizeof(*rows); i++)
		is_read(one_link, rows[i].what, rows[i].actions, rows[i].error);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(a_seed_makes_one_program),
	        cmocka_unit_test(programs_are_sound),
	        cmocka_unit_test(queue_pairs_are_two_to_eight_with_enough_work),
	        cmocka_unit_test(all_opcodes_flags_and_faults_are_drawn),
	        cmocka_unit_test(what_is_written_can_be_read),
	        cmocka_unit_test(a_copy_is_the_same),
	        cmocka_unit_test(each_half_of_a_queue_asks_for_a_completion),
	        cmocka_unit_test(of_xrc_one_end_posts_and_the_other_receives),
	        cmocka_unit_test(what_cannot_be_is_refused),
	};

	return cmocka_run_group_tests_name("model_program", tests, NULL, NULL);
}
