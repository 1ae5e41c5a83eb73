/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include "notifier/link/vm_links.h"

#include <errno.h>
#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <unistd.h>

#include "notifier/link/acceptor.h"
#include "notifier/base/cleanup.h"
#include "notifier/base/log.h"
#include "notifier/base/monotonic.h"
#include "notifier/channel/channel_unix.h"
#include "notifier/link/connection.h"
#include "notifier/link/refusal_log.h"
#include "notifier/relay/relay.h"
#include "notifier/link/shared_rates.h"

/* A program registers with each connection that it makes or lets go, and may make at once as many
 * as it has quotas for. */
enum { FRAMES_PER_S = 5000, FRAMES_AT_ONCE = 50000 };
enum {
	ENDING_S = 60,       /* so long a process whose link is gone is watched */
	WATCHED_MOST = 1024, /* of a VM */
};

struct vm_socket {
	struct vm_socket *next;
	struct vm_links *links;
	char *path;
	struct acceptor *acceptor;
	unsigned watched; /* of its processes without a link */
	char vm[];
};

struct link {
	LIST_ENTRY(link) in_list;
	struct vm_links *links;
	struct connection *connection; /* NULL: closed, only the process is watched */
	struct channel_unix_peer peer;
	struct shared_rate *rate; /* its VM's */
	struct event *ended;
	uint32_t child;
	bool is_welcome; /* the relay knows it by name, and waits for it when its link is gone */
	char vm[];
};

struct vm_links {
	struct event_base *base;
	char *directory;
	mode_t mode;
	bool names_processes;
	struct shared_rates *rates;
	struct connection_settings connections;
	struct relay *relay;
	void (*fed)(void *owner);
	void *owner;
	struct refusal_log refusals; /* by VM */
	struct vm_socket *sockets;
	LIST_HEAD(, link) list;
	struct link *by_slot[RELAY_CHILD_SLOTS]; /* those that stand */
};

struct vm_links *vm_links_create(struct event_base *base, const struct vm_links_settings *settings,
        const struct connection_settings *connections, struct relay *relay,
        void (*fed)(void *owner), void *owner)
{
	struct vm_links *links = calloc(1, sizeof(*links));

	if (!links)
		return NULL;
	links->base = base;
	links->directory = strdup(settings->directory);
	links->mode = settings->mode;
	links->names_processes = settings->names_processes;
	links->rates = settings->rates;
	links->connections = *connections;
	/* The kernel tells of a process that ends; one that is only stopped must not be lost. */
	links->connections.heartbeat_ms = 0;
	/* Many may be late at once, for want of a processor. */
	links->connections.ask_ms *= 2;
	links->connections.frames_per_s = FRAMES_PER_S;
	links->connections.frames_at_once = FRAMES_AT_ONCE;
	links->relay = relay;
	links->fed = fed;
	links->owner = owner;
	if (links->directory)
		return links;
	free(links);
	return NULL;
}

static struct vm_socket **socket_find(const struct vm_links *links, const char *vm)
{
	struct vm_socket **at = (struct vm_socket **)&links->sockets;

	while (*at && strcmp((*at)->vm, vm))
		at = &(*at)->next;
	return at;
}

static struct link *link_of_child(const struct vm_links *links, uint32_t child)
{
	struct link *link = links->by_slot[relay_child_slot(child)];

	return link && link->child == child ? link : NULL;
}

static void link_down(struct link *link)
{
	if (link_of_child(link->links, link->child) == link)
		link->links->by_slot[relay_child_slot(link->child)] = NULL;
	connection_destroy(link->connection);
	link->connection = NULL;
}

static void watched_forget(struct link *link)
{
	struct vm_socket *socket = *socket_find(link->links, link->vm);

	event_free(link->ended);
	/* It may be another than it was. */
	if (socket && socket->watched)
		socket->watched--;
}

static void link_destroy(struct link *link)
{
	LIST_REMOVE(link, in_list);
	link_down(link);
	shared_rate_release(link->rate);
	if (link->ended)
		watched_forget(link);
	if (link->peer.pidfd >= 0)
		close(link->peer.pidfd);
	free(link);
}

static void socket_destroy(struct vm_socket *socket)
{
	if (socket->acceptor && socket->path)
		unlink(socket->path);
	acceptor_destroy(socket->acceptor);
	free(socket->path);
	free(socket);
}

void vm_links_destroy(struct vm_links *links)
{
	if (!links)
		return;
	while (!LIST_EMPTY(&links->list))
		link_destroy(LIST_FIRST(&links->list));
	while (links->sockets) {
		struct vm_socket *next = links->sockets->next;

		socket_destroy(links->sockets);
		links->sockets = next;
	}
	free(links->directory);
	free(links);
}

/* "agent/12.345" is taken as "vm1/12.345". */
static int hello_take(struct link *link, const Tether__Frame *said)
{
	const char *of_vm = strchr(said->hello->name, '/');
	Tether__Frame frame = *said;
	Tether__Hello hello = *said->hello;
	CLEANUP_FREE char *name = NULL;

	if (of_vm) { /* it is one of a process; else the relay says so */
		if (asprintf(&name, "%s%s", link->vm, of_vm) < 0)
			return -ENOMEM;
		hello.name = name;
	}
	frame.hello = &hello;
	return relay_child_frame(link->links->relay, link->child, &frame, monotonic_ms());
}

static void on_frame(struct connection *connection, const Tether__Frame *frame, void *owner)
{
	struct link *link = owner;
	bool is_hello = frame->body_case == TETHER__FRAME__BODY_HELLO;
	int err =
	        is_hello && link->links->names_processes
	                ? hello_take(link, frame)
	                : relay_child_frame(link->links->relay, link->child, frame, monotonic_ms());

	if (!err && is_hello)
		link->is_welcome = true;
	if (err) {
		refusal_tell(link->links, LOG_LEVEL_WARN, "vm-links", link->vm,
		        "pid %d is not listened to: %s", (int)link->peer.pid, strerror(-err));
		connection_finish(connection, "not listened to");
	}
	link->links->fed(link->links->owner);
}

static void on_process_ended(evutil_socket_t fd, short what, void *at)
{
	struct link *link = at;
	struct vm_links *links = link->links;

	if (what & EV_READ)
		relay_child_gone(links->relay, link->child, true, monotonic_ms());
	link_destroy(link);
	links->fed(links->owner);
}

/* The end of a link is seen a moment before the end of its process, and may be without it. Whoever
 * closes and comes again any number of times takes no more descriptors for that. */
static bool link_watch_process(struct link *link)
{
	struct timeval ending = {.tv_sec = ENDING_S};
	struct vm_links *links = link->links;
	struct vm_socket *socket = *socket_find(links, link->vm);

	if (link->peer.pidfd < 0 || !link->is_welcome || !socket || socket->watched >= WATCHED_MOST)
		return false;
	link->ended = event_new(links->base, link->peer.pidfd, EV_READ, on_process_ended, link);
	if (!link->ended)
		return false;
	socket->watched++;
	return !event_add(link->ended, &ending);
}

static void on_closed(struct connection *connection, int reason, const char *text, void *owner)
{
	struct link *link = owner;
	struct vm_links *links = link->links;
	bool ended = channel_unix_peer_ended(&link->peer);

	refusal_tell(links, LOG_LEVEL_INFO, "vm-links", link->vm, "pid %d: %s%s",
	        (int)link->peer.pid, text, ended ? ", the process has ended" : "");
	relay_link_ended(links->relay, reason);
	relay_child_gone(links->relay, link->child, ended, monotonic_ms());
	link_down(link);
	if (ended || !link_watch_process(link))
		link_destroy(link);
	links->fed(links->owner);
}

static const struct connection_callbacks link_callbacks = {
        .frame = on_frame,
        .closed = on_closed,
};

static bool link_rate_take(struct link *link)
{
	struct shared_rates *rates = link->links->rates;

	if (!rates)
		return true;
	link->rate = shared_rate_hold(rates, link->vm, monotonic_ms());
	connection_rate_share(link->connection, rates, link->rate);
	return link->rate;
}

/* Takes @channel and peer->pidfd. */
static void link_create(
        struct vm_socket *socket, struct channel *channel, const struct channel_unix_peer *peer)
{
	struct vm_links *links = socket->links;
	struct link *link = calloc(1, sizeof(*link) + strlen(socket->vm) + 1);
	int err = -ENOMEM;

	if (link)
		err = relay_child_add(links->relay, socket->vm, monotonic_ms(), &link->child);
	if (err) {
		refusal_tell(links, LOG_LEVEL_WARN, "vm-links", socket->vm,
		        "%s: no link for pid %d: %s", socket->vm, (int)peer->pid, strerror(-err));
		channel->ops->close(channel);
		if (peer->pidfd >= 0)
			close(peer->pidfd);
		free(link);
		return;
	}
	relay_child_numbered(links->relay, link->child, (uint32_t)peer->pid);
	strcpy(link->vm, socket->vm);
	link->links = links;
	link->peer = *peer;
	LIST_INSERT_HEAD(&links->list, link, in_list);
	links->by_slot[relay_child_slot(link->child)] = link;
	link->connection =
	        connection_accept(links->base, channel, &links->connections, &link_callbacks, link);
	if (!link->connection || !link_rate_take(link)) {
		relay_child_gone(links->relay, link->child, true, monotonic_ms());
		link_destroy(link);
	}
}

static void on_accepted(int fd, const struct sockaddr_storage *from, void *owner)
{
	struct vm_socket *socket = owner;
	struct channel_unix_peer peer;
	struct channel channel;

	if (channel_unix_accepted(fd, &channel, &peer)) {
		close(fd);
		return;
	}
	link_create(socket, &channel, &peer);
	socket->links->fed(socket->links->owner);
}

static int socket_listen(struct vm_socket *socket)
{
	struct vm_links *links = socket->links;
	int fd, err = channel_unix_listen(socket->path, links->mode, &fd);

	if (err)
		return err;
	socket->acceptor = acceptor_create(links->base, fd, "process", on_accepted, socket);
	if (socket->acceptor)
		return 0;
	unlink(socket->path);
	return -ENOMEM;
}

int vm_links_open_at(struct vm_links *links, const char *vm, const char *path)
{
	struct vm_socket *socket = *socket_find(links, vm);
	int err = -ENOMEM;

	if (socket)
		return 0;
	socket = calloc(1, sizeof(*socket) + strlen(vm) + 1);
	if (!socket)
		return -ENOMEM;
	strcpy(socket->vm, vm);
	socket->links = links;
	socket->path = strdup(path);
	if (socket->path)
		err = socket_listen(socket);
	if (err) {
		log_error("vm-links", "cannot listen for %s at %s: %s", vm, path, strerror(-err));
		socket_destroy(socket);
		return err;
	}
	socket->next = links->sockets;
	links->sockets = socket;
	return 0;
}

int vm_links_open(struct vm_links *links, const char *vm)
{
	CLEANUP_FREE char *path = NULL;

	if (asprintf(&path, "%s/%s.sock", links->directory, vm) < 0) {
		path = NULL;
		return -ENOMEM;
	}
	return vm_links_open_at(links, vm, path);
}

void vm_links_close(struct vm_links *links, const char *vm)
{
	struct vm_socket **at = socket_find(links, vm);
	struct vm_socket *socket = *at;

	if (!socket)
		return;
	*at = socket->next;
	socket_destroy(socket);
}

const char *vm_links_path(const struct vm_links *links, const char *vm)
{
	const struct vm_socket *socket = *socket_find(links, vm);

	return socket ? socket->path : NULL;
}

static void refusals_tell(struct link *link, const Tether__HelloAnswer *answer)
{
	for (size_t i = 0; i < answer->n_refusals; i++)
		refusal_tell(link->links, LOG_LEVEL_WARN, "vm-links", link->vm,
		        "pid %d is refused: %s: %s", (int)link->peer.pid,
		        answer->refusals[i]->reason, answer->refusals[i]->text);
}

void vm_links_send(struct vm_links *links, uint32_t child, const Tether__Frame *frame)
{
	struct link *link = link_of_child(links, child);
	int err = link ? connection_send(link->connection, frame) : 0;

	if (link && frame->body_case == TETHER__FRAME__BODY_HELLO_ANSWER)
		refusals_tell(link, frame->hello_answer);
	if (err && err != -ENOTCONN)
		refusal_tell(links, LOG_LEVEL_WARN, "vm-links", link->vm,
		        "pid %d does not get a frame: %s", (int)link->peer.pid, strerror(-err));
}

void vm_links_end(struct vm_links *links, uint32_t child, const char *why)
{
	struct link *link = link_of_child(links, child);

	if (link)
		connection_finish(link->connection, why);
}
