/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * A fuzzer without libFuzzer, as the unit test fuzz_NAME: its corpus (tests/fuzz/NAME.corpus), and
 * changes of it by chance that are the same in each run. TAP. Where one ends the program, seed and
 * number say which it was.
 */
#include <dirent.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "notifier/base/cleanup.h"

enum { CHANGES = 2000, CHANGES_FULL = 100000, SEED_MOST_BYTES = 1 << 16, CHANGES_AT_ONCE = 4 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
#ifdef TETHER_SANITIZE
void __sanitizer_set_death_callback(void (*callback)(void));
#endif

struct seed {
	char *name;
	uint8_t *bytes;
	size_t size;
};

struct corpus {
	struct seed *seeds;
	size_t count;
};

/* What is tried, for when it is the last. */
static const char *tried = "";
static unsigned tried_number;

static void tried_say(void)
{
	char line[256];
	int length = snprintf(line, sizeof(line), "# after %s, change %u\n", tried, tried_number);

	(void)!write(STDOUT_FILENO, line, (size_t)length);
}

#ifndef TETHER_SANITIZE
static void on_death(int signal_number)
{
	tried_say();
}
#endif

static void death_watch(void)
{
#ifdef TETHER_SANITIZE
	__sanitizer_set_death_callback(tried_say);
#else
	struct sigaction action = {.sa_handler = on_death, .sa_flags = (int)SA_RESETHAND};

	sigaction(SIGABRT, &action, NULL);
	sigaction(SIGSEGV, &action, NULL);
#endif
}

static void try(const uint8_t *bytes, size_t size)
{
	/* Of the very size, so that a byte too far is seen by a checker. */
	CLEANUP_FREE uint8_t *exact = malloc(size ? size : 1);

	memcpy(exact, bytes, size);
	LLVMFuzzerTestOneInput(exact, size);
}

static uint64_t chance(uint64_t *state, uint64_t below)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return below ? *state % below : 0;
}

/* A buffer of SEED_MOST_BYTES, @size of which are used. */
struct text {
	uint8_t *bytes;
	size_t size;
};

static void cut(struct text *text, size_t from, size_t length)
{
	memmove(text->bytes + from, text->bytes + from + length, text->size - from - length);
	text->size -= length;
}

static void put(struct text *text, size_t at, const uint8_t *bytes, size_t length)
{
	if (length > SEED_MOST_BYTES - text->size)
		length = SEED_MOST_BYTES - text->size;
	memmove(text->bytes + at + length, text->bytes + at, text->size - at);
	memcpy(text->bytes + at, bytes, length);
	text->size += length;
}

/* Bytes on which decoders turn: ends, signs, and digits that make a number too large. */
static const char *const turns[] = {"\n", "\"", "{", "}", "[", "]", ",", ":", "=", " ", "#", "/",
        "-1", "0", "65536", "4294967296", "18446744073709551616", "null", "true", "\\u0000", "\xff",
        "\x80", "\x7f", "\x01", "\xc3\xa4", "%s%n", ";", "'"};

static void change(struct text *text, const struct seed *other, uint64_t *state)
{
	size_t at = chance(state, text->size + 1), length = chance(state, text->size - at + 1);
	const char *turn = turns[chance(state, ARRAY_SIZE(turns))];
	uint8_t copy[64];

	switch (chance(state, 7)) {
	case 0:
		if (at < text->size)
			text->bytes[at] ^= (uint8_t)(1 << chance(state, 8));
		break;
	case 1:
		if (at < text->size)
			text->bytes[at] = (uint8_t)chance(state, 256);
		break;
	case 2:
		cut(text, at, length % 16 < length ? length % 16 : length);
		break;
	case 3:
		text->size = at;
		break;
	case 4:
		put(text, at, (const uint8_t *)turn, strlen(turn));
		break;
	case 5:
		length = length < sizeof(copy) ? length : sizeof(copy);
		memcpy(copy, text->bytes + at, length);
		put(text, chance(state, text->size + 1), copy, length);
		break;
	default:
		length = chance(state, other->size + 1);
		put(text, at, other->bytes + length, other->size - length);
	}
}

static unsigned seed_changes(const struct corpus *corpus, size_t which, unsigned count)
{
	const struct seed *seed = &corpus->seeds[which];
	CLEANUP_FREE uint8_t *room = malloc(SEED_MOST_BYTES);
	uint64_t state = 88172645463325252 + which;

	tried = seed->name;
	tried_number = 0;
	try(seed->bytes, seed->size);
	while (tried_number < count) {
		struct text text = {room, seed->size};

		tried_number++;
		memcpy(room, seed->bytes, seed->size);
		for (uint64_t n = chance(&state, CHANGES_AT_ONCE) + 1; n; n--)
			change(&text, &corpus->seeds[chance(&state, corpus->count)], &state);
		try(text.bytes, text.size);
	}
	return tried_number;
}

static void seed_read(struct corpus *corpus, const char *folder, const char *name)
{
	struct seed *seed;
	char path[512];
	FILE *file;

	snprintf(path, sizeof(path), "%s/%s", folder, name);
	file = fopen(path, "re");
	if (!file)
		return;
	corpus->seeds = realloc(corpus->seeds, (corpus->count + 1) * sizeof(*corpus->seeds));
	seed = &corpus->seeds[corpus->count++];
	seed->name = strdup(name);
	seed->bytes = malloc(SEED_MOST_BYTES);
	seed->size = fread(seed->bytes, 1, SEED_MOST_BYTES, file);
	fclose(file);
}

static int by_name(const void *a, const void *b)
{
	return strcmp(((const struct seed *)a)->name, ((const struct seed *)b)->name);
}

static void corpus_read(struct corpus *corpus, const char *folder)
{
	DIR *dir = opendir(folder);
	struct dirent *entry;

	while (dir && (entry = readdir(dir)))
		if (entry->d_name[0] != '.')
			seed_read(corpus, folder, entry->d_name);
	if (dir)
		closedir(dir);
	if (corpus->count)
		qsort(corpus->seeds, corpus->count, sizeof(*corpus->seeds), by_name);
}

static void corpus_clear(struct corpus *corpus)
{
	for (size_t i = 0; i < corpus->count; i++) {
		free(corpus->seeds[i].name);
		free(corpus->seeds[i].bytes);
	}
	free(corpus->seeds);
}

/* The folder of the fuzzer that @program is made of. */
static void folder_of(const char *program, char *folder, size_t size)
{
	const char *name = strrchr(program, '/');
	const char *fuzzer = strstr(name ? name : program, "fuzz_");

	snprintf(folder, size, "tests/fuzz/%s.corpus", fuzzer ? fuzzer + strlen("fuzz_") : "");
}

int main(int count, char **arguments)
{
	unsigned changes = getenv("TETHER_FULL") ? CHANGES_FULL : CHANGES, done = 0;
	struct corpus corpus = {0};
	char folder[256];

	folder_of(arguments[0], folder, sizeof(folder));
	corpus_read(&corpus, folder);
	death_watch();
	printf("1..1\n");
	fflush(stdout);
	for (size_t i = 0; i < corpus.count; i++)
		done += seed_changes(&corpus, i, changes / (unsigned)corpus.count);
	printf("%sok 1 - %zu seeds of %s and %u changes of them\n", corpus.count ? "" : "not ",
	        corpus.count, folder, done);
	corpus_clear(&corpus);
	return corpus.count ? 0 : 1;
}
