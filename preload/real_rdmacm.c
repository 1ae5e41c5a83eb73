/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include "preload/real_rdmacm.h"

#include <dlfcn.h>
#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "preload/intercept_dlopen.h"

static _Atomic(const struct real_rdmacm *) bound;

/* Where it came with a library that the program has opened, nothing in the order of symbols has it.
 * Who calls us has it in any case. */
static void *found(const char *name)
{
	void *next = dlsym(RTLD_NEXT, name), *opened;

	if (next)
		return next;
	opened = loader_dlopen("librdmacm.so.1", RTLD_NOW | RTLD_NOLOAD);
	return opened ? dlsym(opened, name) : NULL;
}

#define CONNECTION(ret, failure, name, version, params, args, test)                                \
	static ret absent_##name params                                                            \
	{                                                                                          \
		errno = ENOSYS;                                                                    \
		return failure;                                                                    \
	}
#include "preload/wrapped_connections.def"

static void find_all(struct real_rdmacm *functions)
{
#define CONNECTION(ret, failure, name, version, params, args, test)                                \
	*(void **)&functions->name = found(#name);                                                 \
	if (!functions->name)                                                                      \
		functions->name = absent_##name;
#include "preload/wrapped_connections.def"
	dlerror();
}

/* Without a lock, for the reasons of real_verbs.c. */
static const struct real_rdmacm *bind_all(void)
{
	static struct real_rdmacm absent = {
#define CONNECTION(ret, failure, name, version, params, args, test) .name = absent_##name,
#include "preload/wrapped_connections.def"
	};
	struct real_rdmacm *found_now = malloc(sizeof(*found_now));
	const struct real_rdmacm *bound_already = NULL;

	if (!found_now || !found("rdma_create_id")) {
		dlerror();
		free(found_now);
		return &absent;
	}
	find_all(found_now);
	if (atomic_compare_exchange_strong(&bound, &bound_already, found_now))
		return found_now;
	free(found_now);
	return bound_already;
}

const struct real_rdmacm *real_rdmacm(void)
{
	const struct real_rdmacm *functions = atomic_load_explicit(&bound, memory_order_acquire);

	return functions ? functions : bind_all();
}
