/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/* Whatever comes to QP1 in place of a Report: what is taken for a notice is one, byte for byte. */
#include <stdlib.h>
#include <string.h>

#include "notifier/wire/notice.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { DETAILS = 56 + 10, RESPONSE = 0x86 };

static void check_report(const uint8_t *data, size_t size)
{
	uint8_t mad[NOTICE_MAD_BYTES], again[NOTICE_DETAILS_BYTES];
	struct notice notice;

	if (!notice_is_report(data, size))
		return;
	memcpy(mad, data, sizeof(mad));
	if (!notice_report_decode(mad, &notice)) {
		notice_details_encode(&notice, again);
		if (memcmp(again, mad + DETAILS, sizeof(again)) != 0)
			abort();
	}
	notice_acknowledge(mad);
	if (notice_is_report(mad, sizeof(mad)) || mad[3] != RESPONSE ||
	        memcmp(mad + 8, data + 8, sizeof(mad) - 8) != 0)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct notice notice;

	check_report(data, size);
	if (notice_subscribed(data, size) > 0xffff)
		abort();
	if (size >= NOTICE_DETAILS_BYTES && !notice_details_decode(data, &notice)) {
		uint8_t again[NOTICE_DETAILS_BYTES];

		notice_details_encode(&notice, again);
		if (memcmp(again, data, sizeof(again)) != 0)
			abort();
	}
	return 0;
}
