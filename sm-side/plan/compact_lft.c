/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>

#include "sm-side/plan/compact_lft.h"
#include "sm-side/plan/fabric_view.h"

/* Above it, searching them costs more than the bytes are worth. */
enum { EXCEPTIONS_MAX = 1024 };

static bool is_routed(const struct routed_lids *routed, uint16_t lid)
{
	return routed->bits[lid / 64] >> lid % 64 & 1;
}

void routed_lids_of(const uint8_t *lft, uint32_t entries, struct routed_lids *routed)
{
	*routed = (struct routed_lids){0};
	for (uint32_t lid = 0; lid < entries; lid++)
		if (lft[lid] != LFT_NO_PORT)
			routed->bits[lid / 64] |= UINT64_C(1) << lid % 64;
}

static uint8_t most_named_port(const uint8_t *lft, uint32_t entries)
{
	uint32_t named[256] = {0};
	uint8_t most = 0;

	for (uint32_t lid = 0; lid < entries; lid++)
		named[lft[lid]]++;
	for (unsigned port = 1; port < LFT_NO_PORT; port++)
		if (named[port] > named[most])
			most = (uint8_t)port;
	return most;
}

static uint8_t expected_port(const struct routed_lids *routed, uint16_t lid, uint8_t port)
{
	return is_routed(routed, lid) ? port : LFT_NO_PORT;
}

static uint32_t exceptions_count(
        const uint8_t *lft, uint32_t entries, const struct routed_lids *routed, uint8_t port)
{
	uint32_t count = 0;

	for (uint32_t lid = 0; lid < entries; lid++)
		if (lft[lid] != expected_port(routed, (uint16_t)lid, port))
			count++;
	return count;
}

int compact_lft_create(const uint8_t *lft, uint32_t entries, const struct routed_lids *routed,
        struct compact_lft **made)
{
	uint8_t port = most_named_port(lft, entries);
	uint32_t count = exceptions_count(lft, entries, routed, port);
	struct compact_lft *table;

	if (count > EXCEPTIONS_MAX || count * sizeof(table->exceptions[0]) > entries / 2)
		return -E2BIG;
	table = malloc(sizeof(*table) + count * sizeof(table->exceptions[0]));
	if (!table)
		return -ENOMEM;
	table->routed = routed;
	table->port = port;
	table->exception_count = 0;
	for (uint32_t lid = 0; lid < entries; lid++)
		if (lft[lid] != expected_port(routed, (uint16_t)lid, port))
			table->exceptions[table->exception_count++] =
			        (struct lft_exception){(uint16_t)lid, lft[lid]};
	*made = table;
	return 0;
}

uint8_t compact_lft_entry(const struct compact_lft *table, uint16_t lid)
{
	uint32_t low = 0, high = table->exception_count;

	while (low < high) {
		uint32_t middle = low + (high - low) / 2;

		if (table->exceptions[middle].lid == lid)
			return table->exceptions[middle].port;
		if (table->exceptions[middle].lid < lid)
			low = middle + 1;
		else
			high = middle;
	}
	return expected_port(table->routed, lid, table->port);
}

size_t compact_lft_bytes(const struct compact_lft *table)
{
	return sizeof(*table) + table->exception_count * sizeof(table->exceptions[0]);
}
