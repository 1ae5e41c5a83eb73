/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * Hypervisors and what they have for VMs: VF slots. Which VM holds which slot now is attach.c's to
 * say and to change.
 *
 * Behind a vSwitch a VF is a CA of its own. Under Shared Port it is an entry in the GUIDInfo table
 * of its hypervisor's port, whose LID and queue pair numbers it shares: the fabric sees one CA.
 */
#ifndef SIMFABRIC_SLOTS_H
#define SIMFABRIC_SLOTS_H

#include <stdbool.h>
#include <stdint.h>

#include "simfabric/shared_file.h"
#include "simfabric/topology.h"

struct hypervisor {
	char name[NODE_NAME_BYTES];
	uint32_t vswitch; /* nodes; NO_INDEX: Shared Port */
	uint32_t pf;
	uint64_t is_dynamic; /* its VFs are down until a VM has them (dynamic LIDs) */
	uint64_t max_qp;     /* that its VFs admit to; 0: what the device has */
};

struct slot {
	char name[NODE_NAME_BYTES];
	uint32_t node; /* its CA; under Shared Port the PF's */
	uint32_t hypervisor;
	uint32_t alias; /* entry of the port's GUIDInfo table; 0: it has a CA of its own */
	uint32_t reserved;
	uint64_t node_guid; /* under Shared Port: what its VM is told */
	uint64_t vm;        /* index + 1; 0: free */
	uint64_t generation;
	uint64_t is_asked;   /* to be detached when the last context closes */
	uint64_t keeps_link; /* then, also where the hypervisor is dynamic */
};

/* To be looked at under the lock. NULL behind the last. */
const struct hypervisor *hypervisor_row(const struct fabric *fabric, uint32_t index);
const struct slot *slot_row(const struct fabric *fabric, uint32_t index);
uint32_t slot_find(const struct fabric *fabric, const char *name); /* NO_INDEX: none */

/* Of a Shared Port hypervisor. NO_INDEX: it is no slot. */
bool slot_is_shared(const struct fabric *fabric, uint32_t slot);

/* The GUIDs that whoever has the slot sees. Without the lock, each whole. 0: none is set. */
uint64_t slot_node_guid(const struct fabric *fabric, uint32_t slot);
uint64_t slot_port_guid(const struct fabric *fabric, uint32_t slot);
/*
 * Program the GUIDs of a detached VF, or of a plain CA (one port, no hypervisor's) that stands for
 * one, both at once. Under Shared Port the port's is its alias GUID, which the subnet manager can
 * set, too. -ENOENT: no such CA; -EBUSY: a VM has it, or a client is on it; -EINVAL: a GUID of 0.
 */
int ca_set_guids(struct fabric *fabric, const char *ca, uint64_t node_guid, uint64_t port_guid);

/* Let the VFs of a hypervisor offer less than the device has. -ENOENT. */
int hypervisor_limit(struct fabric *fabric, const char *hypervisor, uint64_t max_qp);
/* How many QPs the VF says it has, where the device has @device. NO_INDEX: it is no VF. */
uint32_t slot_max_qp(const struct fabric *fabric, uint32_t slot, uint32_t device);

size_t slots_size(const struct net *net);
void slots_init(struct fabric *fabric, const struct net *net);
/* attach.c's, to change. */
struct slot *slot_of_attach(const struct fabric *fabric, uint32_t index);

#endif
