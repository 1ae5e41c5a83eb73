/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include "simfabric/traps.h"

#include <string.h>

#include "simfabric/event_heap.h"
#include "simfabric/fault_points.h"
#include "simfabric/mad_delivery.h"
#include "simfabric/topology.h"

enum {
	TRAPS_MAX = 1024,
	NOTICE_BYTES = 64,
	NOTICE_GENERIC = 0x80,
	NOTICE_URGENT = 1,
	NOTICE_SECURITY = 2,
	NOTICE_INFORMATIONAL = 4,
	NOTICE_TRAP_NUMBER = 4,
	NOTICE_ISSUER_LID = 6,
	NOTICE_DETAILS = 10,
	ATTRIBUTE_NOTICE = 2,
	MKEY_RETURN_PATH_BYTES = 30,
	SUBNET_TIMEOUT_UNIT_NS = 4096,
	/* A port that no subnet manager has set up says 31, which is two hours and a half. */
	SUBNET_TIMEOUT_LARGEST = 20,
};

struct trap {
	uint64_t is_used;
	uint64_t tid;
	uint32_t port;
	uint32_t number;
	uint32_t generation; /* tells its event from one for an older trap in this row */
	uint32_t reserved;
	uint8_t notice[NOTICE_BYTES];
};

struct trap_table {
	uint64_t next_tid;
	uint32_t ever_used;
	uint32_t next_generation;
	struct trap rows[TRAPS_MAX];
};

static struct trap_table *table(const struct fabric *fabric)
{
	return fabric_section(fabric, SECTION_TRAPS);
}

size_t traps_size(const struct net *net)
{
	return sizeof(struct trap_table);
}

static void send_trap(struct fabric *fabric, const struct trap *trap)
{
	const struct port *port = &fabric->ports[trap->port];
	uint8_t mad[MAD_BYTES] = {1, CLASS_SUBN_LID, 1, METHOD_SUBN_TRAP};
	struct mad_packet packet = {
	        .origin = {.port = trap->port, .mailbox = NO_INDEX},
	        .to = {.lid = htobe16(port_info_sm_lid(port->info))},
	        .mad = mad,
	        .bytes = sizeof(mad),
	};
	bool is_answered;

	mad_set64(mad, MAD_TID, trap->tid);
	mad_set16(mad, MAD_ATTRIBUTE, ATTRIBUTE_NOTICE);
	memcpy(mad + SMP_DATA, trap->notice, sizeof(trap->notice));
	mad_send(fabric, &packet, &is_answered);
}

static void repeat_later(struct fabric *fabric, uint32_t row)
{
	const struct trap *trap = &table(fabric)->rows[row];
	unsigned timeout = port_info_subnet_timeout(fabric->ports[trap->port].info);
	struct event event = {
	        .kind = EVENT_TRAP_REPEAT,
	        .message = NO_INDEX,
	        .trap = row,
	        .generation = trap->generation,
	};

	if (timeout > SUBNET_TIMEOUT_LARGEST)
		timeout = SUBNET_TIMEOUT_LARGEST;
	event.due_ns = now_ns() + ((uint64_t)SUBNET_TIMEOUT_UNIT_NS << timeout);
	event_add(fabric, &event);
}

/* The row of the same port and number, else a free one, else NO_INDEX. */
static uint32_t find_row(const struct trap_table *t, uint32_t port, uint32_t number)
{
	uint32_t free_row = t->ever_used < TRAPS_MAX ? t->ever_used : NO_INDEX;

	for (uint32_t i = 0; i < t->ever_used; i++) {
		if (!t->rows[i].is_used)
			free_row = i;
		else if (t->rows[i].port == port && t->rows[i].number == number)
			return i;
	}
	return free_row;
}

static void report(struct fabric *fabric, uint32_t port, uint32_t number, unsigned type,
        const uint8_t notice_details[NOTICE_BYTES])
{
	struct trap_table *t = table(fabric);
	const struct port *p = &fabric->ports[port];
	uint32_t row = find_row(t, port, number);
	struct trap trap = {.tid = ++t->next_tid, .port = port, .number = number};

	if (!port_info_sm_lid(p->info) || !port_lid(p))
		return;
	trap.generation = ++t->next_generation;
	memcpy(trap.notice, notice_details, NOTICE_BYTES);
	trap.notice[0] = NOTICE_GENERIC | type;
	trap.notice[3] = fabric->nodes[p->node].kind;
	mad_set16(trap.notice, NOTICE_TRAP_NUMBER, number);
	mad_set16(trap.notice, NOTICE_ISSUER_LID, port_lid(p));
	if (row != NO_INDEX) {
		t->rows[row] = trap;
		fault_point(trap_half_recorded);
		__atomic_store_n(&t->rows[row].is_used, 1, __ATOMIC_RELEASE);
		if (t->ever_used <= row)
			t->ever_used = row + 1;
		repeat_later(fabric, row);
	}
	send_trap(fabric, &trap);
}

void trap_link_state(struct fabric *fabric, uint32_t port)
{
	uint8_t notice[NOTICE_BYTES] = {0};

	mad_set16(notice, NOTICE_DETAILS, port_lid(&fabric->ports[port]));
	report(fabric, port, TRAP_LINK_STATE, NOTICE_URGENT, notice);
}

void trap_capability_mask(struct fabric *fabric, uint32_t port, uint32_t capabilities)
{
	uint8_t notice[NOTICE_BYTES] = {0};

	mad_set16(notice, NOTICE_DETAILS + 2, port_lid(&fabric->ports[port]));
	mad_set32(notice, NOTICE_DETAILS + 6, capabilities);
	report(fabric, port, TRAP_CAPABILITY_MASK, NOTICE_INFORMATIONAL, notice);
}

/* On a directed route the notice tells the way back, as much of it as there is room for. */
static void note_return_path(uint8_t notice[NOTICE_BYTES], const uint8_t mad[256])
{
	unsigned count = mad[SMP_HOP_COUNT];
	bool is_cut = count > MKEY_RETURN_PATH_BYTES;

	if (is_cut)
		count = MKEY_RETURN_PATH_BYTES;
	notice[NOTICE_DETAILS + 23] = 0x80 | is_cut << 6 | count;
	memcpy(notice + NOTICE_DETAILS + 24, mad + SMP_RETURN_PATH + 1, count);
}

void trap_bad_mkey(struct fabric *fabric, uint32_t port, const uint8_t mad[256], uint16_t slid)
{
	uint8_t notice[NOTICE_BYTES] = {0};

	mad_set16(notice, NOTICE_DETAILS + 2, slid);
	notice[NOTICE_DETAILS + 6] = mad[MAD_METHOD];
	memcpy(notice + NOTICE_DETAILS + 8, mad + MAD_ATTRIBUTE, 2);
	memcpy(notice + NOTICE_DETAILS + 10, mad + MAD_MODIFIER, 4);
	memcpy(notice + NOTICE_DETAILS + 14, mad + SMP_MKEY, 8);
	if (mad[MAD_CLASS] == CLASS_SUBN_DR) {
		memcpy(notice + NOTICE_DETAILS + 4, mad + SMP_DR_SLID, 2);
		note_return_path(notice, mad);
	}
	report(fabric, port, TRAP_BAD_MKEY, NOTICE_SECURITY, notice);
}

bool trap_repress(struct fabric *fabric, uint32_t port, uint64_t tid)
{
	struct trap_table *t = table(fabric);

	for (uint32_t i = 0; i < t->ever_used; i++) {
		if (t->rows[i].is_used && t->rows[i].port == port && t->rows[i].tid == tid) {
			t->rows[i].is_used = 0;
			return true;
		}
	}
	return false;
}

void trap_repeat(struct fabric *fabric, uint32_t row, uint32_t generation)
{
	const struct trap *trap = &table(fabric)->rows[row];

	if (!trap->is_used || trap->generation != generation)
		return;
	repeat_later(fabric, row);
	send_trap(fabric, trap);
}

unsigned traps_outstanding(const struct fabric *fabric)
{
	const struct trap_table *t = table(fabric);
	unsigned count = 0;

	for (uint32_t i = 0; i < t->ever_used; i++)
		count += t->rows[i].is_used != 0;
	return count;
}
