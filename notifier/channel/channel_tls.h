/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * Links over TLS 1.3 between machines: an agent to tether-smd, or to an agent between. Both ends
 * show certificates of the same CA, and are who those say: who connects must be a host or a relay,
 * who accepts tether-smd or a relay. Addresses are "tls:ADDRESS:PORT", "tls:[ADDRESS]:PORT" for
 * IPv6; no names, since nothing may wait for a resolver.
 */
#ifndef TETHER_CHANNEL_TLS_H
#define TETHER_CHANNEL_TLS_H

#include <sys/socket.h>

#include "notifier/channel/channel.h"
#include "notifier/certificates/credentials.h"

extern const struct channel_ops channel_tls_ops;

/* Listen at "ADDRESS:PORT". *@place: where, with the port that port 0 has become; the caller frees
 * it. The descriptor is non-blocking and close-on-exec. -errno */
int channel_tls_listen(const char *address, int *fd, char **place);

/* A channel over the accepted @fd of @peer, whose handshake is still to come; @fd is the caller's
 * until 0 is returned. -ENOMEM */
int channel_tls_accepted(int fd, const struct sockaddr_storage *peer,
        struct credentials *credentials, struct channel *channel);

/* Of the links whose handshake is under way the oldest comes to its end, from the loop. */
void channel_tls_give_up_oldest(struct credentials *credentials);

/* Who is at the other end; NULL: not a TLS link, or its handshake has not ended. */
const struct peer_identity *channel_tls_identity(const struct channel *channel);
/* "10.0.0.5:41234"; NULL: not a TLS link. */
const char *channel_tls_place(const struct channel *channel);

/* Callbacks of OpenSSL's contexts. */
int channel_tls_verify(int ok, X509_STORE_CTX *trial);
int channel_tls_session(SSL *ssl, SSL_SESSION *session);
SSL_SESSION *channel_tls_session_find(SSL *ssl, const unsigned char *id, int length, int *copy);

#endif
