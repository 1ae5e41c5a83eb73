/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include "notifier/wire/notice.h"

#include <errno.h>
#include <string.h>

enum {
	BASE_VERSION = 1,
	METHOD_SET = 0x02,
	METHOD_GET_RESPONSE = 0x81,
	METHOD_RESPONSE_BIT = 0x80,
	ATTRIBUTE_NOTICE = 0x02,
	ATTRIBUTE_INFORM_INFO = 0x03,
	TYPE_INFORMATIONAL = 4,
	ANY = 0xffff,
	QP1 = 1,
	VERSION = 1,
};

/* Where things stand: in a MAD, */
enum {
	MAD_CLASS = 1,
	MAD_CLASS_VERSION = 2,
	MAD_METHOD = 3,
	MAD_STATUS = 4,
	MAD_TID = 8,
	MAD_ATTRIBUTE = 16,
	SA_DATA = 56,
};

/* in a Notice, */
enum {
	NOTICE_TYPE = 0, /* the uppermost bit: generic */
	NOTICE_VENDOR_ID = 1,
	NOTICE_DEVICE_ID = 4,
	NOTICE_ISSUER_LID = 6,
	NOTICE_DETAILS = 10,
	NOTICE_ISSUER_GID = 64,
};

/* in its details, */
enum {
	DETAILS_VERSION = 0,
	DETAILS_SIGNAL = 2,
	DETAILS_SEQUENCE = 10,
	DETAILS_MIGRATION = 18,
	DETAILS_EPOCH = 26,
	DETAILS_ZERO = 34,
};

/* and in an InformInfo. */
enum {
	INFORM_LID_FIRST = 16,
	INFORM_LID_LAST = 18,
	INFORM_IS_GENERIC = 22,
	INFORM_SUBSCRIBE = 23,
	INFORM_TYPE = 24,
	INFORM_DEVICE_ID = 26,
	INFORM_QPN = 28,
	INFORM_VENDOR_ID = 33,
};

static void put(uint8_t *at, unsigned bytes, uint64_t value)
{
	while (bytes--) {
		at[bytes] = (uint8_t)value;
		value >>= 8;
	}
}

static uint64_t get(const uint8_t *at, unsigned bytes)
{
	uint64_t value = 0;

	while (bytes--)
		value = value << 8 | *at++;
	return value;
}

void notice_details_encode(const struct notice *notice, uint8_t details[NOTICE_DETAILS_BYTES])
{
	memset(details, 0, NOTICE_DETAILS_BYTES);
	put(details + DETAILS_VERSION, 2, VERSION);
	put(details + DETAILS_SIGNAL, 8, notice->signal);
	put(details + DETAILS_SEQUENCE, 8, notice->sequence);
	put(details + DETAILS_MIGRATION, 8, notice->migration);
	put(details + DETAILS_EPOCH, 8, notice->epoch);
}

int notice_details_decode(const uint8_t details[NOTICE_DETAILS_BYTES], struct notice *notice)
{
	static const uint8_t zero[NOTICE_DETAILS_BYTES - DETAILS_ZERO];

	if (get(details + DETAILS_VERSION, 2) != VERSION ||
	        memcmp(details + DETAILS_ZERO, zero, sizeof(zero)) != 0)
		return -EBADMSG;
	notice->signal = get(details + DETAILS_SIGNAL, 8);
	notice->sequence = get(details + DETAILS_SEQUENCE, 8);
	notice->migration = get(details + DETAILS_MIGRATION, 8);
	notice->epoch = get(details + DETAILS_EPOCH, 8);
	return 0;
}

void notice_encode(
        const struct notice *notice, const uint8_t gid[16], uint8_t attribute[NOTICE_BYTES])
{
	memset(attribute, 0, NOTICE_BYTES);
	attribute[NOTICE_TYPE] = TYPE_INFORMATIONAL;
	put(attribute + NOTICE_VENDOR_ID, 3, NOTICE_VENDOR);
	put(attribute + NOTICE_DEVICE_ID, 2, NOTICE_DEVICE);
	put(attribute + NOTICE_ISSUER_LID, 2, notice->lid);
	notice_details_encode(notice, attribute + NOTICE_DETAILS);
	memcpy(attribute + NOTICE_ISSUER_GID, gid, 16);
}

static bool is_of_sa(const uint8_t *mad, size_t bytes, uint8_t method, uint16_t attribute)
{
	return bytes >= NOTICE_MAD_BYTES && mad[0] == BASE_VERSION &&
	       mad[MAD_CLASS] == NOTICE_SA_CLASS && mad[MAD_CLASS_VERSION] == NOTICE_SA_VERSION &&
	       mad[MAD_METHOD] == method && get(mad + MAD_ATTRIBUTE, 2) == attribute;
}

bool notice_is_report(const uint8_t *mad, size_t bytes)
{
	return is_of_sa(mad, bytes, NOTICE_SA_REPORT, ATTRIBUTE_NOTICE);
}

int notice_report_decode(const uint8_t mad[NOTICE_MAD_BYTES], struct notice *notice)
{
	const uint8_t *attribute = mad + SA_DATA;
	struct notice said;

	if (attribute[NOTICE_TYPE] != TYPE_INFORMATIONAL ||
	        get(attribute + NOTICE_VENDOR_ID, 3) != NOTICE_VENDOR ||
	        get(attribute + NOTICE_DEVICE_ID, 2) != NOTICE_DEVICE)
		return -ENOMSG;
	if (notice_details_decode(attribute + NOTICE_DETAILS, &said))
		return -EBADMSG;
	said.lid = (uint16_t)get(attribute + NOTICE_ISSUER_LID, 2);
	*notice = said;
	return 0;
}

void notice_acknowledge(uint8_t mad[NOTICE_MAD_BYTES])
{
	mad[MAD_METHOD] = NOTICE_SA_REPORT | METHOD_RESPONSE_BIT;
	put(mad + MAD_STATUS, 2, 0);
}

void notice_subscribe(uint16_t lid, bool subscribe, uint32_t tid, uint8_t mad[NOTICE_MAD_BYTES])
{
	uint8_t *inform = mad + SA_DATA;

	memset(mad, 0, NOTICE_MAD_BYTES);
	mad[0] = BASE_VERSION;
	mad[MAD_CLASS] = NOTICE_SA_CLASS;
	mad[MAD_CLASS_VERSION] = NOTICE_SA_VERSION;
	mad[MAD_METHOD] = METHOD_SET;
	put(mad + MAD_TID, 8, tid);
	put(mad + MAD_ATTRIBUTE, 2, ATTRIBUTE_INFORM_INFO);
	put(inform + INFORM_LID_FIRST, 2, lid);
	put(inform + INFORM_LID_LAST, 2, lid);
	inform[INFORM_SUBSCRIBE] = subscribe;
	put(inform + INFORM_TYPE, 2, ANY);
	put(inform + INFORM_DEVICE_ID, 2, NOTICE_DEVICE);
	/* By it a subscription that ends is found; one that begins has the sender's. */
	put(inform + INFORM_QPN, 3, QP1);
	put(inform + INFORM_VENDOR_ID, 3, NOTICE_VENDOR);
}

int notice_subscribed(const uint8_t *mad, size_t bytes)
{
	if (!is_of_sa(mad, bytes, METHOD_GET_RESPONSE, ATTRIBUTE_INFORM_INFO))
		return -ENOMSG;
	return (int)get(mad + MAD_STATUS, 2);
}
