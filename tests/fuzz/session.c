/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/* A port's bytes from a hostile other end, in pieces. The first byte is the pieces' length. */
#include <stdlib.h>
#include <string.h>

#include "notifier/channel/session.h"

enum { MOST = 1 << 16, OWN = 0x7e };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What goes in comes out, in whatever pieces. */
static void check_round_trip(const uint8_t *data, size_t size, size_t piece)
{
	struct session session = {.own = OWN, .peer = 1, .stands = true};
	uint8_t wire[2 * 256], bytes[2 * 256];
	bool is_half;

	while (size) {
		size_t count = size < piece ? size : piece, taken;
		size_t used = session_pack(data, count, wire, piece + 1, &taken);

		if (session_packed(data, used, &is_half) != taken || is_half)
			abort();
		if (session_unpack(&session, wire, used, bytes) != taken ||
		        memcmp(bytes, data, taken) != 0)
			abort();
		data += taken;
		size -= taken;
	}
	if (session.ended)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static uint8_t bytes[MOST];
	uint8_t mark[SESSION_MARK_BYTES];
	struct session session;
	size_t piece = size ? data[0] + 1 : 1;

	if (size > MOST)
		return 0;
	session_begin(&session, OWN);
	for (size_t at = 1; at < size; at += piece) {
		bool stood = session.stands;
		size_t count = size - at < piece ? size - at : piece;
		size_t kept = session_unpack(&session, data + at, count, bytes);

		if (kept > count || (kept && !session.stands) || (stood && !session.stands))
			abort();
		if (session.owes_mark)
			session_mark(&session, mark);
	}
	if (size)
		check_round_trip(data + 1, size - 1, piece);
	return 0;
}
