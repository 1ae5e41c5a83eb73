/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * Who waits in the library may hold a lock, and is not to be cancelled there: verbs are no
 * cancellation points, and cleanups are not run in C. What is due then comes at the application's
 * next one.
 */
#ifndef TETHER_UNCANCELLED_H
#define TETHER_UNCANCELLED_H

#include <pthread.h>

static inline int uncancelled_begin(void)
{
	int before;

	pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &before);
	return before;
}

static inline void uncancelled_end(const int *before)
{
	pthread_setcancelstate(*before, NULL);
}

/* Until the end of the scope; before its locks, so that they are given up first. */
#define UNCANCELLED()                                                                              \
	__attribute__((cleanup(uncancelled_end), unused)) int uncancelled_here = uncancelled_begin()

#endif
