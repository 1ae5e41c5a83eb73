/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include "preload/interest_answer.h"

#include "notifier/wire/rows.h"
#include "preload/remote_place.h"

/* Where nothing is translated there is no table; where a key has come back to be its own, what
 * stands in it is of an earlier place. */
static struct remote_keys *table_for(uint32_t lid, const struct key_row *row)
{
	if (row->virtual_rkey == row->real_rkey && !remote_keys_find(lid, row->context))
		return NULL;
	return remote_keys_of(lid, row->context);
}

static void take_keys(
        uint32_t lid, uint32_t context, const Tether__KeyRows *rows, struct remote *remote)
{
	size_t count;

	if (key_rows_count(rows, &count))
		return;
	for (size_t i = 0; i < count; i++) {
		struct key_row row = key_rows_get(rows, i);
		struct remote_keys *keys = row.context == context ? table_for(lid, &row) : NULL;

		if (!keys)
			continue;
		remote->keys = keys;
		remote_keys_set(keys, row.virtual_rkey, row.real_rkey, row.window);
	}
}

void interest_answer_take(const Tether__InterestAnswer *answer, struct remote *remote)
{
	size_t count;

	if (qp_rows_count(answer->qps, &count))
		return;
	for (size_t i = 0; i < count; i++) {
		struct qp_row row = qp_rows_get(answer->qps, i);

		if (row.local_qpn != remote->qpn || row.local_lid != remote->lid)
			continue;
		remote->real_qpn = row.real_qpn;
		if (row.real_lid)
			remote_goes_to(remote, row.real_lid, answer->gids);
		take_keys(row.local_lid, row.context, answer->keys, remote);
	}
}
