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

int numbers_find(const struct numbers *numbers, const struct address *address, uint32_t qpn,
        const struct address *announced, Tether__QpRows *qps, Tether__KeyRows *keys)
{
	const struct numbers_row *found = row_find(numbers, address);
	struct qp_row row = {.local_lid = address->lid, .local_qpn = qpn, .real_qpn = qpn};

	if (!found)
		return 0;
	for (size_t i = 0; i < found->qps.n_local_qpn; i++) {
		struct qp_row moved = qp_rows_get(&found->qps, i);

		if (moved.local_qpn == qpn)
			return numbers_append(found, &moved, qps, keys);
	}
	if (!announced)
		return 0;
	row.context = announced->context;
	return numbers_append(found, &row, qps, keys);
}
