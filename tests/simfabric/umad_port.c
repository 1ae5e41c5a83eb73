/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include "simfabric/umad_port.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/stat.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "notifier/base/cleanup.h"
#include "simfabric/clients.h"
#include "simfabric/event_heap.h"
#include "simfabric/mad_delivery.h"
#include "simfabric/umad_requests.h"

enum { NS_PER_S = 1000000000, NS_PER_MS = 1000000 };

struct umad_open_port {
	struct umad_open_port *next;
	struct fabric *fabric;
	struct hca_place place;
	uint32_t port;
	uint32_t mailbox;
	uint32_t generation;
	int fd;    /* what the program has: readable while there may be something */
	int fifo;  /* of the mailbox */
	int timer; /* for requests and events that become due */
	uint64_t armed_ns;
	struct umad_requests requests;
};

static pthread_mutex_t list_lock = PTHREAD_MUTEX_INITIALIZER;
static struct umad_open_port *open_ports;

struct umad_open_port *umad_port_find(int fd)
{
	struct umad_open_port *port;

	pthread_mutex_lock(&list_lock);
	for (port = open_ports; port && port->fd != fd; port = port->next)
		;
	pthread_mutex_unlock(&list_lock);
	/* After a fork the mailbox is the parent's. */
	return port && port->fabric->fd >= 0 ? port : NULL;
}

static void watch(int epoll, int fd)
{
	struct epoll_event event = {.events = EPOLLIN};

	epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event);
}

static int open_descriptors(struct umad_open_port *port)
{
	char path[PATH_MAX];

	fabric_side_path(port->fabric, "wake", port->mailbox, path, sizeof(path));
	unlink(path);
	if (mkfifo(path, 0600))
		return -errno;
	port->fifo = open(path, O_RDWR | O_NONBLOCK | O_CLOEXEC);
	port->timer = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
	port->fd = epoll_create1(EPOLL_CLOEXEC);
	if (port->fifo < 0 || port->timer < 0 || port->fd < 0)
		return -errno;
	watch(port->fd, port->fifo);
	watch(port->fd, port->timer);
	return 0;
}

static void close_descriptors(struct umad_open_port *port)
{
	cleanup_close(&port->fifo);
	cleanup_close(&port->timer);
	cleanup_close(&port->fd);
}

static int open_locked(struct umad_open_port *port)
{
	int r = mailbox_open(port->fabric, port->port, &port->mailbox);

	if (r)
		return r;
	port->generation = mailbox_at(port->fabric, port->mailbox)->generation;
	r = open_descriptors(port);
	if (r) {
		mailbox_close(port->fabric, port->mailbox);
		close_descriptors(port);
	}
	return r;
}

int umad_port_open(struct fabric *fabric, const struct hca_place *place, uint32_t index)
{
	struct umad_open_port *port = calloc(1, sizeof(*port));
	int r = port ? client_join(fabric) : -ENOMEM;

	if (r) {
		free(port);
		return r;
	}
	*port = (struct umad_open_port){
	        .fabric = fabric,
	        .place = *place,
	        .port = index,
	        .fd = -1,
	        .fifo = -1,
	        .timer = -1,
	        .armed_ns = UINT64_MAX,
	};
	umad_requests_init(&port->requests);
	fabric_lock(fabric);
	clients_reap(fabric);
	r = open_locked(port);
	fabric_unlock(fabric);
	if (r) {
		free(port);
		return r;
	}
	pthread_mutex_lock(&list_lock);
	port->next = open_ports;
	open_ports = port;
	pthread_mutex_unlock(&list_lock);
	return port->fd;
}

void umad_port_close(struct umad_open_port *port)
{
	struct umad_open_port **link = &open_ports;

	pthread_mutex_lock(&list_lock);
	while (*link && *link != port)
		link = &(*link)->next;
	if (*link)
		*link = port->next;
	pthread_mutex_unlock(&list_lock);
	fabric_lock(port->fabric);
	mailbox_close(port->fabric, port->mailbox);
	fabric_unlock(port->fabric);
	umad_requests_clear(&port->requests);
	close_descriptors(port);
	free(port);
}

/* Under Shared Port QP0 is the PF's: no VF sends or gets SMPs. */
static bool is_refused(const struct umad_open_port *port, const struct agent *agent)
{
	return slot_is_shared(port->fabric, port->place.slot) &&
	       (agent->mgmt_class == CLASS_SUBN_LID || agent->mgmt_class == CLASS_SUBN_DR);
}

int umad_port_register(struct umad_open_port *port, const struct agent *agent)
{
	int r;

	if (is_refused(port, agent))
		return -EPERM;
	fabric_lock(port->fabric);
	/* A dead subnet manager must not keep its successor out. */
	clients_reap(port->fabric);
	r = agent_register(port->fabric, port->mailbox, agent);
	fabric_unlock(port->fabric);
	return r;
}

int umad_port_unregister(struct umad_open_port *port, unsigned id)
{
	int r;

	fabric_lock(port->fabric);
	r = agent_unregister(port->fabric, port->mailbox, id);
	fabric_unlock(port->fabric);
	return r;
}

/* The program's descriptor becomes readable when the next request or event is due. */
static void arm(struct umad_open_port *port)
{
	uint64_t due = umad_requests_next_ns(&port->requests);
	uint64_t event = event_next_ns(port->fabric);
	struct itimerspec at = {0};

	if (event < due)
		due = event;
	if (due == port->armed_ns)
		return;
	if (due != UINT64_MAX) {
		at.it_value.tv_sec = due / NS_PER_S;
		at.it_value.tv_nsec = due % NS_PER_S;
		if (!due)
			at.it_value.tv_nsec = 1; /* 0 would disarm it */
	}
	timerfd_settime(port->timer, TFD_TIMER_ABSTIME, &at, NULL);
	port->armed_ns = due;
}

static bool is_rmpp(const struct umad_open_port *port, uint32_t agent, const uint8_t *mad)
{
	return mailbox_at(port->fabric, port->mailbox)->agents[agent].rmpp_version &&
	       rmpp_header_bytes(mad[MAD_CLASS]) && mad[RMPP_FLAGS] & RMPP_ACTIVE;
}

static int send_packet(struct umad_open_port *port, uint32_t agent, const struct ib_mad_addr *to,
        const uint8_t *mad, size_t bytes, bool is_answer_wanted, bool *is_answered)
{
	struct mad_packet packet = {
	        .origin = {port->port, is_answer_wanted ? port->mailbox : NO_INDEX,
	                port->generation, agent},
	        .to = *to,
	        .mad = mad,
	        .bytes = bytes,
	        .is_rmpp = is_rmpp(port, agent, mad),
	};

	return mad_send(port->fabric, &packet, is_answered);
}

static void resend_due(struct umad_open_port *port)
{
	struct umad_request *request;
	uint64_t now = now_ns();

	while ((request = umad_requests_take_due(&port->requests, now))) {
		bool is_answered = false;

		send_packet(port, request->agent, &request->to, request->mad, request->bytes, true,
		        &is_answered);
		if (is_answered)
			free(request);
		else
			umad_requests_again(&port->requests, request, now);
	}
}

/* Everything that time alone brings about. */
static void catch_up(struct umad_open_port *port)
{
	mad_run_due(port->fabric);
	if (port->requests.waiting)
		resend_due(port);
}

/* An RMPP message goes with its own length, any other MAD is padded to 256. */
static int check(
        const struct umad_open_port *port, uint32_t agent, const uint8_t *mad, size_t *bytes)
{
	if (!mailbox_at(port->fabric, port->mailbox)->agents[agent].is_used)
		return -EINVAL;
	if (is_rmpp(port, agent, mad))
		return *bytes < rmpp_header_bytes(mad[MAD_CLASS]) ? -EINVAL : 0;
	if (*bytes > MAD_BYTES)
		return -EINVAL;
	*bytes = MAD_BYTES;
	return 0;
}

/* The agent's number in the TID brings the answer back to it. */
static void stamp_tid(const struct umad_open_port *port, uint32_t agent, uint8_t *mad)
{
	if (!mad_is_response(mad))
		mad_set32(mad, MAD_TID, agent_tid_high(port->fabric, port->mailbox, agent));
}

static int send_locked(
        struct umad_open_port *port, const struct ib_user_mad *umad, uint8_t *mad, size_t bytes)
{
	bool is_request = umad->timeout_ms && !mad_is_response(mad), is_answered;
	struct umad_request request = {
	        .timeout_ns = (uint64_t)umad->timeout_ms * NS_PER_MS,
	        .tries_left = umad->retries,
	        .agent = umad->agent_id,
	        .to = umad->addr,
	        .bytes = bytes,
	};
	int r;

	stamp_tid(port, umad->agent_id, mad);
	if (is_request && umad_requests_has(&port->requests, mad))
		return -EINVAL;
	r = send_packet(port, umad->agent_id, &umad->addr, mad, bytes, is_request, &is_answered);
	if (!r && is_request && !is_answered)
		r = umad_requests_add(&port->requests, &request, mad, now_ns());
	return r;
}

int umad_port_send(struct umad_open_port *port, const struct ib_user_mad *umad, size_t bytes)
{
	CLEANUP_FREE uint8_t *large = NULL;
	uint8_t plain[MAD_BYTES] = {0}, *mad = plain;
	int r;

	if (umad->agent_id >= MAILBOX_AGENTS || bytes < MAD_HEADER_BYTES ||
	        bytes > MESSAGE_MAX_BYTES)
		return -EINVAL;
	if (attach_state(port->fabric, &port->place) == ATTACH_GONE)
		return -EINVAL;
	if (bytes > sizeof(plain))
		mad = large = malloc(bytes);
	if (!mad)
		return -ENOMEM;
	memcpy(mad, umad->data, bytes);
	fabric_lock(port->fabric);
	catch_up(port);
	r = check(port, umad->agent_id, mad, &bytes);
	if (!r)
		r = send_locked(port, umad, mad, bytes);
	arm(port);
	fabric_unlock(port->fabric);
	return r;
}

/* The first message that somebody waits for; late answers are dropped, as the kernel does. */
static uint32_t next_message(struct umad_open_port *port)
{
	const struct mailbox *mailbox = mailbox_at(port->fabric, port->mailbox);
	uint32_t index;

	while ((index = mailbox_peek(port->fabric, port->mailbox)) != NO_INDEX) {
		const struct message *message = message_at(port->fabric, index);

		if (mailbox->agents[message->agent].is_used &&
		        (message->is_answered || !mad_is_response(message->mad) ||
		                message->mad[MAD_METHOD] == METHOD_SUBN_TRAP_REPRESS ||
		                umad_requests_has(&port->requests, message->mad)))
			return index;
		message_free(port->fabric, mailbox_take(port->fabric, port->mailbox));
	}
	return NO_INDEX;
}

static void fill_header(struct ib_user_mad *umad, uint32_t agent, uint32_t status, size_t bytes)
{
	memset(umad, 0, sizeof(*umad));
	umad->agent_id = agent;
	umad->status = status;
	umad->length = sizeof(*umad) + bytes;
}

static int receive_expired(struct umad_open_port *port, struct ib_user_mad *umad, size_t *bytes)
{
	struct umad_request *request = umad_requests_take_expired(&port->requests);
	size_t room = *bytes < MAD_HEADER_BYTES ? *bytes : MAD_HEADER_BYTES;

	fill_header(umad, request->agent, ETIMEDOUT, MAD_HEADER_BYTES);
	umad->timeout_ms = request->timeout_ns / NS_PER_MS;
	umad->addr = request->to;
	memcpy(umad->data, request->mad, room);
	*bytes = room;
	free(request);
	return 0;
}

static int receive_message(
        struct umad_open_port *port, uint32_t index, struct ib_user_mad *umad, size_t *bytes)
{
	const struct message *message = message_at(port->fabric, index);
	size_t length = message->length, room = *bytes;

	if (room < MAD_BYTES && room < length)
		return -EINVAL;
	fill_header(umad, message->agent, 0, length);
	umad->addr = message->address;
	*bytes = length;
	if (room < length) {
		message_read(port->fabric, index, umad->data, MAD_BYTES);
		return -ENOSPC;
	}
	message_read(port->fabric, index, umad->data, length);
	if (!message->is_answered && mad_is_response(message->mad))
		umad_requests_answer(&port->requests, message->mad);
	message_free(port->fabric, mailbox_take(port->fabric, port->mailbox));
	return 0;
}

static int receive_locked(struct umad_open_port *port, struct ib_user_mad *umad, size_t *bytes)
{
	uint32_t index;

	catch_up(port);
	index = next_message(port);
	if (index != NO_INDEX)
		return receive_message(port, index, umad, bytes);
	if (port->requests.expired)
		return receive_expired(port, umad, bytes);
	mailbox_sleep(port->fabric, port->mailbox, port->fifo);
	return attach_state(port->fabric, &port->place) == ATTACH_GONE ? -EIO : -EAGAIN;
}

int umad_port_receive(struct umad_open_port *port, struct ib_user_mad *umad, size_t *bytes)
{
	int r;

	fabric_lock(port->fabric);
	r = receive_locked(port, umad, bytes);
	arm(port);
	fabric_unlock(port->fabric);
	return r;
}

/* 0: there is something; -EAGAIN: nothing, and the descriptor says so. */
static int look(struct umad_open_port *port)
{
	int r = 0;

	fabric_lock(port->fabric);
	catch_up(port);
	if (next_message(port) == NO_INDEX && !port->requests.expired) {
		mailbox_sleep(port->fabric, port->mailbox, port->fifo);
		r = attach_state(port->fabric, &port->place) == ATTACH_GONE ? -EIO : -EAGAIN;
	}
	arm(port);
	fabric_unlock(port->fabric);
	return r;
}

int umad_port_wait(struct umad_open_port *port, int timeout_ms)
{
	uint64_t end = timeout_ms < 0 ? UINT64_MAX : now_ns() + (uint64_t)timeout_ms * NS_PER_MS;

	for (;;) {
		struct pollfd fd = {.fd = port->fd, .events = POLLIN};
		int r = look(port), left_ms = -1;
		uint64_t now;

		if (r != -EAGAIN)
			return r;
		now = now_ns();
		if (now >= end)
			return -ETIMEDOUT;
		if (end != UINT64_MAX)
			left_ms = (int)((end - now + NS_PER_MS - 1) / NS_PER_MS);
		if (poll(&fd, 1, left_ms) < 0)
			return -errno;
	}
}
