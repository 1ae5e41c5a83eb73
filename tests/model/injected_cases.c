/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * Every class of work in every state that it can be in when its queue pair is moved, so many times
 * each: a rule of the simulated HCA brings the state about, the engines of both ends say that it is
 * there when the queue pairs are about to be broken, the migration is carried out, and what came of
 * it is compared with what preload/DESIGN.md promises.
 *
 *   injected-cases EACH [OPCODE [MANNER [TARGET [STATE [NUMBER]]]]]
 *
 * Cases of one course go through one migration together, a connection each. "-" is any; STATE is a
 * number as in enum work_state.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/model/injected_batch.h"
#include "tests/model/injected_check.h"
#include "tests/model/world.h"

enum { CASES_AT_ONCE = 64, FAILURES_SHOWN = 20, OF_A_CLASS = 100 };

/* What the children have found; they have this in common with their parent. */
static struct found {
	struct case_counts counts;
	uint32_t cases, failures, migrations;
	/* Without live PSNs. */
	struct outcomes {
		uint32_t had_to_end, had_to_go_on; /* by what could be seen */
		uint32_t ended, went_on;           /* where either is right */
		uint32_t received, flushed;        /* RECVs of those that have ended */
	} dead;
} * found;

/* ---- which ---- */

struct wish {
	const char *opcode, *manner, *target, *state, *number;
};

static bool is_wanted(const char *wish, const char *name)
{
	return !wish || !strcmp(wish, "-") || !strcmp(wish, name);
}

static bool cell_is_wanted(const struct wish *wish, const struct cell *cell)
{
	char state[8];

	snprintf(state, sizeof(state), "%u", (unsigned)cell->state);
	return !cell_is_unreachable(cell) && is_wanted(wish->opcode, opcode_names[cell->opcode]) &&
	       is_wanted(wish->manner, manner_names[cell->manner]) &&
	       is_wanted(wish->target, target_names[cell->target]) && is_wanted(wish->state, state);
}

/*
 * What goes through one migration: cases of one course and adapter, which hold for all. And of one
 * kind of waiting: RELEASE waits for all RECVs of its process, so one that is waited for rightly
 * would hide that another is not.
 */
enum { LISTS = COURSE_COUNT * 2 * STATES };

struct list {
	struct key {
		struct cell cell;
		uint32_t number;
	} * keys;
	uint32_t count, room;
};

static struct list *list_of(struct list *lists, const struct injected *c)
{
	unsigned waits = c->receive_is_hidden ? c->cell.state : WORK_NOT_SENT;

	return &lists[((unsigned)c->course * 2 + c->is_mlx5) * STATES + waits];
}

static void list_add(struct list *lists, const struct cell *cell, uint32_t number)
{
	struct injected c;
	struct list *list;

	injected_make(&c, cell, number);
	list = list_of(lists, &c);
	if (list->count == list->room) {
		list->room = list->room * 2 + 64;
		list->keys = realloc(list->keys, list->room * sizeof(*list->keys));
		if (!list->keys)
			exit(2);
	}
	list->keys[list->count++] = (struct key){*cell, number};
}

/* One of each cell after the other, so that a batch has some of many. */
static void list_all(struct list *lists, const struct wish *wish, uint32_t each)
{
	for (uint32_t number = 0; number < each; number++) {
		struct cell cell = {0};
		char name[16];

		snprintf(name, sizeof(name), "%u", number);
		if (!is_wanted(wish->number, name))
			continue;
		do {
			if (cell_is_wanted(wish, &cell))
				list_add(lists, &cell, number);
		} while (cell_next(&cell));
	}
}

/* ---- run ---- */

static const char *const course_names[COURSE_COUNT] = {[COURSE_MOVE] = "moved",
        [COURSE_BACK] = "given up behind the vote",
        [COURSE_DEAD] = "no live PSNs",
        [COURSE_WAITED] = "STOP waits for the answer",
        [COURSE_REFUSED] = "STOP fails"};

static void count_dead(const struct injected *c)
{
	struct outcomes *dead = &found->dead;

	if (injected_may_end_with_error(c))
		++*(c->has_ended ? &dead->ended : &dead->went_on);
	else
		++*(c->has_ended ? &dead->had_to_end : &dead->had_to_go_on);
	if (c->has_ended && c->cell.target == TARGET_RQ)
		injected_count_receives(c, &dead->received, &dead->flushed);
}

/* Each was met, so none is right by never being. */
static bool dead_is_covered(void)
{
	const struct outcomes *dead = &found->dead;

	printf("# | without live PSNs: %u cases had to end with an error, %u to go on; where what "
	       "tells "
	       "was hidden at the stop %u ended and %u went on; RECVs of queues that ended: %u "
	       "received, "
	       "%u flushed\n",
	        dead->had_to_end, dead->had_to_go_on, dead->ended, dead->went_on, dead->received,
	        dead->flushed);
	return dead->had_to_end && dead->had_to_go_on && dead->ended && dead->went_on &&
	       dead->received && dead->flushed;
}

static void count(const struct injected *c)
{
	found->cases++;
	if (c->course == COURSE_DEAD)
		count_dead(c);
	if (!c->failed) {
		++*cell_count(&found->counts, &c->cell);
		return;
	}
	if (found->failures++ < FAILURES_SHOWN)
		printf("# %s %s %s %u %u (%s; %s; %s, mtu %u, first PSN 0x%06x, work %u of %u, "
		       "rules %s %s): %s\n",
		        opcode_names[c->cell.opcode], manner_names[c->cell.manner],
		        target_names[c->cell.target], (unsigned)c->cell.state, c->number,
		        course_names[c->course], c->is_mlx5 ? "mlx5" : "rxe",
		        c->from_vm ? "from the VM" : "from its peer", injected_mtu(c), c->first_psn,
		        c->subject, c->count, c->rules[0], c->rules[1], c->failed);
}

static void run_some(const struct key *keys, uint32_t number, uint64_t seed)
{
	static struct injected cases[CASES_AT_ONCE];

	for (uint32_t i = 0; i < number; i++)
		injected_make(&cases[i], &keys[i].cell, keys[i].number);
	injected_batch(cases, number, seed);
	found->migrations++;
	for (uint32_t i = 0; i < number; i++)
		count(&cases[i]);
}

/* In a process of its own: a world is made once. */
static void run_in_a_world(const struct key *keys, uint32_t number, uint64_t seed)
{
	pid_t child;
	int status;

	fflush(stdout);
	child = fork();
	if (child) {
		waitpid(child, &status, 0);
		if (status) {
			printf("# a world ended with %#x\n", (unsigned)status);
			found->failures++;
		}
		return;
	}
	run_some(keys, number, seed);
	fflush(stdout);
	_exit(0);
}

static void run_all(const struct list *lists)
{
	uint64_t seed = 1;

	for (unsigned i = 0; i < LISTS; i++) {
		uint32_t number;

		for (uint32_t at = 0; at < lists[i].count; at += number) {
			number = lists[i].count - at;
			number = number < CASES_AT_ONCE ? number : CASES_AT_ONCE;
			run_in_a_world(lists[i].keys + at, number, seed++);
		}
	}
}

int main(int argc, char **argv)
{
	const char *words[6] = {0};
	static struct list lists[LISTS];
	uint32_t each;
	unsigned cells, classes;
	bool is_covered;

	for (int i = 1; i < argc && i < 7; i++)
		words[i - 1] = argv[i];
	each = words[0] ? (uint32_t)strtoul(words[0], NULL, 10) : 0;
	if (!each) {
		fprintf(stderr, "usage: injected-cases EACH [OPCODE [MANNER [TARGET [STATE "
		                "[NUMBER]]]]]\n");
		return 2;
	}
	found = mmap(
	        NULL, sizeof(*found), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (found == MAP_FAILED)
		return 2;
	list_all(lists, &(struct wish){words[1], words[2], words[3], words[4], words[5]}, each);
	run_all(lists);
	case_counts_print(&found->counts);
	cells = words[1] ? 0 : case_counts_short(&found->counts, each);
	classes = words[1] ? 0 : case_counts_short_classes(&found->counts, OF_A_CLASS);
	is_covered = dead_is_covered() || words[1];
	printf("{\"cases\": %u, \"migrations\": %u, \"failures\": %u, \"each\": %u, "
	       "\"cells_with_fewer\": %u, \"classes_with_fewer_than_%d\": %u}\n",
	        found->cases, found->migrations, found->failures, each, cells, OF_A_CLASS, classes);
	return found->failures || cells || classes || !is_covered;
}
