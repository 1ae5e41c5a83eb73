/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * Whose each LID is, by where VMs are located. Of one behind a shared port the SM cannot say at
 * whose place it is: it is the host's that was the first of which a VM was located at it, and
 * nobody's who has VMs behind shared ports where it is a VM's own at another host. Pure.
 */
#ifndef TETHER_DIRECTORY_LIDS_H
#define TETHER_DIRECTORY_LIDS_H

#include "sm-side/directory/directory.h"

struct directory_lids;

/* As they are now; points into the directory. NULL: no memory. */
struct directory_lids *directory_lids_of(const struct directory *directory);
void directory_lids_free(struct directory_lids *lids);

/* May the VM of which @now is known be behind a shared port at @lid? Then that is its host's. */
bool directory_lids_share(
        struct directory_lids *lids, const struct directory_place *now, uint32_t lid);

#endif
