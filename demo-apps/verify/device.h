/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/* The RDMA device and the port that a verify program uses, and the port's address. One thread. */
#ifndef VERIFY_DEVICE_H
#define VERIFY_DEVICE_H

#include <infiniband/verbs.h>
#include <stdbool.h>
#include <stdint.h>

enum { DEVICE_PORT = 1 };

struct port_address {
	uint16_t lid;
	union ibv_gid gid;
};

/* The device of that name, NULL: the first. NULL: a message was printed. */
struct ibv_context *device_open(const char *name);
/* Asks the device. 0 or -errno: a message was printed. */
int port_address_ask(struct ibv_context *context, int gid_index, struct port_address *address);
bool port_addresses_same(const struct port_address *a, const struct port_address *b);

#endif
