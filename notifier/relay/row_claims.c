/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include "notifier/relay/row_claims.h"

#include "notifier/relay/lid_claims.h"
#include "notifier/wire/rows.h"

/* What is asked about, and who answers. */
struct asked {
	const struct lid_owners *owners;
	const struct child *child;
	struct {
		uint32_t lid;
		bool is_foreign;
	} last;       /* rows of one LID come one after the other */
	uint32_t lid; /* of the VM that moves; 0: its LID is others', too, or it has none */
	const Tether__Event *event; /* has those of its other VFs */
	bool has_vm;
	bool is_in_vm; /* and no other */
};

static bool is_lid_of_vm(const struct asked *asked, uint32_t lid)
{
	bool is_its = lid == asked->lid;

	for (size_t i = 0; i < asked->event->n_known_lids; i++)
		is_its |= lid == asked->event->known_lids[i];
	return asked->lid && is_its;
}

static bool is_foreign_at(struct asked *asked, uint32_t lid)
{
	if (!asked->child->vm)
		return false; /* left out */
	if (lid != asked->last.lid) {
		asked->last.lid = lid;
		asked->last.is_foreign =
		        lid_is_anothers(asked->owners, asked->child, asked->child->vm, lid);
	}
	return asked->last.is_foreign;
}

/* A host has VMs beside the one that moves, and rows of both. */
static bool pair_is_foreign(const struct asked *asked, const struct qp_row *row)
{
	if (!asked->has_vm)
		return row->of_vm || is_lid_of_vm(asked, row->local_lid);
	return asked->is_in_vm && row->of_vm && asked->lid && !is_lid_of_vm(asked, row->local_lid);
}

static size_t foreign_pairs(struct asked *asked, const Tether__QpRows *rows)
{
	size_t count, foreign = 0;

	if (qp_rows_count(rows, &count))
		return 0;
	for (size_t i = 0; i < count; i++) {
		struct qp_row row = qp_rows_get(rows, i);

		foreign += pair_is_foreign(asked, &row) || is_foreign_at(asked, row.local_lid);
	}
	return foreign;
}

static size_t foreign_evidence(struct asked *asked, const Tether__EvidenceRows *rows)
{
	size_t count, foreign = 0;

	if (evidence_rows_count(rows, &count))
		return 0;
	for (size_t i = 0; i < count; i++) {
		uint32_t lid = evidence_rows_get(rows, i).local_lid;

		foreign +=
		        (!asked->has_vm && is_lid_of_vm(asked, lid)) || is_foreign_at(asked, lid);
	}
	return foreign;
}

/* Keys are the VM's alone. */
static size_t foreign_keys(const struct asked *asked, const Tether__KeyRows *rows)
{
	size_t count;

	return asked->has_vm || key_rows_count(rows, &count) ? 0 : count;
}

/* In the other steps nobody takes numbers from an answer. */
static bool numbers_count(Tether__Step step)
{
	return step == TETHER__STEP__STEP_PREPARE || step == TETHER__STEP__STEP_SETTLE ||
	       step == TETHER__STEP__STEP_ATTACH;
}

size_t row_claims_foreign(const struct lid_owners *owners, const struct child *child,
        const Tether__Event *event, const Tether__Answer *answer)
{
	struct asked asked = {.owners = owners,
	        .child = child,
	        .event = event,
	        .has_vm = child_has_vm(child, event->vm)};

	if (event->address && !event->shared_port)
		asked.lid = event->address->lid;
	asked.is_in_vm = asked.has_vm && child->vm && numbers_count(event->step);
	return foreign_pairs(&asked, answer->qps) + foreign_evidence(&asked, answer->evidence) +
	       foreign_keys(&asked, answer->keys);
}

/* Of whom the rows are that are chosen. */
struct of_others {
	const struct lid_owners *owners;
	const struct child *child;
};

static bool is_not_others(const struct of_others *of, uint32_t lid)
{
	return !lid_is_anothers(of->owners, of->child, NULL, lid);
}

static bool pair_is_left(const ProtobufCMessage *table, size_t index, const void *choice)
{
	return is_not_others(choice, qp_rows_get((const Tether__QpRows *)table, index).local_lid);
}

static bool evidence_is_left(const ProtobufCMessage *table, size_t index, const void *choice)
{
	return is_not_others(
	        choice, evidence_rows_get((const Tether__EvidenceRows *)table, index).local_lid);
}

static size_t others_count(
        const ProtobufCMessage *table, rows_choose *is_left, const struct of_others *of)
{
	size_t count, others = 0;

	if (rows_count(table, &count))
		return 0;
	for (size_t i = 0; i < count; i++)
		others += !is_left(table, i, of);
	return others;
}

size_t row_claims_others(
        const struct lid_owners *owners, const struct child *child, const Tether__Answer *answer)
{
	struct of_others of = {owners, child};

	if (child->vm)
		return 0;
	return others_count((const ProtobufCMessage *)answer->qps, pair_is_left, &of) +
	       others_count((const ProtobufCMessage *)answer->evidence, evidence_is_left, &of);
}

void row_claims_leave_out(
        const struct lid_owners *owners, const struct child *child, Tether__Answer *answer)
{
	struct of_others of = {owners, child};

	if (others_count((ProtobufCMessage *)answer->qps, pair_is_left, &of))
		rows_filter(&answer->qps->base, pair_is_left, &of);
	if (others_count((ProtobufCMessage *)answer->evidence, evidence_is_left, &of))
		rows_filter(&answer->evidence->base, evidence_is_left, &of);
}
