/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/* Where Prometheus may ask: on this machine alone. Pure. */
#ifndef TETHER_METRICS_ADDRESS_H
#define TETHER_METRICS_ADDRESS_H

#include <sys/socket.h>

/* The path behind "unix:"; NULL: it is a port. */
const char *metrics_address_path(const char *address);

/* "127.0.0.1:PORT" or "[::1]:PORT". -EINVAL: not so, or others than this machine could ask. */
int metrics_address_port(const char *address, struct sockaddr_storage *at, socklen_t *length);

/* A setting's value, "none" included, into *@target; a relative path is beside @file. -EINVAL;
 * -ENOMEM */
int metrics_address_take(char **target, const char *file, const char *value);
#define METRICS_ADDRESS_WANT                                                                       \
	"none, 127.0.0.1:PORT, [::1]:PORT or unix:/PATH: only this machine may ask"

#endif
