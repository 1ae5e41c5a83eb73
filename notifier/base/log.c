/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include "notifier/base/log.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { LINE_MAX_BYTES = 1024, NOWHERE = INT_MIN, LATER };

enum log_level log_level_now = LOG_LEVEL_NONE;

static const char *const level_names[] = {"none", "error", "warn", "info", "debug"};
static char program_name[32];
static int program_pid; /* 0: a stranger's, which may fork */
static atomic_int log_fd = NOWHERE;
static char opened_later[PATH_MAX];
static __thread uint64_t about_migration, about_epoch; /* 0: nothing */

/* A descriptor or -errno; NOWHERE for "none". */
static int open_where(const char *where)
{
	int fd;

	if (!strcmp(where, "stderr"))
		return STDERR_FILENO;
	if (!strcmp(where, "none"))
		return NOWHERE;
	fd = open(where, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0640);
	return fd < 0 ? -errno : fd;
}

int log_open(const char *program, const char *where, enum log_level level)
{
	int fd = open_where(where), former = atomic_load(&log_fd);

	if (fd < 0 && fd != NOWHERE)
		return fd;
	if (former > STDERR_FILENO)
		close(former);
	atomic_store(&log_fd, fd);
	snprintf(program_name, sizeof(program_name), "%s", program);
	program_pid = getpid();
	log_level_now = fd == NOWHERE ? LOG_LEVEL_NONE : level;
	return 0;
}

int log_open_later(const char *program, const char *where, enum log_level level)
{
	if (strlen(where) >= sizeof(opened_later))
		return -ENAMETOOLONG;
	strcpy(opened_later, where);
	snprintf(program_name, sizeof(program_name), "%s", program);
	program_pid = 0;
	atomic_store(&log_fd, LATER);
	log_level_now = level;
	return 0;
}

/* Who comes second finds it open. */
static int open_now(void)
{
	int fd = open_where(opened_later), expected = LATER;

	if (fd < 0)
		fd = NOWHERE;
	if (atomic_compare_exchange_strong(&log_fd, &expected, fd))
		return fd;
	if (fd > STDERR_FILENO)
		close(fd);
	return expected;
}

int log_level_parse(const char *text, enum log_level *level)
{
	for (unsigned i = 0; i < sizeof(level_names) / sizeof(level_names[0]); i++) {
		if (!strcmp(text, level_names[i])) {
			*level = (enum log_level)i;
			return 0;
		}
	}
	return -EINVAL;
}

void log_about(uint64_t migration, uint64_t epoch)
{
	about_migration = migration;
	about_epoch = epoch;
}

static int line_start(char *line, enum log_level level, const char *subsystem)
{
	struct timespec now;
	struct tm day;
	char stamp[32], about[64] = "";

	if (about_migration)
		snprintf(about, sizeof(about), "migration %" PRIu64 "/%" PRIu64 ": ",
		        about_migration, about_epoch);
	clock_gettime(CLOCK_REALTIME, &now);
	gmtime_r(&now.tv_sec, &day);
	strftime(stamp, sizeof(stamp), "%Y-%m-%dT%H:%M:%S", &day);
	return snprintf(line, LINE_MAX_BYTES, "%s.%06ldZ %s[%d] %s %s: %s", stamp,
	        now.tv_nsec / 1000, program_name, program_pid ? program_pid : (int)getpid(),
	        level_names[level], subsystem, about);
}

void log_line(enum log_level level, const char *subsystem, const char *format, ...)
{
	char line[LINE_MAX_BYTES];
	int saved_errno = errno, fd = atomic_load(&log_fd);
	int used = line_start(line, level, subsystem);
	va_list args;

	if (fd == LATER)
		fd = open_now();
	va_start(args, format);
	used += vsnprintf(line + used, sizeof(line) - used, format, args);
	va_end(args);
	if (used > (int)sizeof(line) - 1)
		used = sizeof(line) - 1;
	line[used++] = '\n';
	while (fd >= 0 && write(fd, line, used) < 0 && errno == EINTR)
		;
	errno = saved_errno;
}
