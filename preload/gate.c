/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include "preload/gate.h"

#include <linux/membarrier.h>
#include <sched.h>
#include <sys/syscall.h>
#include <unistd.h>

enum barrier_kind { BARRIER_NONE, BARRIER_MEMBARRIER, BARRIER_NOT_NEEDED };

static enum barrier_kind barrier_kind;
static pthread_once_t barrier_once = PTHREAD_ONCE_INIT;

static int membarrier(int command)
{
	return (int)syscall(__NR_membarrier, command, 0, 0);
}

static void barrier_choose(void)
{
#if defined(TETHER_TSAN) || defined(TETHER_GATE_WITHOUT_MEMBARRIER)
	barrier_kind = BARRIER_NOT_NEEDED;
#else
	if (!membarrier(MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED))
		barrier_kind = BARRIER_MEMBARRIER;
#endif
}

void gate_init(struct gate *gate)
{
	pthread_once(&barrier_once, barrier_choose);
	*gate = (struct gate){.shared = barrier_kind == BARRIER_NONE};
	pthread_mutex_init(&gate->lock, NULL);
}

void gate_fini(struct gate *gate)
{
	pthread_mutex_destroy(&gate->lock);
}

void gate_barrier(void)
{
	if (barrier_kind == BARRIER_MEMBARRIER)
		membarrier(MEMBARRIER_CMD_PRIVATE_EXPEDITED);
}

void gate_revoke(struct gate *gate)
{
	pthread_mutex_lock(&gate->lock);
	gate->former = __atomic_load_n(&gate->owner, __ATOMIC_RELAXED);
	if (gate->former)
		__atomic_store_n(&gate->owner, 0, GATE_ORDER);
}

void gate_await(struct gate *gate)
{
	/* From inside the section the owner itself may close the gate: it is its own. */
	if (gate->former == gate_self())
		return;
	while (__atomic_load_n(
	        &gate->in, GATE_ORDER == __ATOMIC_SEQ_CST ? __ATOMIC_SEQ_CST : __ATOMIC_ACQUIRE))
		sched_yield();
}

void gate_close(struct gate *gate)
{
	gate_revoke(gate);
	if (gate->former)
		gate_barrier();
	gate_await(gate);
}

void gate_open(struct gate *gate)
{
	if (!gate->shared && !gate->held)
		__atomic_store_n(&gate->owner, gate->former, __ATOMIC_RELEASE);
	pthread_mutex_unlock(&gate->lock);
}

void gate_hold(struct gate *gate)
{
	gate->held = true;
}

void gate_let_go(struct gate *gate)
{
	gate->held = false;
	gate->former = 0;
}

/* Become the owner of a gate that nobody owns, or meet its owner and make it a plain lock. */
enum gate_pass gate_enter_slowly(struct gate *gate)
{
	gate_close(gate);
	if (gate->former && gate->former != gate_self())
		gate->shared = true;
	if (gate->shared || gate->held)
		return GATE_LOCKED;
	__atomic_store_n(&gate->in, 1, __ATOMIC_RELAXED);
	__atomic_store_n(&gate->owner, gate_self(), __ATOMIC_RELEASE);
	pthread_mutex_unlock(&gate->lock);
	return GATE_OWNED;
}
