/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * Subnet management packets as bytes: a request is written, an answer is read (IBA 1.4, 14.2).
 * Values are in host order, but for the 64 bytes of data, which stay as on the wire. M_Key 0 only.
 * Pure.
 */
#ifndef TETHER_RAW_SMP_H
#define TETHER_RAW_SMP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
	SMP_BYTES = 256,
	SMP_DATA_BYTES = 64,
	SMP_HOPS_MAX = 63,
	SMP_LID_PERMISSIVE = 0xffff,
};

enum smp_method { SMP_GET = 0x01, SMP_SET = 0x02, SMP_GET_RESPONSE = 0x81 };

enum smp_class { SMP_CLASS_LID = 0x01, SMP_CLASS_DIRECTED = 0x81 };

enum smp_attribute {
	SMP_NODE_DESCRIPTION = 0x0010,
	SMP_NODE_INFO = 0x0011,
	SMP_SWITCH_INFO = 0x0012,
	SMP_PORT_INFO = 0x0015,
	SMP_PKEY_TABLE = 0x0016,
	SMP_LFT = 0x0019,
	SMP_SM_INFO = 0x0020,
};

enum smp_node_type { SMP_NODE_CA = 1, SMP_NODE_SWITCH = 2, SMP_NODE_ROUTER = 3 };
enum smp_port_state { SMP_PORT_NO_CHANGE = 0, SMP_PORT_DOWN = 1 };
enum smp_sm_state { SMP_SM_MASTER = 3 };

/* By LID, or out through ports path[1] to path[hops] in turn; no hops: the own node. */
struct smp_route {
	uint16_t lid; /* 0: directed */
	uint8_t hops;
	uint8_t path[SMP_HOPS_MAX + 1];
};

struct smp_request {
	struct smp_route route;
	enum smp_method method;
	enum smp_attribute attribute;
	uint32_t modifier;
	uint8_t data[SMP_DATA_BYTES];
};

struct smp_answer {
	uint32_t tid;    /* the lower half; the upper one is the kernel's */
	uint16_t status; /* of the MAD; 0: carried out */
	uint16_t attribute;
	uint32_t modifier;
	uint8_t data[SMP_DATA_BYTES];
};

void smp_encode(const struct smp_request *request, uint32_t tid, uint8_t mad[SMP_BYTES]);
/* -EINVAL: that is not the answer to an SMP. */
int smp_decode(const uint8_t *mad, size_t bytes, struct smp_answer *answer);

/* One hop on. -E2BIG: no SMP goes farther. */
int smp_route_extend(const struct smp_route *route, uint8_t port, struct smp_route *longer);

/* What attributes say, from and into their 64 bytes. */
struct smp_node_info {
	uint8_t type, ports, local_port;
	uint64_t node_guid, port_guid;
};
/* -EINVAL: no node has such a type, or the port is none of its. */
int smp_node_info_decode(const uint8_t *data, struct smp_node_info *info);

struct smp_switch_info {
	uint16_t lft_cap; /* entries that the table has room for */
	uint16_t lft_top; /* the highest LID that is forwarded */
};
void smp_switch_info_decode(const uint8_t *data, struct smp_switch_info *info);

struct smp_port_info {
	uint64_t mkey;
	uint16_t lid, sm_lid;
	uint8_t state, lmc;
	bool is_sm;
};
void smp_port_info_decode(const uint8_t *data, struct smp_port_info *info);
/* Make what a Get has brought into what sets @lid and leaves all else as it is. */
void smp_port_info_for_lid(uint8_t *data, uint16_t lid);

/* Of SMInfo. */
uint8_t smp_sm_state(const uint8_t *data);
uint64_t smp_sm_guid(const uint8_t *data);

/* A node's description as printable text. */
void smp_description_decode(const uint8_t *data, char text[SMP_DATA_BYTES + 1]);

#endif
