/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/* The root of a migration, as tether-smd is it. */
#include "tests/unit/shim_harness.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "notifier/base/cleanup.h"
#include "notifier/wire/gid_name.h"
#include "notifier/wire/message.h"
#include "notifier/wire/rows.h"
#include "preload/steps.h"

enum { DEADLINE_MS = 1000, LEASE_MS = 5000, OVERALL_MS = 20000 };

static void answer_set(Tether__Answer **kept, Tether__Answer *answer)
{
	if (*kept)
		tether__answer__free_unpacked(*kept, NULL);
	*kept = answer;
}

void harness_forget_answers(struct harness *h)
{
	answer_set(&h->answer, NULL);
	answer_set(&h->stopped, NULL);
	answer_set(&h->settled, NULL);
	answer_set(&h->attached, NULL);
}

static void keep_answer(const Tether__Answer *answer, void *owner)
{
	struct harness *h = owner;

	answer_set(&h->answer, message_copy(&answer->base));
}

void harness_time_passes(struct harness *h, unsigned ms)
{
	while (ms--) {
		h->now_ms++;
		if (h->meanwhile)
			h->meanwhile(h);
		steps_tick(h->now_ms, keep_answer, h);
	}
}

Tether__Outcome harness_event(struct harness *h, Tether__Event *event)
{
	answer_set(&h->answer, NULL);
	steps_event(message_copy(&event->base), h->now_ms, keep_answer, h);
	for (unsigned ms = 0; !h->answer && ms < 2 * DEADLINE_MS; ms++)
		harness_time_passes(h, 1);
	return h->answer ? h->answer->outcome : TETHER__OUTCOME__OUTCOME_NONE;
}

static uint32_t lid_of_mover(const struct harness *h)
{
	return h->moves_peer ? FAKE_LID_PEER : FAKE_LID_VM;
}

static bool has_name(const struct harness *h, uint32_t name)
{
	for (unsigned i = 0; i < h->name_count; i++) {
		if (h->names[i] == name)
			return true;
	}
	return false;
}

/* By each GID that its contexts show, now or before. */
static void learn_names(struct harness *h)
{
	struct ibv_context *context = h->moves_peer ? h->peer.context : h->vm.context;
	struct ibv_gid_entry entries[16];
	ssize_t count =
	        _ibv_query_gid_table(context, entries, ARRAY_SIZE(entries), 0, sizeof(*entries));

	h->name_count = 0;
	for (ssize_t i = 0; i < count; i++) {
		uint32_t name = gid_name(entries[i].gid.raw);

		if (!has_name(h, name))
			h->names[h->name_count++] = name;
	}
}

/* The VM is known by its own name for good, and by those of its GIDs. */
static void address_by_name(struct harness *h, Tether__Event *event)
{
	static uint8_t gid[GID_BYTES];

	if (event->step == TETHER__STEP__STEP_PREPARE)
		learn_names(h);
	event->address->lid = gid_of_vm(event->vm, gid);
	event->address->gid.data = gid;
	event->address->gid.len = sizeof(gid);
	event->known_lids = h->names;
	event->n_known_lids = h->name_count;
}

static bool is_of_mover(const struct harness *h, const struct qp_row *row)
{
	return h->ethernet ? has_name(h, row->local_lid) : row->local_lid == lid_of_mover(h);
}

void harness_event_fill(struct harness *h, Tether__Event *event, Tether__Step step)
{
	static Tether__Address address;

	tether__address__init(&address);
	address.lid = lid_of_mover(h);
	tether__event__init(event);
	h->migration += step == TETHER__STEP__STEP_PREPARE;
	event->migration = h->migration;
	event->epoch = 1 + h->begun_again;
	event->step = step;
	event->sequence = ++h->sequence;
	event->deadline_ms = DEADLINE_MS;
	event->lease_ms = LEASE_MS;
	event->overall_ms = OVERALL_MS;
	event->vm = (char *)(h->moves_peer ? "vm2" : "vm1");
	event->address = &address;
	event->to_vm = true;
	event->to_peers = !h->vm_alone;
	if (h->ethernet)
		address_by_name(h, event);
}

/* Peers' numbers of SETTLE, and the VM's of ATTACH where there was one. */
static void merge_numbers(const struct harness *h, Tether__QpRows *rows)
{
	const Tether__QpRows *vm = h->attached ? h->attached->qps : h->settled->qps;

	tether__qp_rows__init(rows);
	for (size_t i = 0; i < h->settled->qps->n_local_qpn; i++) {
		struct qp_row row = qp_rows_get(h->settled->qps, i);

		if (!is_of_mover(h, &row))
			qp_rows_append(rows, &row);
	}
	for (size_t i = 0; i < vm->n_local_qpn; i++) {
		struct qp_row row = qp_rows_get(vm, i);

		if (is_of_mover(h, &row))
			qp_rows_append(rows, &row);
	}
}

/* Which GIDs the names stand for. */
static void merge_gids(const struct harness *h, Tether__GidRows *gids)
{
	tether__gid_rows__init(gids);
	if (h->settled->gids)
		assert_int_equal(rows_concatenate(&gids->base, &h->settled->gids->base), 0);
	if (h->attached && h->attached->gids)
		assert_int_equal(rows_concatenate(&gids->base, &h->attached->gids->base), 0);
}

Tether__Outcome harness_step(struct harness *h, Tether__Step step)
{
	Tether__GidRows gids = TETHER__GID_ROWS__INIT;
	Tether__Outcome outcome;
	Tether__QpRows numbers;
	Tether__Event event;

	harness_event_fill(h, &event, step);
	if (step == TETHER__STEP__STEP_PREPARE) {
		answer_set(&h->stopped, NULL);
		answer_set(&h->settled, NULL);
	}
	tether__qp_rows__init(&numbers);
	if ((step == TETHER__STEP__STEP_RELEASE || step == TETHER__STEP__STEP_RECONNECT) &&
	        h->settled)
		event.evidence = h->settled->evidence;
	if (step == TETHER__STEP__STEP_SETTLE && h->stopped)
		event.evidence = h->stopped->evidence;
	if (step == TETHER__STEP__STEP_RECONNECT && h->settled) {
		merge_numbers(h, &numbers);
		merge_gids(h, &gids);
		event.qps = &numbers;
		event.gids = h->hides_gids ? NULL : &gids;
		event.keys = h->attached ? h->attached->keys : NULL;
		event.paths = h->paths;
	}
	outcome = harness_event(h, &event);
	rows_clear(&numbers.base);
	rows_clear(&gids.base);
	if (step == TETHER__STEP__STEP_STOP && outcome == TETHER__OUTCOME__OUTCOME_DONE) {
		answer_set(&h->stopped, h->answer);
		h->answer = NULL;
	}
	if (step == TETHER__STEP__STEP_SETTLE && outcome == TETHER__OUTCOME__OUTCOME_DONE) {
		answer_set(&h->settled, h->answer);
		answer_set(&h->attached, NULL);
		h->answer = NULL;
	}
	if (step == TETHER__STEP__STEP_ATTACH && outcome == TETHER__OUTCOME__OUTCOME_DONE) {
		answer_set(&h->attached, h->answer);
		h->answer = NULL;
	}
	return outcome;
}

const char *harness_reason(const struct harness *h)
{
	return h->answer && h->answer->n_refusals ? h->answer->refusals[0]->reason : "";
}

void harness_expect(struct harness *h, Tether__Step step, Tether__Outcome outcome)
{
	Tether__Outcome is = harness_step(h, step);

	if (is != outcome)
		fail_msg("step %d: outcome %d, not %d: %s", step, is, outcome, harness_reason(h));
}

void harness_stop(struct harness *h)
{
	harness_expect(h, TETHER__STEP__STEP_PREPARE, DONE);
	harness_expect(h, TETHER__STEP__STEP_STOP, DONE);
	harness_expect(h, TETHER__STEP__STEP_SETTLE, DONE);
}

void harness_arrive(struct harness *h)
{
	harness_expect(h, TETHER__STEP__STEP_ATTACH, DONE);
	harness_expect(h, TETHER__STEP__STEP_RECONNECT, DONE);
	harness_expect(h, TETHER__STEP__STEP_RESUME, DONE);
}

void harness_go_on(struct harness *h)
{
	int next = (fake.slot + 1) % 4;

	harness_expect(h, TETHER__STEP__STEP_RELEASE, DONE);
	fake.slot = -1;
	harness_time_passes(h, 20);
	fake.slot = next;
	harness_arrive(h);
}

void harness_move(struct harness *h)
{
	harness_stop(h);
	harness_go_on(h);
}
