/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include "preload/steps.h"

#include <stdlib.h>
#include <string.h>

#include "notifier/base/die_point.h"
#include "notifier/base/log.h"
#include "notifier/base/monotonic.h"
#include "notifier/wire/answer.h"
#include "preload/control.h"
#include "preload/datagrams.h"
#include "preload/move.h"
#include "preload/move_address.h"
#include "preload/reconnect.h"
#include "preload/step_works.h"

enum {
	MOVES_MAX = 64,
	TICK_MS = 1,
	TICK_AWAY_MS = 5, /* between looks at the list of devices */
};

static TAILQ_HEAD(, move) moves = TAILQ_HEAD_INITIALIZER(moves);
static unsigned move_count;
static uint64_t highest_epoch;

/* ---- migrations ---- */

static void move_destroy(struct move *move)
{
	TAILQ_REMOVE(&moves, move, link);
	move_count--;
	datagrams_let_go(move);
	if (move->event)
		tether__event__free_unpacked(move->event, NULL);
	if (move->answered)
		tether__answer__free_unpacked(move->answered, NULL);
	move_address_clear(move);
	free(move);
}

/* What is over is kept to repeat its last answer, the oldest goes first. */
static void moves_prune(void)
{
	struct move *move = TAILQ_FIRST(&moves), *next;

	for (; move && move_count >= MOVES_MAX; move = next) {
		next = TAILQ_NEXT(move, link);
		if (move->state == MOVE_ENDED || (move->state == MOVE_KNOWN && !move->event)) {
			move_forget(move);
			move_destroy(move);
		}
	}
}

static struct move *move_of(const Tether__Event *event)
{
	struct move *move;

	TAILQ_FOREACH(move, &moves, link)
	{
		if (move->id == event->migration)
			return move;
	}
	moves_prune();
	move = calloc(1, sizeof(*move));
	if (!move)
		return NULL;
	move->id = event->migration;
	tether__counts__init(&move->counts);
	TAILQ_INSERT_TAIL(&moves, move, link);
	move_count++;
	return move;
}

static bool is_answer_to(const Tether__Answer *answer, const Tether__Event *event)
{
	return answer && event_key_equal(answer_key(answer), event_key(event));
}

static bool is_same(const Tether__Event *a, const Tether__Event *b)
{
	return a && event_key_equal(event_key(a), event_key(b));
}

static void reasons_log(const Tether__Answer *answer)
{
	for (size_t i = 0; i < answer->n_refusals; i++)
		log_warn("steps", "%s.%u: %s: %s", step_name(answer->step), answer->sequence,
		        answer->refusals[i]->reason, answer->refusals[i]->text);
}

static void finish(struct move *move, Tether__Answer *answer, steps_send *send, void *owner)
{
	die_point(DIE_SHIM_END, step_name(answer->step));
	reasons_log(answer);
	log_info("steps", "%s.%u %s", step_name(answer->step), answer->sequence,
	        outcome_name(answer->outcome));
	send(answer, owner);
	if (move->answered)
		tether__answer__free_unpacked(move->answered, NULL);
	move->answered = answer;
	tether__event__free_unpacked(move->event, NULL);
	move->event = NULL;
}

/* An answer is there a little before whoever asked gives up on it. */
static bool is_late(const struct move *move, uint64_t now_ms)
{
	uint32_t deadline_ms = move->event->deadline_ms;

	return deadline_ms && now_ms - move->event_ms >= deadline_ms - deadline_ms / 8;
}

static void work(struct move *move, uint64_t now_ms, steps_send *send, void *owner)
{
	Tether__Answer *answer = answer_create(event_key(move->event));
	enum progress progress;

	if (!answer)
		return;
	control_exclusive_begin();
	move->of_our_vm |= move->event->to_vm;
	move->of_a_peer |= move->event->to_peers;
	progress = step_work_for(move->event->step)(move, answer, now_ms, is_late(move, now_ms));
	if (move->state == MOVE_ENDED ||
	        (move->state == MOVE_KNOWN && answer->outcome != TETHER__OUTCOME__OUTCOME_DONE))
		move_forget(move);
	control_exclusive_end();
	if (progress == FINISHED) {
		move->lease_end_ms = now_ms + move->lease_ms;
		finish(move, answer, send, owner);
	} else {
		tether__answer__free_unpacked(answer, NULL);
	}
}

static void refuse(const Tether__Event *event, const char *reason, const char *text,
        steps_send *send, void *owner)
{
	Tether__Answer *answer = answer_create(event_key(event));

	if (!answer)
		return;
	answer_outcome_is(answer, TETHER__OUTCOME__OUTCOME_REFUSED, reason, text);
	reasons_log(answer);
	send(answer, owner);
	tether__answer__free_unpacked(answer, NULL);
}

/* What comes late, after a later order or after the end, begins nothing. */
static bool is_over(const struct move *move, const Tether__Event *event)
{
	if (event->epoch == move->epoch && event->sequence < move->sequence)
		return true;
	return move->state == MOVE_ENDED && event->step != TETHER__STEP__STEP_ABORT &&
	       event->step != TETHER__STEP__STEP_ERROR && event->step != TETHER__STEP__STEP_RESUME;
}

static void begin(struct move *move, Tether__Event *event, uint64_t now_ms)
{
	if (move->event)
		tether__event__free_unpacked(move->event, NULL);
	move->event = event;
	move->event_ms = now_ms;
	move->begun = false;
	/* It begins again, and takes along what the VM has now. */
	if (event->step == TETHER__STEP__STEP_PREPARE && event->epoch > move->epoch)
		move->lost_its_device = false;
	move->epoch = event->epoch;
	move->sequence = event->sequence;
	if (event->overall_ms)
		move->overall_end_ms = now_ms + event->overall_ms;
	log_info("steps", "%s.%u", step_name(event->step), event->sequence);
	if (move_address_take(move, event))
		log_error("steps", "whose queue pairs are concerned is not known");
}

/* Epochs grow with the migrations of a VM; those of different VMs go their own ways. */
static bool is_of_older_epoch(const Tether__Event *event)
{
	const struct move *move;

	TAILQ_FOREACH(move, &moves, link)
	{
		if (event->epoch < move->epoch && move_address_is(move, event))
			return true;
	}
	return false;
}

static void event_take(Tether__Event *event, uint64_t now_ms, steps_send *send, void *owner)
{
	struct move *move;

	if (is_of_older_epoch(event))
		refuse(event, "older-epoch", "is of an epoch that is over", send, owner);
	else if (!step_work_for(event->step))
		refuse(event, "unknown-step", "is not a step of a process", send, owner);
	else if (!(move = move_of(event)))
		refuse(event, "no-memory", "has no memory for another migration", send, owner);
	else if (is_answer_to(move->answered, event))
		send(move->answered, owner);
	else if (is_over(move, event))
		refuse(event, "over", "has gone on without this migration", send, owner);
	else if (!is_same(move->event, event)) {
		if (event->epoch > highest_epoch)
			highest_epoch = event->epoch;
		begin(move, event, now_ms);
		work(move, now_ms, send, owner);
		return;
	}
	tether__event__free_unpacked(event, NULL);
}

void steps_event(Tether__Event *event, uint64_t now_ms, steps_send *send, void *owner)
{
	log_about(event->migration, event->epoch);
	event_take(event, now_ms, send, owner);
	log_about(0, 0);
}

/* ---- time ---- */

/* An event that names no deadline ends here, too. */
static void lease_ends(struct move *move, steps_send *send, void *owner)
{
	Tether__Answer *answer = move->event ? answer_create(event_key(move->event)) : NULL;

	log_warn("steps", "nobody speaks any more, going on");
	control_exclusive_begin();
	step_let_go(move);
	move->went_on_alone = true;
	control_exclusive_end();
	if (!answer)
		return;
	answer_outcome_is(answer, TETHER__OUTCOME__OUTCOME_FAILED, "lease-over",
	        "has gone on alone after a long silence");
	finish(move, answer, send, owner);
}

static void overall_ends(struct move *move)
{
	log_error("steps", "overall deadline, queue pairs end with errors");
	control_exclusive_begin();
	reconnect_end_all(move);
	move->state = MOVE_ENDED;
	control_exclusive_end();
}

static int64_t move_tick(struct move *move, uint64_t now_ms, steps_send *send, void *owner)
{
	int64_t next = -1;

	if (move->event)
		work(move, now_ms, send, owner);
	/* What is being carried out ends in time by itself, if it has a time. */
	if (move->state == MOVE_STOPPED && !(move->event && move->event->deadline_ms)) {
		if (now_ms >= move->lease_end_ms)
			lease_ends(move, send, owner);
		else
			next = sooner_ms(next, (int64_t)(move->lease_end_ms - now_ms));
	}
	if (move->state >= MOVE_VOTED && move->state != MOVE_ENDED && move->overall_end_ms) {
		if (now_ms >= move->overall_end_ms)
			overall_ends(move);
		else
			next = sooner_ms(next, (int64_t)(move->overall_end_ms - now_ms));
	}
	if (move->event)
		next = sooner_ms(next,
		        move->event->step == TETHER__STEP__STEP_ATTACH ? TICK_AWAY_MS : TICK_MS);
	return next;
}

int64_t steps_tick(uint64_t now_ms, steps_send *send, void *owner)
{
	struct move *move;
	int64_t next = -1;

	TAILQ_FOREACH(move, &moves, link)
	{
		int64_t wanted;

		log_about(move->id, move->epoch);
		wanted = move_tick(move, now_ms, send, owner);
		log_about(0, 0);
		if (wanted >= 0)
			next = sooner_ms(next, wanted);
	}
	return next;
}

void steps_fill_hello(Tether__Hello *hello)
{
	static uint64_t open[MOVES_MAX];
	const struct move *move;

	hello->epoch = highest_epoch;
	hello->open = open;
	hello->n_open = 0;
	TAILQ_FOREACH(move, &moves, link)
	{
		if (move->state == MOVE_ENDED || move->state == MOVE_KNOWN || !move->answered)
			continue;
		if (hello->n_open < MOVES_MAX)
			open[hello->n_open++] = move->id;
		hello->migration = move->id;
		hello->step = move->answered->step;
		hello->sequence = move->answered->sequence;
	}
}

int steps_is_away(void)
{
	const struct move *move;

	TAILQ_FOREACH(move, &moves, link)
	{
		if (move->state == MOVE_RELEASED)
			return 1;
	}
	return 0;
}

bool steps_lose_device(const struct context *context, bool ends)
{
	struct move *move;
	bool in_hand = false;

	TAILQ_FOREACH(move, &moves, link)
	{
		if (move->state == MOVE_ENDED || !move_takes_along(move, context))
			continue;
		in_hand |= move->state >= MOVE_VOTED;
		move->lost_its_device |= ends && move->state < MOVE_VOTED;
	}
	return in_hand;
}

void steps_forget(void)
{
	while (!TAILQ_EMPTY(&moves)) {
		move_set_phase(TAILQ_FIRST(&moves), PHASE_RUNNING);
		move_destroy(TAILQ_FIRST(&moves));
	}
	highest_epoch = 0;
}
