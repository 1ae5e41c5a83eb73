/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include "sm-side/root/numbers.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "notifier/wire/context_lids.h"
#include "notifier/wire/gid_name.h"
#include "notifier/wire/rows.h"

struct numbers_row {
	struct numbers_row *next;
	struct address address;
	bool shared_port; /* rows say under which LIDs they are known, and where they are */
	Tether__QpRows qps;
	Tether__KeyRows keys;
	Tether__GidRows gids; /* of its queue pairs, where an Ethernet port is */
};

static void row_clear(struct numbers_row *row)
{
	rows_clear(&row->qps.base);
	rows_clear(&row->keys.base);
	rows_clear(&row->gids.base);
}

void numbers_clear(struct numbers *numbers)
{
	while (numbers->first) {
		struct numbers_row *row = numbers->first;

		numbers->first = row->next;
		row_clear(row);
		free(row);
	}
}

static bool has_same_gid(const struct address *a, const struct address *b)
{
	return !memcmp(a->gid, b->gid, sizeof(a->gid));
}

static bool has_gid(const struct address *address)
{
	static const uint8_t none[sizeof(address->gid)];

	return memcmp(address->gid, none, sizeof(none)) != 0;
}

/* Under Shared Port LIDs are others' as well, and the GID is the VM's. */
static bool is_of(const struct numbers_row *row, const struct address *vm, bool shared_port)
{
	if (row->shared_port != shared_port)
		return false;
	return shared_port ? has_same_gid(vm, &row->address) : address_matches(vm, &row->address);
}

static struct numbers_row *row_make(
        struct numbers *numbers, const struct address *address, bool shared_port)
{
	struct numbers_row *row = numbers->first;

	while (row && !is_of(row, address, shared_port))
		row = row->next;
	if (row)
		return row;
	row = calloc(1, sizeof(*row));
	if (!row)
		return NULL;
	tether__qp_rows__init(&row->qps);
	tether__key_rows__init(&row->keys);
	tether__gid_rows__init(&row->gids);
	row->shared_port = shared_port;
	row->next = numbers->first;
	numbers->first = row;
	return row;
}

static int qps_of_vm(Tether__QpRows *into, const Tether__QpRows *from, const struct numbers_row *vm)
{
	int err = 0;

	for (size_t i = 0; i < from->n_local_qpn && !err; i++) {
		struct qp_row row = qp_rows_get(from, i);

		if (vm->shared_port ? row.of_vm : row.local_lid == vm->address.lid)
			err = qp_rows_append(into, &row);
	}
	return err;
}

/* A VM may have several LIDs, and contexts at each. Keys of one whose LID nobody says stay. */
static bool is_of_another_lid(
        const struct context_lids *lids, const struct numbers_row *vm, uint32_t context)
{
	return context_lids_first(lids, context) &&
	       !context_lids_have(lids, context, vm->address.lid);
}

/* A process says them in whatever order it likes, so each context is looked up. */
static int keys_at_lid(
        struct numbers_row *vm, const struct context_lids *lids, const Tether__KeyRows *from)
{
	bool left_out = false;
	int err = 0;

	for (size_t i = 0; i < from->n_context && !err; i++) {
		struct key_row row = key_rows_get(from, i);

		if (!i || row.context != from->context[i - 1])
			left_out = is_of_another_lid(lids, vm, row.context);
		if (!left_out)
			err = key_rows_append(&vm->keys, &row);
	}
	return err;
}

static int keys_of_vm(
        struct numbers_row *vm, const Tether__QpRows *qps, const Tether__KeyRows *from)
{
	struct context_lids lids;
	int err;

	if (vm->shared_port)
		return rows_concatenate(&vm->keys.base, &from->base);
	err = context_lids_fill(&lids, qps);
	if (!err)
		err = keys_at_lid(vm, &lids, from);
	context_lids_clear(&lids);
	return err;
}

static int gid_of_row(Tether__GidRows *into, const Tether__GidRows *from, const struct qp_row *row)
{
	uint8_t gid[GID_BYTES];

	return gid_rows_find(from, row->real_lid, gid) ? gid_rows_add(into, gid) : 0;
}

static int gids_of_vm(struct numbers_row *vm, const Tether__GidRows *from)
{
	uint32_t last = 0;
	int err = 0;

	for (size_t i = 0; i < vm->qps.n_real_lid && !err; i++) {
		struct qp_row row = qp_rows_get(&vm->qps, i);

		if (row.real_lid != last)
			err = gid_of_row(&vm->gids, from, &row);
		last = row.real_lid;
	}
	return err;
}

int numbers_set(struct numbers *numbers, const struct address *address, bool shared_port,
        const Tether__QpRows *qps, const Tether__KeyRows *keys, const Tether__GidRows *gids)
{
	struct numbers_row *row = row_make(numbers, address, shared_port);
	int err;

	if (!row)
		return -ENOMEM;
	row_clear(row);
	row->address = *address;
	err = qps_of_vm(&row->qps, qps, row);
	if (!err)
		err = keys_of_vm(row, qps, keys);
	if (!err)
		err = gids_of_vm(row, gids);
	if (err)
		row_clear(row);
	return err;
}

/* ---- who is at an address ---- */

static bool knows_lid(const struct numbers_row *row, uint32_t lid)
{
	for (size_t i = 0; i < row->qps.n_local_lid; i++)
		if (row->qps.local_lid[i] == lid || row->qps.real_lid[i] == lid)
			return true;
	return false;
}

/* A VM that may be meant by @asked. */
static bool is_at(const struct numbers_row *row, const struct address *asked)
{
	if (!row->shared_port)
		return address_matches(asked, &row->address);
	if (has_gid(asked))
		return has_same_gid(asked, &row->address);
	return knows_lid(row, asked->lid);
}

static struct numbers_row *next_at(struct numbers_row *row, const struct address *asked)
{
	while (row && !is_at(row, asked))
		row = row->next;
	return row;
}

#define EACH_AT(numbers, asked, row)                                                               \
	for (row = next_at((numbers)->first, asked); row; row = next_at((row)->next, asked))

static int keys_of_context(Tether__KeyRows *into, const Tether__KeyRows *from, uint32_t context)
{
	int err = 0;

	for (size_t i = 0; i < from->n_context && !err; i++) {
		struct key_row row = key_rows_get(from, i);

		if (row.context == context)
			err = key_rows_append(into, &row);
	}
	return err;
}

/* What an answer is filled with. */
struct found {
	Tether__QpRows *qps;
	Tether__KeyRows *keys; /* NULL: for datagrams */
	Tether__GidRows *gids;
};

static int numbers_append(
        const struct numbers_row *of, const struct qp_row *row, const struct found *found)
{
	int err = qp_rows_append(found->qps, row);

	if (!err && found->keys)
		err = keys_of_context(found->keys, &of->keys, row->context);
	return err ? err : gid_of_row(found->gids, &of->gids, row);
}

/* Who hears it calls it by that. */
static int own_gid_append(const struct numbers_row *of, const struct found *found)
{
	return is_gid_name(of->address.lid) ? gid_rows_add(found->gids, of->address.gid) : 0;
}

/* ---- whose context is there ---- */

struct presence {
	const struct address *address;
	numbers_announced *announced;
	void *owner;
};

static bool is_announced(const struct presence *presence, uint32_t lid, uint32_t context)
{
	struct address asked = *presence->address;

	asked.lid = lid;
	asked.qpn = 0;
	asked.context = context;
	return presence->announced(presence->owner, &asked);
}

/* It is announced under the LID that it shows. */
static bool is_present(
        const struct presence *presence, const struct numbers_row *row, uint32_t context)
{
	if (!row->shared_port)
		return is_announced(presence, presence->address->lid, context);
	for (size_t i = 0; i < row->qps.n_context; i++)
		if (row->qps.context[i] == context)
			return is_announced(presence, row->qps.local_lid[i], context);
	return true;
}

static bool is_doubtful(const struct presence *presence, const struct numbers_row *row)
{
	for (size_t i = 0; i < row->qps.n_context; i++)
		if (!is_present(presence, row, row->qps.context[i]))
			return true;
	for (size_t i = 0; i < row->keys.n_context; i++)
		if (!is_present(presence, row, row->keys.context[i]))
			return true;
	return false;
}

bool numbers_are_doubtful(const struct numbers *numbers, const struct address *address,
        numbers_announced *announced, void *owner)
{
	const struct presence presence = {address, announced, owner};
	struct numbers_row *row;

	EACH_AT(numbers, address, row)
	if (is_doubtful(&presence, row))
		return true;
	return false;
}

/* Who stays: those that are present, or all but one. */
struct choice {
	const struct numbers_row *row;
	const struct presence *presence; /* NULL: */
	uint32_t gone;
};

static bool is_kept(const struct choice *choice, uint32_t context)
{
	return choice->presence ? is_present(choice->presence, choice->row, context)
	                        : context != choice->gone;
}

static bool keeps_qp(const ProtobufCMessage *qps, size_t index, const void *choice)
{
	return is_kept(choice, ((const Tether__QpRows *)qps)->context[index]);
}

static bool keeps_key(const ProtobufCMessage *keys, size_t index, const void *choice)
{
	return is_kept(choice, ((const Tether__KeyRows *)keys)->context[index]);
}

/* Keys first: under which LID a context is announced the rows of its queue pairs say. */
static void row_forget(struct numbers_row *row, const struct choice *choice)
{
	rows_filter(&row->keys.base, keeps_key, choice);
	rows_filter(&row->qps.base, keeps_qp, choice);
}

void numbers_forget_doubtful(struct numbers *numbers, const struct address *address,
        numbers_announced *announced, void *owner)
{
	const struct presence presence = {address, announced, owner};
	struct numbers_row *row;

	EACH_AT(numbers, address, row)
	row_forget(row, &(struct choice){.row = row, .presence = &presence});
}

void numbers_forget_context(
        struct numbers *numbers, const struct address *address, uint32_t context)
{
	struct numbers_row *row;

	EACH_AT(numbers, address, row)
	row_forget(row, &(struct choice){.row = row, .gone = context});
}

/* ---- questions ---- */

/* Connected to nobody, and known by another number, or at another LID, than its own. */
static bool is_moved_datagram(const struct qp_row *row)
{
	return !row->remote_lid && !row->remote_qpn &&
	       (row->real_qpn != row->local_qpn ||
	               (row->real_lid && row->real_lid != row->local_lid));
}

/* Whoever sends there, and whoever hears from there. */
static bool concerns(const struct numbers_row *vm, const struct qp_row *row, uint32_t lid)
{
	return !vm->shared_port || row->local_lid == lid || row->real_lid == lid;
}

static int append_datagram(
        const struct numbers_row *vm, struct qp_row row, const struct found *found)
{
	row.sq_psn = row.context = row.of_vm = 0;
	return numbers_append(vm, &row, found);
}

static int append_datagrams(
        const struct numbers_row *vm, const struct presence *presence, const struct found *found)
{
	int err = own_gid_append(vm, found);

	for (size_t i = 0; i < vm->qps.n_local_qpn && !err; i++) {
		struct qp_row row = qp_rows_get(&vm->qps, i);

		if (is_moved_datagram(&row) && concerns(vm, &row, presence->address->lid) &&
		        is_present(presence, vm, row.context))
			err = append_datagram(vm, row, found);
	}
	return err;
}

static bool has_its_gid(const struct numbers_row *vm, const struct address *asked)
{
	uint8_t gid[GID_BYTES];

	return gid_rows_find(&vm->gids, asked->lid, gid) && !memcmp(gid, asked->gid, sizeof(gid));
}

/* Who knows of a VM nothing but the GID that its device has now: those that are there. */
static int append_heard(
        const struct numbers_row *vm, const struct presence *presence, const struct found *found)
{
	const struct presence there = {&vm->address, presence->announced, presence->owner};
	uint32_t name = presence->address->lid;
	int err = 0;

	if (!is_gid_name(name) || vm->address.lid == name || !has_its_gid(vm, presence->address))
		return 0;
	err = own_gid_append(vm, found);
	for (size_t i = 0; i < vm->qps.n_local_qpn && !err; i++) {
		struct qp_row row = qp_rows_get(&vm->qps, i);

		if (is_moved_datagram(&row) && row.real_lid == name &&
		        is_present(&there, vm, row.context))
			err = append_datagram(vm, row, found);
	}
	return err;
}

int numbers_find_datagrams(const struct numbers *numbers, const struct address *address,
        numbers_announced *announced, void *owner, Tether__QpRows *qps, Tether__GidRows *gids)
{
	const struct found found = {qps, NULL, gids};
	struct address there = *address;
	const struct presence presence = {&there, announced, owner};
	struct numbers_row *row;
	int err = 0;

	/* A LID's table has everybody there, whoever is asked for. */
	if (there.lid && !is_gid_name(there.lid))
		memset(there.gid, 0, sizeof(there.gid));
	EACH_AT(numbers, &there, row)
	{
		if (!err)
			err = append_datagrams(row, &presence, &found);
	}
	for (row = numbers->first; row && !err; row = row->next)
		err = append_heard(row, &presence, &found);
	return err;
}

/* Where the VM is now; 0: nobody has said. */
static uint32_t real_lid(const struct numbers_row *row)
{
	for (size_t i = 0; i < row->qps.n_real_lid; i++)
		if (row->qps.real_lid[i])
			return row->qps.real_lid[i];
	return 0;
}

/* Of those that have moved, each has a row at least: see evidence_report_rebuilt. */
static bool has_context(const struct numbers_row *row, uint32_t context)
{
	for (size_t i = 0; i < row->qps.n_context; i++)
		if (row->qps.context[i] == context)
			return true;
	return false;
}

/* 1: found; 0: not; -ENOMEM */
static int find_at(const struct numbers_row *found, const struct presence *presence, uint32_t qpn,
        bool datagrams, const struct found *answer)
{
	const struct address *address = presence->address;
	struct qp_row row = {.local_lid = address->lid,
	        .local_qpn = qpn,
	        .real_qpn = qpn,
	        .real_lid = real_lid(found)};
	struct address asked = *address;
	const struct address *made_since;
	int err;

	asked.qpn = qpn;
	made_since = presence->announced(presence->owner, &asked);
	if (made_since && found->shared_port && !has_context(found, made_since->context))
		made_since = NULL;
	for (size_t i = 0; i < found->qps.n_local_qpn; i++) {
		struct qp_row moved = qp_rows_get(&found->qps, i);

		if (moved.local_qpn == qpn && !(datagrams && moved.remote_qpn) &&
		        (!found->shared_port || moved.local_lid == address->lid) &&
		        is_present(presence, found, moved.context) &&
		        (!made_since || made_since->context == moved.context)) {
			err = numbers_append(found, &moved, answer);
			return err ? err : 1;
		}
	}
	if (!made_since)
		return 0;
	row.context = made_since->context;
	err = numbers_append(found, &row, answer);
	return err ? err : 1;
}

int numbers_find(const struct numbers *numbers, const struct address *address, uint32_t qpn,
        bool datagrams, numbers_announced *announced, void *owner, Tether__QpRows *qps,
        Tether__KeyRows *keys, Tether__GidRows *gids)
{
	const struct found answer = {qps, keys, gids};
	const struct presence presence = {address, announced, owner};
	struct numbers_row *row;
	int found = 0;

	EACH_AT(numbers, address, row)
	{
		if (!found)
			found = find_at(row, &presence, qpn, datagrams, &answer);
	}
	return found < 0 ? found : 0;
}

/* ---- what an event says of a VM behind a shared port ---- */

bool numbers_each_lid(const struct numbers *numbers, const struct address *vm,
        bool (*each)(void *owner, uint32_t lid), void *owner)
{
	struct numbers_row *row = numbers->first;

	while (row && !is_of(row, vm, true))
		row = row->next;
	for (size_t i = 0; row && i < row->qps.n_local_lid; i++)
		if (!each(owner, row->qps.local_lid[i]))
			return false;
	return true;
}

int numbers_add_others(
        const struct numbers *numbers, const struct address *vm, uint32_t lid, Tether__QpRows *qps)
{
	int err = 0;

	for (struct numbers_row *row = numbers->first; row; row = row->next) {
		if (!row->shared_port || has_same_gid(vm, &row->address))
			continue;
		for (size_t i = 0; i < row->qps.n_local_qpn && !err; i++) {
			struct qp_row other = qp_rows_get(&row->qps, i);

			if (!is_moved_datagram(&other) || !concerns(row, &other, lid))
				continue;
			other.of_vm = 0;
			err = qp_rows_append(qps, &other);
		}
	}
	return err;
}
