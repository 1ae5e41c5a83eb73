/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include "notifier/channel/tcp_address.h"

#include <errno.h>
#include <netdb.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "notifier/base/settings.h"

/* getaddrinfo takes 70000 for 4464. */
static bool port_fits(const char *text)
{
	unsigned long port;

	return !setting_number(&port, text, 0, UINT16_MAX);
}

int tcp_address_read(const char *text, struct sockaddr_storage *address, socklen_t *length)
{
	static const struct addrinfo wanted = {.ai_socktype = SOCK_STREAM,
	        .ai_flags = AI_NUMERICHOST | AI_NUMERICSERV | AI_PASSIVE};
	char copy[TCP_ADDRESS_BYTES];
	char *host = copy, *port, *end;
	struct addrinfo *found;

	if (strlen(text) >= sizeof(copy))
		return -EINVAL;
	strcpy(copy, text);
	port = strrchr(copy, ':');
	if (!port || port == copy || !port[1])
		return -EINVAL;
	end = port;
	*port++ = 0;
	if (*host == '[' && end[-1] == ']') {
		end[-1] = 0;
		host++;
	} else if (strchr(host, ':')) {
		return -EINVAL; /* where does the port begin? */
	}
	if (!*host || !port_fits(port) || getaddrinfo(host, port, &wanted, &found))
		return -EINVAL;
	memcpy(address, found->ai_addr, found->ai_addrlen);
	*length = found->ai_addrlen;
	freeaddrinfo(found);
	return 0;
}

void tcp_address_write(const struct sockaddr_storage *address, char text[static TCP_ADDRESS_BYTES])
{
	char host[INET6_ADDRSTRLEN], port[8];
	bool is_v6 = address->ss_family == AF_INET6;

	if (getnameinfo((const struct sockaddr *)address, sizeof(*address), host, sizeof(host),
	            port, sizeof(port), NI_NUMERICHOST | NI_NUMERICSERV))
		snprintf(text, TCP_ADDRESS_BYTES, "an unknown place");
	else
		snprintf(text, TCP_ADDRESS_BYTES, "%s%s%s:%s", is_v6 ? "[" : "", host,
		        is_v6 ? "]" : "", port);
}

bool tcp_address_fits(const char *text)
{
	struct sockaddr_storage address;
	socklen_t length;

	return !tcp_address_read(text, &address, &length);
}
