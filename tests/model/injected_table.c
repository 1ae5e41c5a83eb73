/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include "tests/model/injected_table.h"

#include <stdio.h>

const enum ibv_wr_opcode opcodes[OPCODES] = {IBV_WR_SEND, IBV_WR_SEND_WITH_IMM,
        IBV_WR_SEND_WITH_INV, IBV_WR_RDMA_WRITE, IBV_WR_RDMA_WRITE_WITH_IMM, IBV_WR_RDMA_READ,
        IBV_WR_ATOMIC_FETCH_AND_ADD, IBV_WR_ATOMIC_CMP_AND_SWP};
const char *const opcode_names[OPCODES] = {"SEND", "SEND_WITH_IMM", "SEND_WITH_INV", "WRITE",
        "WRITE_WITH_IMM", "READ", "FETCH_ADD", "CMP_SWAP"};
const char *const manner_names[MANNER_COUNT] = {
        "signalled", "unsignalled", "inline", "fenced", "solicited"};
const char *const target_names[TARGET_COUNT] = {"RQ", "SRQ", "XRC"};

static bool takes_receive(enum ibv_wr_opcode opcode)
{
	return opcode == IBV_WR_SEND || opcode == IBV_WR_SEND_WITH_IMM ||
	       opcode == IBV_WR_SEND_WITH_INV || opcode == IBV_WR_RDMA_WRITE_WITH_IMM;
}

static bool has_answer(enum ibv_wr_opcode opcode)
{
	return opcode == IBV_WR_RDMA_READ || opcode == IBV_WR_ATOMIC_FETCH_AND_ADD ||
	       opcode == IBV_WR_ATOMIC_CMP_AND_SWP;
}

static const char *class_is_impossible(const struct cell *cell)
{
	enum ibv_wr_opcode opcode = opcodes[cell->opcode];

	if (cell->manner == MANNER_INLINE && has_answer(opcode))
		return "it brings data, so there is none to put inline";
	if (cell->manner == MANNER_SOLICITED && !takes_receive(opcode))
		return "no completion is made whose event could be asked for (IBA 9.2.3)";
	if (opcode == IBV_WR_SEND_WITH_INV && cell->target == TARGET_XRC)
		return "a target sends nothing, so it binds no window to be invalidated";
	return NULL;
}

static const char *state_is_impossible(const struct cell *cell)
{
	enum ibv_wr_opcode opcode = opcodes[cell->opcode];

	switch (cell->state) {
	case WORK_PARTLY_DELIVERED:
		return has_answer(opcode) ? "its request is one packet" : NULL;
	case WORK_EXECUTED:
		return has_answer(opcode) ? "its answer acknowledges it: as answer lost" : NULL;
	case WORK_ANSWER_LOST:
		return has_answer(opcode) ? NULL : "it has no answer but the acknowledgement";
	case WORK_RNR_BLOCKED:
	case WORK_RECEIVE_HIDDEN:
		return takes_receive(opcode) ? NULL : "it takes no RECV";
	default:
		return NULL;
	}
}

const char *cell_is_unreachable(const struct cell *cell)
{
	const char *why = class_is_impossible(cell);

	return why ? why : state_is_impossible(cell);
}

bool cell_next(struct cell *cell)
{
	if (++cell->state < WORK_DONE)
		return true;
	cell->state = 0;
	if (++cell->target < TARGET_COUNT)
		return true;
	cell->target = 0;
	if (++cell->manner < MANNER_COUNT)
		return true;
	cell->manner = 0;
	return ++cell->opcode < OPCODES;
}

/* ---- printed ---- */

enum { REASONS_MAX = 16 };

static struct reasons {
	const char *texts[REASONS_MAX];
	unsigned count;
} reasons;

static char letter_of(const char *reason)
{
	unsigned i = 0;

	while (i < reasons.count && reasons.texts[i] != reason)
		i++;
	if (i == reasons.count && i < REASONS_MAX)
		reasons.texts[reasons.count++] = reason;
	return (char)('a' + i);
}

static const char *const columns[STATES] = {[WORK_NOT_SENT] = "not sent",
        [WORK_PARTLY_DELIVERED] = "partly",
        [WORK_EXECUTED] = "executed",
        [WORK_ANSWER_LOST] = "no answer",
        [WORK_RNR_BLOCKED] = "RNR",
        [WORK_RECEIVE_HIDDEN] = "no RECV"};

static void print_row(struct case_counts *counts, struct cell cell)
{
	printf("# %-15s %-12s %-4s", opcode_names[cell.opcode], manner_names[cell.manner],
	        target_names[cell.target]);
	for (unsigned state = 0; state < STATES; state++) {
		const char *why;

		cell.state = (enum work_state)state;
		why = cell_is_unreachable(&cell);
		if (why)
			printf(" %9c", letter_of(why));
		else
			printf(" %9u", *cell_count(counts, &cell));
	}
	printf("\n");
}

static void print_cells(struct case_counts *counts)
{
	struct cell cell = {0};

	do {
		if (cell.state == 0)
			print_row(counts, cell);
	} while (cell_next(&cell));
	for (unsigned i = 0; i < reasons.count; i++)
		printf("# %c: cannot be: %s\n", 'a' + i, reasons.texts[i]);
}

/* ---- classes ---- */

enum { CLASSES = OPCODES + MANNER_COUNT + TARGET_COUNT };

static const char *class_name(unsigned class)
{
	if (class < OPCODES)
		return opcode_names[class];
	class -= OPCODES;
	return class < MANNER_COUNT ? manner_names[class] : target_names[class - MANNER_COUNT];
}

static bool is_of_class(const struct cell *cell, unsigned class)
{
	return class == cell->opcode || class == OPCODES + cell->manner ||
	       class == OPCODES + MANNER_COUNT + cell->target;
}

/* False: none of its cells is reachable. */
static bool count_of_class(
        struct case_counts *counts, unsigned class, unsigned state, uint32_t *count)
{
	struct cell cell = {0};
	bool is_reachable = false;

	*count = 0;
	do {
		if (cell.state != state || !is_of_class(&cell, class) || cell_is_unreachable(&cell))
			continue;
		is_reachable = true;
		*count += *cell_count(counts, &cell);
	} while (cell_next(&cell));
	return is_reachable;
}

void case_counts_print(struct case_counts *counts)
{
	printf("# | %-15s", "class");
	for (unsigned state = 0; state < STATES; state++)
		printf(" | %9s", columns[state]);
	printf(" |\n");
	for (unsigned class = 0; class < CLASSES; class ++) {
		printf("# | %-15s", class_name(class));
		for (unsigned state = 0; state < STATES; state++) {
			uint32_t count;

			if (count_of_class(counts, class, state, &count))
				printf(" | %9u", count);
			else
				printf(" | %9s", "-");
		}
		printf(" |\n");
	}
	print_cells(counts);
}

unsigned case_counts_short_classes(struct case_counts *counts, uint32_t wanted)
{
	unsigned n = 0;
	uint32_t count;

	for (unsigned class = 0; class < CLASSES; class ++)
		for (unsigned state = 0; state < STATES; state++)
			n += count_of_class(counts, class, state, &count) && count < wanted;
	return n;
}

unsigned case_counts_short(struct case_counts *counts, uint32_t wanted)
{
	struct cell cell = {0};
	unsigned n = 0;

	do {
		n += !cell_is_unreachable(&cell) && *cell_count(counts, &cell) < wanted;
	} while (cell_next(&cell));
	return n;
}
