/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include "tests/unit/shim_sides.h"

#include <string.h>

struct sides from_vm(struct harness *h)
{
	return (struct sides){&h->vm, &h->peer};
}

struct sides from_peer(struct harness *h)
{
	return (struct sides){&h->peer, &h->vm};
}

int write8(struct sides s, uint64_t wr_id, const char *text, unsigned flags)
{
	strcpy((char *)s.from->memory + 8 * wr_id, text);
	return end_rdma(s.from, s.to, IBV_WR_RDMA_WRITE, wr_id, (uint32_t)(8 * wr_id), 8, flags);
}

const char *there(struct sides s, uint64_t wr_id)
{
	return (const char *)s.to->memory + 8 * wr_id;
}
