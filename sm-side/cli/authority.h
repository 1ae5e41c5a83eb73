/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * What a private CA makes for links between hosts: keys, its own certificate, certificates that
 * name a role and a host (notifier/certificates/peer_identity.h), the list of those that are
 * revoked. Pure: nothing is read or written. What is returned is the caller's; NULL: OpenSSL's
 * queue of errors says why.
 */
#ifndef TETHER_AUTHORITY_H
#define TETHER_AUTHORITY_H

#include <stdint.h>
#include <time.h>

#include <openssl/x509.h>

#include "notifier/certificates/peer_identity.h"

enum {
	SERIAL_BYTES = 16,
	SERIAL_TEXT_BYTES = 2 * SERIAL_BYTES + 1,
	CLOCKS_APART_S =
	        3600, /* hosts' clocks differ: what is made now holds for so long already */
};

struct validity {
	time_t from, until;
};

/* On the curve P-256. */
EVP_PKEY *authority_key_make(void);
/* Signed by itself; its subject is @name. */
X509 *authority_ca_make(EVP_PKEY *key, const char *name, const struct validity *validity);
/* For both ends of a link; @key's public half is in it. */
X509 *authority_certificate_make(const X509 *ca, EVP_PKEY *ca_key, EVP_PKEY *key,
        const struct peer_identity *identity, const struct validity *validity);
/* In hexadecimal, as the list below names it. */
void authority_serial(const X509 *certificate, char text[static SERIAL_TEXT_BYTES]);

struct revocation {
	char serial[SERIAL_TEXT_BYTES];
	time_t when;
};

/* @number grows from list to list. Holds for as long as the CA. */
X509_CRL *authority_crl_make(const X509 *ca, EVP_PKEY *ca_key, const struct revocation *revoked,
        size_t count, uint64_t number, time_t from);

#endif
