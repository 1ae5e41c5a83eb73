/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * librdmacm below this library, as real_verbs.h is libibverbs: whatever defines its symbols next,
 * in a program that has it. Never linked in, and never opened here. Any thread.
 */
#ifndef TETHER_REAL_RDMACM_H
#define TETHER_REAL_RDMACM_H

#include <rdma/rdma_cma.h>

struct real_rdmacm {
#define CONNECTION(ret, failure, name, version, params, args, test) ret(*name) params;
#include "preload/wrapped_connections.def"
};

const struct real_rdmacm *real_rdmacm(void);

#define rdmacm (*real_rdmacm())

#endif
