/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * The VFs of a VM and the slots that they go to: a part of admission.h. A VM moves with all that it
 * has, each to a slot of its own: so all are of one kind, and of the subnet whose SM is asked.
 * Pure; the conductor's thread.
 */
#ifndef TETHER_ADMISSION_VFS_H
#define TETHER_ADMISSION_VFS_H

#include "sm-side/migration/admission.h"

/* Fill of @intent the VM and its VFs, that in the slot which its host names first. */
struct admission admission_vfs_fill(const struct inventory *inventory,
        const struct under_way *under_way, const char *source_host, const Tether__HostVm *vm,
        const char *to, struct migration_intent *intent);

#endif
