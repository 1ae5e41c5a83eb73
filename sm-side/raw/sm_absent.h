/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * Is there a subnet manager? What is written behind its back it takes back at its next sweep, or
 * leaves broken. One thread.
 */
#ifndef TETHER_SM_ABSENT_H
#define TETHER_SM_ABSENT_H

#include "sm-side/raw/fabric_read.h"
#include "sm-side/raw/umad_window.h"

enum { SM_FOUND_BYTES = 160 };

/*
 * At the own port, or as master where the own port says that the SM is. 0: no; -EBUSY: there is
 * one, *@text says where; -EHOSTUNREACH: the own port does not answer; -EIO, -ENOMEM, -ETIMEDOUT.
 */
int sm_absent_nearby(struct umad_window *window, uint64_t deadline_ns, char text[SM_FOUND_BYTES]);

/* At any port that was read and says that it has an SM: is that one master? Results as above. */
int sm_absent_anywhere(struct umad_window *window, const struct fabric_read *fabric,
        uint64_t deadline_ns, char text[SM_FOUND_BYTES]);

#endif
