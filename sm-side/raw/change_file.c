/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include "sm-side/raw/change_file.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "notifier/base/cleanup.h"
#include "sm-side/json_read.h"
#include "sm-side/plan/content_hash.h"
#include "sm-side/plan/words.h"

enum {
	FORMAT = 1,
	SLOTS_MAX = LID_UNICAST_MAX,
	CHANGES_MAX = 1 << 24,
	FILE_MAX = 1 << 30,
	HASH_DIGITS = 16,
	BLOCK_DIGITS = 2 * LFT_BLOCK_LIDS,
};

const char *order_name(enum plan_order order)
{
	return plan_order_words[order];
}

const char *reach_name(enum plan_reach reach)
{
	return plan_reach_words[reach];
}

int order_parse(const char *text, enum plan_order *order)
{
	for (unsigned i = 0; i < ARRAY_SIZE(plan_order_words); i++)
		if (!strcmp(text, plan_order_words[i])) {
			*order = i;
			return 0;
		}
	return -EINVAL;
}

int reach_parse(const char *text, enum plan_reach *reach)
{
	for (unsigned i = 0; i < ARRAY_SIZE(plan_reach_words); i++)
		if (!strcmp(text, plan_reach_words[i])) {
			*reach = i;
			return 0;
		}
	return -EINVAL;
}

/* Over everything that is carried out. */
static uint64_t checksum(const struct fabric_change *change)
{
	uint64_t hash = content_hash_number(CONTENT_HASH_START, change->hash);

	hash = content_hash_number(hash, change->sets.wave_count);
	hash = content_hash_number(hash, change->sets.pause_after_wave_0);
	for (uint32_t i = 0; i < change->slot_count; i++) {
		const struct slot_change *slot = &change->slots[i];

		hash = content_hash_number(hash, slot->place.switch_guid);
		hash = content_hash_number(hash, slot->place.port);
		hash = content_hash_number(hash, (uint32_t)slot->before << 16 | slot->after);
	}
	for (uint32_t i = 0; i < change->sets.change_count; i++) {
		const struct plan_change *set = &change->sets.changes[i];

		hash = content_hash_number(hash, set->switch_guid);
		hash = content_hash_number(hash, (uint64_t)set->wave << 16 | set->block);
		hash = content_hash(hash, set->before, LFT_BLOCK_LIDS);
		hash = content_hash(hash, set->after, LFT_BLOCK_LIDS);
	}
	return hash;
}

static void put_hash(struct json_object *into, const char *name, uint64_t hash)
{
	char text[HASH_DIGITS + 1];

	snprintf(text, sizeof(text), "%016llx", (unsigned long long)hash);
	json_put_text(into, name, text);
}

static void put_block(struct json_object *into, const char *name, const uint8_t *block)
{
	char text[BLOCK_DIGITS + 1];

	for (unsigned i = 0; i < LFT_BLOCK_LIDS; i++)
		snprintf(text + 2 * i, 3, "%02x", block[i]);
	json_put_text(into, name, text);
}

static struct json_object *slots_json(const struct fabric_change *change)
{
	struct json_object *list = json_object_new_array();

	for (uint32_t i = 0; i < change->slot_count; i++) {
		const struct slot_change *slot = &change->slots[i];
		struct json_object *row = json_object_new_object();

		json_put_guid(row, "switch_guid", slot->place.switch_guid);
		json_put_number(row, "switch_port", slot->place.port);
		json_put_number(row, "lid_before", slot->before);
		json_put_number(row, "lid_after", slot->after);
		json_object_array_add(list, row);
	}
	return list;
}

static struct json_object *changes_json(const struct plan_sets *sets)
{
	struct json_object *list = json_object_new_array();

	for (uint32_t i = 0; i < sets->change_count; i++) {
		const struct plan_change *set = &sets->changes[i];
		struct json_object *row = json_object_new_object();

		json_put_guid(row, "switch_guid", set->switch_guid);
		json_put_number(row, "block", set->block);
		json_put_number(row, "wave", set->wave);
		json_put_bool(row, "is_vswitch", set->is_vswitch);
		put_block(row, "before", set->before);
		put_block(row, "after", set->after);
		json_object_array_add(list, row);
	}
	return list;
}

struct json_object *change_to_json(const struct fabric_change *change)
{
	struct json_object *whole = json_object_new_object();

	json_put_number(whole, "tether_fabric_change", FORMAT);
	put_hash(whole, "hash", change->hash);
	json_put_text(whole, "order", order_name(change->order));
	json_put_text(whole, "reach", reach_name(change->reach));
	json_put_number(whole, "moves", change->move_count);
	json_put_number(whole, "waves", change->sets.wave_count);
	json_put_number(whole, "splits", change->sets.splits);
	json_put_bool(whole, "pause_after_wave_0", change->sets.pause_after_wave_0);
	json_object_object_add(whole, "slots", slots_json(change));
	json_object_object_add(whole, "changes", changes_json(&change->sets));
	put_hash(whole, "checksum", checksum(change));
	return whole;
}

static bool read_hash(struct json_object *from, const char *name, uint64_t *hash)
{
	const char *text = json_read_string(from, name);

	if (!text || strlen(text) != HASH_DIGITS || strspn(text, "0123456789abcdef") != HASH_DIGITS)
		return false;
	*hash = strtoull(text, NULL, 16);
	return true;
}

static bool read_block(struct json_object *from, const char *name, uint8_t *block)
{
	const char *text = json_read_string(from, name);

	if (!text || strlen(text) != BLOCK_DIGITS ||
	        strspn(text, "0123456789abcdef") != BLOCK_DIGITS)
		return false;
	for (unsigned i = 0; i < LFT_BLOCK_LIDS; i++) {
		char digits[3] = {text[2 * i], text[2 * i + 1], 0};

		block[i] = (uint8_t)strtoul(digits, NULL, 16);
	}
	return true;
}

static bool read_place(struct json_object *row, struct view_place *place)
{
	uint64_t port;

	if (json_read_guid(row, "switch_guid", &place->switch_guid) ||
	        json_read_number(row, "switch_port", LFT_NO_PORT - 1, &port) || !port)
		return false;
	place->port = (uint8_t)port;
	return true;
}

static bool read_lid(struct json_object *row, const char *name, uint16_t *lid)
{
	uint64_t number;

	if (json_read_number(row, name, LID_UNICAST_MAX, &number) || !number)
		return false;
	*lid = (uint16_t)number;
	return true;
}

static bool read_slot(struct json_object *row, struct slot_change *slot)
{
	return read_place(row, &slot->place) && read_lid(row, "lid_before", &slot->before) &&
	       read_lid(row, "lid_after", &slot->after) && slot->before != slot->after;
}

static bool read_set(struct json_object *row, uint32_t waves, struct plan_change *set)
{
	uint64_t block, wave;

	if (json_read_guid(row, "switch_guid", &set->switch_guid) ||
	        json_read_number(row, "block", LID_UNICAST_MAX / LFT_BLOCK_LIDS, &block) ||
	        json_read_number(row, "wave", waves, &wave) || wave == waves ||
	        json_read_bool(row, "is_vswitch", &set->is_vswitch) ||
	        !read_block(row, "before", set->before) || !read_block(row, "after", set->after))
		return false;
	set->block = (uint16_t)block;
	set->wave = (uint32_t)wave;
	return memcmp(set->before, set->after, LFT_BLOCK_LIDS);
}

static bool comes_before(const struct plan_change *a, const struct plan_change *b)
{
	if (a->wave != b->wave)
		return a->wave < b->wave;
	if (a->switch_guid != b->switch_guid)
		return a->switch_guid < b->switch_guid;
	return a->block < b->block;
}

/* A list of at most @most objects; NULL: it is none. */
static struct json_object *read_list(
        struct json_object *whole, const char *name, size_t most, uint32_t *count)
{
	struct json_object *list;

	if (!json_object_object_get_ex(whole, name, &list) ||
	        !json_object_is_type(list, json_type_array) ||
	        json_object_array_length(list) > most)
		return NULL;
	*count = (uint32_t)json_object_array_length(list);
	return list;
}

static int read_slots(struct json_object *whole, struct fabric_change *change)
{
	struct json_object *list = read_list(whole, "slots", SLOTS_MAX, &change->slot_count);

	if (!list)
		return -EINVAL;
	change->slots = calloc(change->slot_count + 1u, sizeof(*change->slots));
	if (!change->slots)
		return -ENOMEM;
	for (uint32_t i = 0; i < change->slot_count; i++)
		if (!read_slot(json_object_array_get_idx(list, i), &change->slots[i]))
			return -EINVAL;
	return 0;
}

static int read_sets(struct json_object *whole, struct plan_sets *sets)
{
	struct json_object *list = read_list(whole, "changes", CHANGES_MAX, &sets->change_count);

	if (!list)
		return -EINVAL;
	sets->changes = calloc(sets->change_count + 1u, sizeof(*sets->changes));
	if (!sets->changes)
		return -ENOMEM;
	for (uint32_t i = 0; i < sets->change_count; i++) {
		if (!read_set(json_object_array_get_idx(list, i), sets->wave_count,
		            &sets->changes[i]))
			return -EINVAL;
		if (i && !comes_before(&sets->changes[i - 1], &sets->changes[i]))
			return -EINVAL;
	}
	return 0;
}

static int read_head(struct json_object *whole, struct fabric_change *change)
{
	const char *order = json_read_string(whole, "order");
	const char *reach = json_read_string(whole, "reach");
	unsigned moves, waves, splits;

	if (!order || order_parse(order, &change->order) || !reach ||
	        reach_parse(reach, &change->reach) || !read_hash(whole, "hash", &change->hash) ||
	        json_read_unsigned(whole, "moves", &moves) ||
	        json_read_unsigned(whole, "waves", &waves) || waves > CHANGES_MAX ||
	        json_read_unsigned(whole, "splits", &splits) ||
	        json_read_bool(whole, "pause_after_wave_0", &change->sets.pause_after_wave_0))
		return -EINVAL;
	change->move_count = moves;
	change->sets.wave_count = waves;
	change->sets.splits = splits;
	return 0;
}

static int read_whole(struct json_object *whole, struct fabric_change *change, const char **why)
{
	uint64_t sum, format;
	int error;

	*why = "it is no undo file of tether-fabric";
	if (json_read_number(whole, "tether_fabric_change", UINT32_MAX, &format))
		return -EINVAL;
	*why = "it is of another version";
	if (format != FORMAT)
		return -EINVAL;
	*why = "a member is missing or not what it should be";
	error = read_head(whole, change);
	if (!error)
		error = read_slots(whole, change);
	if (!error)
		error = read_sets(whole, &change->sets);
	if (error)
		return error;
	*why = "its checksum is not right";
	return read_hash(whole, "checksum", &sum) && sum == checksum(change) ? 0 : -EINVAL;
}

int change_parse(const char *bytes, size_t length, struct fabric_change *change, const char **why)
{
	struct json_object *whole = json_read_whole(bytes, length);
	int error;

	*change = (struct fabric_change){0};
	*why = "it is not one JSON object";
	if (!whole)
		return -EINVAL;
	error = read_whole(whole, change, why);
	json_object_put(whole);
	if (error == -ENOMEM)
		*why = "out of memory";
	if (error)
		fabric_change_clear(change);
	return error;
}

static int write_all(int fd, const char *bytes, size_t length)
{
	while (length) {
		ssize_t wrote = write(fd, bytes, length);

		if (wrote < 0 && errno == EINTR)
			continue;
		if (wrote < 0)
			return -errno;
		bytes += wrote;
		length -= (size_t)wrote;
	}
	return fsync(fd) ? -errno : 0;
}

/* The name itself must be on disk, too. */
static int folder_sync(const char *path)
{
	CLEANUP_FREE char *copy = strdup(path);
	CLEANUP_CLOSE int fd = -1;

	if (!copy)
		return -ENOMEM;
	fd = open(dirname(copy), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return fd < 0 || fsync(fd) ? -errno : 0;
}

int change_file_write(const char *path, const struct fabric_change *change)
{
	struct json_object *whole = change_to_json(change);
	const char *text = json_object_to_json_string_ext(whole, JSON_C_TO_STRING_PLAIN);
	CLEANUP_CLOSE int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	int error = fd < 0 ? -errno : text ? write_all(fd, text, strlen(text)) : -ENOMEM;

	if (!error)
		error = folder_sync(path);
	if (error && fd >= 0)
		unlink(path);
	json_object_put(whole);
	return error;
}

int change_file_read(const char *path, struct fabric_change *change, const char **why)
{
	CLEANUP_CLOSE int fd = open(path, O_RDONLY | O_CLOEXEC);
	CLEANUP_FREE char *bytes = NULL;
	size_t length = 0;
	struct stat stat;

	*why = "it cannot be read";
	if (fd < 0 || fstat(fd, &stat))
		return -errno;
	*why = "it is no undo file of tether-fabric";
	if (!S_ISREG(stat.st_mode) || stat.st_size > FILE_MAX)
		return -EINVAL;
	bytes = malloc((size_t)stat.st_size + 1);
	*why = "out of memory";
	if (!bytes)
		return -ENOMEM;
	while (length < (size_t)stat.st_size) {
		ssize_t got = read(fd, bytes + length, (size_t)stat.st_size - length);

		*why = "it cannot be read";
		if (got < 0)
			return -errno;
		if (got == 0)
			break;
		length += (size_t)got;
	}
	return change_parse(bytes, length, change, why);
}
