/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include "preload/agent_link.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "notifier/base/cleanup.h"
#include "notifier/base/deadlines.h"
#include "notifier/base/log.h"
#include "notifier/wire/frame.h"
#include "preload/heard_senders.h"
#include "preload/interests.h"
#include "preload/reserved_numbers.h"
#include "preload/self.h"
#include "preload/settings.h"
#include "preload/steps.h"
#include "preload/uncancelled.h"

enum {
	PAUSE_MAX_MS = 1000, /* between attempts to connect */
	ABSENT_MS = 1000, /* a connection is made all the same when the agent is away for so long */
	PROTOCOL_VERSION = 1,
};

/* The service thread's, but for what is under the lock. */
static struct {
	bool started;
	pthread_t thread;
	int wake;     /* eventfd: something is to be sent */
	int fd;       /* -1: not connected */
	bool welcome; /* our hello was accepted */
	dev_t device; /* of the socket that we are connected to */
	ino_t inode;
	unsigned pause_ms;
	uint64_t next_try_ms;
	struct frame_reader reader;
	uint8_t *out;
	size_t out_start, out_end, out_size;
} service = {.wake = -1, .fd = -1};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed;
static uint64_t absent_since_ms; /* under the lock; 0: connected */
static bool heard;     /* under the lock: what the agent has to say first, or that there is none */
static bool is_silent; /* under the lock: it was waited for in vain, and has said nothing since */
static uint64_t said_ms; /* under the lock: when it said something last */

static uint64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static void hear(void)
{
	pthread_mutex_lock(&lock);
	heard = true;
	pthread_cond_broadcast(&changed);
	pthread_mutex_unlock(&lock);
}

/* ---- the socket ---- */

static void disconnect(const char *why)
{
	log_info("link", "agent at %s: %s", settings()->agent_path, why);
	close(service.fd);
	service.fd = -1;
	service.welcome = false;
	frame_reader_clear(&service.reader);
	service.out_start = service.out_end = 0;
	service.next_try_ms = now_ms();
	pthread_mutex_lock(&lock);
	interests_link_lost();
	absent_since_ms = now_ms();
	pthread_mutex_unlock(&lock);
	hear();
}

static void out_flush(void)
{
	while (service.fd >= 0 && service.out_start != service.out_end) {
		ssize_t sent = send(service.fd, service.out + service.out_start,
		        service.out_end - service.out_start, MSG_NOSIGNAL | MSG_DONTWAIT);

		if (sent > 0)
			service.out_start += (size_t)sent;
		else if (errno == EAGAIN || errno == EWOULDBLOCK)
			return;
		else if (errno != EINTR)
			disconnect(strerror(errno));
	}
	service.out_start = service.out_end = 0;
}

static int out_room(size_t length)
{
	uint8_t *grown;

	if (service.out_end + length <= service.out_size)
		return 0;
	grown = realloc(service.out, service.out_end + length);
	if (!grown)
		return -ENOMEM;
	service.out = grown;
	service.out_size = service.out_end + length;
	return 0;
}

static void frame_pack(const Tether__Frame *frame)
{
	size_t length;

	if (service.fd < 0)
		return;
	if (frame_size(frame, &length) || out_room(length)) {
		log_error("link", "a frame cannot be sent");
		return;
	}
	frame_write(frame, service.out + service.out_end, length);
	service.out_end += length;
}

static void frame_send(const Tether__Frame *frame)
{
	frame_pack(frame);
	out_flush();
}

static void interests_send(void);

/* What was announced on the way to it goes first. */
static void answer_send(const Tether__Answer *answer, void *owner)
{
	Tether__Frame frame = TETHER__FRAME__INIT;

	interests_send();
	frame.body_case = TETHER__FRAME__BODY_ANSWER;
	frame.answer = (Tether__Answer *)answer;
	frame_send(&frame);
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
	hello.version = PROTOCOL_VERSION;
	hello.role = TETHER__ROLE__ROLE_SHIM;
	hello.name = name;
	hello.pid = (uint32_t)getpid();
	hello.program = program;
	pthread_mutex_lock(&lock);
	interests_list(&list);
	pthread_mutex_unlock(&lock);
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

static int socket_open(void)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	const char *path = settings()->agent_path;
	int fd;

	if (strlen(path) >= sizeof(address.sun_path))
		return -ENAMETOOLONG;
	strcpy(address.sun_path, path);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return -errno;
	if (connect(fd, (struct sockaddr *)&address, sizeof(address))) {
		int err = -errno;

		close(fd);
		return err;
	}
	return fd;
}

static void link_connect(uint64_t now)
{
	struct stat at;
	int fd = socket_open();

	if (fd < 0) {
		if (service.pause_ms == deadlines_default.reconnect_link_ms)
			log_info("link", "no agent at %s: %s", settings()->agent_path,
			        strerror(-fd));
		service.next_try_ms = now + service.pause_ms;
		if (service.pause_ms < PAUSE_MAX_MS && !steps_is_away())
			service.pause_ms *= 2;
		hear();
		return;
	}
	service.fd = fd;
	service.pause_ms = deadlines_default.reconnect_link_ms;
	if (!stat(settings()->agent_path, &at)) {
		service.device = at.st_dev;
		service.inode = at.st_ino;
	}
	hello_send();
}

/* A VM without its device is perhaps somewhere else: is there another agent behind the path? */
static bool agent_has_changed(void)
{
	struct stat at;

	return !stat(settings()->agent_path, &at) &&
	       (at.st_dev != service.device || at.st_ino != service.inode);
}

/* ---- frames ---- */

static void hello_answered(const Tether__HelloAnswer *answer)
{
	if (answer->outcome != TETHER__OUTCOME__OUTCOME_DONE) {
		log_error("link", "agent refuses this process: %s",
		        answer->n_refusals ? answer->refusals[0]->text : "no reason given");
		disconnect("refused");
		service.next_try_ms = now_ms() + PAUSE_MAX_MS;
		return;
	}
	if (reserved_numbers_add(answer->reserved_qpns, answer->n_reserved_qpns))
		log_error("link", "not all numbers of the VM are known");
	service.welcome = true;
	log_debug("link", "welcomed by %s", answer->name);
	pthread_mutex_lock(&lock);
	absent_since_ms = 0;
	pthread_mutex_unlock(&lock);
	hear();
}

static void something_is_said(void)
{
	LOCK_GUARD(&lock);
	is_silent = false;
	said_ms = now_ms();
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
		event = frame->event;
		frame->event = NULL;
		frame->body_case = TETHER__FRAME__BODY__NOT_SET;
		steps_event(event, now_ms(), answer_send, NULL);
		break;
	case TETHER__FRAME__BODY_INTEREST_ANSWER:
		pthread_mutex_lock(&lock);
		interests_answered(frame->interest_answer);
		pthread_cond_broadcast(&changed);
		pthread_mutex_unlock(&lock);
		break;
	default:
		break;
	}
}

static void frames_take(void)
{
	Tether__Frame *frame;
	int got = 0;

	while (service.fd >= 0 && (got = frame_reader_next(&service.reader, &frame)) > 0) {
		frame_take(frame);
		frame_free(frame);
	}
	if (service.fd >= 0 && got < 0)
		disconnect(strerror(-got));
}

static void link_read(void)
{
	while (service.fd >= 0) {
		uint8_t *at;
		size_t room;
		ssize_t got;

		if (frame_reader_room(&service.reader, &at, &room)) {
			disconnect("no memory");
			return;
		}
		got = recv(service.fd, at, room, MSG_DONTWAIT);
		if (got > 0) {
			frame_reader_received(&service.reader, (size_t)got);
			frames_take();
		} else if (!got) {
			disconnect("closed by the agent");
		} else if (errno == EAGAIN || errno == EWOULDBLOCK) {
			return;
		} else if (errno != EINTR) {
			disconnect(strerror(errno));
		}
	}
}

/* Registrations go up once our hello is accepted; each waits in its application thread, and its
 * address is that thread's: packed before the lock is let go. */
static void interests_send(void)
{
	Tether__Interest interest;
	Tether__Address address;
	Tether__Frame frame = TETHER__FRAME__INIT;
	uint32_t sender;

	frame.body_case = TETHER__FRAME__BODY_INTEREST;
	frame.interest = &interest;
	pthread_mutex_lock(&lock);
	while ((sender = heard_senders_next())) {
		interests_hear(sender);
		pthread_cond_broadcast(&changed);
	}
	while (service.welcome && interests_next(&interest, &address))
		frame_pack(&frame);
	pthread_mutex_unlock(&lock);
	out_flush();
}

/* ---- the thread ---- */

static int sooner(int a, int b)
{
	return a < 0 || (b >= 0 && b < a) ? b : a;
}

static void service_wait(int timeout_ms)
{
	struct pollfd fds[] = {
	        {.fd = service.wake, .events = POLLIN},
	        {.fd = service.fd, .events = POLLIN},
	};
	uint64_t drained;

	if (service.out_start != service.out_end)
		fds[1].events |= POLLOUT;
	if (poll(fds, 2, timeout_ms) <= 0)
		return;
	if (fds[0].revents && read(service.wake, &drained, sizeof(drained)) < 0)
		log_debug("link", "spurious wake-up");
	if (fds[1].revents & POLLOUT)
		out_flush();
	if (fds[1].revents & (POLLIN | POLLHUP | POLLERR))
		link_read();
}

static void *serve(void *unused)
{
	for (;;) {
		int timeout_ms = steps_tick(now_ms(), answer_send, NULL);
		uint64_t now = now_ms();

		if (service.fd >= 0 && steps_is_away() && agent_has_changed())
			disconnect("another agent is behind the path");
		if (service.fd < 0 && now >= service.next_try_ms)
			link_connect(now);
		if (service.fd < 0)
			timeout_ms = sooner(timeout_ms,
			        service.next_try_ms > now ? (int)(service.next_try_ms - now) : 0);
		else if (steps_is_away())
			timeout_ms = sooner(timeout_ms, (int)deadlines_default.reconnect_link_ms);
		interests_send();
		service_wait(timeout_ms);
	}
	return NULL;
}

static void changed_init(void)
{
	pthread_condattr_t attributes;

	pthread_condattr_init(&attributes);
	pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
	pthread_cond_init(&changed, &attributes);
	pthread_condattr_destroy(&attributes);
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
	return err;
}

static struct timespec at_ms(uint64_t at)
{
	return (struct timespec){(time_t)(at / 1000), (long)(at % 1000) * 1000000};
}

static struct timespec after_ms(unsigned ms)
{
	return at_ms(now_ms() + ms);
}

static void start(void)
{
	changed_init();
	service.wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	service.pause_ms = deadlines_default.reconnect_link_ms;
	absent_since_ms = now_ms();
	if (service.wake < 0 || thread_start())
		log_error("link", "no service thread: this process cannot move");
	else
		service.started = true;
}

void agent_link_start(void)
{
	struct timespec until = after_ms(ABSENT_MS);
	int err = 0;

	if (!settings()->agent_path)
		return;
	UNCANCELLED();
	LOCK_GUARD(&lock);
	if (!service.started)
		start();
	while (service.started && !heard && !err)
		err = pthread_cond_timedwait(&changed, &lock, &until);
}

void agent_link_forget_parent(void)
{
	pthread_mutex_init(&lock, NULL);
	if (service.fd >= 0)
		close(service.fd);
	if (service.wake >= 0)
		close(service.wake);
	memset(&service, 0, sizeof(service));
	service.fd = service.wake = -1;
	heard = is_silent = false;
	interests_forget();
	steps_forget();
}

static void wake(void)
{
	uint64_t one = 1;

	UNCANCELLED();
	if (write(service.wake, &one, sizeof(one)) < 0)
		log_debug("link", "wake-up is due already");
}

bool agent_link_is_there(void)
{
	return service.started;
}

void agent_link_wake(void)
{
	if (service.started)
		wake();
}

void agent_link_await_sender(uint32_t lid, uint64_t since_ms)
{
	struct timespec until = at_ms(since_ms + ABSENT_MS);
	int err = 0;

	UNCANCELLED();
	LOCK_GUARD(&lock);
	while (service.started && !absent_since_ms && !is_silent && !err && !sender_is_known(lid))
		err = pthread_cond_timedwait(&changed, &lock, &until);
	is_silent |= err && said_ms < since_ms;
	sender_set_known(lid);
}

/* To the end of a migration that the agent has named; for an agent that has not as long as one may
 * take by default; without an agent only a moment. */
static bool wait_a_little(const struct interest_request *request, uint64_t *since_ms)
{
	/* Once: who is stopped between two looks has not waited for so long. */
	uint64_t now = now_ms(), until;
	struct timespec at;

	if (request->held)
		*since_ms = now;
	until = *since_ms + deadlines_default.overall_ms;
	if (absent_since_ms) {
		uint64_t from = absent_since_ms > *since_ms ? absent_since_ms : *since_ms;

		until = from + ABSENT_MS;
	}
	if (now >= until)
		return false;
	at = after_ms(20);
	pthread_cond_timedwait(&changed, &lock, &at);
	return true;
}

/* Under the lock. */
static void await_answer(const struct interest_request *request)
{
	uint64_t since = now_ms();
	bool waits = true;

	wake();
	while (!request->answered && waits)
		waits = wait_a_little(request, &since);
}

void agent_link_register(struct remote *remote)
{
	struct interest_request request;

	if (!service.started)
		return;
	UNCANCELLED();
	log_debug("link", "interest in lid %u, qp 0x%x", remote->lid, remote->qpn);
	LOCK_GUARD(&lock);
	interests_ask(&request, remote);
	await_answer(&request);
	if (request.answered)
		log_debug("link", "interest in lid %u is acknowledged", remote->lid);
	else
		log_warn("link", "no agent has acknowledged interest in lid %u", remote->lid);
	interests_done(&request, remote);
}

void agent_link_register_datagrams(struct remote *remote)
{
	struct interest_request request;

	if (!service.started)
		return;
	UNCANCELLED();
	LOCK_GUARD(&lock);
	if (!interests_ask_datagrams(&request, remote))
		return;
	await_answer(&request);
	if (!request.answered)
		log_warn("link", "no agent has acknowledged interest in lid %u", remote->lid);
	interests_done(&request, remote);
}

void agent_link_forget(const struct remote *remote)
{
	if (!service.started)
		return;
	UNCANCELLED();
	LOCK_GUARD(&lock);
	if (interests_drop(remote))
		wake();
}

int agent_link_announce(const struct announcement *what)
{
	struct interest_request request;
	struct remote unused;

	if (!service.started)
		return 0;
	UNCANCELLED();
	LOCK_GUARD(&lock);
	if (interests_announce(&request, what))
		return -ENOMEM;
	await_answer(&request);
	if (!request.answered)
		log_warn("link", "no agent has heard of qp 0x%x", what->qpn);
	interests_done(&request, &unused);
	return request.refused ? -ENOMEM : 0;
}

int agent_link_announce_unasked(const struct announcement *what)
{
	if (!service.started)
		return 0;
	LOCK_GUARD(&lock);
	return announcements_add(what, true);
}

void agent_link_withdraw(const struct announcement *what)
{
	if (!service.started)
		return;
	UNCANCELLED();
	LOCK_GUARD(&lock);
	if (announcements_withdraw(what))
		wake();
}
