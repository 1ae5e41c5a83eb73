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

struct fabric;

enum detach_kind { DETACH_ASK, DETACH_SURPRISE };

struct hca_place {
	uint32_t port;       /* index in the file's table of ports: where packets enter and leave */
	uint32_t generation; /* counts attachments of this slot; a context opened at another one is
	                        dead */
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

/* Hypervisor's side (CLI). */
int attach_vm(struct fabric *fabric, const char *vm, const char *slot);
int detach_vm(struct fabric *fabric, const char *vm, enum detach_kind kind,
        int timeout_ms); /* -ETIMEDOUT: still held */

#endif
