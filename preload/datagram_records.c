/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/* Which records there are of addresses: by LID, and by name where there are no LIDs. */
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "notifier/base/cleanup.h"
#include "preload/datagram_numbers.h"

enum { NAMES = 4096 }; /* a power of two */

struct datagram_numbers *datagram_numbers_by_lid[FIRST_MULTICAST_LID];

/* Names are well mixed; each list grows at its head only. */
static struct datagram_numbers *by_name[NAMES];
static pthread_mutex_t making = PTHREAD_MUTEX_INITIALIZER;

static struct datagram_numbers **list_of(uint32_t name)
{
	return &by_name[name % NAMES];
}

struct datagram_numbers *datagram_numbers_named(uint32_t name)
{
	struct datagram_numbers *numbers = __atomic_load_n(list_of(name), __ATOMIC_ACQUIRE);

	while (numbers && numbers->lid != name)
		numbers = numbers->next;
	return numbers;
}

static bool is_same(const union ibv_gid *a, const union ibv_gid *b)
{
	return !memcmp(a, b, sizeof(*a));
}

struct datagram_numbers *datagram_numbers_find(uint32_t lid, const union ibv_gid *gid)
{
	struct datagram_numbers *numbers = (struct datagram_numbers *)datagram_numbers_at(lid);

	return numbers && is_gid_name(lid) && !is_same(&numbers->gid, gid) ? NULL : numbers;
}

static bool is_group(uint32_t lid, const union ibv_gid *gid)
{
	return is_gid_name(lid) ? gid->raw[0] == 0xff : lid >= FIRST_MULTICAST_LID;
}

static struct datagram_numbers *make(uint32_t lid, const union ibv_gid *gid)
{
	struct datagram_numbers *numbers = calloc(1, sizeof(*numbers));
	struct datagram_numbers **at =
	        is_gid_name(lid) ? list_of(lid) : &datagram_numbers_by_lid[lid];

	if (!numbers)
		return NULL;
	numbers->lid = lid;
	numbers->next = *at;
	if (is_gid_name(lid))
		numbers->gid = *gid;
	__atomic_store_n(at, numbers, __ATOMIC_RELEASE);
	return numbers;
}

struct datagram_numbers *datagram_numbers_of(uint32_t lid, const union ibv_gid *gid)
{
	if (!lid || is_group(lid, gid))
		return NULL;
	LOCK_GUARD(&making);
	return datagram_numbers_at(lid) ? datagram_numbers_find(lid, gid) : make(lid, gid);
}

void datagram_numbers_each_named(
        void (*each)(struct datagram_numbers *numbers, void *owner), void *owner)
{
	for (unsigned i = 0; i < NAMES; i++) {
		struct datagram_numbers *numbers = __atomic_load_n(&by_name[i], __ATOMIC_ACQUIRE);

		for (; numbers; numbers = numbers->next)
			each(numbers, owner);
	}
}

void datagram_records_in_child(void)
{
	pthread_mutex_init(&making, NULL);
}
