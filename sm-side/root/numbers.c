/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/* Which they are: kept by VM, from the rows that a migration brings. */
#include "sm-side/root/numbers_state.h"

#include <errno.h>
#include <stdlib.h>

#include "notifier/wire/context_lids.h"
#include "notifier/wire/gid_name.h"

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

/* Under Shared Port LIDs are others' as well, and the GID is the VM's. */
static bool is_of(const struct numbers_row *row, const struct address *vm, bool shared_port)
{
	if (row->shared_port != shared_port)
		return false;
	return shared_port ? numbers_same_gid(vm, &row->address)
	                   : address_matches(vm, &row->address);
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

int numbers_gid_append(Tether__GidRows *into, const Tether__GidRows *from, const struct qp_row *row)
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
			err = numbers_gid_append(&vm->gids, from, &row);
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

static bool has_gid(const struct address *address)
{
	static const uint8_t none[sizeof(address->gid)];

	return memcmp(address->gid, none, sizeof(none)) != 0;
}

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
		return numbers_same_gid(asked, &row->address);
	return knows_lid(row, asked->lid);
}

struct numbers_row *numbers_next_at(struct numbers_row *row, const struct address *asked)
{
	while (row && !is_at(row, asked))
		row = row->next;
	return row;
}

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
