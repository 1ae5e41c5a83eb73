/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * What a program shows and asks for on links over TLS: its certificate and key, the CA that others'
 * certificates must be of, and the list of those that are revoked. One for each program; its links
 * (channel_tls.h) look into it, so it outlives them. Lives in their thread.
 *
 * A session is resumed with what both ends have kept of it; that is forgotten at
 * credentials_reload, so that who is revoked does not come back by an old one, and is over when the
 * first of the certificates that were looked at expires, or the list of revoked ones.
 */
#ifndef TETHER_CREDENTIALS_H
#define TETHER_CREDENTIALS_H

#include <stdbool.h>
#include <stdint.h>
#include <time.h>
#include <sys/queue.h>

#include <openssl/ssl.h>

#include "notifier/certificates/credentials_files.h"
#include "notifier/certificates/peer_identity.h"
#include "notifier/certificates/tls_refusal.h"

struct credentials;

/* Reads @files, which have to live as long. NULL with one line in @error. */
struct credentials *credentials_create(
        const struct credentials_files *files, char *error, size_t error_size);
/* Reads them again. On failure nothing has changed: -EINVAL with one line in @error. */
int credentials_reload(struct credentials *credentials, char *error, size_t error_size);
void credentials_destroy(struct credentials *credentials);

/* Who this program is. */
const struct peer_identity *credentials_identity(const struct credentials *credentials);

/* Who the other end has to be where this program connects; NULL: whoever has the role. */
void credentials_parent_set(struct credentials *credentials, const struct peer_identity *parent);
const struct peer_identity *credentials_parent(const struct credentials *credentials);

/* When the first of what others look at expires: the certificate, or, for those who come here, the
 * list of revoked ones. In seconds since 1970. */
time_t credentials_expire(const struct credentials *credentials);
/* That is soon, or was: true, with one sentence in @text. */
bool credentials_doubt(const struct credentials *credentials, time_t now, char *text, size_t size);

/* What has happened on its links since the start. */
struct credentials_counts {
	uint64_t full, resumed; /* handshakes that ended well */
	uint64_t refused[TLS_REFUSALS];
};
const struct credentials_counts *credentials_counts(const struct credentials *credentials);
/* Links that have been accepted and whose handshake is under way. */
unsigned credentials_handshakes(const struct credentials *credentials);

/* ---- for channel_tls.c ---- */

/* NULL: no memory. */
SSL *credentials_ssl(struct credentials *credentials, bool accepting);
struct credentials_counts *credentials_counting(struct credentials *credentials);
/* Accepted links whose handshake is under way, the oldest first. */
struct tls_handshakes {
	TAILQ_HEAD(, tls_link) links;
	unsigned count;
};
struct tls_handshakes *credentials_handshaking(struct credentials *credentials);
/* There was a reload since @ssl was made: its handshake looks at what was read before. */
bool credentials_are_newer(const struct credentials *credentials, const SSL *ssl);
/* Would the certificate of the other end of @ssl be taken today, with those between that it has
 * shown? 0, else X509_V_ERR_... */
int credentials_verify(struct credentials *credentials, const SSL *ssl);
/* The last session with @address, to be resumed; takes @session. False, and it does not: @ssl is of
 * before a reload. */
bool credentials_session_keep(
        struct credentials *credentials, const SSL *ssl, const char *address, SSL_SESSION *session);
/* The caller's; NULL: there is none, or it is over. */
SSL_SESSION *credentials_session(const struct credentials *credentials, const char *address);
/* The session of @peer, who was accepted by @ssl. Likewise. */
bool credentials_peer_keep(struct credentials *credentials, const SSL *ssl,
        const struct peer_identity *peer, SSL_SESSION *session);
/* Of whoever says its number; NULL: nobody's. */
SSL_SESSION *credentials_peer_session(const struct credentials *credentials, const SSL *ssl,
        const unsigned char *id, size_t length);

#endif
