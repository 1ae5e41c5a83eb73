/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include "preload/real_verbs.h"

#include <dlfcn.h>
#include <pthread.h>

static struct real_verbs bound;
static pthread_once_t once = PTHREAD_ONCE_INIT;

/*
 * By plain name: that is the next definition's default version, also if it has none (a preloaded
 * library below this one). libibverbs is linked, not only opened, so the name is always found.
 */
static void bind_all(void)
{
#define SYMBOL(ret, name, version, params, args, test)                                             \
	*(void **)&bound.name = dlsym(RTLD_NEXT, #name);
#include "preload/wrapped_symbols.def"
}

const struct real_verbs *real_verbs(void)
{
	pthread_once(&once, bind_all);
	return &bound;
}
