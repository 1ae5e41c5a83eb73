/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include "simfabric/topology.h"

#include <string.h>

#include "simfabric/links.h"
#include "simfabric/net_file.h"
#include "simfabric/switch_info.h"

enum {
	MFT_BLOCK_BYTES = MFT_BLOCK * 2,
	MFT_POSITION_BYTES = MFT_CAPACITY * 2,
	SL_TO_VL_BYTES = 8,
};

/* Each table of nodes, ports and switches is led by how many there are. */
struct table_head {
	uint64_t count;
	uint64_t reserved[7];
};

static uint32_t table_count(const struct fabric *fabric, enum section section)
{
	return ((const struct table_head *)fabric_section(fabric, section))->count;
}

uint32_t node_count(const struct fabric *fabric)
{
	return table_count(fabric, SECTION_NODES);
}

uint32_t port_count(const struct fabric *fabric)
{
	return table_count(fabric, SECTION_PORTS);
}

uint32_t switch_count(const struct fabric *fabric)
{
	return table_count(fabric, SECTION_SWITCHES);
}

uint32_t node_find(const struct fabric *fabric, const char *name)
{
	for (uint32_t i = 0; i < node_count(fabric); i++) {
		if (!strcmp(fabric->nodes[i].name, name))
			return i;
	}
	return NO_INDEX;
}

uint32_t node_port(const struct fabric *fabric, uint32_t node, unsigned number)
{
	const struct node *n = &fabric->nodes[node];

	if (number > n->ports)
		return NO_INDEX;
	if (node_is_switch(n))
		return n->first_port + number;
	return number ? n->first_port + number - 1 : NO_INDEX;
}

uint64_t *switch_lft(const struct fabric *fabric, uint32_t sw)
{
	return (uint64_t *)fabric_section(fabric, SECTION_LFTS) + (size_t)sw * (LFT_CAPACITY / 8);
}

uint8_t *switch_mft_block(
        const struct fabric *fabric, uint32_t sw, unsigned position, unsigned block)
{
	return (uint8_t *)fabric_section(fabric, SECTION_MFTS) + fabric->switches[sw].mft_offset +
	       (size_t)position * MFT_POSITION_BYTES + (size_t)block * MFT_BLOCK_BYTES;
}

uint8_t *port_sl_to_vl(const struct fabric *fabric, uint32_t port, unsigned input)
{
	const struct port *p = &fabric->ports[port];
	const struct node *node = &fabric->nodes[p->node];
	uint8_t *tables = fabric_section(fabric, SECTION_SL_TO_VL);

	if (!node_is_switch(node))
		return tables + (size_t)port * SL_TO_VL_BYTES;
	return tables + fabric->switches[node->switch_index].sl_to_vl_offset +
	       ((size_t)p->number * (node->ports + 1) + input) * SL_TO_VL_BYTES;
}

uint64_t *port_alias_guids(const struct fabric *fabric, uint32_t port)
{
	return (uint64_t *)fabric_section(fabric, SECTION_ALIAS_GUIDS) + (size_t)port * ALIAS_GUIDS;
}

static size_t mft_bytes(const struct net_node *node)
{
	return (size_t)(node->ports / 16 + 1) * MFT_POSITION_BYTES;
}

static size_t sl_to_vl_bytes(const struct net_node *node)
{
	return (size_t)(node->ports + 1) * (node->ports + 1) * SL_TO_VL_BYTES;
}

size_t topology_nodes_size(const struct net *net)
{
	return sizeof(struct table_head) + net->node_count * sizeof(struct node);
}

size_t topology_ports_size(const struct net *net)
{
	return sizeof(struct table_head) + net->port_count * sizeof(struct port);
}

size_t topology_switches_size(const struct net *net)
{
	return sizeof(struct table_head) + net->switch_count * sizeof(struct fabric_switch);
}

size_t topology_lfts_size(const struct net *net)
{
	return (size_t)net->switch_count * LFT_CAPACITY;
}

size_t topology_mfts_size(const struct net *net)
{
	size_t bytes = 0;

	for (uint32_t i = 0; i < net->node_count; i++)
		bytes += net->nodes[i].kind == NODE_SWITCH ? mft_bytes(&net->nodes[i]) : 0;
	return bytes;
}

/* First one table a port, for the CAs; then each switch's. */
size_t topology_sl_to_vl_size(const struct net *net)
{
	size_t bytes = (size_t)net->port_count * SL_TO_VL_BYTES;

	for (uint32_t i = 0; i < net->node_count; i++)
		bytes += net->nodes[i].kind == NODE_SWITCH ? sl_to_vl_bytes(&net->nodes[i]) : 0;
	return bytes;
}

size_t topology_alias_guids_size(const struct net *net)
{
	return (size_t)net->port_count * ALIAS_GUIDS * sizeof(uint64_t);
}

/* As ibsim's ports come up, but for ClientReregistration, which real adapters have. */
static void init_ca_port_info(uint8_t info[64], unsigned number)
{
	port_info_set_gid_prefix(info, 0xfe80000000000000);
	port_info_set_capability_mask(info,
	        CAP_TRAP | CAP_MKEY_NVRAM | CAP_EXTENDED_SPEEDS | CAP_CAPABILITY_MASK2 |
	                CAP_VENDOR_CLASS | CAP_CAPABILITY_MASK_NOTICE | CAP_CLIENT_REREGISTER);
	port_info_set_capability_mask2(info, CAP2_LINK_WIDTH_2X | CAP2_LINK_SPEED_HDR);
	port_info_set_mkey_lease_s(info, 0x0ff9);
	port_info_set_local_port(info, number);
	port_info_set_guid_cap(info, ALIAS_GUIDS);
	port_info_set_subnet_timeout(info, 31);
}

static void init_switch_port0_info(uint8_t info[64])
{
	port_info_set_gid_prefix(info, 0xfe80000000000000);
	port_info_set_capability_mask(
	        info, CAP_TRAP | CAP_MKEY_NVRAM | CAP_EXTENDED_SPEEDS | CAP_CAPABILITY_MASK2);
	port_info_set_capability_mask2(info, CAP2_LINK_WIDTH_2X | CAP2_LINK_SPEED_HDR);
	port_info_set_mkey_lease_s(info, 0x0ff9);
	port_info_set_guid_cap(info, 1);
	port_info_set_subnet_timeout(info, 31);
	port_info_set_response_time(info, 8);
}

static void init_common_port_info(
        uint8_t info[64], const struct net_port *from, const struct net *net)
{
	port_info_set_width_enabled(info, from->width_enabled);
	port_info_set_width_supported(info, 0x1f);
	port_info_set_width_active(info, 2);
	port_info_set_speed_supported(info, 7);
	port_info_set_speed_enabled(info, from->speed_enabled);
	port_info_set_speed_active(info, 1);
	port_info_set_speed_ext_supported(info, from->speed_ext_enabled ? 7 : 0);
	port_info_set_speed_ext_enabled(info, from->speed_ext_enabled);
	port_info_set_down_default(info, PORT_PHYS_POLLING);
	port_info_set_mtu(info, net->mtu_cap);
	port_info_set_mtu_cap(info, net->mtu_cap);
	port_info_set_vl_cap(info, 4);
	port_info_set_oper_vls(info, net->oper_vls);
	port_info_set_vl_arb_high_cap(info, VL_ARB_SIZE);
	port_info_set_vl_arb_low_cap(info, VL_ARB_SIZE);
}

static void init_link_state(uint8_t info[64], bool is_port0, bool has_cable)
{
	bool is_up = is_port0 || has_cable;

	port_info_set_state(info, is_port0 ? PORT_ACTIVE : is_up ? PORT_INIT : PORT_DOWN);
	port_info_set_phys_state(info, is_up ? PORT_PHYS_LINK_UP : PORT_PHYS_POLLING);
	if (!is_port0) {
		port_info_set_vl_stall_count(info, 7);
		port_info_set_hoq_life(info, is_up ? 31 : 9);
	}
}

static void init_port(
        struct fabric *fabric, const struct net *net, uint32_t node, unsigned number, uint32_t at)
{
	const struct net_node *n = &net->nodes[node];
	const struct net_port *from = &net->ports[at];
	struct port *port = &fabric->ports[at];
	bool is_port0 = n->kind == NODE_SWITCH && number == 0;

	port->guid = net_port_guid(n, number);
	port->node = node;
	port->peer = from->peer;
	port->number = number;
	port->pkeys[0] = 0xffff;
	init_common_port_info(port->info, from, net);
	if (n->kind != NODE_SWITCH)
		init_ca_port_info(port->info, number);
	else if (is_port0)
		init_switch_port0_info(port->info);
	init_link_state(port->info, is_port0, from->peer != NO_INDEX);
}

static void init_node(struct fabric *fabric, const struct net *net, uint32_t index)
{
	const struct net_node *from = &net->nodes[index];
	struct node *node = &fabric->nodes[index];

	memcpy(node->name, from->name, sizeof(node->name));
	memcpy(node->description, from->description, sizeof(node->description));
	node->guid = from->guid;
	node->system_guid = from->system_guid;
	node->vendor_id = from->vendor_id;
	node->device_id = from->device_id;
	node->kind = from->kind;
	node->ports = from->ports;
	node->first_port = from->first_port;
	node->switch_index = NO_INDEX;
	node->slot = NO_INDEX;
	for (unsigned i = 0; i < from->ports + (from->kind == NODE_SWITCH ? 1u : 0u); i++)
		init_port(
		        fabric, net, index, i + (from->kind != NODE_SWITCH), from->first_port + i);
}

/* Cables whose ends have no width or speed in common stay down. */
static void init_links(struct fabric *fabric, const struct net *net)
{
	for (uint32_t i = 0; i < net->port_count; i++) {
		uint32_t peer = net->ports[i].peer;

		if (peer == NO_INDEX || peer < i ||
		        link_negotiate(fabric->ports[i].info, fabric->ports[peer].info))
			continue;
		init_link_state(fabric->ports[i].info, false, false);
		init_link_state(fabric->ports[peer].info, false, false);
	}
}

static void init_switch_info(uint8_t info[64], const struct net_node *node, bool has_links)
{
	switch_info_set_linear_cap(info, LFT_CAPACITY);
	switch_info_set_multicast_cap(info, MFT_CAPACITY);
	switch_info_set_enforcement_cap(info, PKEY_TABLE_SIZE);
	switch_info_set_filter_raw(info, 3);
	switch_info_set_enhanced_port0(info, node->has_enhanced_port0);
	switch_info_set_state_change(info, has_links);
}

static bool has_links(const struct net *net, const struct net_node *node)
{
	for (unsigned i = 1; i <= node->ports; i++) {
		if (net->ports[node->first_port + i].peer != NO_INDEX)
			return true;
	}
	return false;
}

static void init_switches(struct fabric *fabric, const struct net *net)
{
	uint64_t mft_offset = 0, sl_to_vl_offset = (uint64_t)net->port_count * SL_TO_VL_BYTES;
	uint32_t at = 0;

	for (uint32_t i = 0; i < net->node_count; i++) {
		const struct net_node *node = &net->nodes[i];
		struct fabric_switch *sw = &fabric->switches[at];

		if (node->kind != NODE_SWITCH)
			continue;
		init_switch_info(sw->info, node, has_links(net, node));
		sw->node = i;
		sw->mft_positions = node->ports / 16 + 1;
		sw->mft_offset = mft_offset;
		sw->sl_to_vl_offset = sl_to_vl_offset;
		mft_offset += mft_bytes(node);
		sl_to_vl_offset += sl_to_vl_bytes(node);
		fabric->nodes[i].switch_index = at++;
	}
}

void topology_init(struct fabric *fabric, const struct net *net)
{
	((struct table_head *)fabric_section(fabric, SECTION_NODES))->count = net->node_count;
	((struct table_head *)fabric_section(fabric, SECTION_PORTS))->count = net->port_count;
	((struct table_head *)fabric_section(fabric, SECTION_SWITCHES))->count = net->switch_count;
	topology_bind(fabric);
	for (uint32_t i = 0; i < net->node_count; i++)
		init_node(fabric, net, i);
	init_links(fabric, net);
	init_switches(fabric, net);
}

void topology_bind(struct fabric *fabric)
{
	struct table_head *nodes = fabric_section(fabric, SECTION_NODES);
	struct table_head *ports = fabric_section(fabric, SECTION_PORTS);
	struct table_head *switches = fabric_section(fabric, SECTION_SWITCHES);

	fabric->nodes = (struct node *)(nodes + 1);
	fabric->ports = (struct port *)(ports + 1);
	fabric->switches = (struct fabric_switch *)(switches + 1);
}
