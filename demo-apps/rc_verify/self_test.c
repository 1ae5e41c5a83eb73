/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include "demo-apps/rc_verify/self_test.h"

#include <stdio.h>
#include <string.h>

#include "demo-apps/rc_verify/add_ledger.h"
#include "demo-apps/verify/message.h"
#include "demo-apps/rc_verify/send_queue.h"
#include "demo-apps/rc_verify/slot_ring.h"

enum {
	COUNT = 1000, /* messages in a stream */
	FAULT_AT = 500,
	LENGTH = 320,
	SLOTS = 16,
	SLOT_SIZE = 512,
	STREAM = 6,
	MANY_POLLS = 1000,
};

enum fault { FAULT_NONE, FAULT_GAP, FAULT_REPEAT, FAULT_BIT, FAULT_EXCHANGE };

/* What one number becomes on the way. Returns how many numbers come out. */
static unsigned faulty_numbers(enum fault fault, uint64_t number, uint64_t out[2])
{
	out[0] = number;
	if (fault == FAULT_EXCHANGE && (number == FAULT_AT || number == FAULT_AT + 1))
		out[0] = number == FAULT_AT ? FAULT_AT + 1 : FAULT_AT;
	if (number != FAULT_AT)
		return 1;
	if (fault == FAULT_GAP)
		return 0;
	if (fault != FAULT_REPEAT)
		return 1;
	out[1] = number;
	return 2;
}

static void messages_run(enum fault fault, struct findings *found)
{
	struct sequence_check check = {0};
	unsigned char bytes[LENGTH];
	uint64_t out[2], number;

	for (uint64_t n = 0; n < COUNT; n++) {
		unsigned count = faulty_numbers(fault, n, out);

		for (unsigned i = 0; i < count; i++) {
			message_fill(bytes, LENGTH, STREAM, out[i]);
			if (fault == FAULT_BIT && n == FAULT_AT)
				bytes[LENGTH / 2] ^= 1;
			number = check.next;
			if (message_check(bytes, LENGTH, STREAM, &number) != MESSAGE_GOOD) {
				found->corrupted++;
				number = check.next;
			}
			sequence_check_arrived(&check, number, found);
		}
	}
	sequence_check_finish(&check, COUNT, found);
}

static void slot_write(unsigned char *memory, uint64_t number, bool flip)
{
	unsigned char *end = memory + (number % SLOTS + 1) * SLOT_SIZE;

	message_fill(end - LENGTH, LENGTH, STREAM, number);
	if (flip)
		end[-LENGTH] ^= 0x80;
}

static void writes_run(enum fault fault, struct findings *found)
{
	static unsigned char memory[SLOTS * SLOT_SIZE] __attribute__((aligned(64)));
	struct slot_ring ring;
	uint64_t now_us = 1;

	memset(memory, 0, sizeof(memory));
	slot_ring_init(&ring, memory, SLOTS, SLOT_SIZE, STREAM);
	for (uint64_t n = 0; n < COUNT; n++) {
		for (int polls = 0; polls < MANY_POLLS && n - ring.released >= SLOTS; polls++)
			slot_ring_poll(&ring, now_us += SLOT_SETTLE_US, found);
		if (fault != FAULT_GAP || n != FAULT_AT)
			slot_write(memory, n, fault == FAULT_BIT && n == FAULT_AT);
		slot_ring_poll(&ring, now_us += SLOT_SETTLE_US, found);
		if (fault == FAULT_REPEAT && n == FAULT_AT)
			slot_write(memory, n, false);
	}
	for (int polls = 0; polls < MANY_POLLS; polls++)
		slot_ring_poll(&ring, now_us += SLOT_SETTLE_US, found);
	slot_ring_finish(&ring, COUNT, found);
}

static void adds_run(enum fault fault, struct findings *found)
{
	static struct add_ledger ledger;
	uint64_t counter = 0;

	ledger = (struct add_ledger){0};
	for (uint64_t n = 0; n < COUNT; n++) {
		uint64_t old = counter;

		counter += n + 1;
		if (fault == FAULT_REPEAT && n == FAULT_AT)
			counter += n + 1;
		if (fault == FAULT_GAP && n == FAULT_AT)
			counter = old;
		add_ledger_took(&ledger, old, n + 1, found);
	}
	add_ledger_finish(&ledger, found);
}

static void completions_run(enum fault fault, struct findings *found)
{
	struct send_queue queue;
	struct work work = {.is_signalled = true};
	uint64_t out[2];

	if (send_queue_init(&queue, SLOTS))
		return;
	for (uint64_t n = 0; n < COUNT; n++) {
		unsigned count = faulty_numbers(fault, n, out);

		while (send_queue_room(&queue) > 2)
			send_queue_push(&queue, &work);
		for (unsigned i = 0; i < count; i++)
			send_queue_complete(&queue, out[i], found);
	}
	send_queue_finish(&queue);
}

struct expectation {
	const char *what;
	void (*run)(enum fault, struct findings *);
	enum fault fault;
	struct findings expected; /* only whether each is zero counts */
};

static const struct expectation table[] = {
        {"messages, good", messages_run, FAULT_NONE, {0}},
        {"message missing", messages_run, FAULT_GAP, {.lost = 1}},
        {"message repeated", messages_run, FAULT_REPEAT, {.duplicated = 1}},
        {"message with one wrong bit", messages_run, FAULT_BIT, {.corrupted = 1}},
        {"messages exchanged", messages_run, FAULT_EXCHANGE, {.out_of_order = 1}},
        {"WRITEs, good", writes_run, FAULT_NONE, {0}},
        {"WRITE missing", writes_run, FAULT_GAP, {.lost = 1}},
        {"WRITE repeated", writes_run, FAULT_REPEAT, {.duplicated = 1}},
        {"WRITE with one wrong bit", writes_run, FAULT_BIT, {.corrupted = 1}},
        {"adds, good", adds_run, FAULT_NONE, {0}},
        {"add executed twice", adds_run, FAULT_REPEAT, {.duplicated = 1}},
        {"add answered, not executed", adds_run, FAULT_GAP, {.duplicated = 1}},
        {"completions, good", completions_run, FAULT_NONE, {0}},
        {"completion missing", completions_run, FAULT_GAP, {.lost = 1}},
        {"completion repeated", completions_run, FAULT_REPEAT, {.duplicated = 1}},
        {"completions exchanged", completions_run, FAULT_EXCHANGE, {.lost = 1, .duplicated = 1}},
};

static bool as_expected(const struct findings *found, const struct findings *expected)
{
	return !found->lost == !expected->lost && !found->duplicated == !expected->duplicated &&
	       !found->corrupted == !expected->corrupted &&
	       !found->out_of_order == !expected->out_of_order &&
	       !found->errors == !expected->errors;
}

int self_test(void)
{
	unsigned rows = sizeof(table) / sizeof(table[0]), passed = 0;

	for (unsigned i = 0; i < rows; i++) {
		struct findings found = {0};
		bool good;

		table[i].run(table[i].fault, &found);
		good = as_expected(&found, &table[i].expected);
		passed += good;
		fprintf(stderr, "rc-verify: %-28s %s\n", table[i].what, good ? "seen" : "MISSED");
	}
	printf("{\"program\": \"rc-verify\", \"self_test\": %u, \"seen\": %u, \"ok\": %s}\n", rows,
	        passed, passed == rows ? "true" : "false");
	return passed == rows ? 0 : -1;
}
