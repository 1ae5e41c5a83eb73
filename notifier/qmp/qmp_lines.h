/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * Bytes of a QMP socket into lines, of which each is one JSON object (QEMU, docs/interop/qmp-spec).
 * What a peer can make it keep is bounded. Pure; belongs to one connection.
 */
#ifndef TETHER_QMP_LINES_H
#define TETHER_QMP_LINES_H

#include <stddef.h>
#include <stdint.h>

/* The longest answer is a list of devices, some 100 bytes each. */
enum { QMP_LINE_MOST = 256 * 1024 };
/* Of all that is said in one conversation: who says more is broken. */
enum { QMP_SAID_MOST = 16 * 1024 * 1024 };

struct qmp_lines {
	char *bytes; /* zeroed is empty */
	size_t begin, end;
	uint64_t said;
};

/* Where up to *@space bytes may be read to; QMP_LINE_MOST are kept at most. NULL: -EMSGSIZE for
 * a line that is too long, or too much in all; -ENOMEM. */
char *qmp_lines_space(struct qmp_lines *lines, size_t *space, int *err);
/* @count of them have been. */
void qmp_lines_read(struct qmp_lines *lines, size_t count);
/* The next whole line, without its end; good until the next call of qmp_lines_space. NULL: none
 * yet. */
const char *qmp_lines_next(struct qmp_lines *lines, size_t *count);
void qmp_lines_clear(struct qmp_lines *lines);

#endif
