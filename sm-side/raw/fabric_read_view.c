/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include <errno.h>
#include <stdlib.h>

#include "notifier/base/cleanup.h"
#include "sm-side/raw/fabric_read.h"

/* The same node in the view: a switch, or the first of a CA's ports that were read. */
struct shown {
	uint32_t index;
};

static int add_end_ports(
        struct fabric_view *view, const struct read_node *node, struct shown *shown)
{
	shown->index = view->end_port_count;
	for (unsigned port = 1; port <= node->port_count; port++) {
		struct smp_port_info info;
		struct view_end_port end_port;

		if (!node->ports[port].has_info)
			continue;
		smp_port_info_decode(node->ports[port].info, &info);
		end_port = (struct view_end_port){
		        .port_guid = node->ports[port].guid,
		        .node_guid = node->guid,
		        .lid = info.lid,
		        .lmc = info.lmc,
		        .node_ports = node->port_count,
		        .is_sm = info.is_sm,
		        .source = node,
		};
		if (fabric_view_add_end_port(view, &end_port) == VIEW_NONE)
			return -ENOMEM;
	}
	return 0;
}

static int add_switch(struct fabric_view *view, const struct read_node *node, struct shown *shown)
{
	struct smp_port_info info;
	struct view_switch *sw;

	shown->index = fabric_view_add_switch(
	        view, node->guid, node->port_count, node->lft, node->lft_entries);
	if (shown->index == VIEW_NONE)
		return -ENOMEM;
	smp_port_info_decode(node->ports[0].info, &info);
	sw = &view->switches[shown->index];
	sw->lid = info.lid;
	sw->linear_top = node->lft_top;
	sw->linear_cap = node->lft_cap;
	return 0;
}

static int add_node(struct fabric_view *view, const struct read_node *node, struct shown *shown)
{
	return node->type == SMP_NODE_SWITCH ? add_switch(view, node, shown)
	                                     : add_end_ports(view, node, shown);
}

/* A CA's ports stand in the view one after the other, those that were read. */
static uint32_t end_port_index(const struct read_node *node, struct shown shown, uint8_t port)
{
	uint32_t before = 0;

	for (unsigned p = 1; p < port; p++)
		before += node->ports[p].has_info;
	return shown.index + before;
}

static void link_switch(const struct fabric_read *fabric, struct fabric_view *view,
        const struct shown *shown, uint32_t sw)
{
	for (unsigned port = 1; port <= fabric->nodes[sw].port_count; port++) {
		const struct read_port *at = &fabric->nodes[sw].ports[port];
		struct view_peer peer = {.port = at->peer_port, .kind = PEER_SWITCH};
		const struct read_node *node;

		if (at->peer == READ_NOBODY)
			continue;
		node = &fabric->nodes[at->peer];
		peer.index = shown[at->peer].index;
		if (node->type != SMP_NODE_SWITCH) {
			peer.kind = PEER_END_PORT;
			peer.index = end_port_index(node, shown[at->peer], at->peer_port);
		}
		fabric_view_link(view, shown[sw].index, (uint8_t)port, peer);
	}
}

int fabric_read_view(
        const struct fabric_read *fabric, struct fabric_view **view, struct view_fault *fault)
{
	CLEANUP_FREE struct shown *shown = calloc(fabric->count + 1u, sizeof(*shown));
	struct fabric_view *made = shown ? fabric_view_create() : NULL;
	int error = made ? 0 : -ENOMEM;

	for (uint32_t i = 0; i < fabric->count && !error; i++)
		error = add_node(made, &fabric->nodes[i], &shown[i]);
	for (uint32_t i = 0; i < fabric->count && !error; i++)
		if (fabric->nodes[i].type == SMP_NODE_SWITCH)
			link_switch(fabric, made, shown, i);
	if (!error)
		error = fabric_view_finish(made);
	if (error == -EEXIST)
		*fault = made->fault;
	if (error) {
		fabric_view_destroy(made);
		return error;
	}
	*view = made;
	return 0;
}
