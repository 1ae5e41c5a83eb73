/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * The verbs below this library: whatever defines them next in the order of symbols, libibverbs or
 * another preloaded library. Bound once, by whoever needs them first; read-only afterwards; any
 * thread.
 */
#ifndef TETHER_REAL_VERBS_H
#define TETHER_REAL_VERBS_H

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
#define below (*real_verbs())

/* Make a definition bind in place of libibverbs's. */
#define WRAPPER __attribute__((visibility("default")))

#endif
