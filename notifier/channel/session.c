/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include "notifier/channel/session.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* As in HDLC. */
enum {
	MARK = 0x7e,
	ESCAPE = 0x7d,
	FLIP = 0x20,
	NUMBER_BYTES = 16,
};

void session_begin(struct session *session, uint64_t own)
{
	*session = (struct session){.own = own, .owes_mark = true};
}

void session_mark(struct session *session, uint8_t wire[SESSION_MARK_BYTES])
{
	char text[SESSION_MARK_BYTES + 1];

	snprintf(text, sizeof(text), "%c%016" PRIx64 "%016" PRIx64, MARK, session->own,
	        session->peer);
	memcpy(wire, text, SESSION_MARK_BYTES);
	session->owes_mark = false;
}

static bool number_read(const char *text, uint64_t *number)
{
	static const char digits[] = "0123456789abcdef";

	*number = 0;
	for (size_t i = 0; i < NUMBER_BYTES; i++) {
		const char *digit = memchr(digits, text[i], NUMBER_BYTES);

		if (!digit)
			return false;
		*number = *number << 4 | (uint64_t)(digit - digits);
	}
	return true;
}

/* Whoever does not know this end is told, each time that it says so: what was said before may have
 * been lost with the one who came before it. */
static void mark_take(struct session *session)
{
	uint64_t peer, echo;

	session->mark_bytes = 0;
	if (!number_read(session->mark, &peer) ||
	        !number_read(session->mark + NUMBER_BYTES, &echo) || !peer)
		return;
	if (session->stands) {
		session->ended = peer != session->peer || echo != session->own;
		return;
	}
	session->owes_mark |= peer != session->peer || echo != session->own;
	session->peer = peer;
	session->stands = echo == session->own;
}

/* 1: *@byte is of this session. */
static size_t byte_take(struct session *session, uint8_t wire, uint8_t *byte)
{
	if (wire == MARK) {
		session->mark_bytes = 1;
		session->is_escaped = false;
		return 0;
	}
	if (session->mark_bytes) {
		session->mark[session->mark_bytes++ - 1] = (char)wire;
		if (session->mark_bytes == SESSION_MARK_BYTES)
			mark_take(session);
		return 0;
	}
	if (!session->is_escaped && wire == ESCAPE) {
		session->is_escaped = true;
		return 0;
	}
	*byte = session->is_escaped ? wire ^ FLIP : wire;
	session->is_escaped = false;
	return session->stands;
}

size_t session_unpack(struct session *session, const uint8_t *wire, size_t count, uint8_t *bytes)
{
	size_t kept = 0;
	uint8_t byte;

	for (size_t i = 0; i < count && !session->ended; i++)
		if (byte_take(session, wire[i], &byte))
			bytes[kept++] = byte;
	return kept;
}

static bool is_stuffed(uint8_t byte)
{
	return byte == MARK || byte == ESCAPE;
}

size_t session_pack(const uint8_t *bytes, size_t count, uint8_t *wire, size_t room, size_t *taken)
{
	size_t used = 0, i = 0;

	for (; i < count && used + 1 + is_stuffed(bytes[i]) <= room; i++) {
		if (is_stuffed(bytes[i])) {
			wire[used++] = ESCAPE;
			wire[used++] = bytes[i] ^ FLIP;
		} else {
			wire[used++] = bytes[i];
		}
	}
	*taken = i;
	return used;
}

size_t session_packed(const uint8_t *bytes, size_t written, bool *is_half)
{
	size_t used = 0, i = 0;

	while (used < written && used + 1 + is_stuffed(bytes[i]) <= written)
		used += 1 + is_stuffed(bytes[i++]);
	*is_half = used < written;
	return i;
}
