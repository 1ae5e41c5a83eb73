/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/* What a program does with its end's completion channel: it arms, and is woken or not. */
#ifndef TEST_SHIM_CHANNELS_H
#define TEST_SHIM_CHANNELS_H

#include <stdbool.h>
#include <stdint.h>

#include "tests/unit/shim_harness.h"

void set_nonblocking(int fd);
bool end_is_readable(const struct end *end);
void end_arm(struct end *end, int solicited_only);
void end_expect_event(struct end *end);
void end_expect_silence(struct end *end);
/* A message to @to, all of it. */
void end_message(struct end *from, struct end *to, uint64_t wr_id, unsigned flags);

#endif
