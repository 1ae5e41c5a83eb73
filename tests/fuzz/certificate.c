/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/* Who a certificate says somebody is: a whole certificate, its names alone, and one name as text.
 * Whoever is taken has a role and a name that everybody else reads the same. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/x509v3.h>

#include "notifier/certificates/certificate.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_taken(const struct peer_identity *identity)
{
	char text[PEER_TEXT_BYTES];
	struct peer_identity again;

	if (!name_is_fit(identity->name))
		abort();
	peer_identity_write(identity, text);
	if (peer_identity_parse_short(text, strlen(text), &again) || again.role != identity->role ||
	        strcmp(again.name, identity->name) != 0)
		abort();
}

static void certificate_check(const X509 *certificate)
{
	struct peer_identity identity;
	int err = certificate_identity(certificate, &identity);

	if (!err)
		check_taken(&identity);
	else if (err > 0 || !*certificate_identity_fault(err))
		abort();
}

static void whole_check(const uint8_t *data, size_t size)
{
	X509 *certificate = d2i_X509(NULL, &data, (long)size);

	if (certificate)
		certificate_check(certificate);
	X509_free(certificate);
}

/* Of a certificate that is otherwise empty. */
static void names_check(const uint8_t *data, size_t size)
{
	ASN1_OCTET_STRING *value = ASN1_OCTET_STRING_new();
	X509 *certificate = X509_new();
	X509_EXTENSION *extension = NULL;

	if (value && certificate && ASN1_OCTET_STRING_set(value, data, (int)size))
		extension = X509_EXTENSION_create_by_NID(NULL, NID_subject_alt_name, 0, value);
	if (extension && X509_add_ext(certificate, extension, -1))
		certificate_check(certificate);
	X509_EXTENSION_free(extension);
	ASN1_OCTET_STRING_free(value);
	X509_free(certificate);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct peer_identity identity;

	whole_check(data, size);
	names_check(data, size);
	if (!peer_identity_parse((const char *)data, size, &identity)) {
		check_taken(&identity);
		if (!peer_identity_is_meant((const char *)data, size))
			abort();
	}
	return 0;
}
