/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/* GUIDs and GIDs as text, as JSON and logs have them. Any thread. */
#ifndef TETHER_GUID_TEXT_H
#define TETHER_GUID_TEXT_H

#include <stdint.h>

enum { GUID_TEXT_BYTES = 19, GID_TEXT_BYTES = 33, GID_SHOWN_BYTES = 46 };

/* "0x0002c90300a1b2c3" */
void guid_format(uint64_t guid, char text[GUID_TEXT_BYTES]);
/* -EINVAL: not 0x and one to sixteen hexadecimal digits. */
int guid_parse(const char *text, uint64_t *guid);

/* 32 hexadecimal digits. */
void gid_format(const uint8_t gid[16], char text[GID_TEXT_BYTES]);
/* As people write it: "fe80::1". */
void gid_show(const uint8_t gid[16], char text[GID_SHOWN_BYTES]);
/* That, or the notation of inet_pton(3). -EINVAL. */
int gid_parse(const char *text, uint8_t gid[16]);

#endif
