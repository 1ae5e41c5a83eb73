/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/* A program as text: a line for each thing, work requests below the post that brings them. */
#include "model/program_text.h"

#include <inttypes.h>
#include <stdarg.h>
#include <string.h>

#include "model/program.h"

const char *const place_names[] = {"-", "cell", "hot", "versioned", "counter", NULL};
const char *const wrong_names[] = {"right", "lkey", "rkey", "bounds", "short", NULL};
const char *const process_names[] = {"A", "B", "P", "Q", NULL};

const int work_opcodes[OPCODES] = {IBV_WR_SEND, IBV_WR_SEND_WITH_IMM, IBV_WR_RDMA_WRITE,
        IBV_WR_RDMA_WRITE_WITH_IMM, IBV_WR_RDMA_READ, IBV_WR_ATOMIC_FETCH_AND_ADD,
        IBV_WR_ATOMIC_CMP_AND_SWP, IBV_WR_SEND_WITH_INV, IBV_WR_BIND_MW, IBV_WR_LOCAL_INV};
static const char *const opcode_names[] = {"send", "send-imm", "write", "write-imm", "read",
        "fetch-add", "compare-swap", "send-inv", "bind", "local-inv", NULL};

static const char *const action_names[] = {"post", "receive", "poll", "touch", "fail", "destroy",
        "connect", "run", "move", "piece", "fault", NULL};

static const struct {
	char letter;
	int flag;
} flag_letters[] = {
        {'s', IBV_SEND_SIGNALED},
        {'f', IBV_SEND_FENCE},
        {'o', IBV_SEND_SOLICITED},
        {'i', IBV_SEND_INLINE},
};

const char *opcode_name(int opcode)
{
	for (unsigned i = 0; i < OPCODES; i++) {
		if (work_opcodes[i] == opcode)
			return opcode_names[i];
	}
	return "?";
}

/* -1: none has that name. */
static int find_name(const char *const *names, const char *name)
{
	for (int i = 0; names[i]; i++) {
		if (!strcmp(names[i], name))
			return i;
	}
	return -1;
}

/* ---- writing ---- */

static void write_links(const struct program *program, FILE *file)
{
	for (unsigned i = 0; i < program->link_count; i++) {
		const struct program_link *link = &program->links[i];

		fprintf(file,
		        "link %s %s mtu=%u depth=%u reads=%u rnr_retry=%u starved=%u late=%u "
		        "xrc=%u\n",
		        process_names[link->process[0]], process_names[link->process[1]], link->mtu,
		        link->depth, link->reads, link->rnr_retry, link->starved, link->is_late,
		        link->xrc);
		for (unsigned j = 0; j < 2; j++)
			fprintf(file, "  end shares=%u cq=%u,%u builders=%u signal_all=%u\n",
			        link->shares[j], link->cq[j][0], link->cq[j][1], link->builders[j],
			        link->signal_all[j]);
	}
}

static void write_work(const struct work *work, FILE *file)
{
	char flags[8] = "-";
	unsigned count = 0;

	for (unsigned i = 0; i < sizeof(flag_letters) / sizeof(*flag_letters); i++) {
		if (work->flags & flag_letters[i].flag) {
			flags[count++] = flag_letters[i].letter;
			flags[count] = 0;
		}
	}
	fprintf(file, "  %s %s %u/%u %s %u %s 0x%" PRIx64 "%s\n", opcode_name(work->opcode), flags,
	        work->length, work->sges, place_names[work->place], work->index,
	        wrong_names[work->wrong], work->operand, work->window ? " 1" : "");
}

static void write_action(const struct program *program, const struct action *action, FILE *file)
{
	fprintf(file, "%s %u %u %u\n", action_names[action->kind], action->of, action->how,
	        action->count);
	for (unsigned i = 0; action->kind == ACTION_POST && i < action->count; i++)
		write_work(&program->work[action->first + i], file);
}

void program_write(const struct program *program, FILE *file)
{
	const struct program_world *world = &program->world;

	fprintf(file, "program 0x%" PRIx64 "\n", program->seed);
	fprintf(file,
	        "world seed=0x%" PRIx64 " rxe=%u dead_rq_psn=%u drop=%u duplicate=%u delay=%u "
	        "hold=%u stop_ms=%u apart=%u\n",
	        world->seed, world->rxe, world->dead_rq_psn, world->drop, world->duplicate,
	        world->delay, world->hold, world->stop_ms, world->apart);
	write_links(program, file);
	for (unsigned i = 0; i < program->action_count; i++)
		write_action(program, &program->actions[i], file);
}

/* ---- reading ---- */

struct reader {
	FILE *file;
	char line[256];
	unsigned number;
	char *error;
	size_t error_size;
	struct program *program;
};

static bool refuse(struct reader *reader, const char *what)
{
	snprintf(reader->error, reader->error_size, "line %u: %s", reader->number, what);
	return false;
}

/* The next line that is not empty and no comment. */
static bool next_line(struct reader *reader)
{
	while (fgets(reader->line, sizeof(reader->line), reader->file)) {
		reader->number++;
		if (reader->line[0] != '#' && reader->line[0] != '\n')
			return true;
	}
	return false;
}

/* Programs that were kept before there was XRC say nothing of it, the last word of a line. */
static bool read_head(struct reader *reader)
{
	struct program_world *world = &reader->program->world;

	if (!next_line(reader) ||
	        sscanf(reader->line, "program 0x%" SCNx64, &reader->program->seed) != 1)
		return refuse(reader, "no program begins here");
	if (!next_line(reader) ||
	        sscanf(reader->line,
	                "world seed=0x%" SCNx64 " rxe=%hhu dead_rq_psn=%hhu drop=%hhu "
	                "duplicate=%hhu delay=%hhu hold=%hhu stop_ms=%hu apart=%hhu",
	                &world->seed, &world->rxe, &world->dead_rq_psn, &world->drop,
	                &world->duplicate, &world->delay, &world->hold, &world->stop_ms,
	                &world->apart) < 8)
		return refuse(reader, "no world");
	return true;
}

static bool read_end(struct reader *reader, struct program_link *link, unsigned i)
{
	if (!next_line(reader) ||
	        sscanf(reader->line, " end shares=%hhu cq=%hhu,%hhu builders=%hhu signal_all=%hhu",
	                &link->shares[i], &link->cq[i][0], &link->cq[i][1], &link->builders[i],
	                &link->signal_all[i]) != 5)
		return refuse(reader, "no end of a link");
	return true;
}

static bool read_link(struct reader *reader)
{
	struct program_link *link = &reader->program->links[reader->program->link_count];
	char names[2][8];
	int process[2];

	if (reader->program->link_count == LINKS_MOST)
		return refuse(reader, "too many links");
	if (sscanf(reader->line,
	            "link %7s %7s mtu=%hhu depth=%hhu reads=%hhu rnr_retry=%hhu starved=%hhu "
	            "late=%hhu xrc=%hhu",
	            names[0], names[1], &link->mtu, &link->depth, &link->reads, &link->rnr_retry,
	            &link->starved, &link->is_late, &link->xrc) < 8)
		return refuse(reader, "no link");
	for (unsigned i = 0; i < 2; i++) {
		process[i] = find_name(process_names, names[i]);
		if (process[i] < 0)
			return refuse(reader, "no process of that name");
		link->process[i] = (uint8_t)process[i];
		if (!read_end(reader, link, i))
			return false;
	}
	reader->program->link_count++;
	return true;
}

static uint8_t read_flags(const char *letters)
{
	int flags = 0;

	for (unsigned i = 0; i < sizeof(flag_letters) / sizeof(*flag_letters); i++)
		flags |= strchr(letters, flag_letters[i].letter) ? flag_letters[i].flag : 0;
	return (uint8_t)flags;
}

static bool read_work(struct reader *reader)
{
	char opcode[16], flags[8], place[16], wrong[16];
	struct work work = {0};
	int name, at, fault;

	if (!next_line(reader) ||
	        sscanf(reader->line, " %15s %7s %hu/%hhu %15s %hhu %15s 0x%" SCNx64 " %hhu", opcode,
	                flags, &work.length, &work.sges, place, &work.index, wrong, &work.operand,
	                &work.window) < 8)
		return refuse(reader, "no work request");
	name = find_name(opcode_names, opcode);
	at = find_name(place_names, place);
	fault = find_name(wrong_names, wrong);
	if (name < 0 || at < 0 || fault < 0)
		return refuse(reader, "a work request with an unknown name");
	work.opcode = (uint8_t)work_opcodes[name];
	work.flags = read_flags(flags);
	work.place = (uint8_t)at;
	work.wrong = (uint8_t)fault;
	program_add_work(reader->program, &work);
	return true;
}

static bool read_action(struct reader *reader)
{
	struct action action = {.first = reader->program->work_count};
	char name[16];
	int kind;

	if (sscanf(reader->line, "%15s %hhu %hhu %hu", name, &action.of, &action.how,
	            &action.count) != 4)
		return refuse(reader, "no action");
	kind = find_name(action_names, name);
	if (kind < 0)
		return refuse(reader, "no action of that name");
	action.kind = (uint8_t)kind;
	for (unsigned i = 0; kind == ACTION_POST && i < action.count; i++) {
		if (!read_work(reader))
			return false;
	}
	program_add(reader->program, action);
	return true;
}

static bool read_all(struct reader *reader)
{
	if (!read_head(reader))
		return false;
	while (next_line(reader)) {
		if (!(strncmp(reader->line, "link ", 5) ? read_action(reader) : read_link(reader)))
			return false;
	}
	return program_is_sound(reader->program) || refuse(reader, "it does not hold together");
}

struct program *program_read(FILE *file, char *error, size_t error_size)
{
	struct reader reader = {
	        .file = file,
	        .error = error,
	        .error_size = error_size,
	        .program = program_new(),
	};

	if (read_all(&reader))
		return reader.program;
	program_free(reader.program);
	return NULL;
}
