/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/* Where the common fields of a MAD stand (IBA 1.4, 13.4.2 and 14.2.1) and what they say. Pure. */
#ifndef SIMFABRIC_MAD_FIELDS_H
#define SIMFABRIC_MAD_FIELDS_H

#include <endian.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

enum mad_class {
	CLASS_SUBN_LID = 0x01,
	CLASS_SUBN_DR = 0x81,
	CLASS_SUBN_ADM = 0x03,
	CLASS_PERF = 0x04,
	CLASS_DEVICE_MANAGEMENT = 0x06,
	CLASS_VENDOR_OUI_FIRST = 0x30,
	CLASS_VENDOR_OUI_LAST = 0x4f,
};

enum mad_method {
	METHOD_SUBN_GET = 0x01,
	METHOD_SUBN_SET = 0x02,
	METHOD_SUBN_TRAP = 0x05,
	METHOD_SUBN_TRAP_REPRESS = 0x07,
	METHOD_RESPONSE_BIT = 0x80,
	METHOD_GET_RESPONSE = 0x81,
};

enum mad_status {
	STATUS_OK = 0,
	STATUS_BAD_VERSION = 0x04,
	STATUS_BAD_METHOD = 0x08,
	STATUS_BAD_METHOD_ATTRIBUTE = 0x0c,
	STATUS_BAD_FIELD = 0x1c,
	STATUS_DIRECTION = 0x8000, /* directed-route responses */
};

enum mad_offset {
	MAD_CLASS = 1,
	MAD_CLASS_VERSION = 2,
	MAD_METHOD = 3,
	MAD_STATUS = 4,
	SMP_HOP_POINTER = 6,
	SMP_HOP_COUNT = 7,
	MAD_TID = 8,
	MAD_ATTRIBUTE = 16,
	MAD_MODIFIER = 20,
	MAD_HEADER_BYTES = 24,
	SMP_MKEY = 24,
	SMP_DR_SLID = 32,
	SMP_DR_DLID = 34,
	SMP_DATA = 64,
	SMP_INITIAL_PATH = 128,
	SMP_RETURN_PATH = 192,
	SMP_PATH_BYTES = 64,
	RMPP_VERSION = 24,
	RMPP_TYPE = 25,
	RMPP_FLAGS = 26,
	RMPP_SEGMENT = 28,
	RMPP_PAYLOAD_LENGTH = 32,
	RMPP_HEADER_END = 36,
	VENDOR_OUI = 37,
	VENDOR_OUI_HEADER_BYTES = 40,
	SA_HEADER_BYTES = 56,
	DEVICE_MANAGEMENT_HEADER_BYTES = 64,
};

/* Bytes before the data of each segment; 0: no RMPP in this class (the kernel's list). */
static inline unsigned rmpp_header_bytes(uint8_t mgmt_class)
{
	if (mgmt_class == CLASS_SUBN_ADM)
		return SA_HEADER_BYTES;
	if (mgmt_class == CLASS_DEVICE_MANAGEMENT)
		return DEVICE_MANAGEMENT_HEADER_BYTES;
	return mgmt_class >= CLASS_VENDOR_OUI_FIRST && mgmt_class <= CLASS_VENDOR_OUI_LAST
	               ? VENDOR_OUI_HEADER_BYTES
	               : 0;
}

enum rmpp_flag { RMPP_ACTIVE = 1, RMPP_FIRST = 2, RMPP_LAST = 4 };

static inline uint16_t mad_get16(const uint8_t *mad, unsigned offset)
{
	return (uint16_t)(mad[offset] << 8 | mad[offset + 1]);
}

static inline uint32_t mad_get32(const uint8_t *mad, unsigned offset)
{
	return (uint32_t)mad_get16(mad, offset) << 16 | mad_get16(mad, offset + 2);
}

static inline uint64_t mad_get64(const uint8_t *mad, unsigned offset)
{
	return (uint64_t)mad_get32(mad, offset) << 32 | mad_get32(mad, offset + 4);
}

static inline void mad_set16(uint8_t *mad, unsigned offset, uint16_t value)
{
	value = htobe16(value);
	memcpy(mad + offset, &value, sizeof(value));
}

static inline void mad_set32(uint8_t *mad, unsigned offset, uint32_t value)
{
	value = htobe32(value);
	memcpy(mad + offset, &value, sizeof(value));
}

static inline void mad_set64(uint8_t *mad, unsigned offset, uint64_t value)
{
	value = htobe64(value);
	memcpy(mad + offset, &value, sizeof(value));
}

static inline bool mad_is_smp(const uint8_t *mad)
{
	return mad[MAD_CLASS] == CLASS_SUBN_LID || mad[MAD_CLASS] == CLASS_SUBN_DR;
}

/* As the kernel sees it: TrapRepress answers a Trap. */
static inline bool mad_is_response(const uint8_t *mad)
{
	return mad[MAD_METHOD] & METHOD_RESPONSE_BIT || mad[MAD_METHOD] == METHOD_SUBN_TRAP_REPRESS;
}

static inline bool mad_is_get_or_set(const uint8_t *mad)
{
	return mad[MAD_METHOD] == METHOD_SUBN_GET || mad[MAD_METHOD] == METHOD_SUBN_SET;
}

#endif
