/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include "notifier/certificates/tls_refusal.h"

#include <stdio.h>

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509_vfy.h>

#include "notifier/base/cleanup.h"

static const struct {
	const char *name, *text;
} refusals[] = {
#define REFUSAL(kind, text) {#kind, text},
#include "notifier/certificates/tls_refusals.def"
#undef REFUSAL
};

const char *tls_refusal_name(enum tls_refusal kind)
{
	return refusals[kind].name;
}

const char *tls_refusal_text(enum tls_refusal kind)
{
	return refusals[kind].text;
}

static const struct {
	int error;
	enum tls_refusal kind;
} verifications[] = {
        {X509_V_ERR_CERT_HAS_EXPIRED, TLS_REFUSAL_EXPIRED},
        {X509_V_ERR_CERT_NOT_YET_VALID, TLS_REFUSAL_NOT_YET_VALID},
        {X509_V_ERR_CERT_REVOKED, TLS_REFUSAL_REVOKED},
        {X509_V_ERR_CRL_HAS_EXPIRED, TLS_REFUSAL_OLD_CRL},
        {X509_V_ERR_UNABLE_TO_GET_CRL, TLS_REFUSAL_NO_CRL},
        {X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT, TLS_REFUSAL_FOREIGN_CA},
        {X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY, TLS_REFUSAL_FOREIGN_CA},
        {X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE, TLS_REFUSAL_FOREIGN_CA},
        {X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN, TLS_REFUSAL_FOREIGN_CA},
        {X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT, TLS_REFUSAL_FOREIGN_CA},
        /* Another CA of the same name. */
        {X509_V_ERR_CERT_SIGNATURE_FAILURE, TLS_REFUSAL_FOREIGN_CA},
        {X509_V_ERR_AKID_SKID_MISMATCH, TLS_REFUSAL_FOREIGN_CA},
};

enum tls_refusal tls_refusal_of_verification(int error)
{
	for (size_t i = 0; i < ARRAY_SIZE(verifications); i++)
		if (verifications[i].error == error)
			return verifications[i].kind;
	return TLS_REFUSAL_BAD_CERTIFICATE;
}

/* What is no TLS record, as OpenSSL calls it. */
static const struct {
	int reason;
	enum tls_refusal kind;
} reasons[] = {
        {SSL_R_WRONG_VERSION_NUMBER, TLS_REFUSAL_PLAIN_TEXT},
        {SSL_R_HTTP_REQUEST, TLS_REFUSAL_PLAIN_TEXT},
        {SSL_R_HTTPS_PROXY_REQUEST, TLS_REFUSAL_PLAIN_TEXT},
        {SSL_R_UNSUPPORTED_PROTOCOL, TLS_REFUSAL_OLD_VERSION},
        {SSL_R_WRONG_SSL_VERSION, TLS_REFUSAL_OLD_VERSION},
        {SSL_R_VERSION_TOO_LOW, TLS_REFUSAL_OLD_VERSION},
        {SSL_R_PEER_DID_NOT_RETURN_A_CERTIFICATE, TLS_REFUSAL_NO_CERTIFICATE},
        {SSL_R_UNEXPECTED_EOF_WHILE_READING, TLS_REFUSAL_BROKEN_OFF},
};

enum { ALERTS = 256 };

enum tls_refusal tls_refusal_of_error(unsigned long error, char *text, size_t size)
{
	int reason = ERR_GET_REASON(error);
	const char *said = ERR_reason_error_string(error);

	if (ERR_GET_LIB(error) == ERR_LIB_SSL && reason >= SSL_AD_REASON_OFFSET &&
	        reason < SSL_AD_REASON_OFFSET + ALERTS) {
		snprintf(text, size, "%s: %s", tls_refusal_text(TLS_REFUSAL_REFUSED_THERE),
		        SSL_alert_desc_string_long(reason - SSL_AD_REASON_OFFSET));
		return TLS_REFUSAL_REFUSED_THERE;
	}
	for (size_t i = 0; ERR_GET_LIB(error) == ERR_LIB_SSL && i < ARRAY_SIZE(reasons); i++) {
		if (reasons[i].reason != reason)
			continue;
		snprintf(text, size, "%s", tls_refusal_text(reasons[i].kind));
		return reasons[i].kind;
	}
	snprintf(text, size, "%s: %s", tls_refusal_text(TLS_REFUSAL_OTHER),
	        said ? said : "no reason given");
	return TLS_REFUSAL_OTHER;
}
