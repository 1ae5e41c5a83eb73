/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include "simfabric/clients.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "simfabric/fault_points.h"

/* Far behind the end of any fabric: locks need no bytes to be there. */
static const off_t first_lock = (off_t)1 << 48;

struct client_table {
	uint64_t ever_used;
	struct client rows[CLIENTS_MAX];
};

static struct client_table *table(const struct fabric *fabric)
{
	return fabric_section(fabric, SECTION_CLIENTS);
}

size_t clients_size(const struct net *net)
{
	return sizeof(struct client_table);
}

const struct client *client_row(const struct fabric *fabric, uint32_t index)
{
	return index < table(fabric)->ever_used ? &table(fabric)->rows[index] : NULL;
}

static struct flock row_lock(uint32_t row, short type)
{
	return (struct flock){
	        .l_type = type, .l_whence = SEEK_SET, .l_start = first_lock + row, .l_len = 1};
}

static bool is_alive(const struct fabric *fabric, uint32_t row)
{
	struct flock lock = row_lock(row, F_WRLCK);

	/* A handle's own locks do not show. */
	if (row == fabric->client)
		return true;
	return fcntl(fabric->fd, F_OFD_GETLK, &lock) || lock.l_type != F_UNLCK;
}

static void give_back(struct fabric *fabric, uint32_t row)
{
	for (unsigned i = 0; i < SECTION_COUNT; i++) {
		const struct section_kind *kind = fabric_section_kind(i);

		if (kind->client_gone)
			kind->client_gone(fabric, row);
	}
	fault_point(client_half_reaped);
	__atomic_store_n(&table(fabric)->rows[row].is_used, 0, __ATOMIC_RELEASE);
}

unsigned clients_reap(struct fabric *fabric)
{
	unsigned dead = 0;

	for (uint32_t row = 0; row < table(fabric)->ever_used; row++) {
		if (!table(fabric)->rows[row].is_used || is_alive(fabric, row))
			continue;
		give_back(fabric, row);
		dead++;
	}
	return dead;
}

static void fill_row(struct client *row)
{
	const char *vm = getenv("SIMFABRIC_VM"), *node = getenv("SIMFABRIC_NODE");

	row->pid = getpid();
	snprintf(row->program, sizeof(row->program), "%s", program_invocation_short_name);
	snprintf(row->place, sizeof(row->place), "%s%s",
	        vm     ? "vm "
	        : node ? "node "
	               : "",
	        vm     ? vm
	        : node ? node
	               : "");
}

/* The byte is locked before the row is used, so a used row without a lock is a dead client's. */
static int take_row(struct fabric *fabric)
{
	for (uint32_t row = 0; row < CLIENTS_MAX; row++) {
		struct flock lock = row_lock(row, F_WRLCK);

		if (table(fabric)->rows[row].is_used || fcntl(fabric->fd, F_OFD_SETLK, &lock))
			continue;
		fill_row(&table(fabric)->rows[row]);
		if (table(fabric)->ever_used <= row)
			table(fabric)->ever_used = row + 1;
		__atomic_store_n(&table(fabric)->rows[row].is_used, 1, __ATOMIC_RELEASE);
		fabric->client = row;
		return 0;
	}
	return -EUSERS;
}

int client_join(struct fabric *fabric)
{
	int r = 0;

	fabric_lock(fabric);
	if (fabric->client == NO_INDEX) {
		clients_reap(fabric);
		r = take_row(fabric);
	}
	fabric_unlock(fabric);
	return r;
}

void client_leave(struct fabric *fabric)
{
	struct flock lock;

	if (fabric->client == NO_INDEX)
		return;
	fabric_lock(fabric);
	lock = row_lock(fabric->client, F_UNLCK);
	give_back(fabric, fabric->client);
	fabric->client = NO_INDEX;
	fcntl(fabric->fd, F_OFD_SETLK, &lock);
	fabric_unlock(fabric);
}

bool client_is_on_node(const struct fabric *fabric, const char *node)
{
	char place[sizeof(((struct client *)0)->place)];
	const struct client *row;

	snprintf(place, sizeof(place), "node %s", node);
	for (uint32_t i = 0; (row = client_row(fabric, i)); i++)
		if (row->is_used && !strcmp(row->place, place))
			return true;
	return false;
}
