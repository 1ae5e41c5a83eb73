/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "unit/hca_datagram_ends.h"

static struct pair *open_with(struct pair_options options)
{
	options.types[0] = options.types[1] = IBV_QPT_UD;
	return pair_open(&options);
}

int ud_open(void **state)
{
	*state = open_with(pair_default);
	return 0;
}

int ud_open_with_srq(void **state)
{
	struct pair_options options = pair_default;

	options.with_srq = true;
	*state = open_with(options);
	return 0;
}

int ud_close(void **state)
{
	pair_close(*state);
	return 0;
}

static struct address_handle to(int end)
{
	return (struct address_handle){.attr = {.dlid = pair_lid(end), .port_num = 1}};
}

struct address_handle global_to(int end)
{
	struct address_handle handle = to(end);

	handle.attr.is_global = 1;
	handle.attr.grh = (struct ibv_global_route){.dgid = pair_gid(end),
	        .flow_label = 0x12345,
	        .traffic_class = 0x67,
	        .hop_limit = 9};
	return handle;
}

void datagram_make(struct pair *pair, struct datagram *datagram, uint32_t bytes)
{
	datagram->handle = to(1);
	datagram->sge = pair_sge(pair, 0, 0, bytes);
	datagram->wr = (struct ibv_send_wr){.wr_id = 7,
	        .sg_list = &datagram->sge,
	        .num_sge = 1,
	        .opcode = IBV_WR_SEND,
	        .send_flags = IBV_SEND_SIGNALED,
	        .wr.ud = {.ah = &datagram->handle.ah,
	                .remote_qpn = 0x101,
	                .remote_qkey = pair_default.qkey}};
}

void post(struct pair *pair, const struct ibv_send_wr *wr)
{
	assert_int_equal(pair_post(pair, 0, wr), 0);
	assert_true(pair_settle(pair));
}

void send_by(struct pair *pair, struct address_handle handle, uint32_t bytes)
{
	struct datagram datagram;

	datagram_make(pair, &datagram, bytes);
	datagram.handle = handle;
	post(pair, &datagram.wr);
}

void send_bytes(struct pair *pair, uint32_t bytes)
{
	send_by(pair, to(1), bytes);
}

enum ibv_wc_status sent_with(struct pair *pair)
{
	struct ibv_wc wc = {.status = IBV_WC_GENERAL_ERR};

	assert_true(pair_poll_send(pair, 0, &wc));
	return wc.status;
}

void nothing_received(struct pair *pair)
{
	struct ibv_wc wc;

	assert_false(pair_poll_receive(pair, 1, &wc));
}
