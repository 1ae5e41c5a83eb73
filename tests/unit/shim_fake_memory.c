/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include "tests/unit/shim_fake_memory.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/queue.h>

#include "notifier/base/cleanup.h"
#include "tests/unit/shim_fake_completions.h"
#include "tests/unit/shim_fake_events.h"
#include "tests/unit/shim_fake_hca.h"
#include "tests/unit/shim_fake_windows.h"

struct fake_mr {
	struct ibv_mr mr;
	uint64_t iova;
	int access;
	TAILQ_ENTRY(fake_mr) link;
};

static TAILQ_HEAD(, fake_mr) mrs = TAILQ_HEAD_INITIALIZER(mrs);

void fake_memory_reset(void)
{
	TAILQ_INIT(&mrs);
}

struct ibv_pd *fake_alloc_pd(struct ibv_context *context)
{
	struct ibv_pd *pd = calloc(1, sizeof(*pd));

	fake_inside();
	pd->context = context;
	fake.live_objects++;
	return pd;
}

int fake_object_free(void *object)
{
	free(object);
	fake.live_objects--;
	return 0;
}

int fake_dealloc_pd(struct ibv_pd *pd)
{
	return fake_object_free(pd);
}

struct ibv_mr *fake_reg_mr_iova2(
        struct ibv_pd *pd, void *addr, size_t length, uint64_t iova, unsigned access)
{
	struct fake_mr *mr = calloc(1, sizeof(*mr));
	uint32_t key = fake_hca_of(pd->context)->next_number++;

	/* The kernel's rule. */
	if ((iova ^ (uintptr_t)addr) & 4095) {
		free(mr);
		errno = EINVAL;
		return NULL;
	}
	LOCK_GUARD(&fake_lock);
	mr->mr = (struct ibv_mr){.context = pd->context,
	        .pd = pd,
	        .addr = addr,
	        .length = length,
	        .lkey = key,
	        .rkey = key};
	mr->iova = iova;
	mr->access = (int)access;
	TAILQ_INSERT_TAIL(&mrs, mr, link);
	fake.live_objects++;
	return &mr->mr;
}

struct ibv_mr *fake_reg_mr(struct ibv_pd *pd, void *addr, size_t length, int access)
{
	return fake_reg_mr_iova2(pd, addr, length, (uintptr_t)addr, (unsigned)access);
}

int fake_dereg_mr(struct ibv_mr *mr)
{
	LOCK_GUARD(&fake_lock);
	TAILQ_REMOVE(&mrs, (struct fake_mr *)mr, link);
	fake_windows_forget(mr, NULL);
	return fake_object_free(mr);
}

int fake_rereg_mr(
        struct ibv_mr *shown, int flags, struct ibv_pd *pd, void *addr, size_t length, int access)
{
	struct fake_mr *mr = (struct fake_mr *)shown;

	LOCK_GUARD(&fake_lock);
	if (flags & IBV_REREG_MR_CHANGE_TRANSLATION) {
		shown->addr = addr;
		shown->length = length;
		mr->iova = (uintptr_t)addr;
	}
	if (flags & IBV_REREG_MR_CHANGE_ACCESS)
		mr->access = access;
	if (fake.rereg_changes_keys)
		shown->lkey = shown->rkey = fake_hca_of(shown->context)->next_number++;
	return 0;
}

/* Where @key of @hca allows it; NULL: nowhere. */
uint8_t *fake_resolve(const struct hca *hca, uint32_t key, uint64_t addr, uint32_t length)
{
	struct fake_mr *mr;

	TAILQ_FOREACH(mr, &mrs, link)
	{
		if (mr->mr.lkey == key && fake_hca_of(mr->mr.context) == hca && addr >= mr->iova &&
		        addr + length <= mr->iova + mr->mr.length)
			return (uint8_t *)mr->mr.addr + (addr - mr->iova);
	}
	return NULL;
}
