/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include "tests/unit/shim_letters.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

int letters_setup_uc(void **state)
{
	static struct harness h;

	harness_begin(&h, (struct harness){.type = IBV_QPT_UC});
	*state = &h;
	return 0;
}

int send_letter(struct end *from, uint64_t n, unsigned flags)
{
	from->memory[LENGTH * n] = (uint8_t)('a' + n);
	return end_send(from, n, (uint32_t)(LENGTH * n), LENGTH, flags);
}

void post_receive(struct end *end, uint64_t n)
{
	assert_int_equal(end_receive(end, 50 + n, (uint32_t)(INBOX + 128 * n), LENGTH + GRH), 0);
}

void expect_letter(struct harness *h, struct end *end, uint64_t slot, uint64_t n)
{
	uint32_t header = h->type == IBV_QPT_UD ? GRH : 0;

	harness_expect_one(h, end, 50 + slot);
	if (h->type == IBV_QPT_UD)
		assert_int_equal(h->wc[0].src_qp, end->remote_qpn);
	assert_int_equal(end->memory[INBOX + 128 * slot + header], 'a' + n);
}

void letter_has_gone(struct harness *h, struct end *from, struct end *to)
{
	post_receive(to, 7);
	send_letter(from, 7, IBV_SEND_SIGNALED);
	assert_int_equal(end_run(from, 1), 1);
	harness_expect_one(h, from, 7);
	expect_letter(h, to, 7, 7);
}

/* Some time after the stop, before the vote. */
static void release_late(struct harness *h)
{
	if (h->stopped && !h->settled && h->now_ms % 20 == 0)
		fake_release_receives();
}

void letter_arrives_late(struct harness *h, struct end *from, struct end *to)
{
	post_receive(to, 0);
	fake.hold_receives = true;
	send_letter(from, 0, IBV_SEND_SIGNALED);
	end_run(from, 1);
	harness_expect_one(h, from, 0);
	h->meanwhile = release_late;
	harness_move(h);
	h->meanwhile = NULL;
	expect_letter(h, to, 0, 0);
	assert_int_equal(fake_receives(real_of(to->qp)), 0);
}

unsigned move_and_measure_settle(struct harness *h)
{
	uint64_t before;
	unsigned took;

	harness_expect(h, TETHER__STEP__STEP_PREPARE, DONE);
	harness_expect(h, TETHER__STEP__STEP_STOP, DONE);
	before = h->now_ms;
	harness_expect(h, TETHER__STEP__STEP_SETTLE, DONE);
	took = (unsigned)(h->now_ms - before);
	harness_go_on(h);
	return took;
}

struct end second_of(struct harness *h, const struct end *end, const struct end *to)
{
	struct end second = *end;

	end_create_qp(&second, h);
	end_connect(&second, to, end == &h->vm ? FAKE_LID_PEER : FAKE_LID_VM);
	return second;
}

void second_end(struct end *second)
{
	assert_int_equal(ibv_destroy_qp(second->qp), 0);
	assert_int_equal(ibv_destroy_ah(second->ah), 0);
}

int send_two(struct end *from, struct ibv_ah *first, struct ibv_ah *second)
{
	struct ibv_send_wr wrs[2] = {{.opcode = IBV_WR_SEND}, {.opcode = IBV_WR_SEND}}, *bad;

	wrs[0].next = &wrs[1];
	for (int i = 0; i < 2; i++) {
		wrs[i].wr.ud.ah = i ? second : first;
		wrs[i].wr.ud.remote_qpn = from->remote_qpn;
		wrs[i].wr.ud.remote_qkey = HARNESS_QKEY;
	}
	return ibv_post_send(from->qp, wrs, &bad);
}
