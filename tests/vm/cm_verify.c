/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * cm-verify: messages to and fro over connections that rdma_cm makes, each checked, and each event
 * that comes said. The channel blocks and is polled for: who finds it readable and nothing there
 * stands still. One thread.
 *
 * cm-verify ADDRESS PORT: listens there, and sends back what comes over each connection.
 * cm-verify -c ADDRESS PORT: connects to it, and sends until it is told to end.
 * SIGUSR1, SIGTERM: disconnect, of the latter with an end.
 */
#include <errno.h>
#include <inttypes.h>
#include <netdb.h>
#include <poll.h>
#include <rdma/rdma_cma.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
	MESSAGE_BYTES = 4096,
	WORDS = MESSAGE_BYTES / 8,
	CONNECTIONS = 8,
	RESOLVE_MS = 5000,
	SAY = 20
};

struct connection {
	struct rdma_cm_id *id;
	struct ibv_mr *mr;
	struct ibv_comp_channel *completions;
	struct ibv_cq *cq;
	uint64_t *sent, *received;
	uint64_t count; /* messages that came */
	bool is_up, has_ended;
};

static struct connection connections[CONNECTIONS];
static struct rdma_event_channel *channel;
static bool is_client;
static uint64_t exchanged;
static volatile sig_atomic_t is_to_disconnect, is_to_end;

__attribute__((format(printf, 1, 2), noreturn)) static void fail(const char *format, ...)
{
	va_list args;
	int err = errno;

	va_start(args, format);
	printf("failed: ");
	vprintf(format, args);
	va_end(args);
	printf(": %s\n", strerror(err));
	exit(1);
}

static void on_signal(int number)
{
	is_to_disconnect = 1;
	is_to_end |= number == SIGTERM;
}

/* ---- messages ---- */

static void fill(uint64_t *words, uint64_t number)
{
	for (int i = 0; i < WORDS; i++)
		words[i] = number * WORDS + (uint64_t)i;
}

static void check(const uint64_t *words, uint64_t number)
{
	for (int i = 0; i < WORDS; i++) {
		if (words[i] == number * WORDS + (uint64_t)i)
			continue;
		errno = EILSEQ;
		fail("message %" PRIu64 ", word %d is %" PRIu64, number, i, words[i]);
	}
}

static void receive(struct connection *c)
{
	struct ibv_sge sge = {(uintptr_t)c->received, MESSAGE_BYTES, c->mr->lkey};
	struct ibv_recv_wr wr = {.sg_list = &sge, .num_sge = 1}, *bad;

	if (ibv_post_recv(c->id->qp, &wr, &bad))
		fail("ibv_post_recv");
}

static void send_next(struct connection *c)
{
	struct ibv_sge sge = {(uintptr_t)c->sent, MESSAGE_BYTES, c->mr->lkey};
	struct ibv_send_wr wr = {.sg_list = &sge,
	        .num_sge = 1,
	        .opcode = IBV_WR_SEND,
	        .send_flags = IBV_SEND_SIGNALED};
	struct ibv_send_wr *bad;

	fill(c->sent, c->count);
	if (ibv_post_send(c->id->qp, &wr, &bad))
		fail("ibv_post_send");
}

/* The server sends back what has come, the client the next. */
static void message_comes(struct connection *c)
{
	check(c->received, c->count);
	receive(c);
	c->count += is_client;
	send_next(c);
	c->count += !is_client;
	if (++exchanged % SAY == 0)
		printf("exchanged %" PRIu64 "\n", exchanged);
}

/* What comes before it is known to be established waits. */
static void completions_take(struct connection *c)
{
	struct ibv_wc wc;

	while (c->is_up && ibv_poll_cq(c->cq, 1, &wc) > 0) {
		if (wc.status != IBV_WC_SUCCESS && !c->has_ended)
			fail("message %" PRIu64 ": %s", c->count, ibv_wc_status_str(wc.status));
		if (wc.status == IBV_WC_SUCCESS && wc.opcode == IBV_WC_RECV)
			message_comes(c);
	}
}

static void completions_come(struct connection *c)
{
	struct ibv_cq *cq;
	void *context;

	if (ibv_get_cq_event(c->completions, &cq, &context) || ibv_req_notify_cq(cq, 0))
		fail("ibv_get_cq_event");
	ibv_ack_cq_events(cq, 1);
	completions_take(c);
}

/* ---- connections ---- */

static struct connection *connection_of(const struct rdma_cm_id *id)
{
	for (int i = 0; i < CONNECTIONS; i++) {
		if (connections[i].id == id)
			return &connections[i];
	}
	fail("there is no room for a connection");
}

static struct connection *connection_make(struct rdma_cm_id *id)
{
	struct ibv_qp_init_attr attr = {.qp_type = IBV_QPT_RC,
	        .cap = {.max_send_wr = 4, .max_recv_wr = 4, .max_send_sge = 1, .max_recv_sge = 1}};
	struct connection *c = connection_of(NULL);
	uint64_t *memory = calloc(2, MESSAGE_BYTES);

	*c = (struct connection){.id = id, .sent = memory, .received = memory + WORDS};
	c->completions = ibv_create_comp_channel(id->verbs);
	c->cq = c->completions ? ibv_create_cq(id->verbs, 8, NULL, c->completions, 0) : NULL;
	attr.send_cq = attr.recv_cq = c->cq;
	if (!c->cq || ibv_req_notify_cq(c->cq, 0) || rdma_create_qp(id, NULL, &attr))
		fail("rdma_create_qp");
	c->mr = ibv_reg_mr(id->pd, memory, 2 * MESSAGE_BYTES, IBV_ACCESS_LOCAL_WRITE);
	if (!c->mr)
		fail("ibv_reg_mr");
	receive(c);
	return c;
}

static void connection_end(struct connection *c)
{
	rdma_destroy_qp(c->id);
	ibv_dereg_mr(c->mr);
	ibv_destroy_cq(c->cq);
	ibv_destroy_comp_channel(c->completions);
	if (rdma_destroy_id(c->id))
		fail("rdma_destroy_id");
	free(c->sent);
	*c = (struct connection){0};
}

static void disconnect_all(void)
{
	for (int i = 0; i < CONNECTIONS; i++) {
		if (connections[i].is_up && rdma_disconnect(connections[i].id))
			fail("rdma_disconnect");
		connections[i].is_up = false;
	}
}

/* ---- events ---- */

static struct rdma_conn_param *parameters(void)
{
	static struct rdma_conn_param param = {.responder_resources = 1,
	        .initiator_depth = 1,
	        .retry_count = 7,
	        .rnr_retry_count = 7};

	return &param;
}

static void established(struct connection *c)
{
	printf("established\n");
	c->is_up = true;
	if (is_client)
		send_next(c);
	completions_take(c);
}

static void disconnected(struct connection *c)
{
	printf("disconnected after %" PRIu64 "\n", c->count);
	c->has_ended = true;
	rdma_disconnect(c->id);
	c->is_up = false;
}

static void take(struct rdma_cm_id *id, enum rdma_cm_event_type what)
{
	switch (what) {
	case RDMA_CM_EVENT_ADDR_RESOLVED:
		if (rdma_resolve_route(id, RESOLVE_MS))
			fail("rdma_resolve_route");
		break;
	case RDMA_CM_EVENT_ROUTE_RESOLVED:
		connection_make(id);
		if (rdma_connect(id, parameters()))
			fail("rdma_connect");
		break;
	case RDMA_CM_EVENT_CONNECT_REQUEST:
		connection_make(id);
		if (rdma_accept(id, parameters()))
			fail("rdma_accept");
		break;
	case RDMA_CM_EVENT_ESTABLISHED:
		established(connection_of(id));
		break;
	case RDMA_CM_EVENT_DISCONNECTED:
		disconnected(connection_of(id));
		break;
	case RDMA_CM_EVENT_TIMEWAIT_EXIT:
		break;
	default:
		printf("heard %s\n", rdma_event_str(what));
		break;
	}
}

static void event_take(void)
{
	struct rdma_cm_event *event;
	enum rdma_cm_event_type what;
	struct rdma_cm_id *id;

	if (rdma_get_cm_event(channel, &event)) {
		if (errno == EINTR)
			return;
		fail("rdma_get_cm_event");
	}
	id = event->id;
	what = event->event;
	if (event->status)
		printf("status %d of %s\n", event->status, rdma_event_str(what));
	rdma_ack_cm_event(event);
	take(id, what);
}

static bool is_over(void)
{
	bool over = is_to_end;

	for (int i = 0; i < CONNECTIONS; i++) {
		if (connections[i].id && connections[i].has_ended)
			connection_end(&connections[i]);
		over &= !connections[i].id;
	}
	return over;
}

/* Signals come while it waits, and at no other time. */
static void turn(void)
{
	struct pollfd fds[1 + CONNECTIONS] = {{.fd = channel->fd, .events = POLLIN}};
	sigset_t none;

	for (int i = 0; i < CONNECTIONS; i++) {
		bool is_there = connections[i].id;

		fds[1 + i] = (struct pollfd){
		        .fd = is_there ? connections[i].completions->fd : -1, .events = POLLIN};
	}
	sigemptyset(&none);
	if (ppoll(fds, 1 + CONNECTIONS, NULL, &none) < 0) {
		if (is_to_disconnect)
			disconnect_all();
		is_to_disconnect = 0;
		return;
	}
	for (int i = 0; i < CONNECTIONS; i++) {
		if (fds[1 + i].revents)
			completions_come(&connections[i]);
	}
	if (fds[0].revents)
		event_take();
}

static void begin(struct rdma_cm_id *id, const char *host, const char *port)
{
	struct addrinfo *at;

	if (getaddrinfo(host, port, NULL, &at))
		fail("getaddrinfo");
	if (is_client && rdma_resolve_addr(id, NULL, at->ai_addr, RESOLVE_MS))
		fail("rdma_resolve_addr");
	if (!is_client && (rdma_bind_addr(id, at->ai_addr) || rdma_listen(id, CONNECTIONS)))
		fail("rdma_listen");
	freeaddrinfo(at);
}

int main(int argc, char **argv)
{
	struct sigaction action = {.sa_handler = on_signal};
	struct rdma_cm_id *id;
	sigset_t awaited;

	setvbuf(stdout, NULL, _IOLBF, 0);
	is_client = argc > 1 && !strcmp(argv[1], "-c");
	if (argc != 3 + is_client) {
		fprintf(stderr, "usage: cm-verify [-c] ADDRESS PORT\n");
		return 2;
	}
	sigaction(SIGUSR1, &action, NULL);
	sigaction(SIGTERM, &action, NULL);
	sigemptyset(&awaited);
	sigaddset(&awaited, SIGUSR1);
	sigaddset(&awaited, SIGTERM);
	sigprocmask(SIG_BLOCK, &awaited, NULL);
	channel = rdma_create_event_channel();
	if (!channel || rdma_create_id(channel, &id, NULL, RDMA_PS_TCP))
		fail("rdma_create_id");
	begin(id, argv[1 + is_client], argv[2 + is_client]);
	printf("begun\n");
	do
		turn();
	while (!is_over());
	if (!is_client)
		rdma_destroy_id(id);
	rdma_destroy_event_channel(channel);
	printf("ok, exchanged %" PRIu64 "\n", exchanged);
	return 0;
}
