/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * The verbs below this library: whatever defines them next in the order of symbols, libibverbs or
 * another preloaded library. Bound by whoever needs them first, so that a program that uses no
 * verbs has no libibverbs; read-only afterwards; any thread.
 */
#ifndef TETHER_REAL_VERBS_H
#define TETHER_REAL_VERBS_H

#include <errno.h>
#include <infiniband/verbs.h>

/* Inlines of verbs.h that choose between symbols; here the symbols themselves are meant. */
#undef ibv_query_port
#undef ibv_reg_mr
#undef ibv_reg_mr_iova

struct real_verbs {
#define SYMBOL(ret, name, version, params, args, test) ret(*name) params;
#include "preload/wrapped_symbols.def"
};

const struct real_verbs *real_verbs(void);

/* The program has opened libibverbs: those that stand nowhere else are bound there. The handle is
 * kept, or closed if there is one. */
void real_verbs_are_in(void *handle);

#define below (*real_verbs())

/* Why a verb has returned no object: -errno, also where the provider has not set it. */
static inline int below_error(void)
{
	return errno ? -errno : -ENOMEM;
}

/* Make a definition bind in place of libibverbs's. */
#define WRAPPER __attribute__((visibility("default")))

#endif
