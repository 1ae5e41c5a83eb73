/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include "simfabric/umad_devices.h"

#include <endian.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "simfabric/issm.h"
#include "simfabric/process.h"

int umad_device(const char *name, struct fabric **fabric, struct hca_place *place)
{
	int r = process_fabric(fabric);

	if (!r)
		r = attach_current(*fabric, place);
	if (!r && name && strncmp(name, place->device_name, UMAD_CA_NAME_LEN - 1))
		r = -ENODEV;
	return r;
}

/* How good a choice a port is for a program that names none. */
static unsigned rank(const struct port *port)
{
	if (port_state(port) == PORT_ACTIVE)
		return 3;
	if (port_is_up(port))
		return 2;
	return port_byte(port, 33) >> 4 != PORT_PHYS_DISABLED;
}

static int choose(const struct fabric *fabric, const struct node *node)
{
	int best = 1;

	for (int i = 2; i <= node->ports; i++) {
		if (rank(&fabric->ports[node->first_port + i - 1]) >
		        rank(&fabric->ports[node->first_port + best - 1]))
			best = i;
	}
	return best;
}

int umad_device_port(const char *name, int *number, struct fabric **fabric, struct hca_place *place,
        uint32_t *port)
{
	int r = umad_device(name, fabric, place);
	const struct node *node;

	if (r)
		return r;
	node = &(*fabric)->nodes[(*fabric)->ports[place->port].node];
	if (*number < 0 || *number > node->ports)
		return -EINVAL;
	if (!*number)
		*number = choose(*fabric, node);
	*port = node->first_port + *number - 1;
	return 0;
}

static unsigned rate_gbps(const struct port *port)
{
	unsigned width = port_byte(port, 31), speed = port_byte(port, 35) >> 4;
	unsigned ext = port_byte(port, 62) >> 4;
	unsigned lanes = width == 16 ? 2 : width == 1 ? 1 : width == 2 ? 4 : width == 4 ? 8 : 12;
	unsigned tenths = ext == 4 ? 500 : ext == 2 ? 250 : ext == 1 ? 140 : speed * 25;

	return lanes * tenths / 10;
}

/* A VF has one port; a CA may have more than the one that its place names. */
static uint64_t guid_of_port(
        const struct fabric *fabric, const struct hca_place *place, uint32_t index)
{
	return index == place->port ? place_port_guid(fabric, place) : fabric->ports[index].guid;
}

static int describe_port(const struct fabric *fabric, const struct hca_place *place, uint32_t index,
        umad_port_t *port)
{
	const struct port *p = &fabric->ports[index];
	uint8_t info[64];

	memcpy(info, p->info, sizeof(info));
	memset(port, 0, sizeof(*port));
	port->pkeys = calloc(PKEY_TABLE_SIZE, sizeof(port->pkeys[0]));
	if (!port->pkeys)
		return -ENOMEM;
	for (unsigned i = 0; i < PKEY_TABLE_SIZE; i++)
		port->pkeys[i] = port_pkey(p, i);
	port->pkeys_size = PKEY_TABLE_SIZE;
	snprintf(port->ca_name, sizeof(port->ca_name), "%.19s", place->device_name);
	snprintf(port->link_layer, sizeof(port->link_layer), "InfiniBand");
	port->portnum = p->number;
	port->base_lid = port_info_lid(info);
	port->lmc = port_info_lmc(info);
	port->sm_lid = port_info_sm_lid(info);
	port->sm_sl = port_info_sm_sl(info);
	port->state = port_info_state(info);
	port->phys_state = port_info_phys_state(info);
	port->rate = rate_gbps(p);
	port->capmask = htobe32(port_info_capability_mask(info) & ~(uint32_t)CAP_IS_SM);
	if (issm_is_open(fabric, index))
		port->capmask |= htobe32(CAP_IS_SM);
	port->gid_prefix = htobe64(port_info_gid_prefix(info));
	port->port_guid = htobe64(guid_of_port(fabric, place, index));
	return 0;
}

int umad_device_describe_port(const char *name, int number, umad_port_t *port)
{
	struct fabric *fabric;
	struct hca_place place;
	uint32_t index;
	int r = umad_device_port(name, &number, &fabric, &place, &index);

	return r ? r : describe_port(fabric, &place, index, port);
}

int umad_device_describe(const char *name, umad_ca_t *ca)
{
	struct fabric *fabric;
	struct hca_place place;
	const struct node *node;
	int r = umad_device(name, &fabric, &place);

	if (r)
		return r;
	node = &fabric->nodes[fabric->ports[place.port].node];
	memset(ca, 0, sizeof(*ca));
	snprintf(ca->ca_name, sizeof(ca->ca_name), "%.19s", place.device_name);
	snprintf(ca->ca_type, sizeof(ca->ca_type), "simfabric");
	snprintf(ca->fw_ver, sizeof(ca->fw_ver), "%d", FABRIC_VERSION);
	snprintf(ca->hw_ver, sizeof(ca->hw_ver), "0");
	ca->node_type = node->kind;
	ca->node_guid = htobe64(place_node_guid(fabric, &place));
	ca->system_guid = htobe64(node->system_guid);
	for (int i = 1; i <= node->ports && i < UMAD_CA_MAX_PORTS && !r; i++) {
		ca->ports[i] = calloc(1, sizeof(*ca->ports[i]));
		r = ca->ports[i]
		            ? describe_port(fabric, &place, node->first_port + i - 1, ca->ports[i])
		            : -ENOMEM;
		ca->numports = i;
	}
	return r;
}
