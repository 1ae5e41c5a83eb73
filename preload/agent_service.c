/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include "preload/agent_link_state.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "notifier/base/cleanup.h"
#include "notifier/base/deadlines.h"
#include "notifier/base/log.h"
#include "notifier/base/monotonic.h"
#include "notifier/wire/fit.h"
#include "notifier/wire/message.h"
#include "notifier/wire/versions.h"
#include "preload/address_route.h"
#include "preload/agent_socket.h"
#include "preload/connection_ends.h"
#include "preload/connection_listeners.h"
#include "preload/datagram_questions.h"
#include "preload/heard_senders.h"
#include "preload/interests.h"
#include "preload/lost_devices.h"
#include "preload/partings.h"
#include "preload/reserved_numbers.h"
#include "preload/self.h"
#include "preload/settings.h"
#include "preload/steps.h"
#include "preload/uncancelled.h"

enum {
	PAUSE_MAX_MS = 1000, /* between attempts to connect */
};

static struct {
	pthread_t thread;
	int wake;         /* eventfd: something is to be sent */
	bool welcome;     /* our hello was accepted */
	uint32_t version; /* of the protocol, if it was */
	unsigned pause_ms;
	uint64_t next_try_ms;
} service = {.wake = -1};

static void hear(void)
{
	pthread_mutex_lock(&agent_link.lock);
	agent_link.heard = true;
	pthread_cond_broadcast(&agent_link.changed);
	pthread_mutex_unlock(&agent_link.lock);
}

/* ---- the connection ---- */

static void disconnect(const char *why)
{
	log_info("link", "agent at %s: %s", settings()->agent_path, why);
	agent_socket_close();
	service.welcome = false;
	service.next_try_ms = monotonic_ms();
	pthread_mutex_lock(&agent_link.lock);
	interests_link_lost();
	/* Who is refused again has not had one in between. */
	if (!agent_link.absent_since_ms)
		agent_link.absent_since_ms = monotonic_ms();
	pthread_mutex_unlock(&agent_link.lock);
	hear();
}

static bool is_connected(void)
{
	return agent_socket_fd() >= 0;
}

static void out_flush(void)
{
	int err = agent_socket_flush();

	if (err)
		disconnect(strerror(-err));
}

static void frame_send(const Tether__Frame *frame)
{
	agent_socket_pack(frame);
	out_flush();
}

/* What the agent does not know of it is left out. */
static void frame_send_fit(const Tether__Frame *frame)
{
	struct pieces pieces = {0};
	const Tether__Frame *fit = frame_fit(service.version, frame, &pieces);

	if (fit)
		frame_send(fit);
	else
		disconnect("no memory");
	pieces_free(&pieces);
}

static void interests_send(void);

/* What was announced on the way to it goes first. */
static void answer_send(const Tether__Answer *answer, void *owner)
{
	Tether__Frame frame = TETHER__FRAME__INIT;

	interests_send();
	frame.body_case = TETHER__FRAME__BODY_ANSWER;
	frame.answer = (Tether__Answer *)answer;
	frame_send_fit(&frame);
}

static void hello_send(void)
{
	Tether__Frame frame = TETHER__FRAME__INIT;
	Tether__Hello hello = TETHER__HELLO__INIT;
	struct interest_list list;
	uint32_t *reserved;
	char name[192], program[32];

	self_name(settings()->vm, name, sizeof(name));
	self_program(program, sizeof(program));
	versions_say(&hello);
	hello.role = TETHER__ROLE__ROLE_SHIM;
	hello.name = name;
	hello.pid = (uint32_t)getpid();
	hello.program = program;
	pthread_mutex_lock(&agent_link.lock);
	interests_list(&list);
	pthread_mutex_unlock(&agent_link.lock);
	hello.addresses = list.pointers;
	hello.n_addresses = list.count;
	reserved = reserved_numbers_list(&hello.n_reserved_qpns);
	hello.reserved_qpns = reserved;
	steps_fill_hello(&hello);
	frame.body_case = TETHER__FRAME__BODY_HELLO;
	frame.hello = &hello;
	frame_send(&frame);
	free(reserved);
	interest_list_free(&list);
}

static void link_connect(uint64_t now)
{
	int err = agent_socket_connect();

	if (err) {
		if (service.pause_ms == deadlines_default.reconnect_link_ms)
			log_info("link", "no agent at %s: %s", settings()->agent_path,
			        strerror(-err));
		service.next_try_ms = now + service.pause_ms;
		if (service.pause_ms < PAUSE_MAX_MS && !steps_is_away())
			service.pause_ms *= 2;
		hear();
		return;
	}
	service.pause_ms = deadlines_default.reconnect_link_ms;
	hello_send();
}

/* ---- frames ---- */

static void hello_answered(const Tether__HelloAnswer *answer)
{
	if (answer->outcome != TETHER__OUTCOME__OUTCOME_DONE) {
		log_error("link", "agent refuses this process: %s",
		        answer->n_refusals ? answer->refusals[0]->text : "no reason given");
		disconnect("refused");
		service.next_try_ms = monotonic_ms() + PAUSE_MAX_MS;
		return;
	}
	if (reserved_numbers_add(answer->reserved_qpns, answer->n_reserved_qpns))
		log_error("link", "not all numbers of the VM are known");
	service.welcome = true;
	service.version = versions_chosen(answer->version);
	log_debug("link", "welcomed by %s", answer->name);
	pthread_mutex_lock(&agent_link.lock);
	agent_link.absent_since_ms = 0;
	pthread_mutex_unlock(&agent_link.lock);
	hear();
}

static void something_is_said(void)
{
	LOCK_GUARD(&agent_link.lock);
	agent_link.is_silent = false;
	agent_link.said_ms = monotonic_ms();
}

static void parting_take(const Tether__Parting *parting)
{
	struct pair_names names = {.local_lid = parting->local_lid,
	        .local_qpn = parting->local_qpn,
	        .remote_lid = parting->remote_lid,
	        .remote_qpn = parting->remote_qpn};

	connection_parted(&names);
}

static void frame_take(Tether__Frame *frame)
{
	Tether__Event *event;

	something_is_said();
	switch (frame->body_case) {
	case TETHER__FRAME__BODY_HELLO_ANSWER:
		hello_answered(frame->hello_answer);
		break;
	case TETHER__FRAME__BODY_EVENT:
		event = message_copy(&frame->event->base);
		if (event)
			steps_event(event, monotonic_ms(), answer_send, NULL);
		else
			log_error("agent", "no memory for an event; its deadline ends it");
		break;
	case TETHER__FRAME__BODY_INTEREST_ANSWER:
		pthread_mutex_lock(&agent_link.lock);
		interests_answered(frame->interest_answer, monotonic_ms());
		pthread_cond_broadcast(&agent_link.changed);
		pthread_mutex_unlock(&agent_link.lock);
		break;
	case TETHER__FRAME__BODY_PARTING:
		parting_take(frame->parting);
		break;
	default:
		break;
	}
}

static void frames_take(void)
{
	Tether__Frame *frame;
	int got = 0;

	while (is_connected() && (got = agent_socket_next(&frame)) > 0) {
		frame_take(frame);
		frame_free(frame);
	}
	if (is_connected() && got < 0)
		disconnect(strerror(-got));
}

static void link_read(void)
{
	while (is_connected()) {
		ssize_t got = agent_socket_receive();

		if (got > 0)
			frames_take();
		else if (!got)
			disconnect("closed by the agent");
		else if (got == -EAGAIN)
			return;
		else
			disconnect(strerror((int)-got));
	}
}

/* Registrations go up once our hello is accepted; each waits in its application thread, and its
 * address is that thread's: packed before the lock is let go. */
static void interests_send(void)
{
	Tether__Interest interest;
	Tether__Address address;
	Tether__Frame frame = TETHER__FRAME__INIT;
	struct remote sender;

	frame.body_case = TETHER__FRAME__BODY_INTEREST;
	frame.interest = &interest;
	pthread_mutex_lock(&agent_link.lock);
	while (heard_senders_next(&sender)) {
		interests_hear(&sender);
		pthread_cond_broadcast(&agent_link.changed);
	}
	while (service.welcome && interests_next(&interest, &address, monotonic_ms()))
		agent_socket_pack(&frame);
	pthread_mutex_unlock(&agent_link.lock);
	out_flush();
}

/* Who speaks an older version does not pass it on. */
static void partings_send(void)
{
	Tether__Parting parting;
	Tether__Frame frame = TETHER__FRAME__INIT;

	frame.body_case = TETHER__FRAME__BODY_PARTING;
	frame.parting = &parting;
	pthread_mutex_lock(&agent_link.lock);
	while (service.welcome && partings_next(&parting)) {
		if (service.version >= PARTING_SINCE)
			agent_socket_pack(&frame);
		else
			log_warn("link", "the agent cannot tell that qp 0x%x has disconnected",
			        parting.local_qpn);
	}
	pthread_mutex_unlock(&agent_link.lock);
	out_flush();
}

/* ---- the thread ---- */

static void service_wait(int64_t timeout_ms)
{
	struct pollfd fds[] = {
	        {.fd = service.wake, .events = POLLIN},
	        {.fd = agent_socket_fd(), .events = POLLIN},
	        {.fd = lost_devices_fd(), .events = POLLIN},
	};
	uint64_t drained;

	if (agent_socket_has_unsent())
		fds[1].events |= POLLOUT;
	if (poll(fds, 3, timeout_ms > INT_MAX ? INT_MAX : (int)timeout_ms) <= 0)
		return;
	if (fds[0].revents && read(service.wake, &drained, sizeof(drained)) < 0)
		log_debug("link", "spurious wake-up");
	if (fds[1].revents & POLLOUT)
		out_flush();
	if (fds[1].revents & (POLLIN | POLLHUP | POLLERR))
		link_read();
}

/* Also until one of the interests that were refused is asked for again. */
static int64_t refused_wait(int64_t timeout_ms)
{
	uint64_t now = monotonic_ms();
	int64_t wait_ms;

	LOCK_GUARD(&agent_link.lock);
	wait_ms = service.welcome ? interests_wait(now) : -1;
	return wait_ms < 0 ? timeout_ms : sooner_ms(timeout_ms, wait_ms);
}

/* Also until the agent has been silent about what it was told. */
static int64_t asked_wait(int64_t timeout_ms)
{
	int64_t wait_ms = agent_socket_wait(monotonic_ms());

	return wait_ms < 0 ? timeout_ms : sooner_ms(timeout_ms, wait_ms);
}

static void *serve(void *unused)
{
	for (;;) {
		int64_t lost_ms = lost_devices_tick(monotonic_ms());
		int64_t timeout_ms = steps_tick(monotonic_ms(), answer_send, NULL);
		int64_t listeners_ms = connection_listeners_tick(monotonic_ms());
		uint64_t now = monotonic_ms();

		if (listeners_ms >= 0)
			timeout_ms = sooner_ms(timeout_ms, listeners_ms);
		if (lost_ms >= 0)
			timeout_ms = sooner_ms(timeout_ms, lost_ms);

		/* A VM without its device is perhaps somewhere else. */
		if (is_connected() && steps_is_away() && agent_socket_has_changed())
			disconnect("another agent is behind the path");
		if (!is_connected() && now >= service.next_try_ms)
			link_connect(now);
		if (!is_connected())
			timeout_ms = sooner_ms(timeout_ms, (int64_t)(service.next_try_ms - now));
		else if (steps_is_away())
			timeout_ms = sooner_ms(timeout_ms, deadlines_default.reconnect_link_ms);
		agent_socket_turn(now);
		datagram_questions_turn();
		address_routes_turn();
		if (datagram_questions_are_open())
			timeout_ms = sooner_ms(timeout_ms, deadlines_default.reconnect_link_ms);
		interests_send();
		partings_send();
		service_wait(asked_wait(refused_wait(timeout_ms)));
	}
	return NULL;
}

/* The application's signals are the application's. */
static int thread_start(void)
{
	sigset_t all, before;
	int err;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	err = pthread_create(&service.thread, NULL, serve, NULL);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (!err)
		pthread_setname_np(service.thread, "libtether");
	return -err;
}

int agent_service_start(void)
{
	int err = lost_devices_begin();

	if (err)
		return err;
	service.wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	service.pause_ms = deadlines_default.reconnect_link_ms;
	err = service.wake < 0 ? -errno : thread_start();
	if (err)
		lost_devices_forget();
	return err;
}

void agent_service_wake(void)
{
	uint64_t one = 1;

	UNCANCELLED();
	if (write(service.wake, &one, sizeof(one)) < 0)
		log_debug("link", "wake-up is due already");
}

void agent_service_forget(void)
{
	agent_socket_forget();
	if (service.wake >= 0)
		close(service.wake);
	memset(&service, 0, sizeof(service));
	service.wake = -1;
	lost_devices_forget();
	steps_forget();
	datagram_questions_forget();
}
