/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/* What a peer that connects is told: one queue pair, and the keys of its context. */
#include "sm-side/root/numbers_state.h"

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

int numbers_append(
        const struct numbers_row *of, const struct qp_row *row, const struct found *found)
{
	int err = qp_rows_append(found->qps, row);

	if (!err && found->keys)
		err = keys_of_context(found->keys, &of->keys, row->context);
	return err ? err : numbers_gid_append(found->gids, &of->gids, row);
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
		        numbers_is_present(presence, found, moved.context) &&
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
