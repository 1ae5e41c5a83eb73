/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include "tests/unit/tls_place.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include "notifier/base/cleanup.h"

enum { HOUR_S = 3600, YEAR_S = 365 * 24 * HOUR_S };

static struct validity validity_from_now(long from_s, long until_s)
{
	time_t now = time(NULL);

	return (struct validity){now + from_s, now + until_s};
}

static char *path_in(const struct tls_place *place, const char *name, const char *end)
{
	char *path;

	assert_true(asprintf(&path, "%s/%s%s", place->directory, name, end) > 0);
	for (char *at = path + strlen(place->directory) + 1; *at; at++)
		if (*at == '/')
			*at = '-';
	return path;
}

/* @next NULL: alone. */
static void certificates_write(const char *path, X509 *certificate, X509 *next)
{
	FILE *file = fopen(path, "w");

	assert_non_null(file);
	assert_true(PEM_write_X509(file, certificate));
	if (next)
		assert_true(PEM_write_X509(file, next));
	fclose(file);
}

void tls_place_make(struct tls_place *place)
{
	struct validity validity = validity_from_now(-HOUR_S, YEAR_S);
	CLEANUP_FREE char *path = NULL;

	*place = (struct tls_place){.directory = "/tmp/tether-tls.XXXXXX"};
	assert_non_null(mkdtemp(place->directory));
	place->key = authority_key_make();
	place->ca = authority_ca_make(place->key, "tether test", &validity);
	assert_non_null(place->ca);
	path = path_in(place, "ca", ".crt");
	certificates_write(path, place->ca, NULL);
	tls_place_revoke(place, NULL);
}

/* What `tether cert` makes has no other CA below it. */
static X509 *above_make(EVP_PKEY *key)
{
	struct validity validity = validity_from_now(-HOUR_S, YEAR_S);
	X509 *above = authority_ca_make(key, "tether test above", &validity);
	BASIC_CONSTRAINTS any_depth = {.ca = 1};

	assert_non_null(above);
	assert_int_equal(
	        X509_add1_ext_i2d(above, NID_basic_constraints, &any_depth, 1, X509V3_ADD_REPLACE),
	        1);
	assert_true(X509_sign(above, key, EVP_sha256()));
	return above;
}

void tls_place_put_below(struct tls_place *place)
{
	EVP_PKEY *key = place->above_key = authority_key_make();
	CLEANUP_FREE char *path = path_in(place, "ca", ".crt");

	place->above = above_make(key);
	assert_true(X509_set_issuer_name(place->ca, X509_get_subject_name(place->above)));
	assert_true(X509_sign(place->ca, key, EVP_sha256()));
	certificates_write(path, place->above, NULL);
}

static void ends(X509 *certificate, EVP_PKEY *signer, long until_s)
{
	assert_non_null(X509_gmtime_adj(X509_getm_notAfter(certificate), until_s));
	assert_true(X509_sign(certificate, signer, EVP_sha256()));
}

void tls_place_ca_ends(struct tls_place *place, long until_s)
{
	ends(place->ca, place->above_key, until_s);
}

void tls_place_above_ends(struct tls_place *place, long until_s)
{
	CLEANUP_FREE char *path = path_in(place, "ca", ".crt");

	ends(place->above, place->above_key, until_s);
	certificates_write(path, place->above, NULL);
}

void tls_place_remove(struct tls_place *place)
{
	char command[128];

	X509_free(place->ca);
	X509_free(place->above);
	EVP_PKEY_free(place->key);
	EVP_PKEY_free(place->above_key);
	snprintf(command, sizeof(command), "rm -r %s", place->directory);
	assert_int_equal(system(command), 0);
}

void holder_make_dated(
        struct tls_place *place, struct holder *holder, const char *who, long from_s, long until_s)
{
	struct validity validity = validity_from_now(from_s, until_s);
	EVP_PKEY *key = authority_key_make();
	struct peer_identity identity;
	FILE *file;

	assert_int_equal(peer_identity_parse_short(who, strlen(who), &identity), 0);
	*holder = (struct holder){0};
	holder->files.ca = path_in(place, "ca", ".crt");
	holder->files.certificate = path_in(place, who, ".crt");
	holder->files.key = path_in(place, who, ".key");
	holder->certificate =
	        authority_certificate_make(place->ca, place->key, key, &identity, &validity);
	assert_non_null(holder->certificate);
	certificates_write(
	        holder->files.certificate, holder->certificate, place->above ? place->ca : NULL);
	file = fopen(holder->files.key, "w");
	assert_true(PEM_write_PrivateKey(file, key, NULL, NULL, 0, NULL, NULL));
	fclose(file);
	EVP_PKEY_free(key);
}

void holder_make(struct tls_place *place, struct holder *holder, const char *who)
{
	holder_make_dated(place, holder, who, -HOUR_S, YEAR_S);
}

void holder_looks_at_crl(const struct tls_place *place, struct holder *holder)
{
	holder->files.crl = path_in(place, "ca", ".crl");
}

void holder_looks_at_both(const struct tls_place *place, struct holder *holder)
{
	free(holder->files.ca);
	holder->files.ca = path_in(place, "both", ".crt");
	certificates_write(holder->files.ca, place->above, place->ca);
}

void holder_clear(struct holder *holder)
{
	credentials_files_clear(&holder->files);
	X509_free(holder->certificate);
}

static void crl_write(const struct tls_place *place, X509_CRL *crl)
{
	CLEANUP_FREE char *path = path_in(place, "ca", ".crl");
	FILE *file = fopen(path, "w");

	assert_non_null(file);
	assert_true(PEM_write_X509_CRL(file, crl));
	fclose(file);
}

static X509_CRL *crl_make(struct tls_place *place, const struct revocation *revoked, size_t count)
{
	X509_CRL *crl = authority_crl_make(
	        place->ca, place->key, revoked, count, ++place->crl_number, time(NULL) - HOUR_S);

	assert_non_null(crl);
	return crl;
}

void tls_place_revoke(struct tls_place *place, const struct holder *holder)
{
	struct revocation revoked = {.when = time(NULL)};
	X509_CRL *crl;

	if (holder)
		authority_serial(holder->certificate, revoked.serial);
	crl = crl_make(place, &revoked, holder ? 1 : 0);
	crl_write(place, crl);
	X509_CRL_free(crl);
}

void tls_place_crl_ends(struct tls_place *place, long until_s)
{
	X509_CRL *crl = crl_make(place, NULL, 0);
	ASN1_TIME *until = ASN1_TIME_set(NULL, time(NULL) + until_s);

	assert_true(X509_CRL_set1_nextUpdate(crl, until));
	assert_true(X509_CRL_sign(crl, place->key, EVP_sha256()));
	crl_write(place, crl);
	ASN1_TIME_free(until);
	X509_CRL_free(crl);
}
