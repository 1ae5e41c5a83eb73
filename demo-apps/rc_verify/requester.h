/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * The sending half of a lane: posts work as far as its queue and the receiver's progress allow and
 * checks what comes back.
 */
#ifndef RC_VERIFY_REQUESTER_H
#define RC_VERIFY_REQUESTER_H

#include "demo-apps/rc_verify/run.h"

/* Post what may be posted. */
void requester_fill(struct run *run, struct lane *lane);
/* Post nothing new, only what makes outstanding work without a signal complete. True when all is
 * done. */
bool requester_drain(struct run *run, struct lane *lane);
void requester_completed(struct run *run, struct lane *lane, uint64_t number);

#endif
