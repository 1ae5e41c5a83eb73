/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include "notifier/metrics/metrics_address.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

#include "notifier/base/settings.h"

enum { PORT_MOST = 65535 };

const char *metrics_address_path(const char *address)
{
	return strncmp(address, "unix:/", 6) ? NULL : address + strlen("unix:");
}

static int v4_parse(const char *host, in_port_t port, struct sockaddr_storage *at)
{
	struct sockaddr_in *v4 = (struct sockaddr_in *)at;

	v4->sin_family = AF_INET;
	v4->sin_port = port;
	if (inet_pton(AF_INET, host, &v4->sin_addr) != 1)
		return -EINVAL;
	return ntohl(v4->sin_addr.s_addr) >> 24 == IN_LOOPBACKNET ? 0 : -EINVAL;
}

static int v6_parse(const char *host, in_port_t port, struct sockaddr_storage *at)
{
	struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)at;
	char inner[INET6_ADDRSTRLEN];
	size_t length = strlen(host);

	if (length < 3 || length - 2 >= sizeof(inner) || host[length - 1] != ']')
		return -EINVAL;
	memcpy(inner, host + 1, length - 2);
	inner[length - 2] = '\0';
	v6->sin6_family = AF_INET6;
	v6->sin6_port = port;
	if (inet_pton(AF_INET6, inner, &v6->sin6_addr) != 1)
		return -EINVAL;
	return IN6_IS_ADDR_LOOPBACK(&v6->sin6_addr) ? 0 : -EINVAL;
}

int metrics_address_port(const char *address, struct sockaddr_storage *at, socklen_t *length)
{
	const char *colon = strrchr(address, ':');
	char host[INET6_ADDRSTRLEN + 2];
	unsigned long port;

	if (!colon || (size_t)(colon - address) >= sizeof(host) ||
	        setting_number(&port, colon + 1, 1, PORT_MOST))
		return -EINVAL;
	snprintf(host, sizeof(host), "%.*s", (int)(colon - address), address);
	*at = (struct sockaddr_storage){0};
	*length = *host == '[' ? sizeof(struct sockaddr_in6) : sizeof(struct sockaddr_in);
	return *host == '[' ? v6_parse(host, htons((uint16_t)port), at)
	                    : v4_parse(host, htons((uint16_t)port), at);
}

int metrics_address_take(char **target, const char *file, const char *value)
{
	struct sockaddr_storage at;
	socklen_t length;

	if (!strncmp(value, "unix:", 5))
		return setting_path(target, file, "unix:", value);
	if (strcmp(value, "none") && metrics_address_port(value, &at, &length))
		return -EINVAL;
	return setting_text(target, value);
}
