/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include "preload/gate.h"

#include <linux/membarrier.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "preload/nap.h"

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

/* The parent's other threads may have been closing it, or have been in. */
void gate_inherit(struct gate *gate)
{
	const uintptr_t self = gate_self(), owner = gate->owner ? gate->owner : gate->former;
	const bool is_in = owner == self && gate->in;

	gate_init(gate);
	if (is_in) {
		gate->owner = self;
		gate->in = 1;
	}
}

void gate_fini(struct gate *gate)
{
	pthread_mutex_destroy(&gate->lock);
}

static void barrier(void)
{
	if (barrier_kind == BARRIER_MEMBARRIER)
		membarrier(MEMBARRIER_CMD_PRIVATE_EXPEDITED);
}

bool gate_can_revoke(void)
{
	return barrier_kind != BARRIER_MEMBARRIER || !membarrier(MEMBARRIER_CMD_PRIVATE_EXPEDITED);
}

static void lock(struct gate *gate)
{
	if (!pthread_mutex_trylock(&gate->lock))
		return;
	__atomic_add_fetch(&gate->waiting, 1, __ATOMIC_SEQ_CST);
	pthread_mutex_lock(&gate->lock);
	__atomic_add_fetch(&gate->let_in, 1, __ATOMIC_SEQ_CST);
	__atomic_sub_fetch(&gate->waiting, 1, __ATOMIC_SEQ_CST);
}

/* With the lock: from here on nobody enters without it. */
static void take_from_owner(struct gate *gate)
{
	gate->former = __atomic_load_n(&gate->owner, __ATOMIC_RELAXED);
	if (gate->former)
		__atomic_store_n(&gate->owner, 0, GATE_ORDER);
}

/* From inside the section the owner itself may close the gate: it is its own. */
static bool is_left(const struct gate *gate)
{
	const int order = GATE_ORDER == __ATOMIC_SEQ_CST ? __ATOMIC_SEQ_CST : __ATOMIC_ACQUIRE;

	return gate->former == gate_self() || !__atomic_load_n(&gate->in, order);
}

void gate_close(struct gate *gate)
{
	lock(gate);
	take_from_owner(gate);
	if (gate->former)
		barrier();
	for (unsigned looks = 0; !is_left(gate); looks++)
		nap_after_looks(looks);
}

/* ---- several ---- */

static unsigned waiting(const struct gate *gate)
{
	return __atomic_load_n(&gate->waiting, __ATOMIC_SEQ_CST);
}

enum { PATIENCE = 256 };

static bool is_waited_for(struct gate *const *gates, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		if (waiting(gates[i]))
			return true;
	}
	return false;
}

static unsigned let_in(struct gate *const *gates, size_t count)
{
	unsigned all = 0;

	for (size_t i = 0; i < count; i++)
		all += __atomic_load_n(&gates[i]->let_in, __ATOMIC_SEQ_CST);
	return all;
}

/* Somebody waits for one of these, and none of those is to be had: false, if looked for long. */
static bool may_look_again(struct gate *const *have, size_t count, unsigned *looks)
{
	nap_after_looks(*looks);
	return ++*looks < PATIENCE || !is_waited_for(have, count);
}

/* One of those who wait gets in before we come again. */
static void give_way(struct gate *const *gates, size_t count)
{
	unsigned before = let_in(gates, count);

	gates_open(gates, count);
	for (unsigned looks = 0; let_in(gates, count) == before; looks++)
		nap_after_looks(looks);
}

/* False: not without keeping others waiting; then all are open again. */
static bool lock_all(struct gate *const *gates, size_t count, bool *owned)
{
	unsigned looks = 0;

	lock(gates[0]);
	for (size_t have = 0;;) {
		take_from_owner(gates[have]);
		*owned |= gates[have]->former != 0;
		if (++have == count)
			return true;
		while (pthread_mutex_trylock(&gates[have]->lock)) {
			if (!may_look_again(gates, have, &looks)) {
				give_way(gates, have);
				return false;
			}
		}
	}
}

static bool await_all(struct gate *const *gates, size_t count)
{
	unsigned looks = 0;

	for (size_t i = 0; i < count; i++) {
		while (!is_left(gates[i])) {
			if (!may_look_again(gates, count, &looks)) {
				give_way(gates, count);
				return false;
			}
		}
	}
	return true;
}

static bool try_close(struct gate *const *gates, size_t count)
{
	bool owned = false;

	if (!lock_all(gates, count, &owned))
		return false;
	if (owned)
		barrier();
	return await_all(gates, count);
}

void gates_close(struct gate *const *gates, size_t count)
{
	while (count && !try_close(gates, count))
		;
}

void gates_open(struct gate *const *gates, size_t count)
{
	while (count)
		gate_open(gates[--count]);
}

/* ---- opening ---- */

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
