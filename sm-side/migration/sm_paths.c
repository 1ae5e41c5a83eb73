/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include <errno.h>
#include <stdlib.h>

#include "notifier/base/cleanup.h"
#include "notifier/wire/rows.h"
#include "sm-side/json_read.h"
#include "sm-side/migration/sm_paths.h"

enum { LIDS = 0xc000, MTU_MAX = 5, RATE_MAX = 63, SL_MAX = 15 };

#define TABLE(rows) ((ProtobufCMessage *)(rows))

static void peer_put(struct json_object *list, bool *is_known, uint32_t lid)
{
	if (lid == 0 || lid >= LIDS || is_known[lid])
		return;
	is_known[lid] = true;
	json_object_array_add(list, json_object_new_int64(lid));
}

static void peers_put(struct json_object *list, bool *is_known, const struct migration *m)
{
	uint32_t vm = m->intent.vfs[m->sm_vf].address.lid;
	size_t count;

	if (qp_rows_count(&m->testimony.qps, &count))
		return;
	is_known[vm < LIDS ? vm : 0] = true;
	for (size_t i = 0; i < count; i++) {
		struct qp_row row = qp_rows_get(&m->testimony.qps, i);

		if (row.local_lid == vm)
			peer_put(list, is_known, row.remote_lid);
		else if (row.remote_lid == vm)
			peer_put(list, is_known, row.local_lid);
	}
}

void sm_paths_ask(struct json_object *request, const struct migration *m)
{
	CLEANUP_FREE bool *is_known = calloc(LIDS, sizeof(*is_known));
	struct json_object *list;
	size_t count;

	if (!is_known)
		return;
	list = json_object_new_array();
	peers_put(list, is_known, m);
	count = json_object_array_length(list);
	if (count && count <= SM_PATHS_PEERS_MAX)
		json_object_object_add(request, "peers", list);
	else
		json_object_put(list);
}

static int row_read(struct json_object *from, struct path_row *row)
{
	uint64_t local, remote, mtu, rate, sl;
	int error = json_read_number(from, "sl", SL_MAX, &sl);

	if (error == -EINVAL || json_read_number(from, "local_lid", LIDS - 1, &local) ||
	        json_read_number(from, "remote_lid", LIDS - 1, &remote) ||
	        json_read_number(from, "mtu", MTU_MAX, &mtu) ||
	        json_read_number(from, "rate", RATE_MAX, &rate))
		return -EINVAL;
	*row = (struct path_row){
	        .local_lid = (uint32_t)local,
	        .remote_lid = (uint32_t)remote,
	        .sl = error ? SM_PATHS_SL_AS_BEFORE : (uint32_t)sl,
	        .mtu = (uint32_t)mtu,
	        .rate = (uint32_t)rate,
	};
	return 0;
}

static void row_take(Tether__PathRows *paths, const struct path_row *row)
{
	struct path_row back = *row;

	back.local_lid = row->remote_lid;
	back.remote_lid = row->local_lid;
	if (path_rows_append(paths, row) || path_rows_append(paths, &back))
		rows_clear(TABLE(paths));
}

void sm_paths_take(struct migration *m, struct json_object *answer)
{
	Tether__PathRows *paths = &m->testimony.paths;
	struct json_object *list;

	/* What was said of the VFs before this one stands beside it. */
	if (!m->sm_vf) {
		rows_clear(TABLE(paths));
		tether__path_rows__init(paths);
	}
	if (!json_object_object_get_ex(answer, "paths", &list) ||
	        !json_object_is_type(list, json_type_array))
		return;
	for (size_t i = 0; i < json_object_array_length(list); i++) {
		struct json_object *from = json_object_array_get_idx(list, i);
		struct path_row row;

		if (json_object_is_type(from, json_type_object) && !row_read(from, &row) &&
		        row.local_lid == m->intent.vfs[m->sm_vf].address.lid)
			row_take(paths, &row);
	}
}
