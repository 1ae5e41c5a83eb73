/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * The sender (smp_sender.h) for fabrics without a subnet manager: raw SMPs through a window. What
 * is compared before writing is what was read last; a Set counts as acknowledged when its answer
 * says what was written, and what was read is then that. lft_wait waits for LIDs and P_Keys, too,
 * and also returns -EREMOTEIO: somebody has refused a Set. One thread.
 */
#ifndef TETHER_SMP_SENDER_UMAD_H
#define TETHER_SMP_SENDER_UMAD_H

#include <stdbool.h>

#include "sm-side/raw/fabric_read.h"
#include "sm-side/raw/umad_window.h"
#include "sm-side/identity/smp_sender.h"

/*
 * @window and @fabric stay the caller's and outlive it. @by_lid: Sets for switches are routed by
 * LID, which needs tables that lead to the switches; those for CAs go by directed route, since
 * their LIDs are what changes. NULL: out of memory.
 */
struct smp_sender *smp_sender_umad_create(
        struct umad_window *window, struct fabric_read *fabric, bool by_lid);

/* After lft_wait has failed: whom it could not set, or NULL. */
const struct read_node *smp_sender_umad_culprit(const struct smp_sender *sender);

#endif
