/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include "notifier/qmp/qmp_lines.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

char *qmp_lines_space(struct qmp_lines *lines, size_t *space, int *err)
{
	if (!lines->bytes)
		lines->bytes = malloc(QMP_LINE_MOST);
	if (!lines->bytes) {
		*err = -ENOMEM;
		return NULL;
	}
	if (lines->begin) {
		memmove(lines->bytes, lines->bytes + lines->begin, lines->end - lines->begin);
		lines->end -= lines->begin;
		lines->begin = 0;
	}
	if (lines->end == QMP_LINE_MOST || lines->said >= QMP_SAID_MOST) {
		*err = -EMSGSIZE;
		return NULL;
	}
	*space = QMP_LINE_MOST - lines->end;
	return lines->bytes + lines->end;
}

void qmp_lines_read(struct qmp_lines *lines, size_t count)
{
	lines->end += count;
	lines->said += count;
}

const char *qmp_lines_next(struct qmp_lines *lines, size_t *count)
{
	char *line = lines->bytes + lines->begin, *end;

	if (lines->begin == lines->end)
		return NULL;
	end = memchr(line, '\n', lines->end - lines->begin);
	if (!end)
		return NULL;
	lines->begin += end + 1 - line;
	*count = end - line;
	if (*count && line[*count - 1] == '\r')
		--*count;
	return line;
}

void qmp_lines_clear(struct qmp_lines *lines)
{
	free(lines->bytes);
	*lines = (struct qmp_lines){0};
}
