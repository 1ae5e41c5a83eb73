/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include <errno.h>
#include <stdlib.h>

#include <opensm/osm_config.h>
#include <opensm/osm_multicast.h>
#include <opensm/osm_mcm_port.h>
#include <opensm/osm_opensm.h>

#include "notifier/base/die_point.h"
#include "sm-side/identity/enforced_pkeys.h"
#include "sm-side/identity/identity_sides.h"
#include "sm-side/plugin/osm_model.h"
#include "sm-side/identity/reread.h"
#include "sm-side/identity/smp_sender.h"

/* Exported by OpenSM, in none of its installed headers. */
void osm_req_get_node_desc(osm_sm_t *sm, osm_physp_t *physp);

struct identity_sides {
	struct plan_identity *at; /* those that move */
	uint32_t count;
};

struct identity_sides *identity_sides_create(const struct plan *plan)
{
	struct identity_sides *sides = calloc(1, sizeof(*sides));

	if (sides)
		sides->at = calloc(plan->transfer_count + 1, sizeof(*sides->at));
	if (!sides || !sides->at) {
		free(sides);
		return NULL;
	}
	for (uint32_t i = 0; i < plan->transfer_count; i++) {
		const struct plan_transfer *transfer = &plan->transfers[i];

		if (plan_transfer_moves(transfer))
			sides->at[sides->count++] = transfer->identity;
	}
	return sides;
}

void identity_sides_destroy(struct identity_sides *sides)
{
	if (!sides)
		return;
	free(sides->at);
	free(sides);
}

enum refusal identity_sides_check(const struct identity_sides *sides, const osm_opensm_t *osm)
{
	for (uint32_t i = 0; i < sides->count; i++) {
		const osm_port_t *port = osm_model_port(osm, sides->at[i].port_guid);

		if (!port || !port->p_physp)
			return REFUSAL_UNKNOWN_PORT;
		if (!reread_is_complete(osm, port->p_physp))
			return REFUSAL_GUIDS_NOT_THERE;
	}
	return REFUSAL_NONE;
}

/* Posting, and where it is counted. */
struct sides_put {
	const struct move_tools *tools;
	struct plan_counts *sent;
};

static int put_pkey_block(const struct sides_put *put, const struct plan_identity *side,
        enum pkey_holder holder, unsigned block, const ib_pkey_table_t *wanted)
{
	struct smp_sender *sender = put->tools->sender;
	int error = sender->kind->pkeys_write(
	        sender, side->port_guid, holder, (uint16_t)block, (const uint8_t *)wanted);

	if (error)
		return error;
	put->sent->pkey++;
	return 1;
}

/* The put functions post what is not as it should be; they return how many Sets, or -errno. */
static int put_ca_pkeys(
        const struct sides_put *put, const struct plan_identity *side, const osm_physp_t *physp)
{
	unsigned blocks = osm_pkey_tbl_get_num_blocks(&physp->pkeys);
	int posted = 0;

	for (unsigned i = 0; i < blocks; i++) {
		const ib_pkey_table_t *wanted = osm_model_pkeys_wanted(physp, i);
		int one;

		if (!wanted || osm_model_pkeys_equal(osm_model_pkeys_there(physp, i), wanted))
			continue;
		one = put_pkey_block(put, side, PKEYS_OF_CA, i, wanted);
		if (one < 0)
			return one;
		posted += one;
	}
	return posted;
}

static int put_enforced_pkeys(
        const struct sides_put *put, const struct plan_identity *side, const osm_physp_t *ca)
{
	const osm_physp_t *physp = enforced_pkeys_port(put->tools->osm, ca);
	unsigned blocks = physp ? osm_pkey_tbl_get_num_blocks(&physp->pkeys) : 0;
	int posted = 0;

	for (unsigned i = 0; i < blocks; i++) {
		ib_pkey_table_t wanted;
		int one;

		if (enforced_pkeys_stand(physp, ca, i, &wanted))
			continue;
		one = put_pkey_block(put, side, PKEYS_OF_SWITCH_PORT, i, &wanted);
		if (one < 0)
			return one;
		posted += one;
	}
	return posted;
}

static int put_lid(
        const struct sides_put *put, const struct plan_identity *side, const osm_physp_t *physp)
{
	struct smp_sender *sender = put->tools->sender;
	int error;

	if (cl_ntoh16(osm_physp_get_base_lid(physp)) == side->lid)
		return 0;
	error = sender->kind->lid_write(sender, side->port_guid, side->lid);
	if (error)
		return error;
	put->sent->portinfo++;
	return 1;
}

static int put_side(const struct sides_put *put, const struct plan_identity *side)
{
	const osm_port_t *port = osm_model_port(put->tools->osm, side->port_guid);
	int pkeys, enforced, lid;

	if (!port || !port->p_physp)
		return -ENOENT;
	pkeys = put_ca_pkeys(put, side, port->p_physp);
	enforced = pkeys < 0 ? pkeys : put_enforced_pkeys(put, side, port->p_physp);
	lid = enforced < 0 ? enforced : put_lid(put, side, port->p_physp);
	return lid < 0 ? lid : pkeys + enforced + lid;
}

/* The sweeper's thread computes the trees anew when we have let go of the lock. */
static uint32_t reroute_groups(osm_opensm_t *osm, const osm_port_t *port)
{
	uint32_t count = 0;

	for (const cl_list_item_t *item = cl_qlist_head(&port->mcm_list);
	        item != cl_qlist_end(&port->mcm_list); item = cl_qlist_next(item), count++) {
		const osm_mcm_port_t *member =
		        (const osm_mcm_port_t *)(const void *)((const char *)item -
		                                               offsetof(osm_mcm_port_t, list_item));

		osm_sm_reroute_mlid(&osm->sm, member->mgrp->mlid);
	}
	return count;
}

enum refusal identity_sides_put(const struct identity_sides *sides, const struct move_tools *tools,
        struct plan_counts *sent)
{
	struct sides_put put = {tools, sent};

	for (uint32_t i = 0; i < sides->count; i++) {
		if (put_side(&put, &sides->at[i]) < 0)
			return REFUSAL_NOT_ACKNOWLEDGED;
		die_point(DIE_SM_APPLY, "port");
	}
	for (uint32_t i = 0; i < sides->count; i++) {
		const osm_port_t *port = osm_model_port(tools->osm, sides->at[i].port_guid);

		osm_req_get_node_desc(&tools->osm->sm, port->p_physp);
		sent->groups += reroute_groups(tools->osm, port);
	}
	return REFUSAL_NONE;
}

int identity_sides_put_again(const struct identity_sides *sides, const struct move_tools *tools)
{
	struct plan_counts unused = {0};
	struct sides_put put = {tools, &unused};
	int one = 0, posted = 0;

	CL_PLOCK_EXCL_ACQUIRE(&tools->osm->lock);
	for (uint32_t i = 0; i < sides->count && one >= 0; i++) {
		one = put_side(&put, &sides->at[i]);
		posted += one;
	}
	CL_PLOCK_RELEASE(&tools->osm->lock);
	return one < 0 ? one : posted;
}
