/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/* Each kind of violation is found, and said as what it is. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "tests/unit/model_traces.h"

static void twice(struct run *run)
{
	writes(run);
	completes(run, 1, IBV_WC_RDMA_WRITE, SUCCESS);
}

static void out_of_order(struct run *run)
{
	sends(run, 2);
	receives(run, 2, RIGHT);
	arrives(run, 0, 0, 300);
	arrives(run, 1, 1, 300);
	completes(run, 1, IBV_WC_SEND, SUCCESS);
	completes(run, 0, IBV_WC_SEND, SUCCESS);
}

static void never_completes(struct run *run)
{
	sends(run, 1);
	receives(run, 1, RIGHT);
	arrives(run, 0, 0, 300);
}

static void unsignalled_completes(struct run *run)
{
	sends(run, 1);
	receives(run, 1, RIGHT);
	arrives(run, 0, 0, 9);
	completes(run, 0, IBV_WC_SEND, SUCCESS);
}

static void unsignalled_is_lost(struct run *run)
{
	sends(run, 1);
	receives(run, 1, RIGHT);
}

static void message_is_lost(struct run *run)
{
	sends(run, 1);
	receives(run, 1, RIGHT);
	completes(run, 0, IBV_WC_SEND, SUCCESS);
}

static void message_comes_twice(struct run *run)
{
	messages(run);
	receives(run, 1, RIGHT);
	arrives(run, 3, 2, 300);
}

static void messages_change_places(struct run *run)
{
	sends(run, 2);
	receives(run, 2, RIGHT);
	arrives(run, 0, 1, 300);
}

static void receives_change_places(struct run *run)
{
	sends(run, 2);
	receives(run, 2, RIGHT);
	arrives(run, 1, 0, 300);
}

static void length_is_wrong(struct run *run)
{
	sends(run, 1);
	receives(run, 1, RIGHT);
	arrives(run, 0, 0, 299);
	completes(run, 0, IBV_WC_SEND, SUCCESS);
}

static void immediate_is_wrong(struct run *run)
{
	sends(run, 1);
	receives(run, 1, RIGHT);
	arrives_as(run, 0, 0,
	        (struct ibv_wc){.opcode = IBV_WC_RECV,
	                .byte_len = 20,
	                .imm_data = 0x78,
	                .wc_flags = IBV_WC_WITH_IMM});
	completes(run, 0, IBV_WC_SEND, SUCCESS);
}

static void nothing_was_sent(struct run *run)
{
	receives(run, 1, RIGHT);
	arrives(run, 0, 0, 300);
}

static void receive_completes_twice(struct run *run)
{
	sends(run, 2);
	receives(run, 1, RIGHT);
	arrives(run, 0, 0, 300);
	arrives(run, 0, 1, 300);
}

static void write_is_lost(struct run *run)
{
	sends(run, 1);
	completes(run, 0, IBV_WC_RDMA_WRITE, SUCCESS);
}

static void write_comes_twice(struct run *run)
{
	sends(run, 1);
	cell_is_full(run, 0);
	completes(run, 0, IBV_WC_RDMA_WRITE, SUCCESS);
	cell_is_full(run, 0);
}

static void write_begins_again(struct run *run)
{
	writes(run);
	tell(run, (struct event){.kind = EVENT_LEFT, .number = 0, .data = run->bytes});
}

static void write_is_overtaken(struct run *run)
{
	sends(run, 2);
	hot_cell_is(run, 2);
	hot_cell_is(run, 1);
	hot_cell_is(run, 2);
	completes(run, 0, IBV_WC_RDMA_WRITE, SUCCESS);
	completes(run, 1, IBV_WC_RDMA_WRITE, SUCCESS);
}

static void other_data(struct run *run)
{
	sends(run, 1);
	pattern_fill(run->bytes, sizeof(run->bytes), 0, 0);
	run->bytes[99] ^= 2;
	tell(run, (struct event){.kind = EVENT_TAKEN, .number = 0, .data = run->bytes});
	completes(run, 0, IBV_WC_RDMA_WRITE, SUCCESS);
}

static void error_without_cause(struct run *run)
{
	sends(run, 1);
	completes(run, 0, IBV_WC_SEND, IBV_WC_RETRY_EXC_ERR);
}

static void flush_without_cause(struct run *run)
{
	sends(run, 1);
	completes(run, 0, IBV_WC_SEND, FLUSH);
}

static void receive_fails_without_cause(struct run *run)
{
	receives(run, 1, RIGHT);
	receive_fails(run, 0, FLUSH);
}

static void success_behind_an_error(struct run *run)
{
	sends(run, 2);
	receives(run, 2, RIGHT);
	completes(run, 0, IBV_WC_RDMA_WRITE, IBV_WC_REM_ACCESS_ERR);
	arrives(run, 0, 1, 300);
	completes(run, 1, IBV_WC_SEND, SUCCESS);
}

static void second_error_is_no_flush(struct run *run)
{
	sends(run, 2);
	completes(run, 0, IBV_WC_RDMA_WRITE, IBV_WC_REM_ACCESS_ERR);
	completes(run, 1, IBV_WC_SEND, IBV_WC_RETRY_EXC_ERR);
}

static void wrong_key_is_let_in(struct run *run)
{
	sends(run, 2);
	receives(run, 2, RIGHT);
	arrives(run, 0, 1, 300);
	completes(run, 1, IBV_WC_SEND, SUCCESS);
}

static void flush_is_missing(struct run *run)
{
	sends(run, 2);
	completes(run, 0, IBV_WC_RDMA_WRITE, IBV_WC_REM_ACCESS_ERR);
}

static void receive_flush_is_missing(struct run *run)
{
	receives(run, 2, RIGHT);
	tell(run, (struct event){.kind = EVENT_FAILED, .of = 1});
	receive_fails(run, 0, FLUSH);
}

static void no_receive_is_flushed(struct run *run)
{
	receives(run, 3, RIGHT);
	tell(run, (struct event){.kind = EVENT_FAILED, .of = 1});
}

static void starved_is_not_flushed(struct run *run)
{
	sends(run, 1);
	tell(run, (struct event){.kind = EVENT_FAILED, .of = 0});
}

/* That the other end's RNR retries may run out is no cause of anything here. */
static void few_retries_cause_nothing(struct run *run)
{
	run->program->links[0].rnr_retry = 1;
	receives(run, 2, RIGHT);
	sends(run, 1);
	arrives(run, 0, 0, 300);
	completes(run, 0, IBV_WC_SEND, SUCCESS);
	receive_fails(run, 1, FLUSH);
}

static void few_retries_lose_nothing(struct run *run)
{
	run->program->links[0].rnr_retry = 1;
	receives(run, 1, RIGHT);
	sends(run, 1);
}

static void retries_run_out_by_rnr(struct run *run)
{
	run->program->links[0].rnr_retry = 1;
	sends(run, 1);
	completes(run, 0, IBV_WC_SEND, IBV_WC_RETRY_EXC_ERR);
}

static void peer_fails_later(struct run *run)
{
	sends(run, 1);
	receives(run, 1, RIGHT);
	completes(run, 0, IBV_WC_SEND, IBV_WC_RETRY_EXC_ERR);
	tell(run, (struct event){.kind = EVENT_FAILED, .of = 1});
	receive_fails(run, 0, FLUSH);
}

/* A RECV that would fail, and has not. */
static void unused_receive_causes_nothing(struct run *run)
{
	receives(run, 1, RIGHT);
	receives(run, 1, WRONG_SHORT);
	sends(run, 1);
	completes(run, 0, IBV_WC_SEND, IBV_WC_RETRY_EXC_ERR);
}

static void excused_of_another_status(struct run *run)
{
	sends(run, 1);
	tell(run, (struct event){.kind = EVENT_EXCUSED, .of = 0});
	completes(run, 0, IBV_WC_SEND, IBV_WC_REM_OP_ERR);
}

static void excused_loses_nothing(struct run *run)
{
	receives(run, 1, RIGHT);
	sends(run, 1);
	tell(run, (struct event){.kind = EVENT_EXCUSED, .of = 0});
	tell(run, (struct event){.kind = EVENT_EXCUSED, .of = 1});
}

/* Work that was posted behind it is done: nothing was broken. */
static void excuse_is_over(struct run *run)
{
	receives(run, 2, RIGHT);
	sends(run, 1);
	tell(run, (struct event){.kind = EVENT_EXCUSED, .of = 0});
	sends(run, 2);
	arrives(run, 0, 0, 300);
	completes(run, 0, IBV_WC_SEND, SUCCESS);
	arrives(run, 1, 1, 300);
	completes(run, 1, IBV_WC_SEND, SUCCESS);
	completes(run, 2, IBV_WC_SEND, IBV_WC_RETRY_EXC_ERR);
}

static void old_version_is_read(struct run *run)
{
	tell(run, (struct event){.kind = EVENT_TOUCHED, .of = 1, .number = 2});
	sends(run, 1);
	read_brings(run, 0, 1, 1);
	completes(run, 0, IBV_WC_RDMA_READ, SUCCESS);
}

static void read_is_before_its_write(struct run *run)
{
	uint64_t words[8] = {0};

	sends(run, 3);
	tell(run, (struct event){.kind = EVENT_ANSWER, .number = 1, .data = words});
}

static void write_passes_its_fence(struct run *run)
{
	sends(run, 3);
	read_brings(run, 1, 0, 3);
}

static void added_twice(struct run *run)
{
	sends(run, 1);
	tell(run, (struct event){.kind = EVENT_SENT, .value = BEGIN + 5});
	atomic_brings(run, 0, BEGIN);
	completes(run, 0, IBV_WC_FETCH_ADD, SUCCESS);
	atomic_brings(run, 1, BEGIN + 10);
	completes(run, 1, IBV_WC_COMP_SWAP, SUCCESS);
	counter_is(run, BEGIN + 10);
}

static void not_added(struct run *run)
{
	sends(run, 1);
	atomic_brings(run, 0, BEGIN);
	completes(run, 0, IBV_WC_FETCH_ADD, SUCCESS);
	counter_is(run, BEGIN);
}

static void no_answer(struct run *run)
{
	sends(run, 1);
	completes(run, 0, IBV_WC_RDMA_READ, SUCCESS);
}

static void wrong_opcode(struct run *run)
{
	sends(run, 1);
	receives(run, 1, RIGHT);
	arrives(run, 0, 0, 300);
	completes(run, 0, IBV_WC_RDMA_WRITE, SUCCESS);
}

static const struct row rows[] = {
        {"twice", {&write_cell, &write_hot}, 2, twice, "completes twice"},
        {"out of order", {&send, &send}, 2, out_of_order, "completes before work 0"},
        {"never completes", {&send}, 1, never_completes, "has not completed"},
        {"unsignalled completes", {&quiet}, 1, unsignalled_completes, "nobody asked for"},
        {"unsignalled is lost", {&quiet}, 1, unsignalled_is_lost, "has not been executed"},
        {"message is lost", {&send}, 1, message_is_lost, "1 messages that have not come"},
        {"message comes twice", {&send, &quiet, &send}, 3, message_comes_twice, "nothing more was"},
        {"messages change places", {&send, &send}, 2, messages_change_places, "with other data"},
        {"RECVs change places", {&send, &send}, 2, receives_change_places, "0 is the next"},
        {"length", {&send}, 1, length_is_wrong, "with 299"},
        {"immediate", {&send_imm}, 1, immediate_is_wrong, "immediate data 0x78"},
        {"nothing was sent", {&send}, 1, nothing_was_sent, "nothing more was sent"},
        {"RECV twice", {&send, &send}, 2, receive_completes_twice, "RECV 0 of queue 1 completes"},
        {"write is lost", {&write_cell}, 1, write_is_lost, "its cell is not full"},
        {"hot write is lost", {&write_hot}, 1, write_is_lost, "cell 0 holds 0"},
        {"write twice", {&write_cell}, 1, write_comes_twice, "was executed twice"},
        {"write begins again", {&write_cell, &write_hot}, 2, write_begins_again, "begun again"},
        {"write is overtaken", {&write_hot, &write_hot}, 2, write_is_overtaken, "held work 1"},
        {"other data", {&write_cell}, 1, other_data, "has other data"},
        {"error without cause", {&send}, 1, error_without_cause, "without a cause"},
        {"flush without cause", {&send}, 1, flush_without_cause, "without a cause"},
        {"RECV error", {&send}, 1, receive_fails_without_cause, "without a cause"},
        {"success behind an error", {&wrong_key, &send}, 2, success_behind_an_error,
                "cannot be: wrong rkey"},
        {"second error", {&wrong_key, &send}, 2, second_error_is_no_flush, "without a cause"},
        {"wrong key", {&wrong_key, &send}, 2, wrong_key_is_let_in, "cannot be: wrong rkey"},
        {"flush is missing", {&wrong_key, &send}, 2, flush_is_missing, "work 1 of 2 has not"},
        {"RECV flush is missing", {&send}, 1, receive_flush_is_missing, "1 of its 2 RECVs"},
        {"no RECV is flushed", {&send}, 1, no_receive_is_flushed, "3 of its 3 RECVs"},
        {"starved is not flushed", {&send}, 1, starved_is_not_flushed, "has not completed"},
        {"few retries", {&send}, 1, few_retries_cause_nothing, "RECV 1 ends with status 5"},
        {"few retries, unsignalled", {&quiet}, 1, few_retries_lose_nothing, "not been executed"},
        {"retries by RNR", {&send}, 1, retries_run_out_by_rnr, "without a cause"},
        {"peer fails later", {&send}, 1, peer_fails_later, "status 12 without a cause"},
        {"wrong RECV behind", {&send}, 1, unused_receive_causes_nothing, "without a cause"},
        {"excused, other status", {&send}, 1, excused_of_another_status, "without a cause"},
        {"excused, unsignalled", {&quiet}, 1, excused_loses_nothing, "not been executed"},
        {"excuse is over", {&send, &send, &send}, 3, excuse_is_over, "without a cause"},
        {"old version", {&read_version}, 1, old_version_is_read, "not 2 to 2"},
        {"read before write", {&write_hot, &read_hot, &write_hot}, 3, read_is_before_its_write,
                "brings 0x0, not 1 to 3"},
        {"fence", {&write_hot, &read_hot, &fenced_hot}, 3, write_passes_its_fence, "not 1 to 1"},
        {"added twice", {&add_5, &swap_99}, 2, added_twice, "no order of the atomics"},
        {"not added", {&add_5}, 1, not_added, "no order of the atomics"},
        {"no answer", {&read_hot}, 1, no_answer, "was not told"},
        {"opcode", {&send}, 1, wrong_opcode, "send, completes as 1"},
};

static void each_violation_is_found(void **state)
{
	traces_are_judged(rows, sizeof(rows) / sizeof(*rows));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(each_violation_is_found),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
