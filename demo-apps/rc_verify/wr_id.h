/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * What a work request's id says: which lane, which number, a receive or not.
 */
#ifndef RC_VERIFY_WR_ID_H
#define RC_VERIFY_WR_ID_H

#include <stdbool.h>
#include <stdint.h>

static inline uint64_t wr_id_make(bool is_receive, uint32_t lane, uint64_t number)
{
	return (uint64_t)is_receive << 63 | (uint64_t)lane << 44 | number;
}
static inline bool wr_id_is_receive(uint64_t wr_id)
{
	return wr_id >> 63;
}
static inline uint32_t wr_id_lane(uint64_t wr_id)
{
	return (wr_id >> 44) & 0xffff;
}
static inline uint64_t wr_id_number(uint64_t wr_id)
{
	return wr_id & ((1ULL << 44) - 1);
}

#endif
