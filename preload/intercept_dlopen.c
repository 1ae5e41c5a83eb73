/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * Programs that open libibverbs by dlopen(3) and look their symbols up in that handle (NCCL does,
 * with dlvsym) get this library's handle instead. All that libibverbs has is found in it, under the
 * same versions.
 */
#include "preload/intercept_dlopen.h"

#include <dlfcn.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "preload/agent_link.h"
#include "preload/device.h"
#include "preload/library_search.h"
#include "preload/real_verbs.h"

/* Unversioned, as a definition that comes before libc's has to be. */
WRAPPER void *dlopen(const char *file, int flags);
WRAPPER void *dlmopen(Lmid_t space, const char *file, int flags);

typedef void *dlopen_function(const char *, int);
typedef void *dlmopen_function(Lmid_t, const char *, int);

static void *next_of(const char *name, void **found)
{
	void *it = __atomic_load_n(found, __ATOMIC_RELAXED);

	if (!it) {
		it = dlsym(RTLD_NEXT, name);
		__atomic_store_n(found, it, __ATOMIC_RELAXED);
	}
	return it;
}

static dlopen_function *next_dlopen(void)
{
	static void *found;

	return (dlopen_function *)(uintptr_t)next_of("dlopen", &found);
}

static dlmopen_function *next_dlmopen(void)
{
	static void *found;

	return (dlmopen_function *)(uintptr_t)next_of("dlmopen", &found);
}

void *loader_dlopen(const char *file, int flags)
{
	return next_dlopen()(file, flags);
}

static bool is_libibverbs(const char *file)
{
	static const char name[] = "libibverbs.so";
	const char *base = file ? strrchr(file, '/') : NULL;

	base = base ? base + 1 : file;
	return base && !strncmp(base, name, sizeof(name) - 1);
}

/*
 * It is opened all the same, with all that this brings about: it may not be there, it may be one of
 * the program's own, and it becomes what is below.
 */
static __attribute__((noinline)) void *open_in_place(
        const void *caller, const char *file, int flags)
{
	void *real = library_open_as(caller, file, flags);
	Dl_info self;

	if (!real || !dladdr((void *)(uintptr_t)dlopen, &self))
		return real;
	real_verbs_are_in(real);
	/* dlopen(3) forgets an error that nobody has read anyhow; the first verb that is called
	 * must not, so all is looked up now. */
	real_verbs();
	return loader_dlopen(self.dli_fname, RTLD_NOW);
}

/* Nothing of this library is in the other namespace: whatever is opened there cannot be moved. */
static __attribute__((noinline)) void *open_elsewhere(Lmid_t space, const char *file, int flags)
{
	void *handle = next_dlmopen()(space, file, flags);

	if (handle) {
		verbs_are_elsewhere = true;
		agent_link_start();
	}
	return handle;
}

/*
 * The loader takes whose RUNPATH counts from the return address, so these have to end in a jump,
 * not in a call.
 */
#ifndef __clang__
#define JUMPS __attribute__((optimize("optimize-sibling-calls")))
#else
#define JUMPS
#endif

JUMPS void *dlopen(const char *file, int flags)
{
	if (__builtin_expect(is_libibverbs(file), 0))
		return open_in_place(__builtin_return_address(0), file, flags);
	return next_dlopen()(file, flags);
}

JUMPS void *dlmopen(Lmid_t space, const char *file, int flags)
{
	if (__builtin_expect(!is_libibverbs(file), 1))
		return next_dlmopen()(space, file, flags);
	if (space == LM_ID_BASE)
		return open_in_place(__builtin_return_address(0), file, flags);
	return open_elsewhere(space, file, flags);
}
