/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * The receiving half of a lane: posts receives, now and then late, checks messages, finds WRITEs in
 * memory and publishes how far it is.
 */
#ifndef RC_VERIFY_RECEIVER_H
#define RC_VERIFY_RECEIVER_H

#include "demo-apps/rc_verify/run.h"

void receiver_start(struct run *run, struct lane *lane);
void receiver_completed(struct run *run, struct lane *lane, const struct ibv_wc *wc);
/* Look at memory, post what is due. True when something came. */
bool receiver_poll(struct run *run, struct lane *lane);
/* The sender wrote and sent so many: anything missing, or there twice? */
void receiver_finish(struct run *run, struct lane *lane, uint64_t messages, uint64_t writes);

#endif
