/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include "sm-side/journal.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include "notifier/base/cleanup.h"
#include "notifier/base/log.h"

#define HEADER "tether-journal 1\n"
enum { HEADER_BYTES = sizeof(HEADER) - 1, CRC_DIGITS = 8 };

struct journal {
	int fd;
	off_t length; /* of what is whole */
	bool unusable;
};

/* CRC-32 as of IEEE 802.3, four bits at a time. */
static uint32_t crc32_of(const char *bytes, size_t length)
{
	static const uint32_t table[16] = {0x00000000, 0x1db71064, 0x3b6e20c8, 0x26d930ac,
	        0x76dc4190, 0x6b6b51f4, 0x4db26158, 0x5005713c, 0xedb88320, 0xf00f9344, 0xd6d6a3e8,
	        0xcb61b38c, 0x9b64c2b0, 0x86d3d2d4, 0xa00ae278, 0xbdbdf21c};
	uint32_t crc = 0xffffffff;

	for (size_t i = 0; i < length; i++) {
		crc = crc >> 4 ^ table[(crc ^ (uint8_t)bytes[i]) & 15];
		crc = crc >> 4 ^ table[(crc ^ (uint8_t)bytes[i] >> 4) & 15];
	}
	return ~crc;
}

static int read_whole(int fd, char **bytes, size_t *length)
{
	struct stat status;
	char *at;

	if (fstat(fd, &status))
		return -errno;
	at = malloc((size_t)status.st_size + 1);
	if (!at)
		return -ENOMEM;
	*bytes = at;
	for (*length = 0; *length < (size_t)status.st_size;) {
		ssize_t got =
		        pread(fd, at + *length, (size_t)status.st_size - *length, (off_t)*length);

		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return -errno;
		if (!got)
			break;
		*length += (size_t)got;
	}
	at[*length] = '\0';
	return 0;
}

static int write_whole(int fd, struct iovec *part, int parts)
{
	while (parts) {
		ssize_t put = writev(fd, part, parts);

		if (put < 0 && errno == EINTR)
			continue;
		if (put < 0)
			return -errno;
		for (; parts && (size_t)put >= part->iov_len; part++, parts--)
			put -= (ssize_t)part->iov_len;
		if (parts) {
			part->iov_base = (char *)part->iov_base + put;
			part->iov_len -= (size_t)put;
		}
	}
	return 0;
}

/* @line ends before its line feed. */
static bool is_record(const char *line, size_t length)
{
	char digits[CRC_DIGITS + 1];

	if (length < CRC_DIGITS + 1 || line[CRC_DIGITS] != ' ')
		return false;
	snprintf(digits, sizeof(digits), "%08x",
	        crc32_of(line + CRC_DIGITS + 1, length - CRC_DIGITS - 1));
	return !memcmp(digits, line, CRC_DIGITS);
}

/* Replays what is whole; *@whole is where it ends. */
static int replay_lines(char *bytes, size_t length, int (*replay)(void *, const char *),
        void *context, size_t *whole)
{
	size_t at = HEADER_BYTES;

	while (at < length) {
		char *line = bytes + at;
		char *end = memchr(line, '\n', length - at);
		int err;

		*whole = at;
		if (!end)
			return 0;
		if (!is_record(line, (size_t)(end - line)))
			return memchr(end + 1, '\n', length - (size_t)(end + 1 - bytes)) ? -EBADMSG
			                                                                 : 0;
		*end = '\0';
		err = replay(context, line + CRC_DIGITS + 1);
		if (err)
			return err;
		at = (size_t)(end + 1 - bytes);
	}
	*whole = at;
	return 0;
}

static int directory_sync(const char *path)
{
	CLEANUP_FREE char *copy = strdup(path);
	CLEANUP_CLOSE int fd = -1;

	if (!copy)
		return -ENOMEM;
	fd = open(dirname(copy), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0 || fsync(fd))
		return -errno;
	return 0;
}

static int header_write(int fd, const char *path)
{
	struct iovec part = {(void *)HEADER, HEADER_BYTES};
	int err;

	if (ftruncate(fd, 0))
		return -errno;
	err = write_whole(fd, &part, 1);
	if (!err && fsync(fd))
		err = -errno;
	return err ? err : directory_sync(path);
}

static void say_why(char *why, size_t size, int err, const char *path, size_t at)
{
	if (!why || !size)
		return;
	switch (err) {
	case -EINVAL:
		snprintf(
		        why, size, "%s is not a journal of tether-smd; it was left as it is", path);
		break;
	case -EBADMSG:
		snprintf(why, size,
		        "%s is damaged at byte %zu, with more behind it; it was left as it is",
		        path, at);
		break;
	case -EBUSY:
		snprintf(why, size, "%s belongs to another tether-smd that is running", path);
		break;
	default:
		snprintf(why, size, "%s: %s", path, strerror(-err));
	}
}

static int journal_load(struct journal *journal, const char *path,
        int (*replay)(void *, const char *), void *context, size_t *whole)
{
	CLEANUP_FREE char *bytes = NULL;
	size_t length = 0;
	int err = read_whole(journal->fd, &bytes, &length);

	if (err)
		return err;
	if (length < HEADER_BYTES) {
		if (length && memcmp(bytes, HEADER, length))
			return -EINVAL;
		journal->length = HEADER_BYTES;
		return header_write(journal->fd, path);
	}
	if (memcmp(bytes, HEADER, HEADER_BYTES))
		return -EINVAL;
	*whole = HEADER_BYTES;
	err = replay_lines(bytes, length, replay, context, whole);
	if (err)
		return err;
	if (*whole < length) {
		log_warn("journal", "%s: the last record is torn, %zu bytes are cut off", path,
		        length - *whole);
		if (ftruncate(journal->fd, (off_t)*whole) || fsync(journal->fd))
			return -errno;
	}
	journal->length = (off_t)*whole;
	return 0;
}

int journal_open(const char *path, int (*replay)(void *context, const char *text), void *context,
        struct journal **journal, char *why, size_t why_size)
{
	struct journal *made = calloc(1, sizeof(*made));
	size_t whole = 0;
	int err = 0;

	if (!made)
		return -ENOMEM;
	made->fd = open(path, O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
	if (made->fd < 0)
		err = -errno;
	else if (flock(made->fd, LOCK_EX | LOCK_NB))
		err = errno == EWOULDBLOCK ? -EBUSY : -errno;
	else
		err = journal_load(made, path, replay, context, &whole);
	if (err) {
		say_why(why, why_size, err, path, whole);
		journal_close(made);
		return err;
	}
	*journal = made;
	return 0;
}

int journal_append(struct journal *journal, const char *text, bool durable)
{
	size_t length = strlen(text);
	char crc[CRC_DIGITS + 2];
	struct iovec parts[] = {{crc, CRC_DIGITS + 1}, {(void *)text, length}, {(void *)"\n", 1}};
	int err;

	if (memchr(text, '\n', length))
		return -EINVAL;
	if (journal->unusable)
		return -EIO;
	snprintf(crc, sizeof(crc), "%08x ", crc32_of(text, length));
	err = write_whole(journal->fd, parts, ARRAY_SIZE(parts));
	if (!err && durable && fdatasync(journal->fd))
		err = -errno;
	if (err) {
		journal->unusable = ftruncate(journal->fd, journal->length) != 0;
		return err;
	}
	journal->length += (off_t)(CRC_DIGITS + 1 + length + 1);
	return 0;
}

void journal_close(struct journal *journal)
{
	if (!journal)
		return;
	if (journal->fd >= 0)
		close(journal->fd);
	free(journal);
}
