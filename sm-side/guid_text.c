/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include "sm-side/guid_text.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void guid_format(uint64_t guid, char text[GUID_TEXT_BYTES])
{
	snprintf(text, GUID_TEXT_BYTES, "0x%016" PRIx64, guid);
}

int guid_parse(const char *text, uint64_t *guid)
{
	char *end;

	if (strncmp(text, "0x", 2) || !isxdigit((unsigned char)text[2]) ||
	        strlen(text) >= GUID_TEXT_BYTES)
		return -EINVAL;
	*guid = strtoull(text, &end, 16);
	return *end ? -EINVAL : 0;
}

void gid_format(const uint8_t gid[16], char text[GID_TEXT_BYTES])
{
	for (int i = 0; i < 16; i++)
		snprintf(text + 2 * i, 3, "%02x", gid[i]);
}

void gid_show(const uint8_t gid[16], char text[GID_SHOWN_BYTES])
{
	if (!inet_ntop(AF_INET6, gid, text, GID_SHOWN_BYTES))
		*text = '\0';
}

int gid_parse(const char *text, uint8_t gid[16])
{
	uint8_t parsed[16];

	if (inet_pton(AF_INET6, text, gid) == 1)
		return 0;
	if (strlen(text) != GID_TEXT_BYTES - 1)
		return -EINVAL;
	for (int i = 0; i < 16; i++) {
		char digits[3] = {text[2 * i], text[2 * i + 1], '\0'};

		if (!isxdigit((unsigned char)digits[0]) || !isxdigit((unsigned char)digits[1]))
			return -EINVAL;
		parsed[i] = (uint8_t)strtoul(digits, NULL, 16);
	}
	memcpy(gid, parsed, sizeof(parsed));
	return 0;
}
