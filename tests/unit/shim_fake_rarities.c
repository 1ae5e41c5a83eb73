/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include "tests/unit/shim_fake_rarities.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/shim_fake_hca.h"

struct ibv_sge fake_advised;

int fake_advise_mr(struct ibv_pd *pd, enum ibv_advise_mr_advice advice, uint32_t flags,
        struct ibv_sge *sges, uint32_t count)
{
	if (count != 1)
		return EINVAL;
	fake_advised = sges[0];
	return 0;
}

int fake_set_ece(struct ibv_qp *qp, struct ibv_ece *ece)
{
	return 0;
}

static struct {
	const struct ibv_qp *qp;
	union ibv_gid gid;
	uint16_t lid;
} members[8];
enum { MEMBERS = sizeof(members) / sizeof(members[0]) };

static int find_member(const struct ibv_qp *qp, const union ibv_gid *gid, uint16_t lid)
{
	for (int i = 0; i < MEMBERS; i++) {
		if (members[i].qp == qp && members[i].lid == lid &&
		        !memcmp(&members[i].gid, gid, sizeof(*gid)))
			return i;
	}
	return -1;
}

unsigned fake_groups(const struct ibv_qp *qp)
{
	unsigned count = 0;

	for (int i = 0; i < MEMBERS; i++)
		count += members[i].qp == qp;
	return count;
}

int fake_attach_mcast(struct ibv_qp *qp, const union ibv_gid *gid, uint16_t lid)
{
	if (lid == fake.joins_no_group)
		return ENOMEM;
	for (int i = 0; find_member(qp, gid, lid) < 0 && i < MEMBERS; i++) {
		if (members[i].qp)
			continue;
		members[i].qp = qp;
		members[i].gid = *gid;
		members[i].lid = lid;
	}
	return find_member(qp, gid, lid) < 0 ? ENOMEM : 0;
}

int fake_detach_mcast(struct ibv_qp *qp, const union ibv_gid *gid, uint16_t lid)
{
	int at = find_member(qp, gid, lid);

	if (at < 0)
		return EINVAL;
	members[at].qp = NULL;
	return 0;
}

int fake_query_device_ex(struct ibv_context *context, const struct ibv_query_device_ex_input *input,
        struct ibv_device_attr_ex *attr, size_t size)
{
	memcpy(attr, fake.offers, size);
	return 0;
}

struct ibv_context *fake_import_device(int fd)
{
	errno = ENODEV;
	return NULL;
}
