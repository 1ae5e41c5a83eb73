/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include "tests/unit/shim_harness.h"
#include "tests/unit/shim_fake_devices.h"
#include "tests/unit/shim_fake_tables.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <stdlib.h>

#include "notifier/wire/gid_name.h"
#include "preload/agent_link.h"
#include "preload/heard_senders.h"
#include "preload/move.h"
#include "preload/objects.h"
#include "preload/steps.h"

/* No agent: steps are called directly. */
void agent_link_start(void)
{
}

void agent_link_forget_parent(void)
{
	steps_forget();
}

int harness_interest, harness_handles;
void (*harness_registering)(struct remote *remote);

void agent_link_register(struct remote *remote)
{
	harness_interest++;
	if (harness_registering)
		harness_registering(remote);
}

void agent_link_register_datagrams(struct remote *remote)
{
	__atomic_fetch_add(&harness_handles, 1, __ATOMIC_RELAXED);
	if (harness_registering)
		harness_registering(remote);
}

bool agent_link_is_there(void)
{
	return harness_stranger != NULL;
}

void agent_link_wake(void)
{
}

void (*harness_stranger)(uint32_t lid);

void agent_link_await_sender(const struct remote *sender, uint64_t since_ms)
{
	harness_stranger(sender->lid);
	sender_set_known(sender->lid);
}

void agent_link_forget(const struct remote *remote)
{
	__atomic_fetch_sub(&harness_interest, remote->qpn != 0, __ATOMIC_RELAXED);
	__atomic_fetch_sub(&harness_handles, !remote->qpn && remote->lid, __ATOMIC_RELAXED);
}

int harness_announced, harness_contexts, harness_announce_error;
int harness_live_at_withdrawal;

void agent_link_took_numbers(uint32_t lid, const union ibv_gid *gid)
{
}

void agent_link_sender_has_left(uint32_t lid, const union ibv_gid *gid)
{
}

int agent_link_announce(const struct announcement *what)
{
	harness_announced++;
	return harness_announce_error;
}

int agent_link_announce_unasked(const struct announcement *what)
{
	harness_contexts += !what->qpn;
	return 0;
}

int (*harness_awaited)(uint32_t context);

int agent_link_await_announced(uint32_t context)
{
	return harness_awaited ? harness_awaited(context) : 0;
}

void agent_link_withdraw(const struct announcement *what)
{
	harness_live_at_withdrawal = fake.live_objects;
	if (what->qpn)
		harness_announced--;
	else
		harness_contexts--;
}

unsigned harness_partings;
struct pair_names harness_parting;

void agent_link_part(const struct pair_names *names)
{
	harness_partings++;
	harness_parting = *names;
}

struct ibv_qp *real_of(struct ibv_qp *shown)
{
	return queue_pair_of(shown)->real;
}

/* ---- ends ---- */

static bool is_at(struct ibv_context *context, uint16_t lid)
{
	struct ibv_port_attr attr;

	assert_int_equal(___ibv_query_port(context, 1, &attr), 0);
	if (fake.ethernet)
		return fake_is_vm(context_of(context)->real) == (lid == FAKE_LID_VM);
	return attr.lid == lid;
}

static struct ibv_context *open_lid(uint16_t lid)
{
	struct ibv_device **list = ibv_get_device_list(NULL);
	struct ibv_context *found = NULL;

	for (struct ibv_device **d = list; *d && !found; d++) {
		struct ibv_context *context = ibv_open_device(*d);

		assert_non_null(context);
		if (is_at(context, lid))
			found = context;
		else
			ibv_close_device(context);
	}
	ibv_free_device_list(list);
	return found;
}

static bool is_of_kind(const struct ibv_gid_entry *entry, enum harness_gids gids)
{
	return entry->gid_type == IBV_GID_TYPE_ROCE_V2 &&
	       (entry->gid.raw[0] == 0xfe) == (gids == GIDS_LINK_LOCAL);
}

static void end_choose_gid(struct end *end, enum harness_gids gids)
{
	struct ibv_gid_entry entry;

	for (uint32_t i = 0; i < FAKE_GIDS; i++) {
		if (_ibv_query_gid_ex(end->context, 1, i, &entry, 0, sizeof(entry)) ||
		        !is_of_kind(&entry, gids))
			continue;
		end->gid = entry.gid;
		end->gid_index = (uint8_t)i;
		return;
	}
	fail_msg("no such GID");
}

static void end_make(struct end *end, bool with_srq)
{
	struct ibv_srq_init_attr srq = {.attr = {.max_wr = HARNESS_DEPTH, .max_sge = 1}};

	end->memory = calloc(1, HARNESS_BYTES);
	end->pd = ibv_alloc_pd(end->context);
	end->mr = ibv_reg_mr(end->pd, end->memory, HARNESS_BYTES,
	        IBV_ACCESS_LOCAL_WRITE | IBV_ACCESS_REMOTE_WRITE | IBV_ACCESS_REMOTE_READ |
	                IBV_ACCESS_REMOTE_ATOMIC);
	end->channel = end->with_channel ? ibv_create_comp_channel(end->context) : NULL;
	end->cq = ibv_create_cq(end->context, 4 * HARNESS_DEPTH, end, end->channel, 0);
	end->srq = with_srq ? ibv_create_srq(end->pd, &srq) : NULL;
	assert_non_null(end->mr);
	assert_non_null(end->cq);
}

void end_open(struct end *end, uint16_t lid, bool with_srq)
{
	end->context = open_lid(lid);
	assert_non_null(end->context);
	end_make(end, with_srq);
}

enum harness_links harness_link;

const char *const harness_links_names[LINK_COUNT] = {
        [LINK_INFINIBAND] = "on_infiniband",
        [LINK_ETHERNET] = "on_ethernet_by_link_local_gids",
        [LINK_ETHERNET_OF_IPV4] = "on_ethernet_by_gids_of_ipv4",
};

enum harness_ends harness_ends;

const char *const harness_ends_names[ENDS_COUNT] = {
        [ENDS_APART] = "ends_apart",
        [ENDS_IN_VM] = "both_ends_in_the_vm",
        [ENDS_ON_DEVICE] = "both_ends_of_one_open_device",
};

uint32_t harness_vm_lid(const struct harness *h)
{
	return h->ethernet ? gid_name(h->vm.gid.raw) : FAKE_LID_VM;
}

static void peer_open(struct harness *h)
{
	h->peer.shares_context = harness_ends == ENDS_ON_DEVICE;
	if (!h->peer.shares_context) {
		end_open(&h->peer, harness_peer_lid(), h->with_srq);
		return;
	}
	h->peer.context = h->vm.context;
	end_make(&h->peer, h->with_srq);
}

void end_create_qp(struct end *end, const struct harness *h)
{
	struct ibv_qp_init_attr_ex attr = {
	        .send_cq = end->cq,
	        .recv_cq = end->cq,
	        .srq = end->srq,
	        .cap = {.max_send_wr = HARNESS_DEPTH,
	                .max_recv_wr = HARNESS_DEPTH,
	                .max_send_sge = 2,
	                .max_recv_sge = 4},
	        .qp_type = h->type ? h->type : IBV_QPT_RC,
	        .sq_sig_all = h->signal_all,
	        .comp_mask = IBV_QP_INIT_ATTR_PD | IBV_QP_INIT_ATTR_SEND_OPS_FLAGS,
	        .pd = end->pd,
	        .send_ops_flags = h->type == IBV_QPT_UD
	                                  ? IBV_QP_EX_WITH_SEND
	                                  : IBV_QP_EX_WITH_SEND | IBV_QP_EX_WITH_RDMA_WRITE,
	};

	if (h->with_ex)
		end->qp = ibv_create_qp_ex(end->context, &attr);
	else
		end->qp = ibv_create_qp(end->pd, (struct ibv_qp_init_attr *)&attr);
	assert_non_null(end->qp);
}

/* It is connected to nobody: whoever has its number and its key is heard. */
struct ibv_ah_attr end_address(const struct end *from, const struct end *to, uint16_t lid)
{
	struct ibv_ah_attr address = {.dlid = lid, .port_num = 1};

	if (!fake.ethernet)
		return address;
	address.dlid = 0;
	address.is_global = 1;
	address.grh = (struct ibv_global_route){
	        .dgid = to->gid, .sgid_index = from->gid_index, .hop_limit = 64};
	return address;
}

static void end_begin_datagrams(struct end *end, const struct end *to, uint16_t lid)
{
	static const enum ibv_qp_state states[] = {IBV_QPS_INIT, IBV_QPS_RTR, IBV_QPS_RTS};
	static const int masks[] = {
	        IBV_QP_STATE | IBV_QP_PKEY_INDEX | IBV_QP_PORT | IBV_QP_QKEY,
	        IBV_QP_STATE,
	        IBV_QP_STATE | IBV_QP_SQ_PSN,
	};
	struct ibv_ah_attr address = end_address(end, to, lid);

	for (int i = 0; i < 3; i++) {
		struct ibv_qp_attr attr = {
		        .qp_state = states[i], .port_num = 1, .qkey = HARNESS_QKEY};

		assert_int_equal(ibv_modify_qp(end->qp, &attr, masks[i]), 0);
	}
	end->ah = ibv_create_ah(end->pd, &address);
	assert_non_null(end->ah);
	end->remote_qpn = to->qp->qp_num;
}

void end_connect(struct end *end, const struct end *to, uint16_t lid)
{
	struct ibv_qp_attr attr = {.qp_state = IBV_QPS_INIT, .port_num = 1};

	if (end->qp->qp_type == IBV_QPT_UD) {
		end_begin_datagrams(end, to, lid);
		return;
	}
	assert_int_equal(
	        ibv_modify_qp(end->qp, &attr,
	                IBV_QP_STATE | IBV_QP_PKEY_INDEX | IBV_QP_PORT | IBV_QP_ACCESS_FLAGS),
	        0);
	attr = (struct ibv_qp_attr){.qp_state = IBV_QPS_RTR,
	        .path_mtu = IBV_MTU_1024,
	        .dest_qp_num = to->qp->qp_num,
	        .rq_psn = HARNESS_FIRST_PSN,
	        .ah_attr = end_address(end, to, lid)};
	assert_int_equal(
	        ibv_modify_qp(end->qp, &attr,
	                IBV_QP_STATE | IBV_QP_AV | IBV_QP_PATH_MTU | IBV_QP_DEST_QPN |
	                        IBV_QP_RQ_PSN | IBV_QP_MAX_DEST_RD_ATOMIC | IBV_QP_MIN_RNR_TIMER),
	        0);
	attr = (struct ibv_qp_attr){.qp_state = IBV_QPS_RTS, .sq_psn = HARNESS_FIRST_PSN};
	assert_int_equal(
	        ibv_modify_qp(end->qp, &attr,
	                IBV_QP_STATE | IBV_QP_TIMEOUT | IBV_QP_RETRY_CNT | IBV_QP_RNR_RETRY |
	                        IBV_QP_SQ_PSN | IBV_QP_MAX_QP_RD_ATOMIC),
	        0);
}

void harness_choose_gids(struct harness *h)
{
	end_choose_gid(&h->vm, h->gids);
	end_choose_gid(&h->peer, h->gids);
}

void harness_open(struct harness *h)
{
	fake_reset();
	fake.psns_are_live = !h->psns_are_dead;
	if (harness_link) {
		h->ethernet = true;
		h->gids = harness_link == LINK_ETHERNET_OF_IPV4 ? GIDS_OF_IPV4 : GIDS_LINK_LOCAL;
	}
	fake.ethernet = h->ethernet;
	fake.address_stays = h->address_stays;
	fake.second_address = h->second_address;
	fake.lacks_ipv4 = h->lacks_ipv4;
	h->now_ms = 1000;
	h->vm.with_channel = h->peer.with_channel = h->with_channel;
	end_open(&h->vm, FAKE_LID_VM, h->with_srq);
	peer_open(h);
	if (h->ethernet)
		harness_choose_gids(h);
}

void harness_connect(struct harness *h)
{
	end_create_qp(&h->vm, h);
	end_create_qp(&h->peer, h);
	end_connect(&h->vm, &h->peer, harness_peer_lid());
	end_connect(&h->peer, &h->vm, FAKE_LID_VM);
}

void end_close(struct end *end)
{
	if (end->qp)
		assert_int_equal(ibv_destroy_qp(end->qp), 0);
	if (end->ah)
		assert_int_equal(ibv_destroy_ah(end->ah), 0);
	if (end->srq)
		assert_int_equal(ibv_destroy_srq(end->srq), 0);
	assert_int_equal(ibv_destroy_cq(end->cq), 0);
	if (end->channel)
		assert_int_equal(ibv_destroy_comp_channel(end->channel), 0);
	assert_int_equal(ibv_dereg_mr(end->mr), 0);
	assert_int_equal(ibv_dealloc_pd(end->pd), 0);
	if (!end->shares_context)
		assert_int_equal(ibv_close_device(end->context), 0);
	free(end->memory);
}

void harness_close(struct harness *h)
{
	end_close(&h->peer);
	end_close(&h->vm);
	harness_forget_answers(h);
	steps_forget();
	assert_int_equal(fake.live_objects, 0);
}

/* ---- for cmocka ---- */

void harness_begin(struct harness *h, struct harness wanted)
{
	*h = wanted;
	harness_open(h);
	harness_connect(h);
}

static struct harness only;

int harness_setup(void **state)
{
	harness_begin(&only, (struct harness){0});
	*state = &only;
	return 0;
}

int harness_setup_srq(void **state)
{
	harness_begin(&only, (struct harness){.with_srq = true});
	*state = &only;
	return 0;
}

int harness_setup_channel(void **state)
{
	harness_begin(&only, (struct harness){.with_channel = true});
	*state = &only;
	return 0;
}

int harness_setup_datagrams(void **state)
{
	harness_begin(&only, (struct harness){.type = IBV_QPT_UD});
	*state = &only;
	return 0;
}

int harness_setup_unconnected(void **state)
{
	only = (struct harness){0};
	harness_open(&only);
	*state = &only;
	return 0;
}

int harness_teardown(void **state)
{
	harness_close(*state);
	return 0;
}

/* ---- work ---- */

int harness_poll(struct harness *h, struct end *end)
{
	return ibv_poll_cq(end->cq, 64, h->wc);
}

void harness_expect_one(struct harness *h, struct end *end, uint64_t wr_id)
{
	assert_int_equal(harness_poll(h, end), 1);
	assert_int_equal(h->wc[0].wr_id, wr_id);
	assert_int_equal(h->wc[0].status, IBV_WC_SUCCESS);
	assert_int_equal(h->wc[0].qp_num, end->qp->qp_num);
}

unsigned end_run(struct end *from, unsigned messages)
{
	return fake_execute(real_of(from->qp), messages, true);
}

unsigned end_run_unacknowledged(struct end *from, unsigned messages)
{
	return fake_execute(real_of(from->qp), messages, false);
}

static int post(struct end *from, struct ibv_send_wr *wr, uint32_t offset, uint32_t length)
{
	struct ibv_sge sge = {(uintptr_t)from->memory + offset, length, from->mr->lkey};
	struct ibv_send_wr *bad, posted = *wr;

	if (from->ah) {
		posted.wr.ud.ah = from->ah;
		posted.wr.ud.remote_qpn = from->remote_qpn;
		posted.wr.ud.remote_qkey = HARNESS_QKEY;
	}
	posted.sg_list = &sge;
	posted.num_sge = length > 0;
	return ibv_post_send(from->qp, &posted, &bad);
}

int end_send(struct end *from, uint64_t wr_id, uint32_t offset, uint32_t length, unsigned flags)
{
	struct ibv_send_wr wr = {.wr_id = wr_id, .opcode = IBV_WR_SEND, .send_flags = flags};

	return post(from, &wr, offset, length);
}

unsigned end_pending(const struct end *from)
{
	return fake_pending(real_of(from->qp));
}

int end_rdma(struct end *from, const struct end *to, enum ibv_wr_opcode opcode, uint64_t wr_id,
        uint32_t offset, uint32_t length, unsigned flags)
{
	struct ibv_send_wr wr = {.wr_id = wr_id,
	        .opcode = opcode,
	        .send_flags = flags,
	        .wr.rdma = {(uintptr_t)to->memory + offset, to->mr->rkey}};

	return post(from, &wr, offset, length);
}

int harness_write(struct harness *h, uint64_t wr_id)
{
	return end_rdma(&h->vm, &h->peer, IBV_WR_RDMA_WRITE, wr_id, 0, 8, IBV_SEND_SIGNALED);
}

int end_fetch_add_flagged(struct end *from, const struct end *to, uint64_t wr_id, uint32_t offset,
        uint64_t add, unsigned flags)
{
	struct ibv_send_wr wr = {.wr_id = wr_id,
	        .opcode = IBV_WR_ATOMIC_FETCH_AND_ADD,
	        .send_flags = flags,
	        .wr.atomic = {.remote_addr = (uintptr_t)to->memory + offset,
	                .compare_add = add,
	                .rkey = to->mr->rkey}};

	return post(from, &wr, offset, 8);
}

int end_fetch_add(
        struct end *from, const struct end *to, uint64_t wr_id, uint32_t offset, uint64_t add)
{
	return end_fetch_add_flagged(from, to, wr_id, offset, add, IBV_SEND_SIGNALED);
}

int end_receive(struct end *end, uint64_t wr_id, uint32_t offset, uint32_t length)
{
	struct ibv_sge sge = {(uintptr_t)end->memory + offset, length, end->mr->lkey};
	struct ibv_recv_wr wr = {.wr_id = wr_id, .sg_list = &sge, .num_sge = 1}, *bad;

	return end->srq ? ibv_post_srq_recv(end->srq, &wr, &bad)
	                : ibv_post_recv(end->qp, &wr, &bad);
}
