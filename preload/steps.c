/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include "preload/steps.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "notifier/base/deadlines.h"
#include "notifier/base/die_point.h"
#include "notifier/base/log.h"
#include "preload/control.h"
#include "preload/drain.h"
#include "preload/evidence.h"
#include "preload/move.h"
#include "preload/rebuild.h"
#include "preload/reconnect.h"
#include "preload/veto.h"

enum {
	MOVES_MAX = 64,
	TICK_MS = 1,
	TICK_AWAY_MS = 5, /* between looks at the list of devices */
};

static TAILQ_HEAD(, move) moves = TAILQ_HEAD_INITIALIZER(moves);
static unsigned move_count;
static uint64_t highest_epoch;

/* ---- answers ---- */

static Tether__Answer *answer_create(const Tether__Event *event)
{
	Tether__Answer *answer = malloc(sizeof(*answer));

	if (!answer)
		return NULL;
	tether__answer__init(answer);
	answer->migration = event->migration;
	answer->epoch = event->epoch;
	answer->step = event->step;
	answer->sequence = event->sequence;
	answer->outcome = TETHER__OUTCOME__OUTCOME_DONE;
	return answer;
}

static void outcome_is(
        Tether__Answer *answer, Tether__Outcome outcome, const char *reason, const char *text)
{
	answer->outcome = outcome;
	refusal_add(answer, reason, text);
}

static void failed_with(Tether__Answer *answer, const char *reason, const char *what, int err)
{
	char text[128];

	snprintf(text, sizeof(text), "%s: %s", what, strerror(-err));
	outcome_is(answer, TETHER__OUTCOME__OUTCOME_FAILED, reason, text);
}

/* What was counted since the last answer: the other end adds up. */
static void add_counts(struct move *move, Tether__Answer *answer)
{
	answer->counts = malloc(sizeof(*answer->counts));
	if (!answer->counts)
		return;
	*answer->counts = move->counts;
	answer->counts->processes = 1;
	answer->counts->qps = move_count_concerned(move);
	tether__counts__init(&move->counts);
}

/* ---- the steps ---- */

enum progress { WORKING, FINISHED };

static void contexts_stop(const struct move *move, enum context_phase phase)
{
	struct context *context;

	TAILQ_FOREACH(context, &contexts, link)
	{
		if (move_has_context(move, context))
			context->phase = phase;
	}
}

static bool may_begin(struct move *move, Tether__Answer *answer)
{
	if (!move_concern(move))
		outcome_is(answer, TETHER__OUTCOME__OUTCOME_REFUSED, "already-moving",
		        "has a queue pair that is in the middle of another migration");
	else if (!veto_check(move, answer) && answer->n_refusals)
		answer->outcome = TETHER__OUTCOME__OUTCOME_REFUSED;
	return answer->outcome == TETHER__OUTCOME__OUTCOME_DONE;
}

static enum progress work_prepare(
        struct move *move, Tether__Answer *answer, uint64_t now_ms, bool late)
{
	if (may_begin(move, answer))
		evidence_report_pairs(move, answer);
	return FINISHED;
}

static enum progress work_stop(
        struct move *move, Tether__Answer *answer, uint64_t now_ms, bool late)
{
	if (!move->begun) {
		move->begun = true;
		if (!may_begin(move, answer))
			return FINISHED;
		drain_hold(move, now_ms);
		contexts_stop(move, PHASE_STOPPED);
		move->state = MOVE_STOPPED;
		move->lease_end_ms = move->event->lease_ms ? now_ms + move->event->lease_ms : 0;
	}
	if (!drain_is_done(move, now_ms, deadlines_default.drain_ms) && !late)
		return WORKING;
	if (drain_has_exposed_atomic(move))
		outcome_is(answer, TETHER__OUTCOME__OUTCOME_FAILED, "atomic-unanswered",
		        "has an atomic that may have been executed and whose answer does not come");
	return FINISHED;
}

static enum progress work_settle(
        struct move *move, Tether__Answer *answer, uint64_t now_ms, bool late)
{
	bool exposed;
	int err;

	if (move->state < MOVE_STOPPED) {
		drain_hold(move, now_ms);
		contexts_stop(move, PHASE_STOPPED);
		move->state = MOVE_STOPPED;
	}
	drain_harvest(move);
	exposed = drain_has_exposed_atomic(move);
	err = exposed ? 0 : drain_break(move);
	if ((exposed || err == -EAGAIN) && !late)
		return WORKING;
	/* From here on some are in ERR: an abort connects those again. */
	if (!exposed)
		move->state = MOVE_VOTED;
	if (exposed || err == -EAGAIN) {
		outcome_is(answer, TETHER__OUTCOME__OUTCOME_FAILED, "atomic-unanswered",
		        "has an atomic that may have been executed and whose answer does not come");
		return FINISHED;
	}
	if (err) {
		failed_with(answer, "not-stopped", "a queue pair does not go to ERR", err);
		return FINISHED;
	}
	if (!drain_frontiers_are_known(move) && !late &&
	        now_ms - move->event_ms < deadlines_default.drain_ms)
		return WORKING;
	move->state = MOVE_VOTED;
	err = evidence_report(move, answer);
	if (!err)
		err = evidence_report_pairs(move, answer);
	if (err)
		failed_with(answer, "no-evidence", "evidence cannot be reported", err);
	return FINISHED;
}

/* The other sides' word is here: wait for what it implies, then decide. */
static enum progress settle(struct move *move, Tether__Answer *answer, bool late)
{
	if (!move->begun) {
		move->begun = true;
		if (evidence_take(move, move->event->evidence))
			log_error("steps", "evidence with columns of unequal length");
	}
	if (!evidence_receives_are_here(move)) {
		if (!late)
			return WORKING;
		evidence_give_up_receives(move);
	}
	evidence_settle(move);
	return FINISHED;
}

static enum progress work_release(
        struct move *move, Tether__Answer *answer, uint64_t now_ms, bool late)
{
	int err;

	/* Who came after STOP has no connections, but may hold the device. */
	if (move->state < MOVE_VOTED && move_concern(move) && move_count_concerned(move)) {
		outcome_is(answer, TETHER__OUTCOME__OUTCOME_FAILED, "not-voted",
		        "is to be released without having voted");
		return FINISHED;
	}
	if (settle(move, answer, late) == WORKING)
		return WORKING;
	err = rebuild_tear_down(move);
	if (err)
		failed_with(answer, "not-released", "the device cannot be let go", err);
	else
		rebuild_renew(move);
	move->state = MOVE_RELEASED;
	add_counts(move, answer);
	return FINISHED;
}

static enum progress work_attach(
        struct move *move, Tether__Answer *answer, uint64_t now_ms, bool late)
{
	int err = rebuild_open(move);

	if (err && !late)
		return WORKING;
	if (err) {
		failed_with(answer, "no-device", "no device to go on with", err);
		return FINISHED;
	}
	err = rebuild_objects(move);
	if (err) {
		failed_with(answer, "not-rebuilt", "an object cannot be made again", err);
		return FINISHED;
	}
	move->state = MOVE_ATTACHED;
	err = evidence_report_rebuilt(move, answer);
	if (!err)
		err = evidence_report_keys(move, answer);
	if (err)
		failed_with(answer, "no-evidence", "new numbers cannot be reported", err);
	return FINISHED;
}

static enum progress work_reconnect(
        struct move *move, Tether__Answer *answer, uint64_t now_ms, bool late)
{
	int err;

	if (move->state < MOVE_VOTED)
		return FINISHED;
	/* After an abort there was no RELEASE: evidence comes now, everybody is where it was. */
	if (settle(move, answer, late) == WORKING)
		return WORKING;
	rebuild_renew(move);
	err = reconnect_to_rtr(move, move->event);
	if (err)
		failed_with(
		        answer, "not-connected", "the other side's numbers cannot be used", err);
	move->state = MOVE_CONNECTED;
	return FINISHED;
}

static enum progress work_resume(
        struct move *move, Tether__Answer *answer, uint64_t now_ms, bool late)
{
	unsigned qps = move_count_concerned(move);

	if (move->state < MOVE_VOTED || move->state == MOVE_ENDED)
		return FINISHED;
	reconnect_resume(move);
	add_counts(move, answer);
	if (answer->counts)
		answer->counts->qps = qps;
	move->state = MOVE_ENDED;
	return FINISHED;
}

static void let_go(struct move *move)
{
	drain_let_go(move);
	contexts_stop(move, PHASE_RUNNING);
	move->state = MOVE_KNOWN;
	move->lease_end_ms = 0;
}

static enum progress work_abort(
        struct move *move, Tether__Answer *answer, uint64_t now_ms, bool late)
{
	if (move->state >= MOVE_RELEASED && move->state != MOVE_ENDED) {
		outcome_is(answer, TETHER__OUTCOME__OUTCOME_REFUSED, "too-late", "was committed");
		return FINISHED;
	}
	/* Broken ones are connected again: SETTLE, RECONNECT, RESUME. For those, others come back,
	 * too. */
	if (move->state == MOVE_VOTED)
		evidence_report(move, answer);
	else if (move->state != MOVE_ENDED)
		let_go(move);
	return FINISHED;
}

static enum progress work_error(
        struct move *move, Tether__Answer *answer, uint64_t now_ms, bool late)
{
	if (move->state < MOVE_VOTED) {
		let_go(move);
		return FINISHED;
	}
	reconnect_end_all(move);
	add_counts(move, answer);
	move->state = MOVE_ENDED;
	return FINISHED;
}

typedef enum progress step_work(struct move *, Tether__Answer *, uint64_t now_ms, bool late);

static step_work *const works[] = {
        [TETHER__STEP__STEP_PREPARE] = work_prepare,
        [TETHER__STEP__STEP_STOP] = work_stop,
        [TETHER__STEP__STEP_SETTLE] = work_settle,
        [TETHER__STEP__STEP_RELEASE] = work_release,
        [TETHER__STEP__STEP_ATTACH] = work_attach,
        [TETHER__STEP__STEP_RECONNECT] = work_reconnect,
        [TETHER__STEP__STEP_RESUME] = work_resume,
        [TETHER__STEP__STEP_ABORT] = work_abort,
        [TETHER__STEP__STEP_ERROR] = work_error,
};

static step_work *work_for(Tether__Step step)
{
	return (unsigned)step < sizeof(works) / sizeof(works[0]) ? works[step] : NULL;
}

/* ---- migrations ---- */

static void move_destroy(struct move *move)
{
	TAILQ_REMOVE(&moves, move, link);
	move_count--;
	if (move->event)
		tether__event__free_unpacked(move->event, NULL);
	if (move->answered)
		tether__answer__free_unpacked(move->answered, NULL);
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
	if (event->address) {
		move->lid = event->address->lid;
		move->has_gid = event->address->gid.len == sizeof(move->gid);
		if (move->has_gid)
			memcpy(&move->gid, event->address->gid.data, sizeof(move->gid));
	}
	TAILQ_INSERT_TAIL(&moves, move, link);
	move_count++;
	return move;
}

static bool is_answer_to(const Tether__Answer *answer, const Tether__Event *event)
{
	return answer && answer->epoch == event->epoch && answer->step == event->step &&
	       answer->sequence == event->sequence;
}

static bool is_same(const Tether__Event *a, const Tether__Event *b)
{
	return a && a->epoch == b->epoch && a->step == b->step && a->sequence == b->sequence;
}

static const char *step_name(Tether__Step step)
{
	const ProtobufCEnumValue *value =
	        protobuf_c_enum_descriptor_get_value(&tether__step__descriptor, step);

	return value ? value->name + strlen("STEP_") : "?";
}

static void finish(struct move *move, Tether__Answer *answer, steps_send *send, void *owner)
{
	die_point("shim-end", step_name(answer->step));
	log_info("steps", "migration %llu epoch %llu step %d: outcome %d, %zu refusals",
	        (unsigned long long)move->id, (unsigned long long)answer->epoch, answer->step,
	        answer->outcome, answer->n_refusals);
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
	Tether__Answer *answer = answer_create(move->event);
	enum progress progress;

	if (!answer)
		return;
	control_exclusive_begin();
	progress = work_for(move->event->step)(move, answer, now_ms, is_late(move, now_ms));
	if (move->state == MOVE_ENDED ||
	        (move->state == MOVE_KNOWN && answer->outcome != TETHER__OUTCOME__OUTCOME_DONE))
		move_forget(move);
	control_exclusive_end();
	if (progress == FINISHED)
		finish(move, answer, send, owner);
	else
		tether__answer__free_unpacked(answer, NULL);
}

static void refuse(const Tether__Event *event, const char *reason, const char *text,
        steps_send *send, void *owner)
{
	Tether__Answer *answer = answer_create(event);

	if (!answer)
		return;
	outcome_is(answer, TETHER__OUTCOME__OUTCOME_REFUSED, reason, text);
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
	move->epoch = event->epoch;
	move->sequence = event->sequence;
	if (event->overall_ms)
		move->overall_end_ms = now_ms + event->overall_ms;
}

void steps_event(Tether__Event *event, uint64_t now_ms, steps_send *send, void *owner)
{
	struct move *move;

	if (event->epoch < highest_epoch)
		refuse(event, "older-epoch", "is of an epoch that is over", send, owner);
	else if (!work_for(event->step))
		refuse(event, "unknown-step", "is not a step of a process", send, owner);
	else if (!(move = move_of(event)))
		refuse(event, "no-memory", "has no memory for another migration", send, owner);
	else if (is_answer_to(move->answered, event))
		send(move->answered, owner);
	else if (is_over(move, event))
		refuse(event, "over", "has gone on without this migration", send, owner);
	else if (!is_same(move->event, event)) {
		highest_epoch = event->epoch;
		begin(move, event, now_ms);
		work(move, now_ms, send, owner);
		return;
	}
	tether__event__free_unpacked(event, NULL);
}

/* ---- time ---- */

static int sooner(int a, int64_t b)
{
	if (b < 0)
		b = 0;
	return a < 0 || b < a ? (int)b : a;
}

static void lease_ends(struct move *move)
{
	log_warn("steps", "migration %llu: nobody speaks any more, going on",
	        (unsigned long long)move->id);
	control_exclusive_begin();
	let_go(move);
	control_exclusive_end();
}

static void overall_ends(struct move *move)
{
	log_error("steps", "migration %llu: overall deadline, queue pairs end with errors",
	        (unsigned long long)move->id);
	control_exclusive_begin();
	reconnect_end_all(move);
	move->state = MOVE_ENDED;
	control_exclusive_end();
}

static int move_tick(struct move *move, uint64_t now_ms, steps_send *send, void *owner)
{
	int next = -1;

	if (move->event)
		work(move, now_ms, send, owner);
	if (move->state == MOVE_STOPPED && move->lease_end_ms) {
		if (now_ms >= move->lease_end_ms)
			lease_ends(move);
		else
			next = sooner(next, (int64_t)(move->lease_end_ms - now_ms));
	}
	if (move->state >= MOVE_VOTED && move->state != MOVE_ENDED && move->overall_end_ms) {
		if (now_ms >= move->overall_end_ms)
			overall_ends(move);
		else
			next = sooner(next, (int64_t)(move->overall_end_ms - now_ms));
	}
	if (move->event)
		next = sooner(next,
		        move->event->step == TETHER__STEP__STEP_ATTACH ? TICK_AWAY_MS : TICK_MS);
	return next;
}

int steps_tick(uint64_t now_ms, steps_send *send, void *owner)
{
	struct move *move;
	int next = -1;

	TAILQ_FOREACH(move, &moves, link)
	{
		int wanted = move_tick(move, now_ms, send, owner);

		if (wanted >= 0)
			next = sooner(next, wanted);
	}
	return next;
}

void steps_fill_hello(Tether__Hello *hello)
{
	const struct move *move;

	hello->epoch = highest_epoch;
	TAILQ_FOREACH(move, &moves, link)
	{
		if (move->state == MOVE_ENDED || move->state == MOVE_KNOWN || !move->answered)
			continue;
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

void steps_forget(void)
{
	while (!TAILQ_EMPTY(&moves))
		move_destroy(TAILQ_FIRST(&moves));
	highest_epoch = 0;
}
