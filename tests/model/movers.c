/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/* The migrations of a program, a piece at a time. */
#include <string.h>

#include "model/actors.h"
#include "model/root.h"
#include "model/world.h"
#include "notifier/base/log.h"

enum {
	VMS = 2,
	IN_VAIN_MOST = 20,
	ABORTED_MOST = 3, /* then it is not tried again */
	ABORT_PERCENT = 6,
	DUE_MS = 100,
	ANSWER_MS = 10000, /* each step ends by its deadline */
};

struct mover {
	struct migration migration;
	/* Of each end, just before it or the other one is broken. */
	struct coverage seen[ENDS_MOST];
	bool is_counted[ENDS_MOST];
	bool is_active, has_voted, was_aborted, waits;
	unsigned wanted, in_vain, aborted;
	uint64_t told_ms;
};

static struct mover movers[VMS];
static uint64_t piece_ms;

void mover_want(struct run *run, unsigned vm)
{
	movers[vm].wanted++;
}

bool mover_is_idle(void)
{
	for (unsigned vm = 0; vm < VMS; vm++) {
		if (movers[vm].is_active || movers[vm].wanted)
			return false;
	}
	return true;
}

bool mover_is_due(void)
{
	return (movers[0].is_active || movers[1].is_active) && world_now_ms() - piece_ms >= DUE_MS;
}

/* ---- the moment before ---- */

static bool is_about_to_vote(const struct mover *mover)
{
	return mover->is_active && mover->migration.step == TETHER__STEP__STEP_SETTLE &&
	       !mover->has_voted && !mover->was_aborted;
}

static void look_before(struct run *run)
{
	for (unsigned vm = 0; vm < VMS; vm++) {
		if (!is_about_to_vote(&movers[vm]))
			continue;
		for (unsigned end = 0; end < 2 * run->program->link_count; end++) {
			memset(&movers[vm].seen[end], 0, sizeof(movers[vm].seen[end]));
			probe_look(run, end, vm, false, &movers[vm].seen[end]);
		}
	}
}

static bool has_broken(const struct run *run, unsigned vm)
{
	for (unsigned end = 0; end < 2 * run->program->link_count; end++) {
		if (end_process(run->program, end) == vm && probe_is_broken(run, end))
			return true;
	}
	return false;
}

/* A peer may break its queue pair before the VM does. */
static void count_ends(struct run *run, struct mover *mover, bool all)
{
	for (unsigned end = 0; end < 2 * run->program->link_count; end++) {
		if (mover->is_counted[end] ||
		        !(all || probe_is_broken(run, end) || probe_is_broken(run, end_other(end))))
			continue;
		mover->is_counted[end] = true;
		coverage_add(&run->result->coverage, &mover->seen[end]);
	}
}

/* They are waited for: with one open nothing is broken. */
static void count_atomics(struct run *run, unsigned vm)
{
	for (unsigned end = 0; end < 2 * run->program->link_count; end++)
		probe_look(run, end, vm, true, &run->result->coverage);
}

static void look_behind(struct run *run)
{
	for (unsigned vm = 0; vm < VMS; vm++) {
		if (!is_about_to_vote(&movers[vm]))
			continue;
		movers[vm].has_voted = has_broken(run, vm);
		count_ends(run, &movers[vm], movers[vm].has_voted);
		if (movers[vm].has_voted)
			probe_excuse(run, vm);
	}
}

/* ---- steps ---- */

static void tell(struct run *run, struct mover *mover, Tether__Step step)
{
	mover->told_ms = world_now_ms();
	mover->migration.deadline_ms =
	        step == TETHER__STEP__STEP_STOP ? run->program->world.stop_ms : 0;
	if (step == TETHER__STEP__STEP_STOP)
		count_atomics(run, mover->migration.vm);
	mover->migration.step = step;
	look_before(run);
	root_tell(&mover->migration, step);
	look_behind(run);
}

static void begin(struct run *run, unsigned vm)
{
	struct mover *mover = &movers[vm];

	mover->wanted--;
	mover->is_active = true;
	mover->has_voted = mover->was_aborted = false;
	memset(mover->is_counted, 0, sizeof(mover->is_counted));
	root_begin(&mover->migration, vm);
	tell(run, mover, TETHER__STEP__STEP_PREPARE);
}

static void end(struct mover *mover)
{
	mover->is_active = false;
	root_end(&mover->migration);
	for (unsigned vm = 0; vm < VMS; vm++)
		movers[vm].waits = false;
}

/* Two with a queue pair in common: one after the other. */
static void is_refused(struct run *run, struct mover *mover)
{
	bool has_rival = !strcmp(mover->migration.reason, "already-moving");

	run->result->in_vain++;
	mover->in_vain++;
	if (!has_rival || mover->in_vain > IN_VAIN_MOST)
		run_says(run, "VM %u is not moved: %s", mover->migration.vm,
		        mover->migration.reason);
	else
		mover->wanted++;
	end(mover);
	mover->waits = has_rival && movers[!mover->migration.vm].is_active;
}

static void is_stuck(struct run *run, struct mover *mover)
{
	run_says(run, "VM %u: step %d ends with %d: %s", mover->migration.vm, mover->migration.step,
	        mover->migration.outcome, mover->migration.reason);
	end(mover);
}

static void abort_it(struct run *run, struct mover *mover)
{
	mover->was_aborted = true;
	mover->wanted += mover->aborted++ < ABORTED_MOST;
	run->result->aborted++;
	if (mover->has_voted)
		probe_rebinds(run, mover->migration.vm);
	tell(run, mover, TETHER__STEP__STEP_ABORT);
}

static void go_to_another_slot(struct run *run, struct mover *mover)
{
	unsigned slot =
	        world_draw(6) ? world_free_slot() : (unsigned)world_slot_of(mover->migration.vm);

	if (!root_move_device(&mover->migration, slot))
		run_says(run, "VM %u: its device is still in use", mover->migration.vm);
	tell(run, mover, TETHER__STEP__STEP_ATTACH);
}

static void go_on_after_vote(struct run *run, struct mover *mover)
{
	mover->has_voted = true;
	probe_pass(run);
	if (mover->was_aborted)
		tell(run, mover, TETHER__STEP__STEP_RECONNECT);
	else if (world_draw(100) < ABORT_PERCENT)
		abort_it(run, mover);
	else
		tell(run, mover, TETHER__STEP__STEP_RELEASE);
}

/* What kept it from being stopped is over: the next one shall be done. */
static void go_on_after_abort(struct run *run, struct mover *mover)
{
	probe_pass(run);
	if (mover->has_voted)
		tell(run, mover, TETHER__STEP__STEP_SETTLE);
	else
		end(mover);
}

static void go_on_after(struct run *run, struct mover *mover)
{
	switch (mover->migration.step) {
	case TETHER__STEP__STEP_PREPARE:
		tell(run, mover, TETHER__STEP__STEP_STOP);
		return;
	case TETHER__STEP__STEP_STOP:
		if (world_draw(100) < ABORT_PERCENT)
			abort_it(run, mover);
		else
			tell(run, mover, TETHER__STEP__STEP_SETTLE);
		return;
	case TETHER__STEP__STEP_SETTLE:
		go_on_after_vote(run, mover);
		return;
	case TETHER__STEP__STEP_ABORT:
		go_on_after_abort(run, mover);
		return;
	case TETHER__STEP__STEP_RELEASE:
		go_to_another_slot(run, mover);
		return;
	case TETHER__STEP__STEP_ATTACH:
		tell(run, mover, TETHER__STEP__STEP_RECONNECT);
		return;
	case TETHER__STEP__STEP_RECONNECT:
		tell(run, mover, TETHER__STEP__STEP_RESUME);
		return;
	default:
		run->result->moved += !mover->was_aborted;
		end(mover);
	}
}

static void answered(struct run *run, struct mover *mover)
{
	Tether__Step step = mover->migration.step;

	log_debug("model", "VM %u: step %d: %d %s", mover->migration.vm, step,
	        mover->migration.outcome, mover->migration.reason);
	if (mover->migration.outcome == TETHER__OUTCOME__OUTCOME_DONE)
		go_on_after(run, mover);
	else if (step == TETHER__STEP__STEP_PREPARE)
		is_refused(run, mover);
	else if ((step == TETHER__STEP__STEP_STOP || step == TETHER__STEP__STEP_SETTLE) &&
	         !mover->was_aborted)
		abort_it(run, mover);
	else
		is_stuck(run, mover);
}

/* RECONNECT waits for binds, whose completions may stand behind one that is held without end. */
static void piece_of(struct run *run, struct mover *mover)
{
	if (mover->migration.step == TETHER__STEP__STEP_RECONNECT)
		probe_pass(run);
	if (mover->migration.is_answered)
		answered(run, mover);
	else if (world_now_ms() - mover->told_ms > ANSWER_MS) {
		run_says(run, "VM %u: step %d is not answered", mover->migration.vm,
		        mover->migration.step);
		end(mover);
	}
}

void mover_give_up(struct run *run)
{
	for (unsigned vm = 0; vm < VMS; vm++) {
		struct mover *mover = &movers[vm];

		if (mover->is_active && !mover->migration.is_answered &&
		        mover->migration.step == TETHER__STEP__STEP_STOP)
			abort_it(run, mover);
	}
}

void mover_piece(struct run *run)
{
	unsigned first = world_draw(VMS);

	piece_ms = world_now_ms();
	look_before(run);
	root_turn();
	look_behind(run);
	for (unsigned i = 0; i < VMS; i++) {
		struct mover *mover = &movers[(first + i) % VMS];

		if (mover->is_active)
			piece_of(run, mover);
		else if (mover->wanted && !mover->waits)
			begin(run, (first + i) % VMS);
		else
			continue;
		return;
	}
}
