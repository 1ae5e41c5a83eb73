/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * The plugin's socket: a unix stream socket on which lines are answered by lines. One thread
 * listens and each connection has its own, since a request may wait; so the callbacks come from
 * several threads, but for one connection one after the other. The threads take no signals.
 */
#ifndef TETHER_SM_SERVER_H
#define TETHER_SM_SERVER_H

#include <stddef.h>

enum { SM_CONNECTIONS_MAX = 16 };

struct sm_server;

struct sm_server_callbacks {
	/* The answer to a line (without its end): malloc'd, ending in a zero, without a newline.
	 * NULL: end the connection. @connection is not 0 and is never used again. */
	char *(*answer)(void *owner, unsigned connection, const char *line, size_t bytes);
	/* The connection has ended; its last callback. */
	void (*closed)(void *owner, unsigned connection);
};

/*
 * Listen at @path, mode 0600; what a dead server left there is replaced. 0 or -errno: -EADDRINUSE
 * (somebody listens there), -ENAMETOOLONG, -ENOTSOCK (something else is there), ...
 */
int sm_server_create(const char *path, const struct sm_server_callbacks *callbacks, void *owner,
        struct sm_server **server);
/* Ends all connections, waits for the callbacks under way, removes the socket. */
void sm_server_destroy(struct sm_server *server);

#endif
