/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * The Ethernet link between guests: each connection to the socket argv[1] is the netdev of a NIC as
 * QEMU has it (-netdev stream: 4 bytes of length before each frame). A frame goes to whoever has
 * sent from its destination, else to all others. What a NIC does not take (its VM is stopped) waits
 * for it, up to a bound; then frames are lost, as they are on a link.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

enum { NICS = 64, FRAME = 1 << 17, WAITING = 8 << 20, MACS = 64, MAC = 6 };

struct nic {
	int fd; /* -1: nobody */
	size_t in_length, out_length;
	char in[2 * FRAME];
	char *out;
};

struct place {
	unsigned char mac[MAC];
	struct nic *nic;
};

static struct nic nics[NICS];
static struct place places[MACS];
static size_t place_count;

static void leave(struct nic *nic)
{
	close(nic->fd);
	nic->fd = -1;
	nic->in_length = nic->out_length = 0;
	for (size_t i = 0; i < place_count; i++)
		if (places[i].nic == nic)
			places[i].nic = NULL;
}

static struct place *find(const unsigned char *mac)
{
	for (size_t i = 0; i < place_count; i++)
		if (!memcmp(places[i].mac, mac, MAC))
			return &places[i];
	return NULL;
}

static void learn(const unsigned char *mac, struct nic *nic)
{
	struct place *place = find(mac);

	if (!place && place_count < MACS) {
		place = &places[place_count++];
		memcpy(place->mac, mac, MAC);
	}
	if (place)
		place->nic = nic;
}

static void flush(struct nic *nic)
{
	ssize_t sent = send(nic->fd, nic->out, nic->out_length, MSG_DONTWAIT | MSG_NOSIGNAL);

	if (sent <= 0)
		return;
	nic->out_length -= (size_t)sent;
	memmove(nic->out, nic->out + sent, nic->out_length);
}

/* @frame with its length before it. */
static void hand(struct nic *nic, const char *frame, size_t length)
{
	ssize_t sent = 0;

	if (!nic->out_length)
		sent = send(nic->fd, frame, length, MSG_DONTWAIT | MSG_NOSIGNAL);
	if (sent < 0)
		sent = 0;
	if ((size_t)sent == length || (!sent && nic->out_length + length > WAITING))
		return;
	memcpy(nic->out + nic->out_length, frame + sent, length - (size_t)sent);
	nic->out_length += length - (size_t)sent;
}

static void pass(struct nic *from, const char *frame, size_t length)
{
	const unsigned char *macs = (const unsigned char *)frame + 4;
	struct place *to;

	if (length < 4 + 14)
		return;
	learn(macs + MAC, from);
	to = macs[0] & 1 ? NULL : find(macs);
	for (size_t i = 0; i < NICS; i++)
		if (nics[i].fd >= 0 && &nics[i] != from && (!to || !to->nic || to->nic == &nics[i]))
			hand(&nics[i], frame, length);
}

static void take(struct nic *nic)
{
	ssize_t got = recv(
	        nic->fd, nic->in + nic->in_length, sizeof(nic->in) - nic->in_length, MSG_DONTWAIT);
	size_t at = 0;

	if (got < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (got <= 0) {
		leave(nic);
		return;
	}
	nic->in_length += (size_t)got;
	while (nic->in_length - at >= 4) {
		uint32_t length;

		memcpy(&length, nic->in + at, 4);
		length = ntohl(length);
		if (length > FRAME) {
			leave(nic);
			return;
		}
		if (nic->in_length - at < 4 + length)
			break;
		pass(nic, nic->in + at, 4 + length);
		at += 4 + length;
	}
	nic->in_length -= at;
	memmove(nic->in, nic->in + at, nic->in_length);
}

static void welcome(int listener)
{
	int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);

	for (size_t i = 0; fd >= 0 && i < NICS; i++)
		if (nics[i].fd < 0) {
			nics[i].fd = fd;
			return;
		}
	close(fd);
}

static int listen_at(const char *path)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
	unlink(path);
	if (bind(listener, (struct sockaddr *)&address, sizeof(address)) || listen(listener, NICS))
		return -1;
	return listener;
}

static void serve(int listener)
{
	for (;;) {
		struct pollfd fds[1 + NICS] = {{.fd = listener, .events = POLLIN}};

		for (size_t i = 0; i < NICS; i++)
			fds[1 + i] = (struct pollfd){.fd = nics[i].fd,
			        .events = (short)(POLLIN | (nics[i].out_length ? POLLOUT : 0))};
		if (poll(fds, 1 + NICS, -1) < 0)
			continue;
		for (size_t i = 0; i < NICS; i++) {
			if (nics[i].fd >= 0 && (fds[1 + i].revents & POLLOUT))
				flush(&nics[i]);
			if (nics[i].fd >= 0 && (fds[1 + i].revents & ~POLLOUT))
				take(&nics[i]);
		}
		if (fds[0].revents)
			welcome(listener);
	}
}

int main(int argc, char **argv)
{
	int listener = argc == 2 ? listen_at(argv[1]) : -1;

	if (listener < 0) {
		fprintf(stderr, "vm-hub: %s\n",
		        argc == 2 ? strerror(errno) : "usage: vm-hub SOCKET");
		return 2;
	}
	for (size_t i = 0; i < NICS; i++) {
		nics[i].fd = -1;
		nics[i].out = malloc(WAITING + FRAME);
		if (!nics[i].out)
			return 1;
	}
	serve(listener);
}
