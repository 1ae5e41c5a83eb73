/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include "tests/model/injected_batch.h"

#include <stdio.h>
#include <string.h>

#include "simfabric/verbs_face.h"
#include "tests/model/injected_check.h"
#include "tests/model/root.h"
#include "tests/model/world.h"

enum {
	TURNS_BETWEEN_LOOKS = 32,
	/* In which a state is reached: no transport time-out. And in which all is complete. */
	STATES_NS = 300000000,
	RULES_HOLD_INTO_RELEASE = 20, /* turns, at most */
};

#define LAST_RETRY_NS UINT64_C(12000000000)

static struct batch {
	struct injected *cases;
	unsigned count;
	int rules_stand; /* so many turns more */
	bool is_last;    /* the message behind all is on its way */
} batch;

#define EACH_CASE(c) for (struct injected *c = batch.cases; c < batch.cases + batch.count; c++)

static void fail(struct injected *c, const char *what)
{
	if (!c->failed)
		c->failed = what;
}

static void fail_all(const char *what)
{
	EACH_CASE(c)
	fail(c, what);
}

/* Of an adapter that keeps no PSNs half of the worlds have one that tells those that it was given.
 */
static void injected_world(const struct injected *c, uint64_t seed, size_t bytes)
{
	world_begin(seed, NULL);
	world_set(c->is_mlx5 ? "preset=mlx5" : "preset=rxe");
	if (c->course == COURSE_DEAD) {
		world_set("live_rq_psn=0");
		world_set("live_sq_psn=0");
		world_set(seed & 1 ? "given_psns=1" : "given_psns=0");
	}
	hosts_open(bytes);
}

static void injected_world_ends(void)
{
	hosts_close();
	world_end();
}

/* ---- states ---- */

static const struct queue_pair *engine_of(struct ibv_qp *shown)
{
	struct ibv_qp *real = world_real_of(shown);

	return real ? &((struct face_qp *)(void *)real)->hca.engine : NULL;
}

static struct work_ends ends_of(const struct injected *c)
{
	return (struct work_ends){.requester = engine_of(c->asks.qp),
	        .responder = engine_of(c->answers.qp),
	        .now_ns = world.now_ns};
}

static bool is_with_the_device(const struct work_ends *ends, unsigned work)
{
	return ends->requester && work < ends->requester->requester.queue.posted;
}

static bool is_in_its_state(const struct injected *c)
{
	struct work_ends ends = ends_of(c);
	struct work_found subject;

	if (!is_with_the_device(&ends, c->subject))
		return c->cell.state == WORK_NOT_SENT && c->works[c->subject].is_kept;
	subject = work_state_of(&ends, c->subject);
	return subject.state == c->cell.state && subject.receive_is_hidden == c->receive_is_hidden;
}

static bool all_are_in_their_states(void)
{
	EACH_CASE(c)
	if (!is_in_its_state(c))
		return false;
	return true;
}

/* A RECV that has completed tells of all work up to the one that took it. */
static void note_what_is_told(
        struct injected *c, const struct planned *planned, const struct work_found *work)
{
	bool is_open = work->state != WORK_DONE && work->state != WORK_RECEIVE_HIDDEN;

	if (planned->was_executed && planned_takes_receive(planned)) {
		c->was_untold = false;
		c->was_unseen = c->was_unseen && work->receive_is_hidden;
		c->was_unseen |= is_open && work->receive_is_hidden;
	} else if (is_open && planned->opcode != IBV_WR_RDMA_READ) {
		c->was_untold = c->was_unseen = true;
	}
}

/* At the moment of the stop: what was executed stands, whatever its sender knows. */
static void note_what_is_executed(struct injected *c)
{
	struct work_ends ends = ends_of(c);

	c->was_untold = c->was_unseen = false;
	for (unsigned i = 0; i < c->count && is_with_the_device(&ends, i); i++) {
		struct work_found work = work_state_of(&ends, i);
		struct planned *planned = &c->works[i];

		planned->was_executed = work.accepted == planned_packets(c, planned);
		note_what_is_told(c, planned, &work);
		if (!planned->was_executed || !planned_writes(planned))
			continue;
		planned->is_overwritten = true;
		memset(c->answers.memory + planned->remote, BYTE_OVER, planned->length);
	}
}

/* ---- programs ---- */

static void programs_go_on(void *argument)
{
	EACH_CASE(c)
	if (c->polls && !world_draw(16))
		injected_poll(c);
}

/* Some turns, of which none waits for what is due only behind @end_ns. False: there is nothing
 * else. */
static bool turn_until(uint64_t end_ns)
{
	for (int turns = 0; turns < TURNS_BETWEEN_LOOKS; turns++) {
		if (!world.hca->senders() && !world.hca->flows() &&
		        world.hca->next_due_ns() > end_ns)
			return false;
		world_turn();
	}
	return true;
}

static void add_rules(const struct injected *c)
{
	char setting[64];

	for (int i = 0; i < RULES_MAX && c->rules[i][0]; i++) {
		snprintf(setting, sizeof(setting), "%u/%u:%s", world_lid_of(c->asks.vm),
		        world_real_of(c->asks.qp)->qp_num, c->rules[i]);
		world_set(setting);
	}
}

static void begin(void)
{
	const uint64_t end_ns = world.now_ns + STATES_NS;
	bool are_bound = false;

	EACH_CASE(c)
	{
		injected_open(c);
		injected_post_binds(c);
	}
	while (!are_bound) {
		turn_until(end_ns);
		are_bound = true;
		EACH_CASE(c)
		are_bound &= injected_binds_are_done(c);
	}
	EACH_CASE(c)
	{
		add_rules(c);
		injected_post(c, false);
	}
	while (!all_are_in_their_states() && turn_until(end_ns))
		programs_go_on(NULL);
}

static void look_at_states(const char *otherwise)
{
	EACH_CASE(c)
	if (!is_in_its_state(c))
		fail(c, otherwise);
}

/* ---- the migration ---- */

static void rules_end(void)
{
	world_set("none");
}

static bool step(struct migration *m, Tether__Step step, void (*meanwhile)(void *))
{
	if (root_step(m, step, meanwhile, NULL) == TETHER__OUTCOME__OUTCOME_DONE)
		return true;
	printf("# step %d: outcome %d %s\n", (int)step, (int)m->outcome, m->reason);
	fail_all("a step of the migration fails");
	return false;
}

static void rules_end_soon(void *argument)
{
	programs_go_on(argument);
	if (!batch.rules_stand--)
		rules_end();
}

/* Some while STOP holds, the others behind the move. */
static void post_kept(void)
{
	EACH_CASE(c)
	injected_post(c, true);
}

static bool stop(struct migration *m)
{
	bool waits = batch.cases->course == COURSE_WAITED;

	if (!step(m, TETHER__STEP__STEP_PREPARE, programs_go_on))
		return false;
	look_at_states("is not in its state before STOP");
	/* Before the clock goes on to the last retry that would be in time. */
	batch.rules_stand = 1;
	if (!step(m, TETHER__STEP__STEP_STOP, waits ? rules_end_soon : programs_go_on))
		return false;
	post_kept();
	if (!waits)
		look_at_states("is not in its state when it is broken");
	EACH_CASE(c)
	note_what_is_executed(c);
	return step(m, TETHER__STEP__STEP_SETTLE, programs_go_on);
}

static void move(struct migration *m)
{
	if (!stop(m))
		return;
	batch.rules_stand = (int)world_draw(RULES_HOLD_INTO_RELEASE);
	if (!step(m, TETHER__STEP__STEP_RELEASE, rules_end_soon))
		return;
	rules_end();
	if (!root_move_device(m, world_free_slot()))
		fail_all("the device is held by somebody");
	if (step(m, TETHER__STEP__STEP_ATTACH, programs_go_on) &&
	        step(m, TETHER__STEP__STEP_RECONNECT, programs_go_on))
		step(m, TETHER__STEP__STEP_RESUME, programs_go_on);
}

static void go_back(struct migration *m)
{
	if (!stop(m) || !step(m, TETHER__STEP__STEP_ABORT, programs_go_on))
		return;
	rules_end();
	if (step(m, TETHER__STEP__STEP_SETTLE, programs_go_on) &&
	        step(m, TETHER__STEP__STEP_RECONNECT, programs_go_on))
		step(m, TETHER__STEP__STEP_RESUME, programs_go_on);
}

static void be_refused(struct migration *m)
{
	if (!step(m, TETHER__STEP__STEP_PREPARE, programs_go_on))
		return;
	look_at_states("is not in its state before STOP");
	if (root_step(m, TETHER__STEP__STEP_STOP, programs_go_on, NULL) !=
	                TETHER__OUTCOME__OUTCOME_FAILED ||
	        strcmp(m->reason, "atomic-unanswered"))
		fail_all("STOP does not fail for an atomic without answer");
	look_at_states("is not in its state when STOP fails");
	step(m, TETHER__STEP__STEP_ABORT, programs_go_on);
	rules_end();
}

/* ---- the end ---- */

/* What nobody asked a completion of may be sent again only when a timer runs out. */
static bool is_idle(const struct injected *c)
{
	const struct queue_pair *asks = engine_of(c->asks.qp);

	return !asks || asks->requester.queue.oldest == asks->requester.queue.posted;
}

static bool all_are_complete(void)
{
	bool are = true;

	EACH_CASE(c)
	{
		injected_poll(c);
		are &= c->failed || (injected_is_complete(c, batch.is_last) && is_idle(c));
	}
	return are;
}

static void wait_until_complete(void)
{
	const uint64_t end_ns = world.now_ns + LAST_RETRY_NS;

	while (!all_are_complete() && turn_until(end_ns))
		;
	/* What comes twice comes now, and so do events of what came just before. */
	world_calm();
	world.hca->expire();
	all_are_complete();
}

static void finish(void)
{
	EACH_CASE(c)
	if (!injected_ends_with_error(c))
		injected_post_receives(c);
	wait_until_complete();
	EACH_CASE(c)
	if (injected_ends_with_error(c))
		injected_fail_answering(c);
	wait_until_complete();
	EACH_CASE(c)
	injected_check(c);
	EACH_CASE(c)
	if (!c->failed && !injected_ends_with_error(c))
		injected_post_last(c);
	batch.is_last = true;
	wait_until_complete();
	EACH_CASE(c)
	{
		if (!c->failed && !injected_ends_with_error(c))
			injected_check_last(c);
		injected_close(c);
	}
}

void injected_batch(struct injected *cases, unsigned count, uint64_t seed)
{
	struct migration m;
	size_t bytes = 0;

	batch = (struct batch){.cases = cases, .count = count};
	EACH_CASE(c)
	{
		c->place = bytes;
		bytes += (c->used + CASE_GUARD) & ~7u;
	}
	injected_world(cases, seed, bytes);
	begin();
	look_at_states("does not come into its state");
	root_begin(&m, 0);
	if (cases->course == COURSE_REFUSED)
		be_refused(&m);
	else if (cases->course == COURSE_BACK)
		go_back(&m);
	else
		move(&m);
	root_end(&m);
	finish();
	injected_world_ends();
}
