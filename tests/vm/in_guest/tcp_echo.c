/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * A plain TCP program, for what turns sockets into something else: "tcp-echo PORT" sends back what
 * one client sends, "tcp-echo PORT ADDRESS BYTES" sends so many and says whether they came back.
 */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { CHUNK = 4096 };

static int failed(const char *what)
{
	perror(what);
	return 1;
}

static int send_all(int fd, const unsigned char *bytes, size_t length)
{
	while (length) {
		ssize_t sent = send(fd, bytes, length, 0);

		if (sent <= 0)
			return -1;
		bytes += sent;
		length -= (size_t)sent;
	}
	return 0;
}

static int serve(struct sockaddr_in *at)
{
	int listener = socket(AF_INET, SOCK_STREAM, 0), fd;
	unsigned char bytes[CHUNK];
	ssize_t got;

	if (bind(listener, (struct sockaddr *)at, sizeof(*at)) || listen(listener, 1))
		return failed("listen");
	fd = accept(listener, NULL, NULL);
	if (fd < 0)
		return failed("accept");
	while ((got = recv(fd, bytes, sizeof(bytes), 0)) > 0)
		if (send_all(fd, bytes, (size_t)got))
			return failed("send");
	close(fd);
	close(listener);
	return got ? failed("recv") : 0;
}

static int take_back(int fd, const unsigned char *sent, size_t length)
{
	unsigned char bytes[CHUNK];

	for (size_t at = 0; at < length;) {
		ssize_t got = recv(fd, bytes, length - at, 0);

		if (got <= 0)
			return failed("recv");
		if (memcmp(bytes, sent + at, (size_t)got) != 0) {
			fprintf(stderr, "tcp-echo: other bytes came back\n");
			return 1;
		}
		at += (size_t)got;
	}
	return 0;
}

static int ask(struct sockaddr_in *at, size_t bytes)
{
	int fd = socket(AF_INET, SOCK_STREAM, 0);
	unsigned char chunk[CHUNK];

	if (connect(fd, (struct sockaddr *)at, sizeof(*at)))
		return failed("connect");
	for (size_t done = 0; done < bytes; done += CHUNK) {
		for (size_t i = 0; i < CHUNK; i++)
			chunk[i] = (unsigned char)rand();
		if (send_all(fd, chunk, CHUNK))
			return failed("send");
		if (take_back(fd, chunk, CHUNK))
			return 1;
	}
	shutdown(fd, SHUT_RDWR);
	close(fd);
	printf("tcp-echo: %zu bytes came back\n", bytes);
	return 0;
}

int main(int argc, char **argv)
{
	struct sockaddr_in at = {.sin_family = AF_INET};

	if (argc != 2 && argc != 4)
		return 2;
	at.sin_port = htons((uint16_t)atoi(argv[1]));
	if (argc == 2)
		return serve(&at);
	return inet_aton(argv[2], &at.sin_addr) ? ask(&at, strtoul(argv[3], NULL, 10)) : 2;
}
