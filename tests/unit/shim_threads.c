/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/* Programs with threads, through many moves: each work request completes once and in order. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/unit/shim_harness.h"

#ifdef TETHER_SANITIZE
enum { MOVES = 12 };
#else
enum { MOVES = 60 };
#endif

struct worker {
	struct end *from, *to;
	bool end;
	uint64_t posted, completed;
	unsigned errors, out_of_order;
};

static void take_completions(struct worker *w)
{
	struct ibv_wc wc[8];
	int got = ibv_poll_cq(w->from->cq, 8, wc);

	for (int i = 0; i < got; i++) {
		w->errors += wc[i].status != IBV_WC_SUCCESS;
		w->out_of_order += wc[i].wr_id != w->completed;
		__atomic_store_n(&w->completed, w->completed + 1, __ATOMIC_RELAXED);
	}
}

/* Every WRITE adds one to what the other side's memory says, so one too many or too few shows. */
static void *write_and_poll(void *at)
{
	struct worker *w = at;
	uint64_t *value = (uint64_t *)(void *)w->from->memory;

	while (!__atomic_load_n(&w->end, __ATOMIC_RELAXED)) {
		*value = w->posted + 1;
		if (!end_rdma(
		            w->from, w->to, IBV_WR_RDMA_WRITE, w->posted, 0, 8, IBV_SEND_SIGNALED))
			w->posted++;
		while (w->completed != w->posted && !__atomic_load_n(&w->end, __ATOMIC_RELAXED))
			take_completions(w);
		sched_yield();
	}
	return NULL;
}

static void *query_and_register(void *at)
{
	struct worker *w = at;

	while (!__atomic_load_n(&w->end, __ATOMIC_RELAXED)) {
		struct ibv_qp_init_attr init;
		struct ibv_qp_attr attr;
		struct ibv_mr *mr = ibv_reg_mr(w->from->pd, w->from->memory, 64, 0);

		w->errors += !mr || ibv_query_qp(w->from->qp, &attr, IBV_QP_STATE, &init) ||
		             attr.qp_state != IBV_QPS_RTS || ibv_dereg_mr(mr);
		w->completed++;
		sched_yield();
	}
	return NULL;
}

static void await_one_more(const uint64_t *count)
{
	uint64_t before = __atomic_load_n(count, __ATOMIC_RELAXED);

	while (__atomic_load_n(count, __ATOMIC_RELAXED) == before)
		sched_yield();
}

static void finish(pthread_t thread, struct worker *w)
{
	__atomic_store_n(&w->end, true, __ATOMIC_RELAXED);
	pthread_join(thread, NULL);
}

static void threads_post_poll_and_register_through_moves(void **state)
{
	static struct harness h;
	struct worker from_vm, registers;
	pthread_t poster, registrar;

	harness_begin(&h, (struct harness){0});
	fake.automatic = true;
	from_vm = (struct worker){.from = &h.vm, .to = &h.peer};
	registers = (struct worker){.from = &h.vm, .to = &h.peer};
	pthread_create(&poster, NULL, write_and_poll, &from_vm);
	pthread_create(&registrar, NULL, query_and_register, &registers);
	for (int i = 0; i < MOVES; i++) {
		await_one_more(&from_vm.completed);
		harness_move(&h);
	}
	await_one_more(&from_vm.completed);
	finish(poster, &from_vm);
	finish(registrar, &registers);
	while (from_vm.completed != from_vm.posted)
		take_completions(&from_vm);
	assert_int_equal(from_vm.errors, 0);
	assert_int_equal(from_vm.out_of_order, 0);
	assert_int_equal(registers.errors, 0);
	assert_int_equal(*(uint64_t *)(void *)h.peer.memory, from_vm.posted);
	harness_close(&h);
}

/* Two threads on one queue and one completion queue: nothing is lost between them. */
struct shared_worker {
	struct harness *h;
	bool end;
	uint64_t posted, completed, polls;
	unsigned errors;
};

static void *post_and_poll_shared(void *at)
{
	struct shared_worker *w = at;
	struct ibv_wc wc[8];

	while (!__atomic_load_n(&w->end, __ATOMIC_RELAXED)) {
		int got;

		if (!end_rdma(
		            &w->h->vm, &w->h->peer, IBV_WR_RDMA_WRITE, 1, 0, 8, IBV_SEND_SIGNALED))
			__atomic_fetch_add(&w->posted, 1, __ATOMIC_RELAXED);
		got = ibv_poll_cq(w->h->vm.cq, 8, wc);
		for (int i = 0; i < got; i++)
			__atomic_fetch_add(
			        &w->errors, wc[i].status != IBV_WC_SUCCESS, __ATOMIC_RELAXED);
		__atomic_fetch_add(&w->completed, (uint64_t)got, __ATOMIC_RELAXED);
		sched_yield();
	}
	return NULL;
}

static void threads_share_a_queue_through_moves(void **state)
{
	static struct harness h;
	struct shared_worker w = {.h = &h};
	pthread_t threads[3];
	struct ibv_wc wc;

	harness_begin(&h, (struct harness){0});
	fake.automatic = true;
	for (int i = 0; i < 3; i++)
		pthread_create(&threads[i], NULL, post_and_poll_shared, &w);
	for (int i = 0; i < MOVES; i++) {
		await_one_more(&w.completed);
		harness_move(&h);
	}
	__atomic_store_n(&w.end, true, __ATOMIC_RELAXED);
	for (int i = 0; i < 3; i++)
		pthread_join(threads[i], NULL);
	while (ibv_poll_cq(h.vm.cq, 1, &wc) > 0)
		w.completed++;
	assert_int_equal(w.errors, 0);
	assert_int_equal(w.completed, w.posted);
	harness_close(&h);
}

static void *only_poll(void *at)
{
	struct shared_worker *w = at;
	struct ibv_wc wc;

	while (!__atomic_load_n(&w->end, __ATOMIC_RELAXED)) {
		if (ibv_poll_cq(w->h->vm.cq, 1, &wc))
			w->errors++;
		__atomic_fetch_add(&w->polls, 1, __ATOMIC_RELAXED);
	}
	return NULL;
}

/* It looks at the queue at every moment of a move. */
static void a_poller_meets_no_queue_without_a_device(void **state)
{
	static struct harness h;
	struct shared_worker w = {.h = &h};
	pthread_t thread;

	harness_begin(&h, (struct harness){0});
	pthread_create(&thread, NULL, only_poll, &w);
	for (int i = 0; i < MOVES; i++) {
		await_one_more(&w.polls);
		harness_move(&h);
	}
	__atomic_store_n(&w.end, true, __ATOMIC_RELAXED);
	pthread_join(thread, NULL);
	assert_int_equal(w.errors, 0);
	harness_close(&h);
}

/* A datagram that is lost, or goes to nobody, ends the game. */
struct player {
	struct end *end;
	uint16_t other_lid;
	bool serves;
	bool *over;
	uint64_t heard;
	unsigned errors;
};

enum { INBOX = 4096, GRH = sizeof(struct ibv_grh), DEADLOCK_S = 120 };

/* By a handle of its own, that is gone as soon as the work is posted. */
static void play(struct player *p)
{
	struct ibv_ah_attr address = {.dlid = p->other_lid, .port_num = 1};
	struct ibv_ah *lasting = p->end->ah;

	p->errors += end_receive(p->end, 1, INBOX, 8 + GRH) != 0;
	p->end->ah = ibv_create_ah(p->end->pd, &address);
	memcpy(p->end->memory, &p->heard, sizeof(p->heard));
	p->errors += end_send(p->end, 0, 0, 8, IBV_SEND_SIGNALED | IBV_SEND_INLINE) != 0;
	p->errors += ibv_destroy_ah(p->end->ah) != 0;
	p->end->ah = lasting;
}

static void hear(struct player *p, const struct ibv_wc *wc)
{
	uint64_t said;

	p->errors += wc->status != IBV_WC_SUCCESS;
	if (wc->wr_id != 1)
		return;
	memcpy(&said, p->end->memory + INBOX + GRH, sizeof(said));
	p->errors += wc->src_qp != p->end->remote_qpn;
	p->errors += said != p->heard + p->serves;
	__atomic_store_n(&p->heard, p->heard + 1, __ATOMIC_RELAXED);
	play(p);
}

static void *play_along(void *at)
{
	struct player *p = at;
	struct ibv_wc wc;

	while (!__atomic_load_n(p->over, __ATOMIC_RELAXED)) {
		while (ibv_poll_cq(p->end->cq, 1, &wc) > 0)
			hear(p, &wc);
		sched_yield();
	}
	return NULL;
}

static void a_datagram_goes_to_and_fro_through_moves(void **state)
{
	static struct harness h;
	bool over = false;
	struct player server = {&h.vm, FAKE_LID_PEER, true, &over, 0, 0};
	struct player other = {&h.peer, FAKE_LID_VM, false, &over, 0, 0};
	pthread_t threads[2];

	memset(&h, 0, sizeof(h));
	h.type = IBV_QPT_UD;
	alarm(DEADLOCK_S);
	harness_open(&h);
	harness_connect(&h);
	fake.automatic = true;
	assert_int_equal(end_receive(&h.peer, 1, INBOX, 8 + GRH), 0);
	play(&server);
	pthread_create(&threads[0], NULL, play_along, &server);
	pthread_create(&threads[1], NULL, play_along, &other);
	for (int i = 0; i < MOVES; i++) {
		uint64_t before = __atomic_load_n(&server.heard, __ATOMIC_RELAXED);

		while (__atomic_load_n(&server.heard, __ATOMIC_RELAXED) < before + 2)
			sched_yield();
		harness_move(&h);
	}
	__atomic_store_n(&over, true, __ATOMIC_RELAXED);
	pthread_join(threads[0], NULL);
	pthread_join(threads[1], NULL);
	alarm(0);
	assert_int_equal(server.errors, 0);
	assert_int_equal(other.errors, 0);
	harness_close(&h);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(threads_post_poll_and_register_through_moves),
	        cmocka_unit_test(threads_share_a_queue_through_moves),
	        cmocka_unit_test(a_datagram_goes_to_and_fro_through_moves),
	        cmocka_unit_test(a_poller_meets_no_queue_without_a_device),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
