/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include "notifier/metrics/metrics_text.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LEAST_BYTES = 4096 };

static void put_bytes(struct metrics_text *m, const char *bytes, size_t count)
{
	if (m->err)
		return;
	if (m->length + count >= m->size) {
		size_t size = 2 * (m->size + count) + LEAST_BYTES;
		char *text = realloc(m->text, size);

		if (!text) {
			m->err = -ENOMEM;
			return;
		}
		m->text = text;
		m->size = size;
	}
	memcpy(m->text + m->length, bytes, count);
	m->length += count;
	m->text[m->length] = '\0';
}

static void put(struct metrics_text *m, const char *text)
{
	put_bytes(m, text, strlen(text));
}

/* As the format has it: a backslash before a backslash, before a line's end as n, and in labels
 * before a quotation mark. */
static void put_escaped(struct metrics_text *m, const char *text, const char *special)
{
	while (*text) {
		size_t plain = strcspn(text, special);

		put_bytes(m, text, plain);
		text += plain;
		if (!*text)
			return;
		put(m, "\\");
		put_bytes(m, *text == '\n' ? "n" : text, 1);
		text++;
	}
}

void metrics_family(
        struct metrics_text *metrics, const char *name, const char *kind, const char *meaning)
{
	put(metrics, "# HELP ");
	put(metrics, name);
	put(metrics, " ");
	put_escaped(metrics, meaning, "\\\n");
	put(metrics, "\n# TYPE ");
	put(metrics, name);
	put(metrics, " ");
	put(metrics, kind);
	put(metrics, "\n");
}

void metrics_sample(struct metrics_text *metrics, const char *name, const char *label,
        const char *label_value, uint64_t value)
{
	char number[32];

	put(metrics, name);
	if (label) {
		put(metrics, "{");
		put(metrics, label);
		put(metrics, "=\"");
		put_escaped(metrics, label_value, "\\\n\"");
		put(metrics, "\"}");
	}
	snprintf(number, sizeof(number), " %" PRIu64 "\n", value);
	put(metrics, number);
}

void metrics_one(struct metrics_text *metrics, const char *name, const char *kind,
        const char *meaning, uint64_t value)
{
	metrics_family(metrics, name, kind, meaning);
	metrics_sample(metrics, name, NULL, NULL, value);
}

int metrics_end(const struct metrics_text *metrics)
{
	return metrics->err;
}

void metrics_clear(struct metrics_text *metrics)
{
	free(metrics->text);
	*metrics = (struct metrics_text){0};
}
