/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/* Two ends of a port that has no connections: who is replaced when, and what the other one reads.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "notifier/base/cleanup.h"
#include "notifier/channel/session.h"

enum { MARK = 0x7e, ESCAPE = 0x7d };

/* What lies in the port on its way to one end. It stays there whoever that is. */
struct pipe {
	uint8_t bytes[1 << 16];
	size_t start, end;
};

struct end {
	struct session session;
	struct pipe *in, *out;
	uint8_t got[1 << 16];
	size_t count;
};

struct port {
	struct pipe pipes[2];
	struct end ends[2];
	uint64_t drawn;
};

static void pipe_put(struct pipe *pipe, const void *bytes, size_t count)
{
	assert_true(pipe->end + count <= sizeof(pipe->bytes));
	memcpy(pipe->bytes + pipe->end, bytes, count);
	pipe->end += count;
}

static void mark_put(struct end *end)
{
	uint8_t mark[SESSION_MARK_BYTES];

	session_mark(&end->session, mark);
	pipe_put(end->out, mark, sizeof(mark));
}

/* Another agent takes this end. */
static void end_begin(struct port *port, unsigned which)
{
	struct end *end = &port->ends[which];

	session_begin(&end->session, ++port->drawn << 32 | 0x7d7e7d7e);
	end->count = 0;
	end->in = &port->pipes[which];
	end->out = &port->pipes[!which];
	mark_put(end);
}

static struct port *port_make(void)
{
	struct port *port = calloc(1, sizeof(*port));

	assert_non_null(port);
	end_begin(port, 0);
	end_begin(port, 1);
	return port;
}

/* @end reads up to @most bytes, and says what it owes. */
static void end_read(struct end *end, size_t most)
{
	size_t count = end->in->end - end->in->start;

	if (count > most)
		count = most;
	end->count += session_unpack(
	        &end->session, end->in->bytes + end->in->start, count, end->got + end->count);
	end->in->start += count;
	if (end->session.owes_mark)
		mark_put(end);
}

static void end_write(struct end *end, const void *bytes, size_t count)
{
	uint8_t wire[1 << 12] = {0};
	size_t taken;

	for (const uint8_t *at = bytes; count; at += taken, count -= taken)
		pipe_put(end->out, wire, session_pack(at, count, wire, sizeof(wire), &taken));
}

static void both_read(struct port *port)
{
	for (int i = 0; i < 4; i++) {
		end_read(&port->ends[0], SIZE_MAX);
		end_read(&port->ends[1], SIZE_MAX);
	}
}

static void assert_got(const struct end *end, const void *bytes, size_t count)
{
	assert_int_equal(end->count, count);
	assert_memory_equal(end->got, bytes, count);
}

static void both_ends_begin(void **state)
{
	CLEANUP_FREE struct port *port = port_make();

	both_read(port);
	for (int i = 0; i < 2; i++) {
		assert_true(port->ends[i].session.stands);
		assert_false(port->ends[i].session.ended);
		end_write(&port->ends[i], "frame", 5);
	}
	both_read(port);
	assert_got(&port->ends[0], "frame", 5);
	assert_got(&port->ends[1], "frame", 5);
}

static void nothing_stands_before_the_other_end_has_answered(void **state)
{
	CLEANUP_FREE struct port *port = port_make();

	end_read(&port->ends[0], SIZE_MAX);
	assert_false(port->ends[0].session.stands);
	end_read(&port->ends[1], SIZE_MAX);
	assert_true(port->ends[1].session.stands);
	end_read(&port->ends[0], SIZE_MAX);
	assert_true(port->ends[0].session.stands);
}

static void every_byte_passes_in_pieces_of_any_length(void **state)
{
	uint8_t bytes[512];

	for (size_t i = 0; i < sizeof(bytes); i++)
		bytes[i] = (uint8_t)i;
	for (size_t piece = 1; piece < 40; piece++) {
		CLEANUP_FREE struct port *port = port_make();

		both_read(port);
		end_write(&port->ends[0], bytes, sizeof(bytes));
		while (port->pipes[1].start != port->pipes[1].end)
			end_read(&port->ends[1], piece);
		assert_got(&port->ends[1], bytes, sizeof(bytes));
	}
}

/* A peer's tables may hold whatever it likes. */
static void mark_among_the_bytes_is_none(void **state)
{
	CLEANUP_FREE struct port *port = port_make();
	uint8_t mark[SESSION_MARK_BYTES];

	both_read(port);
	session_mark(&port->ends[1].session, mark);
	mark[1] = 'f';
	end_write(&port->ends[0], mark, sizeof(mark));
	both_read(port);
	assert_false(port->ends[1].session.ended);
	assert_got(&port->ends[1], mark, sizeof(mark));
}

/* Each byte of what a predecessor may have left: a frame, half a mark, half a stuffed byte. */
static void what_a_predecessor_has_left_is_not_read(void **state)
{
	static const char *const left[] = {"\x7d", "\x7e", "\1760123", "half a frame \x7d\x5e",
	        "\x7d\x7e", "zzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzz"};

	for (size_t i = 0; i < ARRAY_SIZE(left); i++) {
		CLEANUP_FREE struct port *port = calloc(1, sizeof(*port));

		pipe_put(&port->pipes[0], left[i], strlen(left[i]));
		pipe_put(&port->pipes[1], left[i], strlen(left[i]));
		end_begin(port, 0);
		end_begin(port, 1);
		both_read(port);
		end_write(&port->ends[0], "new", 3);
		both_read(port);
		assert_true(port->ends[0].session.stands);
		assert_got(&port->ends[0], "", 0);
		assert_got(&port->ends[1], "new", 3);
	}
}

/* The one that is left does not know yet that it speaks to another, who must not hear it. */
static void what_was_said_to_a_predecessor_is_not_read(void **state)
{
	CLEANUP_FREE struct port *port = port_make();

	both_read(port);
	end_write(&port->ends[0], "for the first", 13);
	end_begin(port, 1);
	end_write(&port->ends[0], "for the first", 13);
	both_read(port);
	assert_true(port->ends[0].session.ended);
	assert_false(port->ends[1].session.stands);
	assert_got(&port->ends[1], "", 0);
	end_begin(port, 0);
	end_write(&port->ends[0], "", 0);
	both_read(port);
	end_write(&port->ends[0], "for the second", 14);
	both_read(port);
	assert_true(port->ends[1].session.stands);
	assert_got(&port->ends[1], "for the second", 14);
}

static void successor_is_seen_in_the_middle_of_a_stuffed_byte(void **state)
{
	CLEANUP_FREE struct port *port = port_make();
	uint8_t half = ESCAPE;

	both_read(port);
	end_write(&port->ends[1], "frame", 5);
	pipe_put(&port->pipes[0], &half, 1);
	end_begin(port, 1);
	both_read(port);
	assert_true(port->ends[0].session.ended);
	assert_got(&port->ends[0], "frame", 5);
}

/* The device says that nobody was there for a while: it is said again to whoever is there now. */
static void mark_that_is_repeated_ends_nothing(void **state)
{
	CLEANUP_FREE struct port *port = port_make();

	mark_put(&port->ends[0]);
	mark_put(&port->ends[0]);
	both_read(port);
	assert_true(port->ends[0].session.stands && port->ends[1].session.stands);
	mark_put(&port->ends[1]);
	both_read(port);
	assert_false(port->ends[0].session.ended || port->ends[1].session.ended);
}

static void mark_that_was_lost_is_made_up_for(void **state)
{
	CLEANUP_FREE struct port *port = calloc(1, sizeof(*port));

	end_begin(port, 0);
	port->pipes[1].end = 0; /* as a hypervisor does to whom nobody listens */
	end_begin(port, 1);
	both_read(port);
	assert_true(port->ends[0].session.stands && port->ends[1].session.stands);
}

static void nonsense_for_a_mark_is_none(void **state)
{
	static const char *const marks[] = {
	        "\x7e"
	        "000000000000000g0000000000000001",
	        "\x7e"
	        "0000000000000000"
	        "0000000000000001",
	        "\x7e"
	        "00000000000000AA0000000000000001",
	};

	for (size_t i = 0; i < ARRAY_SIZE(marks); i++) {
		struct session session;

		session_begin(&session, 1);
		assert_int_equal(session_unpack(&session, (const uint8_t *)marks[i],
		                         strlen(marks[i]), (uint8_t[64]){0}),
		        0);
		assert_false(session.stands);
	}
}

static void what_is_written_can_be_counted_back(void **state)
{
	const uint8_t bytes[] = {'a', MARK, ESCAPE, 'b', MARK};
	uint8_t wire[16];
	size_t taken;
	bool is_half;

	assert_int_equal(session_pack(bytes, sizeof(bytes), wire, sizeof(wire), &taken), 8);
	assert_int_equal(taken, sizeof(bytes));
	assert_int_equal(session_pack(bytes, sizeof(bytes), wire, 2, &taken), 1);
	assert_int_equal(taken, 1);
	for (size_t written = 0, whole = 0; written <= 8; written++) {
		static const size_t count[] = {0, 1, 1, 2, 2, 3, 4, 4, 5};

		whole = session_packed(bytes, written, &is_half);
		assert_int_equal(whole, count[written]);
		assert_int_equal(is_half, written == 2 || written == 4 || written == 7);
	}
}

static uint32_t chance(uint32_t *seed, uint32_t below)
{
	*seed = *seed * 1664525 + 1013904223;
	return (*seed >> 8) % below;
}

/* It was killed while it wrote. */
static void last_bytes_cut(struct pipe *pipe, uint32_t *seed)
{
	size_t unread = pipe->end - pipe->start;

	pipe->end -= chance(seed, (unread < 40 ? (uint32_t)unread : 40) + 1);
}

/* What the ends say is who says it, so that a stranger's word is found out. */
static void walk(uint32_t seed)
{
	CLEANUP_FREE struct port *port = port_make();

	for (int turn = 0; turn < 200; turn++) {
		unsigned which = chance(&seed, 2);
		struct end *end = &port->ends[which];

		if (port->pipes[0].end > 30000 || port->pipes[1].end > 30000)
			return;
		if (!chance(&seed, 12) || end->session.ended) {
			last_bytes_cut(end->out, &seed);
			end_begin(port, which);
		} else if (chance(&seed, 2))
			end_read(end, 1 + chance(&seed, 60));
		else if (end->session.stands)
			end_write(end, &end->session.own, sizeof(end->session.own));
		for (size_t i = 0; i + sizeof(uint64_t) <= end->count; i += sizeof(uint64_t))
			assert_memory_equal(
			        end->got + i, &end->session.peer, sizeof(end->session.peer));
	}
	for (int i = 0; i < 4; i++) {
		both_read(port);
		for (unsigned which = 0; which < 2; which++)
			if (port->ends[which].session.ended)
				end_begin(port, which);
	}
	both_read(port);
	assert_true(port->ends[0].session.stands && port->ends[1].session.stands);
	assert_int_equal(port->ends[0].session.peer, port->ends[1].session.own);
	assert_int_equal(port->ends[1].session.peer, port->ends[0].session.own);
}

static void whoever_is_replaced_when_nobody_hears_a_stranger(void **state)
{
	for (uint32_t seed = 1; seed <= 500; seed++)
		walk(seed);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(both_ends_begin),
	        cmocka_unit_test(nothing_stands_before_the_other_end_has_answered),
	        cmocka_unit_test(every_byte_passes_in_pieces_of_any_length),
	        cmocka_unit_test(mark_among_the_bytes_is_none),
	        cmocka_unit_test(what_a_predecessor_has_left_is_not_read),
	        cmocka_unit_test(what_was_said_to_a_predecessor_is_not_read),
	        cmocka_unit_test(successor_is_seen_in_the_middle_of_a_stuffed_byte),
	        cmocka_unit_test(mark_that_is_repeated_ends_nothing),
	        cmocka_unit_test(mark_that_was_lost_is_made_up_for),
	        cmocka_unit_test(nonsense_for_a_mark_is_none),
	        cmocka_unit_test(what_is_written_can_be_counted_back),
	        cmocka_unit_test(whoever_is_replaced_when_nobody_hears_a_stranger),
	};

	return cmocka_run_group_tests_name("notifier_session", tests, NULL, NULL);
}
