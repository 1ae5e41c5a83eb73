/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include "sm-side/migration/testimony.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "notifier/base/cleanup.h"
#include "notifier/wire/gid_name.h"
#include "notifier/wire/rows.h"
#include "sm-side/guid_text.h"

enum {
	GIDS_MAX = 4096, /* of all who take part */
	END_TEXT_BYTES = 64,
};

#define TABLE(rows) ((ProtobufCMessage *)(rows))

void testimony_init(struct testimony *testimony)
{
	*testimony = (struct testimony){0};
	tether__evidence_rows__init(&testimony->evidence);
	tether__qp_rows__init(&testimony->qps);
	tether__key_rows__init(&testimony->keys);
	tether__gid_rows__init(&testimony->gids);
	tether__path_rows__init(&testimony->paths);
	tether__counts__init(&testimony->counts);
}

static void names_free(char **names, size_t count)
{
	for (size_t i = 0; i < count; i++)
		free(names[i]);
	free(names);
}

void testimony_clear(struct testimony *testimony)
{
	for (size_t i = 0; i < testimony->finding_count; i++) {
		free(testimony->findings[i].who);
		free(testimony->findings[i].reason);
		free(testimony->findings[i].text);
	}
	free(testimony->findings);
	names_free(testimony->processes, testimony->process_count);
	rows_clear(TABLE(&testimony->evidence));
	rows_clear(TABLE(&testimony->qps));
	rows_clear(TABLE(&testimony->keys));
	rows_clear(TABLE(&testimony->gids));
	rows_clear(TABLE(&testimony->paths));
	testimony_init(testimony);
}

static bool is_found(const struct testimony *testimony, const char *who, const char *reason)
{
	for (size_t i = 0; i < testimony->finding_count; i++) {
		const struct finding *f = &testimony->findings[i];

		if (!strcmp(f->who, who) && !strcmp(f->reason, reason))
			return true;
	}
	return false;
}

int testimony_find(
        struct testimony *testimony, const char *who, const char *reason, const char *text)
{
	struct finding *grown, *f;

	if (is_found(testimony, who, reason))
		return 0;
	grown = realloc(testimony->findings, (testimony->finding_count + 1) * sizeof(*grown));
	if (!grown)
		return -ENOMEM;
	testimony->findings = grown;
	f = &grown[testimony->finding_count];
	*f = (struct finding){strdup(who), strdup(reason), strdup(text)};
	if (!f->who || !f->reason || !f->text) {
		free(f->who);
		free(f->reason);
		free(f->text);
		return -ENOMEM;
	}
	testimony->finding_count++;
	return 0;
}

static int take_findings(struct testimony *testimony, const Tether__Answer *answer)
{
	int err = 0;

	for (size_t i = 0; i < answer->n_refusals && !err; i++) {
		const Tether__Refusal *r = answer->refusals[i];

		err = testimony_find(testimony, r->who, r->reason, r->text);
	}
	for (size_t i = 0; i < answer->n_missing && !err; i++)
		err = testimony_find(testimony, answer->missing[i], "no-answer",
		        "did not answer before the deadline of the step");
	return err;
}

bool testimony_is_of_vm(const char *process, const char *vm)
{
	size_t length = strlen(vm);

	return !strncmp(process, vm, length) && process[length] == '/';
}

/* Those of the VM first, so that they can be asked alone. */
static int take_name(struct testimony *testimony, const char *name, const char *vm)
{
	char **names = testimony->processes;
	size_t count = testimony->process_count;
	char *copy = strdup(name);

	if (!copy)
		return -ENOMEM;
	names[count] = copy;
	if (testimony_is_of_vm(name, vm)) {
		names[count] = names[testimony->vm_process_count];
		names[testimony->vm_process_count++] = copy;
	}
	testimony->process_count++;
	return 0;
}

/* ATTACH is asked of the VM's processes only: the peers' stay. */
static int take_processes(struct testimony *testimony, const char *vm, const Tether__Answer *answer)
{
	struct testimony before = *testimony;
	size_t kept = answer->step == TETHER__STEP__STEP_ATTACH
	                      ? before.process_count - before.vm_process_count
	                      : 0;
	int err = 0;

	testimony->processes = calloc(kept + answer->n_answered + 1, sizeof(char *));
	testimony->process_count = testimony->vm_process_count = 0;
	if (!testimony->processes)
		err = -ENOMEM;
	for (size_t i = 0; i < kept && !err; i++)
		err = take_name(testimony, before.processes[before.vm_process_count + i], vm);
	for (size_t i = 0; i < answer->n_answered && !err; i++)
		err = take_name(testimony, answer->answered[i], vm);
	names_free(before.processes, before.process_count);
	return err;
}

static bool is_lid_of_vm(const struct testimony *testimony, uint32_t vm_lid, uint32_t lid)
{
	bool is_its = lid == vm_lid;

	for (size_t i = 0; i < testimony->other_lid_count; i++)
		is_its |= lid == testimony->other_lids[i];
	return is_its;
}

/* Under Shared Port a LID is others', too. */
static bool is_row_of_vm(
        const struct testimony *testimony, uint32_t vm_lid, const struct qp_row *row)
{
	return testimony->shared_port ? row->of_vm
	                              : is_lid_of_vm(testimony, vm_lid, row->local_lid);
}

struct vm_choice {
	const struct testimony *testimony;
	uint32_t lid;
};

static bool is_of_another(const ProtobufCMessage *qps, size_t index, const void *choice)
{
	const struct vm_choice *vm = choice;
	struct qp_row row = qp_rows_get((const Tether__QpRows *)qps, index);

	return !is_row_of_vm(vm->testimony, vm->lid, &row);
}

/* The QPs of everybody but the VM, then those of @from. */
static int supersede_vm_qps(
        struct testimony *testimony, uint32_t vm_lid, const Tether__QpRows *from)
{
	const struct vm_choice vm = {testimony, vm_lid};

	rows_filter(TABLE(&testimony->qps), is_of_another, &vm);
	return from ? rows_concatenate(TABLE(&testimony->qps), &from->base) : 0;
}

static int supersede(ProtobufCMessage *into, const ProtobufCMessage *from)
{
	rows_clear(into);
	return from ? rows_concatenate(into, from) : 0;
}

static bool says_broken(const Tether__EvidenceRows *rows)
{
	for (size_t i = 0; rows && i < rows->n_flags; i++) {
		if (rows->flags[i] & TETHER__EVIDENCE_FLAG__EVIDENCE_BROKEN)
			return true;
	}
	return false;
}

static bool columns_agree(const Tether__Answer *answer)
{
	size_t count;

	return !rows_count(TABLE(answer->evidence), &count) &&
	       !rows_count(TABLE(answer->qps), &count) &&
	       !rows_count(TABLE(answer->keys), &count) && !gid_rows_count(answer->gids, &count) &&
	       count <= GIDS_MAX;
}

/* The VM's own word on where it is comes before what others have said. */
static int gids_of_vm_take(struct testimony *testimony, const Tether__GidRows *from)
{
	Tether__GidRows before = testimony->gids;
	size_t count;
	int err;

	tether__gid_rows__init(&testimony->gids);
	err = from ? rows_concatenate(TABLE(&testimony->gids), &from->base) : 0;
	if (!err)
		err = gid_rows_count(&before, &count);
	for (size_t i = 0; !err && i < count && i < GIDS_MAX; i++) {
		struct gid_row row = gid_rows_get(&before, i);

		err = gid_rows_add_row(&testimony->gids, &row);
		if (err == -EEXIST)
			err = 0;
	}
	rows_clear(TABLE(&before));
	return err;
}

static void take_counts(struct testimony *testimony, const Tether__Counts *counts)
{
	if (!counts)
		return;
	testimony->counts.processes = testimony->counts.processes > counts->processes
	                                      ? testimony->counts.processes
	                                      : counts->processes;
	testimony->counts.qps =
	        testimony->counts.qps > counts->qps ? testimony->counts.qps : counts->qps;
	testimony->counts.replayed += counts->replayed;
	testimony->counts.made_up += counts->made_up;
	testimony->counts.errors += counts->errors;
}

static int take_rows(struct testimony *testimony, uint32_t vm_lid, const Tether__Answer *answer)
{
	int err = 0;

	switch (answer->step) {
	case TETHER__STEP__STEP_SETTLE:
		err = supersede(TABLE(&testimony->evidence), TABLE(answer->evidence));
		if (err)
			break;
		/* fall through */
	case TETHER__STEP__STEP_PREPARE:
		err = supersede(TABLE(&testimony->qps), TABLE(answer->qps));
		if (!err)
			err = supersede(TABLE(&testimony->gids), TABLE(answer->gids));
		break;
	case TETHER__STEP__STEP_STOP:
		if (answer->qps) {
			err = supersede(TABLE(&testimony->qps), TABLE(answer->qps));
			if (!err)
				err = supersede(TABLE(&testimony->gids), TABLE(answer->gids));
		}
		if (!err)
			err = supersede(TABLE(&testimony->evidence), TABLE(answer->evidence));
		break;
	case TETHER__STEP__STEP_ATTACH:
		err = supersede_vm_qps(testimony, vm_lid, answer->qps);
		if (!err)
			err = supersede(TABLE(&testimony->keys), TABLE(answer->keys));
		if (!err)
			err = gids_of_vm_take(testimony, answer->gids);
		testimony->rebuilt |= !err;
		break;
	default:
		break;
	}
	return err;
}

int testimony_take(
        struct testimony *testimony, const char *vm, uint32_t vm_lid, const Tether__Answer *answer)
{
	int err;

	if (!columns_agree(answer))
		return -EBADMSG;
	testimony->broken |= says_broken(answer->evidence);
	take_counts(testimony, answer->counts);
	err = take_findings(testimony, answer);
	if (!err)
		err = take_processes(testimony, vm, answer);
	if (!err)
		err = take_rows(testimony, vm_lid, answer);
	return err;
}

struct pair_key {
	uint32_t local_lid, local_qpn, remote_lid, remote_qpn;
};

static int pair_key_compare(const void *a, const void *b)
{
	return memcmp(a, b, sizeof(struct pair_key));
}

/* "lid 7", "gid fe80::1" */
static void lid_text(const struct testimony *testimony, uint32_t lid, char text[END_TEXT_BYTES])
{
	uint8_t gid[GID_BYTES];
	char shown[GID_SHOWN_BYTES];

	if (!is_gid_name(lid)) {
		snprintf(text, END_TEXT_BYTES, "lid %" PRIu32, lid);
	} else if (testimony->gid_of && testimony->gid_of(testimony->gid_owner, lid, gid)) {
		gid_show(gid, shown);
		snprintf(text, END_TEXT_BYTES, "gid %s", shown);
	} else {
		snprintf(text, END_TEXT_BYTES, "gid of name 0x%" PRIx32, lid);
	}
}

/* @key's other end has not been shown: a peer's, or one of the VM's own. */
static int find_one_unpaired(struct testimony *testimony, const struct pair_key *key, bool is_of_vm)
{
	char who[END_TEXT_BYTES + 32], text[END_TEXT_BYTES + 192], lid[END_TEXT_BYTES];

	lid_text(testimony, key->remote_lid, lid);
	snprintf(who, sizeof(who), "%s qp 0x%x", lid, key->remote_qpn);
	lid_text(testimony, key->local_lid, lid);
	snprintf(text, sizeof(text), "is connected to %s qp 0x%x, %s", lid, key->local_qpn,
	        is_of_vm ? "but no process with libtether shows it: connecting just now?"
	                 : "but no process with libtether in the VM shows it (any more): "
	                   "connecting just now?");
	return testimony_find(
	        testimony, who, is_of_vm ? "peer-without-shim" : "vm-qp-without-shim", text);
}

struct end {
	struct pair_key key; /* first: what is compared */
	bool is_of_vm;
};

/* Under Shared Port who is connected to another at the VM's LID is no concern of it. */
static bool must_be_paired(
        const struct testimony *testimony, uint32_t vm_lid, const struct end *end)
{
	const struct pair_key *k = &end->key;

	/* Datagrams go to and come from anybody. */
	if (!k->remote_lid && !k->remote_qpn)
		return false;
	if (testimony->shared_port)
		return end->is_of_vm;
	return is_lid_of_vm(testimony, vm_lid, k->local_lid) ||
	       is_lid_of_vm(testimony, vm_lid, k->remote_lid);
}

int testimony_find_unpaired(struct testimony *testimony, uint32_t vm_lid)
{
	size_t count = testimony->qps.n_local_qpn;
	CLEANUP_FREE struct end *ends = calloc(count + 1, sizeof(*ends));
	int unpaired = 0;

	if (!ends)
		return -ENOMEM;
	for (size_t i = 0; i < count; i++) {
		struct qp_row row = qp_rows_get(&testimony->qps, i);

		ends[i].key = (struct pair_key){
		        row.local_lid, row.local_qpn, row.remote_lid, row.remote_qpn};
		ends[i].is_of_vm = is_row_of_vm(testimony, vm_lid, &row);
	}
	qsort(ends, count, sizeof(*ends), pair_key_compare);
	for (size_t i = 0; i < count; i++) {
		struct pair_key *k = &ends[i].key;
		struct pair_key other = {k->remote_lid, k->remote_qpn, k->local_lid, k->local_qpn};
		struct pair_key ended = {k->remote_lid, k->remote_qpn, 0, 0};

		if (!must_be_paired(testimony, vm_lid, &ends[i]) ||
		        bsearch(&other, ends, count, sizeof(*ends), pair_key_compare) ||
		        bsearch(&ended, ends, count, sizeof(*ends), pair_key_compare))
			continue;
		if (find_one_unpaired(testimony, k, ends[i].is_of_vm))
			return -ENOMEM;
		unpaired++;
	}
	return unpaired;
}

size_t testimony_count_of_vm(char *const *names, size_t count, const char *vm)
{
	size_t found = 0;

	for (size_t i = 0; i < count; i++)
		found += testimony_is_of_vm(names[i], vm);
	return found;
}

int testimony_pack(const struct testimony *testimony, uint8_t **bytes, size_t *length)
{
	Tether__Answer answer = TETHER__ANSWER__INIT;

	answer.evidence = (Tether__EvidenceRows *)&testimony->evidence;
	answer.qps = (Tether__QpRows *)&testimony->qps;
	answer.keys = (Tether__KeyRows *)&testimony->keys;
	answer.gids = (Tether__GidRows *)&testimony->gids;
	answer.answered = testimony->processes;
	answer.n_answered = testimony->process_count;
	*length = tether__answer__get_packed_size(&answer);
	*bytes = malloc(*length + 1);
	if (!*bytes)
		return -ENOMEM;
	tether__answer__pack(&answer, *bytes);
	return 0;
}

int testimony_unpack(
        struct testimony *testimony, const char *vm, const uint8_t *bytes, size_t length)
{
	Tether__Answer *answer = tether__answer__unpack(NULL, length, bytes);
	int err;

	if (!answer)
		return -EBADMSG;
	if (!columns_agree(answer)) {
		tether__answer__free_unpacked(answer, NULL);
		return -EBADMSG;
	}
	err = supersede(TABLE(&testimony->evidence), TABLE(answer->evidence));
	if (!err)
		err = supersede(TABLE(&testimony->qps), TABLE(answer->qps));
	if (!err)
		err = supersede(TABLE(&testimony->keys), TABLE(answer->keys));
	if (!err)
		err = supersede(TABLE(&testimony->gids), TABLE(answer->gids));
	if (!err)
		err = take_processes(testimony, vm, answer);
	tether__answer__free_unpacked(answer, NULL);
	return err;
}
