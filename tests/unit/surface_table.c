/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include "tests/unit/surface_table.h"

#include <infiniband/verbs.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char begins[] = "<!-- The surface: `make surface-table` writes it. -->\n";
static const char ends[] = "<!-- The surface ends. -->\n";

#define CLASS_WRAPPED WRAPPED
#define CLASS_REFUSED REFUSED
#define CLASS_UNUSED  UNUSED

#define SYMBOL_ROW(class, name, version, defined, remark, test)                                    \
	{SYMBOLS, class, #name, "IBVERBS_" #version, defined, 0, 0, remark, test},
#define SLOT_ROW(part, type, class, slot, function, remark, test)                                  \
	{part, CLASS_##class, #slot, "", strcmp(function, "NULL") != 0,                            \
	        offsetof(struct type, slot), sizeof(((struct type *)0)->slot), remark, test},

const struct surface_row surface[] = {
#define SYMBOL(ret, name, version, params, args, test)                                             \
	SYMBOL_ROW(WRAPPED, name, version, true, "", test)
#define HIDDEN(ret, name, version, params, args, owner, failure, why, test)                        \
	SYMBOL_ROW(REFUSED, name, version, true, "EOPNOTSUPP: " why, test)
#define PASSED(ret, name, version, params, args, why, test)                                        \
	SYMBOL_ROW(PASSED_ON, name, version, true, why, test)
#define BESIDE(name, version, why, test) SYMBOL_ROW(PASSED_ON, name, version, false, why, test)
#include "preload/wrapped_symbols.def"
#define CONTEXT_OP(class, slot, function, remark, test)                                            \
	SLOT_ROW(CONTEXT_OPS, ibv_context_ops, class, slot, #function, remark, test)
#define VERBS_OP(class, slot, function, remark, test)                                              \
	SLOT_ROW(VERBS_OPS, verbs_context, class, slot, #function, remark, test)
#define BUILDER(class, slot, function, remark, test)                                               \
	SLOT_ROW(BUILDERS, ibv_qp_ex, class, slot, #function, remark, test)
#define READER(class, slot, function, remark, test)                                                \
	SLOT_ROW(READERS, ibv_cq_ex, class, slot, #function, remark, test)
#define WQ_OP(class, slot, function, remark, test)                                                 \
	SLOT_ROW(WQ_OPS, ibv_wq, class, slot, #function, remark, test)
#define DEVICE_OP(class, slot, function, remark, test)                                             \
	SLOT_ROW(DEVICE_OPS, ibv_device, class, slot, #function, remark, test)
#include "preload/inline_operations.def"
};
const size_t surface_count = sizeof(surface) / sizeof(*surface);

static const char *const titles[PARTS] = {
        [SYMBOLS] = "symbol",
        [CONTEXT_OPS] = "`ibv_context.ops`",
        [VERBS_OPS] = "`verbs_context`",
        [BUILDERS] = "`ibv_qp_ex`",
        [READERS] = "`ibv_cq_ex`",
        [WQ_OPS] = "`ibv_wq`",
        [DEVICE_OPS] = "`ibv_device`",
};

static const char *const classes[] = {
        [WRAPPED] = "wrapped",
        [PASSED_ON] = "passed through",
        [REFUSED] = "refused",
        [UNUSED] = "unused",
};

/* They stand in one line of the document. */
static bool go_together(const struct surface_row *a, const struct surface_row *b)
{
	return a->part == b->part && a->class == b->class && !strcmp(a->remark, b->remark) &&
	       !strcmp(a->test, b->test);
}

/* Of a name that has two: which is meant. */
static bool is_of_1_0_beside_another(const struct surface_row *row)
{
	return row->part == SYMBOLS && !row->is_defined && !strcmp(row->version, "IBVERBS_1_0");
}

static void print_row(FILE *out, const struct surface_row *rows, size_t count)
{
	fputs("| ", out);
	for (size_t i = 0; i < count; i++)
		fprintf(out, "%s`%s%s`", i ? ", " : "", rows[i].name,
		        is_of_1_0_beside_another(&rows[i]) ? "@1.0" : "");
	fprintf(out, " | %s%s%s | %s |\n", classes[rows->class], *rows->remark ? ": " : "",
	        rows->remark, rows->test);
}

char *surface_text(void)
{
	char *text = NULL;
	size_t size, count;
	FILE *out = open_memstream(&text, &size);

	for (size_t i = 0; out && i < surface_count; i += count) {
		if (!i || surface[i].part != surface[i - 1].part)
			fprintf(out, "\n| %s | class | test |\n|---|---|---|\n",
			        titles[surface[i].part]);
		for (count = 1;
		        i + count < surface_count && go_together(&surface[i], &surface[i + count]);
		        count++)
			;
		print_row(out, &surface[i], count);
	}
	if (out) {
		fputc('\n', out);
		fclose(out);
	}
	return text;
}

char *surface_replaced(const char *document, const char *text)
{
	const char *from = strstr(document, begins), *to = strstr(document, ends);
	char *made = NULL;

	if (!from || !to || to < from)
		return NULL;
	from += strlen(begins);
	if (asprintf(&made, "%.*s%s%s", (int)(from - document), document, text, to) < 0)
		return NULL;
	return made;
}
