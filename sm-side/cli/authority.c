/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include "sm-side/cli/authority.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <openssl/bn.h>
#include <openssl/ec.h>
#include <openssl/rand.h>
#include <openssl/x509v3.h>

#include "notifier/base/cleanup.h"

enum { VERSION_3 = 2, CRL_VERSION_2 = 1, COMMON_NAME_MOST = 64 };

/* Of an X.509 certificate; in the order in which they are written. */
struct extension {
	int nid;
	const char *value;
};

EVP_PKEY *authority_key_make(void)
{
	return EVP_EC_gen("P-256");
}

/* Positive and not 0, as RFC 5280 has it. */
static bool serial_set(X509 *certificate)
{
	unsigned char bytes[SERIAL_BYTES];
	BIGNUM *number;
	bool done;

	if (RAND_bytes(bytes, sizeof(bytes)) != 1)
		return false;
	bytes[0] = (bytes[0] & 0x7f) | 0x40;
	number = BN_bin2bn(bytes, sizeof(bytes), NULL);
	done = number && BN_to_ASN1_INTEGER(number, X509_get_serialNumber(certificate));
	BN_free(number);
	return done;
}

static bool extension_add(X509 *certificate, const X509 *issuer, const struct extension *extension)
{
	X509_EXTENSION *made;
	X509V3_CTX context;
	bool done;

	X509V3_set_ctx(&context, (X509 *)issuer, certificate, NULL, NULL, 0);
	made = X509V3_EXT_conf_nid(NULL, &context, extension->nid, extension->value);
	done = made && X509_add_ext(certificate, made, -1);
	X509_EXTENSION_free(made);
	return done;
}

/* For those who look at certificates by eye; of a long name its beginning. */
static bool subject_set(X509 *certificate, const char *name)
{
	int length = (int)strnlen(name, COMMON_NAME_MOST);

	return X509_NAME_add_entry_by_NID(X509_get_subject_name(certificate), NID_commonName,
	        MBSTRING_UTF8, (const unsigned char *)name, length, -1, 0);
}

static bool head_fill(
        X509 *certificate, EVP_PKEY *key, const char *subject, const struct validity *validity)
{
	return X509_set_version(certificate, VERSION_3) && serial_set(certificate) &&
	       ASN1_TIME_set(X509_getm_notBefore(certificate), validity->from) &&
	       ASN1_TIME_set(X509_getm_notAfter(certificate), validity->until) &&
	       X509_set_pubkey(certificate, key) && subject_set(certificate, subject);
}

/* @issuer NULL: by itself. */
static X509 *certificate_make(EVP_PKEY *key, const char *subject, const struct validity *validity,
        const X509 *issuer, EVP_PKEY *issuer_key, const struct extension *extensions, size_t count)
{
	X509 *certificate = X509_new();
	bool done = certificate && head_fill(certificate, key, subject, validity);

	if (!issuer)
		issuer = certificate;
	done = done && X509_set_issuer_name(certificate, X509_get_subject_name(issuer));
	for (size_t i = 0; done && i < count; i++)
		done = extension_add(certificate, issuer, &extensions[i]);
	if (done && X509_sign(certificate, issuer_key, EVP_sha256()))
		return certificate;
	X509_free(certificate);
	return NULL;
}

X509 *authority_ca_make(EVP_PKEY *key, const char *name, const struct validity *validity)
{
	static const struct extension extensions[] = {
	        {NID_basic_constraints, "critical,CA:TRUE,pathlen:0"},
	        {NID_key_usage, "critical,keyCertSign,cRLSign"},
	        {NID_subject_key_identifier, "hash"},
	};

	return certificate_make(key, name, validity, NULL, key, extensions, ARRAY_SIZE(extensions));
}

X509 *authority_certificate_make(const X509 *ca, EVP_PKEY *ca_key, EVP_PKEY *key,
        const struct peer_identity *identity, const struct validity *validity)
{
	char who[PEER_TEXT_BYTES], uri[PEER_TEXT_BYTES + 16];
	struct extension extensions[] = {
	        {NID_basic_constraints, "critical,CA:FALSE"},
	        {NID_key_usage, "critical,digitalSignature"},
	        {NID_ext_key_usage, "serverAuth,clientAuth"},
	        {NID_subject_key_identifier, "hash"},
	        {NID_authority_key_identifier, "keyid:always"},
	        {NID_subject_alt_name, uri},
	};

	peer_identity_write(identity, who);
	snprintf(uri, sizeof(uri), "URI:tether:%s", who);
	return certificate_make(key, who, validity, ca, ca_key, extensions, ARRAY_SIZE(extensions));
}

void authority_serial(const X509 *certificate, char text[static SERIAL_TEXT_BYTES])
{
	const ASN1_INTEGER *serial = X509_get0_serialNumber(certificate);
	const unsigned char *bytes = ASN1_STRING_get0_data(serial);
	int length = ASN1_STRING_length(serial);

	*text = 0;
	for (int i = 0; i < length && i < SERIAL_BYTES; i++)
		snprintf(text + 2 * i, 3, "%02x", bytes[i]);
}

static bool revoked_add(X509_CRL *crl, const struct revocation *revocation)
{
	X509_REVOKED *row = X509_REVOKED_new();
	ASN1_INTEGER *serial = NULL;
	ASN1_TIME *when = ASN1_TIME_set(NULL, revocation->when);
	BIGNUM *number = NULL;
	bool done = false;

	if (BN_hex2bn(&number, revocation->serial))
		serial = BN_to_ASN1_INTEGER(number, NULL);
	if (row && when && serial)
		done = X509_REVOKED_set_serialNumber(row, serial) &&
		       X509_REVOKED_set_revocationDate(row, when) &&
		       X509_CRL_add0_revoked(crl, row);
	if (!done)
		X509_REVOKED_free(row);
	ASN1_INTEGER_free(serial);
	ASN1_TIME_free(when);
	BN_free(number);
	return done;
}

static bool crl_number_set(X509_CRL *crl, uint64_t number)
{
	ASN1_INTEGER *value = ASN1_INTEGER_new();
	bool done = value && ASN1_INTEGER_set_uint64(value, number) &&
	            X509_CRL_add1_ext_i2d(crl, NID_crl_number, value, 0, 0);

	ASN1_INTEGER_free(value);
	return done;
}

static bool crl_head_fill(X509_CRL *crl, const X509 *ca, uint64_t number, time_t from)
{
	ASN1_TIME *last = ASN1_TIME_set(NULL, from);
	bool done = last && X509_CRL_set_version(crl, CRL_VERSION_2) &&
	            X509_CRL_set_issuer_name(crl, X509_get_subject_name(ca)) &&
	            X509_CRL_set1_lastUpdate(crl, last) &&
	            X509_CRL_set1_nextUpdate(crl, X509_get0_notAfter(ca)) &&
	            crl_number_set(crl, number);

	ASN1_TIME_free(last);
	return done;
}

X509_CRL *authority_crl_make(const X509 *ca, EVP_PKEY *ca_key, const struct revocation *revoked,
        size_t count, uint64_t number, time_t from)
{
	X509_CRL *crl = X509_CRL_new();
	bool done = crl && crl_head_fill(crl, ca, number, from);

	for (size_t i = 0; done && i < count; i++)
		done = revoked_add(crl, &revoked[i]);
	if (done && X509_CRL_sort(crl) && X509_CRL_sign(crl, ca_key, EVP_sha256()))
		return crl;
	X509_CRL_free(crl);
	return NULL;
}
