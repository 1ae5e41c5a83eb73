/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include "unit/raw_wire.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include <infiniband/umad.h>

#include "notifier/base/monotonic.h"

enum { FD = 7, HEADER = 64, MODIFIER_AT = 20, DATA_AT = 64 };

struct raw_wire wire;
static uint16_t next_lid;

uint32_t wire_modifier(unsigned which)
{
	const uint8_t *at = wire.sent[which] + MODIFIER_AT;

	return (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3];
}

const uint8_t *wire_data(unsigned which)
{
	return wire.sent[which] + DATA_AT;
}

int umad_init(void)
{
	return 0;
}

int umad_done(void)
{
	return 0;
}

int umad_open_port(const char *ca, int port)
{
	return FD;
}

int umad_close_port(int fd)
{
	return 0;
}

int umad_register(
        int fd, int mgmt_class, int version, uint8_t rmpp, long methods[16 / sizeof(long)])
{
	return mgmt_class == SMP_CLASS_LID ? 0 : 1;
}

size_t umad_size(void)
{
	return HEADER;
}

void *umad_get_mad(void *umad)
{
	return (uint8_t *)umad + HEADER;
}

int umad_status(void *umad)
{
	return 0;
}

int umad_set_addr(void *umad, int lid, int qp, int sl, int qkey)
{
	next_lid = (uint16_t)lid;
	return 0;
}

int umad_send(int fd, int agent, void *umad, int length, int timeout_ms, int retries)
{
	if (wire.send_error)
		return wire.send_error;
	assert_true(wire.count < WIRE_SENT_MAX);
	assert_int_equal(retries, 0);
	wire.to_lid[wire.count] = next_lid;
	memcpy(wire.sent[wire.count++], umad_get_mad(umad), SMP_BYTES);
	if (wire.count - wire.next > wire.most_at_a_time)
		wire.most_at_a_time = wire.count - wire.next;
	return 0;
}

static void answer_from(void *umad, unsigned which)
{
	uint8_t *mad = umad_get_mad(umad);

	memcpy(mad, wire.sent[which], SMP_BYTES);
	mad[3] = SMP_GET_RESPONSE;
	mad[4] = (uint8_t)(wire.status >> 8);
	mad[5] = (uint8_t)wire.status;
}

static void sleep_for(unsigned ms)
{
	struct timespec time = monotonic_timespec(ms * NS_PER_MS);

	nanosleep(&time, NULL);
}

int umad_recv(int fd, void *umad, int *length, int timeout_ms)
{
	*length = SMP_BYTES;
	if (wire.repeat_first) {
		wire.repeat_first--;
		answer_from(umad, 0);
		return 0;
	}
	while (wire.lose && wire.next < wire.count) {
		wire.lose--;
		wire.next++;
	}
	if (wire.next == wire.count)
		return -ETIMEDOUT;
	sleep_for(wire.sleep_ms);
	wire.sleep_ms = 0;
	answer_from(umad, wire.next++);
	if (wire.spoil) {
		wire.spoil--;
		((uint8_t *)umad_get_mad(umad))[DATA_AT + wire.spoil_at] ^= 0xff;
	}
	return 0;
}

int umad_poll(int fd, int timeout_ms)
{
	return wire.next < wire.count && !wire.lose ? 0 : -ETIMEDOUT;
}
