/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include "sm-side/raw/smp.h"

#include <endian.h>
#include <errno.h>
#include <string.h>

enum mad_offset {
	MAD_BASE_VERSION = 0,
	MAD_CLASS = 1,
	MAD_CLASS_VERSION = 2,
	MAD_METHOD = 3,
	MAD_STATUS = 4,
	MAD_HOP_POINTER = 6,
	MAD_HOP_COUNT = 7,
	MAD_TID_LOW = 12,
	MAD_ATTRIBUTE = 16,
	MAD_MODIFIER = 20,
	MAD_DR_SLID = 32,
	MAD_DR_DLID = 34,
	MAD_DATA = 64,
	MAD_INITIAL_PATH = 128,
};

enum {
	STATUS_DIRECTION = 0x8000, /* of a directed route; says nothing of success */
	CAPABILITY_IS_SM = 1 << 1,
	CLIENT_REREGISTER = 0x80,
};

static uint16_t get16(const uint8_t *at)
{
	return (uint16_t)(at[0] << 8 | at[1]);
}

static uint32_t get32(const uint8_t *at)
{
	return (uint32_t)get16(at) << 16 | get16(at + 2);
}

static uint64_t get64(const uint8_t *at)
{
	return (uint64_t)get32(at) << 32 | get32(at + 4);
}

static void put16(uint8_t *at, uint16_t value)
{
	value = htobe16(value);
	memcpy(at, &value, sizeof(value));
}

static void put32(uint8_t *at, uint32_t value)
{
	value = htobe32(value);
	memcpy(at, &value, sizeof(value));
}

void smp_encode(const struct smp_request *request, uint32_t tid, uint8_t mad[SMP_BYTES])
{
	const struct smp_route *route = &request->route;

	memset(mad, 0, SMP_BYTES);
	mad[MAD_BASE_VERSION] = 1;
	mad[MAD_CLASS] = route->lid ? SMP_CLASS_LID : SMP_CLASS_DIRECTED;
	mad[MAD_CLASS_VERSION] = 1;
	mad[MAD_METHOD] = (uint8_t)request->method;
	put32(mad + MAD_TID_LOW, tid);
	put16(mad + MAD_ATTRIBUTE, (uint16_t)request->attribute);
	put32(mad + MAD_MODIFIER, request->modifier);
	memcpy(mad + MAD_DATA, request->data, SMP_DATA_BYTES);
	if (route->lid)
		return;
	mad[MAD_HOP_COUNT] = route->hops;
	put16(mad + MAD_DR_SLID, SMP_LID_PERMISSIVE);
	put16(mad + MAD_DR_DLID, SMP_LID_PERMISSIVE);
	memcpy(mad + MAD_INITIAL_PATH, route->path, sizeof(route->path));
}

int smp_decode(const uint8_t *mad, size_t bytes, struct smp_answer *answer)
{
	if (bytes < SMP_BYTES || mad[MAD_METHOD] != SMP_GET_RESPONSE)
		return -EINVAL;
	if (mad[MAD_CLASS] != SMP_CLASS_LID && mad[MAD_CLASS] != SMP_CLASS_DIRECTED)
		return -EINVAL;
	answer->tid = get32(mad + MAD_TID_LOW);
	answer->status = get16(mad + MAD_STATUS);
	if (mad[MAD_CLASS] == SMP_CLASS_DIRECTED)
		answer->status &= (uint16_t)~STATUS_DIRECTION;
	answer->attribute = get16(mad + MAD_ATTRIBUTE);
	answer->modifier = get32(mad + MAD_MODIFIER);
	memcpy(answer->data, mad + MAD_DATA, SMP_DATA_BYTES);
	return 0;
}

int smp_route_extend(const struct smp_route *route, uint8_t port, struct smp_route *longer)
{
	if (route->hops == SMP_HOPS_MAX)
		return -E2BIG;
	*longer = *route;
	longer->path[++longer->hops] = port;
	return 0;
}

int smp_node_info_decode(const uint8_t *data, struct smp_node_info *info)
{
	struct smp_node_info read = {
	        .type = data[2],
	        .ports = data[3],
	        .node_guid = get64(data + 12),
	        .port_guid = get64(data + 20),
	        .local_port = data[36],
	};

	if (read.type < SMP_NODE_CA || read.type > SMP_NODE_ROUTER)
		return -EINVAL;
	if (read.ports == 0 || read.ports == UINT8_MAX || read.local_port > read.ports)
		return -EINVAL;
	*info = read;
	return 0;
}

void smp_switch_info_decode(const uint8_t *data, struct smp_switch_info *info)
{
	info->lft_cap = get16(data);
	info->lft_top = get16(data + 6);
}

void smp_port_info_decode(const uint8_t *data, struct smp_port_info *info)
{
	info->mkey = get64(data);
	info->lid = get16(data + 16);
	info->sm_lid = get16(data + 18);
	info->is_sm = get32(data + 20) & CAPABILITY_IS_SM;
	info->state = data[32] & 0xf;
	info->lmc = data[34] & 7;
}

void smp_port_info_for_lid(uint8_t *data, uint16_t lid)
{
	put16(data + 16, lid);
	data[32] &= 0xf0; /* state: no change */
	data[33] &= 0x0f; /* physical state: no change */
	data[51] &= (uint8_t)~CLIENT_REREGISTER;
}

uint8_t smp_sm_state(const uint8_t *data)
{
	return data[20] & 0xf;
}

uint64_t smp_sm_guid(const uint8_t *data)
{
	return get64(data);
}

void smp_description_decode(const uint8_t *data, char text[SMP_DATA_BYTES + 1])
{
	size_t length = strnlen((const char *)data, SMP_DATA_BYTES);

	for (size_t i = 0; i < length; i++)
		text[i] = data[i] < ' ' || data[i] > '~' || data[i] == '"' ? '?' : (char)data[i];
	text[length] = 0;
}
