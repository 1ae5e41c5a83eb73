/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/* What those are told who send datagrams to a VM, or hear them from one. */
#include "sm-side/root/numbers_state.h"

#include <string.h>

#include "notifier/wire/gid_name.h"

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

/* Who hears it calls it by that. */
static int own_gid_append(const struct numbers_row *of, const struct found *found)
{
	return is_gid_name(of->address.lid) ? gid_rows_add(found->gids, of->address.gid) : 0;
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
		        numbers_is_present(presence, vm, row.context))
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
		        numbers_is_present(&there, vm, row.context))
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

int numbers_add_others(
        const struct numbers *numbers, const struct address *vm, uint32_t lid, Tether__QpRows *qps)
{
	int err = 0;

	for (struct numbers_row *row = numbers->first; row; row = row->next) {
		if (!row->shared_port || numbers_same_gid(vm, &row->address))
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
