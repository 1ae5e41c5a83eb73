/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * From two started processes to connected QPs with receives posted.
 */
#ifndef RC_VERIFY_SET_UP_H
#define RC_VERIFY_SET_UP_H

struct run;

/* 0 or -errno; a message was printed. */
int set_up(struct run *run);

#endif
