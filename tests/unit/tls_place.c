/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include "tests/unit/tls_place.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <openssl/pem.h>

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

static void certificate_write(const char *path, X509 *certificate)
{
	FILE *file = fopen(path, "w");

	assert_non_null(file);
	assert_true(PEM_write_X509(file, certificate));
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
	certificate_write(path, place->ca);
	tls_place_revoke(place, NULL);
}

void tls_place_remove(struct tls_place *place)
{
	char command[128];

	X509_free(place->ca);
	EVP_PKEY_free(place->key);
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
	*holder = (struct holder){.who = who};
	holder->files.ca = path_in(place, "ca", ".crt");
	holder->files.certificate = path_in(place, who, ".crt");
	holder->files.key = path_in(place, who, ".key");
	holder->certificate =
	        authority_certificate_make(place->ca, place->key, key, &identity, &validity);
	assert_non_null(holder->certificate);
	certificate_write(holder->files.certificate, holder->certificate);
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

void holder_clear(struct holder *holder)
{
	credentials_files_clear(&holder->files);
	X509_free(holder->certificate);
}

void tls_place_revoke(struct tls_place *place, const struct holder *holder)
{
	struct revocation revoked = {.when = time(NULL)};
	CLEANUP_FREE char *path = path_in(place, "ca", ".crl");
	X509_CRL *crl;
	FILE *file;

	if (holder)
		authority_serial(holder->certificate, revoked.serial);
	crl = authority_crl_make(place->ca, place->key, &revoked, holder ? 1 : 0,
	        ++place->crl_number, time(NULL) - HOUR_S);
	assert_non_null(crl);
	file = fopen(path, "w");
	assert_true(PEM_write_X509_CRL(file, crl));
	fclose(file);
	X509_CRL_free(crl);
}
