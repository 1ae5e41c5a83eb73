/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * Where a stream begins, on a channel that has no connections. A virtio-serial port stays open
 * whoever comes and goes at its other end: what one agent has left half written is read by the
 * next, and nobody says that there is a next one.
 *
 * So each end begins with a mark: SESSION_MARK bytes that nothing else on the wire begins with, a
 * number that this end has drawn by chance, and the one that it has heard from the other, 0 for
 * none. Bytes count from the mark on that has this end's own number in it; whatever comes before
 * was meant for somebody else. A mark with another number later is the end of the session. Bytes
 * between marks are stuffed, so that none of them is taken for a mark, whatever they are.
 *
 * Pure: the owner draws the number, reads and writes. A session belongs to one channel and its
 * thread.
 */
#ifndef TETHER_SESSION_H
#define TETHER_SESSION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { SESSION_MARK_BYTES = 1 + 16 + 16 }; /* then two numbers in hex */

struct session {
	uint64_t own, peer; /* 0: not heard yet */
	bool stands;        /* both ends know each other */
	bool ended;         /* it stood, and the other end is another now */
	bool owes_mark;
	bool is_escaped;   /* half of a stuffed byte has been read */
	size_t mark_bytes; /* of a mark that is being read; 0: none is */
	char mark[SESSION_MARK_BYTES - 1];
};

/* @own is not 0 and not to be guessed. A mark is owed. */
void session_begin(struct session *session, uint64_t own);

/* The mark that is owed. */
void session_mark(struct session *session, uint8_t wire[SESSION_MARK_BYTES]);

/*
 * @count bytes came: those of this session go to @bytes, which may be @wire, and are counted. After
 * the session's end the rest is left.
 */
size_t session_unpack(struct session *session, const uint8_t *wire, size_t count, uint8_t *bytes);

/* As many of @bytes, stuffed, as @room has room for; *@taken of them. Returns what they take. */
size_t session_pack(const uint8_t *bytes, size_t count, uint8_t *wire, size_t room, size_t *taken);

/* How many of @bytes are in the first @written of what session_pack made of them; *@is_half: and
 * half of the next one is. */
size_t session_packed(const uint8_t *bytes, size_t written, bool *is_half);

#endif
