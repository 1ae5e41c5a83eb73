/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include "sm-side/cli/issued.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LINE_BYTES = SERIAL_TEXT_BYTES + PEER_TEXT_BYTES + 64 };

int issued_add(struct issued *issued, const struct issued_row *row)
{
	struct issued_row *grown =
	        reallocarray(issued->rows, issued->count + 1, sizeof(*issued->rows));

	if (!grown)
		return -ENOMEM;
	issued->rows = grown;
	issued->rows[issued->count++] = *row;
	return 0;
}

static bool is_serial(const char *text)
{
	return *text && strspn(text, "0123456789abcdef") == strlen(text);
}

static bool row_parse(const char *text, struct issued_row *row)
{
	char who[PEER_TEXT_BYTES], serial[SERIAL_TEXT_BYTES];
	int64_t until, revoked;
	int end = 0;

	*row = (struct issued_row){0};
	if (sscanf(text, "%32s %" SCNd64 " %" SCNd64 " %87s%n", serial, &until, &revoked, who,
	            &end) != 4 ||
	        text[end])
		return false;
	if (!is_serial(serial) || peer_identity_parse_short(who, strlen(who), &row->identity))
		return false;
	strcpy(row->serial, serial);
	row->until = until;
	row->revoked = revoked;
	return true;
}

static int line_take(struct issued *issued, const char *start, size_t length)
{
	struct issued_row row;
	char line[LINE_BYTES];

	if (!length)
		return 0;
	if (length >= sizeof(line))
		return -EINVAL;
	memcpy(line, start, length);
	line[length] = 0;
	return row_parse(line, &row) ? issued_add(issued, &row) : -EINVAL;
}

int issued_parse(struct issued *issued, const char *text, size_t *line)
{
	for (*line = 1; *text; ++*line) {
		size_t length = strcspn(text, "\n");
		int err = line_take(issued, text, length);

		if (err)
			return err;
		text += length + (text[length] == '\n');
	}
	return 0;
}

char *issued_write(const struct issued *issued, size_t *length)
{
	char *text = malloc(issued->count * LINE_BYTES + 1);
	size_t at = 0;

	if (text)
		*text = 0;
	for (size_t i = 0; text && i < issued->count; i++) {
		const struct issued_row *row = &issued->rows[i];
		char who[PEER_TEXT_BYTES];

		peer_identity_write(&row->identity, who);
		at += snprintf(text + at, LINE_BYTES, "%s %" PRId64 " %" PRId64 " %s\n",
		        row->serial, (int64_t)row->until, (int64_t)row->revoked, who);
	}
	*length = at;
	return text;
}

static bool is_meant(
        const struct issued_row *row, const struct peer_identity *identity, const char *serial)
{
	if (!identity)
		return !strcmp(row->serial, serial);
	return row->identity.role == identity->role && !strcmp(row->identity.name, identity->name);
}

size_t issued_revoke(
        struct issued *issued, const struct peer_identity *identity, const char *serial, time_t now)
{
	size_t count = 0;

	for (size_t i = 0; i < issued->count; i++) {
		if (issued->rows[i].revoked || !is_meant(&issued->rows[i], identity, serial))
			continue;
		issued->rows[i].revoked = now;
		count++;
	}
	return count;
}

void issued_clear(struct issued *issued)
{
	free(issued->rows);
	*issued = (struct issued){0};
}
