/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include "model/run_program.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "model/actors.h"
#include "model/world.h"
#include "notifier/base/log.h"
#include "preload/settings.h"

enum {
	TURNS_BETWEEN = 3,     /* at most, of the world, between two things that the program does */
	TURNS_MOST = 200000,   /* at the end, until everything has come to rest */
	TURNS_PATIENT = 20000, /* a STOP that takes longer waits for what nobody does meanwhile */
	HASTY = 400,           /* a timer in so many turns does not wait for what is under way */
	LAST_TURNS = 200,
	PATIENCE_NS = 500000,
	SETTINGS_MOST = 24,
};

void run_says(struct run *run, const char *format, ...)
{
	struct run_result *result = run->result;
	va_list arguments;

	if (result->violations < RESULT_SAID) {
		va_start(arguments, format);
		vsnprintf(result->said[result->violations], RESULT_LENGTH, format, arguments);
		va_end(arguments);
	}
	result->violations++;
}

static void hash(struct run_result *result, uint64_t word)
{
	result->hash = (result->hash ^ word) * UINT64_C(0x100000001b3);
}

void run_tells(struct run *run, struct event event)
{
	log_debug("model", "event %d of %u: how %u, number %u, wr_id 0x%llx, status %d", event.kind,
	        event.of, event.how, event.number, (unsigned long long)event.wc.wr_id,
	        event.wc.status);
	hash(run->result, (uint64_t)event.kind << 32 | event.of << 16 | event.number);
	hash(run->result, event.wc.wr_id ^ (uint64_t)event.wc.status << 56);
	reference_event(run->reference, &event);
}

/* ---- the world ---- */

struct fault_list {
	char text[SETTINGS_MOST][48];
	const char *all[SETTINGS_MOST + 1];
	unsigned count;
};

static void __attribute__((format(printf, 2, 3)))
set(struct fault_list *list, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(list->text[list->count], sizeof(list->text[0]), format, arguments);
	va_end(arguments);
	list->all[list->count] = list->text[list->count];
	list->count++;
}

static void set_packets(struct fault_list *list, const struct program_world *asked)
{
	static const char *const kinds[] = {"request", "response", "ack", "rnr"};

	for (unsigned i = 0; i < sizeof(kinds) / sizeof(*kinds); i++) {
		if (asked->drop)
			set(list, "drop.%s=0.%02u", kinds[i], asked->drop);
		if (asked->duplicate)
			set(list, "duplicate.%s=0.%02u", kinds[i], asked->duplicate);
		if (asked->delay)
			set(list, "delay.%s=0.%02u:%u", kinds[i], asked->delay, 40);
	}
}

static void begin_world(const struct program_world *asked)
{
	static struct fault_list list;

	set(&list, "preset=%s", asked->rxe ? "rxe" : "mlx5");
	if (asked->dead_rq_psn)
		set(&list, "live_rq_psn=0");
	set_packets(&list, asked);
	if (asked->hold)
		set(&list, "hold=0.%02u:300", asked->hold);
	world_begin(asked->seed, list.all);
	/* A retry too many is a loss as well, see program_make.c. */
	world.hasty = asked->drop ? HASTY : 0;
}

/* ---- the program ---- */

static void go_on(struct run *run, unsigned turns)
{
	while (turns--) {
		if (mover_is_due())
			mover_piece(run);
		if (!world_turn())
			world.now_ns += 1000000;
	}
}

/*
 * A control verb that makes connections would wait for the end of the migration. That may wait for
 * a RECV, which nobody posts meanwhile: it is given up in time.
 */
static void wait_for_movers(struct run *run)
{
	for (unsigned turns = 0; !mover_is_idle() && turns < TURNS_MOST; turns++) {
		go_on(run, 1);
		if (turns % 4 == 0)
			mover_piece(run);
		if (turns % TURNS_PATIENT == TURNS_PATIENT - 1)
			mover_give_up(run);
	}
	if (!mover_is_idle())
		run_says(run, "a migration has no end");
}

static void destroy(struct run *run, unsigned link, unsigned first)
{
	unsigned end = 2 * link + first;

	eye_look(run);
	actors_destroy(run, end);
	go_on(run, world_draw(30));
	actors_destroy(run, end_other(end));
}

static void do_action(struct run *run, const struct action *action)
{
	switch (action->kind) {
	case ACTION_POST:
		run->ends[action->of].due += action->count;
		post_due(run, action->of);
		return;
	case ACTION_RECEIVE:
		post_receives(run, action->of, action->count, action->how);
		return;
	case ACTION_POLL:
		eye_poll(run, action->of, action->how, action->count);
		return;
	case ACTION_TOUCH:
		eye_touch(run, action->of, action->how);
		return;
	case ACTION_FAIL:
		actors_fail(run, action->of);
		return;
	case ACTION_DESTROY:
		destroy(run, action->of, action->how);
		return;
	case ACTION_CONNECT:
		wait_for_movers(run);
		if (mover_is_idle())
			actors_connect(run, action->of);
		return;
	case ACTION_RUN:
		go_on(run, action->count);
		return;
	case ACTION_MOVE:
		mover_want(run, action->of);
		mover_piece(run);
		return;
	case ACTION_PIECE:
		for (unsigned i = 0; i < action->count; i++)
			mover_piece(run);
		return;
	case ACTION_FAULT:
		probe_fault(run, action->of, action->how, action->count);
		return;
	}
}

static void post_backlog(struct run *run)
{
	for (unsigned end = 0; end < 2 * run->program->link_count; end++)
		post_due(run, end);
}

static void act(struct run *run)
{
	for (unsigned i = 0; i < run->program->link_count; i++) {
		if (!run->program->links[i].is_late)
			actors_connect(run, i);
	}
	for (unsigned i = 0; i < run->program->action_count && !run->result->violations &&
	                     !reference_violations(run->reference);
	        i++) {
		do_action(run, &run->program->actions[i]);
		go_on(run, world_draw(TURNS_BETWEEN + 1));
		if (run->program->actions[i].kind == ACTION_POLL)
			post_backlog(run);
	}
}

/* ---- its end ---- */

static unsigned poll_all(struct run *run)
{
	unsigned got = 0;

	for (unsigned process = 0; process < PROCESSES; process++) {
		for (unsigned cq = 0; cq < PROCESS_CQS; cq++)
			got += eye_poll(run, process, cq, 16);
	}
	return got;
}

static void post_missing_of(struct run *run, unsigned end)
{
	for (unsigned srq = 0; srq < end_srqs(run->program, end); srq++) {
		unsigned queue = reference_queue_of(run->program, end, srq);
		unsigned missing = reference_missing_receives(run->reference, queue);

		if (missing)
			post_receives(
			        run, end, missing < 20 ? missing : 20, receive_how(RIGHT, srq));
	}
}

/* RECVs that are missing come now, but for those that never do. */
static void post_missing_receives(struct run *run)
{
	for (unsigned end = 0; end < 2 * run->program->link_count; end++) {
		if (end_receives(run->program, end) &&
		        !(end_link(run->program, end)->starved & 1 << (end & 1)))
			post_missing_of(run, end);
	}
}

static bool is_done(const struct run *run)
{
	for (unsigned end = 0; end < 2 * run->program->link_count; end++) {
		if (run->ends[end].is_connected && !reference_is_done(run->reference, end))
			return false;
	}
	return mover_is_idle();
}

static void come_to_rest(struct run *run)
{
	unsigned turns = 0, in_vain = 0;
	bool has_passed = false;

	while (turns < TURNS_MOST && !run->result->violations &&
	        !reference_violations(run->reference)) {
		go_on(run, 1 + world_draw(16));
		turns += 8;
		mover_piece(run);
		in_vain = poll_all(run) ? 0 : in_vain + 1;
		/* Who holds something back is always about to send it: no timer would run out. What
		 * has been sent is not overtaken by one. */
		if (in_vain > 8 && !world.hca->flows())
			world.now_ns += PATIENCE_NS;
		post_missing_receives(run);
		post_backlog(run);
		if (has_passed && is_done(run) && in_vain > 4)
			break;
		if (mover_is_idle() && !has_passed) {
			probe_pass(run);
			has_passed = true;
		}
	}
	go_on(run, LAST_TURNS);
	while (poll_all(run))
		;
}

static void judge(struct run *run)
{
	unsigned count;

	/* What is missing is missing for it. */
	if (reference_violations(run->reference) || run->result->violations) {
		count = reference_violations(run->reference);
	} else {
		eye_look_last(run);
		count = reference_judge(run->reference);
	}
	run->result->excuses = reference_excuses(run->reference);
	for (unsigned i = 0; i < count; i++) {
		const char *said = reference_said(run->reference, i);

		run_says(run, "%s", said ? said : "and more");
	}
}

void run_program(const struct program *program, struct run_result *result)
{
	static struct run run;
	struct program *own = program_copy(program);

	/* TETHER_LOG: what the library has to say. */
	settings();
	program_signal_enough(own);
	run.program = own;
	run.result = result;
	run.reference = reference_new(own);
	begin_world(&own->world);
	actors_open(&run);
	if (!result->violations)
		act(&run);
	come_to_rest(&run);
	judge(&run);
	result->turns = world.turns;
	result->is_complete = true;
	world_end();
}
