/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include "sm-side/numbers.h"

#include <errno.h>
#include <stdlib.h>

#include "notifier/wire/rows.h"

struct numbers_row {
	struct numbers_row *next;
	struct address address;
	Tether__QpRows qps;
	Tether__KeyRows keys;
};

static void row_clear(struct numbers_row *row)
{
	rows_clear(&row->qps.base);
	rows_clear(&row->keys.base);
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

static struct numbers_row *row_find(const struct numbers *numbers, const struct address *address)
{
	struct numbers_row *row = numbers->first;

	while (row && !address_matches(address, &row->address))
		row = row->next;
	return row;
}

static struct numbers_row *row_make(struct numbers *numbers, const struct address *address)
{
	struct numbers_row *row = row_find(numbers, address);

	if (row)
		return row;
	row = calloc(1, sizeof(*row));
	if (!row)
		return NULL;
	tether__qp_rows__init(&row->qps);
	tether__key_rows__init(&row->keys);
	row->address = *address;
	row->next = numbers->first;
	numbers->first = row;
	return row;
}

static int qps_of_vm(Tether__QpRows *into, const Tether__QpRows *from, uint16_t lid)
{
	int err = 0;

	for (size_t i = 0; i < from->n_local_qpn && !err; i++) {
		struct qp_row row = qp_rows_get(from, i);

		if (row.local_lid == lid)
			err = qp_rows_append(into, &row);
	}
	return err;
}

int numbers_set(struct numbers *numbers, const struct address *address, const Tether__QpRows *qps,
        const Tether__KeyRows *keys)
{
	struct numbers_row *row = row_make(numbers, address);
	int err;

	if (!row)
		return -ENOMEM;
	row_clear(row);
	err = qps_of_vm(&row->qps, qps, address->lid);
	if (!err)
		err = rows_concatenate(&row->keys.base, &keys->base);
	if (err)
		row_clear(row);
	return err;
}

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

static int numbers_append(const struct numbers_row *of, const struct qp_row *row,
        Tether__QpRows *qps, Tether__KeyRows *keys)
{
	int err = qp_rows_append(qps, row);

	return err ? err : keys_of_context(keys, &of->keys, row->context);
}

/* ---- whose context is there ---- */

struct presence {
	const struct address *address;
	numbers_announced *announced;
	void *owner;
};

static bool is_present(const struct presence *presence, uint32_t context)
{
	struct address asked = *presence->address;

	asked.qpn = 0;
	asked.context = context;
	return presence->announced(presence->owner, &asked);
}

bool numbers_are_doubtful(const struct numbers *numbers, const struct address *address,
        numbers_announced *announced, void *owner)
{
	const struct presence presence = {address, announced, owner};
	const struct numbers_row *row = row_find(numbers, address);

	for (size_t i = 0; row && i < row->qps.n_context; i++)
		if (!is_present(&presence, row->qps.context[i]))
			return true;
	for (size_t i = 0; row && i < row->keys.n_context; i++)
		if (!is_present(&presence, row->keys.context[i]))
			return true;
	return false;
}

typedef bool keeps(const void *of, uint32_t context);

static bool keeps_present(const void *presence, uint32_t context)
{
	return is_present(presence, context);
}

static bool keeps_others(const void *gone, uint32_t context)
{
	return context != *(const uint32_t *)gone;
}

struct choice {
	keeps *kept;
	const void *of;
};

static bool keeps_qp(const ProtobufCMessage *qps, size_t index, const void *choice)
{
	const struct choice *by = choice;

	return by->kept(by->of, ((const Tether__QpRows *)qps)->context[index]);
}

static bool keeps_key(const ProtobufCMessage *keys, size_t index, const void *choice)
{
	const struct choice *by = choice;

	return by->kept(by->of, ((const Tether__KeyRows *)keys)->context[index]);
}

static void row_forget(struct numbers_row *row, keeps *kept, const void *of)
{
	const struct choice choice = {kept, of};

	rows_filter(&row->qps.base, keeps_qp, &choice);
	rows_filter(&row->keys.base, keeps_key, &choice);
}

void numbers_forget_doubtful(struct numbers *numbers, const struct address *address,
        numbers_announced *announced, void *owner)
{
	const struct presence presence = {address, announced, owner};
	struct numbers_row *row = row_find(numbers, address);

	if (row)
		row_forget(row, keeps_present, &presence);
}

void numbers_forget_context(
        struct numbers *numbers, const struct address *address, uint32_t context)
{
	struct numbers_row *row = row_find(numbers, address);

	if (row)
		row_forget(row, keeps_others, &context);
}

/* Connected to nobody, and known by another number than its own. */
static bool is_moved_datagram(const struct qp_row *row)
{
	return !row->remote_lid && !row->remote_qpn && row->real_qpn != row->local_qpn;
}

int numbers_find_datagrams(const struct numbers *numbers, const struct address *address,
        numbers_announced *announced, void *owner, Tether__QpRows *qps)
{
	const struct presence presence = {address, announced, owner};
	const struct numbers_row *found = row_find(numbers, address);
	int err = 0;

	for (size_t i = 0; found && i < found->qps.n_local_qpn && !err; i++) {
		struct qp_row row = qp_rows_get(&found->qps, i);

		if (!is_moved_datagram(&row) || !is_present(&presence, row.context))
			continue;
		row.sq_psn = row.context = 0;
		err = qp_rows_append(qps, &row);
	}
	return err;
}

int numbers_find(const struct numbers *numbers, const struct address *address, uint32_t qpn,
        numbers_announced *announced, void *owner, Tether__QpRows *qps, Tether__KeyRows *keys)
{
	const struct presence presence = {address, announced, owner};
	const struct numbers_row *found = row_find(numbers, address);
	struct qp_row row = {.local_lid = address->lid, .local_qpn = qpn, .real_qpn = qpn};
	struct address asked = *address;
	const struct address *made_since;

	if (!found)
		return 0;
	asked.qpn = qpn;
	made_since = announced(owner, &asked);
	for (size_t i = 0; i < found->qps.n_local_qpn; i++) {
		struct qp_row moved = qp_rows_get(&found->qps, i);

		if (moved.local_qpn == qpn && is_present(&presence, moved.context) &&
		        (!made_since || made_since->context == moved.context))
			return numbers_append(found, &moved, qps, keys);
	}
	if (!made_since)
		return 0;
	row.context = made_since->context;
	return numbers_append(found, &row, qps, keys);
}
