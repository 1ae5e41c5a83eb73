/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * Who runs where: VMs, and which VM holds which VF (slots.h) now. A process is on a node
 * (SIMFABRIC_NODE: the hypervisor's or host's own CA, the PF) or in a VM (SIMFABRIC_VM); SIMFABRIC
 * names the file.
 *
 * Detach is what a hypervisor sees: DETACH_ASK returns at once and the VF leaves when the last open
 * context on it is closed (rxe); DETACH_SURPRISE takes it away at once: every QP goes to ERR and
 * each context gets one IBV_EVENT_DEVICE_FATAL (mlx5). While a VF is detached its VM sees no
 * device; its port stays up (prepopulated LIDs), or goes down with it where the hypervisor is
 * "dynamic", unless asked for by DETACH_KEEP_LINK: then it is somebody else's to pull.
 */
#ifndef SIMFABRIC_ATTACH_H
#define SIMFABRIC_ATTACH_H

#include <stdbool.h>
#include <stdint.h>

#include "simfabric/shared_file.h"
#include "simfabric/slots.h"
#include "simfabric/topology.h"

enum detach_kind { DETACH_ASK, DETACH_KEEP_LINK, DETACH_SURPRISE };

struct hca_place {
	uint32_t port;       /* index in the file's table of ports: where packets enter and leave */
	uint32_t generation; /* counts attachments of this slot; a context opened at another one is
	                        dead */
	uint32_t slot;       /* whose VF it is; NO_INDEX: a CA that is none */
	uint32_t attachments; /* of the VM so far, this one included; 0: not in a VM */
	char device_name[64]; /* as ibv_get_device_name answers: of the slot, so it changes with a
	                         move */
};

/* The device's own GUID, and the GUID of its port, in host order. 0: it has none yet. */
uint64_t place_node_guid(const struct fabric *fabric, const struct hca_place *place);
uint64_t place_port_guid(const struct fabric *fabric, const struct hca_place *place);

/*
 * The HCAs that this process sees now, by its environment: the one of its node, or of its VM; or of
 * each of its VMs, named with blanks between. How many.
 */
enum { ATTACH_PLACES_MAX = 4 };
unsigned attach_places(struct fabric *fabric, struct hca_place places[ATTACH_PLACES_MAX]);
/* The first, or the one with this name. -ENODEV: none attached. */
int attach_current(struct fabric *fabric, struct hca_place *place);
int attach_named(struct fabric *fabric, const char *device_name, struct hca_place *place);

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

enum { VMS_MAX = 4096 };

struct vm {
	char name[NODE_NAME_BYTES];
	uint64_t slot; /* index + 1; 0: none */
	uint64_t attachments;
};

/* To be looked at under the lock. NULL behind the last. */
const struct vm *vm_row(const struct fabric *fabric, uint32_t index);
uint32_t vm_find(const struct fabric *fabric, const char *name); /* NO_INDEX: none */

size_t attach_size(const struct net *net);
void attach_client_gone(struct fabric *fabric, uint32_t client);

#endif
