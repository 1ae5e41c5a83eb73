/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include "notifier/relay/gid_book.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "notifier/relay/name_hash.h"

enum { BUCKETS_FIRST = 16, LABEL_BUCKETS = 256 };

/* What a VM is called, once for all its names. */
struct label {
	struct label *next; /* in its bucket */
	uint32_t uses;
	char vm[];
};

/* Many may be of one who floods. */
struct entry {
	struct entry *next;  /* in its bucket */
	struct label *label; /* NULL: nobody announces it; "": nobody's */
	uint32_t name, held, announced;
	uint8_t gid[GID_BYTES];
};

struct gid_book {
	struct entry **buckets; /* a power of two of them */
	size_t buckets_count, count;
	struct label *labels[LABEL_BUCKETS];
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

/* The link that points to it, or to NULL. */
static struct label **label_find(struct gid_book *book, const char *vm)
{
	struct label **at = &book->labels[name_hash(vm, strlen(vm)) % LABEL_BUCKETS];

	while (*at && strcmp((*at)->vm, vm) != 0)
		at = &(*at)->next;
	return at;
}

static struct label *label_take(struct gid_book *book, const char *vm)
{
	struct label **at = label_find(book, vm);

	if (!*at) {
		*at = calloc(1, sizeof(**at) + strlen(vm) + 1);
		if (!*at)
			return NULL;
		strcpy((*at)->vm, vm);
	}
	(*at)->uses++;
	return *at;
}

static void label_drop(struct gid_book *book, struct label *label)
{
	struct label **at;

	if (!label || --label->uses)
		return;
	at = label_find(book, label->vm);
	*at = label->next;
	free(label);
}

static void entry_free(struct gid_book *book, struct entry *entry)
{
	label_drop(book, entry->label);
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
			entry_free(book, entry);
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
	return vm && entry->label && *entry->label->vm && strcmp(entry->label->vm, vm) != 0;
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
static int vm_note(struct gid_book *book, struct entry *entry, const char *vm)
{
	struct label *label;

	if (!vm || (entry->label && (*entry->label->vm || !*vm)))
		return 0;
	label = label_take(book, vm);
	if (!label)
		return -ENOMEM;
	label_drop(book, entry->label);
	entry->label = label;
	return 0;
}

static void entry_drop(struct gid_book *book, struct entry **at)
{
	struct entry *entry = *at;

	*at = entry->next;
	book->count--;
	entry_free(book, entry);
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
		err = vm_note(book, entry, vm);
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
		label_drop(book, entry->label);
		entry->label = NULL;
	}
	if (!--entry->held)
		entry_drop(book, at);
}

const char *gid_book_vm(const struct gid_book *book, uint32_t name)
{
	const struct entry *entry = *find(book, name);

	return entry && entry->label && *entry->label->vm ? entry->label->vm : NULL;
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
			if (entry->label && *entry->label->vm &&
			        (!vm || !strcmp(entry->label->vm, vm)))
				each(context, entry->label->vm, entry->gid);
}
