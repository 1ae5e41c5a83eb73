/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include "preload/lock_limit.h"

#include <linux/capability.h>
#include <pthread.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

static uint64_t noted = UINT64_MAX;
static pthread_once_t once = PTHREAD_ONCE_INIT;

static bool has_capability(void)
{
	struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3] = {{0}};

	return !syscall(SYS_capget, &header, data) &&
	       data[CAP_TO_INDEX(CAP_IPC_LOCK)].effective & CAP_TO_MASK(CAP_IPC_LOCK);
}

static uint64_t limit_now(void)
{
	struct rlimit limit;

	if (has_capability() || getrlimit(RLIMIT_MEMLOCK, &limit) ||
	        limit.rlim_cur == RLIM_INFINITY)
		return UINT64_MAX;
	return limit.rlim_cur;
}

static void note(void)
{
	noted = limit_now();
}

void lock_limit_note(void)
{
	pthread_once(&once, note);
}

bool lock_limit_forbids(uint64_t bytes)
{
	uint64_t limit = limit_now();

	return limit < noted && limit < bytes;
}
