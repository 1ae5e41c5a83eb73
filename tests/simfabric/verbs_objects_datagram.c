/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/* UD queue pairs, address handles and multicast groups. */
#include <string.h>

#include "simfabric/verbs_objects.h"

enum {
	BYTES = 200,
	GRH = 40,
	QKEY = 0x1234,
	GROUP_LID = 0xc123,
	RECV_AT = 0x10000,
};

static const union ibv_gid group = {.raw = {0xff, 0x12, 0x40, 0x1b, [15] = 7}};

static struct ibv_qp *open_raw(struct objects *o, enum ibv_qp_type type)
{
	struct ibv_qp_init_attr attr = {.send_cq = o->cq,
	        .recv_cq = o->cq,
	        .cap = {.max_send_wr = 16, .max_recv_wr = 16, .max_send_sge = 1, .max_recv_sge = 1},
	        .qp_type = type};
	struct ibv_qp *qp = ibv_create_qp(o->pd, &attr);

	CHECK(qp);
	return qp;
}

static void make_ready(struct ibv_qp *qp)
{
	struct ibv_qp_attr attr = {.qp_state = IBV_QPS_INIT, .port_num = 1, .qkey = QKEY};

	CHECK(!ibv_modify_qp(
	        qp, &attr, IBV_QP_STATE | IBV_QP_PKEY_INDEX | IBV_QP_PORT | IBV_QP_QKEY));
	attr.qp_state = IBV_QPS_RTR;
	CHECK(!ibv_modify_qp(qp, &attr, IBV_QP_STATE));
	attr.qp_state = IBV_QPS_RTS;
	CHECK(!ibv_modify_qp(qp, &attr, IBV_QP_STATE | IBV_QP_SQ_PSN));
}

static struct ibv_qp *open_ud(struct objects *o)
{
	struct ibv_qp *qp = open_raw(o, IBV_QPT_UD);

	make_ready(qp);
	return qp;
}

static union ibv_gid own_gid(struct objects *o)
{
	union ibv_gid gid;

	CHECK(!ibv_query_gid(o->context, 1, 0, &gid));
	return gid;
}

static struct ibv_ah *open_address(struct objects *o, uint16_t lid, const union ibv_gid *gid)
{
	struct ibv_ah_attr attr = {.dlid = lid, .port_num = 1};
	struct ibv_ah *ah;

	if (gid) {
		attr.is_global = 1;
		attr.grh = (struct ibv_global_route){.dgid = *gid, .hop_limit = 64};
	}
	ah = ibv_create_ah(o->pd, &attr);
	CHECK(ah);
	return ah;
}

static void receive(struct objects *o, struct ibv_qp *qp, uint64_t wr_id)
{
	struct ibv_sge sge = objects_sge(o, RECV_AT, GRH + BYTES);
	struct ibv_recv_wr wr = {.wr_id = wr_id, .sg_list = &sge, .num_sge = 1}, *bad;

	CHECK(!ibv_post_recv(qp, &wr, &bad));
}

/* Unsignalled: its completion is not what a test waits for. */
static void send(struct objects *o, struct ibv_qp *from, struct ibv_ah *ah, uint32_t qpn)
{
	struct ibv_sge sge = objects_sge(o, 0, BYTES);
	struct ibv_send_wr wr = {.sg_list = &sge,
	                           .num_sge = 1,
	                           .opcode = IBV_WR_SEND,
	                           .wr.ud = {.ah = ah, .remote_qpn = qpn, .remote_qkey = QKEY}},
	                   *bad;

	CHECK(!ibv_post_send(from, &wr, &bad));
}

static struct ibv_wc received(struct objects *o, uint64_t wr_id)
{
	struct ibv_wc wc = objects_poll(o->cq);

	CHECK(wc.status == IBV_WC_SUCCESS);
	CHECK(wc.opcode == IBV_WC_RECV);
	CHECK(wc.wr_id == wr_id);
	return wc;
}

/* ---- address handles ---- */

static void datagram_to_oneself_arrives(struct objects *o)
{
	struct ibv_qp *qp = open_ud(o);
	struct ibv_ah *ah = open_address(o, o->lid, NULL);
	struct ibv_wc wc;

	memset(o->memory, 0x5a, BYTES);
	receive(o, qp, 3);
	send(o, qp, ah, qp->qp_num);
	wc = received(o, 3);
	CHECK(wc.byte_len == GRH + BYTES);
	CHECK(wc.src_qp == qp->qp_num);
	CHECK(wc.slid == o->lid);
	CHECK(!wc.wc_flags);
	CHECK(!memcmp(o->memory + RECV_AT + GRH, o->memory, BYTES));
	CHECK(!ibv_destroy_ah(ah));
	CHECK(!ibv_destroy_qp(qp));
}

static void address_of_a_completion_leads_back(struct objects *o)
{
	struct ibv_qp *a = open_ud(o), *b = open_ud(o);
	union ibv_gid gid = own_gid(o);
	struct ibv_ah *there = open_address(o, o->lid, &gid), *back;
	struct ibv_grh *grh = (void *)(o->memory + RECV_AT);
	struct ibv_wc wc;

	receive(o, b, 3);
	send(o, a, there, b->qp_num);
	wc = received(o, 3);
	CHECK(wc.wc_flags == IBV_WC_GRH);
	CHECK(!memcmp(&grh->sgid, &gid, sizeof(gid)));
	back = ibv_create_ah_from_wc(o->pd, &wc, grh, 1);
	CHECK(back);
	receive(o, a, 4);
	send(o, b, back, wc.src_qp);
	CHECK(received(o, 4).src_qp == b->qp_num);
	CHECK(!ibv_destroy_ah(back));
	CHECK(!ibv_destroy_ah(there));
	CHECK(!ibv_destroy_qp(a));
	CHECK(!ibv_destroy_qp(b));
}

static void address_of_a_grh_for_another_port_is_refused(struct objects *o)
{
	struct ibv_wc wc = {.wc_flags = IBV_WC_GRH, .slid = o->lid};
	struct ibv_grh grh = {.dgid = {.raw = {0xfe, 0x80, [15] = 99}}};
	struct ibv_ah_attr attr;

	CHECK(ibv_init_ah_from_wc(o->context, 1, &wc, &grh, &attr));
	CHECK_NULL(EINVAL, ibv_create_ah_from_wc(o->pd, &wc, &grh, 1));
	grh.dgid = own_gid(o);
	CHECK(!ibv_init_ah_from_wc(o->context, 1, &wc, &grh, &attr));
	CHECK(attr.is_global && attr.grh.sgid_index == 0 && attr.dlid == o->lid);
}

static void address_that_leads_nowhere_is_refused(struct objects *o)
{
	struct ibv_ah_attr attr = {.port_num = 1};

	CHECK_NULL(EINVAL, ibv_create_ah(o->pd, &attr));
	attr.dlid = 1;
	attr.port_num = 2;
	CHECK_NULL(EINVAL, ibv_create_ah(o->pd, &attr));
	attr.port_num = 1;
	attr.is_global = 1;
	attr.grh.sgid_index = 100;
	CHECK_NULL(EINVAL, ibv_create_ah(o->pd, &attr));
	attr.grh.sgid_index = 0;
	attr.grh.flow_label = 1 << 20;
	CHECK_NULL(EINVAL, ibv_create_ah(o->pd, &attr));
	attr.is_global = 0;
	attr.grh.flow_label = 0;
	attr.sl = 16;
	CHECK_NULL(EINVAL, ibv_create_ah(o->pd, &attr));
}

static void domain_with_an_address_is_busy(struct objects *o)
{
	struct ibv_pd *pd = ibv_alloc_pd(o->context);
	struct ibv_ah_attr attr = {.port_num = 1, .dlid = 1};
	struct ibv_ah *ah = ibv_create_ah(pd, &attr);

	CHECK(ah && ah->pd == pd && ah->context == o->context);
	CHECK(ibv_dealloc_pd(pd) == EBUSY);
	CHECK(!ibv_destroy_ah(ah));
	CHECK(!ibv_dealloc_pd(pd));
}

static void grh_for_another_gid_is_dropped(struct objects *o)
{
	struct ibv_qp *qp = open_ud(o);
	union ibv_gid gid = own_gid(o);
	struct ibv_ah *right = open_address(o, o->lid, &gid), *wrong;

	gid.raw[15] ^= 1;
	wrong = open_address(o, o->lid, &gid);
	receive(o, qp, 3);
	send(o, qp, wrong, qp->qp_num);
	objects_poll_nothing(o->cq);
	send(o, qp, right, qp->qp_num);
	received(o, 3);
	CHECK(!ibv_destroy_ah(right));
	CHECK(!ibv_destroy_ah(wrong));
	CHECK(!ibv_destroy_qp(qp));
}

static void ibv_wr_functions_send_datagrams(struct objects *o)
{
	struct ibv_qp_init_attr_ex attr = {.send_cq = o->cq,
	        .recv_cq = o->cq,
	        .cap = {.max_send_wr = 4, .max_recv_wr = 4, .max_send_sge = 1, .max_recv_sge = 1},
	        .qp_type = IBV_QPT_UD,
	        .comp_mask = IBV_QP_INIT_ATTR_PD | IBV_QP_INIT_ATTR_SEND_OPS_FLAGS,
	        .pd = o->pd,
	        .send_ops_flags = IBV_QP_EX_WITH_SEND_WITH_IMM};
	struct ibv_ah *ah = open_address(o, o->lid, NULL);
	struct ibv_qp *qp;
	struct ibv_qp_ex *ex;
	struct ibv_wc wc;

	CHECK((qp = ibv_create_qp_ex(o->context, &attr)));
	ex = ibv_qp_to_qp_ex(qp);
	make_ready(qp);
	receive(o, qp, 3);
	ibv_wr_start(ex);
	ex->wr_flags = 0;
	ibv_wr_send_imm(ex, 0x1234);
	ibv_wr_set_ud_addr(ex, ah, qp->qp_num, QKEY);
	ibv_wr_set_sge(ex, o->mr->lkey, (uintptr_t)o->memory, BYTES);
	CHECK(!ibv_wr_complete(ex));
	wc = received(o, 3);
	CHECK(wc.wc_flags == IBV_WC_WITH_IMM && wc.imm_data == 0x1234);
	CHECK(!ibv_destroy_qp(qp));
	attr.send_ops_flags |= IBV_QP_EX_WITH_RDMA_WRITE;
	CHECK_NULL(EOPNOTSUPP, ibv_create_qp_ex(o->context, &attr));
	CHECK(!ibv_destroy_ah(ah));
}

/* ---- groups ---- */

static void group_reaches_all_at_the_port_but_the_sender(struct objects *o)
{
	struct ibv_qp *a = open_ud(o), *b = open_ud(o), *c = open_ud(o);
	struct ibv_ah *ah = open_address(o, GROUP_LID, &group);
	struct ibv_wc wc;

	CHECK(!ibv_attach_mcast(a, &group, GROUP_LID));
	CHECK(!ibv_attach_mcast(b, &group, GROUP_LID));
	receive(o, a, 1);
	receive(o, b, 2);
	receive(o, c, 3);
	send(o, a, ah, 0xffffff);
	wc = received(o, 2);
	CHECK(wc.wc_flags == IBV_WC_GRH);
	CHECK(wc.src_qp == a->qp_num);
	CHECK(!wc.dlid_path_bits);
	objects_poll_nothing(o->cq);
	/* Whoever sends need not belong to it. */
	receive(o, b, 4);
	send(o, c, ah, 0xffffff);
	wc = objects_poll(o->cq);
	CHECK(wc.wr_id == 1 || wc.wr_id == 4);
	received(o, 5 - wc.wr_id);
	objects_poll_nothing(o->cq);
	CHECK(!ibv_detach_mcast(a, &group, GROUP_LID));
	CHECK(!ibv_detach_mcast(b, &group, GROUP_LID));
	CHECK(!ibv_destroy_ah(ah));
	CHECK(!ibv_destroy_qp(a));
	CHECK(!ibv_destroy_qp(b));
	CHECK(!ibv_destroy_qp(c));
}

static void group_is_known_by_gid_and_lid_and_needs_a_grh(struct objects *o)
{
	struct ibv_qp *a = open_ud(o), *b = open_ud(o);
	union ibv_gid other = group;
	struct ibv_ah *wrong_gid, *wrong_lid, *no_grh, *right;

	other.raw[15]++;
	wrong_gid = open_address(o, GROUP_LID, &other);
	wrong_lid = open_address(o, GROUP_LID + 1, &group);
	no_grh = open_address(o, GROUP_LID, NULL);
	right = open_address(o, GROUP_LID, &group);
	CHECK(!ibv_attach_mcast(b, &group, GROUP_LID));
	receive(o, b, 2);
	send(o, a, wrong_gid, 0xffffff);
	send(o, a, wrong_lid, 0xffffff);
	send(o, a, no_grh, 0xffffff);
	objects_poll_nothing(o->cq);
	send(o, a, right, 0xffffff);
	received(o, 2);
	CHECK(!ibv_detach_mcast(b, &group, GROUP_LID));
	receive(o, b, 3);
	send(o, a, right, 0xffffff);
	objects_poll_nothing(o->cq);
	CHECK(!ibv_destroy_ah(wrong_gid));
	CHECK(!ibv_destroy_ah(wrong_lid));
	CHECK(!ibv_destroy_ah(no_grh));
	CHECK(!ibv_destroy_ah(right));
	CHECK(!ibv_destroy_qp(a));
	CHECK(!ibv_destroy_qp(b));
}

static void attaching_twice_is_attaching_once(struct objects *o)
{
	struct ibv_qp *a = open_ud(o), *b = open_ud(o);
	struct ibv_ah *ah = open_address(o, GROUP_LID, &group);

	CHECK(!ibv_attach_mcast(b, &group, GROUP_LID));
	CHECK(!ibv_attach_mcast(b, &group, GROUP_LID));
	receive(o, b, 2);
	receive(o, b, 3);
	send(o, a, ah, 0xffffff);
	received(o, 2);
	objects_poll_nothing(o->cq);
	CHECK(!ibv_detach_mcast(b, &group, GROUP_LID));
	CHECK(ibv_detach_mcast(b, &group, GROUP_LID) == EINVAL);
	CHECK(!ibv_destroy_ah(ah));
	CHECK(!ibv_destroy_qp(a));
	CHECK(!ibv_destroy_qp(b));
}

static void attached_queue_pair_is_busy(struct objects *o)
{
	struct ibv_qp *qp = open_ud(o);

	CHECK(!ibv_attach_mcast(qp, &group, GROUP_LID));
	CHECK(ibv_destroy_qp(qp) == EBUSY);
	CHECK(!ibv_detach_mcast(qp, &group, GROUP_LID));
	CHECK(!ibv_destroy_qp(qp));
}

static void what_is_no_group_is_refused(struct objects *o)
{
	struct ibv_qp *ud = open_ud(o), *rc = open_raw(o, IBV_QPT_RC);
	union ibv_gid unicast = own_gid(o);

	CHECK(ibv_attach_mcast(rc, &group, GROUP_LID) == EINVAL);
	CHECK(ibv_attach_mcast(ud, &unicast, GROUP_LID) == EINVAL);
	CHECK(ibv_attach_mcast(ud, &group, 0xbfff) == EINVAL);
	CHECK(ibv_attach_mcast(ud, &group, 0xffff) == EINVAL);
	CHECK(ibv_detach_mcast(ud, &group, GROUP_LID) == EINVAL);
	CHECK(!ibv_destroy_qp(ud));
	CHECK(!ibv_destroy_qp(rc));
}

static union ibv_gid numbered_group(int number)
{
	union ibv_gid gid = group;

	gid.raw[14] = (uint8_t)(number >> 8);
	gid.raw[15] = (uint8_t)number;
	return gid;
}

/* As many as the device says. */
static void groups_and_their_members_have_an_end(struct objects *o)
{
	struct ibv_device_attr device;
	struct ibv_qp *qp = open_ud(o), *members[256];
	union ibv_gid gid;

	CHECK(!ibv_query_device(o->context, &device));
	CHECK(device.max_mcast_qp_attach < 256);
	for (int i = 0; i < device.max_mcast_qp_attach; i++) {
		members[i] = open_ud(o);
		CHECK(!ibv_attach_mcast(members[i], &group, GROUP_LID));
	}
	CHECK(ibv_attach_mcast(qp, &group, GROUP_LID) == ENOMEM);
	for (int i = 0; i < device.max_mcast_qp_attach; i++) {
		CHECK(!ibv_detach_mcast(members[i], &group, GROUP_LID));
		CHECK(!ibv_destroy_qp(members[i]));
	}
	for (int i = 0; i < device.max_mcast_grp; i++) {
		gid = numbered_group(i);
		CHECK(!ibv_attach_mcast(qp, &gid, GROUP_LID));
	}
	gid = numbered_group(device.max_mcast_grp);
	CHECK(ibv_attach_mcast(qp, &gid, GROUP_LID) == ENOMEM);
	for (int i = 0; i < device.max_mcast_grp; i++) {
		gid = numbered_group(i);
		CHECK(!ibv_detach_mcast(qp, &gid, GROUP_LID));
	}
	CHECK(!ibv_destroy_qp(qp));
}

static void open_group_is_left_at_the_close(struct objects *o)
{
	struct ibv_context *context = objects_open_device();
	struct ibv_pd *pd = ibv_alloc_pd(context);
	struct ibv_cq *cq = ibv_create_cq(context, 4, NULL, NULL, 0);
	struct ibv_qp_init_attr attr = {.send_cq = cq,
	        .recv_cq = cq,
	        .cap = {.max_send_wr = 1, .max_send_sge = 1},
	        .qp_type = IBV_QPT_UD};
	struct ibv_qp *qp = ibv_create_qp(pd, &attr), *a = open_ud(o);
	struct ibv_ah *ah = open_address(o, GROUP_LID, &group);

	CHECK(!ibv_attach_mcast(qp, &group, GROUP_LID));
	CHECK(!ibv_close_device(context));
	send(o, a, ah, 0xffffff);
	objects_poll_nothing(o->cq);
	CHECK(!ibv_destroy_ah(ah));
	CHECK(!ibv_destroy_qp(a));
}

const struct objects_test objects_datagram_tests[] = {
        OBJECTS_TEST(datagram_to_oneself_arrives),
        OBJECTS_TEST(address_of_a_completion_leads_back),
        OBJECTS_TEST(address_of_a_grh_for_another_port_is_refused),
        OBJECTS_TEST(address_that_leads_nowhere_is_refused),
        OBJECTS_TEST(domain_with_an_address_is_busy),
        OBJECTS_TEST(grh_for_another_gid_is_dropped),
        OBJECTS_TEST(ibv_wr_functions_send_datagrams),
        OBJECTS_TEST(group_reaches_all_at_the_port_but_the_sender),
        OBJECTS_TEST(group_is_known_by_gid_and_lid_and_needs_a_grh),
        OBJECTS_TEST(attaching_twice_is_attaching_once),
        OBJECTS_TEST(attached_queue_pair_is_busy),
        OBJECTS_TEST(what_is_no_group_is_refused),
        OBJECTS_TEST(groups_and_their_members_have_an_end),
        OBJECTS_TEST(open_group_is_left_at_the_close),
        {NULL, NULL},
};
