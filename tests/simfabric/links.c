/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include "simfabric/links.h"

#include <string.h>

#include "simfabric/counters.h"
#include "simfabric/sma.h"
#include "simfabric/switch_info.h"
#include "simfabric/topology.h"
#include "simfabric/traps.h"

enum { WIDTHS_BELOW_2X = 0x0f, WIDTHS_ABOVE_1X = 0x0e };

static uint8_t strongest(uint8_t bits)
{
	return bits ? 1u << (31 - __builtin_clz(bits)) : 0;
}

/* 1x, 4x, 8x, 12x have bits 0 to 3 and 2x, between the first two, has bit 4. */
static uint8_t widest(uint8_t widths)
{
	return strongest(widths & WIDTHS_ABOVE_1X ? widths & WIDTHS_BELOW_2X : widths);
}

bool link_negotiate(uint8_t a[64], uint8_t b[64])
{
	uint8_t width = widest(port_info_width_enabled(a) & port_info_width_enabled(b));
	uint8_t speed = strongest(port_info_speed_enabled(a) & port_info_speed_enabled(b));
	uint8_t ext = strongest(port_info_speed_ext_enabled(a) & port_info_speed_ext_enabled(b));

	if (!width || !speed)
		return false;
	for (unsigned i = 0; i < 2; i++) {
		uint8_t *info = i ? b : a;

		port_info_set_width_active(info, width);
		port_info_set_speed_active(info, speed);
		port_info_set_speed_ext_active(info, ext);
	}
	return true;
}

static bool is_stopped(const uint8_t info[64])
{
	uint8_t phys = port_info_phys_state(info);

	return phys == PORT_PHYS_DISABLED || phys == PORT_PHYS_SLEEP;
}

static void go_down(uint8_t info[64])
{
	port_info_set_state(info, PORT_DOWN);
	if (!is_stopped(info))
		port_info_set_phys_state(info, PORT_PHYS_POLLING);
}

/* Both ends poll: the link comes up if nothing keeps it from it. */
static void train(uint8_t info[64], uint8_t peer[64])
{
	if (is_stopped(info) || is_stopped(peer) || !link_negotiate(info, peer))
		return;
	for (unsigned i = 0; i < 2; i++) {
		port_info_set_state(i ? peer : info, PORT_INIT);
		port_info_set_phys_state(i ? peer : info, PORT_PHYS_LINK_UP);
	}
}

/* The switch that @port belongs to notes that a link has changed. */
static void stage_state_change(struct fabric *fabric, uint32_t port)
{
	const struct node *node = &fabric->nodes[fabric->ports[port].node];
	struct fabric_switch *sw;
	uint8_t info[64];

	if (!node_is_switch(node))
		return;
	sw = &fabric->switches[node->switch_index];
	memcpy(info, sw->info, sizeof(info));
	switch_info_set_state_change(info, 1);
	redo_put(fabric, sw->info, info, sizeof(info));
}

/* @port changes to @info by itself, not because its SMA was told so. */
static void stage_change(struct fabric *fabric, uint32_t port, const uint8_t info[64])
{
	struct port *p = &fabric->ports[port];

	if (!memcmp(p->info, info, sizeof(p->info)))
		return;
	if (port_state(p) == PORT_ACTIVE && port_info_state(info) != PORT_ACTIVE &&
	        port_is_end(fabric, p))
		port_stage_event(fabric, port, PORT_EVENT_ERROR);
	counters_of_port(fabric, port)->link_downed += port_is_up(p);
	redo_put(fabric, p->info, info, sizeof(p->info));
	stage_state_change(fabric, port);
}

void link_stage_order(struct fabric *fabric, uint32_t port, uint8_t info[64], enum link_order order)
{
	uint32_t peer = fabric->ports[port].peer;
	uint8_t peer_info[64];

	if (order == LINK_RETRAIN && is_stopped(info))
		return;
	counters_of_port(fabric, port)->link_downed += port_is_up(&fabric->ports[port]);
	if (order != LINK_STOP)
		port_info_set_phys_state(info, PORT_PHYS_POLLING);
	port_info_set_state(info, PORT_DOWN);
	if (peer == NO_INDEX)
		return;
	memcpy(peer_info, fabric->ports[peer].info, sizeof(peer_info));
	go_down(peer_info);
	if (order != LINK_STOP && !fabric->ports[port].is_pulled)
		train(info, peer_info);
	stage_change(fabric, peer, peer_info);
}

static void send_trap(struct fabric *fabric, uint32_t port)
{
	const struct node *node = &fabric->nodes[fabric->ports[port].node];

	if (node_is_switch(node))
		trap_link_state(fabric, node->first_port);
}

void link_send_peer_trap(struct fabric *fabric, uint32_t port)
{
	if (fabric->ports[port].peer != NO_INDEX)
		send_trap(fabric, fabric->ports[port].peer);
}

void link_begin_unplugged(struct fabric *fabric, uint32_t port)
{
	uint32_t ends[] = {port, fabric->ports[port].peer};

	for (unsigned i = 0; i < 2 && ends[i] != NO_INDEX; i++) {
		go_down(fabric->ports[ends[i]].info);
		fabric->ports[ends[i]].is_pulled = true;
	}
}

void link_plug(struct fabric *fabric, uint32_t port, bool is_plugged)
{
	uint32_t peer = fabric->ports[port].peer;
	uint64_t is_pulled = !is_plugged;
	uint8_t info[64], peer_info[64];

	if (peer == NO_INDEX || fabric->ports[port].is_pulled == is_pulled)
		return;
	memcpy(info, fabric->ports[port].info, sizeof(info));
	memcpy(peer_info, fabric->ports[peer].info, sizeof(peer_info));
	if (is_plugged) {
		train(info, peer_info);
	} else {
		go_down(info);
		go_down(peer_info);
	}
	redo_put(fabric, &fabric->ports[port].is_pulled, &is_pulled, sizeof(is_pulled));
	redo_put(fabric, &fabric->ports[peer].is_pulled, &is_pulled, sizeof(is_pulled));
	stage_change(fabric, port, info);
	stage_change(fabric, peer, peer_info);
	redo_commit(fabric);
	send_trap(fabric, port);
	send_trap(fabric, peer);
}
