/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include <errno.h>

#include "notifier/base/monotonic.h"
#include "sm-side/identity/enforced_pkeys.h"
#include "sm-side/plugin/osm_model.h"
#include "sm-side/identity/reread.h"

/* osm_physp_t.need_update: the next PortInfo makes OpenSM read the P_Keys too. On a switch port it
 * would make the next sweep write every LFT. */
enum { REREAD = 2 };

/*
 * NodeInfo through the switch port at @place: OpenSM links whoever answers there, and asks on for
 * its PortInfo. dup_count 1 tells it that the node's being elsewhere till now is no surprise.
 */
static int ask_who_is_at(osm_opensm_t *osm, struct view_place place)
{
	const osm_physp_t *switch_port = osm_model_switch_port(osm, place);
	osm_madw_context_t context = {0};
	osm_dr_path_t route;

	if (!switch_port || osm_model_route_through(switch_port, &route))
		return -EHOSTUNREACH;
	context.ni_context.node_guid = osm_node_get_node_guid(switch_port->p_node);
	context.ni_context.port_num = switch_port->port_num;
	context.ni_context.dup_count = 1;
	return osm_req_get(&osm->sm, &route, IB_MAD_ATTR_NODE_INFO, 0, TRUE, 0, 0,
	               CL_DISP_MSGID_NONE, &context) == IB_SUCCESS
	               ? 0
	               : -EIO;
}

/* OpenSM counts down the blocks that have come. */
static int ask_what_passes(osm_opensm_t *osm, struct view_place place)
{
	osm_physp_t *physp = osm_model_switch_port(osm, place);
	osm_physp_t *port0 = physp ? osm_node_get_physp_ptr(physp->p_node, 0) : NULL;
	osm_madw_context_t context = {0};
	unsigned blocks;

	if (!port0)
		return -EHOSTUNREACH;
	blocks = osm_pkey_tbl_get_num_blocks(&physp->pkeys);
	context.pkey_context.node_guid = osm_node_get_node_guid(physp->p_node);
	context.pkey_context.port_guid = osm_physp_get_port_guid(physp);
	physp->pkeys.rcv_blocks_cnt = (uint16_t)blocks;
	for (unsigned i = 0; i < blocks; i++)
		if (osm_req_get(&osm->sm, osm_physp_get_dr_path_ptr(port0), IB_MAD_ATTR_P_KEY_TABLE,
		            cl_hton32((uint32_t)physp->port_num << 16 | i), FALSE,
		            ib_port_info_get_m_key(&port0->port_info), 0, CL_DISP_MSGID_NONE,
		            &context) != IB_SUCCESS)
			return -EIO;
	return 0;
}

static int ask_at(osm_opensm_t *osm, struct view_place place)
{
	int error = ask_who_is_at(osm, place);

	return error ? error : ask_what_passes(osm, place);
}

static enum refusal want_reread(const osm_opensm_t *osm, uint64_t port_guid)
{
	const osm_port_t *port = osm_model_port(osm, port_guid);

	if (!port || !port->p_physp)
		return REFUSAL_UNKNOWN_PORT;
	port->p_physp->need_update = REREAD;
	return REFUSAL_NONE;
}

static enum refusal ask_locked(osm_opensm_t *osm, const struct plan *plan)
{
	for (uint32_t i = 0; i < plan->transfer_count; i++)
		if (plan_transfer_moves(&plan->transfers[i]) &&
		        want_reread(osm, plan->transfers[i].identity.port_guid))
			return REFUSAL_UNKNOWN_PORT;
	for (uint32_t i = 0; i < plan->transfer_count; i++)
		if (plan_transfer_moves(&plan->transfers[i]) && ask_at(osm, plan->transfers[i].to))
			return REFUSAL_GUIDS_NOT_THERE;
	return REFUSAL_NONE;
}

enum refusal reread_ask(osm_opensm_t *osm, const struct plan *plan)
{
	enum refusal refused;

	CL_PLOCK_EXCL_ACQUIRE(&osm->lock);
	refused = ask_locked(osm, plan);
	CL_PLOCK_RELEASE(&osm->lock);
	return refused;
}

/* A question leads OpenSM to further ones, which it has always posted before the first counts as
 * answered; so idle means that all answers are in, or lost. */
enum refusal reread_wait(struct smp_sender *sender, uint64_t deadline_ns)
{
	uint64_t pause = 0;

	while (!smp_sender_opensm_is_idle(sender)) {
		if (osm_exit_flag)
			return REFUSAL_SHUTTING_DOWN;
		if (monotonic_ns() > deadline_ns)
			return REFUSAL_NOT_ACKNOWLEDGED;
		monotonic_back_off(&pause);
	}
	return osm_exit_flag ? REFUSAL_SHUTTING_DOWN : REFUSAL_NONE;
}

bool reread_is_complete(const osm_opensm_t *osm, const osm_physp_t *physp)
{
	const osm_physp_t *switch_port = enforced_pkeys_port(osm, physp);

	if (switch_port && switch_port->pkeys.rcv_blocks_cnt)
		return false;
	return physp->need_update < REREAD && physp->pkeys.rcv_blocks_cnt == 0;
}
