/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * What waits for an acknowledgement is kept in a list: the LFT_CHANGE event that a response raises
 * names switch and block but no transaction, so it is matched by the bytes too. SMPs are repeated
 * by the transport first; only when nothing of OpenSM's is under way any more is a block without
 * acknowledgement known to be lost, and sent again.
 */
#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include <opensm/osm_config.h>
#include <opensm/osm_opensm.h>

#include "notifier/base/cleanup.h"
#include "notifier/base/monotonic.h"
#include "sm-side/plugin/osm_model.h"
#include "sm-side/identity/smp_sender.h"

enum {
	RESEND_ROUNDS = 3,
	IDLE_POLL_NS = 1000000,
};

struct lft_pending {
	uint64_t switch_guid;
	uint16_t block;
	bool is_read;
	bool acknowledged;
	uint8_t expected[LFT_BLOCK_LIDS];
};

struct opensm_sender {
	struct smp_sender sender;
	osm_opensm_t *osm;
	pthread_mutex_t lock; /* inside OpenSM's */
	pthread_cond_t all_acknowledged;
	struct lft_pending *pending;
	uint32_t count, room;
	uint32_t first; /* all before it are acknowledged; answers come about in order */
	uint32_t unacknowledged;
};

static struct opensm_sender *opensm_sender_of(struct smp_sender *sender)
{
	return (struct opensm_sender *)(void *)sender;
}

int smp_sender_opensm_is_idle(const struct smp_sender *sender)
{
	osm_stats_t *stats = &((const struct opensm_sender *)(const void *)sender)->osm->stats;
	LOCK_GUARD(&stats->mutex);

	return stats->qp0_mads_outstanding == 0;
}

static int status_to_errno(ib_api_status_t status)
{
	return status == IB_SUCCESS ? 0 : -EIO;
}

/* Room for one more before it is sent, so that a response always finds its row. */
static int pending_add(struct opensm_sender *s, const struct lft_pending *row)
{
	LOCK_GUARD(&s->lock);

	if (s->count == s->room) {
		uint32_t room = s->room ? s->room * 2 : 64;
		struct lft_pending *grown = reallocarray(s->pending, room, sizeof(*grown));

		if (!grown)
			return -ENOMEM;
		s->pending = grown;
		s->room = room;
	}
	s->pending[s->count++] = *row;
	s->unacknowledged++;
	return 0;
}

static int lft_send(struct opensm_sender *s, const osm_switch_t *sw, const struct lft_pending *row)
{
	osm_sm_t *sm = &s->osm->sm;
	osm_physp_t *port0 = osm_node_get_physp_ptr(sw->p_node, 0);
	osm_madw_context_t context = {0};
	ib_net64_t m_key;

	if (!port0)
		return -EHOSTUNREACH;
	m_key = ib_port_info_get_m_key(&port0->port_info);
	context.lft_context.node_guid = osm_node_get_node_guid(sw->p_node);
	context.lft_context.set_method = !row->is_read;
	if (row->is_read)
		return status_to_errno(osm_req_get(sm, osm_physp_get_dr_path_ptr(port0),
		        IB_MAD_ATTR_LIN_FWD_TBL, cl_hton32(row->block), FALSE, m_key, 0,
		        CL_DISP_MSGID_NONE, &context));
	return status_to_errno(osm_req_set(sm, osm_physp_get_dr_path_ptr(port0), row->expected,
	        LFT_BLOCK_LIDS, IB_MAD_ATTR_LIN_FWD_TBL, cl_hton32(row->block), FALSE, m_key, 0,
	        CL_DISP_MSGID_NONE, &context));
}

static int block_write(struct opensm_sender *s, const struct plan_change *change)
{
	const osm_switch_t *sw = osm_model_switch(s->osm, change->switch_guid);
	struct lft_pending row = {.switch_guid = change->switch_guid, .block = change->block};
	uint8_t *wanted;
	int error;

	if (!sw)
		return -ENOENT;
	if (!osm_model_has_block(sw, change->block))
		return -ENOSPC;
	wanted = sw->new_lft + (size_t)change->block * LFT_BLOCK_LIDS;
	if (memcmp(wanted, change->before, LFT_BLOCK_LIDS))
		return -ESTALE;
	memcpy(row.expected, change->after, LFT_BLOCK_LIDS);
	error = pending_add(s, &row);
	if (error)
		return error;
	memcpy(wanted, change->after, LFT_BLOCK_LIDS);
	/* As OpenSM does: until the switch has answered, its copy must not look right, or a sweep
	 * would leave a lost Set unmended. */
	memset(sw->lft + (size_t)change->block * LFT_BLOCK_LIDS, 0, LFT_BLOCK_LIDS);
	return lft_send(s, sw, &row);
}

static void pending_forget(struct opensm_sender *s)
{
	LOCK_GUARD(&s->lock);

	s->count = s->first = s->unacknowledged = 0;
}

/* Rows of an attempt that ends here would be sent again under the next plan, over what that wrote.
 * OpenSM's copies do not look right, so a sweep mends what is lost of them. */
static int lft_write(struct smp_sender *sender, const struct plan_change *change)
{
	struct opensm_sender *s = opensm_sender_of(sender);
	int error = block_write(s, change);

	if (error)
		pending_forget(s);
	return error;
}

static int block_again(struct opensm_sender *s, const osm_switch_t *sw, uint16_t block)
{
	struct lft_pending row = {.block = block};
	int error;

	row.switch_guid = cl_ntoh64(osm_node_get_node_guid(sw->p_node));
	memcpy(row.expected, sw->new_lft + (size_t)block * LFT_BLOCK_LIDS, LFT_BLOCK_LIDS);
	error = pending_add(s, &row);
	return error ? error : lft_send(s, sw, &row);
}

int smp_sender_opensm_lft_again(struct smp_sender *sender, uint64_t switch_guid, uint16_t block)
{
	struct opensm_sender *s = opensm_sender_of(sender);
	const osm_switch_t *sw = osm_model_switch(s->osm, switch_guid);
	int error;

	if (!sw || osm_model_block_acknowledged(sw, block))
		return 0;
	error = block_again(s, sw, block);
	if (error)
		pending_forget(s);
	return error ? error : 1;
}

int smp_sender_opensm_lft_read(struct smp_sender *sender, uint64_t switch_guid, uint16_t block)
{
	struct opensm_sender *s = opensm_sender_of(sender);
	const osm_switch_t *sw = osm_model_switch(s->osm, switch_guid);
	struct lft_pending row = {.switch_guid = switch_guid, .block = block, .is_read = true};
	int error;

	if (!sw)
		return -ENOENT;
	if (!osm_model_has_block(sw, block))
		return -ENOSPC;
	error = pending_add(s, &row);
	return error ? error : lft_send(s, sw, &row);
}

void smp_sender_opensm_acknowledged(
        struct smp_sender *sender, const struct osm_switch *sw, uint32_t block)
{
	struct opensm_sender *s = opensm_sender_of(sender);
	uint64_t guid = cl_ntoh64(osm_node_get_node_guid(sw->p_node));
	LOCK_GUARD(&s->lock);

	while (s->first < s->count && s->pending[s->first].acknowledged)
		s->first++;
	for (uint32_t i = s->first; i < s->count; i++) {
		struct lft_pending *row = &s->pending[i];

		if (row->acknowledged || row->block != block || row->switch_guid != guid)
			continue;
		if (!row->is_read && memcmp(row->expected, sw->lft + (size_t)block * LFT_BLOCK_LIDS,
		                             LFT_BLOCK_LIDS))
			continue;
		row->acknowledged = true;
		if (--s->unacknowledged == 0)
			pthread_cond_broadcast(&s->all_acknowledged);
		return;
	}
}

/* Wait until nothing is missing, or nothing is under way any more. Returns how much is missing. */
static uint32_t wait_for_answers(struct opensm_sender *s, uint64_t deadline_ns)
{
	for (;;) {
		bool idle = smp_sender_opensm_is_idle(&s->sender);
		struct timespec look_again = monotonic_timespec(monotonic_ns() + IDLE_POLL_NS);
		LOCK_GUARD(&s->lock);

		if (!s->unacknowledged || idle || osm_exit_flag || monotonic_ns() > deadline_ns)
			return s->unacknowledged;
		pthread_cond_timedwait(&s->all_acknowledged, &s->lock, &look_again);
	}
}

static void resend(struct opensm_sender *s, uint32_t *resent)
{
	CL_PLOCK_EXCL_ACQUIRE(&s->osm->lock);
	for (uint32_t i = 0; i < s->count; i++) {
		const osm_switch_t *sw;
		struct lft_pending row;

		pthread_mutex_lock(&s->lock);
		row = s->pending[i];
		pthread_mutex_unlock(&s->lock);
		if (row.acknowledged)
			continue;
		sw = osm_model_switch(s->osm, row.switch_guid);
		if (sw && lft_send(s, sw, &row) == 0)
			++*resent;
	}
	CL_PLOCK_RELEASE(&s->osm->lock);
}

static int lft_wait(struct smp_sender *sender, uint64_t deadline_ns, uint32_t *resent)
{
	struct opensm_sender *s = opensm_sender_of(sender);
	uint32_t missing = wait_for_answers(s, deadline_ns);

	for (int round = 0; missing && round < RESEND_ROUNDS; round++) {
		if (osm_exit_flag || monotonic_ns() > deadline_ns)
			break;
		resend(s, resent);
		missing = wait_for_answers(s, deadline_ns);
	}
	pending_forget(s);
	return missing ? -ETIMEDOUT : 0;
}

/* As OpenSM's own LID manager writes it: everything as it is, nothing else asked for. */
static int lid_write(struct smp_sender *sender, uint64_t port_guid, uint16_t lid)
{
	struct opensm_sender *s = opensm_sender_of(sender);
	const osm_port_t *port = osm_model_port(s->osm, port_guid);
	osm_madw_context_t context = {0};
	osm_physp_t *physp;
	ib_port_info_t info;

	if (!port || !port->p_physp)
		return -ENOENT;
	physp = port->p_physp;
	info = physp->port_info;
	info.state_info2 = 0x02; /* physical state: no change; link down default: polling */
	ib_port_info_set_port_state(&info, IB_LINK_NO_CHANGE);
	ib_port_info_set_client_rereg(&info, 0);
	info.base_lid = cl_hton16(lid);
	context.pi_context.node_guid = osm_node_get_node_guid(physp->p_node);
	context.pi_context.port_guid = osm_physp_get_port_guid(physp);
	context.pi_context.set_method = TRUE;
	osm_physp_set_base_lid(physp, 0); /* until it has answered */
	return status_to_errno(osm_req_set(&s->osm->sm, osm_physp_get_dr_path_ptr(physp),
	        (const uint8_t *)&info, sizeof(info), IB_MAD_ATTR_PORT_INFO,
	        cl_hton32(osm_physp_get_port_num(physp)), FALSE,
	        ib_port_info_get_m_key(&physp->port_info), 0, CL_DISP_MSGID_NONE, &context));
}

static int pkeys_write(struct smp_sender *sender, uint64_t port_guid, enum pkey_holder holder,
        uint16_t block, const uint8_t *bytes)
{
	struct opensm_sender *s = opensm_sender_of(sender);
	const osm_port_t *port = osm_model_port(s->osm, port_guid);
	osm_physp_t *physp = port ? port->p_physp : NULL, *via = physp;
	osm_madw_context_t context = {0};
	uint32_t modifier = block;

	if (physp && holder == PKEYS_OF_SWITCH_PORT) {
		physp = osm_physp_get_remote(physp);
		if (!physp || !physp->p_node->sw)
			return -ENOENT;
		via = osm_node_get_physp_ptr(physp->p_node, 0);
		modifier |= (uint32_t)physp->port_num << 16;
	}
	if (!physp || !via)
		return -ENOENT;
	context.pkey_context.node_guid = osm_node_get_node_guid(physp->p_node);
	context.pkey_context.port_guid = osm_physp_get_port_guid(physp);
	context.pkey_context.set_method = TRUE;
	return status_to_errno(osm_req_set(&s->osm->sm, osm_physp_get_dr_path_ptr(via), bytes,
	        PKEY_BLOCK_BYTES, IB_MAD_ATTR_P_KEY_TABLE, cl_hton32(modifier), FALSE,
	        ib_port_info_get_m_key(&via->port_info), 0, CL_DISP_MSGID_NONE, &context));
}

int smp_sender_opensm_top_write(struct smp_sender *sender, uint64_t switch_guid, uint16_t top)
{
	struct opensm_sender *s = opensm_sender_of(sender);
	const osm_switch_t *sw = osm_model_switch(s->osm, switch_guid);
	osm_physp_t *port0 = sw ? osm_node_get_physp_ptr(sw->p_node, 0) : NULL;
	osm_madw_context_t context = {0};
	ib_switch_info_t info;

	if (!port0)
		return -ENOENT;
	info = sw->switch_info;
	info.lin_top = cl_hton16(top);            /* OpenSM's copy gets it from the response */
	ib_switch_info_clear_state_change(&info); /* 0: leave it as it is */
	context.si_context.node_guid = osm_node_get_node_guid(sw->p_node);
	context.si_context.set_method = TRUE;
	context.si_context.lft_top_change = TRUE;
	return status_to_errno(osm_req_set(&s->osm->sm, osm_physp_get_dr_path_ptr(port0),
	        (const uint8_t *)&info, sizeof(info), IB_MAD_ATTR_SWITCH_INFO, 0, FALSE,
	        ib_port_info_get_m_key(&port0->port_info), 0, CL_DISP_MSGID_NONE, &context));
}

static void sender_destroy(struct smp_sender *sender)
{
	struct opensm_sender *s = opensm_sender_of(sender);

	pthread_cond_destroy(&s->all_acknowledged);
	pthread_mutex_destroy(&s->lock);
	free(s->pending);
	free(s);
}

static const struct smp_sender_kind kind = {
        .name = "opensm",
        .lft_write = lft_write,
        .lid_write = lid_write,
        .pkeys_write = pkeys_write,
        .lft_wait = lft_wait,
        .destroy = sender_destroy,
};

struct smp_sender *smp_sender_opensm_create(struct osm_opensm *osm)
{
	struct opensm_sender *s = calloc(1, sizeof(*s));
	pthread_condattr_t monotonic;

	if (!s)
		return NULL;
	s->sender.kind = &kind;
	s->osm = osm;
	pthread_mutex_init(&s->lock, NULL);
	pthread_condattr_init(&monotonic);
	pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
	pthread_cond_init(&s->all_acknowledged, &monotonic);
	pthread_condattr_destroy(&monotonic);
	return &s->sender;
}
