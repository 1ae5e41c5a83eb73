/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/* The surface of libibverbs as preload/'s two tables have it, and as preload/DESIGN.md shows it. */
#ifndef TEST_SURFACE_TABLE_H
#define TEST_SURFACE_TABLE_H

#include <stdbool.h>
#include <stddef.h>

enum surface_class { WRAPPED, PASSED_ON, REFUSED, UNUSED };
enum surface_part { SYMBOLS, CONTEXT_OPS, VERBS_OPS, BUILDERS, READERS, WQ_OPS, DEVICE_OPS, PARTS };

struct surface_row {
	enum surface_part part;
	enum surface_class class;
	const char *name;
	const char *version; /* of a symbol */
	bool is_defined;     /* a symbol of this library, too; a slot that is filled */
	size_t offset, size; /* of a slot */
	const char *remark;  /* how and why; "" */
	const char *test;
};

extern const struct surface_row surface[];
extern const size_t surface_count;

/* What stands between the markers of DESIGN.md; free(3) it. */
char *surface_text(void);

/* @document with the text between its markers replaced by @text; NULL: it has none. free(3) it. */
char *surface_replaced(const char *document, const char *text);

#endif
