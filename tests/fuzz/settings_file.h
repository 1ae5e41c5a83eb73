/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/* One settings file in memory, which a fuzzer writes and the reader under test reads. */
#ifndef TETHER_FUZZ_SETTINGS_FILE_H
#define TETHER_FUZZ_SETTINGS_FILE_H

#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static int settings_file = -1;
/* inih reads no longer ones. */
enum { SETTINGS_LINE_MOST = 180 };

static void claim(bool is_so)
{
	if (!is_so)
		abort();
}

static const char *settings_file_path(void)
{
	static char path[32];

	if (settings_file < 0) {
		settings_file = memfd_create("settings", MFD_CLOEXEC);
		snprintf(path, sizeof(path), "/proc/self/fd/%d", settings_file);
	}
	return path;
}

static void settings_file_write(const uint8_t *bytes, size_t size)
{
	settings_file_path();
	claim(!ftruncate(settings_file, 0));
	claim(pwrite(settings_file, bytes, size, 0) == (ssize_t)size);
}

/* A file that says what was read, line by line. */
struct said_again {
	char text[16384];
	size_t size;
	bool too_long; /* a line of it: a short one grew by the folder that it is in */
};

static void __attribute__((format(printf, 3, 4)))
say_again(struct said_again *again, const char *key, const char *format, ...)
{
	va_list args;
	int used = snprintf(
	        again->text + again->size, sizeof(again->text) - again->size, "%s = ", key);

	va_start(args, format);
	used += vsnprintf(again->text + again->size + used,
	        sizeof(again->text) - again->size - used, format, args);
	va_end(args);
	if (used > SETTINGS_LINE_MOST)
		again->too_long = true;
	else
		again->size += used;
	again->text[again->size++] = '\n';
}

static void say_text_again(struct said_again *again, const char *key, const char *value)
{
	if (value && *value)
		say_again(again, key, "%s", value);
}

#endif
