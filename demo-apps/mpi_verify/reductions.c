/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * Collectives that add up: whole numbers modulo 2^64, whole numbers in doubles, and maps x -> ax +
 * b, whose composition is associative and not commutative, so that the order of ranks counts.
 */
#include <stdlib.h>
#include <string.h>

#include "demo-apps/mpi_verify/collective.h"
#include "demo-apps/mpi_verify/sums.h"

enum { ELEMENTS_MOST = 16 << 10 };

enum operand { OPERAND_WHOLE, OPERAND_DOUBLE, OPERAND_MAP, OPERAND_COUNT };

struct map {
	uint32_t factor, offset;
};

/* First @first, then @then. */
static struct map map_compose(struct map first, struct map then)
{
	return (struct map){first.factor * then.factor, first.offset * then.factor + then.offset};
}

static void maps_compose(void *first, void *then, int *count, MPI_Datatype *type)
{
	struct map *in = first, *in_out = then;

	for (int i = 0; i < *count; i++)
		in_out[i] = map_compose(in[i], in_out[i]);
}

/* Made once; a job has one thread. */
static MPI_Op map_operation(void)
{
	static MPI_Op operation = MPI_OP_NULL;

	if (operation == MPI_OP_NULL)
		MPI_Op_create(maps_compose, 0, &operation);
	return operation;
}

static MPI_Datatype map_type(void)
{
	static MPI_Datatype type = MPI_DATATYPE_NULL;

	if (type == MPI_DATATYPE_NULL) {
		MPI_Type_contiguous(2, MPI_UINT32_T, &type);
		MPI_Type_commit(&type);
	}
	return type;
}

static enum operand operand_of(const struct collective *collective)
{
	return (collective->number + collective->group->space) % OPERAND_COUNT;
}

/* Doubles: few enough bits that any sum of them is exact. */
static uint64_t value_of(enum operand operand, const struct content_id *id, uint64_t index)
{
	uint64_t value = content_value(id, index);

	return operand == OPERAND_DOUBLE ? value >> 24 : value;
}

static struct map map_of(uint64_t value)
{
	return (struct map){(uint32_t)(value >> 32) | 1, (uint32_t)value};
}

static uint64_t map_value(struct map map)
{
	return (uint64_t)map.factor << 32 | map.offset;
}

static uint64_t add(enum operand operand, uint64_t left, uint64_t right)
{
	if (operand == OPERAND_MAP)
		return map_value(map_compose(map_of(left), map_of(right)));
	return left + right;
}

static uint64_t neutral(enum operand operand)
{
	return operand == OPERAND_MAP ? map_value((struct map){1, 0}) : 0;
}

/* How contributions differ from once each, in order. */
struct departure {
	unsigned left_out, twice, exchanged; /* the rank; exchanged with the one after it */
};

static const unsigned nobody = UINT32_MAX;

static uint64_t fold(enum operand operand, struct content_id id, unsigned ranks, uint64_t index,
        const struct departure *departure)
{
	uint64_t sum = neutral(operand), value;

	for (unsigned n = 0; n < ranks; n++) {
		id.sender = n == departure->exchanged       ? n + 1
		            : n == departure->exchanged + 1 ? n - 1
		                                            : n;
		if (n == departure->left_out)
			continue;
		value = value_of(operand, &id, index);
		value = operand == OPERAND_MAP ? map_value(map_of(value)) : value;
		sum = add(operand, sum, value);
		if (n == departure->twice)
			sum = add(operand, sum, value);
	}
	return sum;
}

/* Which departure explains what is there? FINDING_COUNT: none is needed. */
static enum finding verdict(enum operand operand, const struct content_id *id, unsigned ranks,
        uint64_t index, uint64_t got)
{
	struct departure none = {nobody, nobody, nobody - 1}, tried;

	if (got == fold(operand, *id, ranks, index, &none))
		return FINDING_COUNT;
	for (unsigned n = 0; n < ranks; n++) {
		tried = none;
		tried.left_out = n;
		if (got == fold(operand, *id, ranks, index, &tried))
			return FINDING_lost;
		tried = none;
		tried.twice = n;
		if (got == fold(operand, *id, ranks, index, &tried))
			return FINDING_duplicated;
		tried = none;
		tried.exchanged = n;
		if (n + 1 < ranks && got == fold(operand, *id, ranks, index, &tried))
			return FINDING_reordered;
	}
	return FINDING_corrupted;
}

static void store(enum operand operand, unsigned char *at, uint64_t value)
{
	double number = (double)value;
	struct map map = map_of(value);

	if (operand == OPERAND_DOUBLE)
		memcpy(at, &number, sizeof(number));
	else if (operand == OPERAND_MAP)
		memcpy(at, &map, sizeof(map));
	else
		memcpy(at, &value, sizeof(value));
}

static uint64_t load(enum operand operand, const unsigned char *at)
{
	struct map map;
	double number;
	uint64_t value;

	memcpy(&number, at, sizeof(number));
	memcpy(&map, at, sizeof(map));
	memcpy(&value, at, sizeof(value));
	if (operand == OPERAND_DOUBLE)
		return number >= 0 && number < 0x1p53 && number == (double)(uint64_t)number
		               ? (uint64_t)number
		               : UINT64_MAX;
	return operand == OPERAND_MAP ? map_value(map) : value;
}

/* Elements of the whole vector; of scattered ones each rank's part is a share of it. */
static bool is_scattered(const struct job *job)
{
	return job->check == CHECK_reduce_scatter || job->check == CHECK_ireduce_scatter ||
	       job->check == CHECK_reduce_scatter_block ||
	       job->check == CHECK_ireduce_scatter_block;
}

static int part_of(const struct job *job, const struct collective *collective, int rank)
{
	int share = (int)collective->length;

	if (job->check == CHECK_reduce_scatter || job->check == CHECK_ireduce_scatter)
		return share + (rank + (int)collective->number) % 3;
	return share;
}

static int part_begin(const struct job *job, const struct collective *collective)
{
	int begin = 0;

	if (!is_scattered(job))
		return 0;
	for (int rank = 0; rank < collective->group->rank; rank++)
		begin += part_of(job, collective, rank);
	return begin;
}

static int whole_of(const struct job *job, const struct collective *collective)
{
	int whole = 0;

	if (!is_scattered(job))
		return (int)collective->length;
	for (int rank = 0; rank < collective->group->size; rank++)
		whole += part_of(job, collective, rank);
	return whole;
}

static uint64_t contribution(struct job *job, enum operand operand, const struct content_id *id,
        uint64_t index, const struct departure *spoilt)
{
	struct content_id of = *id;
	uint64_t value;

	if (spoilt->left_out == id->sender)
		return neutral(operand);
	/* The first two exchange theirs. */
	if (spoilt->exchanged == 0 && id->sender < 2)
		of.sender = 1 - id->sender;
	value = value_of(operand, &of, index);
	value = operand == OPERAND_MAP ? map_value(map_of(value)) : value;
	return spoilt->twice == id->sender ? add(operand, value, value) : value;
}

static struct departure departure_drawn(struct job *job, const struct collective *collective)
{
	struct departure spoilt = {nobody, nobody, nobody - 1};
	unsigned rank = (unsigned)collective->group->rank;

	if (collective->group->size < 2)
		return spoilt;
	if (rank == 0 && job_spoils(job, FINDING_lost))
		spoilt.left_out = rank;
	if (rank == 0 && job_spoils(job, FINDING_duplicated))
		spoilt.twice = rank;
	if (operand_of(collective) == OPERAND_MAP && job_spoils(job, FINDING_reordered))
		spoilt.exchanged = 0;
	return spoilt;
}

static void parts_create(const struct job *job, struct collective *collective)
{
	collective->parts = calloc((unsigned)collective->group->size, sizeof(int));
	if (!collective->parts)
		abort();
	for (int rank = 0; rank < collective->group->size; rank++)
		collective->parts[rank] = part_of(job, collective, rank);
}

static void prepare(struct job *job, struct collective *collective)
{
	const struct group *group = collective->group;
	enum operand operand = operand_of(collective);
	struct content_id id = job_content(
	        job, group->space, (uint32_t)group->rank, EVERYBODY, collective->number);
	uint64_t random = job_shared_random(job, group->space, collective->number * 2 + 1);
	struct departure spoilt = departure_drawn(job, collective);
	size_t length;
	int whole;

	collective->length = 1 + random % (random % 3 ? 64 : ELEMENTS_MOST);
	if (is_scattered(job))
		collective->length = 1 + collective->length / (size_t)group->size;
	whole = whole_of(job, collective);
	parts_create(job, collective);
	length = (size_t)whole * sizeof(uint64_t);
	side_create(&collective->sent, 1, &length, 0);
	side_create(&collective->received, 1, &length, 0);
	for (int i = 0; i < whole; i++)
		store(operand, collective->sent.bytes + (size_t)i * sizeof(uint64_t),
		        contribution(job, operand, &id, (uint64_t)i, &spoilt));
	if (operand != OPERAND_DOUBLE && group->size > 1 && group->rank == 0 &&
	        job_spoils(job, FINDING_corrupted))
		collective->sent.bytes[0] ^= 0x10;
}

static bool has_result(const struct job *job, const struct collective *collective)
{
	const struct group *group = collective->group;

	if (job->check == CHECK_reduce || job->check == CHECK_ireduce)
		return group->rank == collective->root;
	if (job->check == CHECK_exscan || job->check == CHECK_iexscan)
		return group->rank > 0;
	return true;
}

static unsigned contributors(const struct job *job, const struct collective *collective)
{
	unsigned rank = (unsigned)collective->group->rank;

	if (job->check == CHECK_scan || job->check == CHECK_iscan)
		return rank + 1;
	if (job->check == CHECK_exscan || job->check == CHECK_iexscan)
		return rank;
	return (unsigned)collective->group->size;
}

static void check(struct job *job, struct collective *collective)
{
	const struct group *group = collective->group;
	enum operand operand = operand_of(collective);
	struct content_id id = job_content(job, group->space, 0, EVERYBODY, collective->number);
	int begin = part_begin(job, collective), count = (int)collective->length;

	if (is_scattered(job))
		count = part_of(job, collective, group->rank);
	for (int i = 0; i < count && has_result(job, collective); i++) {
		uint64_t got =
		        load(operand, collective->received.bytes + (size_t)i * sizeof(uint64_t));
		enum finding finding = verdict(operand, &id, contributors(job, collective),
		        (uint64_t)begin + (uint64_t)i, got);

		if (finding != FINDING_COUNT)
			job_found(job, finding, "sum", (uint64_t)i);
	}
	if (!side_gaps_live(&collective->received, 0))
		job_found(job, FINDING_corrupted, "memory behind a result", collective->number);
	job->messages++;
	job->bytes += (size_t)count * sizeof(uint64_t);
}

#define FORMS(name, Name, ...)                                                                     \
	if (c->is_nonblocking)                                                                     \
		CALL(job, MPI_I##name(sent, received, __VA_ARGS__, c->group->comm, &c->request));  \
	else                                                                                       \
		CALL(job, MPI_##Name(sent, received, __VA_ARGS__, c->group->comm))

static void start(struct job *job, struct collective *c)
{
	enum operand operand = operand_of(c);
	MPI_Datatype type = operand == OPERAND_MAP      ? map_type()
	                    : operand == OPERAND_DOUBLE ? MPI_DOUBLE
	                                                : MPI_UINT64_T;
	MPI_Op op = operand == OPERAND_MAP ? map_operation() : MPI_SUM;
	void *sent = c->sent.bytes, *received = c->received.bytes;
	int length = (int)c->length;

	switch ((int)job->check) {
	case CHECK_reduce:
	case CHECK_ireduce:
		FORMS(reduce, Reduce, length, type, op, c->root);
		return;
	case CHECK_allreduce:
	case CHECK_iallreduce:
		FORMS(allreduce, Allreduce, length, type, op);
		return;
	case CHECK_scan:
	case CHECK_iscan:
		FORMS(scan, Scan, length, type, op);
		return;
	case CHECK_exscan:
	case CHECK_iexscan:
		FORMS(exscan, Exscan, length, type, op);
		return;
	case CHECK_reduce_scatter:
	case CHECK_ireduce_scatter:
		FORMS(reduce_scatter, Reduce_scatter, c->parts, type, op);
		return;
	default:
		FORMS(reduce_scatter_block, Reduce_scatter_block, length, type, op);
	}
}

static const struct collective_kind kinds[] = {
        {CHECK_reduce, CHECK_ireduce, prepare, start, check},
        {CHECK_allreduce, CHECK_iallreduce, prepare, start, check},
        {CHECK_scan, CHECK_iscan, prepare, start, check},
        {CHECK_exscan, CHECK_iexscan, prepare, start, check},
        {CHECK_reduce_scatter, CHECK_ireduce_scatter, prepare, start, check},
        {CHECK_reduce_scatter_block, CHECK_ireduce_scatter_block, prepare, start, check},
};

void check_reductions(struct job *job)
{
	collective_run(job, kinds, sizeof(kinds) / sizeof(kinds[0]));
}
