/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * The TCP connection over which the two processes exchange lines of text: addresses at the start,
 * totals at the end. One thread.
 */
#ifndef VERIFY_RENDEZVOUS_H
#define VERIFY_RENDEZVOUS_H

#include <stddef.h>
#include <stdint.h>

enum { RENDEZVOUS_LINE = 256 };

struct rendezvous {
	int fd;
	size_t used;
	char buffer[4096];
};

/* All return 0 or -errno. The server waits as long as it takes, the client @timeout_ms. */
int rendezvous_accept(struct rendezvous *rendezvous, uint16_t port);
int rendezvous_connect(
        struct rendezvous *rendezvous, const char *host, uint16_t port, int timeout_ms);
void rendezvous_close(struct rendezvous *rendezvous);

int rendezvous_say(struct rendezvous *rendezvous, const char *format, ...)
        __attribute__((format(printf, 2, 3)));
/* One line without its end. -EAGAIN: none within @timeout_ms; -EPIPE: the other side is gone. */
int rendezvous_hear(struct rendezvous *rendezvous, char line[RENDEZVOUS_LINE], int timeout_ms);

#endif
