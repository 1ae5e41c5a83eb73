/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include "preload/memory.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "notifier/base/log.h"
#include "preload/address_handle.h"
#include "preload/aside.h"
#include "preload/connection_devices.h"
#include "preload/control.h"
#include "preload/memory_windows.h"

WRAPPER struct ibv_pd *ibv_alloc_pd(struct ibv_context *shown)
{
	struct context *context = context_of(shown);
	struct protection_domain *pd;
	bool was_made;

	if (!context)
		return below.ibv_alloc_pd(shown);
	pd = connection_domain_again(context);
	if (pd)
		return &pd->shown;
	pd = calloc(1, sizeof(*pd));
	if (!pd)
		return NULL;
	if (control_enter(context, NEEDS_DEVICE)) {
		errno = ENODEV;
		free(pd);
		return NULL;
	}
	pd->real = below.ibv_alloc_pd(context->real);
	if (pd->real) {
		pd->shown = (struct ibv_pd){.context = shown, .handle = pd->real->handle};
		OBJECT_ADD(context, pds, pd);
	}
	/* Behind it a migration may take it again. */
	was_made = pd->real;
	if (was_made)
		connection_domain_uses(context, pd);
	control_leave();
	if (was_made)
		return &pd->shown;
	free(pd);
	return NULL;
}

WRAPPER int ibv_dealloc_pd(struct ibv_pd *shown)
{
	struct protection_domain *pd = protection_domain_of(shown);
	struct context *context;
	int err;

	if (!pd)
		return below.ibv_dealloc_pd(shown);
	context = context_of(shown->context);
	if (connection_domain_parts(context, pd))
		return 0;
	control_enter(context, NEEDS_NOTHING);
	address_handles_reap(context);
	err = pd->real ? below.ibv_dealloc_pd(pd->real) : 0;
	if (!err)
		OBJECT_REMOVE(context, pds, pd);
	control_leave();
	if (!err)
		free(pd);
	return err;
}

/* ---- regions ---- */

static struct ibv_mr *register_as(struct ibv_pd *pd, const struct memory_region *mr)
{
	if (mr->kind == REGION_PLAIN)
		return below.ibv_reg_mr(pd, mr->shown.addr, mr->shown.length, (int)mr->access);
	return below.ibv_reg_mr_iova2(pd, mr->shown.addr, mr->shown.length, mr->iova, mr->access);
}

static bool key_is_virtual(struct context *context, const struct ibv_mr *mr)
{
	return number_table_find(&context->lkeys, mr->lkey) ||
	       number_table_find(&context->rkeys, mr->rkey) ||
	       window_key_is_virtual(context, mr->rkey);
}

static int deregister_aside(void *mr)
{
	return below.ibv_dereg_mr(mr);
}

/* A key that is already somebody's virtual one would be translated to the wrong region. */
static struct ibv_mr *register_unlike_virtual(
        struct context *context, struct ibv_pd *pd, const struct memory_region *mr)
{
	struct aside aside = {.destroy = deregister_aside};
	struct ibv_mr *made;

	do
		made = register_as(pd, mr);
	while (made && key_is_virtual(context, made) && aside_keep(&aside, made));
	return aside_end(&aside, made);
}

/* By what an address of the process differs from what buffers name there. */
static int region_tell_shift(const struct memory_region *mr)
{
	uint64_t addr = (uintptr_t)mr->shown.addr, named = addr;

	if (mr->kind == REGION_IOVA)
		named = mr->iova;
	else if (mr->access & IBV_ACCESS_ZERO_BASED)
		named = 0;
	return shifted_regions_set(
	        &context_of(mr->shown.context)->shifted, mr->shown.lkey, addr - named);
}

static struct ibv_mr *region_create(struct ibv_pd *shown_pd, const struct memory_region *wanted)
{
	struct protection_domain *pd = protection_domain_of(shown_pd);
	struct context *context = context_of(shown_pd->context);
	struct memory_region *mr = malloc(sizeof(*mr));
	bool was_made;

	if (!mr)
		return NULL;
	*mr = *wanted;
	if (control_enter(context, NEEDS_DEVICE)) {
		errno = ENODEV;
		free(mr);
		return NULL;
	}
	mr->real = register_unlike_virtual(context, pd->real, mr);
	if (mr->real) {
		mr->shown.context = &context->shown.context;
		mr->shown.pd = shown_pd;
		mr->shown.handle = mr->real->handle;
		mr->shown.lkey = mr->real->lkey;
		mr->shown.rkey = mr->real->rkey;
		if (region_tell_shift(mr))
			log_error("memory", "no memory for where a region is");
		OBJECT_ADD(context, mrs, mr);
	}
	was_made = mr->real;
	control_leave();
	if (was_made)
		return &mr->shown;
	free(mr);
	return NULL;
}

WRAPPER struct ibv_mr *ibv_reg_mr(struct ibv_pd *pd, void *addr, size_t length, int access)
{
	struct memory_region wanted = {.shown.addr = addr,
	        .shown.length = length,
	        .kind = REGION_PLAIN,
	        .access = (unsigned)access};

	if (!protection_domain_of(pd))
		return below.ibv_reg_mr(pd, addr, length, access);
	return region_create(pd, &wanted);
}

WRAPPER struct ibv_mr *ibv_reg_mr_iova2(
        struct ibv_pd *pd, void *addr, size_t length, uint64_t iova, unsigned access)
{
	struct memory_region wanted = {.shown.addr = addr,
	        .shown.length = length,
	        .kind = REGION_IOVA,
	        .iova = iova,
	        .access = access};

	if (!protection_domain_of(pd))
		return below.ibv_reg_mr_iova2(pd, addr, length, iova, access);
	return region_create(pd, &wanted);
}

WRAPPER struct ibv_mr *ibv_reg_mr_iova(
        struct ibv_pd *pd, void *addr, size_t length, uint64_t iova, int access)
{
	if (!protection_domain_of(pd))
		return below.ibv_reg_mr_iova(pd, addr, length, iova, access);
	return ibv_reg_mr_iova2(pd, addr, length, iova, (unsigned)access);
}

/* The table names what differs; a key that is itself again needs no row. */
static int key_maps_to(struct number_table *table, uint32_t key, uint32_t now)
{
	if (key != now)
		return number_table_set(table, key, now);
	number_table_remove(table, key);
	return 0;
}

static int region_keys_changed(struct context *context, const struct memory_region *mr)
{
	int err = key_maps_to(&context->lkeys, mr->shown.lkey, mr->real->lkey);

	return err ? err : key_maps_to(&context->rkeys, mr->shown.rkey, mr->real->rkey);
}

/* A region that lets nobody in: no program has memory there. Page offsets must agree. */
static struct ibv_mr *register_nowhere(struct ibv_pd *pd)
{
	static char nowhere;
	const uint64_t offset = 0xffff, no_address = ~offset;

	return below.ibv_reg_mr_iova2(
	        pd, &nowhere, sizeof(nowhere), no_address | ((uintptr_t)&nowhere & offset), 0);
}

/* What is still mapped of it, at the addresses at which the application knows it. */
static struct ibv_mr *register_part(
        struct ibv_pd *pd, const struct memory_region *mr, const struct mapped_part *part)
{
	uint64_t iova = mr->kind == REGION_IOVA ? mr->iova : (uintptr_t)mr->shown.addr;

	if (part->length == mr->shown.length)
		return register_as(pd, mr);
	if (!part->length)
		return register_nowhere(pd);
	return below.ibv_reg_mr_iova2(pd, (void *)part->start, part->length,
	        iova + (part->start - (uintptr_t)mr->shown.addr), mr->access);
}

/* Pages of memory that is registered on demand may come later. */
static struct mapped_part region_mapped(
        const struct memory_region *mr, const struct memory_map *map)
{
	uintptr_t start = (uintptr_t)mr->shown.addr;

	if (mr->access & IBV_ACCESS_ON_DEMAND)
		return (struct mapped_part){start, mr->shown.length, 1, true};
	return memory_map_part(map, start, mr->shown.length);
}

uint64_t memory_regions_locked(const struct context *context)
{
	const uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);
	const struct memory_region *mr;
	uint64_t bytes = 0;

	TAILQ_FOREACH(mr, &context->mrs, link)
	{
		uintptr_t start = (uintptr_t)mr->shown.addr & ~(page - 1);
		uintptr_t end =
		        ((uintptr_t)mr->shown.addr + mr->shown.length + page - 1) & ~(page - 1);

		if (!(mr->access & IBV_ACCESS_ON_DEMAND))
			bytes += end - start;
	}
	return bytes;
}

static int region_rebuild(struct memory_region *mr, const struct memory_map *map)
{
	struct context *context = context_of(mr->shown.context);
	struct mapped_part part = region_mapped(mr, map);

	mr->real = register_part(protection_domain_of(mr->shown.pd)->real, mr, &part);
	if (!mr->real)
		return below_error();
	return region_keys_changed(context, mr);
}

/* Not to be told from a want of memory: the application may have unmapped some meanwhile. */
static int regions_rebuild_once(struct context *context)
{
	struct memory_map *map = memory_map_read();
	struct memory_region *mr;
	int err = map ? 0 : -ENOMEM;

	TAILQ_FOREACH(mr, &context->mrs, link)
	{
		if (!err && !mr->real)
			err = region_rebuild(mr, map);
	}
	memory_map_free(map);
	return err;
}

int memory_regions_rebuild(struct context *context)
{
	int err = regions_rebuild_once(context);

	return err == -EFAULT || err == -ENOMEM ? regions_rebuild_once(context) : err;
}

bool memory_region_can_move(const struct memory_region *mr, const struct memory_map *map)
{
	const unsigned writes =
	        IBV_ACCESS_LOCAL_WRITE | IBV_ACCESS_REMOTE_WRITE | IBV_ACCESS_REMOTE_ATOMIC;
	struct mapped_part part = region_mapped(mr, map);

	/* A piece of one that counts from 0 would count from 0 itself. */
	if (mr->access & IBV_ACCESS_ZERO_BASED && part.length && part.length < mr->shown.length)
		return false;
	return part.parts <= 1 && (part.writable || !(mr->access & writes));
}

/*
 * Its virtual keys stay taken, and mean nothing: the real ones may be given to another region. So
 * do those of one that ends while the device is away.
 */
static void region_keys_dead(struct context *context, const struct memory_region *mr)
{
	if (!mr->real || number_table_find(&context->lkeys, mr->shown.lkey))
		number_table_set(&context->lkeys, mr->shown.lkey, 0);
	if (!mr->real || number_table_find(&context->rkeys, mr->shown.rkey))
		number_table_set(&context->rkeys, mr->shown.rkey, 0);
}

static void region_take_attributes(struct memory_region *mr, int flags, struct ibv_pd *pd,
        void *addr, size_t length, int access)
{
	if (flags & IBV_REREG_MR_CHANGE_TRANSLATION) {
		mr->shown.addr = addr;
		mr->shown.length = length;
		mr->kind = REGION_PLAIN;
	}
	if (flags & IBV_REREG_MR_CHANGE_PD)
		mr->shown.pd = pd;
	if (flags & IBV_REREG_MR_CHANGE_ACCESS)
		mr->access = (unsigned)access;
}

/*
 * The device has left the keys as they were, or given others: those are real, and what the
 * application held until now means nothing. -EEXIST: they are somebody's virtual ones.
 */
static int region_take_keys(struct memory_region *mr, uint32_t lkey, uint32_t rkey)
{
	struct context *context = context_of(mr->shown.context);

	if (mr->real->lkey == lkey && mr->real->rkey == rkey)
		return 0;
	region_keys_dead(context, mr);
	if (key_is_virtual(context, mr->real))
		return -EEXIST;
	mr->shown.lkey = mr->real->lkey;
	mr->shown.rkey = mr->real->rkey;
	return 0;
}

static int region_change(struct memory_region *mr, int flags, struct ibv_pd *pd, void *addr,
        size_t length, int access)
{
	struct protection_domain *domain = protection_domain_of(pd);
	uint32_t lkey = mr->real->lkey, rkey = mr->real->rkey;
	int err = below.ibv_rereg_mr(
	        mr->real, flags, domain ? domain->real : pd, addr, length, access);

	if (err && err != IBV_REREG_MR_ERR_DO_FORK_OLD)
		return err;
	shifted_regions_set(&context_of(mr->shown.context)->shifted, mr->shown.lkey, 0);
	region_take_attributes(mr, flags, pd, addr, length, access);
	windows_forget_region(mr);
	/* "The region is not usable": it is to be deregistered. */
	if (region_take_keys(mr, lkey, rkey) || region_tell_shift(mr))
		return IBV_REREG_MR_ERR_CMD;
	return err;
}

WRAPPER int ibv_rereg_mr(
        struct ibv_mr *shown, int flags, struct ibv_pd *pd, void *addr, size_t length, int access)
{
	struct memory_region *mr = memory_region_of(shown);
	struct context *context;
	int err;

	if (!mr)
		return below.ibv_rereg_mr(shown, flags, pd, addr, length, access);
	context = context_of(shown->context);
	if (control_enter(context, NEEDS_DEVICE)) {
		errno = ENODEV;
		return IBV_REREG_MR_ERR_INPUT;
	}
	err = region_change(mr, flags, pd, addr, length, access);
	control_leave();
	return err;
}

WRAPPER int ibv_dereg_mr(struct ibv_mr *shown)
{
	struct memory_region *mr = memory_region_of(shown);
	struct context *context;
	int err;

	if (!mr)
		return below.ibv_dereg_mr(shown);
	context = context_of(shown->context);
	control_enter_after(context, windows_are_being_bound_to, mr);
	err = mr->real ? below.ibv_dereg_mr(mr->real) : 0;
	if (!err) {
		OBJECT_REMOVE(context, mrs, mr);
		shifted_regions_set(&context->shifted, shown->lkey, 0);
		region_keys_dead(context, mr);
		windows_forget_region(mr);
	}
	control_leave();
	if (!err)
		free(mr);
	return err;
}

/* ---- advice ---- */

int memory_advise(struct ibv_pd *shown, enum ibv_advise_mr_advice advice, uint32_t flags,
        struct ibv_sge *sges, uint32_t count)
{
	struct context *context = context_of(shown->context);
	struct ibv_sge *now = calloc(count ? count : 1, sizeof(*now));
	int err = now ? control_enter(context, NEEDS_DEVICE) : ENOMEM;

	if (!err) {
		translate_sges(&context->lkeys, now, sges, (int)count);
		err = ibv_advise_mr(protection_domain_of(shown)->real, advice, flags, now, count);
		control_leave();
	}
	free(now);
	return err;
}
