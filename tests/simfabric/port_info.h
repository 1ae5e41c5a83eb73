/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * The fields of a PortInfo image as it stands on the wire (IBA 1.4, 14.2.5.6). Pure; a caller that
 * reads an image in the shared file without the lock sees each field whole.
 */
#ifndef SIMFABRIC_PORT_INFO_H
#define SIMFABRIC_PORT_INFO_H

#include <endian.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

enum port_state { PORT_NOP, PORT_DOWN, PORT_INIT, PORT_ARMED, PORT_ACTIVE };
enum port_phys_state {
	PORT_PHYS_NOP,
	PORT_PHYS_SLEEP,
	PORT_PHYS_POLLING,
	PORT_PHYS_DISABLED,
	PORT_PHYS_TRAINING,
	PORT_PHYS_LINK_UP,
};

enum capability_mask {
	CAP_IS_SM = 1 << 1,
	CAP_NOTICE = 1 << 2,
	CAP_TRAP = 1 << 3,
	CAP_MKEY_NVRAM = 1 << 6,
	CAP_EXTENDED_SPEEDS = 1 << 14,
	CAP_CAPABILITY_MASK2 = 1 << 15,
	CAP_VENDOR_CLASS = 1 << 20,
	CAP_CAPABILITY_MASK_NOTICE = 1 << 22,
	CAP_CLIENT_REREGISTER = 1 << 25,
};

enum capability_mask2 { CAP2_LINK_WIDTH_2X = 1 << 4, CAP2_LINK_SPEED_HDR = 1 << 5 };

/* FIELD(name, byte, shift, bits): a field inside one byte. */
#define PORT_INFO_BITS(FIELD)                                                                      \
	FIELD(local_port, 28, 0, 8)                                                                \
	FIELD(width_enabled, 29, 0, 8)                                                             \
	FIELD(width_supported, 30, 0, 8)                                                           \
	FIELD(width_active, 31, 0, 8)                                                              \
	FIELD(speed_supported, 32, 4, 4)                                                           \
	FIELD(state, 32, 0, 4)                                                                     \
	FIELD(phys_state, 33, 4, 4)                                                                \
	FIELD(down_default, 33, 0, 4)                                                              \
	FIELD(mkey_protect, 34, 6, 2)                                                              \
	FIELD(lmc, 34, 0, 3)                                                                       \
	FIELD(speed_active, 35, 4, 4)                                                              \
	FIELD(speed_enabled, 35, 0, 4)                                                             \
	FIELD(mtu, 36, 4, 4)                                                                       \
	FIELD(sm_sl, 36, 0, 4)                                                                     \
	FIELD(vl_cap, 37, 4, 4)                                                                    \
	FIELD(init_type, 37, 0, 4)                                                                 \
	FIELD(vl_high_limit, 38, 0, 8)                                                             \
	FIELD(vl_arb_high_cap, 39, 0, 8)                                                           \
	FIELD(vl_arb_low_cap, 40, 0, 8)                                                            \
	FIELD(init_type_reply, 41, 4, 4)                                                           \
	FIELD(mtu_cap, 41, 0, 4)                                                                   \
	FIELD(vl_stall_count, 42, 5, 3)                                                            \
	FIELD(hoq_life, 42, 0, 5)                                                                  \
	FIELD(oper_vls, 43, 4, 4)                                                                  \
	FIELD(enforcement, 43, 0, 4)                                                               \
	FIELD(guid_cap, 50, 0, 8)                                                                  \
	FIELD(client_reregister, 51, 7, 1)                                                         \
	FIELD(mcast_pkey_trap, 51, 5, 2)                                                           \
	FIELD(subnet_timeout, 51, 0, 5)                                                            \
	FIELD(response_time, 52, 0, 5)                                                             \
	FIELD(local_phys_errors, 53, 4, 4)                                                         \
	FIELD(overrun_errors, 53, 0, 4)                                                            \
	FIELD(speed_ext_active, 62, 4, 4)                                                          \
	FIELD(speed_ext_supported, 62, 0, 4)                                                       \
	FIELD(speed_ext_enabled, 63, 0, 5)

/* FIELD(name, byte, bits): a field of whole bytes, on the wire in network order. */
#define PORT_INFO_WORDS(FIELD)                                                                     \
	FIELD(mkey, 0, 64)                                                                         \
	FIELD(gid_prefix, 8, 64)                                                                   \
	FIELD(lid, 16, 16)                                                                         \
	FIELD(sm_lid, 18, 16)                                                                      \
	FIELD(capability_mask, 20, 32)                                                             \
	FIELD(mkey_lease_s, 26, 16)                                                                \
	FIELD(mkey_violations, 44, 16)                                                             \
	FIELD(pkey_violations, 46, 16)                                                             \
	FIELD(qkey_violations, 48, 16)                                                             \
	FIELD(max_credit_hint, 54, 16)                                                             \
	FIELD(capability_mask2, 60, 16)

#define FIELD(name, byte, shift, bits)                                                             \
	static inline uint8_t port_info_##name(const uint8_t info[64])                             \
	{                                                                                          \
		return (uint8_t)(info[byte] >> (shift)) & ((1u << (bits)) - 1);                    \
	}                                                                                          \
	static inline void port_info_set_##name(uint8_t info[64], uint8_t value)                   \
	{                                                                                          \
		uint8_t mask = (uint8_t)(((1u << (bits)) - 1) << (shift));                         \
                                                                                                   \
		info[byte] = (uint8_t)((info[byte] & ~mask) | ((value << (shift)) & mask));        \
	}
PORT_INFO_BITS(FIELD)
#undef FIELD

#define FIELD(name, byte, bits)                                                                    \
	static inline uint##bits##_t port_info_##name(const uint8_t info[64])                      \
	{                                                                                          \
		uint##bits##_t wire;                                                               \
                                                                                                   \
		memcpy(&wire, info + (byte), sizeof(wire));                                        \
		return be##bits##toh(wire);                                                        \
	}                                                                                          \
	static inline void port_info_set_##name(uint8_t info[64], uint##bits##_t value)            \
	{                                                                                          \
		uint##bits##_t wire = htobe##bits(value);                                          \
                                                                                                   \
		memcpy(info + (byte), &wire, sizeof(wire));                                        \
	}
PORT_INFO_WORDS(FIELD)
#undef FIELD

#endif
