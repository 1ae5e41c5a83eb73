/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/* What is read out of an X.509 certificate. Pure; any thread. */
#ifndef TETHER_CERTIFICATE_H
#define TETHER_CERTIFICATE_H

#include <time.h>

#include <openssl/x509.h>

#include "notifier/certificates/peer_identity.h"

/*
 * The one URI "tether:ROLE/NAME" among its subject alternative names (RFC 5280, 4.2.1.6); its
 * subject is not looked at, other names are ignored. -ENOENT: there is none; -EEXIST: more than
 * one, of which nobody could say which is meant; -EINVAL: not a role and a name.
 */
int certificate_identity(const X509 *certificate, struct peer_identity *identity);

/* In seconds since 1970; 0: it cannot be read. */
time_t certificate_time(const ASN1_TIME *when);
/* When the first of @chain does; 0: there is none, or one cannot be read. */
time_t certificates_expire(const STACK_OF(X509) * chain);

/* Why certificate_identity has failed, in words: "its certificate names no role". */
const char *certificate_identity_fault(int err);

#endif
