/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include <string.h>

#include "simfabric/issm.h"
#include "simfabric/links.h"
#include "simfabric/sma.h"
#include "simfabric/traps.h"

enum {
	MODIFIER_EXTENDED_SPEEDS = 1u << 31, /* the SM says that it knows them: no matter here */
	UNICAST_LID_LAST = 0xbfff,
	WIDTH_ALL = 0xff,
	SPEED_ALL = 0xf,
	SPEED_EXT_ALL = 0x1f,
};

/* What a Set asks for, on its way to become what the port says. */
struct change {
	const uint8_t *asked;
	uint8_t info[64];
	bool is_end;
	enum link_order order;
};

static uint16_t merge_lids(struct change *c)
{
	uint16_t lid = port_info_lid(c->asked), sm_lid = port_info_sm_lid(c->asked);

	if (lid > UNICAST_LID_LAST || sm_lid > UNICAST_LID_LAST)
		return STATUS_BAD_FIELD;
	port_info_set_lid(c->info, lid);
	port_info_set_sm_lid(c->info, sm_lid);
	port_info_set_lmc(c->info, port_info_lmc(c->asked));
	port_info_set_sm_sl(c->info, port_info_sm_sl(c->asked));
	port_info_set_gid_prefix(c->info, port_info_gid_prefix(c->asked));
	port_info_set_mkey(c->info, port_info_mkey(c->asked));
	port_info_set_mkey_protect(c->info, port_info_mkey_protect(c->asked));
	port_info_set_mkey_lease_s(c->info, port_info_mkey_lease_s(c->asked));
	port_info_set_subnet_timeout(c->info, port_info_subnet_timeout(c->asked));
	port_info_set_mcast_pkey_trap(c->info, port_info_mcast_pkey_trap(c->asked));
	return STATUS_OK;
}

/* 0 says nothing, all ones means all that is supported, others must be supported. */
static bool merge_enabled(uint8_t asked, uint8_t all, uint8_t supported, uint8_t *enabled)
{
	if (!asked)
		return true;
	if (asked == all) {
		*enabled = supported;
		return true;
	}
	*enabled = asked;
	return !(asked & ~supported);
}

static uint16_t merge_widths_and_speeds(struct change *c)
{
	uint8_t width = port_info_width_enabled(c->info), speed = port_info_speed_enabled(c->info);
	uint8_t ext = port_info_speed_ext_enabled(c->info);
	bool has_ext = port_info_speed_ext_supported(c->info);

	if (!merge_enabled(port_info_width_enabled(c->asked), WIDTH_ALL,
	            port_info_width_supported(c->info), &width) ||
	        !merge_enabled(port_info_speed_enabled(c->asked), SPEED_ALL,
	                port_info_speed_supported(c->info), &speed) ||
	        (has_ext && !merge_enabled(port_info_speed_ext_enabled(c->asked), SPEED_EXT_ALL,
	                            port_info_speed_ext_supported(c->info), &ext)))
		return STATUS_BAD_FIELD;
	port_info_set_width_enabled(c->info, width);
	port_info_set_speed_enabled(c->info, speed);
	port_info_set_speed_ext_enabled(c->info, ext);
	return STATUS_OK;
}

static uint16_t merge_link(struct change *c)
{
	uint8_t mtu = port_info_mtu(c->asked), vls = port_info_oper_vls(c->asked);
	uint8_t down_default = port_info_down_default(c->asked);

	if (mtu > port_info_mtu_cap(c->info) || vls > port_info_vl_cap(c->info) ||
	        down_default > PORT_PHYS_POLLING)
		return STATUS_BAD_FIELD;
	if (mtu)
		port_info_set_mtu(c->info, mtu);
	if (vls)
		port_info_set_oper_vls(c->info, vls);
	if (down_default)
		port_info_set_down_default(c->info, down_default);
	port_info_set_vl_high_limit(c->info, port_info_vl_high_limit(c->asked));
	port_info_set_vl_stall_count(c->info, port_info_vl_stall_count(c->asked));
	port_info_set_hoq_life(c->info, port_info_hoq_life(c->asked));
	port_info_set_enforcement(c->info, port_info_enforcement(c->asked));
	port_info_set_init_type_reply(c->info, port_info_init_type_reply(c->asked));
	port_info_set_local_phys_errors(c->info, port_info_local_phys_errors(c->asked));
	port_info_set_overrun_errors(c->info, port_info_overrun_errors(c->asked));
	/* Violation counters can be reset, not written. */
	if (!port_info_mkey_violations(c->asked))
		port_info_set_mkey_violations(c->info, 0);
	if (!port_info_pkey_violations(c->asked))
		port_info_set_pkey_violations(c->info, 0);
	if (!port_info_qkey_violations(c->asked))
		port_info_set_qkey_violations(c->info, 0);
	return STATUS_OK;
}

static uint16_t merge_phys_state(struct change *c)
{
	switch (port_info_phys_state(c->asked)) {
	case PORT_PHYS_NOP:
		return STATUS_OK;
	case PORT_PHYS_SLEEP:
	case PORT_PHYS_DISABLED:
		c->order = LINK_STOP;
		port_info_set_phys_state(c->info, port_info_phys_state(c->asked));
		return STATUS_OK;
	case PORT_PHYS_POLLING:
		c->order = LINK_START;
		return STATUS_OK;
	}
	return STATUS_BAD_FIELD;
}

/* Init to Armed to Active, each step asked for; Down from anywhere. */
static uint16_t merge_state(struct change *c)
{
	uint8_t now = port_info_state(c->info), asked = port_info_state(c->asked);

	switch (asked) {
	case PORT_NOP:
		break;
	case PORT_DOWN:
		c->order = LINK_RETRAIN;
		break;
	case PORT_ARMED:
	case PORT_ACTIVE:
		if (now != asked && now != asked - 1)
			return STATUS_BAD_FIELD;
		port_info_set_state(c->info, asked);
		break;
	default:
		return STATUS_BAD_FIELD;
	}
	return merge_phys_state(c);
}

static uint16_t merge(struct change *c, unsigned number)
{
	uint16_t status = merge_link(c);

	if (!status && c->is_end)
		status = merge_lids(c);
	if (!status && number)
		status = merge_widths_and_speeds(c);
	if (!status && number)
		status = merge_state(c);
	return status;
}

/* What the CA's driver hears. */
static void stage_events(struct smp *smp, uint32_t port, const struct change *c)
{
	const uint8_t *old = smp->fabric->ports[port].info;

	if (port_info_lid(old) != port_info_lid(c->info) ||
	        port_info_lmc(old) != port_info_lmc(c->info))
		port_stage_event(smp->fabric, port, PORT_EVENT_LID_CHANGE);
	if (port_info_sm_lid(old) != port_info_sm_lid(c->info) ||
	        port_info_sm_sl(old) != port_info_sm_sl(c->info))
		port_stage_event(smp->fabric, port, PORT_EVENT_SM_CHANGE);
	if (port_info_gid_prefix(old) != port_info_gid_prefix(c->info))
		port_stage_event(smp->fabric, port, PORT_EVENT_GID_CHANGE);
	if (port_info_client_reregister(c->asked))
		port_stage_event(smp->fabric, port, PORT_EVENT_CLIENT_REREGISTER);
	if (port_info_state(old) != PORT_ACTIVE && port_info_state(c->info) == PORT_ACTIVE)
		port_stage_event(smp->fabric, port, PORT_EVENT_ACTIVE);
	if (port_info_state(old) == PORT_ACTIVE && port_info_state(c->info) != PORT_ACTIVE)
		port_stage_event(smp->fabric, port, PORT_EVENT_ERROR);
}

static uint16_t set_port_info(struct smp *smp, uint32_t index)
{
	struct port *port = &smp->fabric->ports[index];
	struct change c = {.asked = smp->data, .is_end = port_is_end(smp->fabric, port)};
	uint16_t status;

	memcpy(c.info, port->info, sizeof(c.info));
	status = merge(&c, port->number);
	if (status)
		return status;
	if (c.order != LINK_KEEP)
		link_stage_order(smp->fabric, index, c.info, c.order);
	if (c.is_end) {
		smp->effect.is_lid_changed = port_info_lid(port->info) != port_info_lid(c.info);
		stage_events(smp, index, &c);
	}
	smp_stage(smp, port->info, c.info, sizeof(c.info));
	redo_commit(smp->fabric);
	if (c.order != LINK_KEEP)
		link_send_peer_trap(smp->fabric, index);
	return STATUS_OK;
}

/* Nobody tells when a subnet manager opens or leaves its port: found out when somebody asks. */
static void note_subnet_manager(struct fabric *fabric, uint32_t index)
{
	uint8_t *info = fabric->ports[index].info;
	uint32_t before = port_info_capability_mask(info);
	uint32_t now = issm_is_open(fabric, index) ? before | CAP_IS_SM : before & ~CAP_IS_SM;

	if (now == before)
		return;
	port_info_set_capability_mask(info, now);
	trap_capability_mask(fabric, index, now);
}

static void get_port_info(struct smp *smp, uint32_t index)
{
	struct port *port = &smp->fabric->ports[index];

	note_subnet_manager(smp->fabric, index);
	memcpy(smp->data, port->info, sizeof(port->info));
	port_info_set_local_port(smp->data, smp->fabric->ports[smp->arrival].number);
	/* The key that was checked is the arrival port's; the other port of a CA has its own. */
	if (smp->is_mkey_hidden || (index != smp->end && port_info_mkey_protect(port->info)))
		port_info_set_mkey(smp->data, 0);
}

uint16_t sma_port_info(struct smp *smp)
{
	const struct node *node = &smp->fabric->nodes[smp->node];
	uint32_t number = smp->modifier & ~MODIFIER_EXTENDED_SPEEDS;
	uint16_t status;
	uint32_t index;

	if (!number && !node_is_switch(node))
		number = smp->fabric->ports[smp->arrival].number;
	index = number > node->ports ? NO_INDEX : node_port(smp->fabric, smp->node, number);
	if (index == NO_INDEX)
		return STATUS_BAD_FIELD;
	if (smp->is_set) {
		if (!node_is_switch(node) && index != smp->arrival)
			return STATUS_BAD_FIELD;
		status = set_port_info(smp, index);
		if (status)
			return status;
	}
	get_port_info(smp, index);
	return STATUS_OK;
}
