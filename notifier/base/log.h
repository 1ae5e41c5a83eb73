/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * Log lines for every program of tether: "level subsystem: text", to stderr, a file, or nowhere.
 * Any thread may call; one line is one write(2). A library in a stranger's process logs nothing
 * unless a setting asks for it.
 */
#ifndef TETHER_LOG_H
#define TETHER_LOG_H

#include <stdint.h>

enum log_level { LOG_LEVEL_NONE, LOG_LEVEL_ERROR, LOG_LEVEL_WARN, LOG_LEVEL_INFO, LOG_LEVEL_DEBUG };

/*
 * @where: "stderr", "none" or a path that is appended to. @program stands in each line, with the
 * number of this process: a child that is forked later says its parent's. Returns 0 or -errno (the
 * path cannot be opened; the log stays as it was).
 */
int log_open(const char *program, const char *where, enum log_level level);
/*
 * The same at the first line that is logged: a library opens nothing in programs that it has
 * nothing to say of. If that fails nothing is logged. -ENAMETOOLONG.
 */
int log_open_later(const char *program, const char *where, enum log_level level);
/* "error", "warn", "info", "debug", "none"; -EINVAL otherwise. */
int log_level_parse(const char *text, enum log_level *level);
/*
 * From here on whatever this thread logs is about that migration, and each line says so, however
 * deep in its steps it comes from. 0: about none.
 */
void log_about(uint64_t migration, uint64_t epoch);
void log_line(enum log_level level, const char *subsystem, const char *format, ...)
        __attribute__((format(printf, 3, 4)));
extern enum log_level log_level_now;

#define log_at(level, ...)                                                                         \
	do {                                                                                       \
		if ((level) <= log_level_now)                                                      \
			log_line(level, __VA_ARGS__);                                              \
	} while (0)
#define log_error(subsystem, ...) log_at(LOG_LEVEL_ERROR, subsystem, __VA_ARGS__)
#define log_warn(subsystem, ...)  log_at(LOG_LEVEL_WARN, subsystem, __VA_ARGS__)
#define log_info(subsystem, ...)  log_at(LOG_LEVEL_INFO, subsystem, __VA_ARGS__)
#define log_debug(subsystem, ...) log_at(LOG_LEVEL_DEBUG, subsystem, __VA_ARGS__)

#endif
