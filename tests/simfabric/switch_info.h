/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/* The fields of a SwitchInfo image as it stands on the wire (IBA 1.4, 14.2.5.4). Pure. */
#ifndef SIMFABRIC_SWITCH_INFO_H
#define SIMFABRIC_SWITCH_INFO_H

#include <endian.h>
#include <stdint.h>
#include <string.h>

/* FIELD(name, byte): 16 bits in network order. */
#define SWITCH_INFO_WORDS(FIELD)                                                                   \
	FIELD(linear_cap, 0)                                                                       \
	FIELD(random_cap, 2)                                                                       \
	FIELD(multicast_cap, 4)                                                                    \
	FIELD(linear_top, 6)                                                                       \
	FIELD(lids_per_port, 12)                                                                   \
	FIELD(enforcement_cap, 14)                                                                 \
	FIELD(multicast_top, 18)

/* FIELD(name, byte, shift, bits) */
#define SWITCH_INFO_BITS(FIELD)                                                                    \
	FIELD(default_port, 8, 0, 8)                                                               \
	FIELD(primary_multicast_port, 9, 0, 8)                                                     \
	FIELD(not_primary_multicast_port, 10, 0, 8)                                                \
	FIELD(life_time, 11, 3, 5)                                                                 \
	FIELD(state_change, 11, 2, 1)                                                              \
	FIELD(optimized_sl_to_vl, 11, 0, 2)                                                        \
	FIELD(filter_raw, 16, 4, 2)                                                                \
	FIELD(enhanced_port0, 16, 3, 1)

#define FIELD(name, byte)                                                                          \
	static inline uint16_t switch_info_##name(const uint8_t info[64])                          \
	{                                                                                          \
		return (uint16_t)(info[byte] << 8 | info[(byte) + 1]);                             \
	}                                                                                          \
	static inline void switch_info_set_##name(uint8_t info[64], uint16_t value)                \
	{                                                                                          \
		info[byte] = (uint8_t)(value >> 8);                                                \
		info[(byte) + 1] = (uint8_t)value;                                                 \
	}
SWITCH_INFO_WORDS(FIELD)
#undef FIELD

#define FIELD(name, byte, shift, bits)                                                             \
	static inline uint8_t switch_info_##name(const uint8_t info[64])                           \
	{                                                                                          \
		return (uint8_t)(info[byte] >> (shift)) & ((1u << (bits)) - 1);                    \
	}                                                                                          \
	static inline void switch_info_set_##name(uint8_t info[64], uint8_t value)                 \
	{                                                                                          \
		uint8_t mask = (uint8_t)(((1u << (bits)) - 1) << (shift));                         \
                                                                                                   \
		info[byte] = (uint8_t)((info[byte] & ~mask) | ((value << (shift)) & mask));        \
	}
SWITCH_INFO_BITS(FIELD)
#undef FIELD

#endif
