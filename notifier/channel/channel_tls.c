/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include "notifier/channel/channel_tls.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <openssl/err.h>

#include "notifier/base/cleanup.h"
#include "notifier/certificates/certificate.h"
#include "notifier/channel/tcp_address.h"

enum {
	BACKLOG = 1024,
	WHY_BYTES = 160,
};

struct tls_link {
	struct credentials *credentials;
	SSL *ssl;
	char *address;      /* of the connecting end, else NULL */
	bool open;          /* the handshake has ended well */
	bool is_waited_for; /* it is in `handshaking` */
	TAILQ_ENTRY(tls_link) handshaking;
	struct peer_identity identity;
	char place[TCP_ADDRESS_BYTES]; /* of the peer */
	char why[WHY_BYTES];           /* it failed; "": it has not */
};

int channel_tls_listen(const char *address, int *fd, char **place)
{
	CLEANUP_CLOSE int listener = -1;
	struct sockaddr_storage at;
	socklen_t length;
	char text[TCP_ADDRESS_BYTES];
	int err = tcp_address_read(address, &at, &length), yes = 1;

	if (err)
		return err;
	listener = socket(at.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	/* A predecessor's links may still be closing. */
	if (listener < 0 || setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof(yes)) ||
	        bind(listener, (struct sockaddr *)&at, length) || listen(listener, BACKLOG))
		return -errno;
	length = sizeof(at);
	if (getsockname(listener, (struct sockaddr *)&at, &length))
		return -errno;
	tcp_address_write(&at, text);
	*place = strdup(text);
	if (!*place)
		return -ENOMEM;
	*fd = listener;
	listener = -1;
	return 0;
}

/* ---- why it fails ---- */

/* The first reason is the one that the others follow from. */
static int refuse(struct tls_link *link, enum tls_refusal kind, const char *text)
{
	if (*link->why)
		return -EACCES;
	snprintf(link->why, sizeof(link->why), "%s", text);
	if (!link->open)
		credentials_counting(link->credentials)->refused[kind]++;
	return -EACCES;
}

static int refuse_certificate(
        struct tls_link *link, enum tls_refusal kind, const X509 *certificate, const char *more)
{
	char who[PEER_TEXT_BYTES], text[WHY_BYTES];
	struct peer_identity identity;

	if (certificate_identity(certificate, &identity)) {
		snprintf(text, sizeof(text), "%s%s", tls_refusal_text(kind), more);
	} else {
		peer_identity_write(&identity, who);
		snprintf(text, sizeof(text), "%s%s (%s)", tls_refusal_text(kind), more, who);
	}
	return refuse(link, kind, text);
}

static int refuse_verification(struct tls_link *link, int error, const X509 *certificate)
{
	enum tls_refusal kind = tls_refusal_of_verification(error);
	char more[WHY_BYTES] = "";

	if (kind == TLS_REFUSAL_BAD_CERTIFICATE)
		snprintf(more, sizeof(more), ": %s", X509_verify_cert_error_string(error));
	return refuse_certificate(link, kind, certificate, more);
}

/* What OpenSSL has just said no to: -EAGAIN, -EINPROGRESS, 0 at the end of the stream, another
 * -errno. */
static int outcome(struct tls_link *link, int result)
{
	char text[WHY_BYTES];
	enum tls_refusal kind;
	int err = errno;

	switch (SSL_get_error(link->ssl, result)) {
	case SSL_ERROR_WANT_READ:
		return -EAGAIN;
	case SSL_ERROR_WANT_WRITE:
		return -EINPROGRESS;
	case SSL_ERROR_ZERO_RETURN:
		return 0;
	case SSL_ERROR_SYSCALL:
		if (ERR_peek_last_error())
			break;
		return err ? -err : 0;
	default:
		break;
	}
	kind = tls_refusal_of_error(ERR_peek_last_error(), text, sizeof(text));
	return refuse(link, kind, text);
}

static const char *tls_why(const struct channel *channel)
{
	const struct tls_link *link = channel->state;

	return link && *link->why ? link->why : NULL;
}

/* ---- who it is ---- */

static enum peer_role roles_there(const struct tls_link *link)
{
	return PEER_RELAY | (link->address ? PEER_SM : PEER_HOST);
}

/* Of the connecting end: not the one that it has been told. */
static bool is_another_parent(const struct tls_link *link, const struct peer_identity *identity)
{
	const struct peer_identity *parent = credentials_parent(link->credentials);

	return link->address && parent && !peer_identity_equal(parent, identity);
}

static int identity_check(struct tls_link *link, const X509 *certificate)
{
	struct peer_identity identity;
	int err = certificate_identity(certificate, &identity);

	if (err)
		return refuse(link, TLS_REFUSAL_NO_ROLE, certificate_identity_fault(err));
	if (!(roles_there(link) & identity.role))
		return refuse_certificate(link, TLS_REFUSAL_WRONG_ROLE, certificate, "");
	if (is_another_parent(link, &identity))
		return refuse_certificate(link, TLS_REFUSAL_WRONG_PARENT, certificate, "");
	link->identity = identity;
	return 0;
}

int channel_tls_verify(int ok, X509_STORE_CTX *trial)
{
	SSL *ssl = X509_STORE_CTX_get_ex_data(trial, SSL_get_ex_data_X509_STORE_CTX_idx());
	struct tls_link *link = SSL_get_app_data(ssl);
	X509 *certificate = X509_STORE_CTX_get0_cert(trial);

	if (!ok) {
		refuse_verification(link, X509_STORE_CTX_get_error(trial), certificate);
		return 0;
	}
	if (X509_STORE_CTX_get_error_depth(trial))
		return 1;
	/* The accepting end's; who resumes has one. */
	SSL_set_num_tickets(ssl, 1);
	if (!identity_check(link, certificate))
		return 1;
	X509_STORE_CTX_set_error(trial, X509_V_ERR_CERT_REJECTED);
	return 0;
}

/* ---- the handshake ---- */

static void handshake_begins(struct tls_link *link)
{
	struct tls_handshakes *handshakes = credentials_handshaking(link->credentials);

	TAILQ_INSERT_TAIL(&handshakes->links, link, handshaking);
	handshakes->count++;
	link->is_waited_for = true;
}

static void handshake_over(struct tls_link *link)
{
	struct tls_handshakes *handshakes = credentials_handshaking(link->credentials);

	if (!link->is_waited_for)
		return;
	TAILQ_REMOVE(&handshakes->links, link, handshaking);
	handshakes->count--;
	link->is_waited_for = false;
}

void channel_tls_give_up_oldest(struct credentials *credentials)
{
	struct tls_link *oldest = TAILQ_FIRST(&credentials_handshaking(credentials)->links);

	if (!oldest)
		return;
	refuse(oldest, TLS_REFUSAL_CROWDED_OUT, tls_refusal_text(TLS_REFUSAL_CROWDED_OUT));
	handshake_over(oldest);
	/* Its connection finds the end of the stream. */
	shutdown(SSL_get_fd(oldest->ssl), SHUT_RDWR);
}

/* Would it be taken with what is looked at today? */
static int verify_anew(struct tls_link *link)
{
	int error = credentials_verify(link->credentials, link->ssl);

	if (error == X509_V_OK)
		return 0;
	return refuse_verification(link, error, SSL_get0_peer_certificate(link->ssl));
}

static int handshake_done(struct tls_link *link)
{
	struct credentials_counts *counts = credentials_counting(link->credentials);
	const X509 *certificate = SSL_get0_peer_certificate(link->ssl);
	bool resumed = SSL_session_reused(link->ssl);

	handshake_over(link);
	if (!certificate)
		return refuse(link, TLS_REFUSAL_NO_CERTIFICATE,
		        tls_refusal_text(TLS_REFUSAL_NO_CERTIFICATE));
	/* It brings the certificate that was checked when it began, and ends with it. */
	if (resumed && identity_check(link, certificate))
		return -EACCES;
	if (credentials_are_newer(link->credentials, link->ssl) && verify_anew(link))
		return -EACCES;
	link->open = true;
	if (resumed)
		counts->resumed++;
	else
		counts->full++;
	return 0;
}

static int tls_connected(struct channel *channel)
{
	struct tls_link *link = channel->state;
	int result, err;

	ERR_clear_error();
	errno = 0;
	result = SSL_do_handshake(link->ssl);
	if (result == 1)
		return handshake_done(link);
	err = outcome(link, result);
	if (err == -EAGAIN || err == -EINPROGRESS)
		return err;
	handshake_over(link);
	if (err == 0)
		err = refuse(
		        link, TLS_REFUSAL_BROKEN_OFF, tls_refusal_text(TLS_REFUSAL_BROKEN_OFF));
	return err;
}

/* ---- life ---- */

static void link_free(struct tls_link *link)
{
	if (!link)
		return;
	handshake_over(link);
	SSL_free(link->ssl);
	free(link->address);
	free(link);
}

static struct tls_link *link_make(struct credentials *credentials, const char *address)
{
	struct tls_link *link = calloc(1, sizeof(*link));

	if (!link)
		return NULL;
	link->credentials = credentials;
	link->ssl = credentials_ssl(credentials, !address);
	if (address)
		link->address = strdup(address);
	if (link->ssl && (!address || link->address))
		return link;
	link_free(link);
	return NULL;
}

/* Frames are small and somebody waits for each. */
static int link_attach(struct tls_link *link, int fd, const struct sockaddr_storage *peer)
{
	int yes = 1;

	if (setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof(yes)))
		return -errno;
	tcp_address_write(peer, link->place);
	SSL_set_app_data(link->ssl, link);
	return SSL_set_fd(link->ssl, fd) == 1 ? 0 : -ENOMEM;
}

int channel_tls_accepted(int fd, const struct sockaddr_storage *peer,
        struct credentials *credentials, struct channel *channel)
{
	struct tls_link *link = link_make(credentials, NULL);
	int err = link ? link_attach(link, fd, peer) : -ENOMEM;

	if (err) {
		link_free(link);
		return err;
	}
	SSL_set_accept_state(link->ssl);
	handshake_begins(link);
	*channel = (struct channel){
	        .ops = &channel_tls_ops, .fd = fd, .state = link, .credentials = credentials};
	return 0;
}

static int socket_connect(const struct sockaddr_storage *to, socklen_t length, int *fd)
{
	int trial = socket(to->ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	int err;

	if (trial < 0)
		return -errno;
	if (connect(trial, (const struct sockaddr *)to, length) && errno != EINPROGRESS) {
		err = -errno;
		close(trial);
		return err;
	}
	*fd = trial;
	return 0;
}

static int tls_connect(struct channel *channel, const char *address)
{
	struct sockaddr_storage to;
	struct tls_link *link;
	SSL_SESSION *session;
	socklen_t length;
	int err = tcp_address_read(address, &to, &length);

	if (err)
		return err;
	if (!channel->credentials)
		return -ENOKEY;
	link = link_make(channel->credentials, address);
	if (!link)
		return -ENOMEM;
	err = socket_connect(&to, length, &channel->fd);
	if (!err)
		err = link_attach(link, channel->fd, &to);
	channel->state = link;
	if (err) {
		channel->ops->close(channel);
		return err;
	}
	SSL_set_connect_state(link->ssl);
	session = credentials_session(channel->credentials, address);
	if (session)
		SSL_set_session(link->ssl, session);
	SSL_SESSION_free(session);
	return -EINPROGRESS;
}

int channel_tls_session(SSL *ssl, SSL_SESSION *session)
{
	struct tls_link *link = SSL_get_app_data(ssl);

	if (link->address)
		return credentials_session_keep(link->credentials, ssl, link->address, session);
	return credentials_peer_keep(link->credentials, ssl, &link->identity, session);
}

SSL_SESSION *channel_tls_session_find(SSL *ssl, const unsigned char *id, int length, int *copy)
{
	const struct tls_link *link = SSL_get_app_data(ssl);

	*copy = 1; /* it stays kept here */
	return credentials_peer_session(link->credentials, ssl, id, (size_t)length);
}

static void tls_close(struct channel *channel)
{
	struct tls_link *link = channel->state;

	if (link && link->is_waited_for)
		refuse(link, TLS_REFUSAL_TOO_SLOW, tls_refusal_text(TLS_REFUSAL_TOO_SLOW));
	/* Else OpenSSL thinks that the session was broken, and does not resume it. */
	if (link)
		SSL_set_shutdown(link->ssl, SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN);
	link_free(link);
	if (channel->fd >= 0)
		close(channel->fd);
	channel->fd = -1;
	channel->state = NULL;
}

/* ---- traffic ---- */

static ssize_t tls_receive(struct channel *channel, void *bytes, size_t size)
{
	struct tls_link *link = channel->state;
	size_t got = 0, count;
	int err;

	do {
		ERR_clear_error();
		errno = 0;
		if (SSL_read_ex(link->ssl, (char *)bytes + got, size - got, &count) != 1) {
			if (got)
				return (ssize_t)got; /* the reason comes again */
			err = outcome(link, 0);
			/* The peer asks for new keys again and again and does not take ours. */
			return err == -EINPROGRESS ? -EPROTO : err;
		}
		got += count;
	} while (got < size && SSL_has_pending(link->ssl));
	return (ssize_t)got;
}

static ssize_t tls_send(struct channel *channel, const void *bytes, size_t size)
{
	struct tls_link *link = channel->state;
	size_t count;
	int err;

	ERR_clear_error();
	errno = 0;
	if (SSL_write_ex(link->ssl, bytes, size, &count) == 1)
		return (ssize_t)count;
	err = outcome(link, 0);
	if (err == -EINPROGRESS)
		return -EAGAIN;
	/* TLS 1.3 never has to read before it writes. */
	return err == -EAGAIN ? -EPROTO : err ? err : -EPIPE;
}

static bool tls_pending(const struct channel *channel)
{
	const struct tls_link *link = channel->state;

	return SSL_has_pending(link->ssl);
}

static int tls_recheck(struct channel *channel)
{
	struct tls_link *link = channel->state;

	return link->open ? verify_anew(link) : 0;
}

const struct peer_identity *channel_tls_identity(const struct channel *channel)
{
	const struct tls_link *link = channel->state;

	return channel->ops == &channel_tls_ops && link && link->open ? &link->identity : NULL;
}

const char *channel_tls_place(const struct channel *channel)
{
	const struct tls_link *link = channel->state;

	return channel->ops == &channel_tls_ops && link ? link->place : NULL;
}

const struct channel_ops channel_tls_ops = {
        .scheme = "tls",
        .fits = tcp_address_fits,
        .connect = tls_connect,
        .connected = tls_connected,
        .receive = tls_receive,
        .send = tls_send,
        .pending = tls_pending,
        .why = tls_why,
        .recheck = tls_recheck,
        .close = tls_close,
};
