/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include "preload/move_address.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "notifier/wire/gid_name.h"
#include "preload/device.h"

/* (LID, QPN) in one word. */
static uint64_t endpoint(uint32_t lid, uint32_t qpn)
{
	return (uint64_t)lid << 32 | qpn;
}

static int by_number(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

/* ---- what the events say ---- */

static int take_lids(struct move *move, const Tether__Event *event)
{
	uint32_t *lids;

	if (!event->n_known_lids)
		return 0;
	lids = malloc(event->n_known_lids * sizeof(*lids));
	if (!lids)
		return -ENOMEM;
	memcpy(lids, event->known_lids, event->n_known_lids * sizeof(*lids));
	free(move->known_lids);
	move->known_lids = lids;
	move->known_lid_count = event->n_known_lids;
	return 0;
}

static int take_qps(struct move *move, const Tether__QpRows *rows)
{
	uint64_t *qps;
	size_t count, kept = 0;
	int err = qp_rows_count(rows, &count);

	if (err || !rows)
		return err;
	qps = malloc((count + 1) * sizeof(*qps));
	if (!qps)
		return -ENOMEM;
	for (size_t i = 0; i < count; i++) {
		struct qp_row row = qp_rows_get(rows, i);

		if (row.of_vm)
			qps[kept++] = endpoint(row.local_lid, row.local_qpn);
	}
	qsort(qps, kept, sizeof(*qps), by_number);
	free(move->vm_qps);
	move->vm_qps = qps;
	move->vm_qp_count = kept;
	return 0;
}

static void take_address(struct move *move, const Tether__Address *address)
{
	if (!address)
		return;
	move->lid = address->lid;
	move->has_gid = address->gid.len == sizeof(move->gid);
	if (move->has_gid)
		memcpy(&move->gid, address->gid.data, sizeof(move->gid));
}

int move_address_take(struct move *move, const Tether__Event *event)
{
	int err;

	if (!move->knows_address)
		take_address(move, event->address);
	move->knows_address = true;
	/* Who opens a device looks at it, but not before the device has been taken: the event that
	 * says so first is older than that. */
	if (event->shared_port && !move->shared_port)
		move->shared_port = true;
	/* Of a VM with several VFs, too. */
	err = move->state == MOVE_KNOWN ? take_lids(move, event) : 0;
	return err || !move->shared_port ? err : take_qps(move, event->qps);
}

void move_address_clear(struct move *move)
{
	free(move->known_lids);
	free(move->vm_qps);
	move->known_lids = NULL;
	move->vm_qps = NULL;
	move->known_lid_count = move->vm_qp_count = 0;
}

/* ---- whose it is ---- */

static bool is_gid(const struct move *move, const union ibv_gid *gid)
{
	return move->has_gid && !memcmp(gid, &move->gid, sizeof(*gid));
}

bool move_address_is(const struct move *move, const Tether__Event *event)
{
	const Tether__Address *address = event->address;
	bool by_lid;

	if (!address)
		return false;
	by_lid = !move->shared_port && !event->shared_port;
	if (by_lid)
		return move_has_lid(move, address->lid);
	return address->gid.len == sizeof(move->gid) &&
	       is_gid(move, (const union ibv_gid *)(const void *)address->gid.data);
}

static bool have_any_lid(const struct move *move, const struct port *ports)
{
	bool found = ports_have_lid(ports, move->lid);

	for (size_t i = 0; i < move->known_lid_count; i++)
		found |= ports_have_lid(ports, move->known_lids[i]);
	return found;
}

bool move_has_ports(const struct move *move, const struct port *ports)
{
	if (!move->shared_port)
		return have_any_lid(move, ports);
	return move->has_gid && ports_have_gid(ports, &move->gid);
}

bool move_has_several_vfs(const struct move *move)
{
	return !move->shared_port && move->known_lid_count;
}

static bool has_qp(const struct move *move, const struct remote *remote)
{
	uint64_t key = endpoint(remote->lid, remote->qpn);

	return !move->vm_qps ||
	       bsearch(&key, move->vm_qps, move->vm_qp_count, sizeof(key), by_number);
}

bool move_has_remote(const struct move *move, const struct remote *remote)
{
	if (!move_has_lid(move, remote->lid))
		return false;
	return !move->shared_port || has_qp(move, remote);
}

/* ---- each of its LIDs ---- */

/* Few, and once each. */
struct lids {
	uint32_t *lids;
	size_t count;
};

static void add(struct lids *lids, uint32_t lid)
{
	for (size_t i = 0; i < lids->count; i++) {
		if (lids->lids[i] == lid)
			return;
	}
	lids->lids[lids->count++] = lid;
}

static void add_rows(
        const struct move *move, struct lids *lids, const Tether__QpRows *rows, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		struct qp_row row = qp_rows_get(rows, i);

		if (!move_has_row(move, &row))
			continue;
		add(lids, row.local_lid);
		if (row.real_lid)
			add(lids, row.real_lid);
	}
}

int move_each_lid(struct move *move, move_at_lid *at_lid, void *owner)
{
	int err = at_lid(move, move->lid, owner);

	for (size_t i = 0; i < move->known_lid_count && !err; i++)
		err = at_lid(move, move->known_lids[i], owner);
	return err;
}

int move_each_lid_in(
        struct move *move, const Tether__QpRows *rows, move_at_lid *at_lid, void *owner)
{
	struct lids lids = {0};
	size_t count = 0;
	/* Elsewhere it takes its LIDs along. */
	bool may_be_elsewhere = move->shared_port || is_gid_name(move->lid);
	int err = may_be_elsewhere ? qp_rows_count(rows, &count) : 0;

	if (err)
		return err;
	lids.lids = malloc((1 + move->known_lid_count + 2 * count) * sizeof(*lids.lids));
	if (!lids.lids)
		return -ENOMEM;
	add(&lids, move->lid);
	for (size_t i = 0; i < move->known_lid_count; i++)
		add(&lids, move->known_lids[i]);
	add_rows(move, &lids, rows, count);
	for (size_t i = 0; i < lids.count && !err; i++)
		err = at_lid(move, lids.lids[i], owner);
	free(lids.lids);
	return err;
}
