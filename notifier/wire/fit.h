/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/* Frames for those who speak an older version: without what came after it (since.def). Any thread.
 */
#ifndef TETHER_FIT_H
#define TETHER_FIT_H

#include <stdint.h>

#include "notifier/wire/pieces.h"
#include "tether.pb-c.h"

/*
 * @frame as whoever speaks @version knows it: itself, or a copy in @pieces without what is newer.
 * NULL: no memory.
 */
const Tether__Frame *frame_fit(uint32_t version, const Tether__Frame *frame, struct pieces *pieces);

#endif
