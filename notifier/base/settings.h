/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * Settings files: `key = value` lines, comments after # or ;. What a program does not know is an
 * error that names the line: a mistyped deadline must not be a default one. Any thread.
 */
#ifndef TETHER_SETTINGS_H
#define TETHER_SETTINGS_H

#include <stdbool.h>
#include <stddef.h>

/*
 * Take one setting. -ENOENT: there is no such key; -EINVAL: not a value for it; any other -errno
 * stops as well. @value is the caller's.
 */
typedef int (*setting_take)(void *context, const char *key, const char *value);

/* What a program's keys are, so that an error says what to do. */
struct settings_words {
	const char *manual; /* "tether.conf(5)" */
	/* The @index-th key, or NULL behind the last one; *@wants: what its value has to be. */
	const char *(*key)(size_t index, const char **wants);
	/* Called before the first setting of each "[section]", and each time that another one has
	 * been in between. -EINVAL: it is none. NULL: there are none. */
	int (*section)(void *context, const char *section);
	const char *section_wants; /* what one has to be */
};

/*
 * Read @path and hand each setting to @take, in order. 0, or -errno with one line of text in
 * @error: "agent.conf:7: unknown key \"nmae\": is \"name\" meant?". Without @words (NULL) it says
 * what is wrong alone. What was taken before the error stays taken.
 */
int settings_read(const char *path, setting_take take, const struct settings_words *words,
        void *context, char *error, size_t error_size);

/* The same for text in memory, which @name stands for in @error. */
int settings_parse(const char *text, const char *name, setting_take take,
        const struct settings_words *words, void *context, char *error, size_t error_size);

/*
 * Put into @error what is wrong with a value that was taken: "agent.conf:7: name: ...", with the
 * line in which @key has it last; without a line where the file does not have it, or is gone.
 */
void settings_blame(const char *path, const char *key, char *error, size_t error_size,
        const char *format, ...) __attribute__((format(printf, 5, 6)));

/* Helpers for takers. -EINVAL, -ENOMEM. */
int setting_text(char **target, const char *value); /* not empty; frees what was there */
/*
 * @scheme ("unix:"; "" for none) and a path behind it. One that does not begin with / is taken from
 * where the file @beside is.
 */
int setting_path(char **target, const char *beside, const char *scheme, const char *value);
/* Where the log goes (log.h): stderr, none, or a file, taken as a path. */
int setting_log(char **target, const char *beside, const char *value);
int setting_number(
        unsigned long *target, const char *value, unsigned long least, unsigned long most);

#endif
