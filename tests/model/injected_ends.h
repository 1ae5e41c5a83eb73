/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/* The programs of a case, one at either end: what they make, post, poll and have in memory. */
#ifndef TEST_MODEL_INJECTED_ENDS_H
#define TEST_MODEL_INJECTED_ENDS_H

#include "tests/model/injected.h"

enum { WR_ID_SEND = 1000, WR_ID_RECEIVE = 2000 };

/* The devices of all VMs, with so many bytes of memory each. */
void hosts_open(size_t bytes);
void hosts_close(void);

/* Connected, filled, with its receives. */
void injected_open(struct injected *c);
void injected_close(struct injected *c);

/* Behind injected_open: windows are bound, which takes turns of the world. */
void injected_post_binds(struct injected *c);
bool injected_binds_are_done(struct injected *c);

/* Work that is kept, or that is not. */
void injected_post(struct injected *c, bool kept);
/* All RECVs that are missing, and one. */
void injected_post_receives(struct injected *c);
/* One more message behind all, which says that the connection goes on. */
void injected_post_last(struct injected *c);
void injected_poll(struct injected *c);
/* The asking end is over: its program tells the other one, which fails its queue pair. */
void injected_fail_answering(struct injected *c);

/* What a buffer holds before, what a program that was written to puts there, and the @at-th byte of
 * a message. */
enum { BYTE_BEFORE = 0xee, BYTE_OVER = 0x5c };
uint8_t injected_byte(const struct planned *work, uint32_t at);

#endif
