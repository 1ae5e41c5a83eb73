/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * In place of -libverbs: each verb is looked up by dlvsym(3), under the version that it has, in
 * what dlopen(3) has opened, as NCCL does it. A program that is linked with this is not with
 * libibverbs.
 */
#include <dlfcn.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "preload/real_verbs.h"

static void *library;

static void open_library(void)
{
	library = dlopen("libibverbs.so", RTLD_NOW);
	if (!library)
		library = dlopen("libibverbs.so.1", RTLD_NOW);
	if (!library) {
		fprintf(stderr, "%s\n", dlerror());
		exit(1);
	}
}

/* 1_10 is IBVERBS_1.10. */
static void *look_up(const char *name, const char *version)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	char full[32];
	void *found;

	pthread_once(&once, open_library);
	snprintf(full, sizeof(full), "IBVERBS_%s", version);
	*strrchr(full, '_') = '.';
	found = dlvsym(library, name, full);
	if (!found) {
		fprintf(stderr, "%s\n", dlerror());
		exit(1);
	}
	return found;
}

#define SYMBOL(ret, name, version, params, args, test)                                             \
	ret name params;                                                                           \
	ret name params                                                                            \
	{                                                                                          \
		static __typeof__(&name) verb;                                                     \
                                                                                                   \
		if (!verb)                                                                         \
			*(void **)&verb = look_up(#name, #version);                                \
		return verb args;                                                                  \
	}
#include "preload/wrapped_symbols.def"
