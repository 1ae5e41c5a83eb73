/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * Metrics as Prometheus reads them (its text format 0.0.4): families of samples, put down one after
 * the other. Pure; one thread. What went wrong on the way is said at the end.
 */
#ifndef TETHER_METRICS_TEXT_H
#define TETHER_METRICS_TEXT_H

#include <stddef.h>
#include <stdint.h>

struct metrics_text {
	char *text; /* NULL: nothing yet */
	size_t length, size;
	int err;
};

/* A family begins; its samples follow. @kind: "counter", "gauge". */
void metrics_family(
        struct metrics_text *metrics, const char *name, const char *kind, const char *meaning);
/* Without a label: @label NULL. */
void metrics_sample(struct metrics_text *metrics, const char *name, const char *label,
        const char *label_value, uint64_t value);
/* A family of one sample. */
void metrics_one(struct metrics_text *metrics, const char *name, const char *kind,
        const char *meaning, uint64_t value);
/* 0 or -ENOMEM: the text is not whole. */
int metrics_end(const struct metrics_text *metrics);
void metrics_clear(struct metrics_text *metrics);

#endif
