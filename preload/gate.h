/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * One thread at a time in a queue, and a way to keep all of them out: the exclusive section of a
 * send queue, receive queue or completion queue. The gate belongs to its queue.
 *
 * The thread that uses a queue owns its gate and enters with two compares and a store: it sees
 * itself as the owner, says that it is in, and looks again. Whoever wants in otherwise takes the
 * lock, sets the owner to nobody, makes every running thread of the process execute a barrier
 * (membarrier(2)) and waits until the owner is not in. Either the owner saw that it is no longer
 * the owner, or it is seen to be in; the second look is what makes that true. A gate at which two
 * threads have met has no owner from then on and is a plain lock, and so is every gate where the
 * kernel has no membarrier.
 *
 * Entries of one thread nest while it is the owner. A thread may not enter a gate that it has
 * closed.
 *
 * A signal handler may want to enter a gate while the thread that it has interrupted is inside
 * another. So whoever closes several gates gives way: it does not wait for one while somebody waits
 * for another that it has.
 */
#ifndef TETHER_GATE_H
#define TETHER_GATE_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct gate {
	uintptr_t owner; /* thread pointer; 0: nobody, take the lock */
	uint32_t in;     /* written by the owner alone */
	bool shared;     /* two threads have met here (under the lock) */
	bool held;       /* no new owner for now (under the lock) */
	pthread_mutex_t lock;
	uintptr_t former; /* the owner to be put back when the gate opens (under the lock) */
	unsigned waiting, let_in; /* who sleeps for the lock; of them, those who have had it */
};

/* What gate_leave needs: how it was entered. */
enum gate_pass { GATE_OWNED, GATE_NESTED, GATE_LOCKED };

void gate_init(struct gate *gate);
/* Owners can still be told to stay out: no seccomp(2) came between. */
bool gate_can_revoke(void);
void gate_fini(struct gate *gate);
/* In a child after fork: left by all threads but this one, if it is its owner. */
void gate_inherit(struct gate *gate);

/*
 * Under ThreadSanitizer, which knows nothing of membarrier, the stores and loads are sequentially
 * consistent, which makes the barrier unnecessary. TETHER_GATE_WITHOUT_MEMBARRIER is for the test
 * that shows what it is needed for.
 */
#ifdef TETHER_TSAN
#define GATE_ORDER __ATOMIC_SEQ_CST
#else
#define GATE_ORDER __ATOMIC_RELAXED
#endif

static inline uintptr_t gate_self(void)
{
	return (uintptr_t)__builtin_thread_pointer();
}

enum gate_pass gate_enter_slowly(struct gate *gate);

static inline enum gate_pass gate_enter(struct gate *gate)
{
	uintptr_t self = gate_self();
	uint32_t was = __atomic_load_n(&gate->in, __ATOMIC_RELAXED);

	if (__builtin_expect(__atomic_load_n(&gate->owner, __ATOMIC_ACQUIRE) != self, 0))
		return gate_enter_slowly(gate);
	if (was)
		return GATE_NESTED;
	__atomic_store_n(&gate->in, 1, GATE_ORDER);
	/* The processor may still let the load pass the store; membarrier sees to that. */
	__atomic_signal_fence(__ATOMIC_SEQ_CST);
	if (__builtin_expect(__atomic_load_n(&gate->owner, GATE_ORDER) == self, 1))
		return GATE_OWNED;
	__atomic_store_n(&gate->in, 0, __ATOMIC_RELEASE);
	return gate_enter_slowly(gate);
}

static inline void gate_leave(struct gate *gate, enum gate_pass pass)
{
	if (__builtin_expect(pass == GATE_OWNED, 1))
		__atomic_store_n(&gate->in, 0, __ATOMIC_RELEASE);
	else if (pass == GATE_LOCKED)
		pthread_mutex_unlock(&gate->lock);
}

/* The exclusive section. */
void gate_close(struct gate *gate);
/* The end of the section. The owner of before is put back, unless the gate is held. */
void gate_open(struct gate *gate);

/*
 * Of @count gates at once, in the order of locks: all or, for a while, none. One barrier for all. A
 * thread that has closed others before must not use this for gates that are entered under those.
 */
void gates_close(struct gate *const *gates, size_t count);
void gates_open(struct gate *const *gates, size_t count);

/*
 * While a gate is held everybody goes through its lock, so that what a queue is to do with work can
 * be changed without meeting anybody on the way in. In the exclusive section.
 */
void gate_hold(struct gate *gate);
void gate_let_go(struct gate *gate);

/* Until the end of the scope. */
#define GATE_CLOSED(at)                                                                            \
	__attribute__((cleanup(gate_cleanup), unused)) struct gate *gate_closed_here =             \
	        gate_cleanup_begin(at)
static inline struct gate *gate_cleanup_begin(struct gate *gate)
{
	gate_close(gate);
	return gate;
}
static inline void gate_cleanup(struct gate **gate)
{
	gate_open(*gate);
}

#endif
