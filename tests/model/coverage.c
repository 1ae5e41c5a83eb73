/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include "model/coverage.h"

#include <inttypes.h>
#include <string.h>

static const char *const flag_names[FLAGS] = {
        "signalled", "unsignalled", "inline", "fenced", "solicited"};
static const char *const state_names[STOP_STATES] = {
        "not sent", "in part", "unacked", "answer lost", "rnr", "unseen"};

/* Who asks, and where the other end's RECVs come from. */

static bool has_flag(const struct work *work, bool is_signaled, unsigned flag)
{
	switch (flag) {
	case FLAG_SIGNALED:
		return is_signaled;
	case FLAG_UNSIGNALED:
		return !is_signaled;
	case FLAG_INLINE:
		return work->flags & IBV_SEND_INLINE;
	case FLAG_FENCED:
		return work->flags & IBV_SEND_FENCE;
	default:
		return work->flags & IBV_SEND_SOLICITED;
	}
}

void coverage_note(struct coverage *coverage, const struct work *work, bool is_signaled,
        enum stop_state state, bool is_peer, enum covered_queue from)
{
	unsigned opcode = 0;

	while (opcode < OPCODES && work_opcodes[opcode] != work->opcode)
		opcode++;
	for (unsigned flag = 0; opcode < OPCODES && flag < FLAGS; flag++) {
		if (has_flag(work, is_signaled, flag))
			coverage->counts[opcode][flag][state][is_peer * FROM_COUNT + from]++;
	}
}

void coverage_add(struct coverage *to, const struct coverage *coverage)
{
	const uint64_t *from = (const uint64_t *)coverage;
	uint64_t *sum = (uint64_t *)to;

	for (size_t i = 0; i < sizeof(*to) / sizeof(*sum); i++)
		sum[i] += from[i];
}

static const char *flag_is_impossible(const struct work *work, unsigned flag)
{
	if (flag == FLAG_INLINE && work_has_answer(work))
		return "brings data, sends none";
	if (flag == FLAG_INLINE && work_is_local(work))
		return "sends no packet";
	if (flag == FLAG_SOLICITED && !work_takes_receive(work))
		return "no RECV to mark";
	return NULL;
}

const char *coverage_unreachable(unsigned opcode, unsigned flag, enum stop_state state)
{
	const struct work work = {.opcode = (uint8_t)work_opcodes[opcode]};
	const char *why = flag_is_impossible(&work, flag);

	if (why)
		return why;
	if (work_is_local(&work) && state != STOP_NOT_SENT && state != STOP_UNACKNOWLEDGED)
		return "sends no packet";
	switch (state) {
	case STOP_IN_PART:
		return work_has_answer(&work) ? "asked for by one packet" : NULL;
	case STOP_UNSEEN:
		return work_takes_receive(&work) ? NULL : "takes no RECV";
	case STOP_RNR:
		return work_takes_receive(&work) ? NULL : "waits for no RECV";
	case STOP_UNACKNOWLEDGED:
		return work_has_answer(&work) ? "its answer acknowledges it" : NULL;
	case STOP_ANSWER_LOST:
		return work_has_answer(&work) ? NULL : "has no answer";
	default:
		return NULL;
	}
}

/* A peer's binds are waited for, and a target sends nothing, so it has no window. */
bool coverage_is_reachable(unsigned opcode, unsigned flag, enum stop_state state, bool is_peer,
        enum covered_queue from)
{
	const struct work work = {.opcode = (uint8_t)work_opcodes[opcode]};

	if (coverage_unreachable(opcode, flag, state))
		return false;
	return !(work_names_window(&work) && from == FROM_XRC) &&
	       !(work_is_local(&work) && is_peer);
}

static bool is_reachable(unsigned opcode, unsigned flag, enum stop_state state, unsigned way)
{
	return coverage_is_reachable(
	        opcode, flag, state, way / FROM_COUNT, (enum covered_queue)(way % FROM_COUNT));
}

/* The @i-th of all opcodes with all flags in all states. */
struct kind {
	unsigned opcode, flag, state;
	const uint64_t *ways; /* how often, by each way */
};

enum { KINDS = OPCODES * FLAGS * STOP_STATES };

static struct kind kind_at(const struct coverage *coverage, unsigned i)
{
	struct kind kind = {.opcode = i / (FLAGS * STOP_STATES),
	        .flag = i / STOP_STATES % FLAGS,
	        .state = i % STOP_STATES};

	kind.ways = coverage->counts[kind.opcode][kind.flag][kind.state];
	return kind;
}

static bool is_empty(const struct kind *kind, unsigned way)
{
	return is_reachable(kind->opcode, kind->flag, kind->state, way) && !kind->ways[way];
}

unsigned coverage_empty(const struct coverage *coverage)
{
	unsigned empty = 0;

	for (unsigned i = 0; i < KINDS * COVERED_WAYS; i++) {
		struct kind kind = kind_at(coverage, i / COVERED_WAYS);

		empty += is_empty(&kind, i % COVERED_WAYS);
	}
	return empty;
}

unsigned coverage_empty_kinds(const struct coverage *coverage)
{
	unsigned empty = 0;

	for (unsigned i = 0; i < KINDS; i++) {
		struct kind kind = kind_at(coverage, i);
		uint64_t sum = 0;

		for (unsigned way = 0; way < COVERED_WAYS; way++)
			sum += kind.ways[way];
		empty += !coverage_unreachable(kind.opcode, kind.flag, kind.state) && !sum;
	}
	return empty;
}

unsigned coverage_impossible(const struct coverage *coverage)
{
	unsigned counted = 0;

	for (unsigned i = 0; i < KINDS * COVERED_WAYS; i++) {
		struct kind kind = kind_at(coverage, i / COVERED_WAYS);

		counted += !is_reachable(kind.opcode, kind.flag, kind.state, i % COVERED_WAYS) &&
		           kind.ways[i % COVERED_WAYS];
	}
	return counted;
}

enum { CLASSES = OPCODES + FLAGS + COVERED_WAYS };

static bool is_of_class(unsigned class, unsigned opcode, unsigned flag, unsigned way)
{
	return class == opcode || class == OPCODES + flag || class == OPCODES + FLAGS + way;
}

/* It can be in @state, and never was. */
static bool class_is_empty(const struct coverage *coverage, unsigned class, unsigned state)
{
	bool can_be = false;

	for (unsigned i = 0; i < OPCODES * FLAGS * COVERED_WAYS; i++) {
		unsigned opcode = i / (FLAGS * COVERED_WAYS), flag = i / COVERED_WAYS % FLAGS,
		         way = i % COVERED_WAYS;

		if (!is_of_class(class, opcode, flag, way) ||
		        !is_reachable(opcode, flag, state, way))
			continue;
		if (coverage->counts[opcode][flag][state][way])
			return false;
		can_be = true;
	}
	return can_be;
}

unsigned coverage_empty_classes(const struct coverage *coverage)
{
	unsigned empty = 0;

	for (unsigned class = 0; class < CLASSES; class ++) {
		for (unsigned state = 0; state < STOP_STATES; state++)
			empty += class_is_empty(coverage, class, state);
	}
	return empty;
}

/* Of the ways to ask, the smallest count: what is covered least. */
static void print_cell(
        const struct coverage *coverage, unsigned opcode, unsigned flag, unsigned state, FILE *file)
{
	const uint64_t *cell = coverage->counts[opcode][flag][state];
	uint64_t least = UINT64_MAX, most = 0;

	for (unsigned i = 0; i < COVERED_WAYS; i++) {
		most = cell[i] > most ? cell[i] : most;
		if (coverage_unreachable(opcode, flag, state) ||
		        is_reachable(opcode, flag, state, i))
			least = cell[i] < least ? cell[i] : least;
	}
	if (coverage_unreachable(opcode, flag, state))
		fprintf(file, " %11s", most ? "IMPOSSIBLE" : "-");
	else
		fprintf(file, " %11" PRIu64, least);
}

static void print_reasons(const char *prefix, FILE *file)
{
	const char *said[16] = {NULL};
	unsigned count = 0;

	for (unsigned i = 0; i < OPCODES * FLAGS * STOP_STATES; i++) {
		const char *why = coverage_unreachable(
		        i / (FLAGS * STOP_STATES), i / STOP_STATES % FLAGS, i % STOP_STATES);
		unsigned j = 0;

		while (why && j < count && strcmp(said[j], why))
			j++;
		if (!why || j < count || count == sizeof(said) / sizeof(*said))
			continue;
		said[count++] = why;
		fprintf(file, "%sno cell: %s\n", prefix, why);
	}
}

void coverage_print(const struct coverage *coverage, const char *prefix, FILE *file)
{
	fprintf(file, "%s%-13s %-12s", prefix, "at the stop", "");
	for (unsigned state = 0; state < STOP_STATES; state++)
		fprintf(file, " %11s", state_names[state]);
	fprintf(file, "\n");
	for (unsigned opcode = 0; opcode < OPCODES; opcode++) {
		for (unsigned flag = 0; flag < FLAGS; flag++) {
			fprintf(file, "%s%-13s %-12s", prefix, opcode_name(work_opcodes[opcode]),
			        flag_names[flag]);
			for (unsigned state = 0; state < STOP_STATES; state++)
				print_cell(coverage, opcode, flag, state, file);
			fprintf(file, "\n");
		}
	}
	fprintf(file, "%sleast of VM or peer asking, RQ, SRQ or XRC at the other end\n", prefix);
	fprintf(file, "%swindows: not of XRC; a peer's binds are waited for\n", prefix);
	print_reasons(prefix, file);
}

void coverage_print_empty(const struct coverage *coverage, const char *prefix, FILE *file)
{
	static const char *const from_names[FROM_COUNT] = {"RQ", "SRQ", "XRC"};

	for (unsigned i = 0; i < KINDS * COVERED_WAYS; i++) {
		struct kind kind = kind_at(coverage, i / COVERED_WAYS);
		unsigned way = i % COVERED_WAYS;

		if (is_empty(&kind, way))
			fprintf(file, "%sempty: %s, %s, %s, asked by the %s, %s at the other end\n",
			        prefix, opcode_name(work_opcodes[kind.opcode]),
			        flag_names[kind.flag], state_names[kind.state],
			        way / FROM_COUNT ? "peer" : "VM", from_names[way % FROM_COUNT]);
	}
}
