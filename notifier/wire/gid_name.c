/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include "notifier/wire/gid_name.h"

#include <endian.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define NAME_BIT   0x80000000u
#define FNV_OFFSET 0xcbf29ce484222325u
#define FNV_PRIME  0x100000001b3u

enum { WORDS = GID_BYTES / 4 };

/* Each bit of what goes in changes half of what comes out (MurmurHash3's finalizer). */
static uint64_t mixed(uint64_t bits)
{
	bits = (bits ^ bits >> 33) * 0xff51afd7ed558ccdu;
	bits = (bits ^ bits >> 33) * 0xc4ceb9fe1a85ec53u;
	return bits ^ bits >> 33;
}

uint32_t gid_name(const uint8_t gid[GID_BYTES])
{
	uint64_t half[2];

	memcpy(half, gid, sizeof(half));
	if (!half[0] && !half[1])
		return 0;
	return NAME_BIT | (uint32_t)mixed(mixed(be64toh(half[0])) ^ be64toh(half[1]));
}

bool gid_name_fits(uint32_t lid, const uint8_t *gid, size_t gid_bytes)
{
	if (lid <= LID_HIGHEST)
		return true;
	return is_gid_name(lid) && gid_bytes == GID_BYTES && gid_name(gid) == lid;
}

uint32_t gid_of_vm(const char *vm, uint8_t gid[GID_BYTES])
{
	static const uint8_t prefix[] = {0xfd, 0x74, 0x65, 0x74, 0x68, 0x65, 0x72, 0xff};
	uint64_t hash = FNV_OFFSET;

	while (*vm)
		hash = (hash ^ (uint8_t)*vm++) * FNV_PRIME;
	hash = htobe64(mixed(hash));
	memcpy(gid, prefix, sizeof(prefix));
	memcpy(gid + sizeof(prefix), &hash, sizeof(hash));
	return gid_name(gid);
}

static struct gid_row row_of(const uint8_t gid[GID_BYTES])
{
	uint32_t word[WORDS];

	memcpy(word, gid, sizeof(word));
	return (struct gid_row){gid_name(gid), be32toh(word[0]), be32toh(word[1]), be32toh(word[2]),
	        be32toh(word[3])};
}

static void bytes_of(const struct gid_row *row, uint8_t gid[GID_BYTES])
{
	const uint32_t word[WORDS] = {
	        htobe32(row->gid_0), htobe32(row->gid_1), htobe32(row->gid_2), htobe32(row->gid_3)};

	memcpy(gid, word, sizeof(word));
}

int gid_rows_add_row(Tether__GidRows *rows, const struct gid_row *row)
{
	size_t count;
	int err = gid_rows_count(rows, &count);

	if (err)
		return err;
	for (size_t i = 0; i < count; i++) {
		struct gid_row other = gid_rows_get(rows, i);

		if (other.name == row->name)
			return memcmp(&other, row, sizeof(other)) ? -EEXIST : 0;
	}
	return gid_rows_append(rows, row);
}

int gid_rows_add(Tether__GidRows *rows, const uint8_t gid[GID_BYTES])
{
	struct gid_row row = row_of(gid);

	return gid_rows_add_row(rows, &row);
}

static int by_bytes(const void *a, const void *b)
{
	return memcmp(a, b, sizeof(struct gid_row));
}

static bool is_never_kept(const ProtobufCMessage *rows, size_t index, const void *unused)
{
	return false;
}

int gid_rows_compact(Tether__GidRows *rows)
{
	struct gid_row *sorted;
	size_t count;
	int err = gid_rows_count(rows, &count);

	if (err || !count)
		return err;
	sorted = reallocarray(NULL, count, sizeof(*sorted));
	if (!sorted)
		return -ENOMEM;
	for (size_t i = 0; i < count; i++)
		sorted[i] = gid_rows_get(rows, i);
	qsort(sorted, count, sizeof(*sorted), by_bytes);
	rows_filter(&rows->base, is_never_kept, NULL);
	for (size_t i = 0; i < count && !err; i++)
		if (!i || by_bytes(&sorted[i], &sorted[i - 1]))
			err = gid_rows_append(rows, &sorted[i]);
	free(sorted);
	return err;
}

bool gid_rows_find(const Tether__GidRows *rows, uint32_t name, uint8_t gid[GID_BYTES])
{
	uint8_t found[GID_BYTES];
	bool is_found = false;
	size_t count;

	if (!is_gid_name(name) || gid_rows_count(rows, &count))
		return false;
	for (size_t i = 0; i < count; i++) {
		struct gid_row row = gid_rows_get(rows, i);
		uint8_t bytes[GID_BYTES];

		bytes_of(&row, bytes);
		if (row.name != name || gid_name(bytes) != name)
			continue;
		if (is_found && memcmp(found, bytes, sizeof(found)) != 0)
			return false;
		memcpy(found, bytes, sizeof(found));
		is_found = true;
	}
	if (is_found)
		memcpy(gid, found, sizeof(found));
	return is_found;
}
