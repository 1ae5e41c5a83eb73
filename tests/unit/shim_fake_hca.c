/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include "tests/unit/shim_fake_hca.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/queue.h>
#include <unistd.h>

#include "notifier/base/cleanup.h"
#include "preload/real_verbs.h"
#include "tests/unit/shim_fake_events.h"
#include "tests/unit/shim_fake_rarities.h"
#include "tests/unit/shim_fake_tables.h"

enum { SLOTS = 4, QUEUE = 256, MAX_SGE = 4, MAX_INLINE = 64 };
/* In fields of a completion that nobody has filled. */
enum { UNDEFINED = 0x5b5b5b5b };

struct fake fake;

struct hca {
	struct ibv_device device;
	uint16_t lid;
	uint64_t guid;
	uint32_t next_number; /* of queue pairs and keys: every slot has its own */
};

struct fake_context {
	struct verbs_context verbs;
	struct hca *hca;
};

struct fake_mr {
	struct ibv_mr mr;
	uint64_t iova;
	int access;
	TAILQ_ENTRY(fake_mr) link;
};

struct fake_ah {
	struct ibv_ah ah;
	struct ibv_ah_attr attr;
};

struct fake_cq {
	struct ibv_cq cq;
	struct ibv_wc ring[4 * QUEUE];
	unsigned head, tail;
	enum fake_arm arm;
};

struct fake_send {
	struct ibv_send_wr wr;
	struct ibv_sge sges[MAX_SGE];
	uint8_t payload[MAX_INLINE];
	uint32_t length, packets;
	struct ibv_ah_attr to; /* of a datagram: the handle may be gone before it is sent */
	bool executed;
};

struct fake_receive {
	uint64_t wr_id;
	struct ibv_sge sges[MAX_SGE];
	int num_sge;
};

struct fake_receive_queue {
	struct fake_receive slots[QUEUE];
	unsigned head, tail;
};

struct fake_xrcd {
	struct ibv_xrcd xrcd;
};

struct fake_srq {
	struct ibv_srq srq;
	struct fake_receive_queue queue;
	uint32_t limit; /* 0: not armed */
	/* Of XRC: */
	struct ibv_xrcd *xrcd;
	struct ibv_cq *cq;
	uint32_t number;
	TAILQ_ENTRY(fake_srq) link;
};

struct fake_qp {
	struct ibv_qp qp;
	struct ibv_qp_attr attr;
	struct hca *hca;
	struct fake_send sends[QUEUE];
	unsigned head, executed, completed; /* completed <= executed <= head */
	unsigned partial;                   /* packets of sends[executed] that were accepted */
	struct fake_receive_queue own, *receives;
	struct fake_receive taken; /* for the message of which a part is there */
	bool has_taken;
	uint32_t expected_psn;
	uint16_t pkey_index;
	bool sig_all;
	bool established;      /* a message has come before RTS */
	struct ibv_xrcd *xrcd; /* of an XRC target */
	TAILQ_ENTRY(fake_qp) link;
};

/* Under fake_lock is everything of the HCA; a post may execute, so it is taken again inside. */

static TAILQ_HEAD(, fake_qp) qps = TAILQ_HEAD_INITIALIZER(qps);
static TAILQ_HEAD(, fake_srq) srqs = TAILQ_HEAD_INITIALIZER(srqs);
static TAILQ_HEAD(, fake_mr) mrs = TAILQ_HEAD_INITIALIZER(mrs);
static struct hca slots[SLOTS], peer;
static struct {
	struct fake_cq *cq;
	struct ibv_wc wc;
	bool solicited;
} held[QUEUE];
static unsigned held_count;

static struct hca *hca_of(const struct ibv_context *context)
{
	return ((struct fake_context *)((char *)verbs_get_ctx((struct ibv_context *)context) -
	                                offsetof(struct fake_context, verbs)))
	        ->hca;
}

static void hca_init(struct hca *hca, const char *name, uint16_t lid, uint64_t guid, uint32_t base)
{
	*hca = (struct hca){.lid = lid, .guid = guid, .next_number = base};
	strcpy(hca->device.name, name);
	strcpy(hca->device.dev_name, name);
	hca->device.node_type = IBV_NODE_CA;
	hca->device.transport_type = IBV_TRANSPORT_IB;
}

void fake_reset(void)
{
	char name[] = "fake0";

	fake = (struct fake){.post_fails_at = -1,
	        .err_flushes_receives = true,
	        .reset_purges = true,
	        .rq_psn_is_live = true};
	fake_tables_reset();
	for (int i = 0; i < SLOTS; i++, name[4]++)
		hca_init(&slots[i], name, FAKE_LID_VM, 0x1111, 0x1000 * (uint32_t)(i + 1));
	hca_init(&peer, "fakepeer", FAKE_LID_PEER, 0x2222, 0x1040);
	TAILQ_INIT(&qps);
	TAILQ_INIT(&srqs);
	TAILQ_INIT(&mrs);
	held_count = 0;
}

void fake_next_number(uint32_t number)
{
	slots[fake.slot].next_number = number;
}

/* ---- devices ---- */

static struct ibv_device **get_device_list(int *count)
{
	struct ibv_device **list = calloc(3, sizeof(*list));
	int n = 0, slot = __atomic_load_n(&fake.slot, __ATOMIC_RELAXED);

	if (slot >= 0)
		list[n++] = &slots[slot].device;
	if (!fake.peer_is_hidden)
		list[n++] = &peer.device;
	if (count)
		*count = n;
	return list;
}

static void free_device_list(struct ibv_device **list)
{
	free(list);
}

static __be64 get_device_guid(struct ibv_device *device)
{
	return (__be64)((struct hca *)device)->guid;
}

static const char *get_device_name(struct ibv_device *device)
{
	return device->name;
}

static int query_port(
        struct ibv_context *context, uint8_t port, struct ibv_port_attr *attr, size_t size)
{
	struct ibv_port_attr all = {.state = IBV_PORT_ACTIVE,
	        .active_mtu = IBV_MTU_1024,
	        .lid = hca_of(context)->lid,
	        .gid_tbl_len = FAKE_GIDS,
	        .pkey_tbl_len = FAKE_PKEYS,
	        .link_layer = IBV_LINK_LAYER_INFINIBAND};

	if (port != 1)
		return EINVAL;
	memcpy(attr, &all, size < sizeof(all) ? size : sizeof(all));
	return 0;
}

static int query_device(struct ibv_context *context, struct ibv_device_attr *attr)
{
	*attr = (struct ibv_device_attr){.max_qp = 64,
	        .max_qp_wr = QUEUE,
	        .max_sge = MAX_SGE,
	        .max_cqe = 4 * QUEUE,
	        .phys_port_cnt = 1};
	return 0;
}

bool fake_is_vm(const struct ibv_context *context)
{
	return hca_of((struct ibv_context *)context) != &peer;
}

static int post_send(struct ibv_qp *, struct ibv_send_wr *, struct ibv_send_wr **);
static int post_recv(struct ibv_qp *, struct ibv_recv_wr *, struct ibv_recv_wr **);
static int post_srq_recv(struct ibv_srq *, struct ibv_recv_wr *, struct ibv_recv_wr **);
static int poll_cq(struct ibv_cq *, int, struct ibv_wc *);
static struct ibv_xrcd *open_xrcd(struct ibv_context *, struct ibv_xrcd_init_attr *);
static int close_xrcd(struct ibv_xrcd *);
static struct ibv_srq *create_srq_ex(struct ibv_context *, struct ibv_srq_init_attr_ex *);
static int get_srq_num(struct ibv_srq *, uint32_t *);
static struct ibv_qp *create_qp_ex(struct ibv_context *, struct ibv_qp_init_attr_ex *);

static int req_notify_cq(struct ibv_cq *, int);

static bool is_present(const struct ibv_device *device)
{
	return device == &peer.device || (fake.slot >= 0 && device == &slots[fake.slot].device);
}

static struct ibv_context *open_device(struct ibv_device *device)
{
	struct fake_context *context = calloc(1, sizeof(*context));
	struct ibv_context *shown = &context->verbs.context;

	LOCK_GUARD(&fake_lock);
	if (fake.opens_no_more || !is_present(device)) {
		free(context);
		errno = fake.opens_no_more ? EPERM : ENODEV;
		return NULL;
	}
	context->hca = (struct hca *)device;
	context->verbs.sz = sizeof(context->verbs);
	context->verbs.query_port = query_port;
	context->verbs.advise_mr = fake_advise_mr;
	context->verbs.open_xrcd = open_xrcd;
	context->verbs.close_xrcd = close_xrcd;
	context->verbs.create_srq_ex = create_srq_ex;
	context->verbs.get_srq_num = get_srq_num;
	context->verbs.create_qp_ex = create_qp_ex;
	context->verbs.query_device_ex = fake.offers ? fake_query_device_ex : NULL;
	shown->abi_compat = __VERBS_ABI_IS_EXTENDED;
	shown->device = device;
	shown->num_comp_vectors = 1;
	shown->async_fd = eventfd(0, EFD_SEMAPHORE | EFD_CLOEXEC);
	shown->ops.post_send = post_send;
	shown->ops.post_recv = post_recv;
	shown->ops.post_srq_recv = post_srq_recv;
	shown->ops.poll_cq = poll_cq;
	shown->ops.req_notify_cq = req_notify_cq;
	fake.opens++;
	fake.live_objects++;
	return shown;
}

static int close_device(struct ibv_context *context)
{
	LOCK_GUARD(&fake_lock);
	fake_forget_reader(context);
	close(context->async_fd);
	free((char *)verbs_get_ctx(context) - offsetof(struct fake_context, verbs));
	fake.closes++;
	fake.live_objects--;
	return 0;
}

/* ---- memory ---- */

static struct ibv_pd *alloc_pd(struct ibv_context *context)
{
	struct ibv_pd *pd = calloc(1, sizeof(*pd));

	pd->context = context;
	fake.live_objects++;
	return pd;
}

static int object_free(void *object)
{
	free(object);
	fake.live_objects--;
	return 0;
}

static int dealloc_pd(struct ibv_pd *pd)
{
	return object_free(pd);
}

static struct ibv_mr *reg_mr_iova2(
        struct ibv_pd *pd, void *addr, size_t length, uint64_t iova, unsigned access)
{
	struct fake_mr *mr = calloc(1, sizeof(*mr));
	uint32_t key = hca_of(pd->context)->next_number++;

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

static struct ibv_mr *reg_mr(struct ibv_pd *pd, void *addr, size_t length, int access)
{
	return reg_mr_iova2(pd, addr, length, (uintptr_t)addr, (unsigned)access);
}

static int dereg_mr(struct ibv_mr *mr)
{
	LOCK_GUARD(&fake_lock);
	TAILQ_REMOVE(&mrs, (struct fake_mr *)mr, link);
	return object_free(mr);
}

static int rereg_mr(
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
		shown->lkey = shown->rkey = hca_of(shown->context)->next_number++;
	return 0;
}

/* Where @key of @hca allows it; NULL: nowhere. */
static uint8_t *resolve(const struct hca *hca, uint32_t key, uint64_t addr, uint32_t length)
{
	struct fake_mr *mr;

	TAILQ_FOREACH(mr, &mrs, link)
	{
		if (mr->mr.lkey == key && hca_of(mr->mr.context) == hca && addr >= mr->iova &&
		        addr + length <= mr->iova + mr->mr.length)
			return (uint8_t *)mr->mr.addr + (addr - mr->iova);
	}
	return NULL;
}

/* ---- completion queues ---- */

static struct ibv_cq *create_cq(struct ibv_context *context, int cqe, void *cq_context,
        struct ibv_comp_channel *channel, int vector)
{
	struct fake_cq *cq = calloc(1, sizeof(*cq));

	cq->cq.context = context;
	cq->cq.cq_context = cq_context;
	cq->cq.cqe = cqe;
	cq->cq.channel = channel;
	pthread_mutex_init(&cq->cq.mutex, NULL);
	pthread_cond_init(&cq->cq.cond, NULL);
	LOCK_GUARD(&fake_lock);
	if (channel)
		channel->refcnt++;
	fake.live_objects++;
	return &cq->cq;
}

static int resize_cq(struct ibv_cq *cq, int cqe)
{
	if (fake.resizes_no_cqs)
		return ENOMEM;
	cq->cqe = cqe;
	return 0;
}

static int destroy_cq(struct ibv_cq *cq)
{
	unsigned kept = 0;

	fake_forget_events(
	        cq, &cq->mutex, &cq->cond, &cq->comp_events_completed, &cq->async_events_completed);
	LOCK_GUARD(&fake_lock);
	if (cq->channel)
		cq->channel->refcnt--;
	for (unsigned i = 0; i < held_count; i++) {
		if (held[i].cq != (struct fake_cq *)cq)
			held[kept++] = held[i];
	}
	held_count = kept;
	return object_free(cq);
}

static void push(struct ibv_cq *shown, const struct ibv_wc *wc, bool solicited)
{
	struct fake_cq *cq = (struct fake_cq *)shown;

	cq->ring[cq->head++ % (4 * QUEUE)] = *wc;
	fake_completion_event(shown, &cq->arm, solicited || wc->status);
}

static int req_notify_cq(struct ibv_cq *shown, int solicited_only)
{
	struct fake_cq *cq = (struct fake_cq *)shown;

	LOCK_GUARD(&fake_lock);
	if (cq->arm != FAKE_ARMED_ALL)
		cq->arm = solicited_only ? FAKE_ARMED_SOLICITED : FAKE_ARMED_ALL;
	return 0;
}

static void inside(void)
{
	void (*call)(void) = __atomic_exchange_n(&fake.inside, NULL, __ATOMIC_RELAXED);

	if (call)
		call();
}

static int poll_cq(struct ibv_cq *shown, int count, struct ibv_wc *wc)
{
	struct fake_cq *cq = (struct fake_cq *)shown;
	int got = 0;

	inside();
	LOCK_GUARD(&fake_lock);
	while (got < count && cq->tail != cq->head)
		wc[got++] = cq->ring[cq->tail++ % (4 * QUEUE)];
	return got;
}

static void purge(struct ibv_cq *shown, uint32_t qp_num)
{
	struct fake_cq *cq = (struct fake_cq *)shown;
	unsigned kept;

	if (!cq)
		return;
	kept = cq->tail;

	for (unsigned i = cq->tail; i != cq->head; i++) {
		if (cq->ring[i % (4 * QUEUE)].qp_num != qp_num)
			cq->ring[kept++ % (4 * QUEUE)] = cq->ring[i % (4 * QUEUE)];
	}
	cq->head = kept;
}

/* ---- queue pairs ---- */

static struct ibv_qp *make_qp(
        struct ibv_context *context, struct ibv_pd *pd, const struct ibv_qp_init_attr *attr)
{
	struct fake_qp *qp = calloc(1, sizeof(*qp));
	struct hca *hca = hca_of(context);

	LOCK_GUARD(&fake_lock);
	if (fake.makes_no_qps) {
		free(qp);
		errno = ENOMEM;
		return NULL;
	}
	qp->qp = (struct ibv_qp){.context = context,
	        .qp_context = attr->qp_context,
	        .pd = pd,
	        .send_cq = attr->send_cq,
	        .recv_cq = attr->recv_cq,
	        .srq = attr->srq,
	        .qp_num = hca->next_number++,
	        .qp_type = attr->qp_type};
	qp->hca = hca;
	qp->sig_all = attr->sq_sig_all;
	pthread_mutex_init(&qp->qp.mutex, NULL);
	pthread_cond_init(&qp->qp.cond, NULL);
	qp->receives = attr->srq ? &((struct fake_srq *)attr->srq)->queue : &qp->own;
	TAILQ_INSERT_TAIL(&qps, qp, link);
	fake.live_objects++;
	return &qp->qp;
}

static struct ibv_qp *create_qp(struct ibv_pd *pd, struct ibv_qp_init_attr *attr)
{
	attr->cap.max_inline_data = MAX_INLINE;
	return make_qp(pd->context, pd, attr);
}

static struct ibv_qp *create_qp_ex(struct ibv_context *context, struct ibv_qp_init_attr_ex *attr)
{
	struct ibv_qp_init_attr plain = {.qp_context = attr->qp_context, .qp_type = attr->qp_type};
	struct ibv_qp *made;

	if (attr->qp_type != IBV_QPT_XRC_RECV || !(attr->comp_mask & IBV_QP_INIT_ATTR_XRCD)) {
		errno = EINVAL;
		return NULL;
	}
	made = make_qp(context, NULL, &plain);
	if (made)
		((struct fake_qp *)made)->xrcd = attr->xrcd;
	return made;
}

static int destroy_qp(struct ibv_qp *shown)
{
	if (fake_groups(shown) || fake.destroys_no_qps)
		return EBUSY;
	fake_forget_events(shown, &shown->mutex, &shown->cond, &shown->events_completed, NULL);
	LOCK_GUARD(&fake_lock);
	TAILQ_REMOVE(&qps, (struct fake_qp *)shown, link);
	if (fake.reset_purges && !((struct fake_qp *)shown)->xrcd) {
		purge(shown->send_cq, shown->qp_num);
		purge(shown->recv_cq, shown->qp_num);
	}
	return object_free(shown);
}

/* Push it, or keep it back: a completion that is late. */
static void push_late(struct ibv_cq *cq, const struct ibv_wc *wc, bool solicited, bool keep)
{
	if (!keep) {
		push(cq, wc, solicited);
		return;
	}
	held[held_count].cq = (struct fake_cq *)cq;
	held[held_count].solicited = solicited;
	held[held_count++].wc = *wc;
}

static void release_held(void)
{
	for (unsigned i = 0; i < held_count; i++)
		push(&held[i].cq->cq, &held[i].wc, held[i].solicited);
	held_count = 0;
}

void fake_release_receives(void)
{
	release_held();
	fake.hold_receives = false;
}

void fake_release_flushes(void)
{
	release_held();
	fake.hold_flushes = false;
}

static void complete_send(struct fake_qp *qp, enum ibv_wc_status status)
{
	struct fake_send *send = &qp->sends[qp->completed++ % QUEUE];
	struct ibv_wc wc = {.wr_id = send->wr.wr_id,
	        .status = status,
	        .opcode = send->wr.opcode == IBV_WR_RDMA_READ ? IBV_WC_RDMA_READ : IBV_WC_SEND,
	        .qp_num = qp->qp.qp_num};

	if (status || qp->sig_all || send->wr.send_flags & IBV_SEND_SIGNALED)
		push_late(qp->qp.send_cq, &wc, false,
		        fake.hold_flushes && status == IBV_WC_WR_FLUSH_ERR);
}

static void last_wqe_reached(struct fake_qp *qp)
{
	if (qp->qp.srq && qp->qp.state != IBV_QPS_ERR)
		fake_async_event(
		        qp->qp.context, (struct ibv_async_event){.element.qp = &qp->qp,
		                                .event_type = IBV_EVENT_QP_LAST_WQE_REACHED});
}

static bool is_unreliable(const struct fake_qp *qp)
{
	return qp->qp.qp_type == IBV_QPT_UC || qp->qp.qp_type == IBV_QPT_UD;
}

static void flush(struct fake_qp *qp)
{
	/* What needs no acknowledgement was done when it was sent. */
	while (is_unreliable(qp) && qp->completed != qp->executed)
		complete_send(qp, IBV_WC_SUCCESS);
	while (qp->completed != qp->head)
		complete_send(qp, IBV_WC_WR_FLUSH_ERR);
	qp->executed = qp->head;
	if (qp->has_taken) {
		struct ibv_wc wc = {.wr_id = qp->taken.wr_id,
		        .status = IBV_WC_WR_FLUSH_ERR,
		        .qp_num = qp->qp.qp_num};

		push_late(qp->qp.recv_cq, &wc, false, fake.hold_flushes);
		qp->has_taken = false;
	}
	while (fake.err_flushes_receives && !qp->qp.srq &&
	        qp->receives->tail != qp->receives->head) {
		struct ibv_wc wc = {
		        .wr_id = qp->receives->slots[qp->receives->tail++ % QUEUE].wr_id,
		        .status = IBV_WC_WR_FLUSH_ERR,
		        .qp_num = qp->qp.qp_num};

		push_late(qp->qp.recv_cq, &wc, false, fake.hold_flushes);
	}
}

static void forget(struct fake_qp *qp)
{
	qp->completed = qp->executed = qp->head;
	qp->partial = 0;
	qp->has_taken = false;
	if (!qp->qp.srq)
		qp->receives->tail = qp->receives->head;
	if (fake.reset_purges && !qp->xrcd) {
		purge(qp->qp.send_cq, qp->qp.qp_num);
		purge(qp->qp.recv_cq, qp->qp.qp_num);
	}
}

static int modify_qp(struct ibv_qp *shown, struct ibv_qp_attr *attr, int mask)
{
	struct fake_qp *qp = (struct fake_qp *)shown;

	LOCK_GUARD(&fake_lock);
	if (!(mask & IBV_QP_STATE))
		return 0;
	switch (attr->qp_state) {
	case IBV_QPS_RESET:
		if (shown == fake.does_not_reset)
			return EIO;
		forget(qp);
		break;
	case IBV_QPS_INIT:
		if (shown->state != IBV_QPS_RESET || attr->port_num != 1)
			return EINVAL;
		qp->attr = *attr;
		qp->pkey_index = attr->pkey_index;
		break;
	case IBV_QPS_RTR:
		if (shown->state != IBV_QPS_INIT)
			return EINVAL;
		if (shown->qp_type == IBV_QPT_UD)
			break;
		qp->established = false;
		qp->expected_psn = attr->rq_psn;
		qp->attr = *attr;
		break;
	case IBV_QPS_RTS:
		if (shown->state != IBV_QPS_RTR && shown->state != IBV_QPS_SQD)
			return EINVAL;
		break;
	case IBV_QPS_SQD:
		if (shown->state != IBV_QPS_RTS)
			return EINVAL;
		break;
	case IBV_QPS_ERR:
		if (shown->state == IBV_QPS_RESET)
			return EINVAL;
		flush(qp);
		last_wqe_reached(qp);
		break;
	default:
		return EINVAL;
	}
	shown->state = attr->qp_state;
	return 0;
}

uint16_t fake_qp_pkey_index(const struct ibv_qp *real_qp)
{
	return ((const struct fake_qp *)real_qp)->pkey_index;
}

const struct ibv_ah_attr *fake_qp_ah_attr(const struct ibv_qp *real_qp)
{
	return &((const struct fake_qp *)real_qp)->attr.ah_attr;
}

static int query_qp(
        struct ibv_qp *shown, struct ibv_qp_attr *attr, int mask, struct ibv_qp_init_attr *init)
{
	struct fake_qp *qp = (struct fake_qp *)shown;

	LOCK_GUARD(&fake_lock);
	*attr = qp->attr;
	attr->qp_state = shown->state;
	attr->rq_psn = fake.rq_psn_is_live ? qp->expected_psn : 0;
	memset(init, 0, sizeof(*init));
	return 0;
}

static void take_sges(struct ibv_sge *to, const struct ibv_sge *from, int count)
{
	for (int i = 0; i < count && i < MAX_SGE; i++)
		to[i] = from[i];
}

static void queue_send(struct fake_qp *qp, const struct ibv_send_wr *wr)
{
	struct fake_send *send = &qp->sends[qp->head++ % QUEUE];

	*send = (struct fake_send){.wr = *wr};
	take_sges(send->sges, wr->sg_list, wr->num_sge);
	for (int i = 0; i < wr->num_sge; i++)
		send->length += wr->sg_list[i].length;
	if (wr->send_flags & IBV_SEND_INLINE && wr->num_sge)
		memcpy(send->payload, (void *)(uintptr_t)wr->sg_list[0].addr, send->length);
	if (qp->qp.qp_type == IBV_QPT_UD)
		send->to = ((struct fake_ah *)wr->wr.ud.ah)->attr;
	send->packets = send->length > FAKE_MTU ? (send->length + FAKE_MTU - 1) / FAKE_MTU : 1;
}

static int post_send(struct ibv_qp *shown, struct ibv_send_wr *wr, struct ibv_send_wr **bad)
{
	struct fake_qp *qp = (struct fake_qp *)shown;

	inside();
	LOCK_GUARD(&fake_lock);
	for (int i = 0; wr; wr = wr->next, i++) {
		if (i == fake.post_fails_at || shown->state < IBV_QPS_RTS) {
			*bad = wr;
			return ENOMEM;
		}
		queue_send(qp, wr);
	}
	if (shown->state == IBV_QPS_ERR)
		flush(qp);
	else if (fake.automatic)
		fake_execute(shown, QUEUE, true);
	return 0;
}

static int queue_receive(struct fake_receive_queue *queue, const struct ibv_recv_wr *wr)
{
	struct fake_receive *receive = &queue->slots[queue->head++ % QUEUE];

	receive->wr_id = wr->wr_id;
	receive->num_sge = wr->num_sge;
	take_sges(receive->sges, wr->sg_list, wr->num_sge);
	return 0;
}

static int post_recv(struct ibv_qp *shown, struct ibv_recv_wr *wr, struct ibv_recv_wr **bad)
{
	struct fake_qp *qp = (struct fake_qp *)shown;

	LOCK_GUARD(&fake_lock);
	for (; wr; wr = wr->next)
		queue_receive(qp->receives, wr);
	if (shown->state == IBV_QPS_ERR)
		flush(qp);
	return 0;
}

static struct ibv_ah *create_ah(struct ibv_pd *pd, struct ibv_ah_attr *attr)
{
	struct fake_ah *ah = calloc(1, sizeof(*ah));

	ah->ah.context = pd->context;
	ah->ah.pd = pd;
	ah->attr = *attr;
	fake.live_objects++;
	return &ah->ah;
}

const struct ibv_ah_attr *fake_ah_attr(const struct ibv_ah *real_ah)
{
	return &((const struct fake_ah *)real_ah)->attr;
}

static int destroy_ah(struct ibv_ah *ah)
{
	return object_free(ah);
}

static struct ibv_srq *create_srq(struct ibv_pd *pd, struct ibv_srq_init_attr *attr)
{
	struct fake_srq *srq = calloc(1, sizeof(*srq));

	srq->srq.context = pd->context;
	srq->srq.pd = pd;
	srq->srq.srq_context = attr->srq_context;
	pthread_mutex_init(&srq->srq.mutex, NULL);
	pthread_cond_init(&srq->srq.cond, NULL);
	TAILQ_INSERT_TAIL(&srqs, srq, link);
	fake.live_objects++;
	return &srq->srq;
}

static int destroy_srq(struct ibv_srq *srq)
{
	fake_forget_events(srq, &srq->mutex, &srq->cond, &srq->events_completed, NULL);
	LOCK_GUARD(&fake_lock);
	TAILQ_REMOVE(&srqs, (struct fake_srq *)srq, link);
	return object_free(srq);
}

static struct ibv_xrcd *open_xrcd(struct ibv_context *context, struct ibv_xrcd_init_attr *attr)
{
	struct fake_xrcd *xrcd = calloc(1, sizeof(*xrcd));

	xrcd->xrcd.context = context;
	fake.xrcd_fd = attr->fd;
	fake.xrcd_oflags = attr->oflags;
	fake.live_objects++;
	return &xrcd->xrcd;
}

static int close_xrcd(struct ibv_xrcd *xrcd)
{
	return object_free(xrcd);
}

static struct ibv_srq *create_srq_ex(struct ibv_context *context, struct ibv_srq_init_attr_ex *attr)
{
	struct ibv_srq_init_attr plain = {attr->srq_context, attr->attr};
	struct fake_srq *srq = (struct fake_srq *)create_srq(attr->pd, &plain);

	LOCK_GUARD(&fake_lock);
	srq->xrcd = attr->xrcd;
	srq->cq = attr->cq;
	srq->number = hca_of(context)->next_number++;
	return &srq->srq;
}

static int get_srq_num(struct ibv_srq *srq, uint32_t *number)
{
	*number = ((struct fake_srq *)srq)->number;
	return 0;
}

static void check_limit(struct fake_srq *srq)
{
	if (!srq->limit || srq->queue.head - srq->queue.tail >= srq->limit)
		return;
	srq->limit = 0;
	fake_async_event(srq->srq.context, (struct ibv_async_event){.element.srq = &srq->srq,
	                                           .event_type = IBV_EVENT_SRQ_LIMIT_REACHED});
}

static int modify_srq(struct ibv_srq *shown, struct ibv_srq_attr *attr, int mask)
{
	struct fake_srq *srq = (struct fake_srq *)shown;

	LOCK_GUARD(&fake_lock);
	if (mask & IBV_SRQ_LIMIT) {
		srq->limit = attr->srq_limit;
		check_limit(srq);
	}
	return 0;
}

static int query_srq(struct ibv_srq *srq, struct ibv_srq_attr *attr)
{
	LOCK_GUARD(&fake_lock);
	*attr = (struct ibv_srq_attr){.srq_limit = ((struct fake_srq *)srq)->limit};
	return 0;
}

static int post_srq_recv(struct ibv_srq *srq, struct ibv_recv_wr *wr, struct ibv_recv_wr **bad)
{
	LOCK_GUARD(&fake_lock);
	for (; wr; wr = wr->next)
		queue_receive(&((struct fake_srq *)srq)->queue, wr);
	return 0;
}

/* ---- the wire ---- */

static struct fake_qp *responder_of(const struct fake_qp *qp)
{
	struct fake_qp *other;

	TAILQ_FOREACH(other, &qps, link)
	{
		if (other->qp.qp_num == qp->attr.dest_qp_num &&
		        other->hca->lid == qp->attr.ah_attr.dlid &&
		        other->attr.dest_qp_num == qp->qp.qp_num &&
		        other->qp.state >= IBV_QPS_RTR && other->qp.state <= IBV_QPS_SQD)
			return other;
	}
	return NULL;
}

/* Who hears a datagram; NULL: nobody. */
static struct fake_qp *hearer_of(const struct fake_send *send)
{
	struct fake_qp *other;

	TAILQ_FOREACH(other, &qps, link)
	{
		if (other->qp.qp_num == send->wr.wr.ud.remote_qpn &&
		        other->qp.qp_type == IBV_QPT_UD && other->hca->lid == send->to.dlid &&
		        other->attr.qkey == send->wr.wr.ud.remote_qkey &&
		        other->qp.state >= IBV_QPS_RTR && other->qp.state <= IBV_QPS_SQD &&
		        other->receives->tail != other->receives->head)
			return other;
	}
	return NULL;
}

/* Bytes of @send from or to its buffers, one after the other. False: a key does not allow it. */
static bool copy_local(const struct fake_qp *qp, struct fake_send *send, uint8_t *data, bool out)
{
	if (send->wr.send_flags & IBV_SEND_INLINE) {
		memcpy(data, send->payload, send->length);
		return true;
	}
	for (int i = 0; i < send->wr.num_sge; i++) {
		const struct ibv_sge *sge = &send->sges[i];
		uint8_t *at = resolve(qp->hca, sge->lkey, sge->addr, sge->length);

		if (!at)
			return false;
		if (out)
			memcpy(data, at, sge->length);
		else
			memcpy(at, data, sge->length);
		data += sge->length;
	}
	return true;
}

static void receive_complete(
        struct fake_qp *to, const struct fake_receive *receive, const struct fake_send *send)
{
	struct ibv_wc wc = {.wr_id = receive->wr_id,
	        .opcode = IBV_WC_RECV,
	        .byte_len = send->length,
	        .imm_data = send->wr.imm_data,
	        .qp_num = to->qp.qp_num,
	        .src_qp = UNDEFINED};

	push_late(
	        to->qp.recv_cq, &wc, send->wr.send_flags & IBV_SEND_SOLICITED, fake.hold_receives);
}

static bool takes_receive(const struct fake_send *send)
{
	return send->wr.opcode == IBV_WR_SEND || send->wr.opcode == IBV_WR_SEND_WITH_IMM ||
	       send->wr.opcode == IBV_WR_RDMA_WRITE_WITH_IMM;
}

/* An XRC target receives into what the sender names. False: it may not. */
static bool aim(struct fake_qp *to, const struct fake_send *send)
{
	struct fake_srq *srq;

	TAILQ_FOREACH(srq, &srqs, link)
	{
		if (srq->xrcd != to->xrcd || srq->number != send->wr.qp_type.xrc.remote_srqn)
			continue;
		to->receives = &srq->queue;
		to->qp.srq = &srq->srq;
		to->qp.recv_cq = srq->cq;
		return true;
	}
	return false;
}

static void take_receive(struct fake_qp *to)
{
	if (to->has_taken)
		return;
	to->taken = to->receives->slots[to->receives->tail++ % QUEUE];
	to->has_taken = true;
	if (to->qp.srq)
		check_limit((struct fake_srq *)to->qp.srq);
}

static bool execute_send(struct fake_qp *to, struct fake_send *send, const uint8_t *data)
{
	struct fake_receive receive;

	take_receive(to);
	receive = to->taken;
	to->has_taken = false;
	if (send->length) {
		uint8_t *at =
		        resolve(to->hca, receive.sges[0].lkey, receive.sges[0].addr, send->length);

		if (!at)
			return false;
		memcpy(at, data, send->length);
	}
	receive_complete(to, &receive, send);
	return true;
}

static bool execute_atomic(struct fake_qp *to, struct fake_send *send, uint8_t *data)
{
	uint64_t *at = (uint64_t *)(void *)resolve(
	        to->hca, send->wr.wr.atomic.rkey, send->wr.wr.atomic.remote_addr, 8);
	uint64_t was;

	if (!at)
		return false;
	was = *at;
	if (send->wr.opcode == IBV_WR_ATOMIC_FETCH_AND_ADD)
		*at += send->wr.wr.atomic.compare_add;
	else if (was == send->wr.wr.atomic.compare_add)
		*at = send->wr.wr.atomic.swap;
	memcpy(data, &was, sizeof(was));
	return true;
}

/* At the responder; what a READ or an atomic brings is in @data. */
static bool execute_at(struct fake_qp *to, struct fake_send *send, uint8_t *data)
{
	uint8_t *at;

	switch (send->wr.opcode) {
	case IBV_WR_SEND:
	case IBV_WR_SEND_WITH_IMM:
		return execute_send(to, send, data);
	case IBV_WR_ATOMIC_FETCH_AND_ADD:
	case IBV_WR_ATOMIC_CMP_AND_SWP:
		return execute_atomic(to, send, data);
	default:
		break;
	}
	at = resolve(to->hca, send->wr.wr.rdma.rkey, send->wr.wr.rdma.remote_addr, send->length);
	if (!at)
		return false;
	if (send->wr.opcode == IBV_WR_RDMA_READ) {
		memcpy(data, at, send->length);
		return true;
	}
	memcpy(at, data, send->length);
	if (send->wr.opcode == IBV_WR_RDMA_WRITE_WITH_IMM) {
		take_receive(to);
		receive_complete(to, &to->taken, send);
		to->has_taken = false;
	}
	return true;
}

static bool has_answer(const struct fake_send *send)
{
	return send->wr.opcode == IBV_WR_RDMA_READ ||
	       send->wr.opcode == IBV_WR_ATOMIC_FETCH_AND_ADD ||
	       send->wr.opcode == IBV_WR_ATOMIC_CMP_AND_SWP;
}

static void fail(struct fake_qp *qp, enum ibv_wc_status status)
{
	complete_send(qp, status);
	last_wqe_reached(qp);
	qp->qp.state = IBV_QPS_ERR;
	flush(qp);
}

void fake_acknowledge(const struct ibv_qp *shown)
{
	struct fake_qp *qp = (struct fake_qp *)shown;

	while (qp->completed != qp->executed)
		complete_send(qp, IBV_WC_SUCCESS);
}

/* Behind the 40 bytes of a global route header, which is zeros where there was none. */
static void hear(struct fake_qp *to, const struct fake_qp *from, struct fake_send *send)
{
	struct fake_receive *receive = &to->receives->slots[to->receives->tail++ % QUEUE];
	struct ibv_wc wc = {.wr_id = receive->wr_id,
	        .opcode = IBV_WC_RECV,
	        .byte_len = send->length + sizeof(struct ibv_grh),
	        .imm_data = send->wr.imm_data,
	        .qp_num = to->qp.qp_num,
	        .src_qp = from->qp.qp_num,
	        .slid = from->hca->lid,
	        .wc_flags = send->to.is_global ? IBV_WC_GRH : 0};
	uint8_t *at = resolve(to->hca, receive->sges[0].lkey, receive->sges[0].addr, wc.byte_len);

	if (at) {
		memset(at, 0, sizeof(struct ibv_grh));
		copy_local(from, send, at + sizeof(struct ibv_grh), true);
		push_late(to->qp.recv_cq, &wc, send->wr.send_flags & IBV_SEND_SOLICITED,
		        fake.hold_receives);
	}
}

/* Whoever acknowledges nothing does not know whether anybody has taken it. */
static bool send_unreliably(struct fake_qp *qp, struct fake_qp *to, bool completed)
{
	struct fake_send *send = &qp->sends[qp->executed % QUEUE];
	bool heard = true;

	if (qp->qp.qp_type == IBV_QPT_UD) {
		to = hearer_of(send);
		if (to)
			hear(to, qp, send);
	} else if (to) {
		heard = !takes_receive(send) || to->receives->tail != to->receives->head;
		to->expected_psn = (to->expected_psn + send->packets) & 0xffffff;
		if (heard) {
			uint8_t *data = calloc(1, send->length + 8u);

			copy_local(qp, send, data, true);
			execute_at(to, send, data);
			free(data);
		}
	}
	qp->executed++;
	if (completed)
		fake_acknowledge(&qp->qp);
	return true;
}

static void communication_is_established(struct fake_qp *to)
{
	if (to->qp.state == IBV_QPS_RTR && !to->established)
		fake_async_event(to->qp.context, (struct ibv_async_event){.element.qp = &to->qp,
		                                         .event_type = IBV_EVENT_COMM_EST});
	to->established = true;
}

/* False: it cannot go on. */
static bool execute_one(struct fake_qp *qp, struct fake_qp *to, bool acknowledged)
{
	struct fake_send *send = &qp->sends[qp->executed % QUEUE];
	uint8_t *data;
	bool done;

	if (is_unreliable(qp))
		return send_unreliably(qp, to, acknowledged);
	if (to->xrcd && !aim(to, send)) {
		fail(qp, IBV_WC_REM_INV_REQ_ERR);
		return false;
	}
	if (takes_receive(send) && !to->has_taken && to->receives->tail == to->receives->head)
		return false;
	data = calloc(1, send->length + 8u);
	if (!has_answer(send))
		copy_local(qp, send, data, true);
	done = execute_at(to, send, data);
	if (done) {
		communication_is_established(to);
		to->expected_psn = (to->expected_psn + send->packets - qp->partial) & 0xffffff;
		qp->partial = 0;
		qp->executed++;
		if (acknowledged && has_answer(send))
			copy_local(qp, send, data, false);
		if (acknowledged)
			fake_acknowledge(&qp->qp);
	} else {
		fail(qp, IBV_WC_REM_ACCESS_ERR);
	}
	free(data);
	return done;
}

unsigned fake_execute(const struct ibv_qp *shown, unsigned messages, bool acknowledged)
{
	struct fake_qp *qp = (struct fake_qp *)shown, *to = responder_of(qp);
	unsigned done = 0;

	LOCK_GUARD(&fake_lock);
	while ((to || is_unreliable(qp)) && done < messages && qp->executed != qp->head &&
	        execute_one(qp, to, acknowledged))
		done++;
	return done;
}

static struct fake_qp *any_qp(unsigned *seed)
{
	struct fake_qp *qp;
	unsigned count = 0;

	TAILQ_FOREACH(qp, &qps, link)
	count++;
	if (!count)
		return NULL;
	count = (unsigned)rand_r(seed) % count;
	TAILQ_FOREACH(qp, &qps, link)
	{
		if (!count--)
			break;
	}
	return qp;
}

/* What a READ or an atomic brings is there with its acknowledgement only. */
static void go_on_a_little(struct fake_qp *qp, unsigned *seed)
{
	for (int more = rand_r(seed) % 2; more >= 0 && qp->executed != qp->head; more--)
		fake_execute(&qp->qp, 1,
		        has_answer(&qp->sends[qp->executed % QUEUE]) || rand_r(seed) % 2);
}

void fake_stir(unsigned *seed)
{
	struct fake_qp *qp;

	LOCK_GUARD(&fake_lock);
	qp = any_qp(seed);
	if (!qp || qp->qp.state != IBV_QPS_RTS)
		return;
	if (rand_r(seed) % 4)
		go_on_a_little(qp, seed);
	else
		fake_acknowledge(&qp->qp);
}

void fake_aim(const struct ibv_qp *shown, const struct ibv_qp_attr *attr)
{
	((struct fake_qp *)shown)->attr = *attr;
}

void fake_execute_part(const struct ibv_qp *shown, unsigned packets)
{
	struct fake_qp *qp = (struct fake_qp *)shown, *to = responder_of(qp);

	if (to->xrcd)
		aim(to, &qp->sends[qp->executed % QUEUE]);
	to->expected_psn = (to->expected_psn + packets) & 0xffffff;
	qp->partial += packets;
	/* Of its own queue all others are flushed with it, of a shared one it alone. */
	if (to->qp.srq && takes_receive(&qp->sends[qp->executed % QUEUE]))
		take_receive(to);
}

unsigned fake_pending(const struct ibv_qp *shown)
{
	const struct fake_qp *qp = (const struct fake_qp *)shown;

	return qp->head - qp->executed;
}

unsigned fake_receives(const struct ibv_qp *shown)
{
	const struct fake_qp *qp = (const struct fake_qp *)shown;

	return qp->receives->head - qp->receives->tail;
}

const struct real_verbs *real_verbs(void)
{
	static const struct real_verbs verbs = {
	        .ibv_get_device_list = get_device_list,
	        .ibv_free_device_list = free_device_list,
	        .ibv_get_device_guid = get_device_guid,
	        .ibv_get_device_name = get_device_name,
	        .ibv_open_device = open_device,
	        .ibv_close_device = close_device,
	        .ibv_query_device = query_device,
	        .ibv_query_gid = fake_query_gid,
	        ._ibv_query_gid_ex = fake_query_gid_ex,
	        ._ibv_query_gid_table = fake_query_gid_table,
	        .ibv_query_pkey = fake_query_pkey,
	        .ibv_get_pkey_index = fake_get_pkey_index,
	        .ibv_init_ah_from_wc = fake_init_ah_from_wc,
	        .ibv_alloc_pd = alloc_pd,
	        .ibv_dealloc_pd = dealloc_pd,
	        .ibv_reg_mr = reg_mr,
	        .ibv_reg_mr_iova2 = reg_mr_iova2,
	        .ibv_rereg_mr = rereg_mr,
	        .ibv_dereg_mr = dereg_mr,
	        .ibv_create_cq = create_cq,
	        .ibv_resize_cq = resize_cq,
	        .ibv_destroy_cq = destroy_cq,
	        .ibv_create_qp = create_qp,
	        .ibv_modify_qp = modify_qp,
	        .ibv_query_qp = query_qp,
	        .ibv_destroy_qp = destroy_qp,
	        .ibv_create_ah = create_ah,
	        .ibv_destroy_ah = destroy_ah,
	        .ibv_create_srq = create_srq,
	        .ibv_modify_srq = modify_srq,
	        .ibv_query_srq = query_srq,
	        .ibv_destroy_srq = destroy_srq,
	        .ibv_create_comp_channel = fake_create_comp_channel,
	        .ibv_destroy_comp_channel = fake_destroy_comp_channel,
	        .ibv_get_cq_event = fake_get_cq_event,
	        .ibv_ack_cq_events = fake_ack_cq_events,
	        .ibv_get_async_event = fake_get_async_event,
	        .ibv_ack_async_event = fake_ack_async_event,
	        .ibv_set_ece = fake_set_ece,
	        .ibv_attach_mcast = fake_attach_mcast,
	        .ibv_detach_mcast = fake_detach_mcast,
	        .ibv_import_device = fake_import_device,
	};

	return &verbs;
}
