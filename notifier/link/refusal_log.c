/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include "notifier/link/refusal_log.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "notifier/base/monotonic.h"

enum { TEXT_BYTES = 1024 };

/* FNV-1a. */
static size_t place_of(const char *peer)
{
	uint32_t hash = 0x811c9dc5;

	for (; *peer; peer++)
		hash = (hash ^ (uint8_t)*peer) * 0x01000193;
	return hash % REFUSAL_PLACES;
}

bool refusal_may_be_said(
        struct refusal_log *log, const char *peer, uint64_t now_ms, uint32_t *unsaid)
{
	size_t place = place_of(peer);
	struct rate *rate = &log->places[place].rate;
	unsigned at_once = log->at_once ? log->at_once : REFUSALS_AT_ONCE;

	/* What is left unsaid is not owed. */
	if (rate_take(rate, REFUSALS_PER_S, at_once - 1, 0, now_ms)) {
		log->places[place].unsaid++;
		return false;
	}
	rate_take(rate, REFUSALS_PER_S, at_once, 1, now_ms);
	*unsaid = log->places[place].unsaid;
	log->places[place].unsaid = 0;
	return true;
}

bool refusal_say(struct refusal_log *log, enum log_level level, const char *subsystem,
        const char *peer, const char *format, ...)
{
	char text[TEXT_BYTES], more[64] = "";
	uint32_t unsaid;
	va_list args;

	if (level > log_level_now)
		return true;
	if (!refusal_may_be_said(log, peer, monotonic_ms(), &unsaid))
		return false;
	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	if (unsaid)
		snprintf(more, sizeof(more), " (%" PRIu32 " more were not logged)", unsaid);
	log_line(level, subsystem, "%s%s", text, more);
	return true;
}
