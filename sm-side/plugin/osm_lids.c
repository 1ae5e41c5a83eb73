/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include <opensm/osm_db_pack.h>

#include "notifier/base/cleanup.h"
#include "notifier/base/monotonic.h"
#include "sm-side/plugin/osm_lids.h"
#include "sm-side/plan/fabric_view.h"

struct osm_lids {
	osm_opensm_t *osm;
	pthread_mutex_t lock; /* inside OpenSM's */
	struct lid_pool *resting;
	uint64_t *left_by; /* by LID: the port GUID of whom it rests from */
};

struct osm_lids *osm_lids_create(osm_opensm_t *osm)
{
	struct osm_lids *lids = calloc(1, sizeof(*lids));

	if (!lids)
		return NULL;
	lids->osm = osm;
	lids->resting = lid_pool_create(LID_LOWEST);
	lids->left_by = calloc(LID_UNICAST_MAX + 1, sizeof(*lids->left_by));
	if (!lids->resting || !lids->left_by) {
		lid_pool_destroy(lids->resting);
		free(lids->left_by);
		free(lids);
		return NULL;
	}
	pthread_mutex_init(&lids->lock, NULL);
	return lids;
}

void osm_lids_destroy(struct osm_lids *lids)
{
	if (!lids)
		return;
	pthread_mutex_destroy(&lids->lock);
	lid_pool_destroy(lids->resting);
	free(lids->left_by);
	free(lids);
}

static struct lid_pool *resting_now(struct osm_lids *lids)
{
	LOCK_GUARD(&lids->lock);

	lid_pool_wake(lids->resting, monotonic_ns());
	return lid_pool_copy(lids->resting);
}

static void hold_promised(const struct osm_lids *lids, struct lid_pool *pool)
{
	osm_db_domain_t *g2l = lids->osm->sm.lid_mgr.p_g2l;
	cl_qlist_t guids;

	cl_qlist_init(&guids);
	osm_db_guid2lid_guids(g2l, &guids);
	for (cl_list_item_t *item; (item = cl_qlist_remove_head(&guids)) != cl_qlist_end(&guids);
	        free(item)) {
		const osm_db_guid_elem_t *row = (const osm_db_guid_elem_t *)(const void *)item;
		uint16_t low, high;

		if (osm_db_guid2lid_get(g2l, row->guid, &low, &high))
			continue;
		for (uint32_t lid = low; lid <= high; lid++)
			lid_pool_hold(pool, (uint16_t)lid);
	}
}

struct lid_pool *osm_lids_free_ones(struct osm_lids *lids)
{
	struct lid_pool *pool = resting_now(lids);

	if (pool)
		hold_promised(lids, pool);
	return pool;
}

static int grow(uint8_t **table, uint32_t entries, uint32_t wanted)
{
	uint8_t *grown = *table ? realloc(*table, wanted) : NULL;

	if (!*table)
		return 0;
	if (!grown)
		return -ENOMEM;
	memset(grown + entries, OSM_NO_PATH, wanted - entries);
	*table = grown;
	return 0;
}

/* As OpenSM itself makes them longer. */
static int switch_make_room(osm_switch_t *sw, uint16_t lid)
{
	uint32_t wanted = (lid / LFT_BLOCK_LIDS + 1u) * LFT_BLOCK_LIDS;

	if (wanted <= sw->lft_size)
		return 0;
	if (grow(&sw->lft, sw->lft_size, wanted) || grow(&sw->new_lft, sw->lft_size, wanted))
		return -ENOMEM;
	sw->lft_size = (uint16_t)wanted;
	return 0;
}

static int make_room(osm_opensm_t *osm, uint16_t lid)
{
	cl_qmap_t *table = &osm->subn.sw_guid_tbl;

	for (cl_map_item_t *item = cl_qmap_head(table); item != cl_qmap_end(table);
	        item = cl_qmap_next(item))
		if (switch_make_room((osm_switch_t *)item, lid))
			return -ENOMEM;
	return 0;
}

uint16_t osm_lids_promised(const struct osm_lids *lids, uint64_t port_guid)
{
	uint16_t low = 0, high;

	return osm_db_guid2lid_get(lids->osm->sm.lid_mgr.p_g2l, port_guid, &low, &high) ? 0 : low;
}

static bool rests_from_another(struct osm_lids *lids, uint64_t port_guid, uint16_t lid)
{
	LOCK_GUARD(&lids->lock);

	lid_pool_wake(lids->resting, monotonic_ns());
	return !lid_pool_is_free(lids->resting, lid) && lids->left_by[lid] != port_guid;
}

static bool comes(const struct plan_transfer *transfer)
{
	return !transfer->from.switch_guid && transfer->to.switch_guid;
}

static bool ends(const struct plan_transfer *transfer)
{
	return !transfer->to.switch_guid;
}

/* @nobodys: what is promised to no GUID. */
static bool may_have(
        struct osm_lids *lids, const struct lid_pool *nobodys, const struct plan_transfer *transfer)
{
	const struct plan_identity *identity = &transfer->identity;
	uint16_t promised = osm_lids_promised(lids, identity->port_guid);

	if (promised == identity->lid)
		return true;
	if (!lid_pool_is_free(nobodys, identity->lid))
		return false;
	return ends(transfer) ||
	       (!promised && !rests_from_another(lids, identity->port_guid, identity->lid));
}

static bool lids_change_hands(const struct plan *plan)
{
	for (uint32_t i = 0; i < plan->transfer_count; i++)
		if (comes(&plan->transfers[i]) || ends(&plan->transfers[i]))
			return true;
	return false;
}

int osm_lids_check(struct osm_lids *lids, const struct plan *plan)
{
	struct lid_pool *nobodys;
	int error = 0;

	if (!lids_change_hands(plan))
		return 0;
	nobodys = lid_pool_create(LID_LOWEST);
	if (!nobodys)
		return -ENOMEM;
	hold_promised(lids, nobodys);
	for (uint32_t i = 0; i < plan->transfer_count; i++) {
		const struct plan_transfer *transfer = &plan->transfers[i];

		if ((comes(transfer) || ends(transfer)) && !may_have(lids, nobodys, transfer))
			error = -EEXIST;
	}
	lid_pool_destroy(nobodys);
	return error;
}

int osm_lids_promise(struct osm_lids *lids, uint64_t port_guid, uint16_t lid)
{
	osm_db_domain_t *g2l = lids->osm->sm.lid_mgr.p_g2l;
	uint16_t promised = osm_lids_promised(lids, port_guid);

	if (promised && promised != lid)
		return -EEXIST;
	if (make_room(lids->osm, lid) || osm_db_guid2lid_set(g2l, port_guid, lid, lid))
		return -ENOMEM;
	return 0;
}

void osm_lids_take_back(struct osm_lids *lids, uint64_t port_guid, uint16_t lid)
{
	LOCK_GUARD(&lids->lock);

	if (osm_lids_promised(lids, port_guid) != lid)
		return;
	osm_db_guid2lid_delete(lids->osm->sm.lid_mgr.p_g2l, port_guid);
	lids->left_by[lid] = port_guid;
	lid_pool_give_back(
	        lids->resting, lid, monotonic_ns() + osm_lids_packet_lifetime_ns(lids->osm));
}

uint64_t osm_lids_packet_lifetime_ns(const osm_opensm_t *osm)
{
	return UINT64_C(4096) << (osm->subn.opt.packet_life_time & 0x1f);
}
