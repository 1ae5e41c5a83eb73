/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include "notifier/relay/gid_book.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "notifier/relay/name_hash.h"

enum { BUCKETS_FIRST = 16 };

struct entry {
	struct entry *next; /* in its bucket */
	uint32_t name;
	uint8_t gid[GID_BYTES];
	size_t held, announced;
	char *vm; /* NULL: nobody announces it; "": nobody's */
};

struct gid_book {
	struct entry **buckets; /* a power of two of them */
	size_t buckets_count, count;
};

struct gid_book *gid_book_create(void)
{
	struct gid_book *book = calloc(1, sizeof(*book));

	if (!book)
		return NULL;
	book->buckets_count = BUCKETS_FIRST;
	book->buckets = calloc(BUCKETS_FIRST, sizeof(*book->buckets));
	if (book->buckets)
		return book;
	free(book);
	return NULL;
}

static void entry_free(struct entry *entry)
{
	free(entry->vm);
	free(entry);
}

void gid_book_destroy(struct gid_book *book)
{
	if (!book)
		return;
	for (size_t i = 0; i < book->buckets_count; i++) {
		while (book->buckets[i]) {
			struct entry *entry = book->buckets[i];

			book->buckets[i] = entry->next;
			entry_free(entry);
		}
	}
	free(book->buckets);
	free(book);
}

static struct entry **bucket(const struct gid_book *book, uint32_t name)
{
	size_t hash = name_hash((const char *)&name, sizeof(name));

	return &book->buckets[hash & (book->buckets_count - 1)];
}

/* The link that points to it, or to NULL. */
static struct entry **find(const struct gid_book *book, uint32_t name)
{
	struct entry **at = bucket(book, name);

	while (*at && (*at)->name != name)
		at = &(*at)->next;
	return at;
}

static void grow(struct gid_book *book)
{
	struct gid_book grown = {.buckets_count = 2 * book->buckets_count};

	grown.buckets = calloc(grown.buckets_count, sizeof(*grown.buckets));
	if (!grown.buckets)
		return; /* longer chains, the same answers */
	for (size_t i = 0; i < book->buckets_count; i++) {
		while (book->buckets[i]) {
			struct entry *entry = book->buckets[i];
			struct entry **at = bucket(&grown, entry->name);

			book->buckets[i] = entry->next;
			entry->next = *at;
			*at = entry;
		}
	}
	free(book->buckets);
	book->buckets = grown.buckets;
	book->buckets_count = grown.buckets_count;
}

static bool is_anothers(const struct entry *entry, const char *vm)
{
	return vm && entry->vm && *entry->vm && strcmp(entry->vm, vm) != 0;
}

static int entry_check(const struct entry *entry, const uint8_t gid[GID_BYTES], const char *vm)
{
	if (memcmp(entry->gid, gid, GID_BYTES) != 0)
		return -EEXIST;
	return is_anothers(entry, vm) ? -EACCES : 0;
}

int gid_book_check(
        const struct gid_book *book, uint32_t name, const uint8_t gid[GID_BYTES], const char *vm)
{
	const struct entry *entry = *find(book, name);

	return entry ? entry_check(entry, gid, vm) : 0;
}

static struct entry *entry_add(struct gid_book *book, uint32_t name, const uint8_t gid[GID_BYTES])
{
	struct entry *entry = calloc(1, sizeof(*entry)), **at;

	if (!entry)
		return NULL;
	if (book->count >= book->buckets_count)
		grow(book);
	entry->name = name;
	memcpy(entry->gid, gid, GID_BYTES);
	at = bucket(book, name);
	entry->next = *at;
	*at = entry;
	book->count++;
	return entry;
}

/* What is nobody's becomes a VM's by its word. */
static int vm_note(struct entry *entry, const char *vm)
{
	char *copy;

	if (!vm || (entry->vm && (*entry->vm || !*vm)))
		return 0;
	copy = strdup(vm);
	if (!copy)
		return -ENOMEM;
	free(entry->vm);
	entry->vm = copy;
	return 0;
}

static void entry_drop(struct gid_book *book, struct entry **at)
{
	struct entry *entry = *at;

	*at = entry->next;
	book->count--;
	entry_free(entry);
}

int gid_book_hold(
        struct gid_book *book, uint32_t name, const uint8_t gid[GID_BYTES], const char *vm)
{
	struct entry *entry = *find(book, name);
	int err = 0;

	if (!entry)
		entry = entry_add(book, name, gid);
	else
		err = entry_check(entry, gid, vm);
	if (!entry)
		return -ENOMEM;
	if (!err)
		err = vm_note(entry, vm);
	if (err) {
		if (!entry->held)
			entry_drop(book, find(book, name));
		return err;
	}
	entry->held++;
	entry->announced += vm != NULL;
	return 0;
}

void gid_book_let_go(struct gid_book *book, uint32_t name, bool announced)
{
	struct entry **at = find(book, name), *entry = *at;

	if (!entry)
		return;
	if (announced && !--entry->announced) {
		free(entry->vm);
		entry->vm = NULL;
	}
	if (!--entry->held)
		entry_drop(book, at);
}

const char *gid_book_vm(const struct gid_book *book, uint32_t name)
{
	const struct entry *entry = *find(book, name);

	return entry && entry->vm && *entry->vm ? entry->vm : NULL;
}

bool gid_book_find(const struct gid_book *book, uint32_t name, uint8_t gid[GID_BYTES])
{
	const struct entry *entry = *find(book, name);

	if (entry)
		memcpy(gid, entry->gid, GID_BYTES);
	return entry;
}

void gid_book_each(const struct gid_book *book, const char *vm, gid_book_told *each, void *context)
{
	for (size_t i = 0; i < book->buckets_count; i++)
		for (const struct entry *entry = book->buckets[i]; entry; entry = entry->next)
			if (entry->vm && *entry->vm && (!vm || !strcmp(entry->vm, vm)))
				each(context, entry->vm, entry->gid);
}
