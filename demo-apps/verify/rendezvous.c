/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include "demo-apps/verify/rendezvous.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

static int settle(struct rendezvous *rendezvous, int fd)
{
	int one = 1;

	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	rendezvous->fd = fd;
	rendezvous->used = 0;
	return 0;
}

int rendezvous_accept(struct rendezvous *rendezvous, uint16_t port)
{
	struct sockaddr_in6 any = {.sin6_family = AF_INET6, .sin6_port = htons(port)};
	int listener = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
	int one = 1, zero = 0, fd, error = 0;

	if (listener < 0)
		return -errno;
	setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	setsockopt(listener, IPPROTO_IPV6, IPV6_V6ONLY, &zero, sizeof(zero));
	fd = -1;
	if (!bind(listener, (struct sockaddr *)&any, sizeof(any)) && !listen(listener, 1))
		fd = accept(listener, NULL, NULL);
	if (fd < 0)
		error = -errno;
	close(listener);
	return error ? error : settle(rendezvous, fd);
}

static int connect_once(const struct addrinfo *list)
{
	int error = -ECONNREFUSED;

	for (; list; list = list->ai_next) {
		int fd = socket(
		        list->ai_family, list->ai_socktype | SOCK_CLOEXEC, list->ai_protocol);

		if (fd < 0)
			return -errno;
		if (!connect(fd, list->ai_addr, list->ai_addrlen))
			return fd;
		error = -errno;
		close(fd);
	}
	return error;
}

static int64_t clock_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000LL + now.tv_nsec / 1000000;
}

int rendezvous_connect(
        struct rendezvous *rendezvous, const char *host, uint16_t port, int timeout_ms)
{
	struct addrinfo hints = {.ai_socktype = SOCK_STREAM}, *list;
	int64_t end = clock_ms() + timeout_ms;
	char service[8];
	int fd;

	snprintf(service, sizeof(service), "%u", port);
	if (getaddrinfo(host, service, &hints, &list))
		return -EHOSTUNREACH;
	/* The server may still be starting. */
	while ((fd = connect_once(list)) == -ECONNREFUSED && clock_ms() < end)
		poll(NULL, 0, 10);
	freeaddrinfo(list);
	return fd < 0 ? fd : settle(rendezvous, fd);
}

void rendezvous_close(struct rendezvous *rendezvous)
{
	if (rendezvous->fd >= 0)
		close(rendezvous->fd);
	rendezvous->fd = -1;
}

int rendezvous_say(struct rendezvous *rendezvous, const char *format, ...)
{
	char line[RENDEZVOUS_LINE];
	size_t length, sent = 0;
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(line, sizeof(line) - 1, format, arguments);
	va_end(arguments);
	length = strlen(line);
	line[length++] = '\n';
	while (sent < length) {
		ssize_t step = send(rendezvous->fd, line + sent, length - sent, MSG_NOSIGNAL);

		if (step < 0 && errno != EINTR)
			return -errno;
		sent += step > 0 ? (size_t)step : 0;
	}
	return 0;
}

static bool line_take(struct rendezvous *rendezvous, char line[RENDEZVOUS_LINE])
{
	char *end = memchr(rendezvous->buffer, '\n', rendezvous->used);
	size_t length, kept;

	if (!end)
		return false;
	length = (size_t)(end - rendezvous->buffer);
	kept = length < RENDEZVOUS_LINE - 1 ? length : RENDEZVOUS_LINE - 1;
	memcpy(line, rendezvous->buffer, kept);
	line[kept] = 0;
	rendezvous->used -= length + 1;
	memmove(rendezvous->buffer, end + 1, rendezvous->used);
	return true;
}

int rendezvous_hear(struct rendezvous *rendezvous, char line[RENDEZVOUS_LINE], int timeout_ms)
{
	while (!line_take(rendezvous, line)) {
		struct pollfd ready = {.fd = rendezvous->fd, .events = POLLIN};
		ssize_t got;

		if (rendezvous->used == sizeof(rendezvous->buffer))
			return -EMSGSIZE;
		if (poll(&ready, 1, timeout_ms) <= 0)
			return -EAGAIN;
		got = recv(rendezvous->fd, rendezvous->buffer + rendezvous->used,
		        sizeof(rendezvous->buffer) - rendezvous->used, 0);
		if (got == 0 || (got < 0 && errno == ECONNRESET))
			return -EPIPE;
		if (got < 0 && errno != EINTR)
			return -errno;
		rendezvous->used += got > 0 ? (size_t)got : 0;
	}
	return 0;
}
