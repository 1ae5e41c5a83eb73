/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/* Devices of the fake HCA, which of them are there, and contexts. */
#ifndef TEST_SHIM_FAKE_DEVICES_H
#define TEST_SHIM_FAKE_DEVICES_H

#include <infiniband/verbs.h>
#include <stdbool.h>
#include <stdint.h>

struct hca {
	struct ibv_device device;
	uint16_t lid;
	uint64_t guid;
	uint32_t next_number; /* of queue pairs and keys: every slot has its own */
	uint8_t host;         /* of which its GIDs are, on Ethernet */
	bool is_vm;
};

void fake_devices_reset(void);
struct hca *fake_hca_of(const struct ibv_context *context);
bool fake_is_vm(const struct ibv_context *context);
/* The HCAs that are there, two at most; how many. */
unsigned fake_present(struct hca *there[2]);
/* Where the VM's HCA was when it was opened. */
int fake_slot_of(const struct ibv_context *context);

struct ibv_device **fake_get_device_list(int *count);
void fake_free_device_list(struct ibv_device **list);
__be64 fake_get_device_guid(struct ibv_device *device);
int fake_get_device_index(struct ibv_device *device);
const char *fake_get_device_name(struct ibv_device *device);
struct ibv_context *fake_open_device(struct ibv_device *device);
int fake_close_device(struct ibv_context *context);
int fake_query_device(struct ibv_context *context, struct ibv_device_attr *attr);

#endif
