/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include "notifier/certificates/certificate.h"

#include <errno.h>

#include <openssl/x509v3.h>

/* Takes the next name. 0: it was none of ours, or the first of ours. */
static int name_take(const GENERAL_NAME *name, struct peer_identity *identity, bool *found)
{
	const ASN1_IA5STRING *uri;
	const char *text;
	int length;

	if (name->type != GEN_URI)
		return 0;
	uri = name->d.uniformResourceIdentifier;
	text = (const char *)ASN1_STRING_get0_data(uri);
	length = ASN1_STRING_length(uri);
	if (!text || length < 0 || !peer_identity_is_meant(text, length))
		return 0;
	if (*found)
		return -EEXIST;
	*found = true;
	return peer_identity_parse(text, length, identity);
}

int certificate_identity(const X509 *certificate, struct peer_identity *identity)
{
	int critical; /* where there is none: -1 not there, -2 more than one */
	GENERAL_NAMES *names = X509_get_ext_d2i(certificate, NID_subject_alt_name, &critical, NULL);
	struct peer_identity taken;
	bool found = false;
	int err = 0;

	if (!names)
		return critical == -1 ? -ENOENT : -EINVAL;
	for (int i = 0; !err && i < sk_GENERAL_NAME_num(names); i++)
		err = name_take(sk_GENERAL_NAME_value(names, i), &taken, &found);
	GENERAL_NAMES_free(names);
	if (err)
		return err;
	if (!found)
		return -ENOENT;
	*identity = taken;
	return 0;
}

const char *certificate_identity_fault(int err)
{
	switch (err) {
	case -ENOENT:
		return "its certificate names no role (URI tether:ROLE/NAME)";
	case -EEXIST:
		return "its certificate names more than one role";
	default:
		return "its certificate names a role that is not known, or a name that is none";
	}
}

time_t certificate_time(const ASN1_TIME *when)
{
	struct tm parts;

	return ASN1_TIME_to_tm(when, &parts) == 1 ? timegm(&parts) : 0;
}

time_t certificates_expire(const STACK_OF(X509) * chain)
{
	time_t first = 0;

	for (int i = 0; i < sk_X509_num(chain); i++) {
		time_t when = certificate_time(X509_get0_notAfter(sk_X509_value(chain, i)));

		if (!i || when < first)
			first = when;
	}
	return first;
}
