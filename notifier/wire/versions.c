/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include "notifier/wire/versions.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

enum {
	OLDEST = TETHER__PROTOCOL__PROTOCOL_OLDEST,
	NEWEST = TETHER__PROTOCOL__PROTOCOL_VERSION,
};

static uint32_t newest = NEWEST;

void versions_pretend(const char *wish)
{
	unsigned long version = wish ? strtoul(wish, NULL, 10) : 0;

	if (version >= OLDEST && version <= NEWEST + 1)
		newest = (uint32_t)version;
}

uint32_t versions_newest(void)
{
	return newest;
}

uint32_t versions_oldest(void)
{
	return newest > OLDEST ? newest - 1 : OLDEST;
}

void versions_say(Tether__Hello *hello)
{
	hello->version = versions_oldest();
	hello->newest = newest;
}

uint32_t versions_common(uint32_t their_oldest, uint32_t their_newest)
{
	uint32_t theirs = their_newest > their_oldest ? their_newest : their_oldest;
	uint32_t common = theirs < newest ? theirs : newest;

	return common >= their_oldest && common >= versions_oldest() ? common : 0;
}

uint32_t versions_chosen(uint32_t answered)
{
	return answered < versions_oldest() || answered > newest ? versions_oldest() : answered;
}

void versions_name(uint32_t from, uint32_t to, char *text, size_t size)
{
	if (to > from)
		snprintf(text, size, "versions %" PRIu32 " to %" PRIu32, from, to);
	else
		snprintf(text, size, "version %" PRIu32, from);
}
