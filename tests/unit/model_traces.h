/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/* Traces made by hand for the reference, and those of them that may be. */
#ifndef TEST_MODEL_TRACES_H
#define TEST_MODEL_TRACES_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "model/pattern.h"
#include "model/reference.h"

/* One link from A to P. End 0 sends, and queue 1 is where end 1 receives. */
struct run {
	struct program *program;
	struct reference *reference;
	uint8_t bytes[MESSAGE_MOST];
	uint32_t receives;
};

enum { SIGNALED = IBV_SEND_SIGNALED };

static inline struct run run_of(const struct work *work, unsigned count)
{
	struct run run = {.program = program_new()};

	run.program->link_count = 1;
	run.program->links[0] = (struct program_link){
	        .process = {PROCESS_A, PROCESS_P},
	        .mtu = IBV_MTU_256,
	        .depth = 16,
	        .reads = 4,
	        .rnr_retry = 7,
	};
	for (unsigned i = 0; i < count; i++)
		program_add_work(run.program, &work[i]);
	program_add(run.program,
	        (struct action){.kind = ACTION_POST, .of = 0, .count = (uint16_t)count});
	run.reference = reference_new(run.program);
	reference_event(run.reference, &(struct event){.kind = EVENT_CONNECTED});
	return run;
}

static inline void run_over(struct run *run)
{
	reference_free(run->reference);
	program_free(run->program);
}

static inline void tell(struct run *run, struct event event)
{
	reference_event(run->reference, &event);
}

static inline void sends(struct run *run, unsigned count)
{
	while (count--)
		tell(run, (struct event){.kind = EVENT_SENT, .of = 0});
}

static inline void receives(struct run *run, unsigned count, enum wrong wrong)
{
	while (count--)
		tell(run, (struct event){.kind = EVENT_RECEIVE,
		                  .queue = 1,
		                  .number = run->receives++,
		                  .how = wrong});
}

static inline void completes(
        struct run *run, uint32_t number, enum ibv_wc_opcode opcode, enum ibv_wc_status status)
{
	tell(run, (struct event){.kind = EVENT_COMPLETED,
	                  .of = 0,
	                  .wc = {.wr_id = wr_id_of_send(0, number),
	                          .status = status,
	                          .opcode = opcode}});
}

static inline void arrives_as(struct run *run, uint32_t receive, uint32_t work, struct ibv_wc wc)
{
	wc.wr_id = wr_id_of_receive(1, receive);
	pattern_fill(run->bytes, sizeof(run->bytes), 0, work);
	tell(run, (struct event){.kind = EVENT_COMPLETED, .of = 1, .wc = wc, .data = run->bytes});
}

static inline void arrives(struct run *run, uint32_t receive, uint32_t work, uint32_t length)
{
	arrives_as(run, receive, work, (struct ibv_wc){.opcode = IBV_WC_RECV, .byte_len = length});
}

static inline void receive_fails(struct run *run, uint32_t receive, enum ibv_wc_status status)
{
	arrives_as(run, receive, 0, (struct ibv_wc){.status = status});
}

static inline void cell_is_full(struct run *run, uint32_t number)
{
	pattern_fill(run->bytes, sizeof(run->bytes), 0, number);
	tell(run,
	        (struct event){.kind = EVENT_TAKEN, .of = 0, .number = number, .data = run->bytes});
}

static inline void hot_cell_is(struct run *run, uint32_t number)
{
	uint64_t word = number ? cell_word(0, number) : 0;

	tell(run, (struct event){.kind = EVENT_HOT, .of = 0, .how = 0, .data = &word});
}

static inline void read_brings(struct run *run, uint32_t number, unsigned owner, uint32_t count)
{
	uint64_t words[HOT_BYTES / 8];

	cell_fill(words, sizeof(words), cell_word(owner, count));
	tell(run, (struct event){.kind = EVENT_ANSWER, .of = 0, .number = number, .data = words});
}

static inline void atomic_brings(struct run *run, uint32_t number, uint64_t original)
{
	tell(run,
	        (struct event){.kind = EVENT_ANSWER, .of = 0, .number = number, .data = &original});
}

static inline void counter_is(struct run *run, uint64_t value)
{
	tell(run, (struct event){.kind = EVENT_COUNTER, .of = PROCESS_P, .value = value});
}

static const __attribute__((unused)) struct work send = {
        .opcode = IBV_WR_SEND, .flags = SIGNALED, .sges = 1, .length = 300};
static const
        __attribute__((unused)) struct work quiet = {.opcode = IBV_WR_SEND, .sges = 1, .length = 9};
static const __attribute__((unused)) struct work send_imm = {.opcode = IBV_WR_SEND_WITH_IMM,
        .flags = SIGNALED,
        .sges = 1,
        .length = 20,
        .operand = 0x77};
static const __attribute__((unused)) struct work write_cell = {.opcode = IBV_WR_RDMA_WRITE,
        .flags = SIGNALED,
        .sges = 1,
        .length = 100,
        .place = PLACE_CELL};
static const __attribute__((unused)) struct work write_hot = {.opcode = IBV_WR_RDMA_WRITE,
        .flags = SIGNALED,
        .sges = 1,
        .length = HOT_BYTES,
        .place = PLACE_HOT};
static const __attribute__((unused)) struct work fenced_hot = {.opcode = IBV_WR_RDMA_WRITE,
        .flags = SIGNALED | IBV_SEND_FENCE,
        .sges = 1,
        .length = HOT_BYTES,
        .place = PLACE_HOT};
static const __attribute__((unused)) struct work read_hot = {.opcode = IBV_WR_RDMA_READ,
        .flags = SIGNALED,
        .sges = 1,
        .length = HOT_BYTES,
        .place = PLACE_HOT};
static const __attribute__((unused)) struct work read_version = {.opcode = IBV_WR_RDMA_READ,
        .flags = SIGNALED,
        .sges = 1,
        .length = HOT_BYTES,
        .place = PLACE_VERSIONED};
static const __attribute__((unused)) struct work add_5 = {.opcode = IBV_WR_ATOMIC_FETCH_AND_ADD,
        .flags = SIGNALED,
        .sges = 1,
        .length = 8,
        .place = PLACE_COUNTER,
        .operand = 5};
static const __attribute__((unused)) struct work swap_99 = {.opcode = IBV_WR_ATOMIC_CMP_AND_SWP,
        .flags = SIGNALED,
        .sges = 1,
        .length = 8,
        .place = PLACE_COUNTER,
        .operand = 99};
static const __attribute__((unused)) struct work wrong_key = {.opcode = IBV_WR_RDMA_WRITE,
        .flags = SIGNALED,
        .sges = 1,
        .length = 100,
        .place = PLACE_CELL,
        .wrong = WRONG_RKEY};

#define BEGIN   reference_counter_begins(PROCESS_P, 0)
#define SUCCESS IBV_WC_SUCCESS
#define FLUSH   IBV_WC_WR_FLUSH_ERR

static inline void messages(struct run *run)
{
	sends(run, 3);
	receives(run, 3, RIGHT);
	arrives(run, 0, 0, 300);
	completes(run, 0, IBV_WC_SEND, SUCCESS);
	arrives(run, 1, 1, 9);
	arrives(run, 2, 2, 300);
	completes(run, 2, IBV_WC_SEND, SUCCESS);
}

static inline void writes(struct run *run)
{
	sends(run, 2);
	cell_is_full(run, 0);
	hot_cell_is(run, 2);
	completes(run, 0, IBV_WC_RDMA_WRITE, SUCCESS);
	completes(run, 1, IBV_WC_RDMA_WRITE, SUCCESS);
}

static inline void refused(struct run *run)
{
	sends(run, 2);
	completes(run, 0, IBV_WC_RDMA_WRITE, IBV_WC_REM_ACCESS_ERR);
	completes(run, 1, IBV_WC_SEND, FLUSH);
	counter_is(run, BEGIN);
}

static inline void counted(struct run *run)
{
	sends(run, 1);
	tell(run, (struct event){.kind = EVENT_SENT, .value = BEGIN + 5});
	atomic_brings(run, 0, BEGIN);
	completes(run, 0, IBV_WC_FETCH_ADD, SUCCESS);
	atomic_brings(run, 1, BEGIN + 5);
	completes(run, 1, IBV_WC_COMP_SWAP, SUCCESS);
	counter_is(run, 99);
}

static inline void flushed_atomic_was_executed(struct run *run)
{
	sends(run, 1);
	tell(run, (struct event){.kind = EVENT_FAILED, .of = 0});
	completes(run, 0, IBV_WC_FETCH_ADD, FLUSH);
	counter_is(run, BEGIN + 5);
}

static inline void read_of_both_versions(struct run *run)
{
	uint64_t words[8];

	sends(run, 1);
	tell(run, (struct event){.kind = EVENT_TOUCHED, .of = 1, .number = 2});
	cell_fill(words, sizeof(words), cell_word(1, 1));
	words[7] = cell_word(1, 2);
	tell(run, (struct event){.kind = EVENT_ANSWER, .data = words});
	completes(run, 0, IBV_WC_RDMA_READ, SUCCESS);
}

static inline void later_write_is_read(struct run *run)
{
	sends(run, 3);
	hot_cell_is(run, 3);
	read_brings(run, 1, 0, 3);
	completes(run, 0, IBV_WC_RDMA_WRITE, SUCCESS);
	completes(run, 1, IBV_WC_RDMA_READ, SUCCESS);
	completes(run, 2, IBV_WC_RDMA_WRITE, SUCCESS);
}

static inline void starved(struct run *run)
{
	sends(run, 2);
	receives(run, 1, RIGHT);
	arrives(run, 0, 0, 300);
	completes(run, 0, IBV_WC_SEND, SUCCESS);
}

static inline void destroyed_peer(struct run *run)
{
	sends(run, 2);
	receives(run, 2, RIGHT);
	arrives(run, 0, 0, 300);
	tell(run, (struct event){.kind = EVENT_DESTROYED, .of = 1});
	completes(run, 0, IBV_WC_SEND, IBV_WC_RETRY_EXC_ERR);
	completes(run, 1, IBV_WC_SEND, FLUSH);
}

static inline void short_receive(struct run *run)
{
	sends(run, 2);
	receives(run, 1, WRONG_SHORT);
	receives(run, 1, RIGHT);
	receive_fails(run, 0, IBV_WC_LOC_LEN_ERR);
	receive_fails(run, 1, FLUSH);
	completes(run, 0, IBV_WC_SEND, IBV_WC_REM_INV_REQ_ERR);
	completes(run, 1, IBV_WC_SEND, FLUSH);
}

static inline void excused(struct run *run)
{
	sends(run, 1);
	tell(run, (struct event){.kind = EVENT_EXCUSED, .of = 0});
	completes(run, 0, IBV_WC_SEND, IBV_WC_RETRY_EXC_ERR);
}

static inline void failed_gives_all_back(struct run *run)
{
	sends(run, 1);
	receives(run, 1, RIGHT);
	tell(run, (struct event){.kind = EVENT_FAILED, .of = 0});
	tell(run, (struct event){.kind = EVENT_FAILED, .of = 1});
	completes(run, 0, IBV_WC_SEND, FLUSH);
	receive_fails(run, 0, FLUSH);
}

/* The other end has refused the first before it has said so. */
static inline void refused_is_seen_late(struct run *run)
{
	receives(run, 1, RIGHT);
	sends(run, 2);
	receive_fails(run, 0, FLUSH);
	completes(run, 0, IBV_WC_RDMA_WRITE, IBV_WC_REM_ACCESS_ERR);
	completes(run, 1, IBV_WC_SEND, FLUSH);
}

static inline void rnr_retries_run_out(struct run *run)
{
	run->program->links[0].rnr_retry = 1;
	sends(run, 1);
	completes(run, 0, IBV_WC_SEND, IBV_WC_RNR_RETRY_EXC_ERR);
}

struct row {
	const char *what;
	const struct work *work[3];
	unsigned count;
	void (*trace)(struct run *run);
	const char *said; /* a part of the first sentence; NULL: nothing is wrong */
};

static inline void traces_are_judged(const struct row *rows, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		const struct row *row = &rows[i];
		struct work work[3] = {0};
		const char *said;
		struct run run;

		for (unsigned j = 0; j < row->count; j++)
			work[j] = *row->work[j];
		run = run_of(work, row->count);
		row->trace(&run);
		reference_judge(run.reference);
		said = reference_said(run.reference, 0);
		if (!row->said != !said || (said && !strstr(said, row->said)))
			fail_msg("%s: said \"%s\"", row->what, said ? said : "nothing");
		run_over(&run);
	}
}

#endif
