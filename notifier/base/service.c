/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include "notifier/base/service.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "notifier/base/monotonic.h"

enum { MESSAGE_MAX_BYTES = 512 };

/* The length of the address; 0: there is nobody to tell. */
static socklen_t manager(struct sockaddr_un *address)
{
	const char *path = getenv("NOTIFY_SOCKET");
	size_t length = path ? strlen(path) : 0;

	if (length < 2 || length >= sizeof(address->sun_path) || (*path != '/' && *path != '@'))
		return 0;
	*address = (struct sockaddr_un){.sun_family = AF_UNIX};
	memcpy(address->sun_path, path, length);
	/* One of the abstract namespace begins with a zero byte and ends without. */
	if (*path == '@')
		address->sun_path[0] = '\0';
	return (socklen_t)(offsetof(struct sockaddr_un, sun_path) + length + (*path == '/'));
}

static void tell(const char *message)
{
	struct sockaddr_un address;
	socklen_t length = manager(&address);
	int saved_errno = errno, fd;

	if (!length)
		return;
	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd >= 0) {
		(void)!sendto(fd, message, strlen(message), MSG_NOSIGNAL,
		        (struct sockaddr *)&address, length);
		close(fd);
	}
	errno = saved_errno;
}

void service_ready(void)
{
	tell("READY=1");
}

void service_status(const char *format, ...)
{
	char message[MESSAGE_MAX_BYTES] = "STATUS=";
	size_t used = strlen(message);
	va_list args;

	va_start(args, format);
	vsnprintf(message + used, sizeof(message) - used, format, args);
	va_end(args);
	/* A second line would be taken for another word to the manager. */
	message[strcspn(message, "\n")] = '\0';
	tell(message);
}

void service_reloading(void)
{
	char message[MESSAGE_MAX_BYTES];

	snprintf(message, sizeof(message), "RELOADING=1\nMONOTONIC_USEC=%" PRIu64, monotonic_us());
	tell(message);
}

void service_stopping(void)
{
	tell("STOPPING=1");
}

void service_alive(void)
{
	tell("WATCHDOG=1");
}

/* 0: it is no number. */
static uint64_t number_of(const char *name)
{
	const char *text = getenv(name);
	char *end;
	uint64_t number;

	if (!text || *text < '0' || *text > '9')
		return 0;
	errno = 0;
	number = strtoull(text, &end, 10);
	return *end || errno ? 0 : number;
}

uint64_t service_alive_us(void)
{
	/* A child of whom it watches has the setting, too. */
	if (getenv("WATCHDOG_PID") && number_of("WATCHDOG_PID") != (uint64_t)getpid())
		return 0;
	return number_of("WATCHDOG_USEC") / 2;
}
