/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include "simfabric/qpn_table.h"

#include <errno.h>

#include "simfabric/clients.h"
#include "simfabric/fault_points.h"
#include "simfabric/net_file.h"

enum {
	ENTRIES = 1 << 16,
	/* Ranges of QPNs: 0 and 1 are the management ones, the last is multicast. */
	FIRST_QPN = 0x40,
	RANGE_BITS = 14,
	RANGES = 1 << (24 - RANGE_BITS),
};

/* An entry: valid bit, ring (12 bits), port (20), QPN (24). */
#define VALID     (1ull << 63)
#define TOMBSTONE 1ull
#define KEY_MASK  ((1ull << 44) - 1)

struct qpn_table {
	uint64_t entries[ENTRIES];
	uint32_t used;   /* entries that are valid */
	uint32_t next[]; /* of each port: counts the numbers handed out */
};

/* The section: owners, then on a page of their own the rings. */
struct ring_owners {
	uint32_t client[PACKET_RINGS_MAX]; /* row + 1; 0: free */
	uint32_t is_initialised[PACKET_RINGS_MAX];
	uint32_t multicast_port[PACKET_RINGS_MAX]; /* + 1; 0: none */
};

enum { RINGS_OFFSET = 4096 };

_Static_assert(sizeof(struct ring_owners) <= RINGS_OFFSET, "the owners fit before the rings");
_Static_assert(PACKET_RINGS_MAX <= 1 << 12, "a ring's index fits its field");

static struct qpn_table *table(const struct fabric *fabric)
{
	return fabric_section(fabric, SECTION_QPNS);
}

static struct ring_owners *owners(const struct fabric *fabric)
{
	return fabric_section(fabric, SECTION_PACKET_RINGS);
}

size_t qpn_table_size(const struct net *net)
{
	return sizeof(struct qpn_table) + net->port_count * sizeof(uint32_t);
}

size_t packet_rings_size(const struct net *net)
{
	return RINGS_OFFSET + PACKET_RINGS_MAX * sizeof(struct packet_ring);
}

void qpn_table_recover(struct fabric *fabric)
{
	struct qpn_table *t = table(fabric);

	t->used = 0;
	for (uint32_t i = 0; i < ENTRIES; i++)
		t->used += !!(t->entries[i] & VALID);
}

static uint64_t key_of(uint32_t port, uint32_t qpn)
{
	return (uint64_t)port << 24 | qpn;
}

static uint32_t hash(uint64_t key)
{
	return (uint32_t)((key * 0x9e3779b97f4a7c15ull) >> 48) % ENTRIES;
}

/* The entry of @key, or NULL. */
static uint64_t *find(const struct fabric *fabric, uint64_t key, uint64_t *value)
{
	struct qpn_table *t = table(fabric);

	for (uint32_t i = hash(key), n = 0; n < ENTRIES; i = (i + 1) % ENTRIES, n++) {
		*value = __atomic_load_n(&t->entries[i], __ATOMIC_RELAXED);
		if (!*value)
			return NULL;
		if ((*value & VALID) && (*value & KEY_MASK) == key)
			return &t->entries[i];
	}
	return NULL;
}

uint32_t qpn_find(const struct fabric *fabric, uint32_t port, uint32_t qpn)
{
	uint64_t value;

	if (!find(fabric, key_of(port, qpn), &value))
		return NO_INDEX;
	return (uint32_t)(value >> 44) & 0xfff;
}

static void insert(struct fabric *fabric, uint64_t key, uint32_t ring)
{
	struct qpn_table *t = table(fabric);
	uint32_t i = hash(key);

	while (t->entries[i] & VALID)
		i = (i + 1) % ENTRIES;
	__atomic_store_n(&t->entries[i], VALID | (uint64_t)ring << 44 | key, __ATOMIC_RELEASE);
	fault_point(qpn_taken);
	t->used++;
}

/* A removed entry keeps the search going for those behind it, unless there are none. */
static void erase(struct fabric *fabric, uint32_t i)
{
	struct qpn_table *t = table(fabric);

	t->used--;
	__atomic_store_n(&t->entries[i], TOMBSTONE, __ATOMIC_RELEASE);
	if (t->entries[(i + 1) % ENTRIES])
		return;
	for (; t->entries[i] == TOMBSTONE; i = (i + ENTRIES - 1) % ENTRIES)
		__atomic_store_n(&t->entries[i], 0, __ATOMIC_RELEASE);
}

static uint32_t range_start(uint32_t port, bool collide)
{
	return FIRST_QPN + (collide ? 0 : (uint32_t)(port % (RANGES - 1)) << RANGE_BITS);
}

static int take_locked(struct fabric *fabric, uint32_t port, uint32_t ring, bool collide,
        uint32_t twist, uint32_t *qpn)
{
	uint32_t *next = &table(fabric)->next[port], start = range_start(port, collide);

	/* Half of the table stays empty, so that searches are short. */
	if (table(fabric)->used >= ENTRIES / 2)
		return -ENOSPC;
	for (uint32_t tries = 0; tries < 1 << RANGE_BITS; tries++) {
		uint32_t n = collide ? tries ^ twist : (*next)++ % (1 << RANGE_BITS);

		if (qpn_find(fabric, port, start + n) != NO_INDEX)
			continue;
		insert(fabric, key_of(port, start + n), ring);
		*qpn = start + n;
		return 0;
	}
	return -ENOSPC;
}

int qpn_take(struct fabric *fabric, uint32_t port, uint32_t ring, bool collide, uint32_t twist,
        uint32_t *qpn)
{
	int err;

	fabric_lock(fabric);
	err = take_locked(fabric, port, ring, collide, twist, qpn);
	fabric_unlock(fabric);
	return err;
}

void qpn_give_back(struct fabric *fabric, uint32_t port, uint32_t qpn)
{
	uint64_t value, *entry;

	fabric_lock(fabric);
	entry = find(fabric, key_of(port, qpn), &value);
	if (entry)
		erase(fabric, (uint32_t)(entry - table(fabric)->entries));
	fabric_unlock(fabric);
}

struct packet_ring *packet_ring_at(const struct fabric *fabric, uint32_t ring)
{
	char *rings = (char *)owners(fabric) + RINGS_OFFSET;

	return (struct packet_ring *)(void *)rings + ring;
}

static void free_ring(struct fabric *fabric, uint32_t ring)
{
	for (uint32_t i = 0; i < ENTRIES; i++) {
		uint64_t value = table(fabric)->entries[i];

		if ((value & VALID) && ((value >> 44) & 0xfff) == ring)
			erase(fabric, i);
	}
	__atomic_store_n(&owners(fabric)->multicast_port[ring], 0, __ATOMIC_RELEASE);
	__atomic_store_n(&owners(fabric)->client[ring], 0, __ATOMIC_RELEASE);
}

void packet_ring_listen(struct fabric *fabric, uint32_t ring, uint32_t port)
{
	/* NO_INDEX is all ones. */
	__atomic_store_n(&owners(fabric)->multicast_port[ring], port + 1, __ATOMIC_RELEASE);
}

bool packet_ring_listens(const struct fabric *fabric, uint32_t ring, uint32_t port)
{
	return __atomic_load_n(&owners(fabric)->multicast_port[ring], __ATOMIC_ACQUIRE) == port + 1;
}

static int take_ring(struct fabric *fabric, uint32_t *ring)
{
	struct ring_owners *o = owners(fabric);

	for (uint32_t i = 0; i < PACKET_RINGS_MAX; i++) {
		if (o->client[i])
			continue;
		if (!o->is_initialised[i])
			packet_ring_init(packet_ring_at(fabric, i));
		o->is_initialised[i] = 1;
		packet_ring_clear(packet_ring_at(fabric, i));
		__atomic_store_n(&o->client[i], fabric->client + 1, __ATOMIC_RELEASE);
		fault_point(packet_ring_taken);
		*ring = i;
		return 0;
	}
	return -EUSERS;
}

int packet_ring_take(struct fabric *fabric, uint32_t *ring)
{
	int err;

	fabric_lock(fabric);
	clients_reap(fabric);
	err = take_ring(fabric, ring);
	fabric_unlock(fabric);
	return err;
}

void packet_ring_give_back(struct fabric *fabric, uint32_t ring)
{
	fabric_lock(fabric);
	free_ring(fabric, ring);
	fabric_unlock(fabric);
}

bool packet_ring_is_read(struct fabric *fabric, uint32_t ring)
{
	fabric_lock(fabric);
	clients_reap(fabric);
	fabric_unlock(fabric);
	return __atomic_load_n(&owners(fabric)->client[ring], __ATOMIC_ACQUIRE);
}

void packet_rings_client_gone(struct fabric *fabric, uint32_t client)
{
	for (uint32_t i = 0; i < PACKET_RINGS_MAX; i++) {
		if (owners(fabric)->client[i] == client + 1)
			free_ring(fabric, i);
	}
}
