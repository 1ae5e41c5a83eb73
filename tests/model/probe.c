/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * What no program can see: in which state its work is, by the engines of the simulated HCA, and
 * what the library has broken.
 */
#include <stdio.h>

#include "model/actors.h"
#include "model/world.h"
#include "preload/objects.h"

static bool is_alive(const struct run *run, unsigned end)
{
	return run->ends[end].is_connected && !run->ends[end].is_destroyed;
}

static bool is_concerned(const struct run *run, unsigned end, unsigned vm)
{
	return is_alive(run, end) && (end_process(run->program, end) == vm ||
	                                     end_process(run->program, end_other(end)) == vm);
}

/* ---- faults ---- */

/* enum qp_fault_action */
static const char *const fault_names[] = {
        NULL, "hold", "lose", "lose_acks", "lose_answers", "hold_receives", "rnr"};

static void pass(struct run *run, unsigned end)
{
	char setting[64];

	snprintf(setting, sizeof(setting), "%u/%u:pass",
	        world_lid_of(end_process(run->program, end)),
	        world_real_of(run->ends[end].qp)->qp_num);
	world_set(setting);
}

/* One at a time: each loss is a retry. */
void probe_fault(struct run *run, unsigned end, unsigned how, unsigned count)
{
	unsigned lid = world_lid_of(end_process(run->program, end)), times = count & 0xff;
	char setting[96];
	int at;

	if (!is_alive(run, end) || !world_real_of(run->ends[end].qp))
		return;
	pass(run, end);
	at = snprintf(setting, sizeof(setting), "%u/%u:%s=0.%u", lid,
	        world_real_of(run->ends[end].qp)->qp_num, fault_names[how], count >> 8);
	if (times)
		snprintf(setting + at, sizeof(setting) - (size_t)at, ":%u", times);
	world_set(setting);
}

void probe_pass(struct run *run)
{
	for (unsigned end = 0; end < 2 * run->program->link_count; end++) {
		if (is_alive(run, end) && world_real_of(run->ends[end].qp))
			pass(run, end);
	}
}

/* ---- states ---- */

/* The work of a request that the device has or had. NULL: its slot in the log is another's now. */
/* Or it was sent as something else, for want of a window. */
static const struct work *work_of(const struct run *run, unsigned end, uint64_t tag)
{
	const struct send_log *log = &queue_pair_of(run->ends[end].qp)->sends;
	uint32_t sequence = tag_sequence(tag);
	const struct send_slot *slot;
	const struct work *work;

	if (tag_incarnation_beside_marks(tag) != log->incarnation ||
	        log->head - sequence > log->mask + 1 || log->head == sequence)
		return NULL;
	slot = send_log_at(log, sequence);
	work = run->ends[end].order[wr_id_number(slot->wr_id)];
	return slot->opcode == (enum ibv_wr_opcode)work->opcode ? work : NULL;
}

struct look {
	const struct run *run;
	unsigned end, vm;
	bool atomics;
	struct coverage *seen;
};

static enum covered_queue receives_from(const struct program *program, unsigned end)
{
	if (end_is_target(program, end))
		return FROM_XRC;
	return end_shares(program, end) ? FROM_SRQ : FROM_RQ;
}

/* The states of enum work_state before WORK_DONE are those of enum stop_state. */
static void note(void *argument, uint64_t tag, unsigned state)
{
	const struct look *look = argument;
	const struct program *program = look->run->program;
	const struct work *work = work_of(look->run, look->end, tag);

	if (!work || work_is_atomic(work) != look->atomics)
		return;
	coverage_note(look->seen, work, work_is_signaled(program, look->end, work),
	        (enum stop_state)state, end_process(program, look->end) != look->vm,
	        receives_from(program, end_other(look->end)));
}

void probe_look(struct run *run, unsigned end, unsigned vm, bool atomics, struct coverage *seen)
{
	struct look look = {.run = run, .end = end, .vm = vm, .atomics = atomics, .seen = seen};
	struct ibv_qp *asks, *answers;

	if (!is_concerned(run, end, vm) || !is_alive(run, end_other(end)))
		return;
	asks = world_real_of(run->ends[end].qp);
	answers = world_real_of(run->ends[end_other(end)].qp);
	if (asks && answers)
		world.hca->states(asks, answers, note, &look);
}

/* ---- what was broken ---- */

bool probe_is_broken(const struct run *run, unsigned end)
{
	return is_alive(run, end) && queue_pair_of(run->ends[end].qp)->migration.broken;
}

static bool is_open(const struct run *run, unsigned end)
{
	return is_alive(run, end) && send_log_open(&queue_pair_of(run->ends[end].qp)->sends);
}

static bool has_open_bind(const struct run *run, unsigned end)
{
	const struct send_log *log = &queue_pair_of(run->ends[end].qp)->sends;
	bool has = false;

	for (uint32_t i = log->tail; i != log->head; i++)
		has |= send_log_at(log, i)->opcode == IBV_WR_BIND_MW;
	return has;
}

/* What preload/DESIGN.md, "Memory windows", calls known. */
void probe_rebinds(struct run *run, unsigned vm)
{
	for (unsigned end = 0; end < 2 * run->program->link_count; end++) {
		if (end_process(run->program, end) == vm && is_alive(run, end) &&
		        has_open_bind(run, end))
			run_tells(run, (struct event){.kind = EVENT_REBOUND, .of = end});
	}
}

void probe_excuse(struct run *run, unsigned vm)
{
	if (!run->program->world.dead_rq_psn)
		return;
	for (unsigned end = 0; end < 2 * run->program->link_count; end++) {
		if (!is_concerned(run, end, vm) ||
		        (!is_open(run, end) && !is_open(run, end_other(end))))
			continue;
		run_tells(run, (struct event){.kind = EVENT_EXCUSED,
		                       .of = end,
		                       .text = "its responder does not say how far it came"});
	}
}
