/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/* A CA and what it has made, as files in a directory of their own. */
#ifndef TETHER_TESTS_TLS_PLACE_H
#define TETHER_TESTS_TLS_PLACE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "notifier/certificates/credentials.h"
#include "sm-side/cli/authority.h"

struct tls_place {
	char directory[64];
	EVP_PKEY *key;
	X509 *ca;
	X509 *above; /* NULL: the CA has signed itself */
	EVP_PKEY *above_key;
	uint64_t crl_number;
};

struct holder {
	struct credentials_files files;
	X509 *certificate;
};

void tls_place_make(struct tls_place *place);
void tls_place_remove(struct tls_place *place);
/* The CA becomes one between: holders that are made from now on show it with their certificates,
 * and look at one above it. */
void tls_place_put_below(struct tls_place *place);
/* Put below, the CA or the one above it is valid until @until_s from now. */
void tls_place_ca_ends(struct tls_place *place, long until_s);
void tls_place_above_ends(struct tls_place *place, long until_s);
/* The list of revoked certificates is. */
void tls_place_crl_ends(struct tls_place *place, long until_s);
/* It looks at the one between as well. */
void holder_looks_at_both(const struct tls_place *place, struct holder *holder);
/* @who: "host/hyp1". It looks at no list of revoked certificates yet. */
void holder_make(struct tls_place *place, struct holder *holder, const char *who);
/* Valid from @from_s until @until_s, in seconds from now. */
void holder_make_dated(
        struct tls_place *place, struct holder *holder, const char *who, long from_s, long until_s);
void holder_clear(struct holder *holder);
/* The list of revoked certificates is of these, NULL: of none. */
void tls_place_revoke(struct tls_place *place, const struct holder *holder);
void holder_looks_at_crl(const struct tls_place *place, struct holder *holder);

#endif
