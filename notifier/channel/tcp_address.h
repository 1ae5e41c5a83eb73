/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/* "10.0.0.5:4710", "[fd00::5]:4710": numbers only, so nobody waits for a resolver. Pure; any
 * thread. */
#ifndef TETHER_TCP_ADDRESS_H
#define TETHER_TCP_ADDRESS_H

#include <netinet/in.h>
#include <stdbool.h>
#include <sys/socket.h>

enum { TCP_ADDRESS_BYTES = INET6_ADDRSTRLEN + 16 }; /* longest text, with its end */

bool tcp_address_fits(const char *text);
/* -EINVAL */
int tcp_address_read(const char *text, struct sockaddr_storage *address, socklen_t *length);
void tcp_address_write(const struct sockaddr_storage *address, char text[static TCP_ADDRESS_BYTES]);

#endif
