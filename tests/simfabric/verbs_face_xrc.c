/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * XRC domains, and handles of the queue pairs in them. As in the kernel a domain goes by the inode
 * of a file, so that whoever opens the same file gets the same one; without a file it is private.
 * Shared between contexts of this process only: queues and memory of another process cannot be
 * reached from here, so there the same file stands for another domain.
 */
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "simfabric/verbs_face.h"

struct face_xrc_domain {
	struct face_xrc_domain *next; /* of those that have a file */
	const struct hca *hca;
	int fd; /* holds the inode, whose number would be given to another file; -1: private */
	dev_t device;
	ino_t inode;
	unsigned handles;
};

/* Under the HCA's lock. */
static struct face_xrc_domain *domains;

static struct face_xrcd *face_xrcd(struct ibv_xrcd *xrcd)
{
	return (struct face_xrcd *)(void *)xrcd;
}

static struct face_xrc_domain **find_domain(const struct hca *hca, const struct stat *file)
{
	struct face_xrc_domain **at = &domains;

	while (*at && ((*at)->hca != hca || (*at)->device != file->st_dev ||
	                      (*at)->inode != file->st_ino))
		at = &(*at)->next;
	return at;
}

static struct face_xrc_domain *make_domain(const struct hca *hca, int fd)
{
	struct face_xrc_domain *domain = calloc(1, sizeof(*domain));

	if (!domain)
		return NULL;
	domain->hca = hca;
	domain->fd = fd < 0 ? -1 : fcntl(fd, F_DUPFD_CLOEXEC, 3);
	if (fd < 0 || domain->fd >= 0)
		return domain;
	free(domain);
	return NULL;
}

/* The domain of @fd's file. EAGAIN: there is none and none shall be made, as the kernel says it. */
static int open_shared(const struct hca *hca, int fd, int oflags, struct face_xrc_domain **domain)
{
	struct face_xrc_domain **at;
	struct stat file;

	if (fstat(fd, &file))
		return EBADF;
	at = find_domain(hca, &file);
	if (*at) {
		*domain = *at;
		return oflags & O_EXCL ? EINVAL : 0;
	}
	if (!(oflags & O_CREAT))
		return EAGAIN;
	*at = *domain = make_domain(hca, fd);
	if (!*domain)
		return ENOMEM;
	(*domain)->device = file.st_dev;
	(*domain)->inode = file.st_ino;
	return 0;
}

static void let_go(struct face_xrc_domain *domain)
{
	struct face_xrc_domain **at = &domains;

	if (--domain->handles)
		return;
	while (*at && *at != domain)
		at = &(*at)->next;
	if (*at)
		*at = domain->next;
	if (domain->fd >= 0)
		close(domain->fd);
	free(domain);
}

static void xrcd_leave_hca(struct face_object *object)
{
	struct face_xrcd *xrcd =
	        (struct face_xrcd *)(void *)((char *)object - offsetof(struct face_xrcd, object));

	let_go(xrcd->domain);
}

/* Under the lock. */
static int xrcd_enter_hca(struct face_xrcd *xrcd, const struct ibv_xrcd_init_attr *attr)
{
	struct face_context *context = face_context(xrcd->xrcd.context);
	int err = 0;

	if (attr->fd >= 0)
		err = open_shared(context->hca, attr->fd, attr->oflags, &xrcd->domain);
	else if (!(xrcd->domain = make_domain(context->hca, -1)))
		err = ENOMEM;
	if (err)
		return err;
	xrcd->domain->handles++;
	face_object_add(context, &xrcd->object, xrcd_leave_hca);
	return 0;
}

struct ibv_xrcd *face_open_xrcd(struct ibv_context *context, struct ibv_xrcd_init_attr *attr)
{
	const uint32_t needed = IBV_XRCD_INIT_ATTR_FD | IBV_XRCD_INIT_ATTR_OFLAGS;
	struct face_xrcd *xrcd;
	int err;

	if (attr->comp_mask != needed) {
		errno = attr->comp_mask & ~needed ? EOPNOTSUPP : EINVAL;
		return NULL;
	}
	xrcd = calloc(1, sizeof(*xrcd));
	if (!xrcd)
		return NULL;
	xrcd->xrcd.context = context;
	err = face_lock(context);
	if (!err) {
		err = xrcd_enter_hca(xrcd, attr);
		hca_unlock();
	}
	if (!err)
		return &xrcd->xrcd;
	free(xrcd);
	errno = err;
	return NULL;
}

int face_close_xrcd(struct ibv_xrcd *public)
{
	struct face_xrcd *xrcd = face_xrcd(public);

	if (face_lock_anyhow(public->context)) {
		bool is_used = xrcd->users;

		if (!is_used) {
			face_object_remove(&xrcd->object);
			xrcd_leave_hca(&xrcd->object);
		}
		hca_unlock();
		if (is_used)
			return EBUSY;
	}
	free(xrcd);
	return 0;
}

/* ---- opened queue pairs ---- */

/* Under the lock. */
static struct face_qp *find_target(const struct face_xrcd *xrcd, uint32_t qpn)
{
	struct hca_queue_pair *qp = xrcd->domain->hca->queue_pairs;

	while (qp && (qp->engine.qpn != qpn || qp->engine.xrc_domain != xrcd->domain))
		qp = qp->next_of_hca;
	return qp ? (struct face_qp *)(void *)((char *)qp - offsetof(struct face_qp, hca)) : NULL;
}

static int check_open_attr(const struct ibv_qp_open_attr *attr)
{
	const uint32_t needed =
	        IBV_QP_OPEN_ATTR_NUM | IBV_QP_OPEN_ATTR_XRCD | IBV_QP_OPEN_ATTR_TYPE;

	if (attr->comp_mask & ~(needed | IBV_QP_OPEN_ATTR_CONTEXT))
		return EOPNOTSUPP;
	if ((attr->comp_mask & needed) != needed || !attr->xrcd)
		return EINVAL;
	return attr->qp_type == IBV_QPT_XRC_RECV ? 0 : EINVAL;
}

struct ibv_qp *face_open_qp(struct ibv_context *context, struct ibv_qp_open_attr *attr)
{
	struct ibv_qp_init_attr_ex init_attr = {
	        .qp_type = IBV_QPT_XRC_RECV, .comp_mask = IBV_QP_INIT_ATTR_XRCD};
	struct face_qp *qp = NULL, *target;
	int err = check_open_attr(attr);

	init_attr.xrcd = attr->xrcd;
	if (attr->comp_mask & IBV_QP_OPEN_ATTR_CONTEXT)
		init_attr.qp_context = attr->qp_context;
	if (!err && !(qp = face_make_qp(context, &init_attr)))
		err = ENOMEM;
	if (!err)
		err = face_lock(context);
	if (!err) {
		target = find_target(qp->xrcd, attr->qp_num);
		if (target)
			face_open_handle(qp, target);
		else
			err = EINVAL;
		hca_unlock();
	}
	if (!err)
		return &qp->qp;
	free(qp);
	errno = err;
	return NULL;
}
