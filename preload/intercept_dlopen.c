/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * Programs that open libibverbs by dlopen(3) and look their symbols up in that handle (NCCL does,
 * with dlvsym) get this library's handle instead. It is linked with libibverbs, so that what it
 * does not define is found behind it.
 */
#include <dlfcn.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "preload/real_verbs.h"

/* Unversioned, as a definition that comes before libc's has to be. */
WRAPPER void *dlopen(const char *file, int flags);

static bool is_libibverbs(const char *file)
{
	static const char name[] = "libibverbs.so";
	const char *base = file ? strrchr(file, '/') : NULL;

	base = base ? base + 1 : file;
	return base && !strncmp(base, name, sizeof(name) - 1);
}

static void *(*next)(const char *, int);

static __attribute__((noinline)) const char *redirect(const char *file)
{
	Dl_info self;

	if (!next)
		*(void **)&next = dlsym(RTLD_NEXT, "dlopen");
	if (is_libibverbs(file) && dladdr((void *)(uintptr_t)dlopen, &self))
		return self.dli_fname;
	return file;
}

/*
 * The loader takes whose RUNPATH counts from the return address, so this has to end in a jump, not
 * in a call.
 */
#ifndef __clang__
__attribute__((optimize("optimize-sibling-calls")))
#endif
void *
dlopen(const char *file, int flags)
{
	file = redirect(file);
	return next(file, flags);
}
