/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include "notifier/certificates/credentials.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/err.h>
#include <openssl/x509.h>

#include "notifier/base/cleanup.h"
#include "notifier/certificates/certificate.h"
#include "notifier/certificates/sessions.h"
#include "notifier/channel/channel_tls.h"

enum {
	CERTIFICATES_MOST_BYTES = 16 << 10,
	DAY_S = 24 * 3600,
	SESSION_S = 7 * DAY_S, /* the most that RFC 8446 has: links stand for long */
	SOON_S = 30 * DAY_S,
};

/* What is read anew, all of it or nothing. */
struct contexts {
	SSL_CTX *accepting, *connecting;
	X509_STORE *store;
	struct peer_identity identity;
	time_t own_expires, crl_expires; /* crl 0: there is none */
	struct sessions sessions;        /* of those who are accepted */
};

struct credentials {
	const struct credentials_files *files;
	struct contexts contexts;
	struct credentials_counts counts;
	struct tls_handshakes handshakes;
	bool has_parent;
	struct peer_identity parent; /* that it has to be */
	char *session_address;       /* a program connects to one parent */
	SSL_SESSION *session;
};

/* ---- reading ---- */

/* The first error is what the others follow from. */
static const char *why(void)
{
	unsigned long error = ERR_peek_error();

	if (ERR_SYSTEM_ERROR(error))
		return strerror(ERR_GET_REASON(error));
	return ERR_reason_error_string(error);
}

static int failed(const char *path, const char *what, char *error, size_t size)
{
	snprintf(error, size, "%s: %s: %s", path, what, why() ? why() : "no reason given");
	ERR_clear_error();
	return -EINVAL;
}

/* An encrypted key would ask for its passphrase at a terminal that is not there. */
static int no_passphrase(char *text, int size, int writing, void *unused)
{
	return 0;
}

static int store_read(
        const struct credentials_files *files, X509_STORE *store, char *error, size_t size)
{
	X509_LOOKUP *lookup;

	if (!X509_STORE_load_file(store, files->ca))
		return failed(files->ca, "no certificate of a CA", error, size);
	if (!files->crl)
		return 0;
	lookup = X509_STORE_add_lookup(store, X509_LOOKUP_file());
	if (!lookup || X509_load_crl_file(lookup, files->crl, X509_FILETYPE_PEM) < 1)
		return failed(files->crl, "no list of revoked certificates", error, size);
	X509_STORE_set_flags(store, X509_V_FLAG_CRL_CHECK);
	return 0;
}

static int own_read(
        const struct credentials_files *files, SSL_CTX *context, char *error, size_t size)
{
	SSL_CTX_set_default_passwd_cb(context, no_passphrase);
	if (SSL_CTX_use_certificate_chain_file(context, files->certificate) != 1)
		return failed(files->certificate, "no certificate", error, size);
	if (SSL_CTX_use_PrivateKey_file(context, files->key, SSL_FILETYPE_PEM) != 1)
		return failed(files->key, "no key of that certificate", error, size);
	/* Else its CA is looked for, and its signature checked, in each handshake, and the root is
	 * sent to those who have it. */
	SSL_CTX_build_cert_chain(context,
	        SSL_BUILD_CHAIN_FLAG_UNTRUSTED | SSL_BUILD_CHAIN_FLAG_NO_ROOT |
	                SSL_BUILD_CHAIN_FLAG_IGNORE_ERROR | SSL_BUILD_CHAIN_FLAG_CLEAR_ERROR);
	return 0;
}

static SSL_CTX *context_make(X509_STORE *store)
{
	static const unsigned char scope[] = "tether";
	SSL_CTX *context = SSL_CTX_new(TLS_method());

	if (!context)
		return NULL;
	SSL_CTX_set_min_proto_version(context, TLS1_3_VERSION);
	SSL_CTX_set_max_proto_version(context, TLS1_3_VERSION);
	/* A frame says its length, so an end without a word takes nothing from what was said. */
	SSL_CTX_set_options(context, SSL_OP_IGNORE_UNEXPECTED_EOF);
	SSL_CTX_set_mode(context, SSL_MODE_ENABLE_PARTIAL_WRITE |
	                                  SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
	                                  SSL_MODE_RELEASE_BUFFERS);
	SSL_CTX_set_read_ahead(context, 1);
	SSL_CTX_set_max_cert_list(context, CERTIFICATES_MOST_BYTES);
	SSL_CTX_set_verify(
	        context, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, channel_tls_verify);
	SSL_CTX_set_session_id_context(context, scope, sizeof(scope));
	SSL_CTX_set1_cert_store(context, store);
	return context;
}

/* Of several lists the one that expires first. */
static time_t crl_expires(X509_STORE *store)
{
	const STACK_OF(X509_OBJECT) *objects = X509_STORE_get0_objects(store);
	time_t first = 0;

	for (int i = 0; i < sk_X509_OBJECT_num(objects); i++) {
		const X509_CRL *crl = X509_OBJECT_get0_X509_CRL(sk_X509_OBJECT_value(objects, i));
		const ASN1_TIME *next = crl ? X509_CRL_get0_nextUpdate(crl) : NULL;
		time_t when = next ? certificate_time(next) : 0;

		if (when && (!first || when < first))
			first = when;
	}
	return first;
}

static int identity_read(
        const struct credentials_files *files, struct contexts *contexts, char *error, size_t size)
{
	const X509 *own = SSL_CTX_get0_certificate(contexts->accepting);
	int err = certificate_identity(own, &contexts->identity);

	contexts->own_expires = certificate_time(X509_get0_notAfter(own));
	contexts->crl_expires = crl_expires(contexts->store);
	if (err)
		snprintf(
		        error, size, "%s: %s", files->certificate, certificate_identity_fault(err));
	return err;
}

static void contexts_clear(struct contexts *contexts)
{
	SSL_CTX_free(contexts->accepting);
	SSL_CTX_free(contexts->connecting);
	X509_STORE_free(contexts->store);
	sessions_clear(&contexts->sessions);
	*contexts = (struct contexts){0};
}

/*
 * Each ticket is the number of a session that is kept here, and is used again. Were it the session
 * itself, sealed, the certificate in it would have to be decoded when it comes and when the next
 * one goes, which costs more than the rest of the handshake.
 */
static void accepting_sessions(SSL_CTX *context)
{
	SSL_CTX_set_options(context, SSL_OP_NO_TICKET);
	SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_SERVER | SSL_SESS_CACHE_NO_INTERNAL);
	SSL_CTX_set_timeout(context, SESSION_S);
	SSL_CTX_sess_set_new_cb(context, channel_tls_session);
	SSL_CTX_sess_set_get_cb(context, channel_tls_session_find);
	SSL_CTX_set_num_tickets(context, 0); /* until a certificate has been looked at */
}

static int contexts_read(
        const struct credentials_files *files, struct contexts *contexts, char *error, size_t size)
{
	int err;

	ERR_clear_error();
	contexts->store = X509_STORE_new();
	if (!contexts->store)
		return failed(files->ca, "no memory", error, size);
	err = store_read(files, contexts->store, error, size);
	if (err)
		return err;
	contexts->accepting = context_make(contexts->store);
	contexts->connecting = context_make(contexts->store);
	if (!contexts->accepting || !contexts->connecting)
		return failed(files->certificate, "no memory", error, size);
	accepting_sessions(contexts->accepting);
	SSL_CTX_set_session_cache_mode(
	        contexts->connecting, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
	SSL_CTX_sess_set_new_cb(contexts->connecting, channel_tls_session);
	err = own_read(files, contexts->accepting, error, size);
	if (!err)
		err = own_read(files, contexts->connecting, error, size);
	return err ? err : identity_read(files, contexts, error, size);
}

/* ---- life ---- */

static void session_forget(struct credentials *credentials)
{
	SSL_SESSION_free(credentials->session);
	free(credentials->session_address);
	credentials->session = NULL;
	credentials->session_address = NULL;
}

struct credentials *credentials_create(
        const struct credentials_files *files, char *error, size_t error_size)
{
	struct credentials *credentials = calloc(1, sizeof(*credentials));

	if (!credentials) {
		snprintf(error, error_size, "no memory");
		return NULL;
	}
	credentials->files = files;
	TAILQ_INIT(&credentials->handshakes.links);
	if (!contexts_read(files, &credentials->contexts, error, error_size))
		return credentials;
	credentials_destroy(credentials);
	return NULL;
}

int credentials_reload(struct credentials *credentials, char *error, size_t error_size)
{
	struct contexts fresh = {0};
	int err = contexts_read(credentials->files, &fresh, error, error_size);

	if (err) {
		contexts_clear(&fresh);
		return err;
	}
	/* Links that stand hold what they need of the old ones. */
	contexts_clear(&credentials->contexts);
	credentials->contexts = fresh;
	session_forget(credentials);
	return 0;
}

void credentials_destroy(struct credentials *credentials)
{
	if (!credentials)
		return;
	contexts_clear(&credentials->contexts);
	session_forget(credentials);
	free(credentials);
}

void credentials_parent_set(struct credentials *credentials, const struct peer_identity *parent)
{
	credentials->has_parent = parent;
	if (parent)
		credentials->parent = *parent;
}

const struct peer_identity *credentials_parent(const struct credentials *credentials)
{
	return credentials->has_parent ? &credentials->parent : NULL;
}

const struct peer_identity *credentials_identity(const struct credentials *credentials)
{
	return &credentials->contexts.identity;
}

/* Whichever comes first. */
static time_t crl_or(const struct contexts *contexts, time_t when)
{
	return contexts->crl_expires && contexts->crl_expires < when ? contexts->crl_expires : when;
}

time_t credentials_expire(const struct credentials *credentials)
{
	return crl_or(&credentials->contexts, credentials->contexts.own_expires);
}

bool credentials_doubt(const struct credentials *credentials, time_t now, char *text, size_t size)
{
	const struct contexts *contexts = &credentials->contexts;
	time_t when = credentials_expire(credentials);
	bool is_crl = when != contexts->own_expires;

	if (when > now + SOON_S)
		return false;
	snprintf(text, size, "%s %s%lld days",
	        is_crl ? credentials->files->crl : credentials->files->certificate,
	        when > now ? "expires within " : "has expired, since ",
	        (long long)(when > now ? (when - now + DAY_S - 1) / DAY_S : (now - when) / DAY_S));
	return true;
}

const struct credentials_counts *credentials_counts(const struct credentials *credentials)
{
	return &credentials->counts;
}

unsigned credentials_handshakes(const struct credentials *credentials)
{
	return credentials->handshakes.count;
}

/* ---- for links ---- */

SSL *credentials_ssl(struct credentials *credentials, bool accepting)
{
	const struct contexts *contexts = &credentials->contexts;

	return SSL_new(accepting ? contexts->accepting : contexts->connecting);
}

struct credentials_counts *credentials_counting(struct credentials *credentials)
{
	return &credentials->counts;
}

struct tls_handshakes *credentials_handshaking(struct credentials *credentials)
{
	return &credentials->handshakes;
}

bool credentials_are_newer(const struct credentials *credentials, const SSL *ssl)
{
	const struct contexts *contexts = &credentials->contexts;
	const SSL_CTX *made_by = SSL_get_SSL_CTX(ssl);

	return made_by != contexts->accepting && made_by != contexts->connecting;
}

int credentials_verify(struct credentials *credentials, const SSL *ssl)
{
	X509_STORE_CTX *trial = X509_STORE_CTX_new();
	int error = X509_V_ERR_OUT_OF_MEM;

	if (trial && X509_STORE_CTX_init(trial, credentials->contexts.store,
	                     SSL_get0_peer_certificate(ssl), SSL_get_peer_cert_chain(ssl)))
		error = X509_verify_cert(trial) == 1 ? X509_V_OK : X509_STORE_CTX_get_error(trial);
	X509_STORE_CTX_free(trial);
	return error;
}

/* None of these is looked at again when it is resumed. */
static void session_limit(const struct contexts *contexts, const SSL *ssl, SSL_SESSION *session)
{
	time_t until = crl_or(contexts, certificates_expire(SSL_get0_verified_chain(ssl)));
	time_t life = until - SSL_SESSION_get_time(session);

	SSL_SESSION_set_timeout(session, life < 0 ? 0 : life < SESSION_S ? life : SESSION_S);
}

bool credentials_session_keep(
        struct credentials *credentials, const SSL *ssl, const char *address, SSL_SESSION *session)
{
	char *copy;

	if (credentials_are_newer(credentials, ssl))
		return false;
	copy = strdup(address);
	if (!copy)
		return false;
	session_forget(credentials);
	session_limit(&credentials->contexts, ssl, session);
	credentials->session_address = copy;
	credentials->session = session;
	return true;
}

/* A copy, since OpenSSL lets none be resumed twice. */
SSL_SESSION *credentials_session(const struct credentials *credentials, const char *address)
{
	if (!credentials->session_address || strcmp(credentials->session_address, address) != 0 ||
	        session_is_over(credentials->session))
		return NULL;
	return SSL_SESSION_dup(credentials->session);
}

bool credentials_peer_keep(struct credentials *credentials, const SSL *ssl,
        const struct peer_identity *peer, SSL_SESSION *session)
{
	if (credentials_are_newer(credentials, ssl))
		return false;
	session_limit(&credentials->contexts, ssl, session);
	return !sessions_keep(&credentials->contexts.sessions, peer, session);
}

SSL_SESSION *credentials_peer_session(const struct credentials *credentials, const SSL *ssl,
        const unsigned char *id, size_t length)
{
	if (credentials_are_newer(credentials, ssl))
		return NULL;
	return sessions_find(&credentials->contexts.sessions, id, length);
}
