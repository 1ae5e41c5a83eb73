/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include "tests/unit/shim_channels.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <poll.h>

#include "preload/completion_channel.h"
#include "preload/control.h"

void set_nonblocking(int fd)
{
	assert_int_equal(fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK), 0);
}

bool end_is_readable(const struct end *end)
{
	struct pollfd fd = {.fd = end->channel->fd, .events = POLLIN};

	return poll(&fd, 1, 0) == 1;
}

void end_arm(struct end *end, int solicited_only)
{
	assert_int_equal(ibv_req_notify_cq(end->cq, solicited_only), 0);
}

void end_expect_event(struct end *end)
{
	struct ibv_cq *cq;
	void *context;

	set_nonblocking(end->channel->fd);
	assert_true(end_is_readable(end));
	assert_int_equal(ibv_get_cq_event(end->channel, &cq, &context), 0);
	assert_ptr_equal(cq, end->cq);
	assert_ptr_equal(context, end);
	ibv_ack_cq_events(cq, 1);
}

void end_expect_silence(struct end *end)
{
	struct ibv_cq *cq;
	void *context;

	set_nonblocking(end->channel->fd);
	assert_false(end_is_readable(end));
	errno = 0;
	assert_int_equal(ibv_get_cq_event(end->channel, &cq, &context), -1);
	assert_int_equal(errno, EAGAIN);
}

void end_message(struct end *from, struct end *to, uint64_t wr_id, unsigned flags)
{
	assert_int_equal(end_receive(to, wr_id, 0, 64), 0);
	assert_int_equal(end_send(from, wr_id, 0, 64, flags), 0);
	assert_int_equal(fake_execute(real_of(from->qp), 1, true), 1);
}
