/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/* What a scope gives back on every way out of it: memory, descriptors, locks. */
#ifndef TETHER_CLEANUP_H
#define TETHER_CLEANUP_H

#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>

static inline void cleanup_free(void *at)
{
	free(*(void **)at);
}

static inline void cleanup_close(int *fd)
{
	if (*fd >= 0)
		close(*fd);
}

static inline void cleanup_unlock(pthread_mutex_t **lock)
{
	if (*lock)
		pthread_mutex_unlock(*lock);
}

static inline pthread_mutex_t *cleanup_lock(pthread_mutex_t *lock)
{
	pthread_mutex_lock(lock);
	return lock;
}

#define CLEANUP_FREE  __attribute__((cleanup(cleanup_free)))
#define CLEANUP_CLOSE __attribute__((cleanup(cleanup_close)))
/* Hold @lock (not a robust one) until the end of the scope. */
#define LOCK_GUARD(lock)                                                                           \
	__attribute__((cleanup(cleanup_unlock), unused)) pthread_mutex_t *lock_guard_here =        \
	        cleanup_lock(lock)

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))

#endif
