/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include "notifier/base/settings.h"

#include <ctype.h>
#include <errno.h>
#include <ini.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "notifier/base/cleanup.h"

enum { FILE_MOST_BYTES = 1 << 20 };

struct reading {
	const char *rest; /* of the text */
	const char *name;
	int line;
	setting_take take;
	void *context;
	int err;
	char *error;
	size_t error_size;
};

static void fail(struct reading *reading, int err, const char *what, const char *key)
{
	if (reading->err)
		return; /* the first one is what to mend */
	reading->err = err;
	snprintf(reading->error, reading->error_size, "%s:%d: %s \"%s\"", reading->name,
	        reading->line, what, key);
}

static int setting_in(void *context, const char *section, const char *key, const char *value)
{
	struct reading *reading = context;
	int err;

	if (reading->err)
		return 1;
	if (*section) {
		fail(reading, -EINVAL, "sections are not known here:", section);
		return 1;
	}
	err = reading->take(reading->context, key, value);
	if (err == -ENOENT)
		fail(reading, err, "unknown key", key);
	else if (err == -EINVAL)
		fail(reading, err, "bad value for", key);
	else if (err)
		fail(reading, err, strerror(-err), key);
	return 1;
}

/*
 * One line for inih, without the white space in front: to inih an indented line continues the one
 * before, and would change a value without a word.
 */
static char *line_next(char *line, int size, void *context)
{
	struct reading *reading = context;
	const char *end;
	size_t length;

	if (!*reading->rest || reading->err)
		return NULL;
	reading->line++;
	end = strchrnul(reading->rest, '\n');
	while (reading->rest < end && isspace((unsigned char)*reading->rest))
		reading->rest++;
	length = end - reading->rest;
	if (length >= (size_t)size) {
		fail(reading, -EINVAL, "line too long:", "");
		return NULL;
	}
	memcpy(line, reading->rest, length);
	line[length] = 0;
	reading->rest = *end ? end + 1 : end;
	return line;
}

int settings_parse(const char *text, const char *name, setting_take take, void *context,
        char *error, size_t error_size)
{
	struct reading reading = {.rest = text,
	        .name = name,
	        .take = take,
	        .context = context,
	        .error = error,
	        .error_size = error_size};
	int line = ini_parse_stream(line_next, &reading, setting_in, &reading);

	/* Whichever comes first: what inih could not read, or what was not taken. */
	if (line > 0 && (!reading.err || line < reading.line)) {
		reading.err = 0;
		reading.line = line;
		fail(&reading, -EINVAL, "not a line of the form", "key = value");
	} else if (line < 0 && !reading.err) {
		fail(&reading, -ENOMEM, "no memory", "");
	}
	return reading.err;
}

static int file_read(const char *path, char **text)
{
	FILE *file = fopen(path, "re");
	char *bytes;
	size_t count;

	if (!file)
		return -errno;
	bytes = malloc(FILE_MOST_BYTES + 1);
	count = bytes ? fread(bytes, 1, FILE_MOST_BYTES + 1, file) : 0;
	if (!bytes || ferror(file) || count > FILE_MOST_BYTES || memchr(bytes, 0, count)) {
		int err = !bytes ? -ENOMEM : ferror(file) ? -EIO : -EINVAL;

		free(bytes);
		fclose(file);
		return err;
	}
	fclose(file);
	bytes[count] = 0;
	*text = bytes;
	return 0;
}

int settings_read(
        const char *path, setting_take take, void *context, char *error, size_t error_size)
{
	CLEANUP_FREE char *text = NULL;
	int err = file_read(path, &text);

	if (err) {
		snprintf(error, error_size, "%s: %s", path, strerror(-err));
		return err;
	}
	return settings_parse(text, path, take, context, error, error_size);
}

int setting_text(char **target, const char *value)
{
	char *copy;

	if (!*value)
		return -EINVAL;
	copy = strdup(value);
	if (!copy)
		return -ENOMEM;
	free(*target);
	*target = copy;
	return 0;
}

int setting_number(
        unsigned long *target, const char *value, unsigned long least, unsigned long most)
{
	unsigned long number;
	char *end;

	errno = 0;
	number = strtoul(value, &end, 0);
	if (errno || end == value || *end || strchr(value, '-') || number < least || number > most)
		return -EINVAL;
	*target = number;
	return 0;
}
