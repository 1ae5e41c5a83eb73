/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * Who runs where: hypervisors, their VF slots, VMs, and which VM holds which VF now. A process is
 * on a node (SIMFABRIC_NODE: the hypervisor's or host's own CA, the PF) or in a VM (SIMFABRIC_VM);
 * SIMFABRIC names the file.
 *
 * Detach is what a hypervisor sees: DETACH_ASK returns at once and the VF leaves when the last open
 * context on it is closed (rxe); DETACH_SURPRISE takes it away at once: every QP goes to ERR and
 * each context gets one IBV_EVENT_DEVICE_FATAL (mlx5). While a VF is detached its VM sees no
 * device; its port stays up (prepopulated LIDs).
 */
#ifndef SIMFABRIC_ATTACH_H
#define SIMFABRIC_ATTACH_H

#include <stdbool.h>
#include <stdint.h>

#include "simfabric/shared_file.h"
#include "simfabric/topology.h"

enum detach_kind { DETACH_ASK, DETACH_SURPRISE };

struct hca_place {
	uint32_t port;       /* index in the file's table of ports: where packets enter and leave */
	uint32_t generation; /* counts attachments of this slot; a context opened at another one is
	                        dead */
	uint32_t attachments; /* of the VM so far, this one included; 0: not in a VM */
	char device_name[64]; /* as ibv_get_device_name answers: of the slot, so it changes with a
	                         move */
};

/* The HCA that this process (node or VM, from its environment) sees now. -ENODEV: none attached. */
int attach_current(struct fabric *fabric, struct hca_place *place);

/* An open context holds the VF. Counted per client slot, so that the count of a killed process is
 * given back. */
int attach_hold(struct fabric *fabric, const struct hca_place *place);
void attach_let_go(struct fabric *fabric, const struct hca_place *place);

/* What a context asks now and then: has its VF been taken away by surprise, or is it asked for? */
enum attach_state { ATTACH_HELD, ATTACH_ASKED, ATTACH_GONE };
enum attach_state attach_state(struct fabric *fabric, const struct hca_place *place);

/*
 * Hypervisor's side (CLI). -ENOENT: no such VM or slot; -EBUSY: the slot or the VM is taken;
 * -ENODEV: the VM has no VF. A VM may be given the VF that it has: where it was asked for it and
 * has not let go, that takes the question back.
 */
int attach_vm(struct fabric *fabric, const char *vm, const char *slot);
/* -ETIMEDOUT: still held; the VF leaves when the last context closes. */
int detach_vm(struct fabric *fabric, const char *vm, enum detach_kind kind, int timeout_ms);
/* A VM without a VF. -EEXIST; -ENOSPC: VMS_MAX; -EINVAL: the name is empty or too long. */
int vm_add(struct fabric *fabric, const char *vm);

/*
 * Program the GUIDs of a detached VF, or of a plain CA (one port, no hypervisor's) that stands for
 * one, both at once. -ENOENT: no such CA; -EBUSY: a VM has it, or a client is on it; -EINVAL: a
 * GUID of 0.
 */
int ca_set_guids(struct fabric *fabric, const char *ca, uint64_t node_guid, uint64_t port_guid);

enum { VMS_MAX = 4096 };

struct hypervisor {
	char name[NODE_NAME_BYTES];
	uint32_t vswitch; /* nodes */
	uint32_t pf;
	uint64_t max_qp; /* that its VFs admit to; 0: what the device has */
};

struct slot {
	uint32_t node;
	uint32_t hypervisor;
	uint64_t vm; /* index + 1; 0: free */
	uint64_t generation;
	uint64_t is_asked; /* to be detached when the last context closes */
};

struct vm {
	char name[NODE_NAME_BYTES];
	uint64_t slot; /* index + 1; 0: none */
	uint64_t attachments;
};

/* Let the VFs of a hypervisor offer less than the device has. -ENOENT. */
int hypervisor_limit(struct fabric *fabric, const char *hypervisor, uint64_t max_qp);
/* How many QPs the CA @node says it has, where the device has @device. */
uint32_t attach_max_qp(const struct fabric *fabric, uint32_t node, uint32_t device);

/* To be looked at under the lock. NULL behind the last. A slot's name is its CA's. */
const struct hypervisor *hypervisor_row(const struct fabric *fabric, uint32_t index);
const struct slot *slot_row(const struct fabric *fabric, uint32_t index);
const struct vm *vm_row(const struct fabric *fabric, uint32_t index);
uint32_t vm_find(const struct fabric *fabric, const char *name); /* NO_INDEX: none */
uint32_t slot_find(const struct fabric *fabric, const char *name);

size_t attach_size(const struct net *net);
void attach_init(struct fabric *fabric, const struct net *net);
void attach_client_gone(struct fabric *fabric, uint32_t client);

#endif
