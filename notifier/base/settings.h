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

/*
 * Read @path and hand each setting to @take, in order. 0, or -errno with one line of text in
 * @error, "agent.conf:7: unknown key \"nmae\"". What was taken before the error stays taken.
 */
int settings_read(
        const char *path, setting_take take, void *context, char *error, size_t error_size);

/* The same for text in memory, which @name stands for in @error. */
int settings_parse(const char *text, const char *name, setting_take take, void *context,
        char *error, size_t error_size);

/* Helpers for takers. -EINVAL, -ENOMEM. */
int setting_text(char **target, const char *value); /* not empty; frees what was there */
int setting_number(
        unsigned long *target, const char *value, unsigned long least, unsigned long most);

#endif
