/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include "preload/real_verbs.h"

#include <dlfcn.h>
#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "preload/intercept_dlopen.h"

static _Atomic(const struct real_verbs *) bound;
static _Atomic(void *) library;

void real_verbs_are_in(void *handle)
{
	void *none = NULL;

	if (!atomic_compare_exchange_strong(&library, &none, handle))
		dlclose(handle);
}

static void *library_open(void)
{
	void *opened = atomic_load(&library);

	if (opened)
		return opened;
	opened = loader_dlopen("libibverbs.so.1", RTLD_NOW);
	if (opened)
		real_verbs_are_in(opened);
	return atomic_load(&library);
}

/*
 * By plain name: that is the next definition's default version, also if it has none (a preloaded
 * library below this one). Where nothing in the order of symbols has it, libibverbs was opened by
 * dlopen(3), by the program or for a library of its own.
 */
static void *found(const char *name)
{
	void *next = dlsym(RTLD_NEXT, name), *opened;

	if (next)
		return next;
	opened = library_open();
	return opened ? dlsym(opened, name) : NULL;
}

/* Where there is no libibverbs: no list of devices, so there is nothing to call others with. */
#define SYMBOL(ret, name, version, params, args, test)                                             \
	static ret absent_##name params                                                            \
	{                                                                                          \
		errno = ENOSYS;                                                                    \
		return (ret)0;                                                                     \
	}
#include "preload/wrapped_symbols.def"

static void find_all(struct real_verbs *verbs)
{
#define SYMBOL(ret, name, version, params, args, test)                                             \
	*(void **)&verbs->name = found(#name);                                                     \
	if (!verbs->name)                                                                          \
		verbs->name = absent_##name;
#include "preload/wrapped_symbols.def"
	/* What was not found is not the program's to be told of. */
	dlerror();
}

/*
 * Not under a lock: the loader takes its own for each name, and it may be held by another thread
 * whose library calls verbs while it is loaded. Who comes second has found the same. Who finds
 * nothing may find it later, where the program has it opened.
 */
static const struct real_verbs *bind_all(void)
{
	static struct real_verbs absent = {
#define SYMBOL(ret, name, version, params, args, test) .name = absent_##name,
#include "preload/wrapped_symbols.def"
	};
	struct real_verbs *found_now = malloc(sizeof(*found_now));
	const struct real_verbs *bound_already = NULL;

	if (!found_now || !found("ibv_get_device_list")) {
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

const struct real_verbs *real_verbs(void)
{
	const struct real_verbs *verbs = atomic_load_explicit(&bound, memory_order_acquire);

	return __builtin_expect(verbs != NULL, 1) ? verbs : bind_all();
}
