/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/* A small fabric for unit tests: made from a text, in a file of its own that is gone afterwards. */
#ifndef SIMFABRIC_FIXTURE_H
#define SIMFABRIC_FIXTURE_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "simfabric/net_file.h"
#include "simfabric/shared_file.h"
#include "simfabric/switch_info.h"
#include "simfabric/topology.h"

/* H1 - S1 - S2 - H2, H3 on S2 twice, and a vSwitch V with PF P and two VFs on S1. */
static const char fixture_net[] =
        "#hypervisor \"hyp\" vswitch \"V\" pf \"P\"\n"
        "Switch 4 \"S1\"\n[1] \"H1\"[1]\n[2] \"S2\"[1]\n[3] \"V\"[1]\n\n"
        "Switch 4 \"S2\"\n[1] \"S1\"[2]\n[2] \"H2\"[1]\n[3] \"H3\"[1]\n[4] \"H3\"[2]\n\n"
        "Switch 4 \"V\"\n[1] \"S1\"[3]\n[2] \"P\"[1]\n[3] \"vf1\"[1]\n"
        "[4] \"vf2\"[1]\n\n"
        "Ca 1 \"H1\"\n[1] \"S1\"[1]\n\nCa 2 \"H2\"\n[1] \"S2\"[2]\n\n"
        "Ca 2 \"H3\"\n[1] \"S2\"[3]\n[2] \"S2\"[4]\n\nCa 1 \"P\"\n[1] \"V\"[2]\n\n"
        "Ca 1 \"vf1\"\n[1] \"V\"[3]\n\nCa 1 \"vf2\"\n[1] \"V\"[4]\n";

static inline struct fabric *fixture_open_net(const char *text)
{
	char folder[] = "/dev/shm/simfabric-unit.XXXXXX", path[64], error[256];
	struct fabric *fabric = NULL;
	struct net *net = NULL;

	if (!mkdtemp(folder))
		return NULL;
	snprintf(path, sizeof(path), "%s/fabric", folder);
	if (net_parse("fixture", text, strlen(text), &net, error, sizeof(error)))
		return NULL;
	if (!fabric_create(path, net))
		fabric_open(path, &fabric);
	net_destroy(net);
	return fabric;
}

static inline struct fabric *fixture_open(void)
{
	return fixture_open_net(fixture_net);
}

static inline void fixture_close(struct fabric *fabric)
{
	char path[PATH_MAX], *slash;

	memcpy(path, fabric->path, sizeof(path));
	fabric_close(fabric);
	fabric_destroy(path);
	slash = strrchr(path, '/');
	*slash = 0;
	rmdir(path);
}

static inline uint32_t fixture_port(struct fabric *fabric, const char *node, unsigned number)
{
	return node_port(fabric, node_find(fabric, node), number);
}

static inline void fixture_set_lid(struct fabric *fabric, uint32_t port, uint16_t lid)
{
	port_info_set_lid(fabric->ports[port].info, lid);
}

static inline void fixture_set_route(
        struct fabric *fabric, const char *node, uint16_t lid, uint8_t out)
{
	uint32_t sw = fabric->nodes[node_find(fabric, node)].switch_index;
	uint8_t *bytes = (uint8_t *)switch_lft(fabric, sw);

	bytes[lid] = (uint8_t)~out;
	if (switch_info_linear_top(fabric->switches[sw].info) < lid)
		switch_info_set_linear_top(fabric->switches[sw].info, lid);
}

/* LIDs: S1 1, S2 2, V 3, H1 11, H2 12, H3 13, P 14, vf1 15, vf2 16; all routes; all links Active.
 */
static inline void fixture_bring_up(struct fabric *fabric)
{
	static const struct {
		const char *node;
		uint8_t number;
		uint16_t lid;
		uint8_t s1, s2, v;
	} rows[] = {
	        {"S1", 0, 1, 0, 1, 1},
	        {"S2", 0, 2, 2, 0, 1},
	        {"V", 0, 3, 3, 1, 0},
	        {"H1", 1, 11, 1, 1, 1},
	        {"H2", 1, 12, 2, 2, 1},
	        {"H3", 1, 13, 2, 3, 1},
	        {"P", 1, 14, 3, 1, 2},
	        {"vf1", 1, 15, 3, 1, 3},
	        {"vf2", 1, 16, 3, 1, 4},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		fixture_set_lid(
		        fabric, fixture_port(fabric, rows[i].node, rows[i].number), rows[i].lid);
		fixture_set_route(fabric, "S1", rows[i].lid, rows[i].s1);
		fixture_set_route(fabric, "S2", rows[i].lid, rows[i].s2);
		fixture_set_route(fabric, "V", rows[i].lid, rows[i].v);
	}
	for (uint32_t i = 0; i < port_count(fabric); i++) {
		if (fabric->ports[i].peer != NO_INDEX)
			port_info_set_state(fabric->ports[i].info, PORT_ACTIVE);
	}
}

#endif
