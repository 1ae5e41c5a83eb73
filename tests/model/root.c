/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include "tests/model/root.h"

#include <stdio.h>
#include <string.h>

#include "notifier/wire/message.h"
#include "notifier/wire/rows.h"
#include "preload/steps.h"

enum { DEADLINE_MS = 2000, LEASE_MS = 5000, OVERALL_MS = 30000 };

static struct migration *migrations;
static uint64_t last_id;
static uint32_t last_sequence;

static void keep(Tether__Answer **kept, const Tether__Answer *answer)
{
	if (*kept)
		tether__answer__free_unpacked(*kept, NULL);
	*kept = answer ? message_copy(&answer->base) : NULL;
}

void root_begin(struct migration *m, unsigned vm)
{
	*m = (struct migration){.vm = vm, .id = ++last_id, .next = migrations};
	migrations = m;
}

void root_end(struct migration *m)
{
	struct migration **at = &migrations;

	while (*at != m)
		at = &(*at)->next;
	*at = m->next;
	keep(&m->stopped, NULL);
	keep(&m->settled, NULL);
	keep(&m->attached, NULL);
}

/* ---- answers ---- */

static void keep_tables(struct migration *m, const Tether__Answer *answer)
{
	switch (answer->step) {
	case TETHER__STEP__STEP_STOP:
		keep(&m->stopped, answer);
		break;
	case TETHER__STEP__STEP_SETTLE:
		keep(&m->settled, answer);
		keep(&m->attached, NULL);
		break;
	case TETHER__STEP__STEP_ATTACH:
		keep(&m->attached, answer);
		break;
	default:
		break;
	}
}

static void take_answer(const Tether__Answer *answer, void *owner)
{
	struct migration *m = migrations;

	while (m && m->id != answer->migration)
		m = m->next;
	if (!m || answer->step != m->step)
		return;
	m->is_answered = true;
	m->outcome = answer->outcome;
	m->reason[0] = '\0';
	if (answer->n_refusals)
		snprintf(m->reason, sizeof(m->reason), "%s", answer->refusals[0]->reason);
	if (answer->outcome == TETHER__OUTCOME__OUTCOME_DONE)
		keep_tables(m, answer);
}

void root_turn(void)
{
	steps_tick(world_now_ms(), take_answer, NULL);
}

/* ---- events ---- */

static void append_of(Tether__QpRows *rows, const Tether__Answer *answer, bool of_vm)
{
	for (size_t i = 0; answer && answer->qps && i < answer->qps->n_local_qpn; i++) {
		struct qp_row row = qp_rows_get(answer->qps, i);

		if (!!row.of_vm == of_vm)
			qp_rows_append(rows, &row);
	}
}

/* Peers' numbers of SETTLE, and the VM's of ATTACH where there was one. */
static void merge_numbers(const struct migration *m, Tether__QpRows *rows)
{
	append_of(rows, m->settled, false);
	append_of(rows, m->attached ? m->attached : m->settled, true);
}

static bool takes_evidence(Tether__Step step)
{
	return step == TETHER__STEP__STEP_RELEASE || step == TETHER__STEP__STEP_RECONNECT;
}

void root_tell(struct migration *m, Tether__Step step)
{
	Tether__Address address = TETHER__ADDRESS__INIT;
	Tether__Event event = TETHER__EVENT__INIT;
	Tether__QpRows numbers;

	tether__qp_rows__init(&numbers);
	address.lid = world_lid_of(m->vm);
	event.migration = m->id;
	event.epoch = m->id;
	event.step = step;
	event.sequence = ++last_sequence;
	event.deadline_ms = m->deadline_ms ? m->deadline_ms : DEADLINE_MS;
	event.lease_ms = LEASE_MS;
	event.overall_ms = OVERALL_MS;
	event.vm = (char *)"vm";
	event.address = &address;
	event.to_vm = event.to_peers = true;
	if (takes_evidence(step) && m->settled)
		event.evidence = m->settled->evidence;
	if (step == TETHER__STEP__STEP_SETTLE && m->stopped)
		event.evidence = m->stopped->evidence;
	if (step == TETHER__STEP__STEP_RECONNECT) {
		merge_numbers(m, &numbers);
		event.qps = &numbers;
		event.keys = m->attached ? m->attached->keys : NULL;
	}
	m->step = step;
	m->is_answered = false;
	steps_event(message_copy(&event.base), world_now_ms(), take_answer, NULL);
	rows_clear(&numbers.base);
}

Tether__Outcome root_step(
        struct migration *m, Tether__Step step, void (*meanwhile)(void *), void *argument)
{
	uint64_t until_ms = world_now_ms() + 2 * DEADLINE_MS;

	root_tell(m, step);
	while (!m->is_answered && world_now_ms() < until_ms) {
		if (meanwhile)
			meanwhile(argument);
		if (!world_turn())
			world.now_ns += 1000000;
		root_turn();
	}
	return m->is_answered ? m->outcome : TETHER__OUTCOME__OUTCOME_NONE;
}

bool root_move_device(const struct migration *m, unsigned slot)
{
	if (!world_detach(m->vm))
		return false;
	world_attach(m->vm, slot);
	return true;
}
