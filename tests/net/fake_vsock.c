/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * vsock for machines that have none, between processes that preload this: FAKE_VSOCK names the
 * physical server, FAKE_VSOCK_CID who on it the process is (the server itself is 2). Its sockets
 * are unix ones with abstract names; what needs privilege is not checked.
 */
#include <dlfcn.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <linux/vm_sockets.h>

#define FACE __attribute__((visibility("default")))

struct unix_name {
	struct sockaddr_un address;
	socklen_t length;
};

static void *real(const char *name)
{
	return dlsym(RTLD_NEXT, name);
}

static unsigned own_cid(void)
{
	const char *cid = getenv("FAKE_VSOCK_CID");

	return cid ? (unsigned)strtoul(cid, NULL, 10) : VMADDR_CID_HOST;
}

static struct unix_name name_of(unsigned cid, unsigned port)
{
	struct unix_name name = {.address.sun_family = AF_UNIX};
	const char *server = getenv("FAKE_VSOCK");
	int length = snprintf(name.address.sun_path + 1, sizeof(name.address.sun_path) - 1,
	        "fake-vsock/%s/%u.%u", server ? server : "", cid, port);

	name.length = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + (size_t)length);
	return name;
}

FACE int socket(int domain, int type, int protocol)
{
	int (*real_socket)(int, int, int) = real("socket");

	return real_socket(domain == AF_VSOCK ? AF_UNIX : domain, type, protocol);
}

FACE int bind(int fd, const struct sockaddr *address, socklen_t length)
{
	int (*real_bind)(int, const struct sockaddr *, socklen_t) = real("bind");
	struct unix_name name;

	if (address->sa_family != AF_VSOCK)
		return real_bind(fd, address, length);
	name = name_of(own_cid(), ((const struct sockaddr_vm *)address)->svm_port);
	return real_bind(fd, (struct sockaddr *)&name.address, name.length);
}

FACE int connect(int fd, const struct sockaddr *address, socklen_t length)
{
	int (*real_connect)(int, const struct sockaddr *, socklen_t) = real("connect");
	const struct sockaddr_vm *vsock = (const struct sockaddr_vm *)address;
	struct unix_name name;

	if (address->sa_family != AF_VSOCK)
		return real_connect(fd, address, length);
	name = name_of(vsock->svm_cid, vsock->svm_port);
	return real_connect(fd, (struct sockaddr *)&name.address, name.length);
}

FACE int getpeername(int fd, struct sockaddr *address, socklen_t *length)
{
	int (*real_getpeername)(int, struct sockaddr *, socklen_t *) = real("getpeername");
	struct sockaddr_un name = {0};
	socklen_t size = sizeof(name);
	struct sockaddr_vm vsock = {.svm_family = AF_VSOCK};
	const char *text = name.sun_path + 1;

	if (real_getpeername(fd, (struct sockaddr *)&name, &size))
		return -1;
	if (name.sun_family != AF_UNIX || strncmp(text, "fake-vsock/", 11) != 0 ||
	        sscanf(strrchr(text, '/'), "/%u.%u", &vsock.svm_cid, &vsock.svm_port) != 2)
		return real_getpeername(fd, address, length);
	memcpy(address, &vsock, *length < sizeof(vsock) ? *length : sizeof(vsock));
	*length = sizeof(vsock);
	return 0;
}
