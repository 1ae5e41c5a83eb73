/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/* Protection domains and memory regions. */
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "simfabric/verbs_face.h"

#undef ibv_reg_mr
#undef ibv_reg_mr_iova

#ifndef MADV_POPULATE_READ
#define MADV_POPULATE_READ  22
#define MADV_POPULATE_WRITE 23
#endif

enum {
	ACCESS_KNOWN = IBV_ACCESS_LOCAL_WRITE | IBV_ACCESS_REMOTE_WRITE | IBV_ACCESS_REMOTE_READ |
	               IBV_ACCESS_REMOTE_ATOMIC | IBV_ACCESS_MW_BIND | IBV_ACCESS_ZERO_BASED |
	               IBV_ACCESS_HUGETLB,
	ACCESS_OPTIONAL = 0x3ff << 20, /* IBV_ACCESS_OPTIONAL_RANGE: hints */
};

static struct face_pd *make_pd(struct ibv_context *context, struct face_pd *root)
{
	static uint32_t handles;
	struct face_pd *pd = calloc(1, sizeof(*pd));

	if (!pd) {
		errno = ENOMEM;
		return NULL;
	}
	pd->pd.context = context;
	pd->pd.handle = __atomic_add_fetch(&handles, 1, __ATOMIC_RELAXED);
	pd->root = root ? root : pd;
	return pd;
}

ENTRY struct ibv_pd *ibv_alloc_pd(struct ibv_context *context)
{
	struct face_pd *pd;

	errno = face_lock(context);
	if (errno)
		return NULL;
	hca_unlock();
	pd = make_pd(context, NULL);
	return pd ? &pd->pd : NULL;
}

struct ibv_pd *face_alloc_parent_domain(
        struct ibv_context *context, struct ibv_parent_domain_init_attr *attr)
{
	struct face_pd *root, *pd;

	if (!attr->pd || (attr->comp_mask & ~(IBV_PARENT_DOMAIN_INIT_ATTR_ALLOCATORS |
	                                            IBV_PARENT_DOMAIN_INIT_ATTR_PD_CONTEXT))) {
		errno = EINVAL;
		return NULL;
	}
	root = ((struct face_pd *)(void *)attr->pd)->root;
	errno = face_lock(context);
	if (errno)
		return NULL;
	pd = make_pd(context, root);
	if (pd)
		root->users++;
	hca_unlock();
	return pd ? &pd->pd : NULL;
}

ENTRY int ibv_dealloc_pd(struct ibv_pd *public)
{
	struct face_pd *pd = (struct face_pd *)(void *)public;

	if (face_lock_anyhow(public->context)) {
		bool is_used = pd->users;

		if (!is_used && pd->root != pd)
			pd->root->users--;
		hca_unlock();
		if (is_used)
			return EBUSY;
	}
	free(pd);
	return 0;
}

struct ibv_td *face_alloc_td(struct ibv_context *context, struct ibv_td_init_attr *attr)
{
	struct ibv_td *td;

	if (attr->comp_mask) {
		errno = EINVAL;
		return NULL;
	}
	td = calloc(1, sizeof(*td));
	if (td)
		td->context = context;
	return td;
}

int face_dealloc_td(struct ibv_td *td)
{
	free(td);
	return 0;
}

/* ---- memory regions ---- */

/* As get_user_pages of a real driver: the pages must be there and allow what is asked. */
static int populate(void *addr, size_t length, unsigned access)
{
	uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);
	uintptr_t from = (uintptr_t)addr & ~(page - 1);
	uintptr_t to = ((uintptr_t)addr + length + page - 1) & ~(page - 1);
	int advice = access & IBV_ACCESS_LOCAL_WRITE ? MADV_POPULATE_WRITE : MADV_POPULATE_READ;

	if (to <= from)
		return EINVAL;
	if (!madvise((void *)from, to - from, advice))
		return 0;
	/* EINVAL: it may not be used so, or a kernel before 5.14 does not know the advice. */
	if (errno == EINVAL)
		return madvise(NULL, 0, advice) ? 0 : EFAULT;
	return errno == ENOMEM ? EFAULT : errno;
}

static int check_access(unsigned access)
{
	if (access & ~(unsigned)(ACCESS_KNOWN | ACCESS_OPTIONAL))
		return EOPNOTSUPP;
	if ((access & (IBV_ACCESS_REMOTE_WRITE | IBV_ACCESS_REMOTE_ATOMIC)) &&
	        !(access & IBV_ACCESS_LOCAL_WRITE))
		return EINVAL;
	return 0;
}

static void mr_leave_hca(struct face_object *object)
{
	struct face_mr *mr =
	        (struct face_mr *)(void *)((char *)object - offsetof(struct face_mr, object));

	/* Only a context that is closed over both leaves a window behind. */
	memory_windows_forget_region(&mr->region);
	memory_keys_remove(face_context(mr->mr.context)->hca->host.keys, &mr->region);
	((struct face_pd *)(void *)mr->mr.pd)->users--;
}

/* Under the lock. */
static int mr_enter_hca(struct face_mr *mr)
{
	struct face_context *context = face_context(mr->mr.context);
	int err = memory_keys_add(context->hca->host.keys, &mr->region);

	if (err)
		return -err;
	mr->mr.lkey = mr->mr.rkey = mr->region.key;
	mr->mr.handle = mr->region.key >> 8;
	((struct face_pd *)(void *)mr->mr.pd)->users++;
	face_object_add(context, &mr->object, mr_leave_hca);
	return 0;
}

static struct ibv_mr *register_memory(
        struct ibv_pd *pd, void *addr, size_t length, uint64_t iova, unsigned access)
{
	uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);
	struct face_mr *mr;
	int err = check_access(access);

	/* The kernel's rule: pages are mapped whole. */
	if (!err && (iova ^ (uintptr_t)addr) & (page - 1))
		err = EINVAL;
	if (!err)
		err = populate(addr, length, access);
	mr = err ? NULL : calloc(1, sizeof(*mr));
	if (!err && !mr)
		err = ENOMEM;
	if (!err)
		err = face_lock(pd->context);
	if (!err) {
		mr->mr = (struct ibv_mr){
		        .context = pd->context, .pd = pd, .addr = addr, .length = length};
		mr->region = (struct memory_region){.access = access,
		        .pd = ((struct face_pd *)(void *)pd)->root,
		        .address = access & IBV_ACCESS_ZERO_BASED ? 0 : iova,
		        .length = length,
		        .memory = addr};
		err = mr_enter_hca(mr);
		hca_unlock();
	}
	if (!err)
		return &mr->mr;
	free(mr);
	errno = err;
	return NULL;
}

ENTRY struct ibv_mr *ibv_reg_mr_iova2(
        struct ibv_pd *pd, void *addr, size_t length, uint64_t iova, unsigned access)
{
	return register_memory(pd, addr, length, iova, access);
}

ENTRY struct ibv_mr *ibv_reg_mr(struct ibv_pd *pd, void *addr, size_t length, int access)
{
	return register_memory(pd, addr, length, (uintptr_t)addr, (unsigned)access);
}

ENTRY struct ibv_mr *ibv_reg_mr_iova(
        struct ibv_pd *pd, void *addr, size_t length, uint64_t iova, int access)
{
	return register_memory(pd, addr, length, iova, (unsigned)access);
}

ENTRY int ibv_dereg_mr(struct ibv_mr *public)
{
	struct face_mr *mr = (struct face_mr *)(void *)public;

	if (face_lock_anyhow(public->context)) {
		bool is_used = mr->region.windows;

		if (!is_used) {
			face_object_remove(&mr->object);
			mr_leave_hca(&mr->object);
		}
		hca_unlock();
		if (is_used)
			return EBUSY;
	}
	free(mr);
	return 0;
}

/* What libibverbs sees by itself. */
static bool rereg_makes_sense(int flags, const struct ibv_pd *pd, const void *addr, size_t length,
        int access, const struct ibv_mr *mr)
{
	if (!flags || (flags & ~IBV_REREG_MR_FLAGS_SUPPORTED))
		return false;
	if ((flags & IBV_REREG_MR_CHANGE_TRANSLATION) && (!addr || !length))
		return false;
	if ((flags & IBV_REREG_MR_CHANGE_PD) && (!pd || pd->context != mr->context))
		return false;
	return !access || (flags & IBV_REREG_MR_CHANGE_ACCESS);
}

/* The region as it will be. Checked first, so that a failure leaves it as it was. */
static int prepare_rereg(const struct face_mr *mr, int flags, struct ibv_pd *pd, void *addr,
        size_t length, int access, struct face_mr *wanted)
{
	struct memory_region *region = &wanted->region;
	bool was_zero_based = mr->region.access & IBV_ACCESS_ZERO_BASED;

	*wanted = *mr;
	if (flags & IBV_REREG_MR_CHANGE_ACCESS)
		region->access = (unsigned)access;
	if (flags & IBV_REREG_MR_CHANGE_TRANSLATION) {
		wanted->mr.addr = region->memory = addr;
		wanted->mr.length = region->length = length;
	}
	if (flags & IBV_REREG_MR_CHANGE_PD) {
		wanted->mr.pd = pd;
		region->pd = ((struct face_pd *)(void *)pd)->root;
	}
	/* An iova of its own lasts as long as the place does. */
	if (region->access & IBV_ACCESS_ZERO_BASED)
		region->address = 0;
	else if (was_zero_based || (flags & IBV_REREG_MR_CHANGE_TRANSLATION))
		region->address = (uintptr_t)wanted->mr.addr;
	if (check_access(region->access))
		return check_access(region->access);
	return populate(region->memory, region->length, region->access);
}

ENTRY int ibv_rereg_mr(
        struct ibv_mr *public, int flags, struct ibv_pd *pd, void *addr, size_t length, int access)
{
	struct face_mr *mr = (struct face_mr *)(void *)public, wanted;

	if (!rereg_makes_sense(flags, pd, addr, length, access, public)) {
		errno = EINVAL;
		return IBV_REREG_MR_ERR_INPUT;
	}
	errno = prepare_rereg(mr, flags, pd, addr, length, access, &wanted);
	if (!errno)
		errno = face_lock(public->context);
	if (errno)
		return IBV_REREG_MR_ERR_CMD;
	if (mr->region.windows) {
		hca_unlock();
		errno = EBUSY;
		return IBV_REREG_MR_ERR_INPUT;
	}
	face_object_remove(&mr->object);
	mr_leave_hca(&mr->object);
	mr->mr = wanted.mr;
	mr->region = wanted.region;
	/* The place just freed is there again, so this cannot fail. */
	mr_enter_hca(mr);
	hca_unlock();
	return 0;
}
