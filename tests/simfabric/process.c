/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include "simfabric/process.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct fabric *handle;

/*
 * The row's file lock is the parent's and must end with it, so the child lets go of its copy of the
 * descriptor. The mapping stays, since inherited objects point into it.
 */
static void forget_in_child(void)
{
	pthread_mutex_init(&lock, NULL);
	if (!handle)
		return;
	close(handle->fd);
	handle->fd = -1;
	handle->client = NO_INDEX;
	handle = NULL;
}

static int open_handle(void)
{
	static int is_fork_watched;
	const char *path = getenv("SIMFABRIC");
	int r;

	if (handle)
		return 0;
	if (!path || !*path)
		return -ENODEV;
	r = fabric_open(path, &handle);
	if (!r && !is_fork_watched)
		is_fork_watched = !pthread_atfork(NULL, NULL, forget_in_child);
	return r;
}

int process_fabric(struct fabric **fabric)
{
	int r;

	pthread_mutex_lock(&lock);
	r = open_handle();
	*fabric = handle;
	pthread_mutex_unlock(&lock);
	return r;
}
