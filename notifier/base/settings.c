/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include "notifier/base/settings.h"

#include <ctype.h>
#include <errno.h>
#include <ini.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "notifier/base/cleanup.h"

enum { FILE_MOST_BYTES = 1 << 20 };
/* Of a longer name inih keeps the beginning, and two would be one. */
enum { SECTION_MOST = 48 };

struct reading {
	const char *rest; /* of the text */
	const char *name;
	int line;
	setting_take take;
	const struct settings_words *words; /* NULL: errors say what is wrong alone */
	void *context;
	char section[SECTION_MOST + 1]; /* in which the last setting was; "": in none */
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

enum { TYPING_ERRORS = 2 };

/* How many letters have to be put, taken away or changed, or neighbours exchanged, to make one word
 * of the other; more than TYPING_ERRORS is not counted out. */
static size_t distance(const char *a, const char *b, size_t left)
{
	size_t best, other;

	while (*a && *a == *b) {
		a++;
		b++;
	}
	if (!*a && !*b)
		return 0;
	if (!left)
		return TYPING_ERRORS + 1;
	best = *a && *b ? distance(a + 1, b + 1, left - 1) : TYPING_ERRORS;
	other = *a ? distance(a + 1, b, left - 1) : best;
	best = other < best ? other : best;
	other = *b ? distance(a, b + 1, left - 1) : best;
	best = other < best ? other : best;
	other = *a && *b && a[0] == b[1] && a[1] == b[0] ? distance(a + 2, b + 2, left - 1) : best;
	return 1 + (other < best ? other : best);
}

/* The key that was meant; NULL: none is near enough. */
static const char *key_near(const struct settings_words *words, const char *key)
{
	const char *near = NULL, *known, *wants;
	size_t least = TYPING_ERRORS + 1;

	for (size_t i = 0; (known = words->key(i, &wants)); i++) {
		size_t far = distance(key, known, TYPING_ERRORS);

		if (far < least) {
			least = far;
			near = known;
		}
	}
	return near;
}

static const char *wanted_of(const struct settings_words *words, const char *key)
{
	const char *known, *wants = NULL;

	for (size_t i = 0; (known = words->key(i, &wants)); i++)
		if (!strcmp(known, key))
			return wants;
	return NULL;
}

static void advise(struct reading *reading, const char *format, const char *with)
{
	size_t used = strlen(reading->error);

	if (used < reading->error_size)
		snprintf(reading->error + used, reading->error_size - used, format, with);
}

static void key_unknown(struct reading *reading, const char *key)
{
	const char *near;

	fail(reading, -ENOENT, "unknown key", key);
	if (!reading->words)
		return;
	near = key_near(reading->words, key);
	if (near)
		advise(reading, ": is \"%s\" meant?", near);
	else
		advise(reading, ": take it out; %s has those that there are",
		        reading->words->manual);
}

static void value_bad(struct reading *reading, const char *key)
{
	const char *wants = reading->words ? wanted_of(reading->words, key) : NULL;

	fail(reading, -EINVAL, "bad value for", key);
	if (wants)
		advise(reading, ": it has to be %s", wants);
}

/* @section is another than the one before. */
static void section_begin(struct reading *reading, const char *section)
{
	const struct settings_words *words = reading->words;
	int err;

	if (!words || !words->section) {
		fail(reading, -EINVAL, "sections are not known here:", section);
		return;
	}
	if (strlen(section) > SECTION_MOST) {
		fail(reading, -EINVAL, "too long a section:", section);
		return;
	}
	strcpy(reading->section, section);
	err = words->section(reading->context, section);
	if (!err)
		return;
	fail(reading, err, err == -EINVAL ? "bad section" : strerror(-err), section);
	if (err == -EINVAL)
		advise(reading, ": it has to be %s", words->section_wants);
}

static int setting_in(void *context, const char *section, const char *key, const char *value)
{
	struct reading *reading = context;
	int err;

	if (reading->err)
		return 1;
	if (strcmp(section, reading->section) != 0)
		section_begin(reading, section);
	if (reading->err)
		return 1;
	err = reading->take(reading->context, key, value);
	if (err == -ENOENT)
		key_unknown(reading, key);
	else if (err == -EINVAL)
		value_bad(reading, key);
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

int settings_parse(const char *text, const char *name, setting_take take,
        const struct settings_words *words, void *context, char *error, size_t error_size)
{
	struct reading reading = {.rest = text,
	        .name = name,
	        .take = take,
	        .words = words,
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

int settings_read(const char *path, setting_take take, const struct settings_words *words,
        void *context, char *error, size_t error_size)
{
	CLEANUP_FREE char *text = NULL;
	int err = file_read(path, &text);

	if (err) {
		snprintf(error, error_size, "%s: %s", path, strerror(-err));
		return err;
	}
	return settings_parse(text, path, take, words, context, error, error_size);
}

/* The last line of a key. */
struct looking {
	struct reading reading;
	const char *key;
	int line; /* 0: nowhere */
};

static int key_seen(void *context, const char *section, const char *key, const char *value)
{
	struct looking *looking = context;

	if (!strcmp(key, looking->key))
		looking->line = looking->reading.line;
	return 1;
}

static int line_of(const char *path, const char *key)
{
	CLEANUP_FREE char *text = NULL;
	struct looking looking = {.key = key};

	if (file_read(path, &text))
		return 0;
	looking.reading.rest = text;
	ini_parse_stream(line_next, &looking.reading, key_seen, &looking);
	return looking.line;
}

void settings_blame(
        const char *path, const char *key, char *error, size_t error_size, const char *format, ...)
{
	int line = line_of(path, key), used;
	va_list args;

	if (line)
		used = snprintf(error, error_size, "%s:%d: %s: ", path, line, key);
	else
		used = snprintf(error, error_size, "%s: %s: ", path, key);
	if (used < 0 || (size_t)used >= error_size)
		return;
	va_start(args, format);
	vsnprintf(error + used, error_size - used, format, args);
	va_end(args);
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

/* Where the file @path is, from the root on; NULL: no such place, or no memory. */
static char *folder_of(const char *path)
{
	const char *slash = strrchr(path, '/');
	CLEANUP_FREE char *folder = slash ? strndup(path, (size_t)(slash - path) + 1) : strdup(".");

	return folder ? realpath(folder, NULL) : NULL;
}

int setting_path(char **target, const char *beside, const char *scheme, const char *value)
{
	const char *path = value + strlen(scheme);
	CLEANUP_FREE char *folder = NULL;
	char *whole;

	if (strncmp(value, scheme, strlen(scheme)) || !*path)
		return -EINVAL;
	if (*path == '/')
		return setting_text(target, value);
	folder = folder_of(beside);
	if (!folder || asprintf(&whole, "%s%s/%s", scheme, folder, path) < 0)
		return -ENOMEM;
	free(*target);
	*target = whole;
	return 0;
}

int setting_log(char **target, const char *beside, const char *value)
{
	if (!strcmp(value, "stderr") || !strcmp(value, "none"))
		return setting_text(target, value);
	return setting_path(target, beside, "", value);
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
